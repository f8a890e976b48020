package drivertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/url"
	"github.com/google/go-cmp/cmp"
)

const everything = driver.Info | driver.Fields | driver.Data

// bg is the context for cleanup functions, which run after the test's own context has ended.
var bg = context.Background()

// baseTime is the time at which the records of the tests were created.
var baseTime = time.Date(2026, 2, 3, 4, 5, 6, 789_012_000, time.UTC)

// fields has a column of every kind, two of them with names that are SQL keywords.
var fields = []driver.Column{
	{Name: "name", Kind: driver.Text, Indexed: true},
	{Name: "select", Kind: driver.Text},
	{Name: "order", Kind: driver.Int, Indexed: true},
	{Name: "ratio", Kind: driver.Float},
	{Name: "done", Kind: driver.Bool},
	{Name: "raw", Kind: driver.Bytes},
	{Name: "due_at", Kind: driver.Time, Indexed: true},
}

// kit has the fixtures of a test: a kind of IDs, and functions to make records and stores with
// such IDs.
type kit struct {
	*suite
	integer bool
}

func (k *kit) kind() string {
	if k.integer {
		return "integer"
	}
	return "text"
}

// id returns the ID with a number. IDs are ordered like their numbers, up to 99,999.
func (k *kit) id(n int) driver.ID {
	if k.integer {
		return driver.ID(fmt.Sprint(n))
	}
	return driver.ID(fmt.Sprintf("Task.%05d", n))
}

func (k *kit) ids(from, to int) []driver.ID {
	ids := make([]driver.ID, 0, to-from)
	for n := from; n < to; n++ {
		ids = append(ids, k.id(n))
	}
	return ids
}

// schema returns a schema with the kit's kind of IDs.
func (k *kit) schema(fields ...driver.Column) driver.Schema {
	return driver.Schema{IntegerIDs: k.integer, Fields: fields}
}

// rec returns the record with a number, with a value in every one of fields.
func (k *kit) rec(n int) driver.Record {
	data := fmt.Appendf(nil, "data of %d", n)
	return driver.Record{
		ID:       k.id(n),
		Type:     "engine.Task",
		State:    []string{"NEW", "RUNNING", "DONE"}[n%3],
		Size:     int64(len(data)),
		Created:  baseTime.Add(time.Duration(n) * time.Microsecond),
		Modified: baseTime.Add(time.Duration(n) * time.Second),
		Data:     data,
		Fields: []any{
			fmt.Sprintf("name %d", n), fmt.Sprintf("größe 'of' \"%d\"", n), int64(n), float64(n) / 4,
			n%2 == 0, []byte{byte(n), 0, 0xff}, baseTime.Add(time.Duration(n) * time.Hour),
		},
	}
}

// plain returns a small record for a schema without fields.
func (k *kit) plain(n int) driver.Record {
	r := k.rec(n)
	r.Fields = nil
	return r
}

// with returns r with the given data.
func with(r driver.Record, data string) driver.Record {
	r.Data, r.Size = []byte(data), int64(len(data))
	return r
}

func create(r driver.Record, refs ...driver.ID) driver.Mutation {
	return driver.Mutation{Op: driver.Create, Rec: r, NewRefs: refs}
}

func update(r driver.Record, ifRev int64) driver.Mutation {
	return driver.Mutation{Op: driver.Update, Rec: r, IfRev: ifRev}
}

func put(r driver.Record) driver.Mutation {
	return driver.Mutation{Op: driver.Put, Rec: r}
}

func remove(id driver.ID, ifRev int64) driver.Mutation {
	return driver.Mutation{Op: driver.Delete, Rec: driver.Record{ID: id}, IfRev: ifRev}
}

func setFields(r driver.Record, ifRev int64) driver.Mutation {
	return driver.Mutation{Op: driver.SetFields, Rec: driver.Record{ID: r.ID, Fields: r.Fields}, IfRev: ifRev}
}

func check(id driver.ID, ifRev int64) driver.Mutation {
	return driver.Mutation{Op: driver.Check, Rec: driver.Record{ID: id}, IfRev: ifRev}
}

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

// failer is a testing.TB or a *rapid.T.
type failer interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
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

// normal removes what a backend may choose: parts that were not asked for, and whether empty
// data is nil.
func normal(rec driver.Record, parts driver.Parts) driver.Record {
	switch {
	case parts&driver.Info != 0:
	case parts&driver.Version != 0:
		rec = driver.Record{ID: rec.ID, Data: rec.Data, Fields: rec.Fields, State: rec.State, Revision: rec.Revision}
	default:
		rec = driver.Record{ID: rec.ID, Data: rec.Data, Fields: rec.Fields}
	}
	if parts&driver.Fields == 0 || len(rec.Fields) == 0 {
		rec.Fields = nil
	}
	if parts&driver.Data != 0 && rec.Data == nil {
		rec.Data = []byte{}
	}
	return rec
}

func idsOf(recs []driver.Record) []driver.ID {
	ids := make([]driver.ID, len(recs))
	for i := range recs {
		ids[i] = recs[i].ID
	}
	return ids
}

// byID returns a map of records.
func byID(recs ...driver.Record) map[driver.ID]driver.Record {
	m := make(map[driver.ID]driver.Record, len(recs))
	for _, r := range recs {
		m[r.ID] = r
	}
	return m
}

// diff describes the difference between want and got, or returns "" if there is none. Times are
// equal only if both are UTC; nil and empty bytes differ.
func diff(want, got any) string {
	d := cmp.Diff(want, got,
		cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) && a.Location() == b.Location() }),
		cmp.Comparer(func(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }))
	if len(d) > 4000 {
		d = d[:4000] + "\n..."
	}
	return d
}

// diffIDs is diff for the IDs of records alone.
func diffIDs(want, got []driver.Record) string {
	w, g := idsOf(want), idsOf(got)
	if slices.Equal(w, g) {
		return ""
	}
	return diff(w, g)
}

// clone returns a deep copy of mutations.
func clone(ms []driver.Mutation) []driver.Mutation {
	out := slices.Clone(ms)
	for i := range out {
		m := &out[i]
		m.NewRefs = slices.Clone(m.NewRefs)
		m.Rec.Data = bytes.Clone(m.Rec.Data)
		m.Rec.Fields = slices.Clone(m.Rec.Fields)
		for j, v := range m.Rec.Fields {
			if b, ok := v.([]byte); ok {
				m.Rec.Fields[j] = bytes.Clone(b)
			}
		}
	}
	return out
}
