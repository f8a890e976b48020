package postgres_test

import (
	"context"
	stdsql "database/sql"
	neturl "net/url"
	"testing"

	_ "github.com/lib/pq"

	"github.com/brine-go/brine/internal/sqltest"
	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/sql/postgres"
)

// What the tests of all dialects share, under short names.
var (
	integers = sqltest.Integers
	record   = sqltest.Record
	create   = sqltest.Create
	apply    = sqltest.Apply
	run      = sqltest.Exec

	openBackend = sqltest.Opener(postgres.Open).Backend
)

// dsn returns what lib/pq opens for the URL of a store.
func dsn(t testing.TB, rawURL string) string {
	t.Helper()
	u, err := neturl.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if schema := q.Get("schema"); schema != "" {
		q.Set("search_path", `"`+schema+`"`)
	}
	for name := range q {
		if name != "host" && name != "port" && name != "sslmode" && name != "search_path" {
			q.Del(name)
		}
	}
	q.Set("binary_parameters", "yes")
	u.RawQuery = q.Encode()
	return u.String()
}

// raw returns plain connections to the database of a store.
func raw(t testing.TB, rawURL string) *stdsql.DB {
	t.Helper()
	db, err := stdsql.Open("postgres", dsn(t, rawURL))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// open returns a Backend after Init, closed at the end of the test.
func open(t testing.TB, rawURL string, s driver.Schema, o driver.OpenOptions) driver.Backend {
	t.Helper()
	b, _ := sqltest.Opener(postgres.Open).Store(t, rawURL, s, o)
	return b
}

// get returns the records with the IDs.
func get(ctx context.Context, b driver.Backend, ids ...driver.ID) (map[driver.ID]driver.Record, error) {
	return sqltest.Find(ctx, b, sqltest.Everything, ids...)
}
