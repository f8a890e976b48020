package drivertest

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/brine-go/brine/persistence/driver"
)

// testIndexes checks that an Indexer makes, records, keeps and drops indexes.
func testIndexes(t *testing.T, s *suite) {
	s.forBoth(t, "indexes are recorded and kept", testKeptIndexes)
	s.forText(t, "an index is made over records", testIndexOfRecords)
	s.forText(t, "records that collide or are too long refuse an index", testRefusedIndex)
	s.forText(t, "an index is dropped", testDropIndex)
	s.forText(t, "nothing is made with NoCreate", testIndexNoCreate)
	s.forText(t, "an index of library columns alone", testLibraryIndex)
	s.forText(t, "nothing is made in a store that is read only", testIndexReadOnly)
}

func testKeptIndexes(t *testing.T, k *kit) {
	k.needsReopening(t)
	before := k.fresh(t, inIndex()...) // opened before there is an index
	plain := driver.Index{Columns: []string{driver.ColState, "order", "due_at"}}
	st := k.open(t, before.url, inIndex(byName, plain)...)
	b := k.indexer(t, st, byName, plain)
	for range 2 {
		if err := b.MakeIndexes(bg, []driver.Index{plain, byName}); err != nil {
			t.Fatalf("indexes that are there must be left alone: %v", err)
		}
	}
	catalog := func(st *store) *driver.Catalog {
		t.Helper()
		c, err := st.Backend.(driver.Indexer).Catalog(bg)
		if err != nil {
			t.Fatalf("the catalog must be read: %v", err)
		}
		return c
	}
	if d := diff([]driver.Index{byName, plain}, catalog(st).Indexes); d != "" {
		t.Errorf("the catalog must have the indexes (-want +got):\n%s", d)
	}
	st.mustApply(t, create(k.called(1, "a")))
	before.mustClash(t, byName, k.id(1), create(k.called(2, "a")))
	again := k.open(t, st.url, inIndex()...)
	again.mustClash(t, byName, k.id(1), create(k.called(2, "a")))
	if again.meta.Catalog.Index(plain) == nil || !again.meta.Catalog.Serves(byName) {
		t.Errorf("Init must return the catalog with the indexes, not %+v", again.meta.Catalog)
	}
	// A program that does not even know the column.
	without := k.open(t, st.url)
	without.mustApply(t, create(k.plain(2)), update(k.plain(1), 1))
	if got := st.one(t, k.id(1)).Fields[0]; got != "a" {
		t.Errorf("a program that does not know a column must leave it alone: %v", got)
	}
	before.mustClash(t, byName, k.id(1), update(k.called(2, "a"), 0))
	other := driver.Column{Name: "another", Kind: driver.Int}
	k.open(t, st.url, other).mustApply(t, remove(k.id(2), 0))
	if d := diff([]driver.Index{byName, plain}, catalog(st).Indexes); d != "" {
		t.Errorf("a program that declares other columns must keep the indexes (-want +got):\n%s", d)
	}
}

func testIndexOfRecords(t *testing.T, k *kit) {
	st := k.fresh(t, inIndex(byName, byPlace)...)
	var ms []driver.Mutation
	for n := range 300 {
		ms = append(ms, create(k.rec(n)))
	}
	ms[7].Rec.Fields[0], ms[8].Rec.Fields[0] = nil, nil
	ms[9].Rec.Fields[1], ms[9].Rec.Fields[2] = ms[10].Rec.Fields[1], nil
	st.mustApply(t, ms...)
	before := st.all(t)
	k.indexer(t, st, byPlace, byName)
	if d := diff(before, st.all(t)); d != "" {
		t.Errorf("making an index must change no record (-before +after):\n%s", d)
	}
	for _, n := range []int{0, 150, 299} {
		st.mustClash(t, byName, k.id(n), create(k.called(400, ms[n].Rec.Fields[0])))
		r := k.called(400, "new")
		r.Fields[1], r.Fields[2] = ms[n].Rec.Fields[1], ms[n].Rec.Fields[2]
		st.mustClash(t, byPlace, k.id(n), create(r))
	}
	st.mustApply(t, create(k.called(400, nil)))
}

func testRefusedIndex(t *testing.T, k *kit) {
	byText := driver.Index{Columns: []string{"select", driver.ColState}} // need not be unique
	byRaw := driver.Index{Columns: []string{"raw"}, Unique: true}
	st := k.fresh(t, inIndex()...)
	long := k.rec(3)
	long.Fields[1] = strings.Repeat("é", driver.MaxIndexedTextLen+1)
	raw := k.rec(4)
	raw.Fields[5] = make([]byte, driver.MaxIndexedBytesLen+1)
	st.mustApply(t, create(k.called(1, "a")), create(k.called(2, "a")), create(long), create(raw))
	b := k.indexer(t, st)
	for _, tt := range []struct {
		x     driver.Index
		words []string
	}{
		{byName, []string{string(k.id(1)), string(k.id(2)), "name"}},
		{byText, []string{string(k.id(3)), "select"}},
		{byRaw, []string{string(k.id(4)), "raw"}},
	} {
		err := b.MakeIndexes(bg, []driver.Index{tt.x})
		if err == nil {
			t.Fatalf("the %v must be refused", tt.x)
		}
		for _, word := range tt.words {
			if !strings.Contains(err.Error(), `"`+word+`"`) {
				t.Errorf("the error of the %v must name %q: %v", tt.x, word, err)
			}
		}
	}
	if c, err := b.Catalog(bg); err != nil || len(c.Indexes) > 0 {
		t.Errorf("an index that is refused must not be recorded: %v, %v", c.Indexes, err)
	}
	st.mustApply(t, create(k.called(5, "a")))
	long.Fields[1] = strings.Repeat("é", driver.MaxIndexedTextLen)
	raw.Fields[5] = make([]byte, driver.MaxIndexedBytesLen)
	st.mustApply(t, update(k.called(2, "b"), 0), update(k.called(5, nil), 0), update(long, 1), update(raw, 1))
	k.indexer(t, st, byName, byText, byRaw)
	st.mustClash(t, byName, k.id(2), create(k.called(6, "b")))
	if got := st.one(t, k.id(3)).Fields[1]; got != long.Fields[1] {
		t.Errorf("an index must not change the values in it: %v", got)
	}
}

func testDropIndex(t *testing.T, k *kit) {
	plain := driver.Index{Columns: []string{"name"}}
	st, b := k.indexed(t, byName, byPlace)
	st.mustApply(t, create(k.called(1, "a")))
	for _, x := range []driver.Index{plain, {Columns: []string{"order"}}, {Columns: []string{"order", "select"}, Unique: true}, {Columns: []string{driver.ColState}}} {
		if err := b.DropIndex(bg, x); !errors.Is(err, driver.ErrNotFound) {
			t.Errorf("dropping the %v, which is not recorded, must be ErrNotFound, not %v", x, err)
		}
	}
	if err := b.DropIndex(bg, byName); err != nil {
		t.Fatalf("a recorded index must be dropped: %v", err)
	}
	st.mustApply(t, create(k.called(2, "a")))
	if err := b.DropIndex(bg, byName); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("an index is dropped once, and then it is ErrNotFound, not %v", err)
	}
	if c, err := b.Catalog(bg); err != nil || len(c.Indexes) != 1 || !c.Serves(byPlace) {
		t.Errorf("the other index must stay: %+v, %v", c, err)
	}
	k.indexer(t, st, plain)
	if err := b.MakeIndexes(bg, []driver.Index{byName}); err == nil {
		t.Error("an index must not become unique while records collide")
	}
	st.mustApply(t, update(k.called(2, "b"), 0))
	k.indexer(t, st, byName) // which becomes unique
	st.mustClash(t, byName, k.id(1), create(k.called(3, "a")))
	if c, err := b.Catalog(bg); err != nil || len(c.Indexes) != 2 {
		t.Errorf("two indexes of the same columns are one: %+v, %v", c, err)
	}
	if err := b.DropColumn(bg, "order"); err != nil {
		t.Fatalf("a column in an index must be dropped: %v", err)
	}
	if c, err := b.Catalog(bg); err != nil || len(c.Indexes) != 1 || !c.Serves(byName) {
		t.Errorf("an index goes with any of its columns: %+v, %v", c, err)
	}
	if k.Private {
		return
	}
	only := driver.Column{Name: "name", Kind: driver.Text, Indexed: true}
	single := k.open(t, k.URL(t), only)
	if err := single.Backend.(driver.Indexer).DropIndex(bg, plain); err != nil {
		t.Errorf("the index of an indexed extra field must be dropped: %v", err)
	}
	if c, err := single.Backend.(driver.Indexer).Catalog(bg); err != nil || c.Columns[0].Indexed {
		t.Errorf("it must be recorded no more: %+v, %v", c, err)
	}
	k.open(t, single.url, only)
	if c, err := single.Backend.(driver.Indexer).Catalog(bg); err != nil || !c.Columns[0].Indexed {
		t.Errorf("a program that declares it must make it again: %+v, %v", c, err)
	}
}

func testIndexNoCreate(t *testing.T, k *kit) {
	k.needsReopening(t)
	st, _ := k.indexed(t, byName)
	st.mustApply(t, create(k.called(1, "a")))
	closed, err := k.tryOpen(t, st.url, driver.OpenOptions{NoCreate: true}, k.schema(inIndex(byName)...))
	if err != nil {
		t.Fatalf("NoCreate must open a store that is there: %v", err)
	}
	b := closed.Backend.(driver.Indexer)
	if err := b.MakeIndexes(bg, []driver.Index{byName}); err != nil {
		t.Errorf("an index that is there must do: %v", err)
	}
	err = b.MakeIndexes(bg, []driver.Index{byName, byPlace})
	if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), `"select"`) {
		t.Errorf("an index that is not there must be errors.ErrUnsupported, naming it, not %v", err)
	}
	if err := b.DropIndex(bg, byName); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("DropIndex must be errors.ErrUnsupported, not %v", err)
	}
	closed.mustClash(t, byName, k.id(1), create(k.called(2, "a")))
	closed.mustApply(t, create(k.called(2, "b")))
	st.mustClash(t, byName, k.id(2), create(k.called(3, "b")))
}

func testIndexReadOnly(t *testing.T, k *kit) {
	k.needsReopening(t)
	st, _ := k.indexed(t, byName)
	ro, err := k.tryOpen(t, st.url, driver.OpenOptions{ReadOnly: true}, k.schema(inIndex(byName)...))
	if err != nil {
		t.Fatalf("a store must open for reading only: %v", err)
	}
	b := ro.Backend.(driver.Indexer)
	if err := b.MakeIndexes(bg, []driver.Index{byName}); err != nil {
		t.Errorf("an index that is there must do: %v", err)
	}
	err = b.MakeIndexes(bg, []driver.Index{byName, byPlace})
	if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), `"select"`) {
		t.Errorf("an index that is not there must be errors.ErrUnsupported, naming it, not %v", err)
	}
}

func testLibraryIndex(t *testing.T, k *kit) {
	st := k.fresh(t) // without extra columns
	byType := driver.Index{Columns: []string{driver.ColType, driver.ColState}, Unique: true}
	k.indexer(t, st, byType, driver.Index{Columns: []string{driver.ColState, driver.ColCreated}})
	st.mustApply(t, create(k.plain(1)), create(k.plain(2)))
	st.mustClash(t, byType, k.id(1), create(k.plain(4)))
	if k.Private {
		return
	}
	again := k.open(t, st.url)
	again.mustClash(t, byType, k.id(2), create(k.plain(5)))
	if !slices.ContainsFunc(again.meta.Catalog.Indexes, byType.SameColumns) {
		t.Errorf("the catalog must have the index: %+v", again.meta.Catalog)
	}
}
