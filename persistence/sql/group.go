package sql

import (
	"context"
	"errors"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/internal/groupcommit"
)

// A group lets the Applys that wait for one writer connection share a commit, and so its flush.
type group = groupcommit.Group[*batch]

// newGroup returns the group of the Applys on o.
func (e embedded) newGroup(o *open) *group {
	return groupcommit.New(
		func(ctx context.Context, t *batch) error { return e.alone(ctx, o, t) },
		func(ctx context.Context, c *groupcommit.Commit[*batch]) error { return e.together(ctx, o, c) },
	)
}

// alone makes a batch in a transaction of its own.
func (e embedded) alone(ctx context.Context, o *open, t *batch) error {
	err := t.byItself(ctx, o)
	e.expire(o, err)
	return err
}

// together makes several batches in one transaction.
func (e embedded) together(ctx context.Context, o *open, g *groupcommit.Commit[*batch]) error {
	err := e.b.write(ctx, o, func(c *conn) error {
		if err := g.Begin(); err != nil {
			return err
		}
		err := g.Each(func(m *groupcommit.Member[*batch]) error { return e.part(ctx, c, m) })
		if err == nil {
			g.Committing()
		}
		return err
	})
	if errors.Is(err, groupcommit.ErrApart) || errors.Is(err, groupcommit.ErrNothing) {
		return err
	}
	err = e.b.translate(err)
	if g.Members() == nil {
		e.expire(o, err)
	}
	return err
}

// expire gives the error of an Apply that waited in vain for another process to those that have
// waited almost as long.
func (e embedded) expire(o *open, err error) {
	if err != nil && e.b.classify(err) == Busy {
		o.group.Expire(e.b.retryFor-e.b.retryFor/8, err)
	}
}

// part makes what one member wants, or nothing. Its error is that of the whole transaction.
func (e embedded) part(ctx context.Context, c *conn, m *groupcommit.Member[*batch]) error {
	t, quiet := m.Work, undisturbed{m.Context()}
	// A statement that fails undoes itself. More than one, or a check after it, need a savepoint.
	single := len(t.ms) == 1 && len(t.ms[0].NewRefs) == 0 && !moves(&t.ms[0])
	if !single {
		if err := run(ctx, c, "SAVEPOINT member"); err != nil {
			return err
		}
	}
	err := t.all(quiet, c)
	if err == nil {
		if single {
			return nil
		}
		return run(ctx, c, "RELEASE member")
	}
	class := e.b.classify(err)
	switch {
	case class == Busy:
		return err
	case !single:
		if run(ctx, c, "ROLLBACK TO member", "RELEASE member") != nil {
			return groupcommit.ErrApart
		}
	case class == Unique && run(ctx, c, e.b.traits.BeginRead) == nil:
		// A table made by hand may answer so to a key that is taken (ON CONFLICT ROLLBACK): all is
		// undone, and so a transaction could be begun.
		return groupcommit.ErrApart
	}
	if errors.Is(err, errFailed) || class == Unique {
		if err = t.obstacle(quiet, c, class == Unique); err == nil {
			m.Apart()
			return nil
		}
	}
	if _, about := errors.AsType[*driver.RecordError](err); !about {
		if ended := m.Context().Err(); ended == nil || !errors.Is(err, ended) {
			return groupcommit.ErrApart // something is wrong with more than this member
		}
	}
	m.Refuse(err)
	return nil
}

// run runs statements without parameters.
func run(ctx context.Context, c *conn, texts ...string) error {
	for _, text := range texts {
		if _, err := c.exec(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// bytes returns how much data a batch writes.
func (t *batch) bytes() (n int) {
	for i := range t.ms {
		n += len(t.ms[i].Rec.Data)
	}
	return n
}

// undisturbed is a context that is looked at between statements and interrupts none: in SQLite that
// would undo the whole transaction.
type undisturbed struct{ context.Context }

func (undisturbed) Done() <-chan struct{} { return nil }
