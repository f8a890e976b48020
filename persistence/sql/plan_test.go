package sql_test

import (
	stdsql "database/sql"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/jmoiron/sqlx"
	"pgregory.net/rapid"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/sql"
	"github.com/brine-go/brine/persistence/sql/sqlite"
	"github.com/brine-go/brine/url"
)

// newStore returns a store in SQLite and a plain connection to the same file.
func newStore(t *testing.T, s driver.Schema) (driver.Backend, *stdsql.DB) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "test.db")
	u, err := url.Parse("sqlite://" + filepath.ToSlash(path))
	if err != nil {
		t.Fatal(err)
	}
	b, err := sqlite.Open(t.Context(), u, driver.OpenOptions{Table: "store", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Init(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	db, err := stdsql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		db.Close()
		b.Close()
	})
	return b, db
}

func TestStatementsNameTheDataOnlyWhereItIsAskedFor(t *testing.T) {
	t.Parallel()
	b, _ := newStore(t, driver.Schema{IntegerIDs: true, Fields: []driver.Column{{Name: "host", Kind: driver.Text}}})
	for parts := range (driver.Info | driver.Fields | driver.Data | driver.Version) + 1 {
		q := &driver.Query{Parts: parts, Where: []driver.Cond{{Column: driver.ColState, Op: driver.Eq, Values: []any{"NEW"}}},
			Order: []driver.Order{{Column: driver.ColCreated}}, Limit: 7}
		texts, _, err := sql.ScanStatements(b, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range texts {
			if got, want := strings.Contains(text, `"data"`), parts&driver.Data != 0; got != want {
				t.Errorf("parts %04b: %s", parts, text)
			}
		}
	}
}

// plan returns what SQLite says of each statement of a query.
func plan(t *testing.T, b driver.Backend, db *stdsql.DB, q *driver.Query) string {
	t.Helper()
	texts, args, err := sql.ScanStatements(b, q)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for i, text := range texts {
		var steps []struct {
			ID, Parent, NotUsed int
			Detail              string
		}
		if err := sqlx.NewDb(db, "sqlite").SelectContext(t.Context(), &steps, "EXPLAIN QUERY PLAN "+text, args[i]...); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		var details []string
		for _, step := range steps {
			details = append(details, step.Detail)
		}
		all = append(all, strings.Join(details, "; "))
	}
	return strings.Join(all, " | ")
}

func TestIndexesServeQueries(t *testing.T) {
	t.Parallel()
	where := func(column string, op driver.CmpOp, vs ...any) []driver.Cond {
		return []driver.Cond{{Column: column, Op: op, Values: vs}}
	}
	order := func(column string, desc bool) []driver.Order { return []driver.Order{{Column: column, Desc: desc}} }
	for _, integer := range []bool{true, false} {
		b, db := newStore(t, driver.Schema{IntegerIDs: integer, Fields: []driver.Column{
			{Name: "host", Kind: driver.Text, Indexed: true}, {Name: "due", Kind: driver.Time, Indexed: true},
		}})
		byID := "INTEGER PRIMARY KEY (rowid"
		if !integer {
			byID = "sqlite_autoindex_store_1 (id"
		}
		tests := map[string]struct {
			q     driver.Query
			steps []string // parts of the plan, in order
			sorts bool
		}{
			"all in ID order":            {driver.Query{}, []string{"SCAN store"}, false},
			"a page in ID order":         {driver.Query{After: &driver.Cursor{ID: "7"}}, []string{"SEARCH store USING", byID + ">?"}, false},
			"by state in ID order":       {driver.Query{Where: where(driver.ColState, driver.Eq, "NEW")}, []string{"store_state_", "(state=?"}, false},
			"a page of a state":          {driver.Query{Where: where(driver.ColState, driver.Eq, "NEW"), After: &driver.Cursor{ID: "7"}}, []string{"store_state_", "(state=? AND "}, false},
			"by several states":          {driver.Query{Where: where(driver.ColState, driver.In, "A", "B")}, []string{"store_state_", "(state=?"}, true},
			"by a prefix":                {driver.Query{Where: where("host", driver.HasPrefix, "n"), Order: order("host", false)}, []string{"store_host_", "(host>? AND host<?)"}, false},
			"in the order of a column":   {driver.Query{Order: order("due", false)}, []string{"store_due_", " | ", "store_due_", "(due=?"}, false},
			"in descending order":        {driver.Query{Order: order("due", true)}, []string{"store_due_", " | ", "store_due_", "(due=?"}, true},
			"a page of a column's order": {driver.Query{Order: order("host", false), After: &driver.Cursor{Values: []any{"n"}, ID: "7"}}, []string{"store_host_", "(host>?)", " | ", "store_host_", "(host=?"}, false},
			"a page among its NULLs":     {driver.Query{Order: order("host", true), After: &driver.Cursor{Values: []any{nil}, ID: "7"}}, []string{"store_host_", "(host=? AND "}, false},
		}
		for name, tt := range tests {
			t.Run(fmt.Sprintf("%s, integer IDs %v", name, integer), func(t *testing.T) {
				got := plan(t, b, db, &tt.q)
				left := got
				for _, step := range tt.steps {
					i := strings.Index(left, step)
					if i < 0 {
						t.Fatalf("plan %q: %q is missing", got, step)
					}
					left = left[i+len(step):]
				}
				if sorts := strings.Contains(got, "TEMP B-TREE"); sorts && !tt.sorts {
					t.Errorf("plan %q sorts", got)
				}
			})
		}
	}
}

func TestSuccessor(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.SampledFrom([]string{"a", "b", "\u007f", "\u0080", "é", "\ud7ff", "\ue000", "\uffff", "\U0010ffff", "\U0001f600", "\xff", "\xc3", "\xfe"})
		text := rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(letters, 0, 4).Draw(t, "letters"), "") })
		prefix, s := text.Draw(t, "prefix"), text.Draw(t, "text")
		if prefix == "" {
			return
		}
		next, bounded := sql.Successor(prefix)
		in := s >= prefix && (!bounded || s < next)
		// What the successor of valid text says of broken text does not count: no column holds any.
		if utf8.ValidString(s) && in != strings.HasPrefix(s, prefix) {
			t.Fatalf("%q in the range of %q to %q: %v", s, prefix, next, in)
		}
		if utf8.ValidString(prefix) && !utf8.ValidString(next) {
			t.Fatalf("successor of %q is broken text %q", prefix, next)
		}
	})
}

func TestMoreValuesThanAStatementTakes(t *testing.T) {
	t.Parallel()
	fields := []driver.Column{{Name: "t", Kind: driver.Text}, {Name: "f", Kind: driver.Float}, {Name: "y", Kind: driver.Bytes}}
	b, _ := newStore(t, driver.Schema{IntegerIDs: true, Fields: fields})
	n := sql.ListedInOne(b) + 10
	var ms []driver.Mutation
	lists := make([][]any, 4) // of IDs, texts, floats, bytes: the even ones, and some that are not there
	for i := range n {
		t, f, y := fmt.Sprintf("t%d", i), float64(i)/3, fmt.Appendf(nil, "y%d", i)
		id := driver.ID(fmt.Sprint(i))
		if i < 1000 {
			rec := driver.Record{ID: id, Fields: []any{t, f, y}}
			if i == 999 {
				rec.Fields = []any{nil, nil, nil}
			}
			ms = append(ms, driver.Mutation{Op: driver.Create, Rec: rec})
		}
		if i%2 == 0 || i >= 1000 {
			for k, v := range []any{id, t, f, y} {
				lists[k] = append(lists[k], v)
			}
		}
	}
	for i := range 1000 { // of each enough to be too many
		for k, v := range []any{driver.ID(fmt.Sprint(-i - 1)), "x", -float64(i), []byte("x")} {
			lists[k] = append(lists[k], v)
		}
	}
	if _, err := b.Apply(t.Context(), ms); err != nil {
		t.Fatal(err)
	}
	for k, column := range []string{driver.ColID, "t", "f", "y"} {
		for op, want := range map[driver.CmpOp]int64{driver.In: 500, driver.NotIn: 500} {
			q := &driver.Query{Where: []driver.Cond{{Column: column, Op: op, Values: lists[k]}}, Limit: 100}
			err := b.View(t.Context(), func(r driver.Reader) error {
				count, err := r.Count(t.Context(), q)
				if count != want {
					t.Errorf("%s, operation %d: %d records, want %d", column, op, count, want)
				}
				got := 0
				for rec, err := range r.Scan(t.Context(), q) {
					if err != nil {
						return err
					}
					if even := strings.ContainsAny(string(rec.ID[len(rec.ID)-1:]), "02468"); even != (op == driver.In) {
						t.Errorf("%s, operation %d gives %q", column, op, rec.ID)
					}
					got++
				}
				if got != q.Limit {
					t.Errorf("%s, operation %d: %d records of %d", column, op, got, q.Limit)
				}
				return err
			})
			if err != nil {
				t.Errorf("%s, %d values: %v", column, len(lists[k]), err)
			}
		}
	}
}

// A statement that is not interrupted must not be able to run for long.
func TestShortStatementsWalkAnIndex(t *testing.T) {
	t.Parallel()
	epoch := time.Unix(1_000_000_000, 0)
	columns := map[string]any{"host": "n", "due": epoch, "rank": int64(3), driver.ColState: "NEW", driver.ColType: "T", driver.ColCreated: epoch}
	for _, integer := range []bool{true, false} {
		b, db := newStore(t, driver.Schema{IntegerIDs: integer, Fields: []driver.Column{
			{Name: "host", Kind: driver.Text, Indexed: true}, {Name: "due", Kind: driver.Time, Indexed: true}, {Name: "rank", Kind: driver.Int},
		}})
		short, long := 0, 0
		for name, value := range columns {
			conds := [][]driver.Cond{nil, {{Column: "host", Op: driver.Eq, Values: []any{"x"}}}}
			for op := driver.Eq; op <= driver.NotIn; op++ {
				c := driver.Cond{Column: name, Op: op}
				if op != driver.IsNull && op != driver.NotNull {
					c.Values = []any{value}
				}
				if op == driver.HasPrefix {
					if _, text := value.(string); !text {
						continue
					}
				}
				conds = append(conds, []driver.Cond{c}, []driver.Cond{c, {Column: "rank", Op: driver.Gt, Values: []any{int64(1)}}})
			}
			orders := [][]driver.Order{nil, {{Column: "due"}, {Column: "host"}}}
			for column := range columns {
				orders = append(orders, []driver.Order{{Column: column}}, []driver.Order{{Column: column, Desc: true}})
			}
			for _, where := range conds {
				for _, order := range orders {
					q := &driver.Query{Where: where, Order: order, Limit: 7}
					is, err := sql.Short(b, q)
					if err != nil {
						t.Fatal(err)
					}
					if long++; !is {
						continue
					}
					short++
					for one := range strings.SplitSeq(plan(t, b, db, q), " | ") {
						if !strings.Contains(one, "INDEX") || strings.Contains(one, "TEMP B-TREE") {
							t.Errorf("%+v is taken for short: %s", q, one)
						}
					}
					if is, err := sql.Short(b, &driver.Query{Where: where, Order: order, Limit: 1000}); is || err != nil {
						t.Errorf("%+v without its limit is taken for short: %v", q, err)
					}
				}
			}
		}
		t.Logf("%d of %d queries are short", short, long)
		if short < 20 {
			t.Errorf("%d of %d queries are short", short, long)
		}
	}
}
