package sql

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/brine-go/brine/persistence/driver"
)

// NextIDs implements [driver.Backend]. The counter begins, at its first use, above the highest
// number in the IDs: a text table is read through once for that.
func (b *Backend) NextIDs(ctx context.Context, n int) (int64, error) {
	if n < 1 {
		return 0, fmt.Errorf("%d numbers asked for", n)
	}
	o, ts, err := b.readyToWrite(ctx)
	if err != nil {
		return 0, err
	}
	defer b.leave()
	l := ts.objects
	var first int64
	if l.counter {
		for range 3 {
			err = b.write(ctx, o, func(c *conn) error {
				var err error
				first, err = b.take(ctx, c, l, int64(n))
				return err
			})
			if !errors.Is(err, driver.ErrUncertain) {
				break
			}
			// Numbers that may have been taken and not used are only a gap.
		}
	} else {
		first, err = b.guess(ctx, o, l, int64(n))
	}
	return first, b.translate(err)
}

// take takes n numbers from the counter.
func (b *Backend) take(ctx context.Context, c *conn, l *layout, n int64) (int64, error) {
	for range 100 { // each other process can begin the counter once
		// UPDATE first: it takes the lock wherever one transaction alone does not keep others out.
		changed, err := c.exec(c.short(ctx), "UPDATE "+storesTable+" SET next = next + ? WHERE name = ? AND next > 0 AND next <= ?",
			n, l.name, math.MaxInt64-n)
		if err != nil {
			return 0, err
		}
		var next int64
		var identity string
		found, err := c.one(c.short(ctx), "SELECT next, identity FROM "+storesTable+" WHERE name = ?", []any{l.name}, &next, &identity)
		switch {
		case err != nil:
			return 0, err
		case !found:
			return 0, fmt.Errorf("%s: the row of table %q in %s is gone", b.dialect.Location(), l.name, storesTable)
		case identity != l.identity:
			return 0, b.otherStore(l, identity)
		case changed > 0:
			return next - n, nil
		case next > math.MaxInt64-n:
			return 0, b.exhausted(l)
		case next != 0:
			continue // someone has just begun it
		}
		highest, err := l.highest(ctx, c)
		if err != nil {
			return 0, err
		}
		if highest > math.MaxInt64-n-1 {
			return 0, b.exhausted(l)
		}
		changed, err = c.exec(c.short(ctx), "UPDATE "+storesTable+" SET next = ? WHERE name = ? AND next = 0", highest+1+n, l.name)
		if err != nil || changed > 0 {
			return highest + 1, err
		}
	}
	return 0, fmt.Errorf("%s: the counter of table %q in %s changed again and again meanwhile", b.dialect.Location(), l.name, storesTable)
}

// guess gives the numbers after the highest there is, where no counter is kept.
func (b *Backend) guess(ctx context.Context, o *open, l *layout, n int64) (int64, error) {
	b.numbers.Lock()
	defer b.numbers.Unlock()
	highest := b.numbers.given
	err := b.view(ctx, o, func(c *conn) error {
		h, err := l.highest(ctx, c)
		highest = max(highest, h)
		return err
	})
	if err != nil {
		return 0, err
	}
	if highest > math.MaxInt64-n {
		return 0, b.exhausted(l)
	}
	b.numbers.given = highest + n
	return highest + 1, nil
}

func (b *Backend) exhausted(l *layout) error {
	return fmt.Errorf("%s: table %q has no numbers left below %d", b.dialect.Location(), l.name, int64(math.MaxInt64))
}

// highest returns the highest number in the IDs of the table; at least 0.
func (l *layout) highest(ctx context.Context, c *conn) (int64, error) {
	var highest int64
	var id cell
	if l.schema.IntegerIDs {
		if _, err := c.one(ctx, "SELECT max("+l.id.quoted+") FROM "+l.table, nil, &id); err != nil {
			return 0, err
		}
		n, err := id.integer(0)
		return max(n, 0), err
	}
	err := c.query(ctx, "SELECT "+l.id.quoted+" FROM "+l.table, nil, []any{&id}, func() error {
		if text, err := id.text(); err == nil {
			if n, ok := driver.ID(text).Seq(); ok {
				highest = max(highest, n)
			}
		}
		return nil
	})
	return highest, err
}
