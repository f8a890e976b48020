package sqlite_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/internal/sqltest"
	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/sql/sqlite"
)

func TestATableMadeByHandServes(t *testing.T) {
	t.Parallel()
	path := file(t)
	db := raw(t, path)
	run(t, db, `CREATE TABLE "Jobs" ("ID" INTEGER PRIMARY KEY, "Data" BLOB, "State" VARCHAR(128), note TEXT DEFAULT 'mine')`, sqltest.RowsByHand)
	before := schemaOf(t, path)
	b, meta := sqltest.TableByHand(t, sqlite.Open, fileURL(path))
	_, again := open(t, fileURL(path), sqltest.FieldsByHand, driver.OpenOptions{Table: "JOBS", NoCreate: true})
	if again.Identity != meta.Identity {
		t.Errorf("identities %q and %q", meta.Identity, again.Identity)
	}
	if ids := scan(t, b, &driver.Query{Where: []driver.Cond{{Column: driver.ColState, Op: driver.Ne, Values: []any{"NEW"}}}}); len(ids) != 3 {
		t.Errorf("IDs %v", ids)
	}
	for range 2 {
		if first, err := b.NextIDs(t.Context(), 5); err != nil || first != 9 && first != 14 {
			t.Errorf("number %d, %v", first, err)
		}
	}
	err := b.View(t.Context(), func(r driver.Reader) error {
		_, err := r.Count(t.Context(), &driver.Query{Where: []driver.Cond{{Column: "host", Op: driver.IsNull}}})
		return err
	})
	if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "host") {
		t.Errorf("query on a column that is not there: %v", err)
	}

	if d := cmp.Diff(before, schemaOf(t, path)); d != "" {
		t.Errorf("NoCreate altered the database (-before +after):\n%s", d)
	}
	var notes string
	if err := db.QueryRow(`SELECT group_concat(coalesce(note, 'NULL') ORDER BY id) FROM jobs`).Scan(&notes); err != nil || notes != "mine,keep,keep" {
		t.Errorf("notes %q, %v", notes, err)
	}
}

func TestNullStatesCountAsEmpty(t *testing.T) {
	t.Parallel()
	path := file(t)
	run(t, raw(t, path), `CREATE TABLE store (id INTEGER PRIMARY KEY, data BLOB, state VARCHAR(128))`,
		`INSERT INTO store VALUES (1, x'', 'B'), (2, x'', NULL), (3, x'', ''), (4, x'', 'A')`)
	b, _ := open(t, fileURL(path), integers, driver.OpenOptions{NoCreate: true})
	cond := func(op driver.CmpOp, vs ...any) *driver.Query {
		return &driver.Query{Where: []driver.Cond{{Column: driver.ColState, Op: op, Values: vs}}}
	}
	byState := []driver.Order{{Column: driver.ColState}}
	for name, tt := range map[string]struct {
		q    *driver.Query
		want []driver.ID
	}{
		"equal to nothing":  {cond(driver.Eq, ""), []driver.ID{"2", "3"}},
		"one of":            {cond(driver.In, "", "A"), []driver.ID{"2", "3", "4"}},
		"one of, not empty": {cond(driver.In, "B", "A"), []driver.ID{"1", "4"}},
		"not equal":         {cond(driver.Ne, "A"), []driver.ID{"1", "2", "3"}},
		"none of":           {cond(driver.NotIn, "", "A"), []driver.ID{"1"}},
		"less":              {cond(driver.Lt, "A"), []driver.ID{"2", "3"}},
		"any prefix":        {cond(driver.HasPrefix, ""), []driver.ID{"1", "2", "3", "4"}},
		"null":              {cond(driver.IsNull), nil},
		"in order":          {&driver.Query{Order: byState}, []driver.ID{"2", "3", "4", "1"}},
		"after a cursor":    {&driver.Query{Order: byState, After: &driver.Cursor{Values: []any{""}, ID: "2"}}, []driver.ID{"3", "4", "1"}},
	} {
		if got := scan(t, b, tt.q); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

// schemaOf returns what the catalogue of a database holds, without the indexes that SQLite makes.
func schemaOf(t testing.TB, path string) []string {
	t.Helper()
	rows, err := raw(t, path).QueryContext(t.Context(), "SELECT coalesce(sql, name) FROM sqlite_schema ORDER BY name")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestMissingColumnsAreAdded(t *testing.T) {
	t.Parallel()
	path := file(t)
	db := raw(t, path)
	run(t, db, `CREATE TABLE store (id VARCHAR(191) PRIMARY KEY, data BLOB, state VARCHAR(128), mine INTEGER DEFAULT 5)`,
		`INSERT INTO store (id, data, state) VALUES ('Task.41', x'010203', 'NEW')`)
	var identity string
	for i, fields := range [][]driver.Column{nil, {{Name: "host", Kind: driver.Text, Indexed: true}}, {{Name: "n", Kind: driver.Int}, {Name: "HOST", Kind: driver.Text}}} {
		b, meta := open(t, fileURL(path), driver.Schema{Fields: fields}, driver.OpenOptions{})
		if len(meta.Missing) > 0 || meta.NoCounter || identity != "" && meta.Identity != identity {
			t.Errorf("opening %d: %+v", i, meta)
		}
		identity = meta.Identity
		want := driver.Record{ID: "Task.41", State: "NEW", Revision: 1, Size: 3, Data: []byte{1, 2, 3}}
		if i > 0 {
			want.Fields = make([]any, len(fields))
		}
		if d := cmp.Diff(want, get(t, b, everything, "Task.41")["Task.41"]); d != "" {
			t.Errorf("opening %d (-want +got):\n%s", i, d)
		}
		if first, err := b.NextIDs(t.Context(), 1); err != nil || first != int64(42+i) {
			t.Errorf("opening %d: number %d, %v", i, first, err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	schema := schemaOf(t, path)
	b, _ := open(t, fileURL(path), driver.Schema{}, driver.OpenOptions{})
	apply(t, b, driver.Mutation{Op: driver.Update, Rec: record("Task.41", "x")}, driver.Mutation{Op: driver.Put, Rec: record("Task.42", "x")})
	run(t, db, "UPDATE store SET mine = mine + 1, host = 'here', n = 3")
	apply(t, b, driver.Mutation{Op: driver.Update, Rec: record("Task.41", "y")}, driver.Mutation{Op: driver.Put, Rec: record("Task.42", "y")})
	var kept int
	if err := db.QueryRow("SELECT count(*) FROM store WHERE mine = 6 AND host = 'here' AND n = 3").Scan(&kept); err != nil || kept != 2 {
		t.Errorf("%d rows kept the columns that the store does not know, %v", kept, err)
	}
	if d := cmp.Diff(schema, schemaOf(t, path)); d != "" {
		t.Errorf("opening again altered the database (-before +after):\n%s", d)
	}
}

func TestTablesThatDoNotFitAreRefused(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		sql     string
		integer bool
		want    string
	}{
		"text IDs on a table of integers":      {"CREATE TABLE store (id INTEGER PRIMARY KEY, data BLOB, state TEXT)", false, "text IDs do not fit"},
		"integer IDs on a table of texts":      {"CREATE TABLE store (id VARCHAR(191) PRIMARY KEY, data BLOB, state TEXT)", true, "integer IDs do not fit"},
		"IDs that are not unique":              {"CREATE TABLE store (id INTEGER, data BLOB, state TEXT)", true, "unique"},
		"IDs that ignore letter case":          {"CREATE TABLE store (id TEXT COLLATE NOCASE PRIMARY KEY, data BLOB, state TEXT)", false, "compared by bytes"},
		"IDs that are unique with another":     {"CREATE TABLE store (id INTEGER, n INTEGER, data BLOB, state TEXT, PRIMARY KEY (id, n))", true, "unique"},
		"no column for the data":               {"CREATE TABLE store (id INTEGER PRIMARY KEY, state TEXT)", true, `"data"`},
		"data that is computed":                {"CREATE TABLE store (id INTEGER PRIMARY KEY, data BLOB AS (x'00'), state TEXT)", true, `"data"`},
		"a view":                               {"CREATE VIEW store AS SELECT 1 AS id, x'' AS data, '' AS state", true, "view"},
		"a format of the future":               {"CREATE TABLE store (id INTEGER PRIMARY KEY, data BLOB, state TEXT); CREATE TABLE brine_stores (name TEXT PRIMARY KEY, identity TEXT, next BIGINT, format BIGINT); INSERT INTO brine_stores VALUES ('store', 'x', 0, 4)", true, "newer"},
		"text that is kept as UTF-16":          {"PRAGMA encoding = 'UTF-16le'; CREATE TABLE store (id INTEGER PRIMARY KEY, data BLOB, state TEXT)", true, "UTF-8"},
		"a column of the schema that computes": {"CREATE TABLE store (id INTEGER PRIMARY KEY, data BLOB, state TEXT, size BIGINT AS (1))", true, `"size"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := file(t)
			run(t, raw(t, path), strings.Split(tt.sql, ";")...)
			before := schemaOf(t, path)
			b, err := openBackend(fileURL(path), driver.OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			_, err = b.Init(t.Context(), driver.Schema{IntegerIDs: tt.integer})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v, want one that names the file and %s", err, tt.want)
			}
			if d := cmp.Diff(before, schemaOf(t, path)); d != "" {
				t.Errorf("the refusal altered the database (-before +after):\n%s", d)
			}
		})
	}
}

func TestNamesThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	path := file(t)
	attempts := []string{"", `x"; DROP TABLE store; --`, "x'y", "a b", "1a", "é", "x;y", "x--", "x\x00", strings.Repeat("x", 64)}
	for _, name := range append(slices.Clone(attempts[1:]), "brine_stores", "BRINE_STORES", "sqlite_master") {
		b, err := openBackend(fileURL(path), driver.OpenOptions{Table: name})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Init(t.Context(), integers); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", name)) {
			t.Errorf("table %q: %v", name, err)
		}
		b.Close()
	}
	for _, name := range append(attempts, "id", "DATA", "State", "revision") {
		b, err := openBackend(fileURL(path), driver.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.Init(t.Context(), driver.Schema{IntegerIDs: true, Fields: []driver.Column{{Name: name, Kind: driver.Int}}})
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", name)) {
			t.Errorf("column %q: %v", name, err)
		}
		b.Close()
	}
	words := driver.Schema{IntegerIDs: true, Fields: []driver.Column{{Name: "select", Kind: driver.Text, Indexed: true}, {Name: "Order", Kind: driver.Int}}}
	b, _ := open(t, fileURL(path), words, driver.OpenOptions{Table: "table"})
	apply(t, b, create("1", "x", "from", int64(2)))
	q := &driver.Query{Where: []driver.Cond{{Column: "select", Op: driver.Eq, Values: []any{"from"}}}, Order: []driver.Order{{Column: "Order", Desc: true}}}
	if ids := scan(t, b, q); len(ids) != 1 {
		t.Errorf("words of SQL as names: %v", ids)
	}
}

func TestTextOfAnotherCollationIsComparedByBytes(t *testing.T) {
	t.Parallel()
	path := file(t)
	run(t, raw(t, path), `CREATE TABLE store (id INTEGER PRIMARY KEY, data BLOB, state TEXT COLLATE NOCASE NOT NULL, host TEXT COLLATE NOCASE)`)
	b, _ := open(t, fileURL(path), driver.Schema{IntegerIDs: true, Fields: []driver.Column{{Name: "host", Kind: driver.Text}}}, driver.OpenOptions{})
	for i, host := range []string{"b", "B", "a", "A"} {
		m := create(driver.ID(fmt.Sprint(i)), "x", host)
		m.Rec.State = host
		apply(t, b, m)
	}
	for _, column := range []string{"host", driver.ColState} {
		q := &driver.Query{Where: []driver.Cond{{Column: column, Op: driver.Eq, Values: []any{"b"}}}}
		if ids := scan(t, b, q); !slices.Equal(ids, []driver.ID{"0"}) {
			t.Errorf("%s equal: %v", column, ids)
		}
		if ids := scan(t, b, &driver.Query{Order: []driver.Order{{Column: column}}}); !slices.Equal(ids, []driver.ID{"3", "1", "2", "0"}) {
			t.Errorf("%s in order: %v", column, ids)
		}
	}
}

func TestValuesOfOtherTypesAreConvertedOrCorrupt(t *testing.T) {
	t.Parallel()
	path := file(t)
	run(t, raw(t, path), `CREATE TABLE store (id INTEGER PRIMARY KEY, data BLOB, state TEXT, v, revision)`)
	for i, tt := range []struct {
		stored string
		kind   driver.Kind
		want   any // nil: corrupt
	}{
		{"12", driver.Text, "12"}, {"1.5", driver.Text, "1.5"}, {"x'c3a9'", driver.Text, "é"}, {"x'ff'", driver.Text, nil},
		{"2.0", driver.Int, int64(2)}, {"'17'", driver.Int, int64(17)}, {"2.5", driver.Int, nil}, {"'x'", driver.Int, nil}, {"1e300", driver.Int, nil},
		{"3", driver.Float, 3.0}, {"'0.5'", driver.Float, 0.5}, {"'x'", driver.Float, nil}, {"9007199254740993", driver.Float, nil},
		{"1", driver.Bool, true}, {"0.0", driver.Bool, false}, {"2", driver.Bool, nil},
		{"'text'", driver.Bytes, []byte("text")}, {"7", driver.Bytes, nil},
		{"1000000", driver.Time, time.Unix(1, 0).UTC()}, {"'today'", driver.Time, nil},
	} {
		id := driver.ID(fmt.Sprint(i + 1))
		run(t, raw(t, path), fmt.Sprintf("INSERT INTO store VALUES (%s, x'', '', %s, 1)", id, tt.stored))
		b, _ := open(t, fileURL(path), driver.Schema{IntegerIDs: true, Fields: []driver.Column{{Name: "v", Kind: tt.kind}}}, driver.OpenOptions{NoCreate: true})
		err := b.View(t.Context(), func(r driver.Reader) error {
			recs, err := r.Get(t.Context(), []driver.ID{id}, driver.Fields)
			if err == nil {
				if d := cmp.Diff(tt.want, recs[0].Fields[0]); d != "" {
					t.Errorf("%s as %v (-want +got):\n%s", tt.stored, tt.kind, d)
				}
			}
			return err
		})
		var re *driver.RecordError
		if corrupt := errors.Is(err, driver.ErrCorrupt) && errors.As(err, &re) && re.ID == id && strings.Contains(err.Error(), `"v"`); corrupt != (tt.want == nil) {
			t.Errorf("%s as %v: error %v", tt.stored, tt.kind, err)
		}
		b.Close()
	}
}

func TestOneCorruptRecordDoesNotEndAScan(t *testing.T) {
	t.Parallel()
	path := file(t)
	run(t, raw(t, path), `CREATE TABLE store (id INTEGER PRIMARY KEY, data BLOB, state TEXT, v)`,
		`INSERT INTO store VALUES (1, x'', '', 1), (2, x'', '', 'x'), (3, x'', '', 3)`)
	b, _ := open(t, fileURL(path), driver.Schema{IntegerIDs: true, Fields: []driver.Column{{Name: "v", Kind: driver.Int}}}, driver.OpenOptions{NoCreate: true})
	var seen []driver.ID
	_ = b.View(t.Context(), func(r driver.Reader) error {
		for rec, err := range r.Scan(t.Context(), &driver.Query{Parts: driver.Fields}) {
			if errors.Is(err, driver.ErrCorrupt) != (rec.ID == "2") {
				t.Errorf("record %q: %v", rec.ID, err)
			}
			seen = append(seen, rec.ID)
		}
		return nil
	})
	if !slices.Equal(seen, []driver.ID{"1", "2", "3"}) {
		t.Errorf("seen %v", seen)
	}
}
