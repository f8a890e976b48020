package sql

import (
	"context"
	"errors"
	"sync"

	"github.com/jmoiron/sqlx"
)

// maxStatements is how many prepared statements a connection keeps.
const maxStatements = 96

// A conn is one connection of its own, with the statements prepared on it.
type conn struct {
	*sqlx.Conn
	traits *Traits
	idle   map[string]*sqlx.Stmt // by text, those not in use
	pinned bool                  // closing it would lose the data
	broken bool                  // to be closed instead of reused
}

// prepared takes a statement for text out of those kept, or prepares it. It belongs to the caller until
// keep: a statement whose rows are being read cannot be run a second time.
func (c *conn) prepared(ctx context.Context, text string) (*sqlx.Stmt, error) {
	if s, ok := c.idle[text]; ok {
		delete(c.idle, text)
		return s, nil
	}
	return c.PreparexContext(ctx, sqlx.Rebind(c.traits.BindType, text))
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
	s, err := c.prepared(ctx, text)
	if err != nil {
		return 0, err
	}
	res, err := s.ExecContext(ctx, args...)
	c.keep(text, s)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// control begins or ends a transaction.
func (c *conn) control(ctx context.Context, text string) error {
	if c.traits.Embedded {
		_, err := c.exec(ctx, text)
		return err
	}
	_, err := c.ExecContext(ctx, text)
	return err
}

// query runs a statement and calls row after each row has been scanned into dest; an error of row ends it.
func (c *conn) query(ctx context.Context, text string, args, dest []any, row func() error) (err error) {
	s, err := c.prepared(ctx, text) //nolint:sqlclosecheck // kept
	if err != nil {
		return err
	}
	defer c.keep(text, s)
	rows, err := s.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
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

func (c *conn) close() error {
	for _, s := range c.idle {
		_ = s.Close()
	}
	clear(c.idle)
	return c.Close()
}

// A pool lends out connections, at most limit at once, the one used last first. Waiting for one honours ctx.
type pool struct {
	db     *sqlx.DB
	traits *Traits
	pinned bool
	slots  chan struct{}

	mu   sync.Mutex
	free []*conn
}

func newPool(db *sqlx.DB, limit int, pinned bool, t *Traits) *pool {
	return &pool{db: db, traits: t, pinned: pinned, slots: make(chan struct{}, limit)}
}

func (p *pool) get(ctx context.Context) (*conn, error) {
	select {
	case p.slots <- struct{}{}:
	default:
		select {
		case p.slots <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	p.mu.Lock()
	if n := len(p.free); n > 0 {
		c := p.free[n-1]
		p.free = p.free[:n-1]
		p.mu.Unlock()
		return c, nil
	}
	p.mu.Unlock()
	c, err := p.db.Connx(ctx)
	if err != nil {
		<-p.slots
		return nil, err
	}
	return &conn{Conn: c, traits: p.traits, pinned: p.pinned, idle: map[string]*sqlx.Stmt{}}, nil
}

func (p *pool) put(c *conn) {
	if c.broken {
		// database/sql closes a connection for good only when told that it is bad.
		_ = c.Raw(func(any) error { return errBadConn })
		_ = c.close()
	} else {
		p.mu.Lock()
		p.free = append(p.free, c)
		p.mu.Unlock()
	}
	<-p.slots
}

// close closes the connections, none of which is lent out, and what the pool draws them from.
func (p *pool) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	for _, c := range p.free {
		err = errors.Join(err, c.close())
	}
	p.free = nil
	return errors.Join(err, p.db.Close())
}
