package web_test

import (
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/web"
)

// Step is a record of the measurement, of about 1 KB.
type Step struct {
	persistence.Persistable
	Name     string
	State    string
	Priority int
	Log      string
	Deps     []*Step
}

func init() { persistence.Register[Step]("web.Step") }

// A timedPage is a page, and by hand the statements that it needs.
type timedPage struct {
	name, path string
	sql        []string
	rounds     int           // 0: 50
	within     time.Duration // the page may take so long in any case: it counts or looks for that long
}

// TestPagesAreAsFastAsTheirSQL measures pages of a store of 1,000,000 records beside the statements
// that read the same, in one run, in turn: the 95th percentile of a page is at most twice that of
// its SQL and 20 ms, or what it may look for by its options.
func TestPagesAreAsFastAsTheirSQL(t *testing.T) {
	n := 3000
	if os.Getenv("BRINE_LONG") != "" {
		n = 1_000_000
	}
	if testing.Short() {
		t.Skip("it measures")
	}
	for _, backend := range []string{"sqlite", "postgres"} {
		t.Run(backend, func(t *testing.T) {
			url := storeURL(t, backend)
			s := open(t, url, &persistence.Options{ExtraFields: []extrafields.Field{
				extrafields.Of("name", func(s *Step) string { return s.Name }),
				extrafields.Of("priority", func(s *Step) int { return s.Priority }).Indexed(),
			}})
			fillSteps(t, s, n)
			db := byHand(t, backend, url)
			measurePages(t, s, db, backend, n)
		})
	}
}

func fillSteps(t *testing.T, s *persistence.Store, n int) {
	t.Helper()
	log := strings.Repeat("a line of what the step has said\n", 25)
	const batch = 5000
	var before []*Step
	for i := 0; i < n; i += batch {
		var steps []*Step
		var objs []any
		for j := i; j < min(i+batch, n); j++ {
			step := &Step{Name: fmt.Sprintf("step %07d of the build", j), State: "DONE", Priority: j * 7919 % 1009, Log: log}
			switch {
			case j%100 == 7:
				step.State = "FAILED"
			case j%10 == 3:
				step.State = "READY"
			}
			if len(before) > 0 {
				step.Deps = []*Step{before[j%len(before)], before[(j*31)%len(before)], before[(j*77)%len(before)]}
			}
			steps, objs = append(steps, step), append(objs, step)
		}
		if _, err := s.SaveOnly(t.Context(), objs...); err != nil {
			t.Fatal(err)
		}
		for _, step := range steps {
			step.Deps, step.Log = nil, "" // the next ones refer to it by its ID
		}
		before = steps
	}
	for i := range 500 {
		check(t, s.KV().Set(t.Context(), fmt.Sprintf("key %04d", i), int64(i)))
	}
	_, err := s.Claim(t.Context(), &persistence.Query{State: []string{"READY"}}, persistence.ClaimOptions{Owner: "me", Lease: time.Hour, Limit: min(n/20, 300)})
	check(t, err)
}

// byHand opens the database of a store.
func byHand(t *testing.T, backend, url string) *sql.DB {
	t.Helper()
	driver, dsn, analyze := "sqlite", strings.TrimPrefix(url, "sqlite:")+"?_pragma=busy_timeout(10000)&_pragma=mmap_size(268435456)", "ANALYZE"
	if backend == "postgres" {
		driver, dsn, analyze = "postgres", url+"&binary_parameters=yes", "VACUUM ANALYZE"
	}
	db, err := sql.Open(driver, dsn)
	check(t, err)
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	_, err = db.ExecContext(t.Context(), analyze)
	check(t, err)
	return db
}

const infoColumns = "id, type, state, revision, size, created, modified, name, priority"

func timedPages(backend string, n int) []timedPage {
	middle, contains := n/2, "instr(name, '%s') > 0"
	if backend == "postgres" {
		contains = "strpos(name, '%s') > 0"
	}
	like := fmt.Sprintf(contains, "99 of")
	one := fmt.Sprint(n - 5)
	list := "SELECT " + infoColumns + " FROM store "
	byID := "SELECT " + infoColumns + " FROM store WHERE id = " + one
	heads := "SELECT id, substr(data, 1, 512) FROM store"
	return []timedPage{
		{name: "overview", path: "/", sql: []string{"SELECT state, count(*) FROM store GROUP BY state"}},
		{name: "records", path: "/records", sql: []string{list + "ORDER BY id LIMIT 51"}},
		{name: "records, 200 on a page", path: "/records?n=200", sql: []string{list + "ORDER BY id LIMIT 201"}},
		{name: "records from the middle", path: fmt.Sprintf("/records?c=id&o=gt&v=%d", middle), sql: []string{fmt.Sprintf("%sWHERE id > %d ORDER BY id LIMIT 51", list, middle)}},
		{name: "records by state", path: "/records?c=state&o=eq&v=FAILED", sql: []string{list + "WHERE state = 'FAILED' ORDER BY id LIMIT 51"}},
		{name: "records by an index", path: "/records?sort=priority", sql: []string{list + "WHERE priority IS NOT NULL ORDER BY priority, id LIMIT 51"}},
		{name: "records by what their name contains", path: "/records?c=name&o=contains&v=99+of", sql: []string{list + "WHERE " + like + " ORDER BY id LIMIT 51"}},
		{name: "records by a time without an index", path: "/records?sort=-modified", sql: []string{list + "ORDER BY modified DESC, id LIMIT 51"}, rounds: 10},
		{name: "count of all", path: "/count", sql: []string{"SELECT count(*) FROM store"}, within: 300 * time.Millisecond},
		{name: "count by state", path: "/count?c=state&o=eq&v=FAILED", sql: []string{"SELECT count(*) FROM store WHERE state = 'FAILED'"}, within: 300 * time.Millisecond},
		{name: "count by what the name contains", path: "/count?c=name&o=contains&v=99+of", sql: []string{"SELECT count(*) FROM store WHERE " + like}, within: 300 * time.Millisecond},
		{name: "record", path: "/record?id=" + one, sql: []string{byID, "SELECT claim_owner, claim_until, claim_token FROM store WHERE id = " + one, "SELECT data FROM store WHERE id = " + one, "SELECT id, type, state FROM store WHERE id IN (1, 2, 3)"}},
		{name: "record with its referrers", path: "/record?id=" + one + "&referrers=1", sql: []string{heads}, rounds: 5, within: 2 * time.Second},
		{name: "JSON", path: "/record.json?id=" + one, sql: []string{"SELECT data, " + infoColumns + " FROM store WHERE id = " + one}},
		{name: "graph", path: "/graph?id=" + one, sql: []string{byID, byID, "SELECT data FROM store WHERE id = " + one, list + "WHERE id IN (1, 2, 3)", "SELECT data FROM store WHERE id IN (1, 2, 3)"}},
		{name: "pairs", path: "/pairs", sql: []string{"SELECT id, data, created, modified FROM store_kv ORDER BY id LIMIT 200"}},
		{name: "claims", path: "/claims", sql: []string{list + "WHERE claim_until IS NOT NULL ORDER BY id LIMIT 200"}},
		{name: "quarantine", path: "/quarantine"},
	}
}

func measurePages(t *testing.T, s *persistence.Store, db *sql.DB, backend string, n int) {
	t.Helper()
	h := web.Handler(s, &web.Options{Draw: draw})
	for _, p := range timedPages(backend, n) {
		rounds := p.rounds
		if rounds == 0 {
			rounds = 50
		}
		if n < 100_000 {
			rounds = 3
		}
		page(t, h, p.path) // warm
		var pages, hands []time.Duration
		for range rounds {
			begin := time.Now()
			page(t, h, p.path)
			pages = append(pages, time.Since(begin))
			begin = time.Now()
			for _, text := range p.sql {
				drain(t, db, text)
			}
			hands = append(hands, time.Since(begin))
		}
		ours, hand := percentile(pages), percentile(hands)
		t.Logf("%-36s p95 %8.1f ms, SQL %8.1f ms", p.name, ms(ours), ms(hand))
		for _, text := range p.sql {
			t.Logf("    %s\n%s", text, plan(t, db, backend, text))
		}
		if bar := max(2*hand, p.within) + 20*time.Millisecond; n >= 100_000 && ours > bar {
			t.Errorf("%s: the 95th percentile is %.1f ms, at most %.1f ms", p.name, ms(ours), ms(bar))
		}
	}
	// What the overview costs when nothing is cached: a new handler each time.
	var fresh []time.Duration
	for range 10 {
		begin := time.Now()
		page(t, web.Handler(s, nil), "/")
		fresh = append(fresh, time.Since(begin))
	}
	t.Logf("%-36s p95 %8.1f ms", "overview, not cached", ms(percentile(fresh)))
	t.Log(text(page(t, h, "/")))
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func percentile(ds []time.Duration) time.Duration {
	slices.Sort(ds)
	return ds[len(ds)*95/100]
}

// drain runs a statement and reads its rows.
func drain(t *testing.T, db *sql.DB, text string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), text)
	check(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	check(t, err)
	cells := make([]sql.RawBytes, len(columns))
	dest := make([]any, len(columns))
	for i := range cells {
		dest[i] = &cells[i]
	}
	for rows.Next() {
		check(t, rows.Scan(dest...))
	}
	check(t, rows.Err())
}

// plan returns how the database runs a statement.
func plan(t *testing.T, db *sql.DB, backend, text string) string {
	t.Helper()
	explain := "EXPLAIN QUERY PLAN "
	if backend == "postgres" {
		explain = "EXPLAIN "
	}
	rows, err := db.QueryContext(t.Context(), explain+text)
	check(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	check(t, err)
	var b strings.Builder
	for rows.Next() {
		cells := make([]any, len(columns))
		for i := range cells {
			cells[i] = new(sql.NullString)
		}
		check(t, rows.Scan(cells...))
		fmt.Fprintln(&b, "       ", cells[len(cells)-1].(*sql.NullString).String)
	}
	check(t, rows.Err())
	return b.String()
}
