package mysql_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/internal/sqltest"
	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/sql/mysql"
)

func TestATableMadeByHandServes(t *testing.T) {
	t.Parallel()
	rawURL := fresh(t)
	db := raw(t, rawURL)
	run(t, db, "CREATE TABLE jobs (`ID` INT AUTO_INCREMENT PRIMARY KEY, `Data` BLOB, `State` VARCHAR(128), note VARCHAR(20) DEFAULT 'mine') COLLATE latin1_swedish_ci", sqltest.RowsByHand)
	before := tables(t, rawURL)
	b, _ := sqltest.TableByHand(t, mysql.Open, rawURL)
	if first, err := b.NextIDs(t.Context(), 5); err != nil || first != 9 {
		t.Errorf("number %d, %v", first, err)
	}
	// The columns hold less than ours: what does not fit is refused, and never cut.
	long := create("11", strings.Repeat("x", 70_000), nil)
	if _, err := b.Apply(t.Context(), []driver.Mutation{long}); !errors.Is(err, driver.ErrTooLarge) {
		t.Errorf("data over a BLOB's 65,535 bytes: %v", err)
	}
	if _, err := b.Apply(t.Context(), []driver.Mutation{create("99999999999", "x", nil)}); !errors.Is(err, driver.ErrTooLarge) {
		t.Errorf("an ID over an INT: %v", err)
	}
	if len(get(t, b, everything, "11", "99999999999", "2147483647")) != 0 {
		t.Error("something of what was refused is there")
	}
	if d := cmp.Diff(before, tables(t, rawURL)); d != "" {
		t.Errorf("NoCreate altered the database (-before +after):\n%s", d)
	}
	var notes string
	if err := db.QueryRowContext(t.Context(), `SELECT group_concat(note ORDER BY id) FROM jobs`).Scan(&notes); err != nil || notes != "mine,keep,keep" {
		t.Errorf("notes %q, %v", notes, err)
	}
}

// tables returns the definitions of the tables of a database.
func tables(t testing.TB, rawURL string) map[string]string {
	t.Helper()
	db := raw(t, rawURL)
	rows, err := db.QueryContext(t.Context(), "SELECT table_name FROM information_schema.tables WHERE table_schema = database()")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	all := map[string]string{}
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		if err := db.QueryRowContext(t.Context(), "SHOW CREATE TABLE `"+name+"`").Scan(&name, &text); err != nil {
			t.Fatal(err)
		}
		all[name], _, _ = strings.Cut(text, " AUTO_INCREMENT=")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestOtherCollationsCompareByBytesAllTheSame(t *testing.T) {
	t.Parallel()
	for _, declared := range []string{
		"CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", "CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "CHARACTER SET latin1",
		"CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin",
	} {
		t.Run(declared, func(t *testing.T) {
			t.Parallel()
			rawURL := fresh(t)
			run(t, raw(t, rawURL), "CREATE TABLE store (id BIGINT PRIMARY KEY, data LONGBLOB, state VARCHAR(128) "+declared+", host VARCHAR(50) "+declared+")")
			s := driver.Schema{IntegerIDs: true, Fields: []driver.Column{{Name: "host", Kind: driver.Text, Indexed: true}}}
			b, _ := open(t, rawURL, s, driver.OpenOptions{})
			for i, v := range []string{"a", "A", "a ", "é", "e", "Z", ""} {
				m := create(driver.ID(fmt.Sprint(i)), "", v)
				m.Rec.State = v
				apply(t, b, m)
			}
			for _, column := range []string{driver.ColState, "host"} {
				q := func(op driver.CmpOp, vs ...any) []driver.ID {
					return scan(t, b, &driver.Query{Where: []driver.Cond{{Column: column, Op: op, Values: vs}}})
				}
				for _, c := range []struct {
					what      string
					got, want []driver.ID
				}{
					{"equal", q(driver.Eq, "a"), []driver.ID{"0"}},
					{"equal with a space", q(driver.Eq, "a "), []driver.ID{"2"}},
					{"equal with an accent", q(driver.Eq, "é"), []driver.ID{"3"}},
					{"in", q(driver.In, "A", "e"), []driver.ID{"1", "4"}},
					{"not equal", q(driver.Ne, "A"), []driver.ID{"0", "2", "3", "4", "5", "6"}},
					{"greater", q(driver.Gt, "a"), []driver.ID{"2", "3", "4"}},
					{"prefix", q(driver.HasPrefix, "a"), []driver.ID{"0", "2"}},
					{"in order", scan(t, b, &driver.Query{Order: []driver.Order{{Column: column}}}), []driver.ID{"6", "1", "5", "0", "2", "4", "3"}},
				} {
					if !slices.Equal(c.got, c.want) {
						t.Errorf("%s, %s: %q, want %q", column, c.what, c.got, c.want)
					}
				}
			}
		})
	}
}

func TestTablesThatDoNotFitAreRefused(t *testing.T) {
	t.Parallel()
	texts := driver.Schema{}
	for _, tt := range []struct {
		name, table string
		schema      driver.Schema
		want        string
	}{
		{"no transactions", "TABLE store (id BIGINT PRIMARY KEY, data LONGBLOB, state VARCHAR(128)) ENGINE=MyISAM", integers, "MyISAM"},
		{"a view", "VIEW store AS SELECT 1 AS id, 2 AS data, 3 AS state", integers, "view"},
		{"text IDs where numbers are wanted", "TABLE store (id VARCHAR(191) PRIMARY KEY, data LONGBLOB, state VARCHAR(128))", integers, "integer IDs do not fit"},
		{"numbers where text IDs are wanted", "TABLE store (id BIGINT PRIMARY KEY, data LONGBLOB, state VARCHAR(128))", texts, "text IDs do not fit"},
		{"IDs that fold letter case", "TABLE store (id VARCHAR(191) COLLATE utf8mb4_general_ci PRIMARY KEY, data LONGBLOB, state VARCHAR(128))", texts, "compared by bytes"},
		{"IDs that mind no space at the end", "TABLE store (id VARCHAR(191) COLLATE utf8mb4_bin PRIMARY KEY, data LONGBLOB, state VARCHAR(128))", texts, "compared by bytes"},
		{"IDs that lose spaces", "TABLE store (id CHAR(100) COLLATE utf8mb4_nopad_bin PRIMARY KEY, data LONGBLOB, state VARCHAR(128))", texts, "text IDs do not fit"},
		{"no key", "TABLE store (id BIGINT, data LONGBLOB, state VARCHAR(128))", integers, "neither primary key nor unique"},
		{"a key of the beginning alone", "TABLE store (id VARCHAR(191) COLLATE utf8mb4_nopad_bin NOT NULL, data LONGBLOB, state VARCHAR(128), UNIQUE (id(10)))", texts, "neither primary key nor unique"},
		{"computed data", "TABLE store (id BIGINT PRIMARY KEY, data LONGBLOB AS (hex(id)), state VARCHAR(128))", integers, `no column "data"`},
		{"no state", "TABLE store (id BIGINT PRIMARY KEY, data LONGBLOB)", driver.Schema{IntegerIDs: true}, "state"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rawURL := fresh(t)
			run(t, raw(t, rawURL), "CREATE "+tt.table)
			b, err := openBackend(rawURL, driver.OpenOptions{NoCreate: true})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			if _, err = b.Init(t.Context(), tt.schema); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestTextKeysMadeByHandServe(t *testing.T) {
	t.Parallel()
	for _, declared := range []string{"VARCHAR(191) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin", "VARBINARY(191)"} {
		t.Run(declared, func(t *testing.T) {
			t.Parallel()
			rawURL := fresh(t)
			run(t, raw(t, rawURL), "CREATE TABLE store (id "+declared+" PRIMARY KEY, data LONGBLOB, state VARCHAR(128))")
			b, _ := open(t, rawURL, driver.Schema{}, driver.OpenOptions{})
			ids := []driver.ID{"A", "a", "a ", "Task.9", "é"}
			for _, id := range ids {
				apply(t, b, create(id, "of "+string(id)))
			}
			for _, id := range ids {
				if got := get(t, b, everything, id)[id]; string(got.Data) != "of "+string(id) {
					t.Errorf("%q holds %q", id, got.Data)
				}
			}
			if got := scan(t, b, &driver.Query{}); !slices.Equal(got, []driver.ID{"A", "Task.9", "a", "a ", "é"}) {
				t.Errorf("IDs %q", got)
			}
		})
	}
}

func TestMissingColumnsAndIndexesAreAdded(t *testing.T) {
	t.Parallel()
	rawURL := fresh(t)
	run(t, raw(t, rawURL), "CREATE TABLE store (id VARCHAR(191) COLLATE utf8mb4_nopad_bin PRIMARY KEY, data LONGBLOB, state VARCHAR(128), mine INT DEFAULT 5, wide VARCHAR(2000))",
		`INSERT INTO store (id, data, state) VALUES ('Task.41', x'010203', 'NEW')`)
	var identity string
	for i, fields := range [][]driver.Column{
		nil,
		{{Name: "host", Kind: driver.Text}, {Name: "raw", Kind: driver.Bytes}},
		{{Name: "HOST", Kind: driver.Text, Indexed: true}, {Name: "raw", Kind: driver.Bytes, Indexed: true}, {Name: "wide", Kind: driver.Text, Indexed: true},
			{Name: "raw2", Kind: driver.Bytes, Indexed: true}, {Name: "n", Kind: driver.Int, Indexed: true}},
		{{Name: "host", Kind: driver.Text, Indexed: true}, {Name: "raw2", Kind: driver.Bytes, Indexed: true}},
	} {
		b, meta := open(t, rawURL, driver.Schema{Fields: fields}, driver.OpenOptions{})
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
	}
	text := tables(t, rawURL)["store"]
	for _, want := range []string{"(`raw`(255)", "(`raw2`(255)", "(`host`(255)", "(`wide`(255)", "(`state`)", "(`n`)"} {
		if strings.Count(text, want) != 1 {
			t.Errorf("%d indexes with %s in\n%s", strings.Count(text, want), want, text)
		}
	}
}

func TestAnInitThatWasCutOffIsFinished(t *testing.T) {
	t.Parallel()
	// Every statement that defines something commits by itself: what a crash leaves is any
	// beginning of them.
	rawURL := fresh(t)
	db := raw(t, rawURL)
	run(t, db, "CREATE TABLE store (id BIGINT PRIMARY KEY, data LONGBLOB NOT NULL, state VARCHAR(128))", `INSERT INTO store VALUES (1, x'010203', 'NEW')`,
		"ALTER TABLE store ADD COLUMN type VARCHAR(255) NOT NULL DEFAULT ''", "ALTER TABLE store ADD COLUMN revision BIGINT NOT NULL DEFAULT 1",
		"ALTER TABLE store ADD COLUMN size BIGINT NOT NULL DEFAULT 0")
	b, meta := open(t, rawURL, integers, driver.OpenOptions{})
	if len(meta.Missing) > 0 || meta.NoCounter {
		t.Errorf("meta %+v", meta)
	}
	if got := get(t, b, everything, "1")["1"]; got.Size != 3 || got.Revision != 1 {
		t.Errorf("record %+v", got)
	}
	if first, err := b.NextIDs(t.Context(), 1); err != nil || first != 2 {
		t.Errorf("number %d, %v", first, err)
	}
}

func TestAPutMeetsNoOtherUniqueKey(t *testing.T) {
	t.Parallel()
	rawURL := fresh(t)
	run(t, raw(t, rawURL), "CREATE TABLE store (id BIGINT PRIMARY KEY, data LONGBLOB, state VARCHAR(128), host VARCHAR(50) UNIQUE)")
	b, _ := open(t, rawURL, driver.Schema{IntegerIDs: true, Fields: []driver.Column{{Name: "host", Kind: driver.Text}}}, driver.OpenOptions{})
	apply(t, b, create("1", "one", "a"))
	// MySQL's ON DUPLICATE KEY UPDATE would overwrite record 1.
	if _, err := b.Apply(t.Context(), []driver.Mutation{{Op: driver.Put, Rec: record("2", "two", "a")}}); err == nil {
		t.Error("a host came twice")
	}
	if got := get(t, b, everything, "1", "2"); len(got) != 1 || string(got["1"].Data) != "one" {
		t.Errorf("records %+v", got)
	}
}
