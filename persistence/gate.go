package persistence

import (
	"context"
	"fmt"
	"sync"
)

// A gate counts the calls that are in the backend, and can pause: new calls then wait at the
// gate and those in the backend finish. No user code runs between enter and leave, so a call
// never waits at the gate for itself.
type gate struct {
	mu       sync.Mutex
	inflight int
	closed   bool
	paused   chan struct{} // not nil while the gate is paused; closed when calls may continue
	drained  chan struct{} // not nil while someone waits for the calls to finish; closed by the last one
}

// enter waits until the gate is open, then counts the call.
func (g *gate) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return ctx.Err()
	}
	for {
		g.mu.Lock()
		if g.closed {
			g.mu.Unlock()
			return ErrClosed
		}
		paused := g.paused
		if paused == nil {
			g.inflight++
			g.mu.Unlock()
			return nil
		}
		g.mu.Unlock()
		select {
		case <-paused:
		case <-ctx.Done():
			return fmt.Errorf("the store waits for PostFork since PreFork was called: %w", ctx.Err())
		}
	}
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inflight--
	if g.inflight == 0 && g.drained != nil {
		close(g.drained)
		g.drained = nil
	}
}

// drain waits for the active calls to finish. g.mu must be locked; drain unlocks it while it
// waits.
func (g *gate) drain() {
	for g.inflight > 0 {
		if g.drained == nil {
			g.drained = make(chan struct{})
		}
		last := g.drained
		g.mu.Unlock()
		<-last
		g.mu.Lock()
	}
}

// pause makes later calls wait, and returns when no call is active. It reports false, and does
// nothing, if the gate is already paused or closed.
func (g *gate) pause() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.paused != nil || g.closed {
		return false
	}
	g.paused = make(chan struct{})
	g.drain()
	return !g.closed
}

// resume lets calls enter again. It reports false if the gate was not paused.
func (g *gate) resume() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.paused == nil {
		return false
	}
	close(g.paused)
	g.paused = nil
	return !g.closed
}

// close makes waiting and later calls return ErrClosed. It returns when no call is active, and
// reports false if the gate was closed before.
func (g *gate) close() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	first := !g.closed
	g.closed = true
	if g.paused != nil {
		close(g.paused)
		g.paused = nil
	}
	g.drain()
	return first
}

// isClosed reports whether calls return ErrClosed.
func (g *gate) isClosed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed
}

// isPaused reports whether new calls wait.
func (g *gate) isPaused() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.paused != nil
}
