package drivertest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// testListing checks that a Lister finds stores, and makes none.
func testListing(t *testing.T, s *suite) {
	s.forBoth(t, "the stores at a URL are listed without Init", func(t *testing.T, k *kit) {
		k.needsReopening(t)
		rawURL := k.URL(t)
		// Where there is nothing the answer may be an error.
		if before, err := k.listed(t, rawURL); err == nil && len(before) > 0 {
			t.Errorf("where there is no store none must be listed, not %q", before)
		}
		if before, err := k.listed(t, rawURL); err == nil && len(before) > 0 {
			t.Errorf("listing must make nothing, and now there is %q", before)
		}
		st := k.open(t, rawURL)
		one, err := k.listed(t, rawURL)
		if err != nil || len(one) != 1 {
			t.Fatalf("the store must be listed: %q, %v", one, err)
		}
		side := k.namespace(t, st, driver.Pairs)
		side.mustApply(t, create(k.plain(1)))
		if again, err := k.listed(t, rawURL); err != nil || !slices.Equal(again, one) {
			t.Errorf("the namespaces of a store are no stores: %q, %v", again, err)
		}
		for _, table := range []string{"zebra", "aardvark"} {
			if _, err := k.tryOpen(t, rawURL, driver.OpenOptions{Table: table}, k.schema()); err != nil {
				t.Fatalf("opening another table must work: %v", err)
			}
		}
		// Where there are no tables it is the same store.
		all, err := k.listed(t, rawURL)
		if want := []string{"aardvark", one[0], "zebra"}; err != nil || !slices.Equal(all, one) && !slices.Equal(all, want) {
			t.Errorf("listed must be %q, in this order, or %q if there are no tables, not %q, %v", want, one, all, err)
		}
		if err := st.Close(); err != nil {
			t.Errorf("Close must work: %v", err)
		}
		if again, err := k.listed(t, rawURL); err != nil || !slices.Equal(again, all) {
			t.Errorf("stores must be listed whoever has them open: %q, %v", again, err)
		}
	})
}

// listed returns the stores at a URL, as a handle without Init lists them, or skips the test.
func (k *kit) listed(t *testing.T, rawURL string) ([]string, error) {
	t.Helper()
	b, err := openRaw(t.Context(), rawURL, driver.OpenOptions{NoCreate: true, ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Errorf("Close must work: %v", err)
		}
	}()
	l, ok := b.(driver.Lister)
	if !ok {
		t.Skip("the backend is no driver.Lister")
	}
	return l.Stores(t.Context())
}

// testCompacting checks that a Compacter changes no record.
func testCompacting(t *testing.T, s *suite) {
	s.forBoth(t, "no record changes", testNoRecordChanges)
}

func testNoRecordChanges(t *testing.T, k *kit) {
	st := k.fresh(t, fields...)
	c, ok := st.Backend.(driver.Compacter)
	if !ok {
		t.Skip("the backend is no driver.Compacter")
	}
	side := k.namespace(t, st, "side")
	var ms, gone []driver.Mutation
	for n := range 60 {
		ms = append(ms, create(k.rec(n)))
		if n%3 > 0 {
			gone = append(gone, remove(k.id(n), 0))
		}
	}
	st.mustApply(t, ms...)
	st.mustApply(t, update(with(k.rec(0), "newer"), 1))
	side.mustApply(t, create(k.plain(1)), create(k.plain(2)))
	st.mustApply(t, gone...)
	if c, ok := st.Backend.(driver.Claimer); ok {
		if _, err := c.Claim(t.Context(), &driver.Query{}, driver.Claiming{Owner: "me", Lease: time.Hour, Limit: 3}); err != nil {
			t.Fatalf("Claim must work: %v", err)
		}
	}
	number, err := st.NextIDs(t.Context(), 5)
	if err != nil {
		t.Fatalf("NextIDs must work: %v", err)
	}
	before, beside := st.all(t), side.all(t)
	for range 2 {
		if err := c.Compact(t.Context()); err != nil {
			t.Fatalf("Compact must work: %v", err)
		}
		if d := diff(before, st.all(t)); d != "" {
			t.Errorf("Compact must change no record (-before +after):\n%s", d)
		}
		if d := diff(beside, side.all(t)); d != "" {
			t.Errorf("Compact must change no record of a namespace (-before +after):\n%s", d)
		}
	}
	if next, err := st.NextIDs(t.Context(), 1); err != nil || next < number+5 {
		t.Errorf("Compact must leave the counter alone: %d after %d and four more, %v", next, number, err)
	}
	st.mustApply(t, create(k.rec(70)))
	if err := st.Close(); err != nil {
		t.Errorf("Close must work: %v", err)
	}
	if err := c.Compact(t.Context()); !errors.Is(err, driver.ErrClosed) {
		t.Errorf("Compact must be ErrClosed after Close, not %v", err)
	}
}
