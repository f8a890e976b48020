package drivertest

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/brine-go/brine/persistence/driver"
)

// testUniqueBatches compares random batches on few records and fewer values with the model.
func testUniqueBatches(t *testing.T, k *kit) {
	st, _ := k.indexed(t, byName, byPlace)
	const records = 6
	for n := range records {
		st.mustApply(t, put(k.called(n, nil)))
	}
	numbers := rapid.IntRange(0, records-1)
	names := rapid.SampledFrom([]any{nil, "a", "b", "c"})
	rapid.Check(t, func(rt *rapid.T) {
		m := newModel(st.schema)
		m.unique = []driver.Index{byName, byPlace}
		m.recs = st.all(rt)
		for range rapid.IntRange(1, 4).Draw(rt, "batches") {
			var ms []driver.Mutation
			for _, n := range rapid.SliceOfNDistinct(numbers, 1, 5, rapid.ID).Draw(rt, "ids") {
				mu := driver.Mutation{
					Op:  rapid.SampledFrom([]driver.Op{driver.Put, driver.Put, driver.Update, driver.Delete, driver.Create, driver.SetFields}).Draw(rt, "op"),
					Rec: k.called(n, names.Draw(rt, "name")),
				}
				mu.Rec.Fields[1], mu.Rec.Fields[2] = names.Draw(rt, "text"), int64(rapid.IntRange(0, 1).Draw(rt, "order"))
				if mu.Op == driver.Delete {
					mu.Rec = driver.Record{ID: mu.Rec.ID}
				}
				ms = append(ms, mu)
			}
			_, err := st.Apply(bg, ms)
			_, failure := m.apply(ms)
			switch {
			case failure != nil && failure.Err == driver.ErrUnique: //nolint:errorlint // as the model makes it
				x := byName
				if ue, ok := errors.AsType[*driver.UniqueError](err); ok && len(ue.Columns) == len(byPlace.Columns) {
					x = byPlace
				}
				checkClash(rt, err, x, "", ms)
			case failure != nil:
				st.checkFailure(rt, failure, err, ms)
			case err != nil:
				rt.Fatalf("Apply of %s must succeed: %v", describe(ms), err)
			}
			if d := diff(m.recs, st.all(rt)); d != "" {
				rt.Fatalf("after %s (-want +got):\n%s", describe(ms), d)
			}
		}
	})
}
