package postgres_test

import (
	"testing"

	"github.com/jmoiron/sqlx"

	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence/drivertest"
	_ "github.com/brine-go/brine/persistence/sql/postgres"
)

func TestConformance(t *testing.T) {
	for name, param := range map[string]string{"where the search path says": "", "in a schema of its own": "&schema=Other"} {
		t.Run(name, func(t *testing.T) {
			s := testserver.SharedPostgres(t)
			drivertest.Run(t, drivertest.Harness{
				URL: func(t testing.TB) string { return s.URL(s.NewDB(t)) + param },
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
