package sql

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/brine-go/brine/persistence/driver"
)

// quiet is how long a connection may rest without being asked whether it is alive, where nothing tells it for free.
const quiet = time.Second

// counters are what a Backend's pools have been through.
type counters struct {
	opened, closed, waits atomic.Int64
	waited                atomic.Int64 // nanoseconds
}

// A pool lends out connections, at most so many at once, the one used last first. Waiting for one honours ctx.
type pool struct {
	db       *sqlx.DB
	traits   *Traits
	pinned   bool
	borrowed bool
	setup    []string
	keep     driver.Pool // as ParsePool returns it
	counters *counters
	slots    chan struct{}

	mu      sync.Mutex
	free    []*conn // the one used last at the end
	lent    int     // connections in use or being made; with those free never more than slots
	waiting int     // calls that wait for a slot
	closed  bool
	reaper  *time.Timer // not nil while connections are watched for having rested too long
}

// unlimited is how an embedded database's connections are kept.
func unlimited(size int) driver.Pool {
	return driver.Pool{Size: size, Idle: size, Lifetime: -1, IdleTime: -1}
}

// newPool returns a pool of connections out of db.
func newPool(db *sqlx.DB, p *Pools, keep driver.Pool, t *Traits, n *counters) *pool {
	if p.Borrowed {
		// The caller has to get one too.
		if most := db.Stats().MaxOpenConnections; most > 0 {
			keep.Size = min(keep.Size, max(most-1, 1))
		}
	} else if !t.Embedded {
		// What is idle is kept here and nowhere else, and what is given back is closed.
		db.SetMaxOpenConns(keep.Size)
		db.SetMaxIdleConns(-1)
	}
	return &pool{db: db, traits: t, pinned: p.Pinned, borrowed: p.Borrowed, setup: p.Setup, keep: keep, counters: n, slots: make(chan struct{}, keep.Size)}
}

func (p *pool) get(ctx context.Context) (*conn, error) {
	if err := p.wait(ctx); err != nil {
		return nil, err
	}
	for {
		c := p.take()
		if c == nil {
			break
		}
		if p.usable(ctx, c) {
			c.began = false
			return c, nil
		}
		p.discard(c)
		p.back(nil)
	}
	c, err := p.connect(ctx)
	if err != nil {
		p.back(nil)
		<-p.slots
		return nil, err
	}
	return c, nil
}

// wait takes a slot.
func (p *pool) wait(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	default:
	}
	p.mu.Lock()
	p.waiting++
	p.mu.Unlock()
	begin := time.Now()
	defer func() {
		p.counters.waits.Add(1)
		p.counters.waited.Add(int64(time.Since(begin)))
		p.mu.Lock()
		p.waiting--
		p.mu.Unlock()
	}()
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// take lends out the connection used last; nil: one that is about to be made.
func (p *pool) take() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lent++
	n := len(p.free)
	if n == 0 {
		return nil
	}
	c := p.free[n-1]
	p.free[n-1] = nil
	p.free = p.free[:n-1]
	return c
}

// usable reports whether a connection that has rested may be used, as far as that can be told cheaply.
func (p *pool) usable(ctx context.Context, c *conn) bool {
	if p.traits.Embedded {
		return true
	}
	rested := time.Since(c.used)
	if p.keep.Lifetime > 0 && time.Since(c.born) > p.keep.Lifetime || p.keep.IdleTime > 0 && rested > p.keep.IdleTime {
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
	case c.link != nil:
		if state = c.link.pulse(); state == unclear && !pulseTells {
			state = alive
			if rested > quiet {
				state = unclear
			}
		}
	case !p.traits.ResetChecks && rested > quiet:
		state = unclear
	}
	if state == alive && !p.keep.PrePing {
		return true
	}
	if state == dead {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, p.keep.ConnectTimeout)
	defer cancel()
	defer c.watch(ctx, 0)()
	return c.PingContext(ctx) == nil && ctx.Err() == nil
}

// connect makes a connection.
func (p *pool) connect(ctx context.Context) (*conn, error) {
	making := &connecting{}
	within := ctx
	if !p.traits.Embedded {
		var cancel context.CancelFunc
		within, cancel = context.WithTimeout(context.WithValue(ctx, connectingKey{}, making), p.keep.ConnectTimeout)
		defer cancel()
		defer context.AfterFunc(within, making.abort)()
	}
	sc, err := p.db.Connx(within)
	for _, text := range p.setup {
		if err != nil {
			break
		}
		if _, err = sc.ExecContext(within, text); err != nil {
			p.discard(&conn{Conn: sc, traits: p.traits})
			p.counters.closed.Add(-1) // it never counted as open
		}
	}
	if err == nil && within.Err() != nil {
		p.discard(&conn{Conn: sc, traits: p.traits})
		p.counters.closed.Add(-1)
		err = within.Err()
	}
	switch {
	case err == nil:
	case ctx.Err() != nil && !p.traits.Embedded:
		return nil, fmt.Errorf("connecting: %w", ctx.Err())
	case p.traits.Embedded:
		return nil, err
	case within.Err() != nil:
		return nil, &notConnected{err: fmt.Errorf("no answer within %v", p.keep.ConnectTimeout), late: true}
	default:
		return nil, &notConnected{err: err}
	}
	p.counters.opened.Add(1)
	now := time.Now()
	return &conn{Conn: sc, traits: p.traits, pool: p, pinned: p.pinned, idle: map[string]*sqlx.Stmt{}, link: making.made(), born: now, used: now}, nil
}

// notConnected: no connection could be made, so that nothing has been sent.
type notConnected struct {
	err  error
	late bool // for the time that it took
}

func (e *notConnected) Error() string { return "connecting: " + e.err.Error() }
func (e *notConnected) Unwrap() error { return e.err }

// put takes a connection back.
func (p *pool) put(c *conn) {
	defer func() { <-p.slots }()
	if c.broken {
		p.discard(c)
		p.back(nil)
		return
	}
	c.used = time.Now()
	if !p.back(c) {
		_ = p.release(c)
	}
}

// back ends the lending of c, and keeps it if it is wanted; nil: it is gone.
func (p *pool) back(c *conn) (kept bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lent--
	if c == nil || p.closed || len(p.free) >= p.keep.Idle && p.waiting == 0 {
		return false
	}
	p.free = append(p.free, c)
	if p.keep.IdleTime > 0 && p.reaper == nil {
		p.reaper = time.AfterFunc(p.keep.IdleTime, p.releaseExpired)
	}
	return true
}

// releaseExpired closes the connections that have rested too long.
func (p *pool) releaseExpired() {
	now := time.Now()
	p.mu.Lock()
	n := 0
	for n < len(p.free) && now.Sub(p.free[n].used) >= p.keep.IdleTime {
		n++
	}
	old := append([]*conn(nil), p.free[:n]...)
	p.free = append([]*conn(nil), p.free[n:]...)
	switch {
	case p.closed:
	case len(p.free) > 0:
		p.reaper.Reset(max(p.keep.IdleTime-now.Sub(p.free[0].used), time.Millisecond))
	default:
		p.reaper = nil
	}
	p.mu.Unlock()
	for _, c := range old {
		_ = p.release(c)
	}
}

// discard closes a connection that is no good, for good.
func (p *pool) discard(c *conn) {
	p.counters.closed.Add(1)
	if p.traits.Embedded {
		c.closeStatements() // first: they are part of what is closed below
	}
	// database/sql closes a connection only when told that it is bad.
	_ = c.Raw(func(any) error { return errBadConn })
	_ = c.Close()
}

// release gives a good connection up: a borrowed one goes back to where it is from, unless it has been set up for us.
func (p *pool) release(c *conn) error {
	if p.borrowed && len(p.setup) > 0 {
		p.discard(c)
		return nil
	}
	p.counters.closed.Add(1)
	if p.traits.Embedded || p.borrowed {
		c.closeStatements() // the server forgets those of a connection that ends
	}
	return c.Close()
}

// flush closes the connections that are not in use: what they led to may be gone.
func (p *pool) flush() {
	for _, c := range p.takeFree() {
		p.discard(c)
	}
}

func (p *pool) takeFree() []*conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	free := p.free
	p.free = nil
	return free
}

// close closes the connections, none of which is lent out, and what the pool draws them from unless that is borrowed.
func (p *pool) close() error {
	p.mu.Lock()
	p.closed = true
	if p.reaper != nil {
		p.reaper.Stop()
	}
	p.mu.Unlock()
	var err error
	for _, c := range p.takeFree() {
		if e := p.release(c); p.traits.Embedded { // a server that is gone needs no farewell
			err = errors.Join(err, e)
		}
	}
	if p.borrowed {
		return err
	}
	return errors.Join(err, p.db.Close())
}

// Stats implements [driver.Statser].
func (b *Backend) Stats() driver.Stats {
	n := b.counters
	s := driver.Stats{
		Opened: n.opened.Load(), Closed: n.closed.Load(), Waits: n.waits.Load(), WaitTime: time.Duration(n.waited.Load()),
	}
	b.mu.Lock()
	o := b.open
	s.Limit = b.limit
	b.mu.Unlock()
	if o == nil {
		return s
	}
	for _, p := range o.pools() {
		p.mu.Lock()
		s.InUse += p.lent
		s.Idle += len(p.free)
		p.mu.Unlock()
	}
	return s
}
