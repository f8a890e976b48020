package drivertest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
	"pgregory.net/rapid"
)

// testAtomicity checks that an Apply is all or nothing, and that a View sees one state.
func testAtomicity(t *testing.T, s *suite) {
	s.forBoth(t, "a failure anywhere in a batch leaves nothing of it", testFailureAnywhere)
	s.forBoth(t, "the first of several failures is reported", testFirstFailure)
	s.forBoth(t, "no dangling reference is committed", testReferences)
	s.forBoth(t, "random batches do what the contract says", testHistory)
	s.forBoth(t, "a view sees one state while others write", testView)

	s.forText(t, "a view returns the error of its function", func(t *testing.T, k *kit) {
		st := k.fresh(t)
		mine := fmt.Errorf("mine")
		if err := st.View(t.Context(), func(driver.Reader) error { return mine }); !errors.Is(err, mine) {
			t.Errorf("View must return the error of its function, not %v", err)
		}
		st.mustApply(t, create(k.plain(1))) // that View leaves nothing that blocks a write
	})
}

func testFailureAnywhere(t *testing.T, k *kit) {
	st := k.fresh(t, fields...)
	st.mustApply(t, create(k.rec(10)), create(k.rec(20)), create(k.rec(30)), create(k.rec(40)))
	before := st.all(t)
	good := []driver.Mutation{
		create(k.rec(35)), update(k.rec(20), 1), put(k.rec(5)), remove(k.id(40), 1),
		put(k.rec(10)), create(k.rec(25), k.id(5)), check(k.id(30), 1), create(k.rec(50)),
	}
	for _, bad := range []struct {
		m   driver.Mutation
		ref driver.ID
		err error
	}{
		{create(k.rec(30)), "", driver.ErrExists},
		{update(k.rec(27), 0), "", driver.ErrNotFound},
		{update(k.rec(30), 9), "", driver.ErrConflict},
		{remove(k.id(27), 0), "", driver.ErrNotFound},
		{remove(k.id(30), 9), "", driver.ErrConflict},
		{check(k.id(27), 0), "", driver.ErrConflict},
		{create(k.rec(27), k.id(99)), k.id(99), driver.ErrDangling},
	} {
		for at := range len(good) + 1 {
			ms := append([]driver.Mutation(nil), good[:at]...)
			ms = append(ms, bad.m)
			for _, m := range good[at:] {
				if m.Rec.ID != bad.m.Rec.ID { // the IDs of a batch are distinct
					ms = append(ms, m)
				}
			}
			if bad.m.Rec.ID == k.id(30) && at > 6 {
				continue
			}
			st.mustFail(t, &driver.RecordError{ID: bad.m.Rec.ID, Ref: bad.ref, Err: bad.err}, ms...)
			if d := diff(before, st.all(t)); d != "" {
				t.Fatalf("a batch with one failure in place %d, %s, must change nothing (-before +after):\n%s", at, describe(ms), d)
			}
		}
	}
	st.mustApply(t, good...)
	if n := len(st.all(t)); n != 7 {
		t.Errorf("the same batch without a failure must be stored, and make 7 records, not %d", n)
	}
}

func testFirstFailure(t *testing.T, k *kit) {
	st := k.fresh(t)
	st.mustApply(t, create(k.plain(10)), create(k.plain(20)), create(k.plain(30)))
	exists := create(k.plain(20))
	notFound := update(k.plain(5), 0)
	conflict := remove(k.id(30), 4)
	dangling := create(k.plain(1), k.id(99))
	stale := check(k.id(10), 7)
	fine := put(k.plain(40))
	failure := func(m driver.Mutation, err error) *driver.RecordError {
		return &driver.RecordError{ID: m.Rec.ID, Err: err}
	}
	dangles := &driver.RecordError{ID: k.id(1), Ref: k.id(99), Err: driver.ErrDangling}

	st.mustFail(t, failure(exists, driver.ErrExists), fine, exists, notFound, conflict, dangling, stale)
	st.mustFail(t, failure(notFound, driver.ErrNotFound), notFound, fine, stale, exists, conflict)
	st.mustFail(t, failure(conflict, driver.ErrConflict), conflict, notFound, exists, fine, dangling)
	st.mustFail(t, failure(stale, driver.ErrConflict), fine, stale, conflict, exists, notFound)
	st.mustFail(t, dangles, fine, dangling, exists, notFound, conflict)
	st.mustFail(t, failure(exists, driver.ErrExists), exists, create(k.plain(10)))
	st.mustFail(t, failure(create(k.plain(10)), driver.ErrExists), create(k.plain(10)), exists)
	st.mustFail(t, &driver.RecordError{ID: k.id(3), Ref: k.id(98), Err: driver.ErrDangling},
		create(k.plain(3), k.id(98), k.id(97)), create(k.plain(2), k.id(96)))
}

func testReferences(t *testing.T, k *kit) {
	st := k.fresh(t)
	st.mustApply(t, create(k.plain(1)), create(k.plain(2)))

	// These refer to records that exist after the batch.
	st.mustApply(t, create(k.plain(5), k.id(5), k.id(1), k.id(1)))
	st.mustApply(t, create(k.plain(6), k.id(7)), create(k.plain(7), k.id(6)))
	st.mustApply(t, create(k.plain(8), k.id(9)), put(k.plain(9)))
	st.mustApply(t, create(k.plain(10), k.id(1)), update(k.plain(1), 0), check(k.id(2), 0))
	st.mustApply(t, create(k.plain(11), k.id(2)), remove(k.id(7), 0))

	// These refer to records that do not.
	dangles := func(ref int) *driver.RecordError {
		return &driver.RecordError{ID: k.id(20), Ref: k.id(ref), Err: driver.ErrDangling}
	}
	st.mustFail(t, dangles(7), create(k.plain(20), k.id(7)))
	st.mustFail(t, dangles(2), create(k.plain(20), k.id(2)), remove(k.id(2), 0))
	st.mustFail(t, dangles(2), remove(k.id(2), 0), create(k.plain(20), k.id(1), k.id(2)))
	st.mustFail(t, dangles(99), create(k.plain(21), k.id(20)), create(k.plain(20), k.id(21), k.id(1), k.id(99)))

	// Delete checks no references: an older reference may dangle, and is not checked again.
	st.mustApply(t, remove(k.id(1), 0))
	st.mustApply(t, update(k.plain(5), 0))
}

// testHistory runs random batches on the store and on the model.
func testHistory(t *testing.T, k *kit) {
	st := k.fresh(t, fields...)
	rapid.Check(t, func(rt *rapid.T) {
		// Shrinking requires the same start each time.
		var clean []driver.Mutation
		for id := range st.all(rt) {
			clean = append(clean, remove(id, 0))
		}
		st.mustApply(rt, clean...)
		m := newModel(st.schema)
		for range rapid.IntRange(1, 4).Draw(rt, "batches") {
			ms := k.drawMutations(rt)
			m.forget(ms)
			revs, err := st.Apply(bg, ms)
			want, failure := m.apply(ms)
			switch {
			case failure != nil:
				st.checkFailure(rt, failure, err, ms)
			case err != nil:
				rt.Fatalf("Apply of %s must succeed: %v", describe(ms), err)
			default:
				for i := range ms {
					if ms[i].Op != driver.Check && revs[i] != want[i] {
						rt.Fatalf("Apply of %s must return the revision %d for %q, not %d", describe(ms), want[i], ms[i].Rec.ID, revs[i])
					}
				}
			}
			if d := diff(m.recs, st.all(rt)); d != "" {
				rt.Fatalf("after %s (-want +got):\n%s", describe(ms), d)
			}
		}
	})
}

// drawMutations returns random mutations of a few records.
func (k *kit) drawMutations(rt *rapid.T) (ms []driver.Mutation) {
	const records = 12
	numbers := rapid.IntRange(0, records-1)
	for _, n := range rapid.SliceOfNDistinct(numbers, 1, 6, rapid.ID).Draw(rt, "ids") {
		mu := driver.Mutation{
			Op:    rapid.SampledFrom([]driver.Op{driver.Put, driver.Create, driver.Update, driver.Delete, driver.Check}).Draw(rt, "op"),
			Rec:   k.rec(n),
			IfRev: rapid.SampledFrom([]int64{0, 0, 0, 0, 1, 2}).Draw(rt, "if revision"),
		}
		if mu.Op == driver.Delete || mu.Op == driver.Check {
			mu.Rec = driver.Record{ID: mu.Rec.ID}
			ms = append(ms, mu)
			continue
		}
		with := rapid.IntRange(0, 99).Draw(rt, "content")
		mu.Rec.Fields, mu.Rec.State = k.rec(with).Fields, k.rec(with).State
		for _, n := range rapid.SliceOfN(numbers, 0, 1).Draw(rt, "references") {
			// A record that fails by itself and also dangles may be reported either way.
			if mu.Op == driver.Put {
				mu.NewRefs = append(mu.NewRefs, k.id(n))
			}
		}
		ms = append(ms, mu)
	}
	return ms
}

// forget removes the references of records whose own Update or Check is to fail: the contract
// does not say whether the reference fails as well.
func (m *model) forget(ms []driver.Mutation) {
	for i := range ms {
		ms[i].NewRefs = slices.DeleteFunc(ms[i].NewRefs, func(ref driver.ID) bool {
			_, there := m.recs[ref]
			return !there && slices.ContainsFunc(ms, func(mu driver.Mutation) bool {
				return mu.Rec.ID == ref && (mu.Op == driver.Update || mu.Op == driver.Check)
			})
		})
	}
}

func testView(t *testing.T, k *kit) {
	st := k.fresh(t)
	writer := st
	if !k.Private {
		writer = k.open(t, st.url)
	}
	for range 3 {
		st.mustApply(t, put(with(k.plain(1), "old")), put(with(k.plain(2), "old")), put(k.plain(3)))
		want := st.all(t)
		go1, written := make(chan struct{}), make(chan error, 1)
		go func() {
			<-go1
			_, err := writer.Apply(bg, []driver.Mutation{
				update(with(k.plain(1), "new"), 0), update(with(k.plain(2), "new"), 0), remove(k.id(3), 0), create(k.plain(4)),
			})
			written <- err
		}()
		done := false
		st.view(t, func(r driver.Reader) error {
			first, err := r.Get(bg, []driver.ID{k.id(1)}, everything)
			if err != nil || len(first) != 1 {
				return fmt.Errorf("%d records read: %w", len(first), err)
			}
			close(go1)
			// The writer may continue or wait for this View: both are correct. It gets time to go
			// wrong.
			select {
			case err := <-written:
				if done = true; err != nil {
					return err
				}
			case <-time.After(50 * time.Millisecond):
			}
			return seesAgain(t, k, r, want)
		})
		if !done {
			if err := <-written; err != nil {
				t.Fatalf("a write beside a View must succeed: %v", err)
			}
		}
		after := st.all(t)
		if _, removed := after[k.id(3)]; removed || len(after) != 3 || string(after[k.id(1)].Data) != "new" || string(after[k.id(2)].Data) != "new" {
			t.Fatalf("a View that begins after an Apply must see all of it, not %v", after)
		}
		st.mustApply(t, remove(k.id(4), 0))
	}
}

// seesAgain checks that a View sees the three records that it saw earlier.
func seesAgain(t *testing.T, k *kit, r driver.Reader, want map[driver.ID]driver.Record) error {
	seen, err := collect(bg, r, &driver.Query{Parts: everything})
	if err != nil {
		return err
	}
	if d := diff(want, byID(seen...)); d != "" {
		t.Errorf("a Scan must see the state that an earlier Get of the same View saw (-want +got):\n%s", d)
	}
	again, err := r.Get(bg, []driver.ID{k.id(1), k.id(2), k.id(3), k.id(4)}, everything)
	if err != nil {
		return err
	}
	for i := range again {
		again[i] = normal(again[i], everything)
	}
	if d := diff(want, byID(again...)); d != "" {
		t.Errorf("a Get must see the state that an earlier Get of the same View saw (-want +got):\n%s", d)
	}
	if n, err := r.Count(bg, &driver.Query{}); err != nil || n != 3 {
		t.Errorf("a Count must see the 3 records that an earlier Get of the same View saw, not %d (%v)", n, err)
	}
	return nil
}
