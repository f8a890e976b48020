package fs

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/brine-go/brine/persistence/driver"
)

// A group commit takes at most so many Applys, and at most so many bytes of data unless one alone has more.
const (
	maxMembers    = 64
	maxGroupBytes = 4 << 20
)

// errApart: one commit cannot serve all members. Nothing of it is kept, and each Apply is made by itself, which
// also tells what was wrong with which.
var errApart = errors.New("the group does not get on")

// A group lets the Applys that meet in one process share a commit, and so its flushes.
//
// Whoever holds the turn commits. The first comer takes it and goes at once, and by itself, exactly as if there were no
// group. Those who come meanwhile wait; the next of them to get the turn commits for all.
// So nobody ever waits for company, and no goroutine is needed but those of the callers.
type group struct {
	turn chan struct{} // full while someone has the turn; waiters get it in the order of their coming

	last int // members of the last commit; belongs to the turn

	mu      sync.Mutex
	waiting []*member
}

// A member is an Apply that waits for a commit, or takes part in one.
type member struct {
	ctx    context.Context
	schema *schema
	ms     []driver.Mutation
	bytes  int
	done   chan struct{} // closed when another one has had the turn for it

	revs  []int64
	err   error
	alone bool // it is to be made by itself, because the commit that it was in broke up

	changes []change // in the commit under way
}

// together makes the mutations of a member, in company if there is any.
func (b *Backend) together(m *member) ([]int64, error) {
	for i := range m.ms {
		m.bytes += len(m.ms[i].Rec.Data)
	}
	lead, err := b.group.enter(m)
	if err != nil {
		return nil, err
	}
	if lead {
		b.lead(m)
	}
	if m.alone {
		m.revs, m.err = b.byItself(m)
	}
	return m.revs, m.err
}

// enter waits for the turn, or until another one has had it for m.
func (g *group) enter(m *member) (lead bool, err error) {
	select {
	case g.turn <- struct{}{}:
		return true, nil
	default:
	}
	m.done = make(chan struct{})
	ended := m.ctx.Done()
	g.mu.Lock()
	g.waiting = append(g.waiting, m)
	g.mu.Unlock()
	select {
	case <-m.done:
		return false, nil
	case g.turn <- struct{}{}:
		if g.leave(m) {
			return true, nil
		}
		<-g.turn // it was had for m at the same moment
	case <-ended:
		if g.leave(m) {
			return false, m.ctx.Err()
		}
	}
	<-m.done
	return false, nil
}

// leave takes a member out of those who wait; false: it is not among them any more.
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

// take makes a group of leader and of those who have waited longest.
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

// lead has the turn, and passes it on when all whom it commits for know the outcome.
func (b *Backend) lead(m *member) {
	g := &b.group
	defer func() { <-g.turn }()
	if g.last > 1 {
		// Those of the last commit are about to come again: let them.
		runtime.Gosched()
	}
	if g.last = 1; !g.empty() {
		b.commitGroup(m)
		return
	}
	m.revs, m.err = b.byItself(m)
}

// commitGroup makes one commit of those who wait. It takes them when it has the lock: until then each may leave.
func (b *Backend) commitGroup(leader *member) {
	l, err := b.exclusive(leader.ctx)
	if err != nil {
		leader.err = err
		return
	}
	defer l.release()
	ms := b.group.take(leader)
	begun, finished := false, false // begun: something may have become visible
	defer func() {
		b.group.last = len(ms)
		for _, m := range ms {
			if !finished { // something panicked
				if m.alone = !begun; begun {
					m.err = fmt.Errorf("%w: in %s", driver.ErrUncertain, b.path)
				}
			}
			if m.err != nil {
				m.revs = nil
			}
			if m.done != nil {
				close(m.done)
			}
		}
	}()
	o, err := l.planGroup(ms)
	if err == nil {
		begun = true
		if o.dependent {
			changes := o.changes()
			if err = l.commit(context.Background(), changes); err == nil {
				l.applied(changes)
			}
		} else {
			err = l.commitEach(ms)
		}
	}
	finished = true
	if err != nil {
		for _, m := range ms {
			m.alone, m.err = !errors.Is(err, driver.ErrUncertain), err
		}
	}
}

// planGroup checks what the members want, each on top of what those before it do.
func (l *held) planGroup(ms []*member) (o *overlay, err error) {
	defer func() {
		// Whoever it was meets it again by itself, in its own goroutine.
		if recover() != nil {
			err = errApart
		}
	}()
	o = &overlay{byName: map[string]*change{}, folds: l.b.folds}
	for _, m := range ms {
		if m.err = m.ctx.Err(); m.err != nil {
			continue
		}
		p := plan{held: l, schema: m.schema, ms: m.ms, revs: make([]int64, len(m.ms)), before: o}
		if m.err = p.check(m.ctx); m.err == nil {
			m.revs, m.changes = p.revs, p.changes
			o.add(p.changes)
		}
	}
	return o, nil
}

// An overlay is what the members of a group so far have changed.
type overlay struct {
	byName map[string]*change // by file name, in lower case where case is folded
	order  []*change          // those of byName

	folds bool
	// dependent: the group must be made as a whole, because a member has several changes, or
	// has looked at what one before it changes.
	dependent bool
}

func (o *overlay) key(name string) string {
	if o.folds {
		return strings.ToLower(name)
	}
	return name
}

// get returns what has become of a file; nil: nothing has.
func (o *overlay) get(name string) *change {
	if o == nil {
		return nil
	}
	c := o.byName[o.key(name)]
	o.dependent = o.dependent || c != nil
	return c
}

// add adds the changes of one member.
func (o *overlay) add(changes []change) {
	o.dependent = o.dependent || len(changes) > 1
	for i := range changes {
		c := changes[i] // a copy, for later members to replace
		if old := o.byName[o.key(c.name)]; old != nil {
			c.fresh = old.fresh
			*old = c
			continue
		}
		o.byName[o.key(c.name)] = &c
		o.order = append(o.order, &c)
	}
}

// changes returns what the members come down to together.
func (o *overlay) changes() []change {
	var all []change
	for _, c := range o.order {
		if !c.remove || !c.fresh { // else it came and went
			all = append(all, *c)
		}
	}
	return all
}

// commitEach makes the changes of members that have one each and do not build on each other, so that a crash may keep some of
// them and lose others: that takes no list. An error is that of all members; nothing is written then, or it is ErrUncertain.
func (l *held) commitEach(ms []*member) error {
	var writes, removes []*member
	var names []string
	for _, m := range ms {
		if m.err != nil || len(m.changes) == 0 {
			continue
		}
		names = append(names, m.changes[0].name)
		if m.changes[0].remove {
			removes = append(removes, m)
		} else {
			writes = append(writes, m)
		}
	}
	if len(writes)+len(removes) == 0 {
		return nil
	}
	err := l.prepareEach(writes)
	if err == nil {
		err = l.announce(names...)
	}
	if err != nil {
		l.discard(len(writes))
		return err
	}
	// The last one first, so that those left of a crash have no gap.
	for i, m := range slices.Backward(writes) {
		if m.err = l.root.Rename(tempName(i), m.changes[0].name); m.err != nil {
			m.err = readOnly(m.err)
			_ = l.root.Remove(tempName(i))
		}
		if err := l.b.step("rename"); err != nil {
			return fmt.Errorf("%w: %w", driver.ErrUncertain, err)
		}
	}
	for _, m := range removes {
		m.err = readOnly(l.root.Remove(m.changes[0].name))
		if err := l.b.step("remove"); err != nil {
			return fmt.Errorf("%w: %w", driver.ErrUncertain, err)
		}
	}
	if err := l.settle(); err != nil {
		return err
	}
	l.appliedEach(writes, removes)
	return nil
}

// appliedEach tells the index what members have committed, unless something went wrong with one: then it looks for itself.
func (l *held) appliedEach(groups ...[]*member) {
	var changes []change
	for _, ms := range groups {
		for _, m := range ms {
			if m.err != nil {
				return
			}
			changes = append(changes, m.changes[0])
		}
	}
	l.applied(changes)
}

// prepareEach writes all that commitEach needs, and flushes it.
func (l *held) prepareEach(writes []*member) error {
	together := canFlushAll && len(writes) > flushEach
	var buf []byte
	for i, m := range writes {
		if _, err := l.writeRecord(tempName(i), !together, &m.changes[0], &buf); err != nil {
			return err
		}
		if err := l.b.step("temporary"); err != nil {
			return err
		}
	}
	if together {
		if err := flushAll(l.file); err != nil {
			return err
		}
	}
	return l.b.step("flushed")
}
