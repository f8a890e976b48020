package sqlite_test

import (
	stdsql "database/sql"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/brine-go/brine/internal/sqlbench"
	"github.com/brine-go/brine/persistence/driver"
)

var bench = sqlbench.Dialect{
	New:  newBench,
	Rows: []int{1, 10, 50, 100},
	ClaimColumns: []string{
		"ALTER TABLE store ADD COLUMN owner TEXT",
		"ALTER TABLE store ADD COLUMN until BIGINT",
		"ALTER TABLE store ADD COLUMN token BIGINT",
		"CREATE INDEX store_until ON store (until) WHERE until IS NOT NULL",
	},
	Claim: `UPDATE store SET owner = ?, until = ?, token = revision + 1, revision = revision + 1
		WHERE id IN (SELECT id FROM store WHERE state = 'READY' AND (until IS NULL OR until <= ?) ORDER BY id LIMIT ?)
		RETURNING id, token`,
	ClaimArgs: func(owner string, now time.Time, lease time.Duration, limit int) []any {
		return []any{owner, now.Add(lease).UnixMicro(), now.UnixMicro(), limit}
	},
}

func newBench(b *testing.B) (driver.Backend, *sqlbench.Hand) {
	b.Helper()
	store, _ := open(b, fileURL(filepath.Join(b.TempDir(), "brine.db")), integers, driver.OpenOptions{})
	dsn := "file:" + filepath.Join(b.TempDir(), "hand.db") +
		"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)" +
		"&_pragma=wal_autocheckpoint(10000)&_pragma=journal_size_limit(67108864)&_pragma=cache_size(-16384)" +
		"&_pragma=mmap_size(268435456)&_txlock=immediate"
	hand := &sqlbench.Hand{Table: "store", Bind: sqlx.QUESTION}
	for _, db := range []**stdsql.DB{&hand.Writer, &hand.Reader} {
		var err error
		*db, err = stdsql.Open("sqlite", dsn)
		sqlbench.Check(b, err)
		(*db).SetMaxOpenConns(1)
		b.Cleanup(func() { (*db).Close() })
	}
	run(b, hand.Writer, `CREATE TABLE store (id INTEGER NOT NULL PRIMARY KEY, data BLOB NOT NULL,
		state VARCHAR(128) NOT NULL, type TEXT NOT NULL, revision BIGINT NOT NULL, size BIGINT NOT NULL,
		created BIGINT NOT NULL, modified BIGINT NOT NULL)`,
		`CREATE INDEX store_state ON store (state)`)
	return store, hand
}

func BenchmarkCreateOne(b *testing.B)      { sqlbench.CreateOne(b, bench) }
func BenchmarkUpdateOne(b *testing.B)      { sqlbench.UpdateOne(b, bench) }
func BenchmarkCreate10000(b *testing.B)    { sqlbench.Create10000(b, bench) }
func BenchmarkGetOne(b *testing.B)         { sqlbench.GetOne(b, bench) }
func BenchmarkGet10000(b *testing.B)       { sqlbench.Get10000(b, bench) }
func BenchmarkClaim(b *testing.B)          { sqlbench.Claim(b, bench) }
func BenchmarkByStateInOrder(b *testing.B) { sqlbench.ByStateInOrder(b, bench) }

func BenchmarkScan100000IDs(b *testing.B) {
	store, hand := newBench(b)
	recs := sqlbench.Records(10_000)
	for i := range int64(10) {
		apply(b, store, sqlbench.Creates(recs, i*10_000)...)
		hand.Batch(b, recs, i*10_000, 50)
	}
	sqlbench.Versus(b, func() {
		q, n := &driver.Query{Limit: 4096}, 0
		var last driver.ID
		for ; ; q.After = (&driver.Cursor{ID: last}) {
			before := n
			sqlbench.Check(b, store.View(b.Context(), func(r driver.Reader) error {
				for rec, err := range r.Scan(b.Context(), q) {
					if err != nil {
						return err
					}
					last = rec.ID
					n++
				}
				return nil
			}))
			if n-before < q.Limit {
				break
			}
		}
		if n != 100_000 {
			b.Fatalf("%d records", n)
		}
	}, func() {
		rows, err := hand.Reader.Query("SELECT id FROM store ORDER BY id")
		sqlbench.Check(b, err)
		defer rows.Close()
		n := 0
		for rows.Next() {
			var id int64
			sqlbench.Check(b, rows.Scan(&id))
			_ = strconv.FormatInt(id, 10)
			n++
		}
		sqlbench.Check(b, rows.Err())
		if n != 100_000 {
			b.Fatalf("%d records", n)
		}
	})
}
