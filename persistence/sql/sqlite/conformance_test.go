package sqlite_test

import (
	stdsql "database/sql"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brine-go/brine/persistence/drivertest"
	_ "github.com/brine-go/brine/persistence/sql/sqlite"
)

func TestConformance(t *testing.T) {
	drivertest.Run(t, drivertest.Harness{
		URL: func(t testing.TB) string { return "sqlite://" + filepath.Join(t.TempDir(), "new", "store.db") },
		Forget: func(t testing.TB, url string) {
			db, err := stdsql.Open("sqlite", strings.TrimPrefix(url, "sqlite://"))
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.ExecContext(t.Context(), "DROP TABLE brine_stores"); err != nil {
				t.Fatal(err)
			}
		},
	})
}

func TestConformanceOfPrivateMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("the same statements as in a file")
	}
	drivertest.Run(t, drivertest.Harness{
		URL:     func(testing.TB) string { return "sqlite::memory:" },
		Private: true,
	})
}
