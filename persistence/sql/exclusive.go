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
func (b *Backend) ApplyExclusive(ctx context.Context, fn func(driver.Reader) ([]driver.Mutation, error)) error {
	o, ts, err := b.writable(ctx)
	if err != nil {
		return err
	}
	defer b.leave()
	begin := b.traits.BeginWrite
	if b.engine.remote() {
		if begin = nil; b.traits.BeginExclusive != nil {
			begin = b.traits.BeginExclusive(ts.quoted())
		}
		if begin == nil {
			return fmt.Errorf("%s: keeping others from writing: %w", b.dialect.Location(), errors.ErrUnsupported)
		}
	}
	t := &batch{b: b, tables: ts}
	for range 3 { // as for an Apply
		begun := false
		err = b.writeAfter(ctx, o, begin, func(c *conn) error {
			begun = true
			c.broken = b.traits.ExclusiveOnce // closing it also ends what a failure has left
			return t.decided(ctx, c, o, fn)
		})
		class := b.classify(err)
		switch refused := class == Unique; {
		case err == nil:
			return nil
		case !begun && (class == Failing || class == ReadOnly):
			return fmt.Errorf("%s: keeping others from writing: %w: %w", b.dialect.Location(), errors.ErrUnsupported, err)
		case !errors.Is(err, errFailed) && !refused:
			return t.explain(err)
		default:
			if found := t.diagnose(ctx, o, refused); found != nil {
				return t.explain(found)
			}
			t.parks = t.parks || refused
		}
	}
	return t.explain(err)
}

// decided lets fn decide on the mutations inside a transaction, and makes them.
func (t *batch) decided(ctx context.Context, c *conn, o *open, fn func(driver.Reader) ([]driver.Mutation, error)) (err error) {
	t.ms, t.at = nil, nil
	s := &session{b: t.b, tables: t.tables, o: o, c: c, begun: true, lent: true}
	if t.ms, err = fn(&reader{session: s, l: t.tables.objects}); err != nil || len(t.ms) == 0 {
		return err
	}
	if err := t.valid(); err != nil {
		return err
	}
	t.numbers = nil
	t.sort()
	return t.all(ctx, c)
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
