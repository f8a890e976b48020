package mem

import (
	"bytes"
	"context"
	"fmt"

	"github.com/brine-go/brine/persistence/driver"
)

// checkEvery is after how many records a long call looks at its context.
const checkEvery = 1024

// Apply implements [driver.Backend].
func (b *Backend) Apply(ctx context.Context, ms []driver.Mutation) ([]int64, error) {
	cols, err := b.ready(ctx)
	if err != nil {
		return nil, err
	}
	defer b.calls.Done()
	d := b.data
	if err := d.lock(ctx); err != nil {
		return nil, err
	}
	defer d.unlock()

	// The IDs are distinct, so each mutation can be checked against what was
	// there before the batch. Whatever fails leaves a tree that nobody sees.
	old := d.root.Load()
	exists := existsAfter(ms, old, cols)
	d.batch++
	w := writer{batch: d.batch, compare: cols.CompareIDs}
	root, revs := old, make([]int64, len(ms))
	for i := range ms {
		if i%checkEvery == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		m := &ms[i]
		was := old.get(m.Rec.ID, cols.CompareIDs)
		if err := check(m, was); err != nil {
			return nil, &driver.RecordError{ID: m.Rec.ID, Err: err}
		}
		for _, ref := range m.NewRefs {
			if !exists(ref) {
				return nil, &driver.RecordError{ID: m.Rec.ID, Ref: ref, Err: driver.ErrDangling}
			}
		}
		switch m.Op {
		case driver.Delete:
			root = w.remove(root, m.Rec.ID)
		case driver.Check:
			revs[i] = was.Revision
			if m.Release {
				rec := *was
				rec.Claim = driver.Claim{}
				root = w.put(root, &rec)
			}
		case driver.SetFields:
			rec, err := cols.refit(&m.Rec, was, len(d.layout))
			if err != nil {
				return nil, err
			}
			root = w.put(root, rec)
			revs[i] = rec.Revision
		default:
			rec, err := cols.keep(&m.Rec, was, len(d.layout))
			if err != nil {
				return nil, err
			}
			if m.Release {
				rec.Claim = driver.Claim{}
			}
			root = w.put(root, rec)
			revs[i] = rec.Revision
		}
	}
	d.root.Store(root)
	return revs, nil
}

// check returns the error of a mutation where was is what is there, or nil.
func check(m *driver.Mutation, was *driver.Record) error {
	switch m.Op {
	case driver.Create:
		if was != nil {
			return driver.ErrExists
		}
	case driver.Put:
	case driver.Update, driver.Delete, driver.Check, driver.SetFields:
		if was == nil && m.IfRev == 0 && m.Token == 0 && (m.Op == driver.Update || m.Op == driver.Delete) {
			return driver.ErrNotFound
		}
		if was == nil || m.IfRev != 0 && m.IfRev != was.Revision || m.Token != 0 && m.Token != was.Claim.Token {
			return driver.ErrConflict
		}
	default:
		return fmt.Errorf("unknown operation %d", m.Op)
	}
	return nil
}

// existsAfter returns a function that reports whether a record is there after the batch.
func existsAfter(ms []driver.Mutation, old *node, cols *columns) func(driver.ID) bool {
	var ops map[driver.ID]driver.Op // made for the first reference: most batches have none
	return func(ref driver.ID) bool {
		if ops == nil {
			ops = make(map[driver.ID]driver.Op, len(ms))
			for i := range ms {
				ops[ms[i].Rec.ID] = ms[i].Op
			}
		}
		switch ops[ref] {
		case driver.Create, driver.Put:
			return true
		case driver.Delete:
			return false
		}
		return old.get(ref, cols.CompareIDs) != nil
	}
}

// keep returns the record to store in place of was, which may be nil. It shares nothing with r.
func (c *columns) keep(r, was *driver.Record, width int) (*driver.Record, error) {
	rec := *r
	rec.Data = bytes.Clone(r.Data)
	rec.Size = int64(len(r.Data))
	rec.Revision = max(r.Revision, 1)
	if was != nil {
		rec.Revision = was.Revision + 1
		rec.Created = was.Created
		rec.Claim = was.Claim
	} else {
		rec.Claim = driver.Claim{}
	}
	return &rec, c.setFields(&rec, r, was, width)
}

// refit returns was with the fields of r.
func (c *columns) refit(r, was *driver.Record, width int) (*driver.Record, error) {
	rec := *was
	return &rec, c.setFields(&rec, r, was, width)
}

// setFields gives rec the fields of r, and those of was, which may be nil, that the schema does not know.
func (c *columns) setFields(rec, r, was *driver.Record, width int) error {
	if len(r.Fields) != c.fields {
		return fmt.Errorf("record %q has %d fields, its schema %d", r.ID, len(r.Fields), c.fields)
	}
	fields := make([]any, width)
	if was != nil {
		copy(fields, was.Fields)
	}
	for i, v := range r.Fields {
		fields[c.at(i)] = cloneValue(v)
	}
	rec.Fields = fields
	return nil
}

// at returns where the field i of the schema stands in a stored record.
func (c *columns) at(i int) int {
	if c.stored == nil {
		return i
	}
	return c.stored[i]
}

// cloneValue copies what a caller could change.
func cloneValue(v any) any {
	if b, ok := v.([]byte); ok {
		return bytes.Clone(b)
	}
	return v
}
