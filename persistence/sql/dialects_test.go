package sql_test

import (
	"context"
	stdsql "database/sql"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence/driver"
	_ "github.com/brine-go/brine/persistence/sql/mysql"
	_ "github.com/brine-go/brine/persistence/sql/postgres"
	"github.com/brine-go/brine/url"
)

// A database is an empty one of some dialect.
type database struct {
	name string
	url  string
	raw  func(t testing.TB) *stdsql.DB
}

// everywhere runs a test on an empty database of each dialect.
func everywhere(t *testing.T, test func(t *testing.T, db database)) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "test.db")
		test(t, database{"sqlite", "sqlite://" + filepath.ToSlash(path), func(t testing.TB) *stdsql.DB {
			db, err := stdsql.Open("sqlite", path+"?_pragma=busy_timeout(10000)")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { db.Close() })
			return db
		}})
	})
	for name, shared := range map[string]func(testing.TB) *testserver.Server{"postgres": testserver.SharedPostgres, "mariadb": testserver.SharedMariaDB} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := shared(t)
			db := s.NewDB(t)
			test(t, database{name, s.URL(db), func(t testing.TB) *stdsql.DB { return s.Open(t, db) }})
		})
	}
}

// open returns a Backend after Init, closed at the end of the test.
func (d database) open(t testing.TB, s driver.Schema, o driver.OpenOptions) driver.Backend {
	t.Helper()
	b := d.make(t, o)
	if _, err := b.Init(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return b
}

// make returns a Backend before Init, closed at the end of the test.
func (d database) make(t testing.TB, o driver.OpenOptions) driver.Backend {
	t.Helper()
	u, err := url.Parse(d.url)
	if err != nil {
		t.Fatal(err)
	}
	if o.Table == "" {
		o.Table = "store"
	}
	o.Logger = slog.New(slog.DiscardHandler)
	open, _ := driver.Lookup(u.Scheme())
	b, err := open(context.Background(), u, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
