package drivertest

import (
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// testImports checks that records of another store are stored as they are there, with columns that
// the Schema lacks.
func testImports(t *testing.T, s *suite) {
	s.forBoth(t, "a record is stored with its revision, times and number", func(t *testing.T, k *kit) {
		st := k.cataloged(t, k.URL(t))
		all := k.withFields(t, st.store, fields...)
		set, err := st.AddColumnSet(t.Context(), driver.SetOf(fields))
		if err != nil {
			t.Fatalf("AddColumnSet must work once there are columns: %v", err)
		}
		want := map[driver.ID]driver.Record{}
		var ms []driver.Mutation
		for n := range 20 {
			r := k.rec(n)
			r.Revision, r.ColumnSet = int64(n)*7+1, int64(n%2)*set
			ms, want[r.ID] = append(ms, imported(r, 0)), r
		}
		revs := all.mustApply(t, ms...)
		if revs[3] != want[ms[3].Rec.ID].Revision {
			t.Errorf("Import must return the revision that the record has, not %d", revs[3])
		}
		if d := diff(want, all.get(t, everything|driver.SetNumber, idsOf(all.scan(t, &driver.Query{}))...)); d != "" {
			t.Errorf("what was imported must be read back as it was (-want +got):\n%s", d)
		}
		if got := st.numbered(t, set); len(got) != 10 {
			t.Errorf("the number that a record was imported with must be found by queries: %q", got)
		}
		if len(st.all(t)) != 20 {
			t.Error("what was imported must be among the objects")
		}
		all.mustFail(t, &driver.RecordError{ID: k.id(1), Err: driver.ErrExists}, imported(k.rec(30), 0), imported(k.rec(1), 0))
	})

	s.forBoth(t, "a record is replaced if it has the revision that was read", func(t *testing.T, k *kit) {
		st := k.cataloged(t, k.URL(t), fields...)
		all := k.withFields(t, st.store, fields[:2]...)
		st.mustApply(t, create(k.rec(1)), create(k.rec(2)))
		r := k.rec(1)
		r.Revision, r.State, r.Data, r.Size = 9, "NEWER", []byte("newer"), 5
		r.Created, r.Modified = r.Created.Add(time.Hour), r.Modified.Add(time.Hour)
		r.Fields = []any{"other", nil}
		for _, m := range []driver.Mutation{imported(r, 8), imported(k.plainWith(3, fields[:2]), 1)} {
			all.mustFail(t, &driver.RecordError{ID: m.Rec.ID, Err: driver.ErrConflict}, m)
		}
		all.mustApply(t, imported(r, 1))
		want := k.rec(1)
		want.Revision, want.State, want.Data, want.Size = 9, r.State, r.Data, r.Size
		want.Created, want.Modified = r.Created, r.Modified
		want.Fields[0], want.Fields[1] = "other", nil
		if d := diff(want, st.one(t, r.ID)); d != "" {
			t.Errorf("Import must replace all of a record but columns that the namespace lacks (-want +got):\n%s", d)
		}
	})

	s.forText(t, "columns are added and recorded, or left alone", func(t *testing.T, k *kit) {
		st := k.cataloged(t, k.URL(t))
		st.mustApply(t, create(k.plain(1)))
		before := st.catalog(t)
		seen := k.fieldAdder(t, st.store, false, common)
		if rec := seen.one(t, k.id(1)); len(rec.Fields) != 1 || rec.Fields[0] != nil {
			t.Errorf("a column that is not there must be read as NULL, not %v", rec.Fields)
		}
		if d := diff(before, st.catalog(t)); d != "" {
			t.Errorf("without create nothing must be recorded (-before +after):\n%s", d)
		}
		k.withFields(t, st.store, common)
		want := &driver.Catalog{Columns: []driver.Column{common}, Unknown: true}
		if d := diff(want, st.catalog(t)); d != "" {
			t.Errorf("the column must be recorded, and no set of it (-want +got):\n%s", d)
		}
		other := common
		other.Kind = driver.Bool
		if _, err := driver.ObjectsWith(t.Context(), st.Backend, []driver.Column{onlyOne, other}, true); err == nil {
			t.Error("a column of another kind than the recorded one must be refused")
		}
		if d := diff(want, st.catalog(t)); d != "" {
			t.Errorf("what is refused must change nothing (-want +got):\n%s", d)
		}
		st.mustApply(t, create(k.plain(2)))
	})
}

// imported returns the mutation that stores a record as it is.
func imported(r driver.Record, ifRev int64) driver.Mutation {
	return driver.Mutation{Op: driver.Import, Rec: r, IfRev: ifRev}
}

// plainWith returns a record whose columns are NULL.
func (k *kit) plainWith(n int, fields []driver.Column) driver.Record {
	r := k.rec(n)
	r.Fields = make([]any, len(fields))
	return r
}

// withFields returns the objects of a store with other columns, which are added.
func (k *kit) withFields(t *testing.T, st *store, fields ...driver.Column) *store {
	t.Helper()
	return k.fieldAdder(t, st, true, fields...)
}

// fieldAdder returns the objects of a store with other columns, or skips the test.
func (k *kit) fieldAdder(t *testing.T, st *store, create bool, fields ...driver.Column) *store {
	t.Helper()
	b, ok := st.Backend.(driver.FieldAdder)
	if !ok {
		t.Skip("the backend is no driver.FieldAdder")
	}
	ns, err := b.ObjectsWith(t.Context(), fields, create)
	if err != nil {
		t.Fatalf("ObjectsWith must work: %v", err)
	}
	s := k.schema(fields...)
	return &store{Backend: inNamespace{st.Backend, ns}, url: st.url, schema: s, cols: driver.NewColumns(s), meta: st.meta}
}
