package postgres_test

import (
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/brine-go/brine/internal/sqlbench"
	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence/driver"
)

const clock = "CAST(extract(epoch FROM statement_timestamp()) * 1000000 AS BIGINT)"

var bench = sqlbench.Dialect{
	New:  newBench,
	Rows: []int{50, 250, 1000},
	ClaimColumns: []string{
		"ALTER TABLE store ADD COLUMN owner TEXT",
		"ALTER TABLE store ADD COLUMN until BIGINT",
		"ALTER TABLE store ADD COLUMN token BIGINT",
		"CREATE INDEX store_until ON store (until) WHERE until IS NOT NULL",
	},
	Claim: `WITH c AS MATERIALIZED (
			SELECT id AS claimed FROM store WHERE state = 'READY' AND (until IS NULL OR until <= ` + clock + `)
			ORDER BY state, id LIMIT ? FOR UPDATE SKIP LOCKED)
		UPDATE store SET owner = ?, until = ` + clock + ` + ?, token = revision + 1, revision = revision + 1
		FROM c WHERE id = claimed RETURNING id, token`,
	ClaimArgs: func(owner string, _ time.Time, lease time.Duration, limit int) []any {
		return []any{limit, owner, lease.Microseconds()}
	},
}

// newBench returns both sides, in two databases of one server.
func newBench(b *testing.B) (driver.Backend, *sqlbench.Hand) {
	b.Helper()
	s := testserver.SharedPostgres(b)
	url := s.URL(s.NewDB(b))
	db := raw(b, s.URL(s.NewDB(b)))
	db.SetMaxOpenConns(1)
	run(b, db, `CREATE TABLE store (id BIGINT NOT NULL PRIMARY KEY, data BYTEA NOT NULL,
		state VARCHAR(128) COLLATE "C" NOT NULL, type TEXT COLLATE "C" NOT NULL, revision BIGINT NOT NULL,
		size BIGINT NOT NULL, created BIGINT NOT NULL, modified BIGINT NOT NULL)`,
		`CREATE INDEX store_state ON store (state, id)`)
	hand := &sqlbench.Hand{Writer: db, Reader: db, Table: "store", Bind: sqlx.DOLLAR}
	hand.Analyze = func(b *testing.B) {
		run(b, db, "VACUUM ANALYZE store")
		run(b, raw(b, url), "VACUUM ANALYZE store")
	}
	return open(b, url, integers, driver.OpenOptions{}), hand
}

func BenchmarkCreateOne(b *testing.B)      { sqlbench.CreateOne(b, bench) }
func BenchmarkUpdateOne(b *testing.B)      { sqlbench.UpdateOne(b, bench) }
func BenchmarkCreate10000(b *testing.B)    { sqlbench.Create10000(b, bench) }
func BenchmarkGetOne(b *testing.B)         { sqlbench.GetOne(b, bench) }
func BenchmarkGet10000(b *testing.B)       { sqlbench.Get10000(b, bench) }
func BenchmarkClaim(b *testing.B)          { sqlbench.Claim(b, bench) }
func BenchmarkByStateInOrder(b *testing.B) { sqlbench.ByStateInOrder(b, bench) }
