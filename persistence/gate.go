package persistence

import (
	"context"
	"sync"
)

// A gate counts the calls that are in the backend and can hold new ones back
// until those are done. No user code runs between enter and leave, so a call
// never waits at the gate for itself.
type gate struct {
	mu       sync.Mutex
	inflight int
	closed   bool
	held     chan struct{} // not nil while calls are held back; closed when they may go on
	drained  chan struct{} // not nil while someone waits for the last call; closed by it
}

// enter waits until the gate is open, then counts a call in.
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
		held := g.held
		if held == nil {
			g.inflight++
			g.mu.Unlock()
			return nil
		}
		g.mu.Unlock()
		select {
		case <-held:
		case <-ctx.Done():
			return ctx.Err()
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

// drain waits for the calls in pendingSave. g.mu is held, and again when it returns.
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

// hold makes later calls wait and returns when none is in pendingSave. It reports
// false, and does nothing, when the gate is held or closed already.
func (g *gate) hold() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held != nil || g.closed {
		return false
	}
	g.held = make(chan struct{})
	g.drain()
	return !g.closed
}

// release lets the calls go on. It reports false when the gate was not held.
func (g *gate) release() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held == nil {
		return false
	}
	close(g.held)
	g.held = nil
	return !g.closed
}

// close ends the gate: calls held back and later ones get ErrClosed. It returns when none is
// in pendingSave, and reports false when it was closed before.
func (g *gate) close() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	first := !g.closed
	g.closed = true
	if g.held != nil {
		close(g.held)
		g.held = nil
	}
	g.drain()
	return first
}

// isHeld reports whether calls are held back.
func (g *gate) isHeld() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.held != nil
}
