package mem

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/brine-go/brine/persistence/driver"
)

// A reader reads one namespace of one state.
type reader struct {
	b     *Backend
	state state
	root  *node
	cols  *columns
}

var _ driver.NamespaceReader = (*reader)(nil)

// InNamespace implements [driver.NamespaceReader].
func (r *reader) InNamespace(ns driver.Namespace) (driver.Reader, error) {
	cols, err := r.b.columnsOf(ns)
	if err != nil {
		return nil, err
	}
	return &reader{b: r.b, state: r.state, root: r.state[ns.Storage()], cols: cols}, nil
}

// Get implements [driver.Reader].
func (r *reader) Get(ctx context.Context, ids []driver.ID, parts driver.Parts) ([]driver.Record, error) {
	if err := r.cols.present(&driver.Query{Parts: parts}); err != nil {
		return nil, err
	}
	recs := make([]driver.Record, 0, len(ids))
	seen := make(map[driver.ID]struct{}, len(ids))
	for i, id := range ids {
		if i%checkEvery == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if _, dup := seen[id]; dup {
			continue
		}
		seen[id] = struct{}{}
		// IDs may compare equal without being the same: no record has "1x" among integers.
		if rec := r.root.get(id, r.cols.CompareIDs); rec != nil && rec.ID == id {
			recs = append(recs, r.cols.give(rec, parts))
		}
	}
	return recs, ctx.Err()
}

// present returns an error if a query uses a column that was dropped since the handle was made.
func (c *columns) present(q *driver.Query) error {
	gone := c.table.gone.Load()
	if gone == nil {
		return nil
	}
	for i, name := range c.names {
		if at := c.at(i); at < len(*gone) && (*gone)[at] && q.Uses(name) {
			return droppedColumn(name)
		}
	}
	return nil
}

func droppedColumn(name string) error {
	return fmt.Errorf("the column %q was dropped after this store was opened: open it anew", name)
}

// give returns a copy of the parts of a stored record, which shares nothing with it.
func (c *columns) give(rec *driver.Record, parts driver.Parts) driver.Record {
	out := *rec
	out.Data, out.Fields, out.ColumnSet = nil, nil, 0
	if parts&driver.SetNumber != 0 {
		out.ColumnSet = rec.ColumnSet
	}
	switch {
	case parts&driver.Data != 0:
		out.Data = bytes.Clone(rec.Data)
	case parts&driver.Head != 0:
		out.Data = bytes.Clone(rec.Data[:min(len(rec.Data), driver.HeadLen)])
	}
	if parts&driver.Fields != 0 {
		out.Fields = c.fieldsOf(rec)
		for i, v := range out.Fields {
			out.Fields[i] = cloneValue(v)
		}
	}
	return out
}

// fieldsOf returns the fields of a stored record in the order of the schema.
func (c *columns) fieldsOf(rec *driver.Record) []any {
	fields := make([]any, c.fields)
	for i := range fields {
		if at := c.at(i); at < len(rec.Fields) {
			fields[i] = rec.Fields[at]
		}
	}
	return fields
}

// asked returns a stored record with its fields in the order of the schema. It must not be
// modified.
func (c *columns) asked(rec *driver.Record) *driver.Record {
	if c.stored == nil {
		return rec // an older record may be shorter: the missing fields are NULL
	}
	out := *rec
	out.Fields = c.fieldsOf(rec)
	return &out
}

// matches yields the stored records that match q, in ID order, until yield returns false or ctx
// ends. It uses q.After only if q has no Order.
func (r *reader) matches(ctx context.Context, q *driver.Query, yield func(stored, asked *driver.Record) bool) error {
	err := ctx.Err()
	if err == nil {
		err = r.cols.present(q)
	}
	if err != nil {
		return err
	}
	n := 0
	visit := func(rec *driver.Record) bool {
		if n++; n%checkEvery == 0 {
			if err = ctx.Err(); err != nil {
				return false
			}
		}
		asked := r.cols.asked(rec)
		return !r.cols.Match(q, asked) || yield(rec, asked)
	}
	if q.After != nil && len(q.Order) == 0 {
		r.root.ascendAfter(q.After.ID, r.cols.CompareIDs, visit)
	} else {
		r.root.ascend(visit)
	}
	return err
}

// Scan implements [driver.Reader].
func (r *reader) Scan(ctx context.Context, q *driver.Query) iter.Seq2[driver.Record, error] {
	return func(yield func(driver.Record, error) bool) {
		given, on := 0, true
		give := func(stored, _ *driver.Record) bool {
			on = yield(r.cols.give(stored, q.Parts), nil)
			given++
			return on && given != q.Limit
		}
		var err error
		if len(q.Order) == 0 {
			err = r.matches(ctx, q, give)
		} else {
			var recs []*driver.Record
			recs, err = r.sorted(ctx, q)
			for _, rec := range recs {
				if err = ctx.Err(); err != nil || !give(rec, nil) {
					break
				}
			}
		}
		if on && err != nil {
			yield(driver.Record{}, err)
		}
	}
}

// sorted returns the records of a query with an Order. With a Limit it holds at most twice that
// many at a time, or a few thousand.
func (r *reader) sorted(ctx context.Context, q *driver.Query) ([]*driver.Record, error) {
	type place struct {
		*driver.Cursor
		rec *driver.Record
	}
	var places []place
	cut := func() {
		slices.SortFunc(places, func(a, b place) int { return r.cols.Compare(q, a.Cursor, b.Cursor) })
		if q.Limit > 0 && len(places) > q.Limit {
			clear(places[q.Limit:])
			places = places[:q.Limit]
		}
	}
	var worst *driver.Cursor // a record after it is not among the first Limit
	err := r.matches(ctx, q, func(stored, asked *driver.Record) bool {
		cur := r.cols.Cursor(q, asked)
		if q.After != nil && r.cols.Compare(q, cur, q.After) <= 0 || worst != nil && r.cols.Compare(q, cur, worst) > 0 {
			return true
		}
		places = append(places, place{cur, stored})
		if q.Limit > 0 && len(places) >= 2*max(q.Limit, checkEvery) {
			cut()
			worst = places[len(places)-1].Cursor
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	cut()
	recs := make([]*driver.Record, len(places))
	for i := range places {
		recs[i] = places[i].rec
	}
	return recs, nil
}

// Count implements [driver.Reader].
func (r *reader) Count(ctx context.Context, q *driver.Query) (int64, error) {
	var n int64
	all := driver.Query{Where: q.Where}
	err := r.matches(ctx, &all, func(_, _ *driver.Record) bool {
		n++
		return true
	})
	return n, err
}
