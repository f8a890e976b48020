package sql_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/brine-go/brine/internal/sqltest"
	"github.com/brine-go/brine/persistence/driver"
)

var nameSchema = driver.Schema{IntegerIDs: true, Fields: []driver.Column{{Name: "name", Kind: driver.Text, InIndex: true}}}

func named(id int, name any) driver.Mutation {
	r := sqltest.Record(driver.ID(fmt.Sprint(id)), "data")
	r.Fields = []any{name}
	return driver.Mutation{Op: driver.Create, Rec: r}
}

func wantHolder(t *testing.T, err error, holder driver.ID, columns ...string) {
	t.Helper()
	ue, ok := errors.AsType[*driver.UniqueError](err)
	if !ok || ue.Holder != holder || strings.Join(ue.Columns, " ") != strings.Join(columns, " ") {
		t.Errorf("got %v, want that %q has the values of %q", err, holder, columns)
	}
}

// A unique index made by hand serves, and its refusals are ErrUnique.
func TestUniqueIndexesMadeByHand(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, d database) {
		ctx := t.Context()
		first := d.open(t, nameSchema, driver.OpenOptions{Table: "store"})
		sqltest.Apply(t, first, named(1, "a"))
		x := driver.Index{Columns: []string{"name"}, Unique: true}
		closed := d.open(t, nameSchema, driver.OpenOptions{Table: "store", NoCreate: true}).(driver.Indexer)
		if err := closed.MakeIndexes(ctx, []driver.Index{x}); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("an index that is not there: %v", err)
		}
		if _, err := d.raw(t).ExecContext(ctx, "CREATE UNIQUE INDEX my_names ON store (name)"); err != nil {
			t.Fatal(err)
		}
		if err := closed.MakeIndexes(ctx, []driver.Index{x, {Columns: []string{"name"}}}); err != nil {
			t.Errorf("the index made by hand: %v", err)
		}
		for _, b := range []driver.Backend{first, d.open(t, nameSchema, driver.OpenOptions{Table: "store", NoCreate: true})} {
			_, err := b.Apply(ctx, []driver.Mutation{named(2, "a")})
			wantHolder(t, err, "1", "name")
		}
		if err := first.(driver.Indexer).DropIndex(ctx, x); !errors.Is(err, driver.ErrNotFound) {
			t.Errorf("DropIndex of one made by hand: %v", err)
		}
		if err := first.(driver.Indexer).MakeIndexes(ctx, []driver.Index{x}); err != nil {
			t.Errorf("MakeIndexes: %v", err)
		}
	})
}

// An index that someone has dropped by hand is made again by the next program that declares it.
func TestIndexesDroppedByHand(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, d database) {
		ctx := t.Context()
		x := driver.Index{Columns: []string{"name"}, Unique: true}
		b := d.open(t, nameSchema, driver.OpenOptions{Table: "store"})
		if err := b.(driver.Indexer).MakeIndexes(ctx, []driver.Index{x}); err != nil {
			t.Fatal(err)
		}
		sqltest.Apply(t, b, named(1, "a"))
		drop := "DROP INDEX store_name_cd80dffd" // as docs/format.md says
		if d.name == "mariadb" {
			drop += " ON store"
		}
		if _, err := d.raw(t).ExecContext(ctx, drop); err != nil {
			t.Fatal(err)
		}
		again := d.make(t, driver.OpenOptions{Table: "store"})
		meta, err := again.Init(ctx, nameSchema)
		if err != nil || meta.Catalog.Serves(x) {
			t.Fatalf("Init says that the index is there: %+v, %v", meta.Catalog, err)
		}
		if err := again.(driver.Indexer).MakeIndexes(ctx, []driver.Index{x}); err != nil {
			t.Fatal(err)
		}
		_, err = again.Apply(ctx, []driver.Mutation{named(2, "a")})
		wantHolder(t, err, "1", "name")
	})
}

// Names of tables and columns may have 63 bytes: those of indexes have no more, and differ.
func TestNamesOfIndexes(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, d database) {
		long := strings.Repeat("x", 62)
		s := driver.Schema{IntegerIDs: true}
		for _, end := range "abc" {
			s.Fields = append(s.Fields, driver.Column{Name: long + string(end), Kind: driver.Int, Indexed: true})
		}
		b := d.open(t, s, driver.OpenOptions{Table: strings.Repeat("t", 63)}).(driver.Indexer)
		a, bb, c := s.Fields[0].Name, s.Fields[1].Name, s.Fields[2].Name
		xs := []driver.Index{{Columns: []string{a, bb}}, {Columns: []string{bb, a}}, {Columns: []string{a, c}, Unique: true}, {Columns: []string{c}, Unique: true}}
		if err := b.MakeIndexes(t.Context(), xs); err != nil {
			t.Fatal(err)
		}
		for _, x := range xs {
			if err := b.DropIndex(t.Context(), x); err != nil {
				t.Errorf("%v: %v", x, err)
			}
		}
	})
}

// In MariaDB a text column has a type that an index holds whole, from its first index on.
func TestATextColumnBecomesShort(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, d database) {
		ctx := t.Context()
		s := driver.Schema{IntegerIDs: true, Fields: []driver.Column{{Name: "name", Kind: driver.Text}}}
		b := d.open(t, s, driver.OpenOptions{Table: "store"})
		long := strings.Repeat("é", 256)
		sqltest.Apply(t, b, named(1, "a"), named(2, long))
		x := driver.Index{Columns: []string{"name", driver.ColState}, Unique: true}
		if err := b.(driver.Indexer).MakeIndexes(ctx, []driver.Index{x}); err == nil || !strings.Contains(err.Error(), `"2"`) {
			t.Fatalf("an index over a text that is too long: %v", err)
		}
		m := named(2, long[:510])
		m.Op = driver.Update
		sqltest.Apply(t, b, m)
		if err := b.(driver.Indexer).MakeIndexes(ctx, []driver.Index{x}); err != nil {
			t.Fatal(err)
		}
		other := named(3, long[:508]+"e")
		sqltest.Apply(t, b, other) // differs in the last character
		_, err := b.Apply(ctx, []driver.Mutation{named(4, long[:510])})
		wantHolder(t, err, "2", "name", driver.ColState)
		if got := sqltest.Get(t, b, driver.Fields, "2")["2"].Fields; len(got) != 1 || got[0] != long[:510] {
			t.Errorf("the value has become %v", got)
		}
	})
}
