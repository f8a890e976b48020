package sql

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/brine-go/brine/persistence/driver"
)

var _ driver.ExclusiveApplier = (*Backend)(nil)

// ApplyExclusive implements [driver.ExclusiveApplier]. In this process it takes the place of the
// writer. On a server it locks the tables: other programs write when it has ended, and of MySQL and
// MariaDB readers wait too.
func (b *Backend) ApplyExclusive(ctx context.Context, since driver.Mark, fn func(driver.Exclusive) ([]driver.Mutation, error)) (driver.Mark, error) {
	o, ts, err := b.writable(ctx)
	if err != nil {
		return "", err
	}
	defer b.leave()
	if b.traits.BeginExclusive == nil {
		return "", fmt.Errorf("%s: keeping others from writing: %w", b.dialect.Location(), errors.ErrUnsupported)
	}
	begin := b.traits.BeginExclusive(ts.quoted())
	e := &exclusive{batch: &batch{b: b, tables: ts}, o: o, since: since, fn: fn}
	t := e.batch
	for range 3 { // as for an Apply
		begun := false
		err = b.writeAfter(ctx, o, begin, func(c *conn) error {
			begun = true
			c.broken = b.traits.ExclusiveOnce // closing it also ends what a failure has left
			return e.decide(ctx, c)
		})
		class := b.classify(err)
		switch refused := class == Unique; {
		case err == nil:
			return e.mark, nil
		case !begun && (class == Failing || class == ReadOnly):
			return "", fmt.Errorf("%s: keeping others from writing: %w: %w", b.dialect.Location(), errors.ErrUnsupported, err)
		case !errors.Is(err, errFailed) && !refused:
			return "", t.explain(err)
		default:
			if found := t.diagnose(ctx, o, refused); found != nil {
				return "", t.explain(found)
			}
			t.parks = t.parks || refused
		}
	}
	return "", t.explain(err)
}

// An exclusive is one ApplyExclusive.
type exclusive struct {
	*batch
	o           *open
	since, mark driver.Mark // mark is that of the state in the end
	fn          func(driver.Exclusive) ([]driver.Mutation, error)
}

// decide lets fn decide on the mutations inside a transaction, and makes them.
func (e *exclusive) decide(ctx context.Context, c *conn) error {
	t := e.batch
	t.ms, t.at, e.mark = nil, nil, ""
	now, err := c.mark(ctx)
	if err != nil {
		return err
	}
	s := &session{b: t.b, tables: t.tables, o: e.o, c: c, begun: true, lent: true}
	t.ms, err = e.fn(driver.Exclusive{Reader: &reader{session: s, l: t.tables.objects}, Quiet: now != "" && now == e.since})
	if err != nil {
		return err
	}
	if len(t.ms) > 0 {
		if err := t.valid(); err != nil {
			return err
		}
		t.numbers = nil
		t.sort()
		if err := t.all(ctx, c); err != nil {
			return err
		}
	}
	e.mark, err = c.mark(ctx)
	return err
}

// mark returns the mark of the state that a transaction which writes sees; "": there is none. What
// other connections commit changes the first number of it, what this one writes the second.
func (c *conn) mark(ctx context.Context) (driver.Mark, error) {
	if c.traits.Changes == "" {
		return "", nil
	}
	var others, own int64
	if _, err := c.one(c.short(ctx), c.traits.Changes, nil, &others, &own); err != nil {
		return "", err
	}
	return driver.Mark(fmt.Sprintf("%p %d %d %d", c, c.born.UnixNano(), others, own)), nil
}

// quoted returns the quoted names of the tables, that of the objects first.
func (ts *tables) quoted() []string {
	var names []string
	for _, l := range ts.others {
		if l.table != ts.objects.table {
			names = append(names, l.table)
		}
	}
	slices.Sort(names)
	return append([]string{ts.objects.table}, slices.Compact(names)...)
}
