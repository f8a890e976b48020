package sql

import (
	"context"
	"errors"

	"github.com/brine-go/brine/persistence/driver"
)

// A server sends all rows of a statement, whether they are wanted or not, and its connection serves
// no other statement meanwhile. So a scan reads pages: the first ones small, for those who break
// off, and none with too much data.
const (
	firstPage    = 256
	largestPage  = 4096
	maxPageBytes = 8 << 20 // of data; then a page ends early, and the next ones become smaller
)

// A scanned row is a record, or what is wrong with it.
type scanned struct {
	rec driver.Record
	err error
}

// scanPages is scan on a server. What yield does with the reader finds its connection free.
func (r *reader) scanPages(ctx context.Context, q *driver.Query, yield func(driver.Record, error) bool) error {
	order, err := r.l.ordering(q.Order)
	if err != nil {
		return err
	}
	left := q.Limit
	give := func(rows []scanned) error {
		for _, row := range rows {
			if !yield(row.rec, row.err) {
				return errStop
			}
			if row.err != nil {
				continue
			}
			if left--; left == 0 {
				return errStop
			}
		}
		return nil
	}
	rest := *q
	size, filtered := firstPage, false
	if q.Limit > 0 {
		size = min(q.Limit, largestPage) // who says how much is wanted wants it all
	}
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if q.Limit > 0 && !filtered {
			size = min(size, left)
		}
		sh, err := r.l.selects(&rest, size, true, order...)
		if err != nil {
			return err
		}
		filtered = len(sh.filters) > 0
		if size, more, err = r.pages(ctx, &rest, sh, size, give); err != nil {
			return err
		}
	}
	return nil
}

// pages reads a page of each statement of a query until one is full. Then there may be more to
// read: rest.After is set to the place, and next is the size of the page to come.
func (r *reader) pages(ctx context.Context, rest *driver.Query, sh shape, size int, give func([]scanned) error) (next int, more bool, err error) {
	if len(sh.statements) > 1 || len(sh.filters) > 0 {
		if err := r.whole(ctx); err != nil {
			return 0, false, err
		}
	}
	rest.After = nil
	for _, st := range sh.statements {
		rows, place, bytes, err := r.page(ctx, st, sh.selection, sh.filters, rest.Order, size)
		if err == nil {
			err = give(rows)
		}
		if err != nil {
			return 0, false, err
		}
		if place != nil {
			rest.After = place
			return nextSize(size, bytes), true, nil
		}
	}
	return size, false, nil
}

// nextSize returns the size of the page after a full one.
func nextSize(size, bytes int) int {
	if bytes >= maxPageBytes {
		return max(size/2, 1)
	}
	if bytes > maxPageBytes/4 {
		return size
	}
	return min(size*4, largestPage)
}

// page reads the rows of one statement. next is the place of the last row where the page is full,
// so that more may follow.
func (r *reader) page(ctx context.Context, st clause, s *selection, filters []*filter, order []driver.Order, size int) (rows []scanned, next *driver.Cursor, bytes int, err error) {
	rows = make([]scanned, 0, min(size, 128))
	err = r.read(ctx, func() error {
		rows, next, bytes = rows[:0], nil, 0
		n := 0
		err := r.c.query(ctx, st.text, st.args, s.dest, func() (err error) {
			if s.passes(filters) {
				rec, err := s.record()
				bytes += len(rec.Data)
				rows = append(rows, scanned{rec, err})
			}
			if n++; n == size || bytes >= maxPageBytes {
				if next, err = s.cursor(len(order), len(filterColumns(filters))); err == nil {
					err = errStop
				}
			}
			return err
		})
		if errors.Is(err, errStop) {
			return nil
		}
		return err
	})
	r.given = r.given || err == nil
	return rows, next, bytes, err
}

// cursor returns the place of the row in the cells. The columns of the order stand before those of
// the filters.
func (s *selection) cursor(order, filters int) (*driver.Cursor, error) {
	first := len(s.columns) - filters - order
	id := *s
	id.parts, id.own = 0, 1
	rec, err := id.record()
	if err != nil {
		return nil, err
	}
	cur := &driver.Cursor{ID: rec.ID, Values: make([]any, order)}
	for i := range order {
		col, v := s.columns[first+i], s.cells[first+i].v
		if v == nil && col.zero != nil {
			v = col.zero
		}
		if col == s.l.id {
			cur.Values[i] = rec.ID
			continue
		}
		if cur.Values[i], err = fromSQL(col.kind, v); err != nil {
			return nil, &driver.RecordError{ID: rec.ID, Err: err}
		}
	}
	return cur, nil
}
