package groupcommit

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

var (
	// ErrApart says that one commit cannot serve all members, and that nothing of it is kept: the
	// work of each is committed alone, which also tells what was wrong with which.
	ErrApart = errors.New("the members cannot share a commit")
	// ErrNothing says that no member takes part in the commit, which need not be made.
	ErrNothing = errors.New("nothing to commit")
)

// A Commit is one that several calls share. The function that makes it waits for whatever it must
// wait for, calls [Commit.Begin], then [Commit.Each] to do the work of each member, then
// [Commit.Committing], and commits. It may begin again from Begin if nothing is kept of the
// attempt. What it returns is the outcome for all members:
//
//   - nil and [ErrNothing]: each member has the error that it was refused with, or none.
//   - [driver.ErrUncertain]: a member that was refused keeps its error, the others get this one.
//   - [ErrApart]: nothing is kept. The work of each member is committed alone.
//   - Another error: nothing is kept. The members get this error, but those that were refused are
//     tried again alone.
//   - Any error before Begin is that of the leader, and of no one else.
//
// A member whose context has ended before its work was begun has the error of its context in every
// case.
//
// A panic of the function goes to the leader. The other members are committed alone; after
// Committing their error is ErrUncertain.
type Commit[W any] struct {
	group      *Group[W]
	leader     *Member[W]
	ctx        *leaderContext
	members    []*Member[W] // nil before Begin
	committing bool
}

// Leader returns the work of the call that makes the commit.
func (c *Commit[W]) Leader() W { return c.leader.Work }

// Begin takes those who wait into the commit; until then each of them can give up. If the context
// of the leader has ended, Begin returns its error and takes no one. A further call begins
// another attempt, with the same members.
func (c *Commit[W]) Begin() error {
	c.committing = false
	if c.members == nil {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		c.ctx.detached.Store(true)
		c.members = c.group.take(c.leader)
	}
	for _, m := range c.members {
		if !m.settled {
			m.err, m.apart = nil, false
		}
	}
	return nil
}

// Members returns all members, in the order of their coming, with those that are not [Member.OK].
func (c *Commit[W]) Members() []*Member[W] { return c.members }

// Each calls do for each member whose context has not ended, in the order of their coming: the work
// of each is done on top of the work of those before it. An error of do is that of the commit as a
// whole, and ends Each. For an error of the member alone, do undoes what it did, calls
// [Member.Refuse] and returns nil. A panic of do is [ErrApart]: it comes again when the member's
// work is committed alone, in the goroutine of its caller. Each returns [ErrNothing] where no
// member is left to commit.
func (c *Commit[W]) Each(do func(*Member[W]) error) (err error) {
	defer func() {
		if recover() != nil {
			err = ErrApart
		}
	}()
	left := false
	for _, m := range c.members {
		if m.settled {
			continue
		}
		if m.err = m.ctx.Err(); m.err != nil {
			m.settle()
			continue
		}
		if err := do(m); err != nil {
			return err
		}
		left = left || m.OK()
	}
	if !left {
		return ErrNothing
	}
	return nil
}

// Committing says that from now on something may become visible to others.
func (c *Commit[W]) Committing() { c.committing = true }

// commit makes one commit of those who wait.
func (g *Group[W]) commit(leader *Member[W]) {
	c := &Commit[W]{group: g, leader: leader, ctx: &leaderContext{Context: leader.ctx}}
	err := ErrApart
	returned := false
	defer func() {
		if !returned && c.committing {
			err = fmt.Errorf("%w: a panic interrupted the commit", driver.ErrUncertain)
		}
		c.settle(err)
	}()
	err = g.together(c.ctx, c)
	returned = true
}

// settle gives each member its outcome.
func (c *Commit[W]) settle(err error) {
	if c.members == nil {
		c.leader.err = err
		return
	}
	c.group.last = len(c.members)
	for _, m := range c.members {
		if !m.settled {
			m.conclude(err)
			m.settle()
		}
	}
}

// conclude finds the outcome of a member from that of the commit.
func (m *Member[W]) conclude(err error) {
	refused := m.err != nil
	switch {
	case err == nil, errors.Is(err, ErrNothing), m.apart:
	case errors.Is(err, driver.ErrUncertain):
		if !refused {
			m.err = err
		}
	case errors.Is(err, ErrApart), refused:
		m.apart = true
	default:
		m.err = err
	}
}

// A leaderContext is that of the leader until it is detached; then it does not end.
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
