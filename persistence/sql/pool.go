package sql

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/brine-go/brine/persistence/driver"
)

// A source makes the connections of a pool.
type source interface {
	connect(ctx context.Context) (*conn, error)
	// usable reports whether a connection that was kept may be used, as far as that can be told
	// cheaply.
	usable(ctx context.Context, c *conn) bool
	// discard closes a connection that must not be used any more.
	discard(c *conn)
	// release closes a good connection, or gives it back.
	release(c *conn) error
	// close closes what the connections come from.
	close() error
}

// A pool lends connections, at most so many at once, the one used last first. Waiting for one
// honours ctx.
type pool struct {
	source   source
	keep     driver.Pool // as ParsePool returns it
	counters *counters
	slots    *semaphore.Weighted // of weight keep.Size

	mu      sync.Mutex
	free    []*conn // the one used last at the end
	lent    int     // connections in use or being made; with those free never more than slots
	waiting int     // calls that wait for a slot
	closed  bool
	expiry  *time.Timer // not nil while there are connections that may be unused for too long
}

func newPool(s source, keep driver.Pool, n *counters) *pool {
	return &pool{source: s, keep: keep, counters: n, slots: semaphore.NewWeighted(int64(keep.Size))}
}

// unlimited is how the connections of an embedded database are kept.
func unlimited(size int) driver.Pool {
	return driver.Pool{Size: size, Idle: size, Lifetime: -1, IdleTime: -1}
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
		if p.source.usable(ctx, c) {
			return c, nil
		}
		p.discard(c)
		p.back(nil)
	}
	c, err := p.source.connect(ctx)
	if err != nil {
		p.back(nil)
		p.slots.Release(1)
		return nil, err
	}
	p.counters.opened.Add(1)
	c.pool = p
	return c, nil
}

// wait takes a slot.
func (p *pool) wait(ctx context.Context) error {
	if p.slots.TryAcquire(1) {
		return nil
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
	return p.slots.Acquire(ctx, 1)
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

// put takes a connection back.
func (p *pool) put(c *conn) {
	defer p.slots.Release(1)
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
	if p.keep.IdleTime > 0 && p.expiry == nil {
		p.expiry = time.AfterFunc(p.keep.IdleTime, p.expire)
	}
	return true
}

// expire closes the connections that have not been used for too long.
func (p *pool) expire() {
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
		p.expiry.Reset(max(p.keep.IdleTime-now.Sub(p.free[0].used), time.Millisecond))
	default:
		p.expiry = nil
	}
	p.mu.Unlock()
	for _, c := range old {
		_ = p.release(c)
	}
}

// discard closes a connection that must not be used any more.
func (p *pool) discard(c *conn) {
	p.counters.closed.Add(1)
	p.source.discard(c)
}

// release gives a good connection up.
func (p *pool) release(c *conn) error {
	p.counters.closed.Add(1)
	return p.source.release(c)
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

// close closes the connections and what they come from. None may be lent out.
func (p *pool) close() error {
	p.mu.Lock()
	p.closed = true
	if p.expiry != nil {
		p.expiry.Stop()
	}
	p.mu.Unlock()
	var err error
	for _, c := range p.takeFree() {
		err = errors.Join(err, p.release(c))
	}
	return errors.Join(err, p.source.close())
}
