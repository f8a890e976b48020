package drivertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// testConcurrency checks that goroutines and handles can use one store at once.
func testConcurrency(t *testing.T, s *suite) {
	s.forBoth(t, "compare and set loses no update", testCounter)
	s.forBoth(t, "concurrent readers see whole batches", testTransfers)
	s.forBoth(t, "writers of the same records do not deadlock", testOverlap)
	s.forText(t, "one of many creates of the same record succeeds", testRace)
	s.forText(t, "a context that has ended stops every call", testEndedContext)
	s.forText(t, "a context that ends in mid-call leaves all or nothing", testEndingContext)
}

// handles returns four handles on one store, or the same one four times if the store is
// private.
func (k *kit) handles(t *testing.T, st *store) []*store {
	t.Helper()
	all := []*store{st}
	for len(all) < 4 {
		if k.Private {
			all = append(all, st)
		} else {
			all = append(all, k.open(t, st.url, st.schema.Fields...))
		}
	}
	return all
}

func testCounter(t *testing.T, k *kit) {
	st := k.fresh(t)
	st.mustApply(t, create(with(k.plain(1), "0")))
	const each = 15
	hs := k.handles(t, st)
	parallel(t, len(hs), func(g int) error {
		for range each {
			for {
				rec, err := hs[g].read(k.id(1))
				if err != nil {
					return err
				}
				n, err := strconv.Atoi(string(rec.Data))
				if err != nil {
					return err
				}
				_, err = hs[g].Apply(bg, []driver.Mutation{update(with(rec, strconv.Itoa(n+1)), rec.Revision)})
				if err == nil {
					break
				}
				if !errors.Is(err, driver.ErrConflict) {
					return fmt.Errorf("an Update with an old revision must be ErrConflict and nothing else: %w", err)
				}
			}
		}
		return nil
	})
	want := len(hs) * each
	if rec := st.one(t, k.id(1)); string(rec.Data) != strconv.Itoa(want) || rec.Revision != int64(want)+1 {
		t.Errorf("%d increments with IfRev must count to that and leave the revision %d: counted %s, revision %d: an update was lost", want, want+1, rec.Data, rec.Revision)
	}
}

// read reads one record with all its parts.
func (st *store) read(id driver.ID) (rec driver.Record, err error) {
	err = st.View(bg, func(r driver.Reader) error {
		recs, err := r.Get(bg, []driver.ID{id}, everything)
		if err != nil {
			return err
		}
		if len(recs) != 1 {
			return fmt.Errorf("the record %q must be there", id)
		}
		rec = recs[0]
		return nil
	})
	return rec, err
}

// testTransfers moves units between accounts: their sum is the same at every moment.
func testTransfers(t *testing.T, k *kit) {
	st := k.fresh(t, driver.Column{Name: "balance", Kind: driver.Int})
	const accounts, start = 8, 100
	account := func(n int, balance int64) driver.Record {
		r := k.plain(n)
		r.Fields = []any{balance}
		return r
	}
	for n := range accounts {
		st.mustApply(t, create(account(n, start)))
	}
	hs := k.handles(t, st)
	var writing atomic.Int64
	writing.Store(2)
	parallel(t, len(hs), func(g int) error {
		rnd := rand.New(rand.NewPCG(uint64(g), 1))
		if g < 2 {
			defer writing.Add(-1)
			for range 25 {
				from, to := rnd.IntN(accounts), rnd.IntN(accounts-1)
				if to >= from {
					to++
				}
				if err := transfer(hs[g], k, account, from, to); err != nil {
					return err
				}
			}
			return nil
		}
		for round := 0; writing.Load() > 0 || round < 3; round++ {
			err := hs[g].View(bg, func(r driver.Reader) error { return checkBalances(r, k.ids(0, accounts), accounts*start) })
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// checkBalances returns an error if the balances of all accounts, scanned or got by their IDs, are
// not the sum.
func checkBalances(r driver.Reader, ids []driver.ID, want int64) error {
	byScan, err := collect(bg, r, &driver.Query{Parts: driver.Fields})
	if err != nil {
		return err
	}
	byGet, err := r.Get(bg, ids, driver.Fields)
	if err != nil {
		return err
	}
	for _, recs := range [][]driver.Record{byScan, byGet} {
		sum := int64(0)
		for _, rec := range recs {
			sum += rec.Fields[0].(int64)
		}
		if sum != want {
			return fmt.Errorf("a View must see all of an Apply or nothing: the balances are %d in all, not %d", sum, want)
		}
	}
	return nil
}

// transfer moves one unit, and starts again if another writer came first.
func transfer(st *store, k *kit, account func(int, int64) driver.Record, from, to int) error {
	for {
		var a, b driver.Record
		err := st.View(bg, func(r driver.Reader) error {
			recs, err := r.Get(bg, []driver.ID{k.id(from), k.id(to)}, driver.Info|driver.Fields)
			if err != nil {
				return err
			}
			byID := byID(recs...)
			a, b = byID[k.id(from)], byID[k.id(to)]
			if len(byID) != 2 {
				return fmt.Errorf("two accounts must be there, not %d", len(byID))
			}
			return nil
		})
		if err != nil {
			return err
		}
		_, err = st.Apply(bg, []driver.Mutation{
			update(account(from, a.Fields[0].(int64)-1), a.Revision), update(account(to, b.Fields[0].(int64)+1), b.Revision),
		})
		if !errors.Is(err, driver.ErrConflict) {
			return err
		}
	}
}

func testOverlap(t *testing.T, k *kit) {
	st := k.fresh(t)
	const records, rounds = 20, 10
	hs := k.handles(t, st)
	parallel(t, len(hs), func(g int) error {
		rnd := rand.New(rand.NewPCG(uint64(g), 2))
		for range rounds {
			var ms []driver.Mutation
			for _, n := range rnd.Perm(records) {
				ms = append(ms, put(k.plain(n)))
			}
			if _, err := hs[g].Apply(bg, ms); err != nil {
				return fmt.Errorf("an Apply without conditions must succeed beside others of the same records: %w", err)
			}
		}
		return nil
	})
	for id, rec := range st.all(t) {
		if want := int64(len(hs) * rounds); rec.Revision != want {
			t.Errorf("%d writes must leave the record %q at that revision, not %d", want, id, rec.Revision)
		}
	}
}

func testRace(t *testing.T, k *kit) {
	st := k.fresh(t)
	hs := k.handles(t, st)
	for n := range 10 {
		var won atomic.Int64
		parallel(t, len(hs), func(g int) error {
			_, err := hs[g].Apply(bg, []driver.Mutation{create(k.plain(n)), create(k.plain(100 + 4*n + g))})
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, driver.ErrExists) {
				return fmt.Errorf("a Create that another came before must be ErrExists: %w", err)
			}
			return nil
		})
		if won.Load() != 1 || len(st.all(t)) != 2*(n+1) {
			t.Fatalf("one of %d creates of a record must succeed, and leave its batch alone, not %d of them with %d records", len(hs), won.Load(), len(st.all(t))-2*n)
		}
	}
}

func testEndedContext(t *testing.T, k *kit) {
	st := k.fresh(t)
	for n := range 50 {
		st.mustApply(t, create(k.plain(n)))
	}
	before := st.all(t)
	ended, end := context.WithCancel(t.Context())
	end()
	for name, call := range map[string]func() error{
		"Init":    func() error { _, err := st.Init(ended, st.schema); return err },
		"NextIDs": func() error { _, err := st.NextIDs(ended, 1); return err },
		"View": func() error {
			return st.View(ended, func(r driver.Reader) error {
				_, err := r.Get(ended, k.ids(0, 9), everything)
				return err
			})
		},
		"Apply": func() error {
			_, err := st.Apply(ended, []driver.Mutation{update(k.plain(1), 0), create(k.plain(99))})
			return err
		},
		"Get": func() error {
			return st.View(bg, func(r driver.Reader) error { _, err := r.Get(ended, k.ids(0, 9), everything); return err })
		},
		"Count": func() error {
			return st.View(bg, func(r driver.Reader) error { _, err := r.Count(ended, &driver.Query{}); return err })
		},
		"Scan": func() error {
			return st.View(bg, func(r driver.Reader) error { _, err := collect(ended, r, &driver.Query{}); return err })
		},
		"ordered Scan": func() error {
			return st.View(bg, func(r driver.Reader) error {
				_, err := collect(ended, r, &driver.Query{Order: []driver.Order{{Column: driver.ColState}}})
				return err
			})
		},
	} {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s must return the error of a context that has ended, not %v", name, err)
		}
	}
	if d := diff(before, st.all(t)); d != "" {
		t.Errorf("an Apply whose context had ended must change nothing (-before +after):\n%s", d)
	}
	st.mustApply(t, create(k.plain(99))) // nothing blocks the next call

	// A context may end while a Scan runs.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var after, failures int
	st.view(t, func(r driver.Reader) error {
		for _, err := range r.Scan(ctx, &driver.Query{}) {
			switch {
			case err == nil && failures == 0:
				after++
			case failures > 0 || !errors.Is(err, context.Canceled):
				return fmt.Errorf("the error of the context must be the last thing that a Scan yields, not %w", err)
			default:
				failures++
			}
			cancel()
		}
		return nil
	})
	if failures == 0 && after != 51 {
		t.Errorf("a Scan that ends early must yield the error of its context after the %d records", after)
	}
}

func testEndingContext(t *testing.T, k *kit) {
	st := k.fresh(t)
	const size = 300
	rnd := rand.New(rand.NewPCG(3, 4))
	for round := range 15 {
		ctx, cancel := context.WithCancel(t.Context())
		var ms []driver.Mutation
		for _, n := range rnd.Perm(size) {
			ms = append(ms, put(with(k.plain(n), strconv.Itoa(round))))
		}
		result := make(chan error)
		go func() {
			_, err := st.Apply(ctx, ms)
			result <- err
		}()
		time.Sleep(time.Duration(rnd.IntN(4000)) * time.Microsecond)
		cancel()
		err := <-result
		wrote := 0
		recs := st.all(t)
		for _, rec := range recs {
			if string(rec.Data) == strconv.Itoa(round) {
				wrote++
			}
		}
		switch {
		case wrote != 0 && wrote != size:
			t.Fatalf("an Apply whose context ends must write all of %d records or none, not %d (%v)", size, wrote, err)
		case err == nil && wrote == 0:
			t.Fatalf("an Apply that succeeds must have written")
		case err != nil && wrote != 0 && !errors.Is(err, driver.ErrUncertain):
			t.Fatalf("an Apply that fails with anything but ErrUncertain must have written nothing: %v", err)
		case err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, driver.ErrUncertain):
			t.Fatalf("an Apply whose context ends must return its error, not %v", err)
		}
	}
}
