package drivertest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/url"
)

// store is an open handle on a store.
type store struct {
	driver.Backend
	url    string
	schema driver.Schema
	cols   *driver.Columns
	meta   driver.Meta
}

// fresh opens a new store.
func (k *kit) fresh(t testing.TB, fields ...driver.Column) *store {
	t.Helper()
	return k.open(t, k.URL(t), fields...)
}

// open opens the store of a URL and closes it when t ends.
func (k *kit) open(t testing.TB, rawURL string, fields ...driver.Column) *store {
	t.Helper()
	st, err := k.tryOpen(t, rawURL, driver.OpenOptions{}, k.schema(fields...))
	if err != nil {
		t.Fatalf("opening a store must work, and again with its own schema: %v", err)
	}
	return st
}

// tryOpen is open with options, and may fail. A store that opens is closed when t ends.
func (k *kit) tryOpen(t testing.TB, rawURL string, o driver.OpenOptions, s driver.Schema) (*store, error) {
	t.Helper()
	b, err := openRaw(t.Context(), rawURL, o)
	if err != nil {
		return nil, err
	}
	meta, err := b.Init(t.Context(), s)
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("Close must work: %v", err)
		}
	})
	return &store{Backend: b, url: rawURL, schema: s, cols: driver.NewColumns(s), meta: meta}, nil
}

// openRaw opens the backend of a URL without Init. Options not given have their defaults.
func openRaw(ctx context.Context, rawURL string, o driver.OpenOptions) (driver.Backend, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	opener, ok := driver.Lookup(u.Scheme())
	if !ok {
		return nil, fmt.Errorf("no backend is registered for the scheme %q", u.Scheme())
	}
	if o.Table == "" {
		o.Table = "store"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return opener(ctx, u, o)
}

// mustApply applies mutations that must succeed, and returns their revisions.
func (st *store) mustApply(t failer, ms ...driver.Mutation) []int64 {
	t.Helper()
	revs, err := st.Apply(bg, ms)
	if err != nil {
		t.Fatalf("Apply of %s must succeed: %v", describe(ms), err)
	}
	if len(revs) != len(ms) {
		t.Fatalf("Apply of %d mutations must return that many revisions, not %d", len(ms), len(revs))
	}
	return revs
}

// mustFail applies mutations that must fail with the error want.
func (st *store) mustFail(t failer, want *driver.RecordError, ms ...driver.Mutation) {
	t.Helper()
	_, err := st.Apply(bg, ms)
	st.checkFailure(t, want, err, ms)
}

func (st *store) checkFailure(t failer, want *driver.RecordError, err error, ms []driver.Mutation) {
	t.Helper()
	var got *driver.RecordError
	switch {
	case err == nil:
		t.Fatalf("Apply of %s must fail with: %v", describe(ms), want)
	case !errors.As(err, &got):
		t.Fatalf("Apply of %s must fail with the RecordError %q, not with the %T %q", describe(ms), want, err, err)
	case got.ID != want.ID || got.Ref != want.Ref || !errors.Is(got, want.Err):
		t.Fatalf("Apply of %s must fail with %q, the first failure in the order of the mutations, not with %q", describe(ms), want, got)
	}
}

// describe formats mutations for a message.
func describe(ms []driver.Mutation) string {
	names := []string{"?", "Create", "Update", "Put", "Delete", "Check", "SetFields", "Withdraw", "Restore"}
	var b strings.Builder
	for i, m := range ms {
		if i == 12 {
			fmt.Fprintf(&b, " and %d more", len(ms)-i)
			break
		}
		fmt.Fprintf(&b, "[%s %q", names[min(int(m.Op), len(names)-1)], m.Rec.ID)
		if m.IfRev != 0 {
			fmt.Fprintf(&b, " if %d", m.IfRev)
		}
		if len(m.NewRefs) > 0 {
			fmt.Fprintf(&b, " refers to %q", m.NewRefs)
		}
		b.WriteString("]")
	}
	return b.String()
}

// get reads records in a View of its own, by ID.
func (st *store) get(t failer, parts driver.Parts, ids ...driver.ID) map[driver.ID]driver.Record {
	t.Helper()
	recs := map[driver.ID]driver.Record{}
	st.readOnce(t, func(r driver.Reader) error {
		list, err := r.Get(bg, ids, parts)
		for _, rec := range list {
			if _, dup := recs[rec.ID]; dup {
				t.Errorf("Get must return each record once, not %q again", rec.ID)
			}
			recs[rec.ID] = normal(rec, parts)
		}
		return err
	})
	return recs
}

// one reads a record that must exist, with all its parts.
func (st *store) one(t failer, id driver.ID) driver.Record {
	t.Helper()
	rec, ok := st.get(t, everything, id)[id]
	if !ok {
		t.Fatalf("the record %q must be there", id)
	}
	return rec
}

// all reads all records.
func (st *store) all(t failer) map[driver.ID]driver.Record {
	t.Helper()
	recs := map[driver.ID]driver.Record{}
	for _, rec := range st.scan(t, &driver.Query{Parts: everything}) {
		recs[rec.ID] = rec
	}
	return recs
}

// scan reads the records of a query in a View of its own.
func (st *store) scan(t failer, q *driver.Query) []driver.Record {
	t.Helper()
	var recs []driver.Record
	st.readOnce(t, func(r driver.Reader) error {
		var err error
		recs, err = collect(bg, r, q)
		return err
	})
	return recs
}

// scanned returns the first error of a scan.
func (st *store) scanned(q *driver.Query) error {
	return st.View(bg, func(r driver.Reader) error {
		for _, err := range r.Scan(bg, q) {
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// count counts the records of a query in a View of its own.
func (st *store) count(t failer, q *driver.Query) (n int64) {
	t.Helper()
	st.readOnce(t, func(r driver.Reader) (err error) {
		n, err = r.Count(bg, q)
		return err
	})
	return n
}

// readOnce is view for a function that makes a single read, which some backends do at less
// cost.
func (st *store) readOnce(t failer, fn func(driver.Reader) error) {
	t.Helper()
	if err := driver.ReadOnce(bg, st.Backend, fn); err != nil {
		t.Fatalf("reading must succeed: %v", err)
	}
}

func (st *store) view(t failer, fn func(driver.Reader) error) {
	t.Helper()
	if err := st.View(bg, fn); err != nil {
		t.Fatalf("reading must succeed: %v", err)
	}
}

// collect returns the records of a query.
func collect(ctx context.Context, r driver.Reader, q *driver.Query) (recs []driver.Record, err error) {
	for rec, err := range r.Scan(ctx, q) {
		if err != nil {
			return recs, err
		}
		recs = append(recs, normal(rec, q.Parts))
	}
	return recs, nil
}
