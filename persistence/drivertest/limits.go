package drivertest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/brine-go/brine/persistence/driver"
)

// testLimits checks sizes and numbers up to the limits of the contract.
func testLimits(t *testing.T, s *suite) {
	numbers, texts := 10_000, 2400
	if testing.Short() {
		numbers, texts = 1200, 600
	}
	s.forInteger(t, "a batch of ten thousand", func(t *testing.T, k *kit) { testBigBatch(t, k, numbers) })
	s.forText(t, "a batch of thousands with text IDs", func(t *testing.T, k *kit) { testBigBatch(t, k, texts) })
	s.forText(t, "texts of full length", testLongTexts)
	s.forText(t, "a hundred columns", testManyColumns)
	s.forText(t, "data of 8 MiB", func(t *testing.T, k *kit) {
		st := k.fresh(t)
		data := bytes.Repeat([]byte("0123456789abcde\n"), 8<<20/16)
		st.mustApply(t, create(with(k.plain(1), string(data))), create(k.plain(2)))
		if got := st.one(t, k.id(1)); !bytes.Equal(got.Data, data) || got.Size != 8<<20 {
			t.Errorf("8 MiB of data must come back byte by byte")
		}
	})
}

// testBigBatch performs every operation with n records at once; n is a multiple of four.
func testBigBatch(t *testing.T, k *kit, n int) {
	st := k.fresh(t)
	var ms []driver.Mutation
	for i := range n { // from the last ID to the first, each refers to the one created after it
		m := create(k.plain(n - i))
		m.Rec.Revision = 1
		if i < n-1 {
			m.NewRefs = []driver.ID{k.id(n - i - 1)}
		}
		ms = append(ms, m)
	}
	revs := st.mustApply(t, ms...)
	if i := slices.IndexFunc(revs, func(r int64) bool { return r != 1 }); i >= 0 {
		t.Errorf("every record created must have revision 1, not %d", revs[i])
	}

	// Get with every ID twice, and some absent IDs.
	var ids []driver.ID
	for i := range n {
		if ids = append(ids, k.id(i+1), k.id(n-i)); i%10 == 0 {
			ids = append(ids, k.id(i+1+n))
		}
	}
	got := st.get(t, everything, ids...)
	if len(got) != n {
		t.Errorf("Get must find all %d records that are there among %d IDs, not %d", n, len(ids), len(got))
	}
	for i := range ms {
		want, rec := ms[i].Rec, got[ms[i].Rec.ID]
		if i%100 != 0 && bytes.Equal(want.Data, rec.Data) {
			continue // a full comparison of each would take longer than everything else
		}
		if d := diff(want, rec); d != "" {
			t.Fatalf("every record of a big batch must be stored (-want +got):\n%s", d)
		}
	}
	var listed []driver.ID
	q := &driver.Query{Limit: n * 2 / 5}
	for {
		page := st.scan(t, q)
		listed = append(listed, idsOf(page)...)
		if len(page) < q.Limit {
			break
		}
		q.After = &driver.Cursor{ID: page[len(page)-1].ID}
	}
	if !slices.Equal(k.ids(1, n+1), listed) {
		t.Errorf("pages of %d must list the %d IDs in their order, not %d IDs", q.Limit, n, len(listed))
	}

	// A failure near the end of a batch of every operation writes nothing.
	for i := range ms {
		m := &ms[i]
		m.NewRefs = nil
		switch m.Rec.State = "LATER"; i % 4 {
		case 0:
			m.Op, m.IfRev = driver.Update, 1
		case 1:
			m.Op = driver.Put
		case 2:
			*m = remove(m.Rec.ID, 1)
		case 3:
			*m = check(m.Rec.ID, 1)
		}
	}
	later := &driver.Query{Where: []driver.Cond{{Column: driver.ColState, Op: driver.Eq, Values: []any{"LATER"}}}}
	ms[n-3].IfRev, ms[n-3].Op = 2, driver.Update
	st.mustFail(t, &driver.RecordError{ID: ms[n-3].Rec.ID, Err: driver.ErrConflict}, ms...)
	if all, changed := st.count(t, &driver.Query{}), st.count(t, later); all != int64(n) || changed != 0 {
		t.Errorf("a big batch with one failure must change nothing: %d records of %d are left, %d changed", all, n, changed)
	}
	ms[n-3].IfRev = 1
	st.mustApply(t, ms...)
	if all, changed := st.count(t, &driver.Query{}), st.count(t, later); all != int64(n/4*3) || changed != int64(n/2) {
		t.Errorf("a big batch must be stored whole: %d records of %d are left, %d of %d changed", all, n/4*3, changed, n/2)
	}
}

func testLongTexts(t *testing.T, k *kit) {
	st := k.fresh(t, fields...)
	var ms []driver.Mutation
	for i, unit := range []string{"x", "é", "語", "😀", "'", "%", "\\", " "} {
		r := k.rec(i)
		r.Revision = 1
		r.State = strings.Repeat(unit, driver.MaxStateLen)
		r.Fields[0] = strings.Repeat(unit, driver.MaxIndexedTextLen)
		r.Fields[1] = strings.Repeat(unit, 1<<20/len(unit)) // not indexed: no limit
		ms = append(ms, create(r))
	}
	st.mustApply(t, ms...)
	for _, m := range ms {
		got := st.one(t, m.Rec.ID)
		switch {
		case got.State != m.Rec.State:
			t.Errorf("a state of %d characters (%d bytes) must come back, not cut to %d bytes", driver.MaxStateLen, len(m.Rec.State), len(got.State))
		case got.Fields[0] != m.Rec.Fields[0]:
			t.Errorf("an indexed text of %d characters must come back", driver.MaxIndexedTextLen)
		case got.Fields[1] != m.Rec.Fields[1]:
			t.Errorf("a text of 1 MiB that is not indexed must come back")
		}
		for column, v := range map[string]any{driver.ColState: m.Rec.State, "name": m.Rec.Fields[0], "select": m.Rec.Fields[1]} {
			q := &driver.Query{Where: []driver.Cond{{Column: column, Op: driver.Eq, Values: []any{v}}}}
			if found := idsOf(st.scan(t, q)); !slices.Equal(found, []driver.ID{m.Rec.ID}) {
				t.Errorf("a query for a long text in %s must find its one record, not %q", column, found)
			}
		}
	}
}

func testManyColumns(t *testing.T, k *kit) {
	var cols []driver.Column
	want := k.rec(1)
	want.Revision, want.Fields = 1, nil
	for i := range 100 {
		kind := driver.Kind(i%6 + 1)
		cols = append(cols, driver.Column{Name: fmt.Sprintf("%s_%d_%s", kind, i, strings.Repeat("x", i%40)), Kind: kind})
		want.Fields = append(want.Fields, values[kind][i%len(values[kind])])
	}
	cols[99].Name = "_" + strings.Repeat("Z9", 31) // the longest valid name
	st := k.fresh(t, cols...)
	var ms []driver.Mutation
	for i := range 100 {
		r := want
		r.ID = k.id(i)
		ms = append(ms, create(r))
	}
	st.mustApply(t, ms...)
	want.ID = k.id(7)
	if d := diff(want, st.one(t, k.id(7))); d != "" {
		t.Errorf("a record of a hundred fields must come back (-want +got):\n%s", d)
	}
	q := &driver.Query{Where: []driver.Cond{{Column: cols[99].Name, Op: driver.NotNull}}, Order: []driver.Order{{Column: cols[50].Name}}}
	if n := len(st.scan(t, q)); n != 100 {
		t.Errorf("a query on any of a hundred columns must find 100 records, not %d", n)
	}
}
