package stress_test

import (
	"testing"

	"github.com/brine-go/brine/internal/testserver"
)

// A kindOf server: how to start one, and how to look at its connections from outside.
type kindOf struct {
	start  func(t testing.TB, opts ...testserver.Option) *testserver.Server
	shared func(t testing.TB) *testserver.Server

	// marker tells apart older and newer connections: it is that of the connection that asks for
	// it.
	marker string
	// newer counts the connections to the current database that are newer than a marker; all counts
	// all of them, but for the one that asks.
	newer, all string
}

// Connections to the current database, but for the one that asks.
const (
	pgConnections = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() " +
		"AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
	myConnections = "SELECT count(*) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
)

var kinds = map[string]kindOf{
	"postgres": {
		start: testserver.Postgres, shared: testserver.SharedPostgres,
		marker: "SELECT backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()",
		newer:  pgConnections + " AND backend_start > $1::text::timestamptz",
		all:    pgConnections,
	},
	"mariadb": {
		start: testserver.MariaDB, shared: testserver.SharedMariaDB,
		marker: "SELECT CONNECTION_ID()",
		newer:  myConnections + " AND id > ?",
		all:    myConnections,
	},
}

// servers runs a test once for each kind of server.
func servers(t *testing.T, test func(t *testing.T, kind kindOf)) {
	t.Helper()
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, kind)
		})
	}
}

// everywhere runs a test on an empty store of every backend.
func everywhere(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	embedded(t, test)
	servers(t, func(t *testing.T, kind kindOf) {
		srv := kind.shared(t)
		test(t, srv.URL(srv.NewDB(t)))
	})
}
