package sql

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// server is the engine of a database on a server: a pool of connections reads and writes, and each
// may be lost at any time; a statement costs a round trip, and all its rows are sent.
type server struct{ b *Backend }

var _ engine = server{}

// serverPause is how long the pauses between tries become.
const serverPause = 64 * time.Millisecond

func (e server) open(p *Pools) *open {
	source, keep := newServerSource(p, e.b.traits)
	pool := newPool(source, keep, e.b.counters)
	o := &open{Pools: p, reader: pool, writer: pool}
	source.compare = func(ctx context.Context, c *conn) error { return e.b.compare(ctx, o, c) }
	return o
}

func (e server) apply(ctx context.Context, o *open, t *batch) error { return t.byItself(ctx, o) }

// retry calls f again also where a connection was lost. What f does then must be ErrUncertain, or
// surely undone.
func (e server) retry(ctx context.Context, f func() error) error {
	ended, err := e.b.repeat(ctx, serverPause, e.mayRetry, f)
	if ended {
		return fmt.Errorf("%w, and nothing was written: %w", ctx.Err(), err)
	}
	return err
}

// mayRetry reports whether what failed with err has surely not happened and may succeed next time.
func (e server) mayRetry(err error) bool {
	switch e.b.classify(err) {
	case Busy:
		return true
	case Lost, Gone:
		// A server that could never be reached is more likely misnamed than starting.
		return !errors.Is(err, driver.ErrUncertain) && e.b.counters.opened.Load() > 0
	}
	return false
}

var errReaderLost = errors.New("the connection of this View was lost")

// read calls f again on another connection where this one is lost, as long as nothing has been
// given away that the other one may see differently.
func (e server) read(ctx context.Context, s *session, f func() error) error {
	if s.lent {
		return f() // the transaction is repeated as a whole
	}
	if s.begun && s.c == nil {
		return fmt.Errorf("%s: %w", e.b.dialect.Location(), errReaderLost)
	}
	once := func() error {
		if err := s.begin(ctx); err != nil {
			return err
		}
		err := f()
		if err == nil {
			return nil
		}
		failed := e.failed(ctx, s.c, err)
		if !s.given && ctx.Err() == nil && e.mayRetry(err) {
			s.end(ctx)
		}
		return failed
	}
	if s.given {
		return once()
	}
	return e.retry(ctx, once)
}

// begin sends texts that are not prepared: preparing them would be a round trip of its own.
func (e server) begin(ctx context.Context, c *conn, texts ...string) error {
	for i, text := range texts {
		if c.shared && i == 0 {
			text += "; " + c.traits.SharedBegin
		}
		if err := c.send(ctx, text); err != nil {
			err = e.failed(ctx, c, err)
			c.broken = true // it is not known to be out of a transaction
			return err
		}
	}
	c.within = true
	return nil
}

func (e server) end(ctx context.Context, c *conn, text string) error {
	c.within = false
	defer c.watch(ctx, commitGrace)()
	return c.send(context.WithoutCancel(ctx), text)
}

// failed makes an error of the end of ctx, where that is why a statement failed.
func (e server) failed(ctx context.Context, c *conn, err error) error {
	if c != nil {
		e.inspect(c, err)
	}
	if err == nil || ctx.Err() == nil || errors.Is(err, errFailed) || errors.Is(err, driver.ErrUncertain) {
		return err
	}
	if _, about := errors.AsType[*driver.RecordError](err); about {
		return err
	}
	return fmt.Errorf("%s: %w", e.b.dialect.Location(), ctx.Err())
}

// inspect marks a connection that an error has made useless. The server that it led to may be gone,
// or its database another one, and so the connections that are not in use are closed.
func (e server) inspect(c *conn, err error) {
	class := e.b.classify(err)
	if class == Lost || class == Gone || class == NoTable || errors.Is(err, errBadConn) {
		c.broken = !c.pinned
		if c.pool != nil { // nil while the connection is made ready
			c.pool.flush()
		}
	}
	if class == TooLarge {
		c.broken = true // some servers hang up then, and some drivers have sent half of the statement
	}
}

func (e server) scan(ctx context.Context, r *reader, q *driver.Query, yield func(driver.Record, error) bool) error {
	return r.scanPages(ctx, q, yield)
}
