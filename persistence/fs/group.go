package fs

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/internal/groupcommit"
)

// A batch is the work of one Apply.
type batch struct {
	schemas schemas
	ms      []driver.Mutation
	revs    []int64
	changes []change // in the commit that it takes part in
}

// A member is an Apply that takes part in a commit.
type member = groupcommit.Member[*batch]

// bytes returns how much data a batch writes.
func (t *batch) bytes() (n int) {
	for i := range t.ms {
		n += len(t.ms[i].Rec.Data)
	}
	return n
}

// plan finds out what the batch changes, on top of what those before it do.
func (t *batch) plan(ctx context.Context, l *lock, before *overlay) error {
	check := l.checkIdentity
	if slices.ContainsFunc(t.ms, func(m driver.Mutation) bool { return m.Namespace.Storage() == driver.Objects }) {
		check = func() error { return l.checkColumns(t.schemas[driver.Objects]) }
	}
	if err := check(); err != nil {
		return err
	}
	p := plan{lock: l, schemas: t.schemas, ms: t.ms, revs: make([]int64, len(t.ms)), before: before}
	if err := p.check(ctx); err != nil {
		return err
	}
	u := uniqueCheck{lock: l, before: before.get}
	if err := u.unique(ctx, p.changes); err != nil {
		return err
	}
	t.revs, t.changes = p.revs, p.changes
	return nil
}

// applyAlone makes the mutations of a batch in a commit of their own.
func (b *Backend) applyAlone(ctx context.Context, t *batch) error {
	l, err := b.exclusive(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	return l.apply(ctx, t)
}

var _ driver.ExclusiveApplier = (*Backend)(nil)

// ApplyExclusive implements [driver.ExclusiveApplier]. Readers wait too.
func (b *Backend) ApplyExclusive(ctx context.Context, since driver.Mark, fn func(driver.Exclusive) ([]driver.Mutation, error)) (driver.Mark, error) {
	if err := b.begin(); err != nil {
		return "", err
	}
	defer b.calls.Done()
	s, err := b.writable(ctx)
	if err != nil {
		return "", err
	}
	l, err := b.exclusive(ctx)
	if err != nil {
		return "", err
	}
	defer l.release()
	r := &reader{lock: l, folder: l.folder, schema: s[driver.Objects], schemas: s}
	ms, err := fn(driver.Exclusive{Reader: r, Quiet: since != "" && since == l.mark()})
	if err == nil && len(ms) > 0 {
		err = l.apply(ctx, &batch{schemas: s, ms: ms})
	}
	if err != nil {
		return "", err
	}
	return l.mark(), nil
}

// mark returns the mark of the state of the directory; "": there is none.
func (l *lock) mark() driver.Mark {
	g, ok := l.generation()
	if !ok {
		return ""
	}
	return driver.Mark(fmt.Sprintf("%p %d", l.directory, g))
}

// apply makes the mutations of a batch in a commit of their own, under the exclusive lock.
func (l *lock) apply(ctx context.Context, t *batch) error {
	if err := t.plan(ctx, l, nil); err != nil {
		return err
	}
	if err := l.commit(ctx, t.changes); err != nil {
		return readOnly(err)
	}
	l.applied(t.changes)
	return nil
}

// applyTogether makes those of several batches in one commit.
func (b *Backend) applyTogether(ctx context.Context, c *groupcommit.Commit[*batch]) error {
	l, err := b.exclusive(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	if err := c.Begin(); err != nil {
		return err
	}
	o := &overlay{byName: map[string]*change{}, folds: b.folds}
	err = c.Each(func(m *member) error {
		if err := m.Work.plan(m.Context(), l, o); err != nil {
			m.Refuse(err)
			return nil
		}
		o.add(m.Work.changes)
		return nil
	})
	if err != nil {
		return err
	}
	c.Committing()
	if o.dependent {
		changes := o.changes()
		if err = l.commit(ctx, changes); err == nil {
			l.applied(changes)
		}
	} else {
		err = l.committed(l.commitEach(c.Members()))
	}
	if err != nil && !errors.Is(err, driver.ErrUncertain) && l.watch.Err() == nil {
		return groupcommit.ErrApart
	}
	return err
}

// commitEach makes the changes of members that have one each and do not build on each other, so
// that a crash may keep some of them and lose others: that takes no list. An error is that of all
// members; nothing is written then, or it is ErrUncertain.
func (l *lock) commitEach(ms []*member) error {
	var writes, removes []*member
	var files []file
	for _, m := range ms {
		if !m.OK() || len(m.Work.changes) == 0 {
			continue
		}
		files = append(files, m.Work.changes[0].file)
		if m.Work.changes[0].remove {
			removes = append(removes, m)
		} else {
			writes = append(writes, m)
		}
	}
	if len(files) == 0 {
		return nil
	}
	var temps temporaries
	err := l.prepareEach(writes, &temps)
	if err == nil {
		err = l.announce(files...)
	}
	if err != nil {
		l.discard(temps.files)
		return err
	}
	// The last one first, so that those left of a crash have no gap.
	for i, m := range slices.Backward(writes) {
		temp := temps.files[i]
		if err := temp.rename(m.Work.changes[0].name); err != nil {
			m.Refuse(readOnly(err))
			_ = temp.remove()
		}
		if err := l.b.step("rename"); err != nil {
			return fmt.Errorf("%w: %w", driver.ErrUncertain, err)
		}
	}
	for _, m := range removes {
		if err := m.Work.changes[0].file.remove(); err != nil {
			m.Refuse(readOnly(err))
		}
		if err := l.b.step("remove"); err != nil {
			return fmt.Errorf("%w: %w", driver.ErrUncertain, err)
		}
	}
	if err := l.settle(files...); err != nil {
		return err
	}
	l.appliedEach(writes, removes)
	return nil
}

// appliedEach tells the index what members have committed, unless something went wrong with one:
// then the index reads the list of changes.
func (l *lock) appliedEach(groups ...[]*member) {
	var changes []change
	for _, ms := range groups {
		for _, m := range ms {
			if !m.OK() {
				return
			}
			changes = append(changes, m.Work.changes[0])
		}
	}
	l.applied(changes)
}

// prepareEach writes all that commitEach needs, and flushes it.
func (l *lock) prepareEach(writes []*member, temps *temporaries) error {
	together := canFlushAll && len(writes) > flushEach
	var buf []byte
	for _, m := range writes {
		c := &m.Work.changes[0]
		if _, err := l.writeRecord(temps.next(c.folder), !together, c, &buf); err != nil {
			return err
		}
		if err := l.b.step("temporary"); err != nil {
			return err
		}
	}
	if together {
		for _, f := range foldersOf(temps.files) {
			if err := flushAll(f.file); err != nil {
				return err
			}
		}
	}
	return l.b.step("flushed")
}
