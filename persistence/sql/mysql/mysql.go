// Package mysql keeps records in a database of a MySQL or MariaDB server. Importing it
// makes the URL scheme "mysql" known:
//
//	mysql://user:password@host:3306/db          over TCP; without a port 3306
//	mysql://user:password@a:3306,b:3307/db      several hosts: the first that can be written is used
//	mysql://user@/db?socket=/run/mysqld/mysqld.sock
//
// MySQL 8.0.17 and MariaDB 10.2 are the oldest that serve; MariaDB 10.11 is what the tests run on.
// The database has to be there; the table is made in it. The fragment #table=name names the table.
// The query parameters are
//
//	socket=/path          a socket instead of a host
//	tls=true              false (default), true: the certificate is verified; skip-verify: it is
//	                      not; preferred: TLS without verification where the server offers it
//	tls_ca=ca.pem         who may have signed the server's certificate; default: those that the
//	                      system trusts
//	tls_cert=, tls_key=   files with the client's certificate and key
//	read_timeout=30s      the longest silence of the server inside a call, for networks that lose
//	                      connections without a sign; default: none. No statement may take longer
//	write_timeout=30s     the same for sending
//	wsrep_sync_wait=1     of a Galera cluster: 1: reads see what other nodes have committed before;
//	                      see its manual for other values
//
// and those of every server's pool of connections, which driver.Pool describes: pool_size,
// pool_idle, pool_lifetime, pool_idle_time, pool_pre_ping, connect_timeout.
//
// # What is set
//
// Every connection is set to strict SQL mode and utf8mb4, and every session variable that could
// change an answer, end a statement or fail a write is given its value, whatever the server or its
// init_connect has set: docs/servers.md lists them. A View is one consistent snapshot under
// REPEATABLE READ, an Apply of more than one statement a transaction under READ COMMITTED, or
// REPEATABLE READ where the server logs statements (binlog_format). Waits for locks end after 5
// seconds, and are begun again for as long as the call may last. Tables are InnoDB's with
// ROW_FORMAT=DYNAMIC; text is compared by bytes (utf8mb4_nopad_bin on MariaDB, utf8mb4_0900_bin on
// MySQL).
//
// With OpenOptions.ReadOnly (mode=ro in the URL of a store) every connection is also set to
// read-only transactions, and of several hosts the first is used that answers, a replica too. A
// user who has only SELECT will do; tables that do not show to that user count as absent.
//
// # Galera
//
// A commit that loses against one of another node (error 1213) is repeated. MariaDB 10.11 loses
// that error while it prepares a statement: the transaction is gone, and what follows is committed
// statement by statement. On a node of a cluster every statement that is prepared inside a
// transaction therefore stands between a savepoint and its release, which fails then; once for each
// statement and connection.
//
// # Limits
//
// A value may have as many bytes as the server's max_allowed_packet, 16 MiB (MariaDB) or 64 MiB
// (MySQL) unless it is configured: what is larger is ErrTooLarge. An order by a column of text or
// bytes without an index compares the first 64 KiB of each (some 20,000 characters).
package mysql

import (
	"context"
	stdsql "database/sql"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/sql"
	"github.com/brine-go/brine/url"
)

func init() { driver.Register("mysql", Open) }

// retryFor is how long a call is tried again where someone else is in the way.
const retryFor = 10 * time.Second

// Open implements [driver.Opener]. It checks the URL and reads the files that it names, and does no
// other I/O.
func Open(_ context.Context, u url.URL, o driver.OpenOptions) (driver.Backend, error) {
	s, err := parse(u, o.Pool)
	if err != nil {
		return nil, err
	}
	c, err := newConnector(s, o)
	if err != nil {
		return nil, err
	}
	d := &dialect{traits: newTraits(), ofServer: newServerTraits(), location: s.location(), pool: s.pool, open: func() *sqlx.DB { return sqlx.NewDb(stdsql.OpenDB(c), "mysql") }}
	return sql.OpenServer(d, &d.ofServer, o, retryFor), nil
}

// New returns the Backend of the table o.Table ("" means "store") in a database that the caller has
// opened, with go-sql-driver/mysql or something that wraps it. It does no I/O yet, and never closes
// db.
//
// The DSN must have clientFoundRows=true, without which the backend does not open. What else the
// backend needs of a connection it sets with SET, and a connection that it has used it closes in
// the end, so that the caller never meets one with these settings. No more of them than o.Pool.Size
// are in use at once.
func New(db *sqlx.DB, o driver.OpenOptions) (driver.Backend, error) {
	o, pool, err := sql.Adopt(db, o)
	if err != nil {
		return nil, err
	}
	d := &dialect{traits: newTraits(), ofServer: newServerTraits(), pool: pool, borrowed: true, readOnly: o.ReadOnly, open: func() *sqlx.DB { return db }}
	return sql.OpenServer(d, &d.ofServer, o, retryFor), nil
}
