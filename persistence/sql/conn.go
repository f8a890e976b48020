package sql

import (
	"context"
	stdsql "database/sql"
	"time"

	"github.com/jmoiron/sqlx"
)

// cancelGrace is how long a statement on a server may go on after the end of its context. The
// outcome of one that is cut off is not known.
const cancelGrace = time.Second

// maxStatements is how many prepared statements a connection keeps.
const maxStatements = 96

// A conn is one connection of its own, with the statements prepared on it.
type conn struct {
	*sqlx.Conn
	traits *traits
	idle   map[string]*sqlx.Stmt // by text, those not in use
	pinned bool                  // closing it would lose the data
	shared bool                  // see Pools.Ready
	broken bool                  // to be closed instead of reused
	within bool                  // a transaction has begun, and not ended

	pool       *pool
	born, used time.Time
	bulk       bool          // BulkWrites is in force
	singles    int           // batches since the last large one, while bulk is true
	compared   time.Time     // when the identity of the store was last read through it
	grace      time.Duration // what a statement gets instead of cancelGrace, if it is more
	remote     *remote       // nil: the database runs inside this process
}

// remote is what a connection to a server has besides.
type remote struct {
	link  *link // nil: not known
	began bool  // a statement has been run since the connection was taken out of the pool
	mark  int64 // bytes written before it
}

func newConn(sc *sqlx.Conn, t *traits) *conn {
	now := time.Now()
	return &conn{Conn: sc, traits: t, idle: map[string]*sqlx.Stmt{}, born: now, used: now}
}

// short returns the context for a short statement of a call with ctx. Inside this process that is
// one that cannot be cancelled, which is cheaper: ctx is looked at between statements.
func (c *conn) short(ctx context.Context) context.Context {
	if c.remote == nil {
		return context.WithoutCancel(ctx)
	}
	return ctx
}

// prepared takes a statement for text out of those kept, or prepares it. It belongs to the caller
// until keep: a statement whose rows are being read cannot be run a second time.
func (c *conn) prepared(ctx context.Context, text string) (*sqlx.Stmt, error) {
	if s, ok := c.idle[text]; ok {
		delete(c.idle, text)
		return s, nil
	}
	return c.prepare(ctx, text)
}

// keep gives a statement back for its next use.
func (c *conn) keep(text string, s *sqlx.Stmt) {
	if _, twice := c.idle[text]; twice {
		_ = s.Close()
		return
	}
	if len(c.idle) >= maxStatements {
		for old, o := range c.idle {
			delete(c.idle, old)
			_ = o.Close()
			break
		}
	}
	c.idle[text] = s
}

// exec runs a statement that gives no rows and returns the number of rows that it changed.
func (c *conn) exec(ctx context.Context, text string, args ...any) (int64, error) {
	res, err := c.run(ctx, text, args)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (c *conn) run(ctx context.Context, text string, args []any) (stdsql.Result, error) {
	defer c.attend(ctx)()
	if c.shared {
		c.begin()
		return c.ExecContext(ctx, sqlx.Rebind(c.traits.BindType, text), args...)
	}
	s, err := c.prepared(ctx, text) //nolint:sqlclosecheck // kept
	if err != nil {
		return nil, err
	}
	c.begin()
	res, err := s.ExecContext(ctx, args...)
	c.settle(text, s, err)
	return res, err
}

// settle keeps a statement, unless its error says that it has to be prepared anew.
func (c *conn) settle(text string, s *sqlx.Stmt, err error) {
	if err != nil && c.traits.Stale != nil && c.traits.Stale(err) {
		_ = s.Close()
		return
	}
	c.keep(text, s)
}

// changing runs an UPDATE of one row, and returns the integer that it has assigned to the column
// returned: as AsLastInsertID, where there is no RETURNING.
func (c *conn) changing(ctx context.Context, text string, args []any, returned *column) (value int64, found bool, err error) {
	if c.traits.Returning {
		var got cell
		if found, err = c.one(ctx, text+" RETURNING "+returned.quoted, args, &got); found && err == nil {
			value, err = got.integer(0)
		}
		return value, found, err
	}
	res, err := c.run(ctx, text, args)
	if err != nil {
		return 0, false, err
	}
	n, err := res.RowsAffected()
	if err == nil && n > 0 {
		value, err = res.LastInsertId()
	}
	return value, n > 0, err
}

// send runs a statement without preparing it.
func (c *conn) send(ctx context.Context, text string) error {
	defer c.attend(ctx)()
	c.begin()
	_, err := c.ExecContext(ctx, text)
	return err
}

// query runs a statement and calls row after each row has been scanned into dest; an error of row
// ends it.
func (c *conn) query(ctx context.Context, text string, args, dest []any, row func() error) (err error) {
	defer c.attend(ctx)()
	if c.shared {
		c.begin()
		rows, err := c.QueryContext(ctx, sqlx.Rebind(c.traits.BindType, text), args...)
		if err != nil {
			return err
		}
		return scanAll(rows, dest, row)
	}
	s, err := c.prepared(ctx, text) //nolint:sqlclosecheck // kept
	if err != nil {
		return err
	}
	var stopped error // by row: the statement is as good as before
	defer func() {
		if stopped != nil {
			c.keep(text, s)
			return
		}
		c.settle(text, s, err)
	}()
	c.begin()
	rows, err := s.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	return scanAll(rows, dest, func() error {
		stopped = row()
		return stopped
	})
}

// scanAll calls row after each row has been scanned into dest, until it returns an error. It closes
// rows.
func scanAll(rows *stdsql.Rows, dest []any, row func() error) (err error) {
	defer func() { // also when row panics: rows left open keep the connection from ever being closed
		if closed := rows.Close(); err == nil {
			err = closed
		}
	}()
	for rows.Next() {
		if err = rows.Scan(dest...); err == nil {
			err = row()
		}
		if err != nil {
			return err
		}
	}
	return rows.Err()
}

// one runs a statement that gives at most one row and scans it into dest.
func (c *conn) one(ctx context.Context, text string, args []any, dest ...any) (found bool, err error) {
	err = c.query(ctx, text, args, dest, func() error {
		found = true
		return nil
	})
	return found, err
}

// closeStatements closes the statements kept.
func (c *conn) closeStatements() {
	for _, s := range c.idle {
		_ = s.Close()
	}
	clear(c.idle)
}

// discard closes the connection. database/sql does so only when told that it is bad.
func (c *conn) discard() {
	_ = c.Raw(func(any) error { return errBadConn })
	_ = c.Close()
}

// begin notes that a statement is about to be sent.
func (c *conn) begin() {
	r := c.remote
	if r == nil {
		return
	}
	if r.began = true; r.link != nil {
		r.mark = r.link.written.Load()
	}
}

// unsent reports whether the last statement has surely not been sent to a server.
func (c *conn) unsent() bool {
	r := c.remote
	return r != nil && (!r.began || r.link != nil && r.link.written.Load() == r.mark)
}

// watch cuts the link when ctx has been over for so long, unless the function that it returns has
// been called by then.
func (c *conn) watch(ctx context.Context, grace time.Duration) (stop func()) {
	if c.remote == nil || c.remote.link == nil || ctx.Done() == nil {
		return func() {}
	}
	done := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C:
			c.remote.link.cut()
		}
	})
	return func() {
		cancel()
		close(done)
	}
}

// attend watches over a statement of a server; the function that it returns is called at its end.
func (c *conn) attend(ctx context.Context) (stop func()) {
	if c.remote == nil || ctx.Done() == nil {
		return func() {}
	}
	unwatch := c.watch(ctx, max(c.grace, cancelGrace))
	return func() {
		unwatch()
		if ctx.Err() != nil {
			// A request to cancel may be under way still, or the driver has given up in the middle.
			c.broken = true
		}
	}
}
