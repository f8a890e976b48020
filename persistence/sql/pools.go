package sql

import (
	"context"

	"github.com/jmoiron/sqlx"

	"github.com/brine-go/brine/persistence/driver"
)

// Pools are the connections to an open database.
type Pools struct {
	Writer  *sqlx.DB
	Reader  *sqlx.DB // the same as Writer on servers, and where there is one connection for everything
	Readers int      // connections that read at once, where there is no server
	// Keep says how connections to a server are kept, as ParsePool returns it. The engine sets the
	// limits of Writer itself.
	Keep driver.Pool
	// Borrowed: Writer is the caller's. It is neither closed nor configured, and gets its
	// connections back.
	Borrowed bool
	// Setup runs on each connection taken from a borrowed Writer. Those connections are then closed
	// instead of given back, so that the caller never gets one with these settings.
	Setup []string
	// Ready makes each new connection to a server ready, and reports whether it is shared: a pooler
	// may run each of its transactions in another session of the server, between those of other
	// clients. On a shared connection no statement is prepared, and each runs in a transaction,
	// which begins with SharedBegin. A borrowed connection that is not shared is closed instead of
	// given back. nil: there is nothing to do, and no connection is shared.
	Ready func(ctx context.Context, c *sqlx.Conn) (shared bool, err error)
	// Probe examines the server, on the first connection and before anything else; nil: there is
	// nothing to find out. An error means that the database could not be opened.
	Probe    func(ctx context.Context, c *sqlx.Conn) error
	ReadOnly error // why the medium cannot be written; nil: it can
	// CheckFiles returns an error if the files of the database are no longer those that were
	// opened; nil: there are none. written says that something was committed: then all files count
	// that a commit needs.
	CheckFiles func(written bool) error
	// Adopt does what Open does besides with create, once the engine knows that the database is the
	// one that a store was opened in before; nil: nothing.
	Adopt func(ctx context.Context) error
	// Preview: this is for finding out whether the database is the one, and is then closed; Open
	// follows Adopt once more.
	Preview bool
	Pinned  bool // closing a connection loses the data: Suspend leaves it open
}
