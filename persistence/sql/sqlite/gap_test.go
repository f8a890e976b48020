package sqlite_test

import (
	stdsql "database/sql"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brine-go/brine/persistence/driver"
)

// Looking for records that lack a column reads an index, and not the table.
func TestGapsAreFoundByTheirIndex(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	b, _ := open(t, fileURL(path), integers, driver.OpenOptions{})
	s := integers
	s.Fields = []driver.Column{{Name: "host", Kind: driver.Text}}
	other, _ := open(t, fileURL(path), s, driver.OpenOptions{})
	one := create("1", "one")
	one.Rec.Type = "a"
	apply(t, b, one)
	for _, g := range []struct {
		gap  driver.Gap
		want bool
	}{
		{driver.Gap{}, true}, {driver.Gap{Types: []string{"b", "a"}}, true}, {driver.Gap{Types: []string{"b"}}, false},
		{driver.Gap{Except: []string{"a"}}, false}, {driver.Gap{Except: []string{"b"}}, true}, {driver.Gap{Set: 1}, false},
	} {
		if found, err := other.(driver.GapFinder).InGap(t.Context(), g.gap); err != nil || found != g.want {
			t.Errorf("%+v: %v, %v", g.gap, found, err)
		}
	}
	db, err := stdsql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var plan string
	rows, err := db.QueryContext(t.Context(), `EXPLAIN QUERY PLAN SELECT "id" FROM "store" WHERE "brine_columns" = 0 AND "type" >= 'a' AND "type" <= 'a' ORDER BY "type", "id" LIMIT 1`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan += detail + "\n"
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(plan, "USING COVERING INDEX store_brine_columns") || strings.Contains(plan, "TEMP B-TREE") {
		t.Errorf("the plan is %s", plan)
	}
}
