package persistence_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
)

// A claim gives an object another state, and a column may be computed from it.
func TestAClaimWithAStateKeepsColumnsRight(t *testing.T) {
	reopened(t, func(t *testing.T, open func(*persistence.Options) (*persistence.Store, error)) {
		ctx := t.Context()
		log := &warningLog{}
		of := func(column string, get func(*Task) string) extrafields.Field { return extrafields.Of(column, get) }
		s := must[*persistence.Store](t)(open(&persistence.Options{Logger: log.logger(), ExtraFields: []extrafields.Field{
			of("s", func(t *Task) string { return t.State }),
			of("both", func(t *Task) string { return t.State + " " + t.Name }).Indexed(),
			of("n", func(t *Task) string { return t.Name }),
			of("of_parent", func(t *Task) string { return t.State + " of " + t.Deps[0].Name }),
			extrafields.Func("broken", extrafields.Int, func(obj any) (any, error) {
				if t, ok := obj.(*Task); ok && t.State == "RUNNING" {
					return nil, errors.New("broken")
				}
				return 1, nil
			}),
		}}))
		parent := &Task{Name: "p", State: "DONE"}
		parent.Deps = []*Task{parent}
		task := &Task{Name: "x", State: "NEW", Deps: []*Task{parent}}
		id := must[persistence.ID](t)(s.Save(ctx, task))
		claim := func() *persistence.Claim {
			t.Helper()
			claims := must[[]*persistence.Claim](t)(s.Claim(ctx, whereEq("n", "x"), persistence.ClaimOptions{Owner: "me", Lease: time.Hour, State: "RUNNING"}))
			if len(claims) != 1 {
				t.Fatalf("%d claims", len(claims))
			}
			return claims[0]
		}
		c := claim()
		want := map[string]any{"s": "RUNNING", "both": "RUNNING x", "n": "x", "of_parent": "NEW of p", "broken": nil}
		if diff := cmp.Diff(want, must[persistence.Info](t)(s.Stat(ctx, id)).Fields); diff != "" {
			t.Errorf("after the claim (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want, c.Info().Fields); diff != "" {
			t.Errorf("the claim says (-want +got):\n%s", diff)
		}
		if got := list(t, s, whereEq("both", "RUNNING x")); !slices.Equal(got, []persistence.ID{id}) {
			t.Errorf("found %v", got)
		}
		// A column that depends on other objects is right once the object is saved, though it has
		// not changed.
		running := must[*Task](t)(persistence.LoadClaimed[Task](ctx, c))
		if err := c.Complete(ctx, running); err != nil {
			t.Fatal(err)
		}
		info := must[persistence.Info](t)(s.Stat(ctx, id))
		want["of_parent"] = "RUNNING of p"
		if diff := cmp.Diff(want, info.Fields); diff != "" {
			t.Errorf("after the save (-want +got):\n%s", diff)
		}
		// Nothing is stale now, so another save writes nothing.
		again := must[*Task](t)(persistence.Load[Task](ctx, s, id))
		must[persistence.ID](t)(s.Save(ctx, again))
		if after := must[persistence.Info](t)(s.Stat(ctx, id)); after.Revision != info.Revision {
			t.Errorf("the revision was %d and is %d", info.Revision, after.Revision)
		}
		for f, err := range s.Vet(ctx, whereEq("n", "x")) {
			t.Errorf("found %+v, %v", f, err)
		}
	})
}

// What a claim changes is written with it: a save of the claimed object as it is writes nothing
// more.
func TestAClaimedObjectIsNotWrittenBecauseOfItsColumns(t *testing.T) {
	reopened(t, func(t *testing.T, open func(*persistence.Options) (*persistence.Store, error)) {
		ctx := t.Context()
		s := must[*persistence.Store](t)(open(&persistence.Options{ExtraFields: []extrafields.Field{stateField, nameField}}))
		for i := range 3 {
			must[persistence.ID](t)(s.Save(ctx, &Task{Name: fmt.Sprint(i), State: "NEW"}))
		}
		claims := must[[]*persistence.Claim](t)(s.Claim(ctx, &persistence.Query{State: []string{"NEW"}},
			persistence.ClaimOptions{Owner: "me", Lease: time.Hour, Limit: 3, State: "RUNNING"}))
		if len(claims) != 3 {
			t.Fatalf("%d claims", len(claims))
		}
		if got := list(t, s, whereEq("job_state", "RUNNING")); len(got) != 3 {
			t.Errorf("found %v", got)
		}
		for _, c := range claims {
			task := must[*Task](t)(persistence.LoadClaimed[Task](ctx, c))
			if err := c.Save(ctx, task); err != nil {
				t.Fatal(err)
			}
			if rev := must[persistence.Info](t)(s.Stat(ctx, c.ID())).Revision; rev != c.Info().Revision {
				t.Errorf("%s was written: its revision was %d and is %d", c.ID(), c.Info().Revision, rev)
			}
		}
	})
}
