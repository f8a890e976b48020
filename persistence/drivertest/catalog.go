package drivertest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// The columns of two programs: they share one, and each has one of its own.
var (
	common  = driver.Column{Name: "host", Kind: driver.Text, Indexed: true, Types: []string{"engine.Task"}}
	onlyOne = driver.Column{Name: "prio", Kind: driver.Int}
	onlyTwo = driver.Column{Name: "cost", Kind: driver.Float, Types: []string{"engine.Job", "engine.Task"}}
)

// testCatalog checks that a Cataloger knows which columns there are, and which of them the last
// writer of each record has filled.
func testCatalog(t *testing.T, s *suite) {
	s.forBoth(t, "the catalog says what was declared", testDeclared)
	s.forBoth(t, "a store without extra columns records none", testUndeclared)
	s.forBoth(t, "a record has the number of the set that its last writer fills", testNumbers)
	s.forBoth(t, "a set is recorded before the first record has its number", testLateSets)
	s.forText(t, "a claim leaves the number alone", testClaimedNumbers)
	s.forBoth(t, "a column keeps its kind", testKinds)
	s.forBoth(t, "a column is dropped", testDropColumn)
	s.forBoth(t, "the kind of the IDs is that of the data", testAnyIDs)
	s.forText(t, "a column of a name in other letter case is the same", testLetterCase)
	s.forText(t, "writes of others are told from one's own", testForeignWrites)
}

func testDeclared(t *testing.T, k *kit) {
	one := k.cataloged(t, k.URL(t), common, onlyOne)
	want := &driver.Catalog{Columns: []driver.Column{common, onlyOne}, Sets: map[int64]driver.ColumnSet{
		1: {"host": common.Types, "prio": nil},
	}}
	if d := diff(want, one.catalog(t)); d != "" {
		t.Fatalf("the catalog of a new store must have its columns and the set of them (-want +got):\n%s", d)
	}
	if d := diff(want, one.meta.Catalog); d != "" {
		t.Errorf("Init must return the catalog (-want +got):\n%s", d)
	}
	k.needsReopening(t)
	all := common
	all.Indexed, all.Types = false, nil
	two := k.cataloged(t, one.url, onlyTwo, all)
	all.Indexed = true
	want.Columns = []driver.Column{all, onlyOne, onlyTwo}
	want.Sets[2] = driver.ColumnSet{"cost": onlyTwo.Types, "host": nil}
	for _, st := range []*catalogStore{one, two} {
		if d := diff(want, st.catalog(t)); d != "" {
			t.Errorf("every handle must see what another one has declared (-want +got):\n%s", d)
		}
	}
	k.cataloged(t, one.url, all, onlyTwo) // the same set in another order
	k.cataloged(t, one.url)               // a set without columns
	want.Unknown = true
	if d := diff(want, one.catalog(t)); d != "" {
		t.Errorf("a set that is there must not be recorded again, and a writer without columns must be (-want +got):\n%s", d)
	}
}

func testUndeclared(t *testing.T, k *kit) {
	st := k.cataloged(t, k.URL(t))
	if d := diff(&driver.Catalog{}, st.catalog(t)); d != "" {
		t.Errorf("there must be nothing in the catalog (-want +got):\n%s", d)
	}
	k.needsReopening(t)
	st.mustApply(t, create(k.plain(1)))
	one := k.cataloged(t, st.url, onlyOne)
	if !one.catalog(t).Unknown {
		t.Error("where there was a writer before the first column was declared, Unknown must be set")
	}
	r := k.plain(2)
	r.Fields = []any{int64(2)}
	one.mustApply(t, create(r))
	st.mustApply(t, update(k.plain(2), 0))
	if d := diff(k.ids(1, 3), one.numbered(t, 0)); d != "" {
		t.Errorf("a writer without columns must give a record the number 0, also one that was opened before there was a column (-want +got):\n%s", d)
	}
}

func testNumbers(t *testing.T, k *kit) {
	one := k.cataloged(t, k.URL(t), common, onlyOne)
	rec := func(n int) driver.Record { // for either handle
		r := k.plain(n)
		r.Fields = []any{nil, nil}
		return r
	}
	one.mustApply(t, create(rec(1)), create(rec(2)), put(rec(3)), put(rec(4)), create(rec(5)), create(rec(6)))
	if d := diff(k.ids(1, 7), one.numbered(t, 1)); d != "" {
		t.Fatalf("Create and Put must give the number (-want +got):\n%s", d)
	}
	k.needsReopening(t)
	two := k.cataloged(t, one.url, onlyTwo, common)
	if d := diff(k.ids(1, 7), two.numbered(t, 1)); d != "" {
		t.Fatalf("opening a store must leave the numbers alone (-want +got):\n%s", d)
	}
	two.mustApply(t, update(rec(1), 1), update(rec(2), 0), put(rec(3)), put(rec(7)), setFields(rec(4), 0), check(k.id(5), 1))
	if d := diff([]driver.ID{k.id(1), k.id(2), k.id(3), k.id(7)}, two.numbered(t, 2)); d != "" {
		t.Errorf("Update and Put must give the number, and SetFields and Check leave it alone (-want +got):\n%s", d)
	}
	both, err := two.AddColumnSet(bg, driver.SetOf([]driver.Column{common, onlyOne, onlyTwo}))
	if err != nil || both != 3 {
		t.Fatalf("AddColumnSet must give the next number, 3, not %d, %v", both, err)
	}
	if again, err := one.AddColumnSet(bg, driver.SetOf([]driver.Column{onlyTwo, onlyOne, common})); err != nil || again != both {
		t.Errorf("AddColumnSet must give the number %d of a set that is there, not %d, %v", both, again, err)
	}
	filled, conditional := setFields(rec(4), 0), setFields(rec(5), 1)
	filled.ColumnSet, conditional.ColumnSet = both, both
	two.mustApply(t, filled, conditional)
	if d := diff(k.ids(4, 6), one.numbered(t, both)); d != "" {
		t.Errorf("SetFields must give the number that it names (-want +got):\n%s", d)
	}
	if rev := two.one(t, k.id(4)).Revision; rev != 1 {
		t.Errorf("SetFields must leave the revision at 1, not make it %d", rev)
	}
	late := setFields(rec(1), 1)
	late.ColumnSet = both
	two.mustFail(t, &driver.RecordError{ID: k.id(1), Err: driver.ErrConflict}, late)
	one.mustApply(t, update(rec(4), 1))
	if d := diff([]driver.ID{k.id(4), k.id(6)}, one.numbered(t, 1)); d != "" {
		t.Errorf("the number must be that of the last writer (-want +got):\n%s", d)
	}
	gap := &driver.Query{Where: (&driver.Gap{Set: 1, Types: []string{"engine.Job", "engine.Task"}}).Where()}
	if d := diff([]driver.ID{k.id(4), k.id(6)}, idsOf(one.scan(t, gap))); d != "" {
		t.Errorf("%s must find the records of a gap (-want +got):\n%s", text(gap), d)
	}
	if f, ok := one.Backend.(driver.GapFinder); ok {
		for _, g := range []driver.Gap{
			{Set: 1}, {Set: 1, Types: []string{"engine.Job", "engine.Task"}}, {Set: 1, Types: []string{"engine.Job"}},
			{Set: 1, Except: []string{"engine.Task"}}, {Set: 1, Except: []string{"engine.Job"}}, {Set: 7}, {},
		} {
			want := one.count(t, &driver.Query{Where: g.Where()}) > 0
			if found, err := f.InGap(bg, g); err != nil || found != want {
				t.Errorf("InGap of %+v must be %v, as a Scan says, not %v, %v", g, want, found, err)
			}
		}
	}
	gap.Where = (&driver.Gap{Set: 1, Except: []string{"engine.Task"}}).Where()
	if n := one.count(t, gap); n != 0 {
		t.Errorf("%s must find none, not %d", text(gap), n)
	}
}

func testLateSets(t *testing.T, k *kit) {
	k.needsReopening(t)
	one := k.cataloged(t, k.URL(t), common, onlyOne)
	for i, fields := range [][]driver.Column{{onlyOne}, {}} {
		st, err := k.tryOpen(t, one.url, driver.OpenOptions{NoCreate: true}, k.schema(fields...))
		if err != nil {
			t.Fatalf("NoCreate must open a store that has the columns: %v", err)
		}
		r := k.plain(i)
		r.Fields = make([]any, len(fields))
		st.mustApply(t, create(r))
		catalog := one.catalog(t)
		n := int64(0)
		if len(fields) > 0 {
			n = 2
		}
		if set, found := catalog.FindSet(driver.SetOf(fields)); !found || set != n {
			t.Errorf("the set of a writer that has written must be number %d in the catalog, not %d (%v)", n, set, found)
		}
		if d := diff([]driver.ID{r.ID}, one.numbered(t, n)); d != "" {
			t.Errorf("its record must have the number (-want +got):\n%s", d)
		}
	}
}

func testClaimedNumbers(t *testing.T, k *kit) {
	one := k.cataloged(t, k.URL(t), onlyOne)
	b, ok := one.Backend.(driver.Claimer)
	if !ok {
		t.Skip("the backend is no Claimer")
	}
	k.needsReopening(t)
	two := k.cataloged(t, one.url, onlyTwo)
	r := k.plain(1)
	r.Fields = []any{nil}
	two.mustApply(t, create(r))
	edit := func(r *driver.Record) error { r.State = "DONE"; return nil }
	got, err := b.Claim(bg, &driver.Query{}, driver.Claiming{Owner: "me", Lease: time.Hour, Limit: 1, Edit: edit})
	if err != nil || len(got) != 1 {
		t.Fatalf("the claim must give the record: %v, %v", got, err)
	}
	if d := diff(k.ids(1, 2), one.numbered(t, 2)); d != "" {
		t.Errorf("Edit changes what another has filled, and not which columns that is (-want +got):\n%s", d)
	}
}

func testKinds(t *testing.T, k *kit) {
	k.needsReopening(t)
	st := k.cataloged(t, k.URL(t), common, onlyOne)
	other := onlyOne
	other.Kind = driver.Text
	before := st.catalog(t)
	_, err := k.tryOpen(t, st.url, driver.OpenOptions{}, k.schema(onlyTwo, other))
	if err == nil {
		t.Fatal("Init must refuse a column of another kind than the recorded one")
	}
	for _, word := range []string{"prio", "int", "text", "DropField"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error must mention %q: %v", word, err)
		}
	}
	if d := diff(before, st.catalog(t)); d != "" {
		t.Errorf("an Init that is refused must change nothing (-before +after):\n%s", d)
	}
}

func testDropColumn(t *testing.T, k *kit) {
	k.needsReopening(t)
	first := k.cataloged(t, k.URL(t), common, onlyOne, onlyTwo)
	var ms []driver.Mutation
	for n := range 400 {
		r := k.rec(n)
		r.Fields = []any{"h", int64(n), float64(n)}
		ms = append(ms, create(r))
	}
	first.mustApply(t, ms...)
	st := k.cataloged(t, first.url, onlyTwo)
	before := st.all(t)
	for _, name := range []string{"nothing", driver.ColState} {
		if err := st.DropColumn(bg, name); !errors.Is(err, driver.ErrNotFound) {
			t.Errorf("dropping %q, which is not recorded, must be ErrNotFound, not %v", name, err)
		}
	}
	for _, name := range []string{"host", "prio"} {
		if err := st.DropColumn(bg, name); err != nil {
			t.Fatalf("a recorded column must be dropped: %v", err)
		}
	}
	if d := diff(before, st.all(t)); d != "" {
		t.Errorf("the other columns must stay (-before +after):\n%s", d)
	}
	catalog := st.catalog(t)
	if len(catalog.Columns) != 1 || catalog.Columns[0].Name != onlyTwo.Name {
		t.Errorf("the catalog must have %q alone, not %+v", onlyTwo.Name, catalog.Columns)
	}
	for n, set := range catalog.Sets {
		if _, has := set["prio"]; has {
			t.Errorf("a column must leave every set, not stay in number %d", n)
		}
	}
	if err := first.scanned(&driver.Query{Where: []driver.Cond{{Column: "prio", Op: driver.Eq, Values: []any{int64(1)}}}}); err == nil {
		t.Error("a query on a column that was dropped must fail where it was declared before, not find nothing")
	}
	if err := first.scanned(&driver.Query{Parts: driver.Info}); err != nil {
		t.Errorf("a query that does not use the column must go on: %v", err)
	}
	r := k.rec(0)
	r.Fields = []any{"back", int64(0), 0.0}
	if _, err := first.Apply(bg, []driver.Mutation{update(r, 0)}); err == nil && st.one(t, k.id(0)).Revision == 1 {
		t.Error("a write must be made or fail")
	}

	text := onlyOne
	text.Kind = driver.Text
	anew := k.cataloged(t, st.url, text, common)
	for id, rec := range anew.all(t) {
		if rec.Fields[0] != nil || rec.Fields[1] != nil {
			t.Fatalf("a column that was dropped must be NULL when it is declared again, not %v in %q", rec.Fields, id)
		}
	}
	r.Fields = []any{"text", "h"}
	anew.mustApply(t, update(r, 0))
	if got := anew.one(t, r.ID).Fields; got[0] != "text" || got[1] != "h" {
		t.Errorf("a column of another kind must hold its values, not %v", got)
	}
}

func testAnyIDs(t *testing.T, k *kit) {
	k.needsReopening(t)
	st := k.fresh(t)
	st.mustApply(t, create(k.plain(1)))
	for _, wish := range []bool{true, false} {
		again, err := k.tryOpen(t, st.url, driver.OpenOptions{}, driver.Schema{AnyIDs: true, IntegerIDs: wish})
		if err != nil {
			t.Fatalf("AnyIDs must open a store of either kind: %v", err)
		}
		if again.meta.TextIDs == k.integer {
			t.Errorf("Meta.TextIDs must be %v in a store of %s IDs", !k.integer, k.kind())
		}
		again.mustApply(t, update(k.plain(1), 0))
	}
	made, err := k.tryOpen(t, k.URL(t), driver.OpenOptions{}, driver.Schema{AnyIDs: true, IntegerIDs: k.integer})
	if err != nil || made.meta.TextIDs == k.integer {
		t.Errorf("AnyIDs must make a new store with the kind of IDs that IntegerIDs says: %v", err)
	}
}

func testLetterCase(t *testing.T, k *kit) {
	k.needsReopening(t)
	lower := k.cataloged(t, k.URL(t), onlyOne)
	capitals := onlyOne
	capitals.Name = "PRIO"
	upper := k.cataloged(t, lower.url, capitals)
	r := k.plain(1)
	r.Fields = []any{int64(1)}
	upper.mustApply(t, create(r))
	if got := lower.one(t, r.ID).Fields; !slices.Equal(got, []any{int64(1)}) {
		t.Errorf("the value must be read under either name, not %v", got)
	}
	if c := lower.catalog(t); len(c.Columns) != 1 || len(c.Sets) != 1 {
		t.Errorf("there must be one column and one set, not %+v", c)
	}
}

// cataloged opens the store of a URL, and skips the test if the backend is no Cataloger.
func (k *kit) cataloged(t *testing.T, rawURL string, fields ...driver.Column) *catalogStore {
	t.Helper()
	st := k.open(t, rawURL, fields...)
	b, ok := st.Backend.(driver.Cataloger)
	if !ok {
		if _, err := driver.CatalogOf(bg, st.Backend); !errors.Is(err, errors.ErrUnsupported) {
			t.Fatalf("the catalog of a backend that has none must be errors.ErrUnsupported, not %v", err)
		}
		t.Skip("the backend is no Cataloger")
	}
	return &catalogStore{st, b}
}

// catalogStore is a store of a backend that is a Cataloger.
type catalogStore struct {
	*store
	driver.Cataloger
}

func (st *catalogStore) catalog(t testing.TB) *driver.Catalog {
	t.Helper()
	c, err := st.Catalog(bg)
	if err != nil || c == nil {
		t.Fatalf("the catalog of a store that Init made must be there: %v, %v", c, err)
	}
	return c
}

// numbered returns the IDs of the records with a number.
func (st *catalogStore) numbered(t testing.TB, n int64) []driver.ID {
	t.Helper()
	return idsOf(st.scan(t, &driver.Query{Where: []driver.Cond{{Column: driver.ColColumnSet, Op: driver.Eq, Values: []any{n}}}}))
}

func testForeignWrites(t *testing.T, k *kit) {
	k.needsReopening(t)
	one := k.fresh(t)
	f, ok := one.Backend.(driver.ForeignWriter)
	if !ok {
		t.Skip("the backend is no ForeignWriter")
	}
	foreign := func() uint64 {
		t.Helper()
		n, known, err := f.ForeignWrites(bg)
		if err != nil || !known {
			t.Fatalf("in a store that Init made it must be known whether others write: %v, %v", known, err)
		}
		return n
	}
	before := foreign()
	one.mustApply(t, create(k.plain(1)), create(k.plain(2)))
	one.mustApply(t, update(k.plain(1), 1))
	if n := foreign(); n != before {
		t.Errorf("writes of the handle itself are not foreign: %d became %d", before, n)
	}
	other := k.open(t, one.url)
	for _, m := range []driver.Mutation{create(k.plain(3)), update(k.plain(1), 0), remove(k.id(2), 0)} {
		before = foreign()
		other.mustApply(t, m)
		if n := foreign(); n == before {
			t.Errorf("after %s by another handle it must not be %d still", describe([]driver.Mutation{m}), n)
		}
	}
}
