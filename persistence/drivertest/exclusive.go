package drivertest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// testExclusive checks that nobody writes between what ApplyExclusive reads and what it writes.
func testExclusive(t *testing.T, s *suite) {
	s.forBoth(t, "others write before or after", testOthersWait)
	s.forBoth(t, "no reference dangles beside many writers", testNothingDangles)
	s.forBoth(t, "all that was committed is seen", testAllThatWasCommittedIsSeen)
	s.forBoth(t, "its mutations are those of an Apply", testItsMutationsAreThoseOfAnApply)
	s.forBoth(t, "what was written since a mark is not quiet", testQuiet)
	s.forText(t, "namespaces are read and written too", testNamespacesAreReadAndWrittenToo)
}

func testAllThatWasCommittedIsSeen(t *testing.T, k *kit) {
	st := k.fresh(t, fields...)
	writer := st
	if !k.Private {
		writer = k.open(t, st.url, fields...)
	}
	for n := range 3 {
		writer.mustApply(t, create(k.rec(n)))
		want := st.all(t)
		k.exclusive(t, st, func(r driver.Exclusive) ([]driver.Mutation, error) {
			all, err := collect(bg, r, &driver.Query{Parts: everything})
			if d := diff(want, byID(all...)); d != "" {
				t.Errorf("a Scan must see all that was committed before (-want +got):\n%s", d)
			}
			if err != nil {
				return nil, err
			}
			got, err := r.Get(bg, k.ids(0, 5), everything)
			if len(got) != n+1 {
				t.Errorf("Get must see the %d records that were committed before, not %d", n+1, len(got))
			}
			if count, cerr := r.Count(bg, &driver.Query{}); cerr != nil || count != int64(n+1) {
				t.Errorf("Count must see the %d records that were committed before, not %d: %v", n+1, count, cerr)
			}
			return nil, err
		})
	}
}

func testItsMutationsAreThoseOfAnApply(t *testing.T, k *kit) {
	st := k.fresh(t)
	st.mustApply(t, create(k.plain(1)), create(k.plain(2)))
	decide := func(ms ...driver.Mutation) func(driver.Exclusive) ([]driver.Mutation, error) {
		return func(driver.Exclusive) ([]driver.Mutation, error) { return ms, nil }
	}
	k.exclusive(t, st, decide(remove(k.id(1), 1), update(with(k.plain(2), "newer"), 1), create(k.plain(3), k.id(2))))
	before := st.all(t)
	if _, there := before[k.id(1)]; len(before) != 2 || there || string(before[k.id(2)].Data) != "newer" {
		t.Errorf("the mutations that the function returns must be made: %v", before)
	}
	mine := errors.New("mine")
	for _, c := range []struct {
		want driver.RecordError
		ms   []driver.Mutation
	}{
		{driver.RecordError{ID: k.id(2), Err: driver.ErrExists}, []driver.Mutation{create(k.plain(4)), create(k.plain(2))}},
		{driver.RecordError{ID: k.id(2), Err: driver.ErrConflict}, []driver.Mutation{create(k.plain(4)), update(k.plain(2), 7)}},
		{driver.RecordError{ID: k.id(4), Ref: k.id(9), Err: driver.ErrDangling}, []driver.Mutation{create(k.plain(4), k.id(9))}},
		{driver.RecordError{ID: k.id(4), Ref: k.id(2), Err: driver.ErrDangling}, []driver.Mutation{remove(k.id(2), 0), create(k.plain(4), k.id(2))}},
	} {
		_, err := driver.ApplyExclusive(bg, st.Backend, "", decide(c.ms...))
		st.checkFailure(t, &c.want, err, c.ms)
	}
	_, err := driver.ApplyExclusive(bg, st.Backend, "", func(driver.Exclusive) ([]driver.Mutation, error) {
		return []driver.Mutation{create(k.plain(4))}, mine
	})
	if !errors.Is(err, mine) {
		t.Errorf("the error of the function must be returned, not %v", err)
	}
	k.exclusive(t, st, decide())
	if d := diff(before, st.all(t)); d != "" {
		t.Errorf("nothing must be written where something fails (-before +after):\n%s", d)
	}
	st.mustApply(t, create(k.plain(4))) // nobody is kept out any more
}

func testNamespacesAreReadAndWrittenToo(t *testing.T, k *kit) {
	st := k.fresh(t)
	side := k.namespace(t, st, "side")
	st.mustApply(t, create(k.plain(1)))
	side.mustApply(t, create(k.plain(2)))
	k.exclusive(t, st, func(r driver.Exclusive) ([]driver.Mutation, error) {
		in, err := driver.InNamespace(r.Reader, "side")
		if err != nil {
			return nil, err
		}
		recs, err := collect(bg, in, &driver.Query{})
		if len(recs) != 1 || recs[0].ID != k.id(2) {
			t.Errorf("a namespace must be readable, and has %v", recs)
		}
		moved := create(k.plain(1))
		moved.Namespace = "side"
		return []driver.Mutation{remove(k.id(1), 0), moved}, err
	})
	if a, b := st.all(t), side.all(t); len(a) != 0 || len(b) != 2 {
		t.Errorf("one transaction must write to both: %v, %v", a, b)
	}
}

// exclusive calls ApplyExclusive, which must succeed, or skips the test where others cannot be kept
// out.
func (k *kit) exclusive(t *testing.T, st *store, fn func(driver.Exclusive) ([]driver.Mutation, error)) {
	t.Helper()
	k.exclusiveSince(t, st, "", fn)
}

// exclusiveSince is exclusive with a Mark, and returns the next one.
func (k *kit) exclusiveSince(t *testing.T, st *store, since driver.Mark, fn func(driver.Exclusive) ([]driver.Mutation, error)) driver.Mark {
	t.Helper()
	called := false
	mark, err := driver.ApplyExclusive(bg, st.Backend, since, func(x driver.Exclusive) ([]driver.Mutation, error) {
		called = true
		return fn(x)
	})
	if errors.Is(err, errors.ErrUnsupported) {
		if called {
			t.Fatalf("the function must not be called where others cannot be kept out: %v", err)
		}
		t.Skip(err)
	}
	if err != nil {
		t.Fatalf("ApplyExclusive must succeed: %v", err)
	}
	return mark
}

// testQuiet checks that a Backend which says that nothing was written is right.
func testQuiet(t *testing.T, k *kit) {
	st := k.fresh(t, fields...)
	other := st
	if !k.Private {
		other = k.open(t, st.url, fields...)
	}
	st.mustApply(t, create(k.rec(1)), create(k.rec(2)))
	quiet := func(want bool, since driver.Mark, ms ...driver.Mutation) driver.Mark {
		t.Helper()
		return k.exclusiveSince(t, st, since, func(x driver.Exclusive) ([]driver.Mutation, error) {
			if x.Quiet && !want {
				t.Error("an ApplyExclusive must not be told that nothing was written when something was, or without a mark")
			}
			return ms, nil
		})
	}
	mark := quiet(false, "")
	n := 10
	for range 2 {
		for _, by := range []*store{st, other} {
			for _, write := range []func(){
				func() { by.mustApply(t, create(k.rec(n))) },
				func() { by.mustApply(t, update(k.rec(1), 0)) },
				func() { by.mustApply(t, setFields(k.rec(2), 0)) },
				func() { by.mustApply(t, remove(k.id(n), 0)) },
				func() {
					if c, ok := by.Backend.(driver.Claimer); ok {
						if _, err := c.Claim(bg, &driver.Query{}, driver.Claiming{Owner: "me", Lease: time.Microsecond, Limit: 1}); err != nil {
							t.Fatalf("Claim must work: %v", err)
						}
					} else {
						by.mustApply(t, update(k.rec(1), 0))
					}
				},
			} {
				write()
				mark = quiet(false, mark)
				mark = quiet(true, mark) // or not
				mark = quiet(true, mark, update(k.rec(1), 0))
				mark = quiet(true, mark)
			}
			n++
		}
	}
	last := mark
	k.exclusive(t, st, func(driver.Exclusive) ([]driver.Mutation, error) { return []driver.Mutation{update(k.rec(2), 0)}, nil })
	quiet(false, last)
	k.exclusive(t, other, func(driver.Exclusive) ([]driver.Mutation, error) { return []driver.Mutation{update(k.rec(2), 0)}, nil })
	quiet(false, last)
}

func testOthersWait(t *testing.T, k *kit) {
	st := k.fresh(t)
	writer := st
	if !k.Private {
		writer = k.open(t, st.url)
	}
	st.mustApply(t, create(k.plain(1)))
	written := make(chan error, 1)
	var once sync.Once
	k.exclusive(t, st, func(driver.Exclusive) ([]driver.Mutation, error) {
		once.Do(func() {
			go func() {
				_, err := writer.Apply(bg, []driver.Mutation{create(k.plain(2), k.id(1))})
				written <- err
			}()
		})
		select {
		case err := <-written:
			t.Errorf("an Apply of others must wait for the end of ApplyExclusive, and returned %v", err)
			written <- err
		case <-time.After(100 * time.Millisecond):
		}
		return []driver.Mutation{remove(k.id(1), 0)}, nil
	})
	st.checkFailure(t, &driver.RecordError{ID: k.id(2), Ref: k.id(1), Err: driver.ErrDangling}, <-written, nil)
	if n := len(st.all(t)); n != 0 {
		t.Errorf("there must be no record, and there are %d", n)
	}
}

// testNothingDangles has writers create records that refer to targets, while targets to which
// nothing refers are removed. Data is the ID of the target; that of a target is empty.
func testNothingDangles(t *testing.T, k *kit) {
	st := k.fresh(t)
	const writers, targets, each = 4, 200, 50
	var ms []driver.Mutation
	for n := range targets {
		ms = append(ms, create(with(k.plain(n), "")))
	}
	st.mustApply(t, ms...)
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, stop := context.WithCancel(bg)
	defer stop()
	errs := make(chan error, writers)
	for w := range writers {
		writer := st
		if !k.Private && w%2 == 1 {
			writer = k.open(t, st.url)
		}
		refer := func() error {
			for i := range each {
				to := k.id((i*7 + w*11) % targets)
				_, err := writer.Apply(ctx, []driver.Mutation{create(with(k.plain(1000+w*each+i), string(to)), to)})
				if err != nil && !errors.Is(err, driver.ErrDangling) {
					return err
				}
				time.Sleep(time.Millisecond) // so that all of them last about as long as the removals
			}
			return nil
		}
		wg.Go(func() {
			if err := refer(); err != nil {
				errs <- fmt.Errorf("a writer failed: %w", err)
			}
		})
	}
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	removed := 0
	for running := true; running; {
		select {
		case <-done:
			running = false
		case err := <-errs:
			t.Fatal(err)
		default:
		}
		n := 0
		k.exclusive(t, st, func(r driver.Exclusive) (ms []driver.Mutation, err error) {
			recs, err := collect(bg, r, &driver.Query{Parts: driver.Data})
			ms = removals(recs, 8)
			n = len(ms)
			return ms, err
		})
		removed += n
	}
	all := st.all(t)
	for id, rec := range all {
		if to := driver.ID(rec.Data); to != "" && len(all[to].ID) == 0 {
			t.Errorf("%q refers to %q, which was removed although an Apply had found it", id, to)
		}
	}
	if removed == 0 {
		t.Error("nothing was removed beside the writers: the test tests nothing")
	}
}

// removals removes targets to which no record refers, so many at most.
func removals(recs []driver.Record, most int) (ms []driver.Mutation) {
	referred := map[driver.ID]bool{}
	for _, rec := range recs {
		referred[driver.ID(rec.Data)] = true
	}
	for _, rec := range recs {
		if len(rec.Data) == 0 && !referred[rec.ID] && len(ms) < most {
			ms = append(ms, remove(rec.ID, 0))
		}
	}
	return ms
}
