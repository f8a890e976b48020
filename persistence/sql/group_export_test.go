package sql

import (
	"context"

	"github.com/brine-go/brine/persistence/driver"
)

// Together applies batches as one group: the first has the lock, the others wait in this order. It
// also returns how many were made by themselves after all.
func Together(b driver.Backend, ctxs []context.Context, batches [][]driver.Mutation) (revs [][]int64, errs []error, alone int) {
	be := b.(*Backend)
	o, ts, err := be.ready(context.Background())
	if err != nil {
		panic(err)
	}
	defer be.leave()
	g := o.group
	g.lock <- struct{}{}
	members := make([]*member, len(batches))
	for i, ms := range batches {
		t := &batch{b: be, tables: ts, ms: ms}
		t.sort()
		members[i] = &member{ctx: ctxs[i], t: t, done: make(chan struct{})}
	}
	g.waiting = append(g.waiting, members[1:]...)
	left := make(chan struct{})
	go func() { // which a context may end
		defer close(left)
		g.lead(o, members[0])
	}()
	<-left
	for _, m := range members {
		<-m.done
		if m.alone {
			alone++
			m.err = m.t.byItself(m.ctx, o)
		}
		if m.err != nil {
			m.t.revs = nil
		}
		revs, errs = append(revs, m.t.revs), append(errs, m.err)
	}
	return revs, errs, alone
}

// LastGroup returns how many members the last commit had.
func LastGroup(b driver.Backend) int {
	g := b.(*Backend).open.group
	g.lock <- struct{}{}
	defer func() { <-g.lock }()
	return g.last
}

// HoldLock keeps everyone from committing, until release.
func HoldLock(b driver.Backend) (release func()) {
	g := b.(*Backend).open.group
	g.lock <- struct{}{}
	return func() { <-g.lock }
}

// Waiting returns how many Applys wait for their commit.
func Waiting(b driver.Backend) int {
	g := b.(*Backend).open.group
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.waiting)
}

// Reclassify makes the backend take errors of one class for those of another.
func Reclassify(b driver.Backend, from, to Class) {
	be := b.(*Backend)
	be.dialect = reclassified{be.dialect, from, to}
}

type reclassified struct {
	Dialect
	from, to Class
}

func (d reclassified) Classify(err error) Class {
	class := d.Dialect.Classify(err)
	if class == d.from {
		return d.to
	}
	return class
}
