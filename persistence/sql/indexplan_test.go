package sql_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/internal/sqltest"
	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/sql"
)

// Queries and claims by some columns in the order of the next one read an index over them, and sort
// nothing.
func TestIndexesOfSeveralColumnsServe(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, d database) {
		fields := []driver.Column{
			{Name: "priority", Kind: driver.Int, InIndex: true}, {Name: "host", Kind: driver.Text, Indexed: true, InIndex: true},
			{Name: "due", Kind: driver.Time, Indexed: true},
		}
		b := d.open(t, driver.Schema{IntegerIDs: true, Fields: fields}, driver.OpenOptions{Table: "store"})
		xs := []driver.Index{
			{Columns: []string{driver.ColState, "priority"}}, {Columns: []string{"host", "priority"}, Unique: true},
			{Columns: []string{driver.ColState, driver.ColType, "due"}}, {Columns: []string{driver.ColType, driver.ColState}},
		}
		if err := b.(driver.Indexer).MakeIndexes(t.Context(), xs); err != nil {
			t.Fatal(err)
		}
		const n = 20_000
		begin := time.Unix(1_700_000_000, 0)
		var ms []driver.Mutation
		for i, p := range rand.New(rand.NewPCG(1, 2)).Perm(n) {
			r := sqltest.Record(driver.ID(fmt.Sprint(i)), strings.Repeat("x", 500))
			r.State, r.Type = []string{"NEW", "READY", "DONE"}[i%3], []string{"Task", "Job"}[i%2]
			r.Fields = []any{int64(p), fmt.Sprint("host ", i%50), begin.Add(time.Duration(p) * time.Second)}
			if i%97 == 0 {
				r.Fields = []any{nil, nil, nil}
			}
			ms = append(ms, driver.Mutation{Op: driver.Create, Rec: r})
		}
		sqltest.Apply(t, b, ms...)
		db, head := d.raw(t), "EXPLAIN "
		if d.name == "sqlite" {
			head = "EXPLAIN QUERY PLAN "
		}
		if d.name != "sqlite" { // whose planner wants no statistics
			if _, err := db.ExecContext(t.Context(), map[string]string{"postgres": "VACUUM ANALYZE store", "mariadb": "ANALYZE TABLE store"}[d.name]); err != nil {
				t.Fatal(err)
			}
		}
		eq := func(column string, v any) driver.Cond {
			return driver.Cond{Column: column, Op: driver.Eq, Values: []any{v}}
		}
		state, priority := eq(driver.ColState, "READY"), []driver.Order{{Column: "priority"}}
		for name, tt := range map[string]struct {
			q     driver.Query
			index string
		}{
			"by state in the order of the priority": {driver.Query{Where: []driver.Cond{state}, Order: priority}, "store_state_priority_"},
			"and a page of it": {driver.Query{Where: []driver.Cond{state}, Order: priority,
				After: &driver.Cursor{ID: "7", Values: []any{int64(9000)}}}, "store_state_priority_"},
			"above a priority": {driver.Query{Where: []driver.Cond{state, {Column: "priority", Op: driver.Gt, Values: []any{int64(15_000)}}},
				Order: priority}, "store_state_priority_"},
			"by host in the order of a unique index": {driver.Query{Where: []driver.Cond{eq("host", "host 7")}, Order: priority}, "store_host_priority_"},
			"by state and type in the order of due": {driver.Query{Where: []driver.Cond{state, eq(driver.ColType, "Job")},
				Order: []driver.Order{{Column: "due"}}}, "store_state_type_due_"},
		} {
			q := tt.q
			q.Limit, q.Parts = 100, driver.Info|driver.Data
			texts, args, err := sql.LimitedStatements(b, &q)
			if err != nil {
				t.Fatal(err)
			}
			for i, text := range texts {
				plan := explain(t, db, head+text, args[i])
				// The few whose column is NULL may be sorted, and a unique index has no ID to end
				// ties.
				if !strings.Contains(plan, tt.index) || sorts(plan) && !strings.Contains(text, "IS NULL ORDER BY") && !strings.Contains(name, "unique") {
					t.Errorf("%s: %s\nis planned as %s", name, text, plan)
				}
			}
		}
		for index, q := range map[string]*driver.Query{
			"store_state_priority_": {Where: []driver.Cond{state}, Order: priority},
			"store_type_state_":     {Where: []driver.Cond{state, eq(driver.ColType, "Job")}},
			"store_state_type_due_": {Where: []driver.Cond{state, eq(driver.ColType, "Job")}, Order: []driver.Order{{Column: "due"}}},
			"store_state_":          {Where: []driver.Cond{state}},
		} {
			text, args, err := sql.ClaimStatement(b, q, driver.Claiming{Owner: "me", Lease: time.Minute, Limit: 10})
			if err != nil {
				t.Fatal(err)
			}
			if plan := explain(t, db, head+text, args); !strings.Contains(plan, index) {
				t.Errorf("a claim: %s\nis planned as %s", text, plan)
			}
		}
	})
}

func sorts(plan string) bool {
	return strings.Contains(plan, "TEMP B-TREE") || strings.Contains(plan, "Sort") || strings.Contains(plan, "filesort")
}
