package drivertest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/url"
)

// testSchema checks that Init creates what is missing, rejects what does not fit, and leaves
// alone what it does not know.
func testSchema(t *testing.T, s *suite) {
	s.forBoth(t, "init is idempotent", testInitIsIdempotent)
	s.forText(t, "a store keeps its own identity", testAStoreKeepsItsOwnIdentity)
	s.forBoth(t, "eight handles make one store at once", testEightHandlesMakeOneStoreAtOnce)
	s.forBoth(t, "the other kind of IDs is rejected", testTheOtherKindOfIDsIsRejected)
	s.forBoth(t, "columns are added, dropped and added again", testColumns)
	s.forBoth(t, "an update leaves the columns of others alone", testUnknownColumns)
	s.forText(t, "NoCreate creates nothing", testNoCreate)
	s.forText(t, "NoCreate works on an existing store", testNoCreateThere)
}

func testInitIsIdempotent(t *testing.T, k *kit) {
	st := k.fresh(t, fields...)
	st.mustApply(t, create(k.rec(1)))
	before := st.all(t)
	meta, err := st.Init(t.Context(), st.schema)
	if err != nil {
		t.Fatalf("Init must work when called again: %v", err)
	}
	if d := diff(st.meta, meta); d != "" {
		t.Errorf("Init must say the same when called again (-first +second):\n%s", d)
	}
	if d := diff(before, st.all(t)); d != "" {
		t.Errorf("Init must change no record (-before +after):\n%s", d)
	}
	if len(st.meta.Missing) != 0 || st.meta.NoCounter {
		t.Errorf("a store made by Init must have its counter and every column: %+v", st.meta)
	}
}

func testAStoreKeepsItsOwnIdentity(t *testing.T, k *kit) {
	st, other := k.fresh(t), k.fresh(t)
	if st.meta.Identity == "" || st.meta.Identity == other.meta.Identity {
		t.Errorf("two stores must have two identities, not %q and %q", st.meta.Identity, other.meta.Identity)
	}
	k.needsReopening(t)
	if again := k.open(t, st.url); again.meta.Identity != st.meta.Identity {
		t.Errorf("every opening must give the same identity %q, not %q", st.meta.Identity, again.meta.Identity)
	}
}

func testEightHandlesMakeOneStoreAtOnce(t *testing.T, k *kit) {
	k.needsReopening(t)
	for range 3 {
		rawURL := k.URL(t)
		stores := make([]*store, 8)
		parallel(t, len(stores), func(g int) (err error) {
			stores[g], err = k.tryOpen(t, rawURL, driver.OpenOptions{}, k.schema(fields...))
			if err == nil {
				_, err = stores[g].Apply(bg, []driver.Mutation{create(k.rec(g))})
			}
			return err
		})
		if t.Failed() {
			t.Fatal("Init must be safe when several do it at once")
		}
		for _, st := range stores {
			if st.meta.Identity != stores[0].meta.Identity {
				t.Errorf("handles that make one store at once must agree on its identity, not have %q and %q", st.meta.Identity, stores[0].meta.Identity)
			}
			if n := len(st.all(t)); n != len(stores) {
				t.Errorf("handles that make one store at once must all see %d records, not %d", len(stores), n)
			}
		}
	}
}

func testTheOtherKindOfIDsIsRejected(t *testing.T, k *kit) {
	k.needsReopening(t)
	for _, records := range []int{0, 1} {
		st := k.fresh(t)
		for n := range records {
			st.mustApply(t, create(k.plain(n)))
		}
		other := k.schema()
		other.IntegerIDs = !k.integer
		if _, err := k.tryOpen(t, st.url, driver.OpenOptions{}, other); err == nil {
			t.Fatalf("Init must refuse a schema with the other kind of IDs on a store of %s IDs", k.kind())
		}
		if n := len(k.open(t, st.url).all(t)); n != records {
			t.Errorf("an Init that is refused must change nothing: %d records are left of %d", n, records)
		}
	}
}

func testColumns(t *testing.T, k *kit) {
	k.needsReopening(t)
	name, order, due := fields[0], fields[2], fields[6]
	st := k.fresh(t, name)
	old := k.rec(1)
	old.Fields = []any{"first"}
	st.mustApply(t, create(old))

	wider := k.open(t, st.url, order, name, due) // and in another order
	want := old
	want.Revision, want.Fields = 1, []any{nil, "first", nil}
	if d := diff(want, wider.one(t, k.id(1))); d != "" {
		t.Fatalf("a column added by Init must be NULL in the records that are there (-want +got):\n%s", d)
	}
	second := k.rec(2)
	second.Fields, second.Revision = []any{int64(2), "second", baseTime}, 1
	wider.mustApply(t, create(second))
	if d := diff(second, wider.one(t, k.id(2))); d != "" {
		t.Errorf("a record must have a value in a column added by Init (-want +got):\n%s", d)
	}
	for _, c := range []struct {
		cond driver.Cond
		want driver.ID
	}{
		{driver.Cond{Column: "order", Op: driver.Eq, Values: []any{int64(2)}}, k.id(2)},
		{driver.Cond{Column: "order", Op: driver.IsNull}, k.id(1)},
		{driver.Cond{Column: "name", Op: driver.Eq, Values: []any{"first"}}, k.id(1)},
	} {
		q := &driver.Query{Where: []driver.Cond{c.cond}}
		if d := diff([]driver.ID{c.want}, idsOf(wider.scan(t, q))); d != "" {
			t.Errorf("%s must use the right column (-want +got):\n%s", text(q), d)
		}
	}
	asc := &driver.Query{Order: []driver.Order{{Column: "order", Desc: true}}}
	if d := diff(k.ids(1, 3), sorted(idsOf(wider.scan(t, asc)), k.id(2))); d != "" {
		t.Errorf("an order must put the NULL of an older record last (-want +got):\n%s", d)
	}

	// The narrow handle is still open and still works with its own columns.
	narrow := second
	narrow.Fields = []any{"second"}
	if d := diff(narrow, st.one(t, k.id(2))); d != "" {
		t.Errorf("a handle must read the fields of its own schema (-want +got):\n%s", d)
	}
	none := k.open(t, st.url)
	narrow.Fields = nil
	if d := diff(narrow, none.one(t, k.id(2))); d != "" {
		t.Errorf("a schema without fields must read none (-want +got):\n%s", d)
	}
}

// sorted moves first, which must be at the front, to the end.
func sorted(ids []driver.ID, first driver.ID) []driver.ID {
	if len(ids) > 0 && ids[0] == first {
		return append(ids[1:], first)
	}
	return ids
}

func testUnknownColumns(t *testing.T, k *kit) {
	k.needsReopening(t)
	wide := k.fresh(t, fields...)
	wide.mustApply(t, create(k.rec(1)), create(k.rec(2)), create(k.rec(3)), create(k.rec(4)))
	narrow := k.open(t, wide.url, fields[6], fields[0])
	write := func(n int) driver.Record {
		r := k.rec(n)
		r.Fields = []any{nil, "narrow"}
		return r
	}
	narrow.mustApply(t, update(write(1), 1), update(write(2), 0), put(write(3)), put(write(5)))
	for n := range 5 {
		want := k.rec(n + 1)
		want.Revision = 2
		switch n + 1 {
		case 4:
			want.Revision = 1
		case 5:
			want.Revision, want.Fields = 1, make([]any, len(fields))
			fallthrough
		default:
			want.Fields[0], want.Fields[6] = "narrow", nil
		}
		if d := diff(want, wide.one(t, want.ID)); d != "" {
			t.Errorf("Update and Put must leave alone the columns that the schema does not know (-want +got):\n%s", d)
		}
	}
	// Removing a record removes all its columns.
	narrow.mustApply(t, remove(k.id(1), 0))
	narrow.mustApply(t, create(write(1)))
	if got := wide.one(t, k.id(1)).Fields; got[2] != nil || got[0] != "narrow" {
		t.Errorf("a record created again must have none of the values that its forerunner had, not %v", got)
	}
}

func testNoCreate(t *testing.T, k *kit) {
	k.needsReopening(t)
	rawURL := k.URL(t)
	folder, before := listing(t, rawURL)
	for range 2 {
		if _, err := k.tryOpen(t, rawURL, driver.OpenOptions{NoCreate: true}, k.schema()); err == nil {
			t.Fatal("with NoCreate a store that is not there must be an error, and must not be made")
		}
	}
	if _, after := listing(t, rawURL); diff(before, after) != "" {
		t.Errorf("with NoCreate nothing must be made in %s (-before +after):\n%s", folder, diff(before, after))
	}
}

// listing lists the directory for the store of a URL, if it is on this machine.
func listing(t *testing.T, rawURL string) (folder string, names []string) {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	if u.Host() != "" || !filepath.IsAbs(u.Path()) {
		return "", nil
	}
	folder = filepath.Dir(u.Path())
	entries, _ := os.ReadDir(folder) // none if the directory does not exist
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return folder, names
}

func testNoCreateThere(t *testing.T, k *kit) {
	k.needsReopening(t)
	st := k.fresh(t, fields[:2]...)
	r := k.rec(1)
	r.Fields = r.Fields[:2]
	st.mustApply(t, create(r))
	same, err := k.tryOpen(t, st.url, driver.OpenOptions{NoCreate: true}, st.schema)
	if err != nil {
		t.Fatalf("NoCreate must open a store that is there: %v", err)
	}
	if d := diff(st.meta, same.meta); d != "" {
		t.Errorf("NoCreate must say the same of a store that Init made (-want +got):\n%s", d)
	}
	same.mustApply(t, update(r, 1), create(k.with(2, 2)))
	if d := diff(st.all(t), same.all(t)); d != "" || st.count(t, &driver.Query{}) != 2 {
		t.Errorf("a store opened with NoCreate must be readable and writable (-want +got):\n%s", d)
	}

	// A missing column is reported, and left out.
	more, err := k.tryOpen(t, st.url, driver.OpenOptions{NoCreate: true}, k.schema(fields[:3]...))
	if err != nil {
		t.Fatalf("NoCreate must open a store that lacks a column: %v", err)
	}
	more.mustApply(t, create(k.with(3, 3)))
	switch got := more.one(t, k.id(3)).Fields; {
	case len(more.meta.Missing) == 0: // the backend stores fields by name, and need not add columns
		if d := diff(k.with(3, 3).Fields, got); d != "" {
			t.Errorf("a column that is not in Meta.Missing must hold its values (-want +got):\n%s", d)
		}
	case diff([]string{fields[2].Name}, more.meta.Missing) != "":
		t.Errorf("Meta.Missing must name the missing column %q alone, not %q", fields[2].Name, more.meta.Missing)
	case len(got) != 3 || got[0] != "name 3" || got[2] != nil:
		t.Errorf("writes must leave out a missing column, and reads give NULL for it, not %v", got)
	}
}

// with returns record n with only its first fields.
func (k *kit) with(n, fields int) driver.Record {
	r := k.rec(n)
	r.Fields = r.Fields[:fields]
	return r
}
