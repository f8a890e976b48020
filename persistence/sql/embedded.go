package sql

import (
	"context"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/brine-go/brine/persistence/driver"
)

// embedded is the engine of a database that runs inside this process: one connection writes, and
// Applys that wait for it share a commit; some connections read, and stream what they read.
type embedded struct{ b *Backend }

var _ engine = embedded{}

// embeddedPause is how long the pauses between tries become: locks are short here.
const embeddedPause = 4 * time.Millisecond

func (e embedded) open(p *Pools) *open {
	o := &open{Pools: p}
	lend := func(db *sqlx.DB, size int) *pool {
		return newPool(&fileSource{db, e.b.traits, p.Pinned}, unlimited(size), e.b.counters)
	}
	o.reader = lend(p.Reader, p.Readers)
	if o.writer = o.reader; p.Reader != p.Writer {
		o.writer = lend(p.Writer, 1)
		o.group = e.newGroup(o)
	}
	return o
}

func (e embedded) apply(ctx context.Context, o *open, t *batch) error {
	if o.group == nil {
		return t.byItself(ctx, o)
	}
	return o.group.Do(ctx, t.bytes(), t)
}

func (e embedded) retry(ctx context.Context, f func() error) error {
	busy := func(err error) bool { return e.b.classify(err) == Busy }
	ended, err := e.b.repeat(ctx, embeddedPause, busy, f)
	if ended {
		return ctx.Err()
	}
	return err
}

// read calls f once: readers wait for no writer.
func (e embedded) read(ctx context.Context, s *session, f func() error) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	err := f()
	if err != nil {
		err = e.failed(ctx, s.c, err)
	}
	return err
}

// begin runs prepared statements, as all statements here are: compiling costs more than running.
func (e embedded) begin(ctx context.Context, c *conn, texts ...string) error {
	for _, text := range texts {
		if _, err := c.exec(c.short(ctx), text); err != nil {
			return e.failed(ctx, c, err)
		}
	}
	return nil
}

func (e embedded) end(ctx context.Context, c *conn, text string) error {
	_, err := c.exec(context.WithoutCancel(ctx), text)
	return err
}

func (e embedded) failed(_ context.Context, c *conn, err error) error {
	class := e.b.classify(err)
	if c != nil && (class == Lost || class == Gone || errors.Is(err, errBadConn)) {
		c.broken = !c.pinned
	}
	return err
}

// scan reads with one statement open, or two where the first column of the order may be NULL, so
// that an index serves each.
func (e embedded) scan(ctx context.Context, r *reader, q *driver.Query, yield func(driver.Record, error) bool) error {
	return r.stream(ctx, q, yield)
}

// A fileSource makes connections to an embedded database.
type fileSource struct {
	db     *sqlx.DB
	traits *traits
	pinned bool
}

func (s *fileSource) connect(ctx context.Context) (*conn, error) {
	sc, err := s.db.Connx(ctx)
	if err != nil {
		return nil, err
	}
	c := newConn(sc, s.traits)
	if err := ctx.Err(); err != nil {
		s.discard(c)
		return nil, err
	}
	c.pinned = s.pinned
	return c, nil
}

func (s *fileSource) usable(context.Context, *conn) bool { return true }

func (s *fileSource) discard(c *conn) {
	c.closeStatements() // first: they are part of what is closed below
	c.discard()
}

func (s *fileSource) release(c *conn) error {
	c.closeStatements()
	return c.Close()
}

func (s *fileSource) close() error { return s.db.Close() }
