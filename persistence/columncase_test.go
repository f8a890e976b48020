package persistence_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
)

func whereEq(column string, v any) *persistence.Query {
	return &persistence.Query{Where: []persistence.Cond{persistence.Eq(column, v)}}
}

func TestTwoProgramsSpellAFieldInDifferentLetterCase(t *testing.T) {
	reopened(t, func(t *testing.T, open func(*persistence.Options) (*persistence.Store, error)) {
		ctx := t.Context()
		upper := extrafields.Of("Prio", func(t *Task) int { return t.Prio })
		a := must[*persistence.Store](t)(open(&persistence.Options{ExtraFields: []extrafields.Field{upper}}))
		first := must[persistence.ID](t)(a.Save(ctx, &Task{Prio: 7}))
		b := must[*persistence.Store](t)(open(&persistence.Options{ExtraFields: []extrafields.Field{prioField}}))
		want := []persistence.ID{first, must[persistence.ID](t)(b.Save(ctx, &Task{Prio: 7}))}
		for column, s := range map[string]*persistence.Store{"Prio": a, "prio": b} {
			if got := list(t, s, whereEq(column, 7)); !slices.Equal(got, want) {
				t.Errorf("a query on %s finds %v, not %v", column, got, want)
			}
			ordered := list(t, s, &persistence.Query{Order: []persistence.Order{persistence.Desc(column)}})
			if !slices.Equal(ordered, want) {
				t.Errorf("in the order of %s there are %v, not %v", column, ordered, want)
			}
			groups := must[[]persistence.Group](t)(s.CountBy(ctx, column, nil))
			if diff := cmp.Diff([]persistence.Group{{Value: int64(7), Count: 2}}, groups); diff != "" {
				t.Errorf("counted by %s: %s", column, diff)
			}
			if got := must[persistence.Info](t)(s.Stat(ctx, want[1])).Fields[column]; got != int64(7) {
				t.Errorf("%s is %v", column, got)
			}
		}
	})
}
