package sql

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/internal/moved"
)

// quiet is how long a connection may be unused without being asked whether it is alive, where
// nothing tells it for free.
const quiet = time.Second

// A serverSource makes connections to a server.
type serverSource struct {
	db       *sqlx.DB
	traits   *traits
	borrowed bool
	setup    []string
	ready    func(ctx context.Context, c *sqlx.Conn) (shared bool, err error)
	keep     driver.Pool
	compare  func(ctx context.Context, c *conn) error // see Backend.compare
}

// newServerSource returns a source, and how its connections are kept.
func newServerSource(p *Pools, t *traits) (*serverSource, driver.Pool) {
	s := &serverSource{db: p.Writer, traits: t, borrowed: p.Borrowed, setup: p.Setup, ready: p.Ready, keep: p.Keep}
	if p.Borrowed {
		// The caller has to get one too.
		if most := s.db.Stats().MaxOpenConnections; most > 0 {
			s.keep.Size = min(s.keep.Size, max(most-1, 1))
		}
	} else {
		// What is idle is kept here and nowhere else, and what is given back is closed.
		s.db.SetMaxOpenConns(s.keep.Size)
		s.db.SetMaxIdleConns(-1)
	}
	return s, s.keep
}

func (s *serverSource) connect(ctx context.Context) (*conn, error) {
	making := &connecting{}
	within, cancel := context.WithTimeout(context.WithValue(ctx, connectingKey{}, making), s.keep.ConnectTimeout)
	defer cancel()
	defer context.AfterFunc(within, making.abort)()
	c, err := s.setUp(within)
	switch {
	case err == nil:
		c.remote = &remote{link: making.made()}
		return c, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("connecting: %w", ctx.Err())
	case errors.As(err, new(*moved.Error)):
		return nil, err
	case within.Err() != nil:
		return nil, &notConnected{err: fmt.Errorf("no answer within %v", s.keep.ConnectTimeout), late: true}
	}
	return nil, &notConnected{err: err}
}

// setUps is how often a connection is made where its making ready ends it.
const setUps = 4

// setUp connects, makes the connection ready, and makes sure that it leads to the store that was
// opened. A server may be set to end a session that is idle for a moment, or a statement that takes
// one, until it is told otherwise.
func (s *serverSource) setUp(ctx context.Context) (c *conn, err error) {
	for range setUps {
		var made bool
		if c, made, err = s.setUpOnce(ctx); !made || !errors.Is(err, errBadConn) || ctx.Err() != nil {
			break
		}
	}
	return c, err
}

// setUpOnce is one try of setUp. made: there was a connection to make ready.
func (s *serverSource) setUpOnce(ctx context.Context) (_ *conn, made bool, err error) {
	sc, err := s.db.Connx(ctx)
	if err != nil {
		return nil, false, err
	}
	c := newConn(sc, s.traits)
	for _, text := range s.setup {
		if _, err = sc.ExecContext(ctx, text); err != nil {
			break
		}
	}
	if err == nil && s.ready != nil {
		c.shared, err = s.ready(ctx, sc)
	}
	if err == nil {
		err = s.compare(ctx, c)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		s.discard(c)
		return nil, true, err
	}
	return c, true, nil
}

func (s *serverSource) usable(ctx context.Context, c *conn) bool {
	c.remote.began = false
	rested := time.Since(c.used)
	if s.keep.Lifetime > 0 && time.Since(c.born) > s.keep.Lifetime || s.keep.IdleTime > 0 && rested > s.keep.IdleTime {
		return false
	}
	// database/sql does this with connections of its own pool; ours never go back there.
	err := c.Raw(func(dc any) error {
		if v, ok := dc.(sqldriver.Validator); ok && !v.IsValid() {
			return errBadConn
		}
		if r, ok := dc.(sqldriver.SessionResetter); ok {
			return r.ResetSession(ctx)
		}
		return nil
	})
	if err != nil {
		return false
	}
	state := alive
	switch {
	case c.remote.link != nil:
		if state = c.remote.link.pulse(); state == unclear && !pulseTells {
			state = alive
			if rested > quiet {
				state = unclear
			}
		}
	case !s.traits.ResetChecks && rested > quiet:
		state = unclear
	}
	compare := time.Since(c.compared) > compareEvery
	if state == alive && !s.keep.PrePing && !compare {
		return true
	}
	if state == dead {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, s.keep.ConnectTimeout)
	defer cancel()
	defer c.watch(ctx, 0)()
	if compare {
		return s.compare(ctx, c) == nil && ctx.Err() == nil
	}
	return c.PingContext(ctx) == nil && ctx.Err() == nil
}

func (s *serverSource) discard(c *conn) { c.discard() }

// release gives a borrowed connection back to its owner, unless it has been set up for this
// package.
func (s *serverSource) release(c *conn) error {
	if s.borrowed && (len(s.setup) > 0 || s.ready != nil && !c.shared) {
		c.discard()
		return nil
	}
	if s.borrowed {
		c.closeStatements() // the server forgets those of a connection that ends
	}
	_ = c.Close() // a server that is gone need not be told
	return nil
}

func (s *serverSource) close() error {
	if s.borrowed {
		return nil
	}
	return s.db.Close()
}
