package drivertest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// testReadOnly checks that a store opened with OpenOptions.ReadOnly reads what there is, refuses
// every write and changes nothing.
func testReadOnly(t *testing.T, s *suite) {
	if s.Private {
		s.forText(t, "a new store is empty and refuses writes", func(t *testing.T, k *kit) {
			st, err := k.tryOpen(t, k.URL(t), driver.OpenOptions{ReadOnly: true}, k.schema())
			if err != nil {
				return // there is nothing, and nothing may be created
			}
			if n := len(st.all(t)); n != 0 {
				t.Errorf("a new store must be empty, and has %d records", n)
			}
			if _, err := st.Apply(t.Context(), []driver.Mutation{create(k.plain(1))}); !errors.Is(err, driver.ErrReadOnly) {
				t.Errorf("Apply must be ErrReadOnly, not %v", err)
			}
		})
		return
	}
	s.forBoth(t, "all that there is can be read", testReadOnlyReads)
	s.forBoth(t, "every write is refused and changes nothing", testReadOnlyWrites)
	s.forBoth(t, "nothing is created", testReadOnlyCreates)
	s.forBoth(t, "what others write is seen", testReadOnlySees)
	s.forBoth(t, "Init too can say that nothing is to be written", testReadOnlyInit)
}

// readOnly fills a store, and opens it for reading only.
func (k *kit) readOnly(t *testing.T) (rw, ro *store) {
	t.Helper()
	rw = k.fresh(t, fields...)
	rw.mustApply(t, create(k.rec(1)), create(k.rec(2)), create(k.rec(3)))
	rw.mustApply(t, update(with(k.rec(1), "second"), 1))
	if c, ok := rw.Backend.(driver.Claimer); ok {
		for _, lease := range []time.Duration{time.Microsecond, time.Hour} {
			q := &driver.Query{Where: []driver.Cond{{Column: driver.ColID, Op: driver.Ge, Values: []any{k.id(2)}}}}
			if _, err := c.Claim(t.Context(), q, driver.Claiming{Owner: "me", Lease: lease, Limit: 1}); err != nil {
				t.Fatalf("Claim must work: %v", err)
			}
		}
	}
	ro, err := k.tryOpen(t, rw.url, driver.OpenOptions{ReadOnly: true}, rw.schema)
	if err != nil {
		t.Fatalf("a store must open for reading only: %v", err)
	}
	return rw, ro
}

func testReadOnlyReads(t *testing.T, k *kit) {
	rw, ro := k.readOnly(t)
	if ro.meta.Identity != rw.meta.Identity || ro.meta.TextIDs != rw.meta.TextIDs || len(ro.meta.Missing) > 0 {
		t.Errorf("Init must say of a store what it says to one who may write, not %+v instead of %+v", ro.meta, rw.meta)
	}
	if d := diff(rw.all(t), ro.all(t)); d != "" {
		t.Errorf("a Scan must give every record (-writable +read-only):\n%s", d)
	}
	if d := diff(rw.get(t, everything, k.ids(1, 5)...), ro.get(t, everything, k.ids(1, 5)...)); d != "" {
		t.Errorf("Get must give every record (-writable +read-only):\n%s", d)
	}
	q := &driver.Query{Where: []driver.Cond{{Column: "order", Op: driver.Ge, Values: []any{int64(2)}}}, Order: []driver.Order{{Column: "name", Desc: true}}}
	if d := diffIDs(rw.scan(t, q), ro.scan(t, q)); d != "" {
		t.Errorf("a query must find the same records (-writable +read-only):\n%s", d)
	}
	if n := ro.count(t, q); n != 2 {
		t.Errorf("Count must count the records that match, not %d", n)
	}
	if c, ok := ro.Backend.(driver.Cataloger); ok {
		want, err := rw.Backend.(driver.Cataloger).Catalog(t.Context())
		if err != nil {
			t.Fatalf("Catalog must work: %v", err)
		}
		got, err := c.Catalog(t.Context())
		if d := diff(want, got); err != nil || d != "" {
			t.Errorf("Catalog must give what is recorded (-writable +read-only): %v\n%s", err, d)
		}
	}
	if _, ok := ro.Backend.(driver.Salvager); ok {
		a, b := k.stored(t, rw.Backend.(driver.Salvager), k.id(1)), k.stored(t, ro.Backend.(driver.Salvager), k.id(1))
		if d := diff(a, b); d != "" || len(b) != 1 {
			t.Errorf("Stored must give the stored form (-writable +read-only):\n%s", d)
		}
	}
	if _, ok := ro.Backend.(driver.Namespacer); ok {
		side := k.namespace(t, rw, "side")
		side.mustApply(t, create(k.plain(7)))
		if d := diff(side.all(t), k.namespace(t, ro, "side").all(t)); d != "" {
			t.Errorf("a namespace must be readable (-writable +read-only):\n%s", d)
		}
	}
}

// writesOf returns every call of a backend that writes.
func (k *kit) writesOf(t *testing.T, st *store) map[string]func() error {
	ctx := t.Context()
	apply := func(ms ...driver.Mutation) func() error {
		return func() error {
			_, err := st.Apply(ctx, ms)
			return err
		}
	}
	release := check(k.id(2), 0)
	release.Release = true
	form := driver.Stored{ID: k.id(1)}
	if v, ok := st.Backend.(driver.Salvager); ok {
		form = k.stored(t, v, k.id(1))[k.id(1)]
	}
	writes := map[string]func() error{
		"Create":             apply(create(k.rec(9))),
		"Create of an ID":    apply(create(k.rec(1))),
		"Update":             apply(update(k.rec(1), 0)),
		"Update if":          apply(update(k.rec(1), 77)),
		"Put":                apply(put(k.rec(9))),
		"Delete":             apply(remove(k.id(1), 0)),
		"Delete of nothing":  apply(remove(k.id(9), 0)),
		"Check":              apply(check(k.id(1), 0)),
		"Check with Release": apply(release),
		"SetFields":          apply(setFields(k.rec(1), 0)),
		"Withdraw":           apply(withdraw(form)),
		"Restore":            apply(restore(form)),
		"several mutations":  apply(create(k.rec(9)), remove(k.id(1), 0), update(k.rec(3), 0)),
		"no mutation":        apply(),
		"NextIDs": func() error {
			_, err := st.NextIDs(ctx, 3)
			return err
		},
	}
	if e, ok := st.Backend.(driver.ExclusiveApplier); ok {
		writes["ApplyExclusive"] = func() error {
			_, err := e.ApplyExclusive(ctx, "", func(driver.Exclusive) ([]driver.Mutation, error) { return []driver.Mutation{create(k.rec(9))}, nil })
			return err
		}
	}
	if c, ok := st.Backend.(driver.Compacter); ok {
		writes["Compact"] = func() error { return c.Compact(ctx) }
	}
	if x, ok := st.Backend.(driver.Indexer); ok {
		writes["DropIndex"] = func() error { return x.DropIndex(ctx, byName) }
	}
	if c, ok := st.Backend.(driver.Claimer); ok {
		writes["Claim"] = func() error {
			_, err := c.Claim(ctx, &driver.Query{}, driver.Claiming{Owner: "me", Lease: time.Hour, Limit: 1})
			return err
		}
		writes["Claim of nothing"] = func() error {
			q := &driver.Query{Where: []driver.Cond{{Column: driver.ColState, Op: driver.Eq, Values: []any{"no such"}}}}
			_, err := c.Claim(ctx, q, driver.Claiming{Owner: "me", Lease: time.Hour, Limit: 1})
			return err
		}
		token := st.one(t, k.id(2)).Claim.Token
		writes["Extend"] = func() error {
			_, err := c.Extend(ctx, k.id(2), token, 2*time.Hour)
			return err
		}
		writes["ReleaseExpired"] = func() error {
			_, err := c.ReleaseExpired(ctx)
			return err
		}
	}
	if c, ok := st.Backend.(driver.Cataloger); ok {
		writes["AddColumnSet"] = func() error {
			_, err := c.AddColumnSet(ctx, driver.ColumnSet{"name": nil})
			return err
		}
		writes["DropColumn"] = func() error { return c.DropColumn(ctx, "name") }
		writes["DropColumn of none"] = func() error { return c.DropColumn(ctx, "no_such") }
	}
	return writes
}

func testReadOnlyWrites(t *testing.T, k *kit) {
	rw, ro := k.readOnly(t)
	before := rw.all(t)
	number, err := rw.NextIDs(t.Context(), 1)
	if err != nil {
		t.Fatalf("NextIDs must work: %v", err)
	}
	for range 2 {
		for name, write := range k.writesOf(t, ro) {
			if err := write(); !errors.Is(err, driver.ErrReadOnly) {
				t.Errorf("%s must be ErrReadOnly in a store opened for reading only, not %v", name, err)
			}
		}
		if s, ok := ro.Backend.(driver.Suspender); ok {
			if err := errors.Join(s.Suspend(), s.Resume()); err != nil {
				t.Fatalf("Suspend and Resume must work: %v", err)
			}
		}
	}
	if d := diff(before, rw.all(t)); d != "" {
		t.Errorf("writes that are refused must change nothing (-before +after):\n%s", d)
	}
	if next, err := rw.NextIDs(t.Context(), 1); err != nil || next != number+1 {
		t.Errorf("a number that is refused must not be taken: %d after %d, %v", next, number, err)
	}
	if c, ok := rw.Backend.(driver.Cataloger); ok {
		if now, err := c.Catalog(t.Context()); err != nil || diff(rw.meta.Catalog, now) != "" {
			t.Errorf("the catalog must be as it was: %v\n%s", err, diff(rw.meta.Catalog, now))
		}
	}
	if err := ro.Close(); err != nil {
		t.Errorf("Close must work: %v", err)
	}
	if _, err := ro.Apply(t.Context(), []driver.Mutation{create(k.rec(9))}); !errors.Is(err, driver.ErrClosed) {
		t.Errorf("Apply must be ErrClosed after Close, not %v", err)
	}
}

func testReadOnlyCreates(t *testing.T, k *kit) {
	url := k.URL(t)
	if _, err := k.tryOpen(t, url, driver.OpenOptions{ReadOnly: true}, k.schema()); err == nil {
		t.Errorf("a store that does not exist must not open for reading only")
	}
	if _, err := k.tryOpen(t, url, driver.OpenOptions{ReadOnly: true}, k.schema()); err == nil {
		t.Errorf("it was created")
	}
	rw := k.fresh(t, common)
	wide := k.schema(onlyOne, common)
	ro, err := k.tryOpen(t, rw.url, driver.OpenOptions{ReadOnly: true}, wide)
	if err != nil {
		t.Fatalf("a store must open for reading only with a field that it lacks: %v", err)
	}
	if !slices.Equal(ro.meta.Missing, []string{onlyOne.Name}) {
		t.Errorf("Missing must name the field that the store lacks, not %q", ro.meta.Missing)
	}
	if _, ok := ro.Backend.(driver.Namespacer); ok {
		for range 2 {
			if err := driver.InitNamespace(t.Context(), ro.Backend, "never", driver.Schema{}); !errors.Is(err, driver.ErrNotFound) {
				t.Errorf("a namespace that was never made must be ErrNotFound, not %v", err)
			}
		}
	}
	if c, ok := rw.Backend.(driver.Cataloger); ok {
		if now, err := c.Catalog(t.Context()); err != nil || diff(rw.meta.Catalog, now) != "" || ro.meta.Catalog.Column(onlyOne.Name) != nil {
			t.Errorf("the catalog must be as it was: %v\n%s", err, diff(rw.meta.Catalog, now))
		}
	}
	// Another kind of the column is a mistake here too.
	other := common
	other.Kind = driver.Int
	if _, ok := rw.Backend.(driver.Cataloger); ok {
		if _, err := k.tryOpen(t, rw.url, driver.OpenOptions{ReadOnly: true}, k.schema(other)); err == nil {
			t.Errorf("a field of another kind than the column must be an error")
		}
	}
}

func testReadOnlySees(t *testing.T, k *kit) {
	rw, ro := k.readOnly(t)
	for n := 10; n < 15; n++ {
		rw.mustApply(t, create(k.rec(n)), update(with(k.rec(3), string(rune('a'+n))), 0))
		if d := diff(rw.all(t), ro.all(t)); d != "" {
			t.Fatalf("what another handle has written must be seen (-writable +read-only):\n%s", d)
		}
	}
}

func testReadOnlyInit(t *testing.T, k *kit) {
	rw := k.fresh(t, common)
	rw.mustApply(t, create(with(driver.Record{ID: k.id(1), Type: "engine.Task", Created: baseTime, Modified: baseTime, Fields: []any{"a"}}, "one")))
	before := rw.all(t)
	s := k.schema(onlyOne, common)
	s.ReadOnly = true
	ro, err := k.tryOpen(t, rw.url, driver.OpenOptions{}, s)
	if err != nil {
		t.Fatalf("Init with Schema.ReadOnly must work: %v", err)
	}
	if !slices.Equal(ro.meta.Missing, []string{onlyOne.Name}) {
		t.Errorf("Missing must name the field that the store lacks, not %q", ro.meta.Missing)
	}
	if n := ro.count(t, &driver.Query{}); n != 1 {
		t.Errorf("the record must be there, and there are %d", n)
	}
	if _, err := ro.Apply(t.Context(), []driver.Mutation{remove(k.id(1), 0)}); !errors.Is(err, driver.ErrReadOnly) {
		t.Errorf("Apply must be ErrReadOnly, not %v", err)
	}
	if _, ok := ro.Backend.(driver.Namespacer); ok {
		if err := driver.InitNamespace(t.Context(), ro.Backend, "never", driver.Schema{}); !errors.Is(err, driver.ErrNotFound) {
			t.Errorf("a namespace that was never made must be ErrNotFound, not %v", err)
		}
	}
	if d := diff(before, rw.all(t)); d != "" {
		t.Errorf("nothing must have changed (-before +after):\n%s", d)
	}
	url := k.URL(t)
	for range 2 {
		s := k.schema()
		s.ReadOnly = true
		if _, err := k.tryOpen(t, url, driver.OpenOptions{}, s); err == nil {
			t.Errorf("a store that does not exist must not be made")
		}
	}
}
