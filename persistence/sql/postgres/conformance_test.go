package postgres_test

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/jmoiron/sqlx"

	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence/drivertest"
	_ "github.com/brine-go/brine/persistence/sql/postgres"
)

func TestConformance(t *testing.T) {
	s := testserver.SharedPostgres(t)
	name := s.NewDB(t)
	var schemas atomic.Int64
	database := func(t testing.TB) string { return s.URL(s.NewDB(t)) }
	schema := func(testing.TB) string { return fmt.Sprintf("%s&schema=Other%d", s.URL(name), schemas.Add(1)) }
	var stores atomic.Int64
	places := map[string]func(testing.TB) string{
		"where the search path says, and in a schema of its own": func(t testing.TB) string {
			if stores.Add(1)%2 == 0 {
				return database(t)
			}
			return schema(t)
		},
	}
	if os.Getenv("BRINE_LONG") != "" {
		places = map[string]func(testing.TB) string{"where the search path says": database, "in a schema of its own": schema}
	}
	for name, newURL := range places {
		t.Run(name, func(t *testing.T) {
			drivertest.Run(t, drivertest.Harness{
				URL: newURL,
				Forget: func(t testing.TB, url string) {
					db := sqlx.NewDb(raw(t, url), "postgres")
					if _, err := db.ExecContext(t.Context(), "DROP TABLE brine_stores"); err != nil {
						t.Fatal(err)
					}
				},
			})
		})
	}
}

func TestConformanceBehindAPooler(t *testing.T) {
	if os.Getenv("BRINE_LONG") == "" {
		t.Skip("takes a minute: BRINE_LONG=1 runs it")
	}
	t.Parallel()
	s := testserver.Postgres(t)
	p := testserver.PgBouncer(t, s, "transaction", 5)
	drivertest.Run(t, drivertest.Harness{URL: func(t testing.TB) string { return p.URL(s.NewDB(t)) }})
}
