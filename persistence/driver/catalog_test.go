package driver_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence/driver"
)

// text and number are columns for all types, or for some.
func text(name string, types ...string) driver.Column {
	return driver.Column{Name: name, Kind: driver.Text, Types: types}
}

func number(name string, types ...string) driver.Column {
	return driver.Column{Name: name, Kind: driver.Int, Types: types}
}

// declare returns the catalog after some programs have declared their fields, one after the other.
func declare(t *testing.T, programs ...[]driver.Column) *driver.Catalog {
	t.Helper()
	c := &driver.Catalog{}
	for _, fields := range programs {
		if _, _, err := c.Declare(fields); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func TestDeclare(t *testing.T) {
	t.Parallel()
	host := []driver.Column{text("host")}
	for name, tt := range map[string]struct {
		before  []driver.Column // of an earlier program; nil: there was none
		fields  []driver.Column
		set     int64
		changed bool
		err     string
	}{
		"the first fields":                  {nil, host, 1, true, ""},
		"no fields":                         {nil, nil, 0, true, ""},
		"the same fields again":             {host, host, 1, false, ""},
		"the same in other letters":         {host, []driver.Column{text("HOST")}, 1, false, ""},
		"further fields":                    {host, []driver.Column{text("host"), number("prio")}, 2, true, ""},
		"fewer fields":                      {host, []driver.Column{number("prio")}, 2, true, ""},
		"for other types":                   {host, []driver.Column{text("host", "Task")}, 2, true, ""},
		"another order of the types":        {[]driver.Column{text("host", "A", "B")}, []driver.Column{text("host", "B", "A", "A")}, 1, false, ""},
		"indexed, which says nothing of it": {host, []driver.Column{{Name: "host", Kind: driver.Text, Indexed: true}}, 1, true, ""},
		"another kind":                      {host, []driver.Column{number("Host")}, 0, false, `DropField(ctx, "host")`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &driver.Catalog{}
			if tt.before != nil {
				c = declare(t, tt.before)
			}
			before := c.Clone()
			set, changed, err := c.Declare(tt.fields)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got %v, want an error with %s", err, tt.err)
				}
			} else if err != nil {
				t.Fatal(err)
			}
			if set != tt.set || changed != tt.changed {
				t.Errorf("set %d, changed %v; want %d, %v", set, changed, tt.set, tt.changed)
			}
			if differs := !cmp.Equal(before, c); differs != changed {
				t.Errorf("changed is %v:\n%s", changed, cmp.Diff(before, c))
			}
		})
	}
}

func TestGaps(t *testing.T) {
	t.Parallel()
	all, tasks, some := []driver.Column{text("host")}, []driver.Column{text("host", "Task")}, []driver.Column{text("host", "Task", "Job")}
	for name, tt := range map[string]struct {
		programs [][]driver.Column
		types    []string // of the column
		want     []driver.Gap
	}{
		"one program":                         {[][]driver.Column{all}, nil, nil},
		"one that fills it for a type":        {[][]driver.Column{tasks}, []string{"Task"}, nil},
		"one that lacks it":                   {[][]driver.Column{all, {number("prio")}}, nil, []driver.Gap{{Set: 2}}},
		"one without fields":                  {[][]driver.Column{all, nil}, nil, []driver.Gap{{}}},
		"one without fields, for a type":      {[][]driver.Column{tasks, nil}, []string{"Task"}, []driver.Gap{{Types: []string{"Task"}}}},
		"filled for a type and wanted of all": {[][]driver.Column{all, tasks}, nil, []driver.Gap{{Set: 2, Except: []string{"Task"}}}},
		"filled for one type of two":          {[][]driver.Column{some, tasks}, []string{"Job", "Task"}, []driver.Gap{{Set: 2, Types: []string{"Job"}}}},
		"filled for all and wanted of one":    {[][]driver.Column{all, tasks}, []string{"Task"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := declare(t, tt.programs...)
			if diff := cmp.Diff(tt.want, c.Gaps("HOST", tt.types)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if c.Mixed() != (len(tt.programs) > 1) {
				t.Errorf("Mixed is %v after %d programs", c.Mixed(), len(tt.programs))
			}
		})
	}
}

// A record is in what Incomplete returns if it lacks a column or more, and only then.
func TestIncompleteIsTheUnionOfTheGaps(t *testing.T) {
	t.Parallel()
	programs := [][]driver.Column{
		{text("a"), number("b", "T1", "T2")},
		{text("a", "T1")},
		{number("b", "T2"), text("a", "T2", "T3")},
		{text("a")},
		nil,
	}
	c := declare(t, programs...)
	for _, fields := range [][]driver.Column{programs[0], programs[1], programs[2], {text("a")}, {number("b", "T2")}} {
		for set := range int64(5) {
			for _, typ := range []string{"T1", "T2", "T3", "T4"} {
				rec := &driver.Record{ID: "1", Type: typ, ColumnSet: set}
				lacks := false
				for _, f := range fields {
					lacks = lacks || inGaps(c.Gaps(f.Name, f.Types), rec)
				}
				if got := inGaps(c.Incomplete(fields), rec); got != lacks {
					t.Errorf("fields %v: a %s of set %d: in a gap %v, want %v", fields, typ, set, got, lacks)
				}
			}
		}
	}
}

// inGaps reports whether the conditions of a gap hold for a record.
func inGaps(gaps []driver.Gap, r *driver.Record) bool {
	columns := driver.NewColumns(driver.Schema{})
	for i := range gaps {
		if columns.Match(&driver.Query{Where: gaps[i].Where()}, r) {
			return true
		}
	}
	return false
}

func TestCatalogsAreDecodedAsTheyWere(t *testing.T) {
	t.Parallel()
	full := declare(t, []driver.Column{text("host", "Task"), {Name: "prio", Kind: driver.Int, Indexed: true}}, nil)
	full.AddIndex(driver.Index{Columns: []string{"state", "host"}, Unique: true})
	for name, c := range map[string]*driver.Catalog{"empty": {}, "full": full} {
		stored, err := c.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := driver.DecodeCatalog(stored)
		if diff := cmp.Diff(c, again); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
	for name, tt := range map[string]struct{ stored, want string }{
		"no JSON":                {"{", "unexpected end"},
		"an unknown kind":        {`{"columns":[{"name":"a","kind":"colour"}]}`, `"colour"`},
		"a bad name":             {`{"columns":[{"name":"a b","kind":"text"}]}`, `"a b"`},
		"an index of no columns": {`{"indexes":[{"columns":[]}]}`, "without columns"},
		"an index of no column":  {`{"indexes":[{"columns":["host"]}]}`, `"host"`},
		"a set with number 0":    {`{"sets":{"0":{}}}`, "number 0"},
	} {
		if _, err := driver.DecodeCatalog(tt.stored); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", name, err, tt.want)
		}
	}
}

func TestDropOfAColumn(t *testing.T) {
	t.Parallel()
	c := declare(t, []driver.Column{text("host"), number("prio")})
	c.AddIndex(driver.Index{Columns: []string{"state", "host"}})
	c.AddIndex(driver.Index{Columns: []string{"prio"}})
	kept := c.Clone()
	if c.Drop("absent") || !cmp.Equal(kept, c) {
		t.Errorf("a column that is not there was dropped:\n%s", cmp.Diff(kept, c))
	}
	if !c.Drop("HOST") {
		t.Error("a column in other letters was not dropped")
	}
	want := declare(t, []driver.Column{number("prio")})
	want.AddIndex(driver.Index{Columns: []string{"prio"}})
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if kept.Column("host") == nil || len(kept.Indexes) != 2 {
		t.Error("the clone changed with it")
	}
}

func TestUnionOfSets(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ a, b, want driver.ColumnSet }{
		"of nothing":          {nil, nil, driver.ColumnSet{}},
		"of different ones":   {driver.ColumnSet{"a": nil}, driver.ColumnSet{"b": {"T"}}, driver.ColumnSet{"a": nil, "b": {"T"}}},
		"types of both":       {driver.ColumnSet{"a": {"U"}}, driver.ColumnSet{"a": {"T", "U"}}, driver.ColumnSet{"a": {"T", "U"}}},
		"all types and one":   {driver.ColumnSet{"a": nil}, driver.ColumnSet{"a": {"T"}}, driver.ColumnSet{"a": nil}},
		"one and all types":   {driver.ColumnSet{"a": {"T"}}, driver.ColumnSet{"a": nil}, driver.ColumnSet{"a": nil}},
		"no type is not nil":  {driver.ColumnSet{"a": {}}, nil, driver.ColumnSet{"a": {}}},
		"of one with nothing": {nil, driver.ColumnSet{"a": {"T"}}, driver.ColumnSet{"a": {"T"}}},
	} {
		if diff := cmp.Diff(tt.want, tt.a.Union(tt.b)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}

// A plainBackend has no optional ability.
type plainBackend struct{ driver.Backend }

func TestAbilitiesThatABackendLacks(t *testing.T) {
	t.Parallel()
	ctx, b := context.Background(), plainBackend{}
	for name, call := range map[string]func() error{
		"CatalogOf":      func() error { _, err := driver.CatalogOf(ctx, b); return err },
		"ObjectsWith":    func() error { _, err := driver.ObjectsWith(ctx, b, nil, true); return err },
		"InitNamespace":  func() error { return driver.InitNamespace(ctx, b, driver.Pairs, driver.Schema{}) },
		"InNamespace":    func() error { _, err := driver.InNamespace(reader{}, driver.Pairs); return err },
		"ApplyExclusive": func() error { _, err := driver.ApplyExclusive(ctx, b, "", nil); return err },
	} {
		if err := call(); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v, want errors.ErrUnsupported", name, err)
		}
	}
}

// A reader has no records and no optional ability.
type reader struct{ driver.Reader }

func TestAliasesAreOfTheObjects(t *testing.T) {
	t.Parallel()
	a, b := driver.Alias([]driver.Column{text("host")}), driver.Alias([]driver.Column{number("host")})
	for name, tt := range map[string]struct{ ns, want driver.Namespace }{
		"an alias": {a, driver.Objects}, "the objects": {driver.Objects, driver.Objects}, "the pairs": {driver.Pairs, driver.Pairs},
	} {
		if got := tt.ns.Storage(); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	if a == b || a != driver.Alias([]driver.Column{text("host")}) {
		t.Errorf("lists of columns have the names %q and %q", a, b)
	}
}
