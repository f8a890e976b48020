package mysql_test

import (
	"testing"

	"github.com/jmoiron/sqlx"

	"github.com/brine-go/brine/internal/sqlbench"
	"github.com/brine-go/brine/persistence/driver"
)

var bench = sqlbench.Dialect{New: newBench, Rows: []int{10, 100, 500}}

// newBench returns both sides, in two tables of one database.
func newBench(b *testing.B) (driver.Backend, *sqlbench.Hand) {
	b.Helper()
	url := fresh(b)
	store, _ := open(b, url, integers, driver.OpenOptions{})
	c := rawConfig(b, url)
	c.Params = map[string]string{"sql_mode": "'STRICT_ALL_TABLES'", "tx_isolation": "'READ-COMMITTED'"}
	db := rawDB(b, c)
	db.SetMaxOpenConns(1)
	run(b, db, `CREATE TABLE hand (id BIGINT NOT NULL PRIMARY KEY, data LONGBLOB NOT NULL,
		state VARCHAR(128) COLLATE utf8mb4_nopad_bin NOT NULL, type VARCHAR(255) COLLATE utf8mb4_nopad_bin NOT NULL,
		revision BIGINT NOT NULL, size BIGINT NOT NULL, created BIGINT NOT NULL, modified BIGINT NOT NULL)
		ENGINE=InnoDB ROW_FORMAT=DYNAMIC`, `CREATE INDEX hand_state ON hand (state)`)
	hand := &sqlbench.Hand{Writer: db, Reader: db, Table: "hand", Bind: sqlx.QUESTION}
	hand.Analyze = func(b *testing.B) { run(b, db, "ANALYZE TABLE hand", "ANALYZE TABLE store") }
	return store, hand
}

func BenchmarkCreateOne(b *testing.B)      { sqlbench.CreateOne(b, bench) }
func BenchmarkUpdateOne(b *testing.B)      { sqlbench.UpdateOne(b, bench) }
func BenchmarkCreate10000(b *testing.B)    { sqlbench.Create10000(b, bench) }
func BenchmarkGetOne(b *testing.B)         { sqlbench.GetOne(b, bench) }
func BenchmarkGet10000(b *testing.B)       { sqlbench.Get10000(b, bench) }
func BenchmarkByStateInOrder(b *testing.B) { sqlbench.ByStateInOrder(b, bench) }
