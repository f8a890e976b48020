package drivertest

import (
	"testing"

	"github.com/brine-go/brine/persistence/driver"
)

// testAnnexes: a second set of records beside the first, with the same promises.
func testAnnexes(t *testing.T, s *suite) {
	s.forBoth(t, "an annex keeps records of its own", func(t *testing.T, k *kit) {
		st := k.fresh(t, fields...)
		side := k.annex(t, st, "side")
		other := k.annex(t, st, "other")
		st.mustApply(t, create(k.rec(1)), create(k.rec(2)))
		side.mustApply(t, create(with(k.plain(1), "beside")), create(k.plain(3)))
		side.mustApply(t, update(with(k.plain(1), "beside, new"), 1))
		if got := st.all(t); len(got) != 2 || string(got[k.id(1)].Data) != "data of 1" || got[k.id(1)].Revision != 1 {
			t.Errorf("what is written to an annex must leave the records beside it alone: %+v", got)
		}
		if got := side.all(t); len(got) != 2 || string(got[k.id(1)].Data) != "beside, new" || got[k.id(1)].Revision != 2 {
			t.Errorf("an annex must keep what is written to it: %+v", got)
		}
		if n := len(other.all(t)); n != 0 {
			t.Errorf("an annex of another name must be empty, and has %d records", n)
		}
		side.mustFail(t, &driver.RecordError{ID: k.id(2), Err: driver.ErrNotFound}, update(k.plain(2), 0))
		side.mustFail(t, &driver.RecordError{ID: k.id(3), Ref: k.id(2), Err: driver.ErrDangling}, driver.Mutation{
			Op: driver.Update, Rec: k.plain(3), NewRefs: []driver.ID{k.id(2)}})
	})

	s.forText(t, "an annex is found again, and by other handles", func(t *testing.T, k *kit) {
		k.needsReopening(t)
		st := k.fresh(t)
		side := k.annex(t, st, "side")
		side.mustApply(t, create(k.plain(1)))
		again := k.open(t, st.url)
		if n := len(k.annex(t, again, "side").all(t)); n != 1 {
			t.Errorf("another handle must find the annex's record, not %d", n)
		}
	})

	s.forText(t, "suspending and closing", func(t *testing.T, k *kit) {
		st := k.fresh(t)
		side := k.annex(t, st, "side")
		side.mustApply(t, create(k.plain(1)))
		if sus, ok := st.Backend.(driver.Suspender); ok {
			// Package persistence lets go of both, the annex first.
			for _, s := range []driver.Backend{side.Backend, sus.(driver.Backend)} {
				if s, ok := s.(driver.Suspender); ok {
					if err := s.Suspend(); err != nil {
						t.Fatalf("Suspend must work: %v", err)
					}
				}
			}
			for _, s := range []driver.Backend{side.Backend, st.Backend} {
				if s, ok := s.(driver.Suspender); ok {
					if err := s.Resume(); err != nil {
						t.Fatalf("Resume must work: %v", err)
					}
				}
			}
		}
		if n := len(side.all(t)); n != 1 {
			t.Errorf("an annex must keep its record through Suspend and Resume, not %d", n)
		}
		if err := side.Close(); err != nil {
			t.Errorf("Close of an annex must work: %v", err)
		}
		st.mustApply(t, create(k.plain(2)))
		if _, err := side.NextIDs(t.Context(), 1); err == nil {
			t.Error("a closed annex must refuse calls")
		}
	})
}

// annex opens an annex of a store, or skips the test where the backend does not offer the ability.
func (k *kit) annex(t *testing.T, st *store, name string) *store {
	t.Helper()
	a, ok := st.Backend.(driver.Annexer)
	if !ok {
		t.Skip("the backend is no driver.Annexer")
	}
	b, err := a.Annex(name)
	if err != nil {
		t.Fatalf("Annex(%q) must work: %v", name, err)
	}
	s := k.schema()
	meta, err := b.Init(t.Context(), s)
	if err != nil {
		t.Fatalf("Init of an annex must work: %v", err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("Close of an annex must work: %v", err)
		}
	})
	return &store{Backend: b, url: st.url, schema: s, cols: driver.NewColumns(s), meta: meta}
}
