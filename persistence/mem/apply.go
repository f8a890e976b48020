package mem

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"strconv"

	"github.com/brine-go/brine/persistence/driver"
)

// checkEvery is the number of records after which a long call checks its context.
const checkEvery = 1024

// Apply implements [driver.Backend].
func (b *Backend) Apply(ctx context.Context, ms []driver.Mutation) ([]int64, error) {
	objects, err := b.writable(ctx)
	if err != nil {
		return nil, err
	}
	defer b.calls.Done()
	d := b.data
	if err := d.lock(ctx); err != nil {
		return nil, err
	}
	defer d.unlock()
	return b.apply(ctx, objects, ms)
}

var _ driver.ExclusiveApplier = (*Backend)(nil)

// ApplyExclusive implements [driver.ExclusiveApplier]. Readers do not wait.
func (b *Backend) ApplyExclusive(ctx context.Context, since driver.Mark, fn func(driver.Exclusive) ([]driver.Mutation, error)) (driver.Mark, error) {
	objects, err := b.writable(ctx)
	if err != nil {
		return "", err
	}
	defer b.calls.Done()
	d := b.data
	if err := d.lock(ctx); err != nil {
		return "", err
	}
	defer d.unlock()
	st := *d.state.Load()
	ms, err := fn(driver.Exclusive{Reader: &reader{b: b, state: st, root: st[driver.Objects], cols: objects}, Quiet: since == d.mark()})
	if err == nil && len(ms) > 0 {
		_, err = b.apply(ctx, objects, ms)
	}
	if err != nil {
		return "", err
	}
	return d.mark(), nil
}

// mark returns the mark of the state. The caller is the current writer.
func (d *data) mark() driver.Mark { return driver.Mark(strconv.FormatUint(d.batch, 10)) }

// apply makes mutations. The caller is the current writer.
func (b *Backend) apply(ctx context.Context, objects *columns, ms []driver.Mutation) ([]int64, error) {
	d := b.data
	// ms names no record twice, so each mutation can be checked against the state before the batch.
	// A failing batch leaves trees that nobody sees.
	old := *d.state.Load()
	exists := existsAfter(ms, old[driver.Objects], objects.CompareIDs)
	d.batch++
	after, revs := maps.Clone(old), make([]int64, len(ms))
	check := d.uniqueCheck()
	for i := range ms {
		if i%checkEvery == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		m := &ms[i]
		cols, err := b.columnsOf(m.Namespace)
		if err != nil {
			return nil, err
		}
		ns := m.Namespace.Storage()
		was := old[ns].get(m.Rec.ID, cols.CompareIDs)
		if err := m.Check(was); err != nil {
			return nil, err
		}
		for _, ref := range m.NewRefs {
			if !exists(ref) {
				return nil, &driver.RecordError{ID: m.Rec.ID, Ref: ref, Err: driver.ErrDangling}
			}
		}
		w := writer{batch: d.batch, compare: cols.CompareIDs}
		if after[ns], revs[i], err = cols.apply(w, after[ns], m, was); err != nil {
			return nil, err
		}
		if check != nil && ns == driver.Objects {
			check.change(was, after[ns].get(m.Rec.ID, cols.CompareIDs))
		}
	}
	if err := check.settle(); err != nil {
		return nil, err
	}
	d.state.Store(&after)
	return revs, nil
}

// apply returns the tree after m, and the record's new revision.
func (c *columns) apply(w writer, root *node, m *driver.Mutation, was *driver.Record) (*node, int64, error) {
	var rec *driver.Record
	var err error
	switch m.Op {
	case driver.Delete:
		return w.remove(root, m.Rec.ID), 0, nil
	case driver.Check:
		if !m.Release {
			return root, was.Revision, nil
		}
		released := *was
		rec = &released
	case driver.SetFields:
		rec, err = c.refit(m, was)
	case driver.Withdraw:
		if err := c.sameForm(was, m); err != nil {
			return nil, 0, err
		}
		return w.remove(root, m.Rec.ID), 0, nil
	case driver.Restore:
		if rec, err = c.restored(m); err == nil {
			return w.put(root, rec), 0, nil
		}
	default:
		if rec, err = c.keep(&m.Rec, was); m.Op == driver.Import {
			rec.Revision, rec.Created, rec.ColumnSet = max(m.Rec.Revision, 1), m.Rec.Created, m.Rec.ColumnSet
		}
	}
	if err != nil {
		return nil, 0, err
	}
	if m.Release {
		rec.Claim = driver.Claim{}
	}
	return w.put(root, rec), rec.Revision, nil
}

// existsAfter returns a function that reports whether an object exists after the batch.
func existsAfter(ms []driver.Mutation, old *node, compare func(a, b driver.ID) int) func(driver.ID) bool {
	var ops map[driver.ID]driver.Op // made for the first reference: most batches have none
	return func(ref driver.ID) bool {
		if ops == nil {
			ops = make(map[driver.ID]driver.Op, len(ms))
			for i := range ms {
				if ms[i].Namespace.Storage() == driver.Objects {
					ops[ms[i].Rec.ID] = ms[i].Op
				}
			}
		}
		switch ops[ref] {
		case driver.Create, driver.Put, driver.Restore, driver.Import:
			return true
		case driver.Delete, driver.Withdraw:
			return false
		}
		return old.get(ref, compare) != nil
	}
}

// keep returns the record to store in place of was, which may be nil. It shares no memory with
// r.
func (c *columns) keep(r, was *driver.Record) (*driver.Record, error) {
	rec := *r
	rec.Data = bytes.Clone(r.Data)
	rec.Size = int64(len(r.Data))
	rec.Revision = max(r.Revision, 1)
	rec.ColumnSet = c.set
	if was != nil {
		rec.Revision = was.Revision + 1
		rec.Created = was.Created
		rec.Claim = was.Claim
	} else {
		rec.Claim = driver.Claim{}
	}
	return &rec, c.setFields(&rec, r, was)
}

// refit returns was with the fields of m.
func (c *columns) refit(m *driver.Mutation, was *driver.Record) (*driver.Record, error) {
	rec := *was
	if m.ColumnSet != 0 {
		rec.ColumnSet = m.ColumnSet
	}
	return &rec, c.setFields(&rec, &m.Rec, was)
}

// setFields sets the fields of rec: those of r and, for columns that the schema does not
// contain, those of was, which may be nil.
func (c *columns) setFields(rec, r, was *driver.Record) error {
	if len(r.Fields) != c.fields {
		return fmt.Errorf("record %q has %d fields, its schema %d", r.ID, len(r.Fields), c.fields)
	}
	fields := make([]any, len(c.table.layout))
	if was != nil {
		copy(fields, was.Fields)
	}
	for i, v := range r.Fields {
		at := c.at(i)
		if at >= len(fields) {
			continue // a column that the data lack
		}
		if c.table.dropped[at] {
			return droppedColumn(c.table.layout[at].Name)
		}
		fields[at] = cloneValue(v)
	}
	rec.Fields = fields
	return nil
}

// at returns the index of field i of the schema in a stored record.
func (c *columns) at(i int) int {
	if c.stored == nil {
		return i
	}
	return c.stored[i]
}

// cloneValue copies a value that a caller could modify.
func cloneValue(v any) any {
	if b, ok := v.([]byte); ok {
		return bytes.Clone(b)
	}
	return v
}
