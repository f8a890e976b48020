package sql

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// A group commit takes at most so many Applys, and at most so many bytes of data unless one alone
// has more.
const (
	maxMembers    = 64
	maxGroupBytes = 4 << 20
)

var (
	// errApart: the transaction cannot serve all members. It is rolled back, and each Apply is made
	// by itself, which also tells what was wrong with which.
	errApart = errors.New("the commit cannot be shared")
	// errNobody: no member has anything to commit.
	errNobody = errors.New("nothing to commit")
)

// A group lets the Applys that wait for one writer connection share a commit, and so its flush.
//
// The Apply that has the lock commits. Where nobody waits it does so for itself alone, exactly as
// if there were no group. Those that come meanwhile wait; the next of them to get the lock commits
// for all. So no Apply waits for others to come, and no goroutine is needed but those of the
// callers.
type group struct {
	b    *Backend
	lock chan struct{} // full while an Apply commits: a channel, as enter waits for more than the lock

	last int // members of the last commit; guarded by lock

	mu      sync.Mutex
	waiting []*member
}

// A member is an Apply that waits for a commit, or takes part in one.
type member struct {
	ctx   context.Context
	t     *batch
	bytes int
	since time.Time
	done  chan struct{} // closed when another member has committed for it

	err     error
	alone   bool // it is to be made by itself, because the shared commit was given up
	settled bool // err and alone are final
}

func newGroup(b *Backend) *group { return &group{b: b, lock: make(chan struct{}, 1)} }

// apply makes a batch, together with those that wait.
func (g *group) apply(ctx context.Context, o *open, t *batch) error {
	m := &member{ctx: ctx, t: t}
	for i := range t.ms {
		m.bytes += len(t.ms[i].Rec.Data)
	}
	lead, err := g.enter(m)
	if err != nil {
		return err
	}
	if lead {
		g.lead(o, m)
	}
	if m.alone {
		return t.byItself(ctx, o)
	}
	return m.err
}

// enter waits for the lock, or until another member has committed for m.
func (g *group) enter(m *member) (lead bool, err error) {
	select {
	case g.lock <- struct{}{}:
		return true, nil
	default:
	}
	m.since, m.done = time.Now(), make(chan struct{})
	ended := m.ctx.Done()
	g.mu.Lock()
	g.waiting = append(g.waiting, m)
	g.mu.Unlock()
	select {
	case <-m.done:
		return false, nil
	case g.lock <- struct{}{}:
		if g.leave(m) {
			return true, nil
		}
		<-g.lock // another member took m along at the same moment
	case <-ended:
		if g.leave(m) {
			return false, m.ctx.Err()
		}
	}
	<-m.done
	return false, nil
}

// leave takes a member out of those that wait; false: it is not among them any more.
func (g *group) leave(m *member) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, m)
	if i < 0 {
		return false
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
	return true
}

// take makes a group of leader and of those that have waited longest.
func (g *group) take(leader *member) []*member {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, bytes := 0, leader.bytes
	for n < len(g.waiting) && n+1 < maxMembers {
		if bytes += g.waiting[n].bytes; bytes > maxGroupBytes {
			break
		}
		n++
	}
	ms := append(make([]*member, 0, n+1), leader)
	ms = append(ms, g.waiting[:n]...)
	g.waiting = slices.Delete(g.waiting, 0, n)
	return ms
}

func (g *group) empty() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.waiting) == 0
}

// lead has the lock, and gives it up when all members of the commit know the outcome.
func (g *group) lead(o *open, m *member) {
	defer func() { <-g.lock }()
	if g.last > 1 {
		// Those of the last commit are about to come again: let them.
		runtime.Gosched()
	}
	if g.last = 1; !g.empty() {
		g.commit(o, m)
		return
	}
	m.err = m.t.byItself(m.ctx, o)
	g.busy(m.err)
}

// busy gives the error of a leader that waited in vain for another process to those that have
// waited as long.
func (g *group) busy(err error) {
	if err == nil || g.b.classify(err) != Busy {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	long := g.b.retryFor - g.b.retryFor/8
	g.waiting = slices.DeleteFunc(g.waiting, func(m *member) bool {
		if time.Since(m.since) < long {
			return false
		}
		m.err = err
		close(m.done)
		return true
	})
}

// commit makes one transaction of those that wait. It takes them when the transaction has begun:
// until then each may leave.
func (g *group) commit(o *open, leader *member) {
	var ms []*member
	asked, finished := false, false // asked: the database is about to be asked to commit
	defer func() {
		g.last = len(ms)
		for _, m := range ms {
			if !finished && !m.settled { // something panicked
				if m.alone = !asked; asked {
					m.err = fmt.Errorf("%s: %w", g.b.dialect.Location(), driver.ErrUncertain)
				}
			}
			m.settle()
		}
	}()
	ctx := &leaderContext{Context: leader.ctx}
	err := g.b.write(ctx, o, func(c *conn) error {
		if ms == nil {
			if err := ctx.Err(); err != nil {
				return err
			}
			ctx.detached.Store(true)
			ms = g.take(leader)
		}
		asked = false
		err := g.make(ctx, c, ms)
		asked = err == nil
		return err
	})
	finished = true
	switch {
	case ms == nil:
		leader.err = g.b.translate(err)
		g.busy(leader.err)
		return
	case err == nil, errors.Is(err, errNobody):
		return
	}
	for _, m := range ms {
		if m.settled {
			continue
		}
		if m.alone = errors.Is(err, errApart); !m.alone {
			m.err = g.b.translate(err)
		}
	}
}

// settle tells a member that its outcome is there.
func (m *member) settle() {
	if m.settled {
		return
	}
	m.settled = true
	if m.done != nil {
		close(m.done)
	}
}

// make makes what the members want, each as if it were alone, on top of what those before it did.
// Its error is one of the whole transaction. The error of a member holds once the transaction is
// committed.
func (g *group) make(ctx context.Context, c *conn, ms []*member) (err error) {
	defer func() {
		// The member that it was does it again by itself, in its own goroutine.
		if recover() != nil {
			err = errApart
		}
	}()
	nobody := true
	for _, m := range ms {
		if m.settled {
			continue
		}
		if m.alone, m.err = false, m.ctx.Err(); m.err != nil {
			m.settle() // with nothing written
			continue
		}
		made, err := g.part(ctx, c, m)
		if err != nil {
			return err
		}
		nobody = nobody && !made
	}
	if nobody {
		return errNobody
	}
	return nil
}

// part makes what one member wants, or nothing.
func (g *group) part(ctx context.Context, c *conn, m *member) (made bool, err error) {
	t := m.t
	// A statement that fails undoes itself. More than one, or a check after it, need a savepoint.
	single := len(t.ms) == 1 && len(t.ms[0].NewRefs) == 0
	if !single {
		if _, err := c.exec(ctx, "SAVEPOINT member"); err != nil {
			return false, err
		}
	}
	err = t.all(undisturbed{m.ctx}, c)
	if err == nil {
		if !single {
			_, err = c.exec(ctx, "RELEASE member")
		}
		return err == nil, err
	}
	class := g.b.classify(err)
	switch {
	case class == Busy:
		return false, err
	case !single:
		for _, text := range [...]string{"ROLLBACK TO member", "RELEASE member"} {
			if _, err := c.exec(ctx, text); err != nil {
				return false, errApart
			}
		}
	case class == Unique:
		// A table made by hand may answer so to a key that is taken (ON CONFLICT ROLLBACK): all is
		// undone, and a transaction can be begun.
		if _, err := c.exec(ctx, g.b.traits.BeginRead); err == nil {
			return false, errApart
		}
	}
	if errors.Is(err, errFailed) || class == Unique {
		if err = t.obstacle(undisturbed{m.ctx}, c); err == nil {
			m.alone = true
			return false, nil
		}
	}
	if _, about := errors.AsType[*driver.RecordError](err); !about {
		if ended := m.ctx.Err(); ended == nil || !errors.Is(err, ended) {
			return false, errApart // something is wrong with more than this member
		}
	}
	m.err = err
	return false, nil
}

// A leaderContext is the context of the leader until it takes others along; then it does not end.
type leaderContext struct {
	context.Context
	detached atomic.Bool
}

func (c *leaderContext) Done() <-chan struct{} {
	if c.detached.Load() {
		return nil
	}
	return c.Context.Done()
}

func (c *leaderContext) Err() error {
	if c.detached.Load() {
		return nil
	}
	return c.Context.Err()
}

func (c *leaderContext) Deadline() (time.Time, bool) {
	if c.detached.Load() {
		return time.Time{}, false
	}
	return c.Context.Deadline()
}

// undisturbed is a context that is looked at between statements and interrupts none: in SQLite that
// would undo the whole transaction.
type undisturbed struct{ context.Context }

func (undisturbed) Done() <-chan struct{} { return nil }
