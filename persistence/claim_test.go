package persistence_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/mem"
)

// claimIn claims objects, for an hour.
func claimIn(t *testing.T, s *persistence.Store, q *persistence.Query, limit int) []*persistence.Claim {
	t.Helper()
	return must[[]*persistence.Claim](t)(s.Claim(t.Context(), q, persistence.ClaimOptions{Owner: t.Name(), Lease: time.Hour, Limit: limit}))
}

func waiting() *persistence.Query { return &persistence.Query{State: []string{"NEW"}} }

func TestClaimedObjectsAreLoadedSavedAndDone(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		first, second := &Task{Name: "first", State: "NEW"}, &Task{Name: "second", State: "NEW"}
		must[[]persistence.ID](t)(s.SaveAll(ctx, first, second))
		claims := claimIn(t, s, waiting(), 0)
		if len(claims) != 1 || claims[0].ID() != first.PersistentID() || claims[0].Owner() != t.Name() || claims[0].Info().State != "NEW" {
			t.Fatalf("claimed %d, want the first task alone", len(claims))
		}
		c := claims[0]
		if left := time.Until(c.Until()); left < 59*time.Minute || left > 61*time.Minute {
			t.Errorf("the claim holds for %v", left)
		}
		if _, err := s.Save(ctx, touch(first)); !errors.Is(err, persistence.ErrConflict) {
			t.Errorf("an object loaded before the claim is saved: %v", err)
		}
		task := must[*Task](t)(persistence.LoadClaimed[Task](ctx, c))
		task.State = "RUNNING"
		if err := c.Save(ctx, task); err != nil {
			t.Fatal(err)
		}
		until := c.Until()
		if err := c.Extend(ctx, 2*time.Hour); err != nil || !c.Until().After(until) {
			t.Errorf("extended from %v until %v, %v", until, c.Until(), err)
		}
		if more := claimIn(t, s, waiting(), 5); len(more) != 1 || more[0].ID() != second.PersistentID() {
			t.Errorf("claimed %d more", len(more))
		}
		task.State = "DONE"
		report := &File{Path: "report"}
		if err := c.Complete(ctx, task, report); err != nil {
			t.Fatal(err)
		}
		if got := must[*Task](t)(persistence.Load[Task](ctx, s, c.ID())); got.State != "DONE" {
			t.Errorf("the state is %q", got.State)
		}
		if report.PersistentID() == "" {
			t.Error("what was saved along has no ID")
		}
		for _, late := range []func() error{
			func() error { return c.Save(ctx, touch(task)) }, func() error { return c.Complete(ctx) }, func() error { return c.Release(ctx) },
			func() error { return c.Extend(ctx, time.Hour) }, func() error { return c.Save(ctx, &File{Path: "late"}) },
		} {
			wantIs(t, late(), persistence.ErrConflict, string(c.ID()))
		}
		if n := must[int64](t)(s.Count(ctx, nil)); n != 3 {
			t.Errorf("%d records: a refused save left something", n)
		}
		if again := claimIn(t, s, &persistence.Query{State: []string{"DONE"}}, 1); len(again) != 1 || again[0].Token() <= c.Token() {
			t.Error("what is done cannot be claimed again, or has no greater token")
		}
	})
}

// touch changes a task.
func touch(task *Task) *Task {
	task.Prio++
	return task
}

func TestLateHolderIsRefusedOnceSomeoneElseHasClaimed(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		must[persistence.ID](t)(s.Save(ctx, &Task{Name: "task", State: "NEW"}))
		claims := must[[]*persistence.Claim](t)(s.Claim(ctx, nil, persistence.ClaimOptions{Owner: "slow", Lease: time.Microsecond}))
		slow := claims[0]
		task := must[*Task](t)(persistence.LoadClaimed[Task](ctx, slow))
		if err := slow.Save(ctx, touch(task)); err != nil {
			t.Fatalf("lapsed, but nobody else has claimed: %v", err)
		}
		var quick *persistence.Claim
		for quick == nil {
			if got := claimIn(t, s, nil, 1); len(got) > 0 {
				quick = got[0]
			}
		}
		wantIs(t, slow.Save(ctx, touch(task)), persistence.ErrConflict)
		fresh := must[*Task](t)(persistence.LoadClaimed[Task](ctx, slow))
		wantIs(t, slow.Complete(ctx, touch(fresh)), persistence.ErrConflict)
		if err := quick.Complete(ctx, touch(must[*Task](t)(persistence.LoadClaimed[Task](ctx, quick)))); err != nil {
			t.Error(err)
		}
	})
}

func TestClaimSetsTheState(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, &persistence.Options{ExtraFields: []extrafields.Field{
			extrafields.Of("shout", func(t *Task) string { return t.State + "!" }),
		}}), t.Context()
		dep := &Task{Name: "dep", State: "NEW"}
		root := &Task{Name: "root", State: "OTHER", Deps: []*Task{dep}}
		dep.Deps = []*Task{root}
		must[persistence.ID](t)(s.Save(ctx, root))
		before := must[persistence.Info](t)(s.Stat(ctx, dep.PersistentID()))
		claims := must[[]*persistence.Claim](t)(s.Claim(ctx, waiting(), persistence.ClaimOptions{Owner: "me", Lease: time.Hour, Limit: 9, State: "TAKEN"}))
		if len(claims) != 1 || claims[0].Info().State != "TAKEN" {
			t.Fatalf("%d claims", len(claims))
		}
		if ids := list(t, s, &persistence.Query{State: []string{"TAKEN"}}); len(ids) != 1 {
			t.Errorf("listed as TAKEN: %v", ids)
		}
		after := must[persistence.Info](t)(s.Stat(ctx, dep.PersistentID()))
		if after.Revision != before.Revision+1 || after.Modified.Before(before.Modified) {
			t.Errorf("before %+v, after %+v", before, after)
		}
		loaded := must[*Task](t)(persistence.Load[Task](ctx, s, root.PersistentID()))
		if loaded.State != "OTHER" || loaded.Deps[0].State != "TAKEN" || loaded.Deps[0].Deps[0] != loaded {
			t.Errorf("states %q and %q", loaded.State, loaded.Deps[0].State)
		}
		// Saving the graph does not end the claim of its owner.
		must[persistence.ID](t)(s.Save(ctx, touch(loaded)))
		if now := must[persistence.Info](t)(s.Stat(ctx, dep.PersistentID())); now.Revision != after.Revision {
			t.Errorf("saving the graph wrote the claimed object: revision %d became %d", after.Revision, now.Revision)
		}
		task := must[*Task](t)(persistence.LoadClaimed[Task](ctx, claims[0]))
		task.State = "DONE"
		if err := claims[0].Complete(ctx, task); err != nil {
			t.Fatal(err)
		}
		if info := must[persistence.Info](t)(s.Stat(ctx, dep.PersistentID())); info.State != "DONE" || info.Fields["shout"] != "DONE!" {
			t.Errorf("got %+v", info)
		}
	})
}

// Stubborn has a state that cannot be set.
type Stubborn struct {
	persistence.Persistable
	Name string
}

func (*Stubborn) State() string { return "NEW" }

func init() { persistence.Register[Stubborn]("store.Stubborn") }

func TestWhatCannotTakeAStateIsReportedBesideTheClaims(t *testing.T) {
	t.Parallel()
	ctx, raw := t.Context(), mem.New(driver.OpenOptions{})
	s := must[*persistence.Store](t)(persistence.New(ctx, raw, nil))
	defer s.Close()
	tasks := []any{&Stubborn{Name: "stubborn"}, &Task{State: "NEW"}, &Task{State: "NEW"}, &Task{State: "NEW"}}
	ids := must[[]persistence.ID](t)(s.SaveAll(ctx, tasks...))
	_, err := raw.Apply(ctx, []driver.Mutation{{Op: driver.Update, Rec: driver.Record{ID: ids[2], State: "NEW", Data: []byte("no record")}}})
	if err != nil {
		t.Fatal(err)
	}
	claims, err := s.Claim(ctx, waiting(), persistence.ClaimOptions{Owner: "me", Lease: time.Hour, Limit: 2, State: "TAKEN"})
	if len(claims) != 2 || claims[0].ID() != ids[1] || claims[1].ID() != ids[3] {
		t.Errorf("claimed %d, want the two that can be claimed", len(claims))
	}
	wantIs(t, err, errors.ErrUnsupported, `"`+string(ids[0])+`"`, "store.Stubborn")
	wantIs(t, err, persistence.ErrCorrupt, `"`+string(ids[2])+`"`)
	for _, id := range []persistence.ID{ids[0], ids[2]} {
		if info := must[persistence.Info](t)(s.Stat(ctx, id)); info.State != "NEW" {
			t.Errorf("%q is %s", id, info.State)
		}
	}
}

func TestClaimsTellWhoHoldsWhatAndReapEndsThem(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		for i := range 4 {
			must[persistence.ID](t)(s.Save(ctx, &Task{Name: fmt.Sprint(i), State: "NEW"}))
		}
		for i, lease := range []time.Duration{time.Hour, time.Microsecond, time.Hour} {
			q := &persistence.Query{Where: []persistence.Cond{persistence.Eq("id", i+1)}}
			must[[]*persistence.Claim](t)(s.Claim(ctx, q, persistence.ClaimOptions{Owner: fmt.Sprint("owner ", i), Lease: lease}))
		}
		who := func() (all []string) {
			for c, err := range s.Claims(ctx) {
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, fmt.Sprint(c.ID(), " ", c.Owner()))
			}
			return all
		}
		if got, want := who(), []string{"1 owner 0", "2 owner 1", "3 owner 2"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		for n := int64(0); n == 0; {
			n = must[int64](t)(s.ReleaseExpired(ctx))
		}
		if got, want := who(), []string{"1 owner 0", "3 owner 2"}; !slices.Equal(got, want) {
			t.Errorf("after ReleaseExpired: got %q, want %q", got, want)
		}
		for c, err := range s.Claims(ctx) {
			if err == nil {
				err = c.Release(ctx)
			}
			if err != nil {
				t.Error(err)
			}
		}
		if got := who(); len(got) != 0 {
			t.Errorf("after the releases: %q", got)
		}
		if n := len(list(t, s, &persistence.Query{Where: []persistence.Cond{persistence.IsNull("claim_owner")}})); n != 4 {
			t.Errorf("%d of 4 are listed as free", n)
		}
	})
}

func TestWhatIsNoClaimIsRefused(t *testing.T) {
	t.Parallel()
	s, ctx := open(t, "mem:", nil), t.Context()
	must[persistence.ID](t)(s.Save(ctx, &Task{State: "NEW"}))
	good := persistence.ClaimOptions{Owner: "me", Lease: time.Hour}
	for name, x := range map[string]struct {
		q      *persistence.Query
		change func(*persistence.ClaimOptions)
	}{
		"no owner":           {nil, func(o *persistence.ClaimOptions) { o.Owner = "" }},
		"an owner with NUL":  {nil, func(o *persistence.ClaimOptions) { o.Owner = "a\x00" }},
		"no lease":           {nil, func(o *persistence.ClaimOptions) { o.Lease = 0 }},
		"a negative limit":   {nil, func(o *persistence.ClaimOptions) { o.Limit = -1 }},
		"a long state":       {nil, func(o *persistence.ClaimOptions) { o.State = string(make([]rune, 129)) }},
		"a limit in a query": {&persistence.Query{Limit: 1}, func(*persistence.ClaimOptions) {}},
		"a query from an ID": {&persistence.Query{After: "1"}, func(*persistence.ClaimOptions) {}},
		"an unknown column":  {&persistence.Query{Where: []persistence.Cond{persistence.Eq("hots", 1)}}, func(*persistence.ClaimOptions) {}},
	} {
		o := good
		x.change(&o)
		if claims, err := s.Claim(ctx, x.q, o); err == nil || len(claims) > 0 {
			t.Errorf("%s: %d claims", name, len(claims))
		}
	}
	if n := len(claimIn(t, s, nil, 1)); n != 1 {
		t.Error("the object is not free any more")
	}
}

// plainBackend implements no optional interface.
type plainBackend struct{ driver.Backend }

func TestBackendsThatLendNothingSaySo(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := must[*persistence.Store](t)(persistence.New(ctx, plainBackend{mem.New(driver.OpenOptions{})}, nil))
	defer s.Close()
	must[persistence.ID](t)(s.Save(ctx, &Task{State: "NEW"}))
	_, err := s.Claim(ctx, nil, persistence.ClaimOptions{Owner: "me", Lease: time.Hour})
	wantIs(t, err, errors.ErrUnsupported)
	_, err = s.ReleaseExpired(ctx)
	wantIs(t, err, errors.ErrUnsupported)
	for _, err := range s.Claims(ctx) {
		wantIs(t, err, errors.ErrUnsupported)
	}
	_, err = s.Count(ctx, &persistence.Query{Where: []persistence.Cond{persistence.IsNull("claim_owner")}})
	wantIs(t, err, errors.ErrUnsupported, "claim_owner")
	_, err = s.KV().Get(ctx, "key")
	wantIs(t, err, errors.ErrUnsupported)
}

// A repeatingBackend refuses a record in a first attempt to claim it, which is undone.
type repeatingBackend struct {
	driver.Backend
	driver.Claimer
}

func (b repeatingBackend) Claim(ctx context.Context, q *driver.Query, c driver.Claiming) ([]driver.Record, error) {
	c.Refused("1", driver.ErrUnique)
	return b.Claimer.Claim(ctx, q, c)
}

func TestAClaimThatIsMadeInASecondAttemptIsNoError(t *testing.T) {
	t.Parallel()
	inner := mem.New(driver.OpenOptions{})
	s := must[*persistence.Store](t)(persistence.New(t.Context(), repeatingBackend{inner, inner}, nil))
	defer s.Close()
	must[persistence.ID](t)(s.Save(t.Context(), &Task{State: "NEW"}))
	claims, err := s.Claim(t.Context(), nil, persistence.ClaimOptions{Owner: "me", Lease: time.Hour, State: "RUNNING"})
	if err != nil || len(claims) != 1 {
		t.Errorf("%d claims, %v", len(claims), err)
	}
}

func TestWorkersDoEachTaskOnce(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		const tasks = 120
		stores := []*persistence.Store{open(t, url, nil), nil}
		if stores[1] = stores[0]; url != "mem:" {
			stores[1] = open(t, url, nil)
		}
		ctx := t.Context()
		all := make([]any, tasks)
		for i := range all {
			all[i] = &Task{Name: fmt.Sprint(i), State: "NEW"}
		}
		must[[]persistence.ID](t)(stores[0].SaveAll(ctx, all...))
		work := func(ctx context.Context, s *persistence.Store, limit int) error {
			for {
				claims, err := s.Claim(ctx, waiting(), persistence.ClaimOptions{Owner: "worker", Lease: time.Hour, Limit: limit, State: "RUNNING"})
				if err != nil {
					return err
				}
				for _, c := range claims {
					task, err := persistence.LoadClaimed[Task](ctx, c)
					if err != nil {
						return err
					}
					task.State = "DONE"
					if err := c.Complete(ctx, touch(task)); err != nil {
						return err
					}
				}
				left, err := s.Count(ctx, waiting())
				if err != nil || left == 0 {
					return err
				}
			}
		}
		var workers sync.WaitGroup
		for i := range 6 {
			workers.Go(func() {
				if err := work(ctx, stores[i%2], 1+i%3*4); err != nil {
					t.Error(err)
				}
			})
		}
		workers.Wait()
		n := 0
		for task, err := range persistence.All[Task](ctx, stores[0], nil) {
			if err != nil {
				t.Fatal(err)
			}
			if n++; task.Prio != 1 || task.State != "DONE" {
				t.Errorf("%s is %s, done %d times", task.Name, task.State, task.Prio)
			}
		}
		if n != tasks {
			t.Errorf("%d tasks", n)
		}
	})
}

func TestInfosTellWhatStatTells(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, &persistence.Options{ExtraFields: []extrafields.Field{
			extrafields.Of("prio", func(t *Task) int { return t.Prio }),
		}}), t.Context()
		for i := range 5 {
			must[persistence.ID](t)(s.Save(ctx, &Task{Name: fmt.Sprint(i), State: []string{"NEW", "DONE"}[i%2], Prio: 10 - i}))
		}
		var prios []any
		for info, err := range s.StatAll(ctx, &persistence.Query{State: []string{"NEW"}, Order: []persistence.Order{persistence.Asc("prio")}}) {
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(must[persistence.Info](t)(s.Stat(ctx, info.ID)), info); diff != "" {
				t.Error(diff)
			}
			prios = append(prios, info.Fields["prio"])
		}
		if want := []any{int64(6), int64(8), int64(10)}; !cmp.Equal(want, prios) {
			t.Errorf("got %v, want %v", prios, want)
		}

		// Only the named columns are set.
		byPrio := &persistence.Query{State: []string{"NEW"}, Order: []persistence.Order{persistence.Desc("prio"), persistence.Asc("modified")}, Limit: 2}
		var few []persistence.Info
		for info, err := range s.StatAll(ctx, byPrio, "state", "type", "claim_owner") {
			if err != nil {
				t.Fatal(err)
			}
			few = append(few, info)
		}
		unowned := map[string]any{"claim_owner": nil}
		want := []persistence.Info{{ID: "1", State: "NEW", Type: "test.Task", Fields: unowned}, {ID: "3", State: "NEW", Type: "test.Task", Fields: unowned}}
		if diff := cmp.Diff(want, few); diff != "" {
			t.Error(diff)
		}
		for info, err := range s.StatAll(ctx, nil, "state", "prio_") {
			if err == nil || !strings.Contains(err.Error(), `unknown column "prio_"`) {
				t.Errorf("got %v, %v", info, err)
			}
		}
	})
}
