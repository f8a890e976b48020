// Package groupcommit lets calls that meet in one process share a commit, and so its flush.
//
// One call at a time leads. The first comer leads at once and commits alone, exactly as if there
// were no group. Calls that come meanwhile wait; the first of them leads next, and commits for all
// that wait by then. So no call ever waits for company, and there are no goroutines but those of
// the callers.
package groupcommit

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"
)

// A commit takes at most so many members, and at most so many bytes unless one alone has more.
const (
	maxMembers = 64
	maxBytes   = 4 << 20
)

// A Group is a queue of calls that can share a commit. It is safe for concurrent use.
type Group[W any] struct {
	alone    func(ctx context.Context, work W) error
	together func(ctx context.Context, c *Commit[W]) error

	last int // members of the last commit; for the leader alone

	mu      sync.Mutex
	leading bool // there is a leader
	waiting []*Member[W]
}

// New returns a Group of calls whose work is a W, usually a pointer, into which results go.
//
// The function alone commits the work of one call. It is called for a call that has no company, and
// for one whose shared commit failed as a whole; several such may run at once.
//
// The function together commits the work of the members of c in one commit; see [Commit]. Its
// context is that of the leader until [Commit.Begin]; after that it does not end.
func New[W any](
	alone func(ctx context.Context, work W) error,
	together func(ctx context.Context, c *Commit[W]) error,
) *Group[W] {
	return &Group[W]{alone: alone, together: together}
}

// A Member is a call that waits for a commit, or takes part in one.
type Member[W any] struct {
	Work W

	ctx   context.Context
	bytes int
	since time.Time     // when it began to wait
	ready chan struct{} // closed when the call leads or its outcome is there; nil: it never waited
	leads bool

	err     error
	apart   bool // its work is to be committed alone
	settled bool // err and apart are final
}

// Context returns the context of the call.
func (m *Member[W]) Context() context.Context { return m.ctx }

// Refuse gives a member an error of its own: nothing of its work is in the commit. The error stands
// if the commit is made and if its outcome is uncertain. If the commit fails for certain, the
// reason for the error may not have come about, and the work is tried again alone.
func (m *Member[W]) Refuse(err error) { m.err = err }

// Apart takes a member out of the commit, to be committed alone when this commit is over.
func (m *Member[W]) Apart() { m.apart = true }

// OK reports whether the member takes part in the commit.
func (m *Member[W]) OK() bool { return !m.settled && !m.apart && m.err == nil }

// Do commits work, in company if there is any, and returns its error. The bytes are a measure of
// the work, to keep commits small. While the call waits to be taken into a commit, it ends with
// ctx.
func (g *Group[W]) Do(ctx context.Context, bytes int, work W) error {
	m := &Member[W]{Work: work, ctx: ctx, bytes: bytes}
	g.enter(m)
	return g.finish(m)
}

// A Call is an argument of DoAll, as Do has them.
type Call[W any] struct {
	Context context.Context
	Bytes   int
	Work    W
}

// DoAll makes several calls as if they had come at the same moment, in this order, and returns
// their errors. All of them run in the goroutine of the caller. It is for tests: they know the
// members of the group.
func (g *Group[W]) DoAll(calls ...Call[W]) []error {
	members := make([]*Member[W], len(calls))
	for i, c := range calls {
		members[i] = &Member[W]{Work: c.Work, ctx: c.Context, bytes: c.Bytes}
	}
	g.enter(members...)
	errs := make([]error, len(calls))
	for i, m := range members {
		errs[i] = g.finish(m)
	}
	return errs
}

// Waiting returns how many calls wait. It is for tests.
func (g *Group[W]) Waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.waiting)
}

// Leading reports whether a call leads. It is for tests.
func (g *Group[W]) Leading() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.leading
}

// Expire ends the calls that have waited for at least d, with an error. It is for a leader that has
// waited in vain for another process: those who have waited as long need not try once more.
func (g *Group[W]) Expire(d time.Duration, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = slices.DeleteFunc(g.waiting, func(m *Member[W]) bool {
		if time.Since(m.since) < d {
			return false
		}
		m.err = err
		m.settle()
		return true
	})
}

// enter makes the first member the leader if there is none, and lets the others wait.
func (g *Group[W]) enter(ms ...*Member[W]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.leading {
		g.leading, ms[0].leads = true, true
		ms = ms[1:]
	}
	for _, m := range ms {
		m.since, m.ready = time.Now(), make(chan struct{})
		g.waiting = append(g.waiting, m)
	}
}

// finish waits until a member leads or its outcome is there, and does what is left to do.
func (g *Group[W]) finish(m *Member[W]) error {
	if m.ready != nil {
		select {
		case <-m.ready:
		case <-m.ctx.Done():
			if g.leave(m) {
				return m.ctx.Err()
			}
			<-m.ready
		}
	}
	if m.leads {
		g.lead(m)
	}
	if m.apart {
		return g.alone(m.ctx, m.Work)
	}
	return m.err
}

// leave takes a member out of those who wait; false: it is not among them any more.
func (g *Group[W]) leave(m *Member[W]) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, m)
	if i < 0 {
		return false
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
	return true
}

// lead commits, and makes the next one the leader when all members know their outcome.
func (g *Group[W]) lead(m *Member[W]) {
	defer g.next()
	if g.last > 1 {
		// Those of the last commit are about to come again: let them.
		runtime.Gosched()
	}
	if g.last = 1; g.Waiting() > 0 {
		g.commit(m)
		return
	}
	m.err = g.alone(m.ctx, m.Work)
}

// next makes the call that has waited longest the leader.
func (g *Group[W]) next() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 {
		g.leading = false
		return
	}
	m := g.waiting[0]
	g.waiting = slices.Delete(g.waiting, 0, 1)
	m.leads = true
	close(m.ready)
}

// take returns the leader and those who have waited longest, who wait no more.
func (g *Group[W]) take(leader *Member[W]) []*Member[W] {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, bytes := 0, leader.bytes
	for n < len(g.waiting) && n+1 < maxMembers {
		if bytes += g.waiting[n].bytes; bytes > maxBytes {
			break
		}
		n++
	}
	ms := append(make([]*Member[W], 0, n+1), leader)
	ms = append(ms, g.waiting[:n]...)
	g.waiting = slices.Delete(g.waiting, 0, n)
	return ms
}

// settle tells a member that its outcome is there.
func (m *Member[W]) settle() {
	if m.settled {
		return
	}
	m.settled = true
	if !m.leads {
		close(m.ready)
	}
}
