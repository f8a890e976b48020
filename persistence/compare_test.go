package persistence_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
)

func differences(t testing.TB, a, b *persistence.Store, q *persistence.Query) (all []persistence.Difference) {
	t.Helper()
	for d, err := range persistence.Compare(t.Context(), a, b, q) {
		check(t, err)
		all = append(all, d)
	}
	return all
}

func TestCompareTellsWhatDiffers(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		ctx := t.Context()
		a, b := open(t, storeURL(t, "mem"), &persistence.Options{ExtraFields: jsonFields}), open(t, url, nil)
		fill(t, a, false)
		must[persistence.CopyReport](t)(persistence.Copy(ctx, b, a, nil))
		if got := differences(t, a, b, nil); got != nil {
			t.Fatalf("a copy differs: %v", got)
		}
		one := must[*Task](t)(persistence.Load[Task](ctx, b, "1"))
		one.Meta = map[string]string{"user": "ü"}
		one.Deps = append(one.Deps, one.Deps[0])
		one.Deps[0].State = "DONE"
		must[persistence.ID](t)(b.Save(ctx, one))
		onlyB := must[persistence.ID](t)(b.Save(ctx, &File{Path: "only in b"}))
		check(t, b.Remove(ctx, "40"))
		var got []string
		for _, d := range differences(t, a, b, nil) {
			got = append(got, string(d.ID)+" "+d.Kind.String()+" "+d.Path)
		}
		dep := string(one.Deps[0].PersistentID())
		want := []string{"1 Differs Deps[1]", dep + " Differs state", "40 OnlyInA ", string(onlyB) + " OnlyInB "}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		// What the query selects in one of them alone.
		done := &persistence.Query{State: []string{"DONE"}}
		wantDone := []persistence.Difference{{ID: persistence.ID(dep), Kind: persistence.Differs, Path: "state"}}
		if d := cmp.Diff(wantDone, differences(t, a, b, done)); d != "" {
			t.Errorf("by a query (-want +got):\n%s", d)
		}
		if d := cmp.Diff(wantDone, differences(t, b, a, done)); d != "" {
			t.Errorf("by a query, the other way (-want +got):\n%s", d)
		}
		for _, err := range persistence.Compare(ctx, a, b, &persistence.Query{Limit: 1}) {
			if err == nil || !wordIn(err, "Limit") {
				t.Errorf("with a Limit: %v", err)
			}
		}
		for range persistence.Compare(ctx, a, b, nil) {
			break
		}
	})
}

func TestCompareSeesColumnsThatNeitherDeclares(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	from, to := storeURL(t, "sqlite"), storeURL(t, "fs")
	prio := func(add int) []extrafields.Field {
		return []extrafields.Field{extrafields.Of("prio", func(t *Task) int { return t.Prio + add })}
	}
	for i, url := range []string{from, to} {
		s := open(t, url, &persistence.Options{ExtraFields: prio(i)})
		must[persistence.ID](t)(s.Save(ctx, &Task{Name: "same", Prio: 1}))
	}
	a, b := open(t, from, nil), open(t, to, nil)
	if d := cmp.Diff([]persistence.Difference{{ID: "1", Kind: persistence.Differs, Path: "prio"}}, differences(t, a, b, nil)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
