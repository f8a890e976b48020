package sql_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/brine-go/brine/persistence/driver"
)

// groups counts with the database, and again record by record.
func groups(t *testing.T, b driver.Backend, s driver.Schema, q *driver.Query, column string) (grouped, counted []driver.Group, errs [2]error) {
	t.Helper()
	err := b.View(t.Context(), func(r driver.Reader) error {
		grouped, errs[0] = r.(driver.Grouper).CountBy(t.Context(), q, column)
		counted, errs[1] = driver.CountBy(t.Context(), struct{ driver.Reader }{r}, driver.NewColumns(s), q, column)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return grouped, counted, errs
}

var inAnyOrder = cmpopts.SortSlices(func(a, b driver.Group) bool { return fmt.Sprint(a) < fmt.Sprint(b) })

func TestGroupsAreThoseOfTheRecords(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, db database) {
		for _, integer := range []bool{true, false} {
			if integer && testing.Short() {
				continue
			}
			s := driver.Schema{IntegerIDs: integer, Fields: []driver.Column{
				{Name: "text", Kind: driver.Text}, {Name: "name", Kind: driver.Text, Indexed: true}, {Name: "n", Kind: driver.Int}, {Name: "f", Kind: driver.Float},
				{Name: "yes", Kind: driver.Bool}, {Name: "bytes", Kind: driver.Bytes}, {Name: "at", Kind: driver.Time, Indexed: true},
			}}
			b := db.open(t, s, driver.OpenOptions{Table: fmt.Sprintf("t_%v", integer)})
			long := strings.Repeat("x", 70_000) // beyond what some databases sort by
			values := [][]any{
				{"a", "A", "a ", "", long + "1", long + "2"}, {"é", "e", "E", "e ", ""}, {int64(1) << 62, int64(-1), int64(0)}, {0.1, 1.0, -2e300, 0.0},
				{true, false}, {[]byte{}, []byte{0}, []byte("a"), []byte("A")}, {time.Time{}, time.UnixMicro(1).UTC(), time.UnixMicro(-1).UTC()},
			}
			var ms []driver.Mutation
			for i := range 60 {
				r := driver.Record{ID: driver.ID(fmt.Sprint(i + 1)), Type: []string{"A", "a", ""}[i%3], State: []string{"x", "X", "x "}[i/3%3], Modified: time.UnixMicro(int64(i % 2)).UTC()}
				for k, vs := range values {
					if j := i * (k + 1) % (len(vs) + 1); j < len(vs) {
						r.Fields = append(r.Fields, vs[j])
					} else {
						r.Fields = append(r.Fields, nil)
					}
				}
				ms = append(ms, driver.Mutation{Op: driver.Create, Rec: r})
			}
			must[[]int64](t)(b.Apply(t.Context(), ms))
			must[[]driver.Record](t)(b.(driver.Claimer).Claim(t.Context(), &driver.Query{}, driver.Claiming{Owner: "me", Lease: time.Hour, Limit: 7}))
			many := make([]any, 60_000)
			for i := range many {
				many[i] = int64(i)
			}
			queries := map[string]*driver.Query{
				"all":                 {},
				"some":                {Where: []driver.Cond{{Column: "n", Op: driver.Ge, Values: []any{int64(0)}}}},
				"none":                {Where: []driver.Cond{{Column: "n", Op: driver.In}}},
				"too many for SQL":    {Where: []driver.Cond{{Column: "n", Op: driver.NotIn, Values: many}}},
				"with what is no use": {Order: []driver.Order{{Column: "n"}}, Limit: 1, After: &driver.Cursor{ID: "7", Values: []any{nil}}},
			}
			columns := []string{driver.ColID, driver.ColType, driver.ColState, driver.ColRevision, driver.ColCreated, driver.ColModified, driver.ColClaimOwner, driver.ColClaimUntil, driver.ColClaimToken}
			for _, f := range s.Fields {
				columns = append(columns, f.Name)
			}
			for name, q := range queries {
				for _, column := range columns {
					grouped, counted, errs := groups(t, b, s, q, column)
					if errs[0] != nil || errs[1] != nil {
						t.Fatal(errs)
					}
					if d := cmp.Diff(counted, grouped, inAnyOrder, cmpopts.EquateEmpty()); d != "" {
						t.Errorf("%s by %s (-counted +grouped):\n%.2000s", name, column, d)
					}
				}
			}
		}
	})
}

func TestGroupsOfATableMadeByHand(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, db database) {
		text, blob := "TEXT", "BLOB"
		switch db.name {
		case "sqlite":
			text = "TEXT COLLATE NOCASE"
		case "postgres":
			blob = "BYTEA"
		case "mariadb":
			text = "VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
		}
		raw := db.raw(t)
		for _, statement := range []string{
			fmt.Sprintf("CREATE TABLE store (id INTEGER PRIMARY KEY, data %s, state %s, revision INTEGER, modified BIGINT, host %s)", blob, text, text),
			"INSERT INTO store VALUES (1, '', 'a', 1, 0, 'h'), (2, '', 'A', NULL, NULL, 'H'), (3, '', NULL, 0, -62135596800000000, NULL), (4, '', '', 2, 7, ''), (5, '', 'a', 2, 7, 'h')",
		} {
			if _, err := raw.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		s := driver.Schema{IntegerIDs: true, Fields: []driver.Column{{Name: "host", Kind: driver.Text}, {Name: "none", Kind: driver.Int}}}
		b := db.open(t, s, driver.OpenOptions{NoCreate: true})
		for column, want := range map[string]int{driver.ColState: 3, driver.ColRevision: 3, driver.ColModified: 3, "host": 4, driver.ColID: 5} {
			grouped, counted, errs := groups(t, b, s, &driver.Query{}, column)
			if errs[0] != nil || errs[1] != nil || len(grouped) != want {
				t.Errorf("%s: %d groups, want %d; %v", column, len(grouped), want, errs)
			}
			if d := cmp.Diff(counted, grouped, inAnyOrder); d != "" {
				t.Errorf("%s (-counted +grouped):\n%s", column, d)
			}
		}
		for _, column := range []string{"none", driver.ColType, driver.ColClaimOwner} {
			if _, _, errs := groups(t, b, s, &driver.Query{}, column); errs[0] == nil || !strings.Contains(errs[0].Error(), column) {
				t.Errorf("by a column that is not there: %v", errs[0])
			}
		}
	})
}
