package mem

import (
	"context"
	"fmt"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

var _ driver.Claimer = (*Backend)(nil)

// now is the clock of the claims.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// change replaces the objects by the tree that fn returns. No other write happens meanwhile.
func (b *Backend) change(ctx context.Context, fn func(cols *columns, w *writer, root *node) (*node, error)) error {
	cols, err := b.writable(ctx)
	if err != nil {
		return err
	}
	defer b.calls.Done()
	d := b.data
	if err := d.lock(ctx); err != nil {
		return err
	}
	defer d.unlock()
	d.batch++
	st := *d.state.Load()
	root, err := fn(cols, &writer{batch: d.batch, compare: cols.CompareIDs}, st[driver.Objects])
	if err == nil {
		after := st.with(driver.Objects, root)
		d.state.Store(&after)
	}
	return err
}

// Claim implements [driver.Claimer].
func (b *Backend) Claim(ctx context.Context, q *driver.Query, c driver.Claiming) ([]driver.Record, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	var claimed []driver.Record
	err := b.change(ctx, func(cols *columns, w *writer, root *node) (*node, error) {
		claimed = nil
		at, check := now(), b.data.uniqueCheck()
		r := &reader{root: root, cols: cols}
		all := &driver.Query{Where: q.Where, Order: q.Order, Parts: driver.Info}
		if c.Edit != nil {
			all.Parts |= driver.Fields | driver.Data
		}
		for rec, err := range r.Scan(ctx, all) {
			if err != nil {
				return nil, err
			}
			if rec.Claim.Owner != "" && rec.Claim.Until.After(at) {
				continue
			}
			stored, err := cols.claimed(root.get(rec.ID, cols.CompareIDs), &rec, &c, check)
			if err != nil {
				return nil, err
			}
			if stored == nil {
				continue
			}
			stored.Claim = driver.Claim{Owner: c.Owner, Until: at.Add(c.Lease).Truncate(time.Microsecond), Token: stored.Revision}
			root = w.put(root, stored)
			claimed = append(claimed, cols.give(stored, driver.Info|c.Parts))
			if len(claimed) == c.Limit {
				break
			}
		}
		return root, check.settle()
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

// claimed returns what is stored in place of was, after Edit has been given rec; nil: it is left
// alone.
func (c *columns) claimed(was, rec *driver.Record, how *driver.Claiming, check *uniqueCheck) (*driver.Record, error) {
	stored := *was
	if stored.Revision++; how.Edit != nil {
		if how.Edit(rec) != nil {
			return nil, nil //nolint:nilerr // Edit has told its caller why
		}
		edited, err := c.keep(rec, was)
		if err != nil {
			return nil, err
		}
		edited.ColumnSet = was.ColumnSet
		stored = *edited
	}
	if refused := check.try(was, &stored); refused != nil {
		if how.Refused != nil {
			how.Refused(stored.ID, refused)
		}
		return nil, nil
	}
	return &stored, nil
}

// Extend implements [driver.Claimer].
func (b *Backend) Extend(ctx context.Context, id driver.ID, token int64, lease time.Duration) (until time.Time, err error) {
	err = b.change(ctx, func(cols *columns, w *writer, root *node) (*node, error) {
		was := root.get(id, cols.CompareIDs)
		if was == nil || was.Claim.Owner == "" || was.Claim.Token != token {
			return nil, &driver.RecordError{ID: id, Err: driver.ErrClaimLost}
		}
		rec := *was
		until = now().Add(lease).Truncate(time.Microsecond)
		rec.Claim.Until = until
		return w.put(root, &rec), nil
	})
	return until, err
}

// ReleaseExpired implements [driver.Claimer].
func (b *Backend) ReleaseExpired(ctx context.Context) (n int64, err error) {
	err = b.change(ctx, func(_ *columns, w *writer, root *node) (*node, error) {
		at := now()
		after := root
		root.ascend(func(was *driver.Record) bool {
			if was.Claim.Owner != "" && !was.Claim.Until.After(at) {
				rec := *was
				rec.Claim = driver.Claim{}
				after = w.put(after, &rec)
				n++
			}
			return ctx.Err() == nil
		})
		return after, ctx.Err()
	})
	if err != nil {
		return 0, fmt.Errorf("release expired: %w", err)
	}
	return n, nil
}
