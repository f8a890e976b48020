package postgres_test

import (
	"testing"

	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence/driver"
)

// Without statistics PostgreSQL takes a condition on the type for a rare one, and sorts all that
// comes after a page to get the next one.
func TestCompactTakesStatistics(t *testing.T) {
	t.Parallel()
	srv := testserver.SharedPostgres(t)
	u := srv.URL(srv.NewDB(t))
	b := open(t, u, integers, driver.OpenOptions{})
	apply(t, b, create("1", "x"))
	if err := b.(driver.Compacter).Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	columns := 0
	if err := raw(t, u).QueryRow("SELECT count(*) FROM pg_stats WHERE tablename = 'store' AND attname IN ('id', 'type')").Scan(&columns); err != nil {
		t.Fatal(err)
	}
	if columns != 2 {
		t.Errorf("%d of 2 columns have statistics", columns)
	}
}
