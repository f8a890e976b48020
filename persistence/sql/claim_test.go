package sql_test

import (
	stdsql "database/sql"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/sql"
)

var jobs = driver.Schema{IntegerIDs: true, Fields: []driver.Column{
	{Name: "due", Kind: driver.Time, Indexed: true}, {Name: "prio", Kind: driver.Int},
}}

// job makes a record of the schema jobs. A negative due is NULL.
func job(id int, state string, due, prio int) driver.Mutation {
	r := driver.Record{
		ID: driver.ID(fmt.Sprint(id)), Type: "job", State: state, Data: fmt.Appendf(nil, "data of %d", id),
		Created: time.UnixMicro(1).UTC(), Modified: time.UnixMicro(2).UTC(), Fields: []any{time.UnixMicro(int64(due)).UTC(), int64(prio)},
	}
	if due < 0 {
		r.Fields[0] = nil
	}
	return driver.Mutation{Op: driver.Create, Rec: r}
}

func ids(recs []driver.Record) []driver.ID {
	var ids []driver.ID
	for _, r := range recs {
		ids = append(ids, r.ID)
	}
	return ids
}

func state(s string) []driver.Cond {
	return []driver.Cond{{Column: driver.ColState, Op: driver.Eq, Values: []any{s}}}
}

// look returns one record.
func look(t testing.TB, b driver.Backend, id driver.ID) (rec driver.Record) {
	t.Helper()
	err := b.View(t.Context(), func(r driver.Reader) error {
		recs, err := r.Get(t.Context(), []driver.ID{id}, driver.Info|driver.Fields|driver.Data)
		if err == nil && len(recs) != 1 {
			err = fmt.Errorf("%d records", len(recs))
		}
		if err == nil {
			rec = recs[0]
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func TestClaimsAreInTheOrderOfTheQuery(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, db database) {
		b, ctx := db.open(t, jobs, driver.OpenOptions{}), t.Context()
		var ms []driver.Mutation
		for i := range 24 {
			s := "READY"
			if i%4 == 0 {
				s = "DONE"
			}
			ms = append(ms, job(i+1, s, i%5-1, i%3)) // due: NULL, 0, 1, 2, 3
		}
		must[[]int64](t)(b.Apply(ctx, ms))
		many := make([]any, 40_000)
		for i := range many {
			many[i] = int64(i)
		}
		order := func(column string, desc bool) driver.Order { return driver.Order{Column: column, Desc: desc} }
		queries := map[string]*driver.Query{
			"by ID":                       {Where: state("READY")},
			"by ID, the last first":       {Where: state("READY"), Order: []driver.Order{order(driver.ColID, true)}},
			"of one of some states":       {Where: []driver.Cond{{Column: driver.ColState, Op: driver.In, Values: []any{"READY", "NEW"}}}},
			"by state":                    {Order: []driver.Order{order(driver.ColState, true), order(driver.ColModified, true)}},
			"by a column that is NULL":    {Where: state("READY"), Order: []driver.Order{order("due", false), order("prio", true)}},
			"by a column down from NULL":  {Where: state("READY"), Order: []driver.Order{order("due", true)}},
			"by one that is not NULL":     {Where: []driver.Cond{{Column: "due", Op: driver.Le, Values: []any{time.UnixMicro(2).UTC()}}}, Order: []driver.Order{order("due", false)}},
			"by the revision":             {Order: []driver.Order{order(driver.ColRevision, true)}},
			"by the claim":                {Order: []driver.Order{order("prio", false), order(driver.ColClaimUntil, false)}},
			"with more values than fit":   {Where: []driver.Cond{{Column: "prio", Op: driver.NotIn, Values: many[1:]}, state("READY")[0]}},
			"with many, by what is NULL":  {Where: []driver.Cond{{Column: "prio", Op: driver.In, Values: many}}, Order: []driver.Order{order("due", false)}},
			"with a condition on a claim": {Where: []driver.Cond{{Column: driver.ColClaimOwner, Op: driver.Ne, Values: []any{"somebody"}}}},
		}
		for name, q := range queries {
			var want []driver.ID
			err := b.View(ctx, func(r driver.Reader) error {
				for rec, err := range r.Scan(ctx, q) {
					if err != nil {
						return err
					}
					want = append(want, rec.ID)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, edit := range []func(*driver.Record) error{nil, func(r *driver.Record) error {
				r.Modified = r.Modified.Add(time.Microsecond)
				return nil
			}} {
				if edit != nil && strings.Contains(name, "state") {
					continue // it changes what this one goes by
				}
				var got []driver.ID
				parts := map[int]driver.Parts{1: driver.Fields, 3: 0, 100: driver.Fields | driver.Data}
				for _, limit := range []int{1, 3, 100} {
					claimed := must[[]driver.Record](t)(b.(driver.Claimer).Claim(ctx, q, driver.Claiming{Owner: "me", Lease: time.Hour, Limit: limit, Edit: edit, Parts: parts[limit]}))
					if limit < 100 && len(claimed) != limit {
						t.Errorf("%s: %d of %d", name, len(claimed), limit)
					}
					got = append(got, ids(claimed)...)
					for _, rec := range claimed {
						if rec.Claim.Owner != "me" || rec.Claim.Token != rec.Revision || time.Until(rec.Claim.Until) > time.Hour+time.Minute || time.Until(rec.Claim.Until) < 58*time.Minute {
							t.Errorf("%s: claim %+v of revision %d", name, rec.Claim, rec.Revision)
						}
						is := look(t, b, rec.ID)
						if parts[limit]&driver.Data == 0 {
							is.Data = nil
						}
						if parts[limit]&driver.Fields == 0 {
							is.Fields = nil
						}
						if d := cmp.Diff(is, rec); d != "" {
							t.Errorf("%s: claimed record (-is +given):\n%s", name, d)
						}
						must[[]int64](t)(b.Apply(ctx, []driver.Mutation{{Op: driver.Check, Rec: driver.Record{ID: rec.ID}, Token: rec.Claim.Token}}))
					}
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("%s (-want +got):\n%s", name, d)
				}
				var release []driver.Mutation
				for _, id := range got {
					release = append(release, driver.Mutation{Op: driver.Check, Rec: driver.Record{ID: id}, Token: look(t, b, id).Claim.Token, Release: true})
				}
				must[[]int64](t)(b.Apply(ctx, release))
			}
		}
	})
}

func TestAnEditedClaimIsStoredAtOnce(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, db database) {
		b, ctx := db.open(t, jobs, driver.OpenOptions{}), t.Context()
		c := b.(driver.Claimer)
		var ms []driver.Mutation
		for i := range 12 {
			ms = append(ms, job(i+1, "READY", i, i))
		}
		must[[]int64](t)(b.Apply(ctx, ms))
		claiming := driver.Claiming{Owner: "me", Lease: time.Hour, Limit: 3, Edit: func(r *driver.Record) error {
			if n, _ := r.ID.Seq(); n%2 == 0 {
				return errors.New("not this one")
			}
			r.State, r.Data, r.Fields = "RUNNING", append(r.Data, " again"...), []any{nil, r.Fields[1].(int64) + 100}
			return nil
		}}
		got := must[[]driver.Record](t)(c.Claim(ctx, &driver.Query{Where: state("READY")}, claiming))
		if d := cmp.Diff([]driver.ID{"1", "3", "5"}, ids(got)); d != "" {
			t.Error(d)
		}
		for i, rec := range got {
			want := job(2*i+1, "RUNNING", -1, 2*i+100).Rec
			want.Data = append(want.Data, " again"...)
			want.Revision, want.Size, want.Claim = 2, int64(len(want.Data)), rec.Claim
			if d := cmp.Diff(want, look(t, b, rec.ID)); d != "" {
				t.Errorf("edited record (-want +got):\n%s", d)
			}
		}
		if rec := look(t, b, "2"); rec.Revision != 1 || rec.Claim != (driver.Claim{}) {
			t.Errorf("what was not edited: %+v", rec)
		}
		claiming.Limit = 100
		if d := cmp.Diff([]driver.ID{"7", "9", "11"}, ids(must[[]driver.Record](t)(c.Claim(ctx, &driver.Query{Where: state("READY")}, claiming)))); d != "" {
			t.Error(d)
		}
		if got := must[[]driver.Record](t)(c.Claim(ctx, &driver.Query{Where: state("READY")}, claiming)); len(got) != 0 {
			t.Errorf("claimed twice: %v", ids(got))
		}
	})
}

func TestClaimsAreRenewedReleasedAndReaped(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, db database) {
		b, ctx := db.open(t, jobs, driver.OpenOptions{}), t.Context()
		c := b.(driver.Claimer)
		must[[]int64](t)(b.Apply(ctx, []driver.Mutation{job(1, "A", 0, 0), job(2, "A", 0, 0), job(3, "A", 0, 0)}))
		claim := func(limit int, lease time.Duration) []driver.Record {
			t.Helper()
			return must[[]driver.Record](t)(c.Claim(ctx, &driver.Query{}, driver.Claiming{Owner: "me", Lease: lease, Limit: limit}))
		}
		wantConflict := func(err error, id driver.ID) {
			t.Helper()
			if re, ok := errors.AsType[*driver.RecordError](err); !ok || re.ID != id || !errors.Is(err, driver.ErrConflict) {
				t.Errorf("error %v, want a conflict about %q", err, id)
			}
		}
		first := claim(1, time.Hour)[0]
		until := must[time.Time](t)(c.Extend(ctx, "1", first.Claim.Token, 2*time.Hour))
		if is := look(t, b, "1"); !is.Claim.Until.Equal(until) || until.Sub(first.Claim.Until) < 50*time.Minute || is.Revision != first.Revision {
			t.Errorf("renewed until %v, record %+v", until, is)
		}
		_, err := c.Extend(ctx, "1", 77, time.Hour)
		wantConflict(err, "1")
		_, err = c.Extend(ctx, "9", 1, time.Hour)
		wantConflict(err, "9")
		_, err = c.Extend(ctx, "none", 1, time.Hour)
		wantConflict(err, "none")

		// Once it has lapsed, another one may claim it; then the old token is worth nothing.
		lapsed := must[time.Time](t)(c.Extend(ctx, "1", first.Claim.Token, time.Microsecond))
		second := claim(3, time.Hour)[0]
		if second.ID != "1" || second.Claim.Token <= first.Claim.Token || !second.Claim.Until.After(lapsed) {
			t.Errorf("claimed after the lapse: %+v", second)
		}
		_, err = c.Extend(ctx, "1", first.Claim.Token, time.Hour)
		wantConflict(err, "1")
		old, now := first.Claim.Token, second.Claim.Token
		for name, m := range map[string]driver.Mutation{
			"update":  {Op: driver.Update, Rec: job(1, "B", 0, 0).Rec, Token: old},
			"at rev":  {Op: driver.Update, Rec: job(1, "B", 0, 0).Rec, Token: old, IfRev: second.Revision},
			"finish":  {Op: driver.Update, Rec: job(1, "B", 0, 0).Rec, Token: old, Release: true},
			"delete":  {Op: driver.Delete, Rec: driver.Record{ID: "1"}, Token: old},
			"check":   {Op: driver.Check, Rec: driver.Record{ID: "1"}, Token: old},
			"release": {Op: driver.Check, Rec: driver.Record{ID: "1"}, Token: old, Release: true},
			"stale":   {Op: driver.Check, Rec: driver.Record{ID: "1"}, Token: now, Release: true, IfRev: 99},
		} {
			for _, others := range [][]driver.Mutation{nil, {job(8, "C", 0, 0)}} {
				_, err := b.Apply(ctx, append(others, m))
				if wantConflict(err, "1"); t.Failed() {
					t.Fatal(name)
				}
			}
		}
		_, err = b.Apply(ctx, []driver.Mutation{{Op: driver.Update, Rec: job(9, "B", 0, 0).Rec, Token: 5}})
		wantConflict(err, "9")

		// Others may write it all the same, and the claim stays.
		revs := must[[]int64](t)(b.Apply(ctx, []driver.Mutation{{Op: driver.Put, Rec: job(1, "P", 0, 0).Rec}}))
		if is := look(t, b, "1"); is.Claim != second.Claim || is.Revision != revs[0] {
			t.Errorf("after a Put: %+v", is)
		}
		revs = must[[]int64](t)(b.Apply(ctx, []driver.Mutation{
			{Op: driver.Update, Rec: job(1, "B", 0, 0).Rec, Token: now, IfRev: revs[0]}, {Op: driver.Check, Rec: driver.Record{ID: "2"}, Token: look(t, b, "2").Claim.Token},
		}))
		if is := look(t, b, "1"); is.Claim != second.Claim || is.State != "B" || is.Revision != revs[0] {
			t.Errorf("saved under the claim: %+v", is)
		}
		revs = must[[]int64](t)(b.Apply(ctx, []driver.Mutation{{Op: driver.Update, Rec: job(1, "D", 0, 0).Rec, Token: now, Release: true}}))
		if is := look(t, b, "1"); is.Claim != (driver.Claim{}) || is.State != "D" || is.Revision != revs[0] {
			t.Errorf("done: %+v", is)
		}
		two := look(t, b, "2")
		revs = must[[]int64](t)(b.Apply(ctx, []driver.Mutation{{Op: driver.Check, Rec: driver.Record{ID: "2"}, Token: two.Claim.Token, Release: true}}))
		is := look(t, b, "2")
		two.Claim = driver.Claim{}
		if d := cmp.Diff(two, is); d != "" || revs[0] != is.Revision {
			t.Errorf("released at %v (-want +got):\n%s", revs, d)
		}
		must[[]int64](t)(b.Apply(ctx, []driver.Mutation{{Op: driver.Delete, Rec: driver.Record{ID: "3"}, Token: look(t, b, "3").Claim.Token}}))

		if n := must[int64](t)(c.ReleaseExpired(ctx)); n != 0 {
			t.Errorf("reaped %d", n)
		}
		claim(1, time.Microsecond)
		rev := look(t, b, "1").Revision
		if n := must[int64](t)(c.ReleaseExpired(ctx)); n != 1 {
			t.Errorf("reaped %d", n)
		}
		if is := look(t, b, "1"); is.Claim != (driver.Claim{}) || is.Revision != rev {
			t.Errorf("reaped: %+v", is)
		}
		for _, bad := range []driver.Claiming{{Lease: 1e9, Limit: 1}, {Owner: "x", Limit: 1}, {Owner: "x", Lease: 1e9}} {
			if _, err := c.Claim(ctx, &driver.Query{}, bad); err == nil {
				t.Errorf("claimed with %+v", bad)
			}
		}
	})
}

func TestWhoeverClaimsAtOnceGetsDifferentRecords(t *testing.T) {
	t.Parallel()
	const n, workers = 1000, 8
	everywhere(t, func(t *testing.T, db database) {
		b, ctx := db.open(t, jobs, driver.OpenOptions{}), t.Context()
		b2 := db.open(t, jobs, driver.OpenOptions{})
		for name, q := range map[string]*driver.Query{
			"by ID":            {Where: state("READY")},
			"by what is NULL":  {Where: state("READY"), Order: []driver.Order{{Column: "due", Desc: true}}},
			"without an index": {Order: []driver.Order{{Column: driver.ColModified}, {Column: "prio"}}},
		} {
			for _, limit := range []int{1, 10} {
				total := n
				if limit == 1 {
					total = n / 5
				}
				var ms []driver.Mutation
				for i := range total {
					ms = append(ms, job(i+1, "READY", i%7-1, i%11))
				}
				must[[]int64](t)(b.Apply(ctx, ms))
				var mu sync.Mutex
				times := map[driver.ID]int{}
				var wg sync.WaitGroup
				for w := range workers {
					wg.Go(func() {
						c := []driver.Backend{b, b2}[w%2]
						for {
							claiming := driver.Claiming{Owner: fmt.Sprint(w), Lease: time.Hour, Limit: limit}
							if w == 3 {
								claiming.Edit = func(*driver.Record) error { return nil }
							}
							recs, err := c.(driver.Claimer).Claim(ctx, q, claiming)
							if err != nil {
								t.Error(err)
							}
							if len(recs) == 0 {
								return
							}
							mu.Lock()
							for _, rec := range recs {
								times[rec.ID]++
							}
							mu.Unlock()
							var done []driver.Mutation
							for _, rec := range recs {
								done = append(done, driver.Mutation{Op: driver.Delete, Rec: driver.Record{ID: rec.ID}, Token: rec.Claim.Token, IfRev: rec.Revision})
							}
							if _, err := c.Apply(ctx, done); err != nil {
								t.Error(err)
							}
						}
					})
				}
				wg.Wait()
				// One that is passed over because someone is about to claim it is claimed by that
				// one.
				if len(times) != total {
					t.Errorf("%s, %d at once: %d of %d claimed", name, limit, len(times), total)
				}
				for id, k := range times {
					if k != 1 {
						t.Errorf("%s, %d at once: %q claimed %d times", name, limit, id, k)
					}
				}
			}
		}
	})
}

func TestAClaimInProgressKeepsNobodyFromTheRest(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, db database) {
		if db.name == "sqlite" {
			t.Skip("one writes at a time")
		}
		b, ctx := db.open(t, jobs, driver.OpenOptions{}), t.Context()
		var ms []driver.Mutation
		for i := range 200 {
			ms = append(ms, job(i+1, "READY", i, i%3))
		}
		must[[]int64](t)(b.Apply(ctx, ms))
		for name, q := range map[string]*driver.Query{
			"by ID":            {Where: state("READY")},
			"without an index": {Where: state("READY"), Order: []driver.Order{{Column: driver.ColModified}, {Column: "prio", Desc: true}}},
			"without anything": {},
		} {
			var first, second []driver.Record
			edits := 0
			claiming := driver.Claiming{Owner: "a", Lease: time.Microsecond, Limit: 1}
			claiming.Edit = func(*driver.Record) error {
				if edits++; edits == 1 {
					second = must[[]driver.Record](t)(b.(driver.Claimer).Claim(ctx, q, driver.Claiming{Owner: "b", Lease: time.Microsecond, Limit: 150}))
					// What nobody is about to claim can be written.
					must[[]int64](t)(b.Apply(ctx, []driver.Mutation{{Op: driver.SetFields, Rec: job(200, "", 3, 1).Rec}}))
				}
				return nil
			}
			first = must[[]driver.Record](t)(b.(driver.Claimer).Claim(ctx, q, claiming))
			if len(first) != 1 || len(second) != 150 || slices.Contains(ids(second), first[0].ID) {
				t.Errorf("%s: %v while %v is being claimed", name, len(second), ids(first))
			}
		}
	})
}

func TestFinishedRecordsAreNotLookedAt(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, db database) {
		b, ctx := db.open(t, jobs, driver.OpenOptions{}), t.Context()
		raw := db.raw(t)
		// The planner believes that all are ready, as it does when a long queue has been worked
		// off.
		var ms []driver.Mutation
		for i := range 20_000 {
			ms = append(ms, job(i+1, "READY", i, 0))
		}
		must[[]int64](t)(b.Apply(ctx, ms))
		analyze := map[string]string{"sqlite": "ANALYZE", "postgres": "ALTER TABLE store SET (autovacuum_enabled = off); VACUUM ANALYZE store", "mariadb": "ANALYZE TABLE store PERSISTENT FOR ALL"}[db.name]
		for _, statement := range []string{analyze, "UPDATE store SET state = 'DONE' WHERE id <= 19900"} {
			for s := range strings.SplitSeq(statement, ";") {
				if _, err := raw.ExecContext(ctx, s); err != nil {
					t.Fatal(err)
				}
			}
		}
		for name, q := range map[string]*driver.Query{
			"by ID":                 {Where: state("READY")},
			"by ID, the last first": {Where: state("READY"), Order: []driver.Order{{Column: driver.ColID, Desc: true}}},
			"by time":               {Where: []driver.Cond{{Column: "due", Op: driver.Le, Values: []any{time.UnixMicro(10).UTC()}}, state("READY")[0]}, Order: []driver.Order{{Column: "due"}}},
		} {
			for _, limit := range []int{1, 100} {
				text, args, err := sql.ClaimStatement(b, q, driver.Claiming{Owner: "me", Lease: time.Hour, Limit: limit})
				if err != nil {
					t.Fatal(err)
				}
				index := "store_state_"
				if name == "by time" {
					index = "store_due_"
				}
				plan := explain(t, raw, map[string]string{"sqlite": "EXPLAIN QUERY PLAN ", "postgres": "EXPLAIN ", "mariadb": "EXPLAIN "}[db.name]+text, args)
				if !regexp.MustCompile(` `+index+`\w+ `).MatchString(plan) || strings.Contains(plan, "SCAN store") || strings.Contains(plan, "Seq Scan") {
					t.Errorf("%s, %d at once: %s\n%s", name, limit, text, plan)
				}
			}
		}
	})
}

// explain returns what the database says of a statement.
func explain(t *testing.T, db *stdsql.DB, text string, args []any) string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), text, args...)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var sb strings.Builder
	for rows.Next() {
		row, dest := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			dest[i] = &row[i]
		}
		if err := rows.Scan(dest...); err != nil {
			t.Fatal(err)
		}
		for i, v := range row {
			if columns[i] == "possible_keys" {
				continue // what is taken is in another column
			}
			if b, ok := v.([]byte); ok {
				v = string(b)
			}
			fmt.Fprint(&sb, v, " ")
		}
		sb.WriteString("\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return sb.String()
}

func TestMembersOfAGroupMindClaims(t *testing.T) {
	t.Parallel()
	b, _ := newStore(t, jobs)
	ctx := t.Context()
	must[[]int64](t)(b.Apply(ctx, []driver.Mutation{job(1, "A", 0, 0), job(2, "A", 0, 0), job(3, "A", 0, 0), job(4, "A", 0, 0)}))
	var tokens []int64
	for _, rec := range must[[]driver.Record](t)(b.(driver.Claimer).Claim(ctx, &driver.Query{}, driver.Claiming{Owner: "me", Lease: time.Hour, Limit: 4})) {
		tokens = append(tokens, rec.Claim.Token)
	}
	batches := [][]driver.Mutation{
		{{Op: driver.Update, Rec: job(1, "B", 0, 0).Rec, Token: tokens[0], Release: true}},
		{{Op: driver.Update, Rec: job(2, "B", 0, 0).Rec, Token: tokens[1] + 1, Release: true}},
		{{Op: driver.Update, Rec: job(1, "C", 0, 0).Rec, Token: tokens[0]}}, // the first one has ended it
		{{Op: driver.Delete, Rec: driver.Record{ID: "3"}, Token: tokens[2]}, {Op: driver.Check, Rec: driver.Record{ID: "4"}, Token: tokens[3] + 1}},
		{{Op: driver.Check, Rec: driver.Record{ID: "4"}, Token: tokens[3], Release: true}},
	}
	_, errs, _, alone := sql.Together(b, background(len(batches)), batches)
	if alone != 0 {
		t.Errorf("%d were made by themselves", alone)
	}
	for i, id := range []driver.ID{"", "2", "1", "4", ""} {
		re, failed := errors.AsType[*driver.RecordError](errs[i])
		if failed != (id != "") || failed && (re.ID != id || !errors.Is(errs[i], driver.ErrConflict)) || !failed && errs[i] != nil {
			t.Errorf("member %d: %v", i, errs[i])
		}
	}
	for id, claimed := range map[driver.ID]bool{"1": false, "2": true, "3": true, "4": false} {
		if rec := look(t, b, id); (rec.Claim.Owner != "") != claimed {
			t.Errorf("%q: %+v", id, rec.Claim)
		}
	}
}
