package drivertest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// testUnique checks that an Indexer keeps two records from having the same values, whoever writes
// them and how.
func testUnique(t *testing.T, s *suite) {
	s.forBoth(t, "a value is stored once", testOnce)
	s.forText(t, "values of every kind", testUniqueKinds)
	s.forBoth(t, "an index over several columns", testUniqueColumns)
	s.forBoth(t, "uniqueness is judged after the whole write", testExchange)
	s.forText(t, "library columns are exchanged", testLibraryExchange)
	s.forText(t, "a clash inside one batch", testClashInside)
	s.forBoth(t, "what is put back must not clash", testUniqueRestore)
	s.forText(t, "claims do not clash", testUniqueClaims)
	s.forBoth(t, "one of many writers wins", testUniqueRace)
	s.forBoth(t, "random batches", testUniqueBatches)
}

// byName is a unique index over one column, byPlace one over two.
var (
	byName  = driver.Index{Columns: []string{"name"}, Unique: true}
	byPlace = driver.Index{Columns: []string{"select", "order"}, Unique: true}
)

// inIndex returns fields without an index; those of xs have short values.
func inIndex(xs ...driver.Index) []driver.Column {
	all := slices.Clone(fields)
	for i := range all {
		all[i].Indexed = false
		all[i].InIndex = slices.ContainsFunc(xs, func(x driver.Index) bool { return x.Has(all[i].Name) })
	}
	return all
}

// indexed opens a new store with indexes, or skips the test.
func (k *kit) indexed(t *testing.T, xs ...driver.Index) (*store, driver.Indexer) {
	t.Helper()
	st := k.fresh(t, inIndex(xs...)...)
	return st, k.indexer(t, st, xs...)
}

// indexer returns the backend of a store as one that keeps indexes, after it has made some.
func (k *kit) indexer(t *testing.T, st *store, xs ...driver.Index) driver.Indexer {
	t.Helper()
	b, ok := st.Backend.(driver.Indexer)
	if !ok {
		t.Skip("the backend is no driver.Indexer")
	}
	if err := b.MakeIndexes(bg, xs); err != nil {
		t.Fatalf("the indexes of a new store must be made: %v", err)
	}
	return b
}

// called returns record n with a name.
func (k *kit) called(n int, name any) driver.Record {
	r := k.rec(n)
	r.Fields[0] = name
	return r
}

// mustClash applies mutations that must collide in an index. holder is who has the values, or "" if
// it can be one of several.
func (st *store) mustClash(t failer, x driver.Index, holder driver.ID, ms ...driver.Mutation) {
	t.Helper()
	_, err := st.Apply(bg, ms)
	checkClash(t, err, x, holder, ms)
}

func checkClash(t failer, err error, x driver.Index, holder driver.ID, ms []driver.Mutation) {
	t.Helper()
	var re *driver.RecordError
	var ue *driver.UniqueError
	if !errors.As(err, &re) || !errors.As(err, &ue) || !errors.Is(err, driver.ErrUnique) {
		t.Fatalf("Apply of %s must fail with a RecordError around a UniqueError of the %v, not with the %T %v", describe(ms), x, err, err)
	}
	if errors.Is(err, driver.ErrExists) || errors.Is(err, driver.ErrConflict) {
		t.Errorf("a clash of values is none of IDs and revisions: %v", err)
	}
	if !slices.ContainsFunc(ms, func(m driver.Mutation) bool { return m.Rec.ID == re.ID }) {
		t.Errorf("the error of Apply of %s must be about a record of it, not about %q", describe(ms), re.ID)
	}
	if !slices.Equal(ue.Columns, x.Columns) {
		t.Errorf("the error must name the columns %q, not %q", x.Columns, ue.Columns)
	}
	if ue.Holder == re.ID || ue.Holder == "" || holder != "" && ue.Holder != holder {
		t.Errorf("the error of Apply of %s must name the holder %q, not %q", describe(ms), holder, ue.Holder)
	}
}

func testOnce(t *testing.T, k *kit) {
	st, _ := k.indexed(t, byName)
	st.mustApply(t, create(k.called(1, "a")), create(k.called(2, "b")), create(k.called(3, nil)), create(k.called(4, nil)))
	before := st.all(t)
	for _, ms := range [][]driver.Mutation{
		{create(k.called(5, "a"))},
		{put(k.called(5, "a"))},
		{put(k.called(2, "a"))},
		{update(k.called(2, "a"), 0)},
		{update(k.called(2, "a"), 1)},
		{update(k.called(3, "a"), 1)},
		{setFields(k.called(2, "a"), 0)},
		{setFields(k.called(3, "a"), 1)},
		{create(k.called(6, "c")), update(k.called(2, "a"), 1), remove(k.id(3), 0)},
		{create(k.called(0, "a")), check(k.id(1), 1)},
	} {
		st.mustClash(t, byName, k.id(1), ms...)
		if d := diff(before, st.all(t)); d != "" {
			t.Fatalf("an Apply that fails must change nothing, not so %s (-before +after):\n%s", describe(ms), d)
		}
	}
	st.mustClash(t, byName, "", create(k.called(0, "a")), update(k.called(1, "a"), 1)) // the holder keeps it
	// What fails for another reason too fails for that.
	st.mustFail(t, &driver.RecordError{ID: k.id(2), Err: driver.ErrExists}, create(k.called(2, "a")))
	st.mustFail(t, &driver.RecordError{ID: k.id(2), Err: driver.ErrConflict}, update(k.called(2, "a"), 7))
	st.mustFail(t, &driver.RecordError{ID: k.id(9), Err: driver.ErrNotFound}, update(k.called(9, "a"), 0))
	st.mustFail(t, &driver.RecordError{ID: k.id(5), Ref: k.id(9), Err: driver.ErrDangling}, create(k.called(5, "a"), k.id(9)))

	st.mustApply(t, update(k.called(1, "a"), 1), put(k.called(2, "b")))
	st.mustApply(t, setFields(k.called(1, "a"), 0))
	st.mustApply(t, update(k.called(1, "z"), 0))
	st.mustApply(t, create(k.called(5, "a")))
	st.mustApply(t, remove(k.id(5), 0))
	st.mustApply(t, create(k.called(6, "a")), create(k.called(7, "A")), create(k.called(8, "a ")), create(k.called(9, "")))
	st.mustClash(t, byName, k.id(9), create(k.called(10, "")))
	if n := len(st.all(t)); n != 8 {
		t.Errorf("there must be 8 records, not %d", n)
	}
}

func testUniqueKinds(t *testing.T, k *kit) {
	long, bytes := strings.Repeat("😀", driver.MaxIndexedTextLen-1), make([]byte, driver.MaxIndexedBytesLen)
	other := slices.Clone(bytes)
	other[len(other)-1] = 1
	for i, values := range map[int][2]any{
		0: {long + "a", long + "b"}, 1: {"é", "e\u0301"}, 2: {int64(1) << 62, int64(1)<<62 + 1}, 3: {0.1, 0.1000000000000001},
		4: {true, false}, 5: {bytes, other}, 6: {baseTime, baseTime.Add(time.Microsecond)},
	} {
		x := driver.Index{Columns: []string{fields[i].Name}, Unique: true}
		st, _ := k.indexed(t, x)
		with := func(n int, v any) driver.Record {
			r := k.rec(n)
			r.Fields[i] = v
			return r
		}
		st.mustApply(t, create(with(1, values[0])), create(with(2, values[1])), create(with(3, nil)), create(with(4, nil)))
		for j, v := range values {
			st.mustClash(t, x, k.id(j+1), create(with(9, v)))
			st.mustClash(t, x, k.id(j+1), update(with(3, v), 0))
		}
		st.mustApply(t, update(with(1, values[1]), 0), update(with(2, values[0]), 0))
		st.mustClash(t, x, k.id(2), create(with(9, values[0])))
	}
}

func testUniqueColumns(t *testing.T, k *kit) {
	byState := driver.Index{Columns: []string{driver.ColState, "name", "done"}, Unique: true}
	st, _ := k.indexed(t, byPlace, byState)
	rec := func(n int, text, order any) driver.Record {
		r := k.rec(n)
		r.State, r.Fields[0], r.Fields[1], r.Fields[2], r.Fields[4] = "S", fmt.Sprint(n), text, order, true
		return r
	}
	st.mustApply(t, create(rec(1, "a", int64(1))), create(rec(2, "a", int64(2))), create(rec(3, "b", int64(1))), create(rec(4, "a", nil)), create(rec(5, nil, nil)))
	st.mustApply(t, create(rec(6, "a", nil)), create(rec(7, nil, int64(1))), create(rec(8, nil, int64(1))), create(rec(9, "a1", int64(1))))
	st.mustClash(t, byPlace, k.id(1), create(rec(10, "a", int64(1))))
	st.mustClash(t, byPlace, k.id(3), update(rec(2, "b", int64(1)), 0))
	st.mustClash(t, byPlace, k.id(2), setFields(rec(6, "a", int64(2)), 0))
	like := rec(10, nil, nil)
	like.Fields[0] = "1"
	st.mustClash(t, byState, k.id(1), create(like))
	like.State = "T"
	st.mustApply(t, create(like))
	moved := rec(1, "a", int64(1))
	moved.State = "T"
	st.mustClash(t, byState, k.id(10), update(moved, 1))
	like.Fields[4] = false
	st.mustApply(t, update(moved, 1), update(like, 1))
}

func testExchange(t *testing.T, k *kit) {
	st, _ := k.indexed(t, byName, byPlace)
	rec := func(n int, name any) driver.Record {
		r := k.called(n, name)
		r.Fields[1], r.Fields[2] = name, int64(0)
		return r
	}
	names := func(want ...any) {
		t.Helper()
		got := make([]any, len(want))
		all := st.all(t)
		for i := range want {
			if r, ok := all[k.id(i+1)]; ok {
				got[i] = r.Fields[0]
			}
		}
		if d := diff(want, got); d != "" {
			t.Fatalf("the names must be these (-want +got):\n%s", d)
		}
	}
	st.mustApply(t, create(rec(1, "a")), create(rec(2, "b")), create(rec(3, "c")))
	revs := st.mustApply(t, update(rec(1, "b"), 1), update(rec(2, "a"), 1))
	if d := diff([]int64{2, 2}, revs); d != "" {
		t.Errorf("an exchange raises each revision by one:\n%s", d)
	}
	names("b", "a", "c")
	st.mustApply(t, put(rec(3, "b")), update(rec(1, "a"), 0), setFields(rec(2, "c"), 2))
	names("a", "c", "b")
	st.mustApply(t, setFields(rec(1, "b"), 0), setFields(rec(3, "a"), 0))
	names("b", "c", "a")
	if r := st.one(t, k.id(3)); r.Revision != 2 {
		t.Errorf("SetFields leaves the revision alone: %d is not 2", r.Revision)
	}
	st.mustApply(t, create(rec(4, "b")), remove(k.id(1), 0)) // the removal has the lower ID
	names(nil, "c", "a", "b")
	st.mustApply(t, create(rec(1, "b")), remove(k.id(4), 1)) // and the higher one
	names("b", "c", "a", nil)
	st.mustApply(t, create(rec(4, "c")), update(rec(2, "d"), 0), update(rec(1, nil), 0), put(rec(5, "b")))
	names(nil, "d", "a", "c", "b")
	taken, free := rec(2, "a"), rec(3, "c")
	taken.Fields[1], free.Fields[1] = "free", "free too"
	st.mustClash(t, byName, k.id(4), update(taken, 0), update(free, 0))
	names(nil, "d", "a", "c", "b")
	st.mustFail(t, &driver.RecordError{ID: k.id(2), Err: driver.ErrConflict}, update(rec(3, "d"), 0), update(rec(2, "a"), 1))
	names(nil, "d", "a", "c", "b")
}

func testLibraryExchange(t *testing.T, k *kit) {
	byState := driver.Index{Columns: []string{driver.ColType, driver.ColState}, Unique: true}
	byTime := driver.Index{Columns: []string{driver.ColModified}, Unique: true}
	st, _ := k.indexed(t, byState, byTime)
	rec := func(n int, state string) driver.Record {
		r := k.rec(n)
		r.State = state
		r.Modified = baseTime.Add(time.Duration(len(state)) * time.Second)
		return r
	}
	st.mustApply(t, create(rec(1, "a")), create(rec(2, "bb")))
	st.mustApply(t, update(rec(2, "a"), 1), update(rec(1, "bb"), 1))
	if got := st.one(t, k.id(1)); got.State != "bb" || got.Revision != 2 || !got.Created.Equal(k.rec(1).Created) {
		t.Errorf("the states must be exchanged, and nothing else: %+v", got)
	}
	late := rec(3, "bb")
	late.Modified = late.Modified.Add(time.Hour)
	st.mustClash(t, byState, k.id(1), create(late))
}

func testClashInside(t *testing.T, k *kit) {
	st, _ := k.indexed(t, byName)
	st.mustApply(t, create(k.called(1, "a")), create(k.called(2, "b")))
	before := st.all(t)
	var many []driver.Mutation
	for n := range 200 {
		many = append(many, create(k.called(100+n, fmt.Sprint(n%199))))
	}
	for _, ms := range [][]driver.Mutation{
		{create(k.called(3, "c")), create(k.called(4, "c"))},
		{update(k.called(1, "c"), 1), update(k.called(2, "c"), 1)},
		{put(k.called(1, "c")), create(k.called(3, "c"))},
		{remove(k.id(1), 0), create(k.called(3, "a")), update(k.called(2, "a"), 0)},
		many,
	} {
		st.mustClash(t, byName, "", ms...)
		if d := diff(before, st.all(t)); d != "" {
			t.Fatalf("a batch that clashes must change nothing (-before +after):\n%s", d)
		}
	}
	st.mustApply(t, many[:199]...)
}

func testUniqueRestore(t *testing.T, k *kit) {
	st, _ := k.indexed(t, byName)
	v := k.salvager(t, st)
	st.mustApply(t, create(k.called(1, "a")), create(k.called(2, "b")))
	form := k.stored(t, v, k.id(1))[k.id(1)]
	st.mustApply(t, withdraw(form), create(k.called(3, "a")))
	st.mustClash(t, byName, k.id(3), restore(form))
	st.mustApply(t, restore(form), remove(k.id(3), 0))
	st.mustClash(t, byName, k.id(1), create(k.called(4, "a")))
	form = k.stored(t, v, k.id(1))[k.id(1)]
	st.mustApply(t, create(k.called(0, "a")), withdraw(form))
	st.mustClash(t, byName, k.id(0), restore(form))
	st.mustApply(t, restore(form), update(k.called(0, "c"), 0))
}

func testUniqueClaims(t *testing.T, k *kit) {
	x := driver.Index{Columns: []string{driver.ColState, "name"}, Unique: true}
	st, _ := k.indexed(t, x)
	c, ok := st.Backend.(driver.Claimer)
	if !ok {
		t.Skip("the backend is no Claimer")
	}
	rec := func(n int, state, name string) driver.Record {
		r := k.called(n, name)
		r.State = state
		return r
	}
	st.mustApply(t, create(rec(1, "RUNNING", "a")), create(rec(2, "NEW", "a")), create(rec(3, "NEW", "b")), create(rec(4, "WAITING", "b")))
	refused := map[driver.ID]error{}
	got, err := c.Claim(bg, &driver.Query{Where: []driver.Cond{{Column: driver.ColState, Op: driver.In, Values: []any{"NEW", "WAITING"}}}}, driver.Claiming{
		Owner: "me", Lease: time.Hour, Limit: 10,
		Edit:    func(r *driver.Record) error { r.State = "RUNNING"; return nil },
		Refused: func(id driver.ID, err error) { refused[id] = err },
	})
	if err != nil || len(got) != 1 || got[0].ID != k.id(3) {
		t.Fatalf("the claim must give %q alone: %v, %v", k.id(3), got, err)
	}
	for id, holder := range map[driver.ID]driver.ID{k.id(2): k.id(1), k.id(4): k.id(3)} {
		var ue *driver.UniqueError
		if !errors.As(refused[id], &ue) || ue.Holder != holder || !slices.Equal(ue.Columns, x.Columns) {
			t.Errorf("Refused must be told that %q has the values of %q, not %v", holder, id, refused[id])
		}
		if r := st.one(t, id); r.State == "RUNNING" || r.Claim.Owner != "" || r.Revision != 1 {
			t.Errorf("a record that cannot be claimed must stay as it is: %+v", r)
		}
	}
	done := rec(3, "NEW", "a")
	complete := driver.Mutation{Op: driver.Update, Rec: done, Token: got[0].Claim.Token, Release: true}
	st.mustClash(t, x, k.id(2), complete)
	if r := st.one(t, k.id(3)); r.Claim.Owner != "me" {
		t.Errorf("a clash must leave the claim alone: %+v", r.Claim)
	}
	complete.Rec.State = "DONE"
	st.mustApply(t, complete)
}

func testUniqueRace(t *testing.T, k *kit) {
	st, b := k.indexed(t, byName)
	handles := k.handles(t, st)
	const keys = 25
	won := make([][]int, len(handles))
	parallel(t, len(handles), func(g int) error {
		for n := range keys {
			rec := k.called(1000*g+n, fmt.Sprint(n))
			ms := []driver.Mutation{create(rec)}
			if g%2 == 1 { // as a part of more
				ms = append(ms, put(k.called(900, nil)))
			}
			_, err := handles[g].Apply(bg, ms)
			if err == nil {
				won[g] = append(won[g], n)
				continue
			}
			var ue *driver.UniqueError
			if !errors.As(err, &ue) {
				return fmt.Errorf("the loser of a race for a value must get ErrUnique, not %w", err)
			}
			if holder := handles[g].get(t, driver.Fields, ue.Holder)[ue.Holder]; len(holder.Fields) == 0 || holder.Fields[0] != fmt.Sprint(n) {
				return fmt.Errorf("the loser must learn who has %d: %q has %v", n, ue.Holder, holder.Fields)
			}
		}
		return nil
	})
	n := 0
	for _, keys := range won {
		n += len(keys)
	}
	if n != keys {
		t.Errorf("%d values are stored by %d writers", keys, n)
	}
	names := map[any]int{}
	for _, r := range st.all(t) {
		names[r.Fields[0]]++
	}
	for name, n := range names {
		if name != nil && n != 1 {
			t.Errorf("%v is stored %d times", name, n)
		}
	}
	if c, err := b.Catalog(bg); err != nil || !c.Serves(byName) {
		t.Errorf("the index must still be there: %v", err)
	}
}
