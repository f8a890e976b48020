package mysql_test

import (
	"testing"

	stdsql "database/sql"

	driverpkg "github.com/go-sql-driver/mysql"

	"github.com/brine-go/brine/internal/sqltest"
	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence/sql/mysql"
	"github.com/brine-go/brine/url"
)

// What the tests of all dialects share, under short names.
var (
	integers = sqltest.Integers
	record   = sqltest.Record
	create   = sqltest.Create
	apply    = sqltest.Apply
	run      = sqltest.Exec
	get      = sqltest.Get
	scan     = sqltest.Scan

	openBackend = sqltest.Opener(mysql.Open).Backend
	open        = sqltest.Opener(mysql.Open).Store
)

const everything = sqltest.Everything

// fresh returns the URL of an empty database on the server that the tests share.
func fresh(t testing.TB) string {
	t.Helper()
	s := testserver.SharedMariaDB(t)
	return s.URL(s.NewDB(t))
}

// rawConfig returns the driver's own configuration of a URL.
func rawConfig(t testing.TB, rawURL string) *driverpkg.Config {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	c := driverpkg.NewConfig()
	c.Net, c.Addr, c.User, c.DBName = "unix", u.Query().Get("socket"), u.User(), u.Path()[1:]
	c.Logger = &driverpkg.NopLogger{}
	c.MaxAllowedPacket = 0
	return c
}

// raw returns a plain database of a URL, with the driver's own settings.
func raw(t testing.TB, rawURL string) *stdsql.DB {
	t.Helper()
	return rawDB(t, rawConfig(t, rawURL))
}

func rawDB(t testing.TB, c *driverpkg.Config) *stdsql.DB {
	t.Helper()
	connector, err := driverpkg.NewConnector(c)
	if err != nil {
		t.Fatal(err)
	}
	db := stdsql.OpenDB(connector)
	t.Cleanup(func() { db.Close() })
	return db
}
