// Package postgres keeps records in a database of a PostgreSQL server. Importing it
// makes the URL schemes "postgres" and "postgresql" known:
//
//	postgres://user:password@host:5432/db          over TCP; default: localhost, port 5432
//	postgres://user:password@a:5432,b:5433/db      several hosts: the first that suits is used
//	postgres://user@/db?host=/run/postgresql       the folder of a Unix socket
//
// PostgreSQL 14 is the oldest that serves; 15 is what the tests run on. The database has to be
// there and its encoding to be UTF8; the table is made in it. The fragment #table=name names the
// table. The query parameters are
//
//	schema=name              where the table is, created if it is missing; default: what the user's
//	                         search_path says
//	host=, port=             the place, if it does not stand in front
//	sslmode=prefer           disable, allow, prefer, require, verify-ca, verify-full, as in
//	                         PostgreSQL's own clients; prefer and allow protect from no attacker,
//	                         and require only from those that merely listen
//	sslrootcert=ca.pem       who may have signed the server's certificate; "system": those that the
//	                         system trusts
//	sslcert=, sslkey=        files with the client's certificate and key
//	target_session_attrs=any any, read-write, read-only, primary, standby, prefer-standby: which
//	                         server suits; with read-write, a list of hosts follows a failover
//	load_balance_hosts=disable  random: try the hosts in random order
//	pooler=session           what is between this program and the server, a PgBouncer say: session or
//	                         transaction; default: found out, see below
//	application_name=brine   shown in pg_stat_activity
//	options=                 settings for the server, as "-c work_mem=64MB"
//
// and those of every server's pool of connections: see [sql.ParsePool]. The environment variables
// of PostgreSQL's own clients do not count; a password that the URL lacks is looked for in
// ~/.pgpass.
//
// # What is set
//
// Every connection is set to READ COMMITTED, in which writes happen; a View is one read-only
// transaction under REPEATABLE READ. Text is compared by bytes (COLLATE "C"). What a server, a
// database or a role has set besides changes no answer, ends no statement and loses no
// acknowledged write: docs/servers.md has the list. Policies of row-level security that would hide
// records are an error. What the parameter options sets counts, unless it is one of those settings.
//
// # Poolers
//
// Where a pooler, as PgBouncer, gives each transaction another session of the server, no statement
// is prepared, and each runs in a transaction that makes the settings: three round trips in place
// of one. That is so behind every pooler unless the URL says pooler=session, which is right where
// each client has a session to itself until it disconnects, and costs nothing. In statement mode
// opening is an error.
//
// With OpenOptions.ReadOnly (mode=ro in the URL of a store) every connection is also set to
// read-only transactions. A standby will do then, and a role that has only SELECT; of the tables
// beside that of the objects those that the role may not read count as absent, with a warning.
//
// # Limits
//
// A record and its columns may have 1 GB together. Larger ones are ErrTooLarge.
package postgres

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/sql"
	"github.com/brine-go/brine/url"
)

func init() {
	driver.Register("postgres", Open)
	driver.Register("postgresql", Open)
}

// retryFor is how long a call is tried again where someone else is in the way, or the server away.
const retryFor = 10 * time.Second

// Open implements [driver.Opener]. It checks the URL and does no I/O, but to find the name of the
// user where the URL has none.
func Open(_ context.Context, u url.URL, o driver.OpenOptions) (driver.Backend, error) {
	s, err := parse(u, o.Pool)
	if err != nil {
		return nil, err
	}
	ss := &sessions{location: s.location(), schema: s.schema, options: s.config.Options, pooler: s.pooler, logger: o.Logger, readOnly: o.ReadOnly}
	c, err := newConnector(s, ss)
	if err != nil {
		return nil, err
	}
	return sql.OpenServer(&dialect{
		location: s.location(), schema: s.schema, choosy: s.choosy(), pool: s.pool, sessions: ss, connector: c,
	}, ss.traits(), o, retryFor), nil
}

// New returns the Backend of the table o.Table ("" means "store") in a database that the caller has
// opened, with lib/pq or something that wraps it. The table is looked for, and made, where the
// search_path of db's connections says.
//
// The Backend never closes db. It keeps up to o.Pool.Size connections of it, one less than db may
// have open. They have its settings, and so it closes them at Suspend and Close; those to a pooler,
// or through a driver that hides lib/pq's connections, it uses like a pooler in transaction mode
// and gives back. A store's PreFork leaves db's other connections open.
func New(db *sqlx.DB, o driver.OpenOptions) (driver.Backend, error) {
	o, pool, err := sql.Adopt(db, o)
	if err != nil {
		return nil, err
	}
	ss := &sessions{location: "postgres:(a caller's connections)", logger: o.Logger, readOnly: o.ReadOnly}
	t := ss.traits()
	t.CancelTells = false
	return sql.OpenServer(&dialect{location: ss.location, pool: pool, sessions: ss, db: db}, t, o, retryFor), nil
}
