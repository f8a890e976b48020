package sqlite_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	stdsql "database/sql"

	"github.com/brine-go/brine/internal/sqltest"
	"github.com/brine-go/brine/persistence/sql/sqlite"
)

// What the tests of all dialects share, under short names.
var (
	integers = sqltest.Integers
	when     = sqltest.Created
	record   = sqltest.Record
	create   = sqltest.Create
	apply    = sqltest.Apply
	run      = sqltest.Exec
	get      = sqltest.Get
	scan     = sqltest.Scan

	openBackend = sqltest.Opener(sqlite.Open).Backend
	open        = sqltest.Opener(sqlite.Open).Store
)

const everything = sqltest.Everything

// file returns a path for a database in a folder of its own.
func file(t testing.TB) string { return filepath.Join(t.TempDir(), "test.db") }

// fileURL returns the URL of a path, escaped by hand.
func fileURL(path string) string {
	return "sqlite://" + strings.NewReplacer("%", "%25", "?", "%3F", "#", "%23", " ", "%20").Replace(filepath.ToSlash(path))
}

// raw returns a plain connection to a database, made if missing.
func raw(t testing.TB, path string) *stdsql.DB {
	t.Helper()
	db, err := stdsql.Open("sqlite", path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	return db
}

func copyFile(t testing.TB, from, to string, mode os.FileMode) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, mode)
	}
	if err != nil {
		t.Fatal(err)
	}
}
