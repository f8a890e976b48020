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
	largestIDs   = 65536   // of a page of nothing but IDs
	maxPageBytes = 8 << 20 // of data; then a page ends early, and the next ones become smaller
)

// A scanned row is a record, or what is wrong with it.
type scanned struct {
	rec driver.Record
	err error
}

// A page is the rows that a statement gave: IDs where nothing else was asked for, since a record is
// twenty times as large, and rows.
type page struct {
	ids   []driver.ID
	rows  []scanned
	bytes int            // of data
	next  *driver.Cursor // the place of the last row if the page is full, so that more may follow
}

// each calls yield for each record of the page.
func (p *page) each(yield func(driver.Record, error) bool) bool {
	for _, id := range p.ids {
		if !yield(driver.Record{ID: id}, nil) {
			return false
		}
	}
	for i := range p.rows {
		if !yield(p.rows[i].rec, p.rows[i].err) {
			return false
		}
	}
	return true
}

// add takes the row in the cells of s.
func (p *page) add(s *selection, onlyIDs bool) {
	rec, err := s.record()
	if onlyIDs && err == nil {
		p.ids = append(p.ids, rec.ID)
		return
	}
	p.bytes += len(rec.Data)
	p.rows = append(p.rows, scanned{rec, err})
}

// scanPages is scan on a server. What yield does with the reader finds its connection free.
func (r *reader) scanPages(ctx context.Context, q *driver.Query, yield func(driver.Record, error) bool) error {
	order, err := r.l.ordering(q.Order)
	if err != nil {
		return err
	}
	left := q.Limit
	give := func(p *page) error {
		whole := p.each(func(rec driver.Record, err error) bool {
			if !yield(rec, err) {
				return false
			}
			if err == nil {
				left--
			}
			return left != 0 || err != nil
		})
		if !whole {
			return errStop
		}
		return nil
	}
	rest := *q
	size, most, filtered := firstPage, largestPage, false
	if q.Parts == 0 {
		most = largestIDs
	}
	if q.Limit > 0 {
		size = min(q.Limit, most) // who says how much is wanted wants it all
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
		size = min(size, most)
	}
	return nil
}

// pages reads a page of each statement of a query until one is full. Then there may be more to
// read: rest.After is set to the place, and next is the size of the page to come.
func (r *reader) pages(ctx context.Context, rest *driver.Query, sh shape, size int, give func(*page) error) (next int, more bool, err error) {
	if len(sh.statements) > 1 || len(sh.filters) > 0 {
		p, err := r.alone(ctx, rest, sh, size)
		if err == nil && p != nil {
			rest.After = p.next
			return nextSize(size, p.bytes), true, give(p)
		}
		if err == nil {
			err = r.whole(ctx)
		}
		if err != nil {
			return 0, false, err
		}
	}
	rest.After = nil
	for _, st := range sh.statements {
		p, err := r.page(ctx, st, sh.selection, sh.filters, rest, size)
		if err == nil {
			err = give(p)
		}
		if err != nil {
			return 0, false, err
		}
		if p.next != nil {
			rest.After = p.next
			return nextSize(size, p.bytes), true, nil
		}
	}
	return size, false, nil
}

// alone reads a page of the first statement of a query with a limit, which mostly has all that is
// wanted: then it needs no transaction. nil: there is less, and all must be read in one state.
func (r *reader) alone(ctx context.Context, rest *driver.Query, sh shape, size int) (*page, error) {
	if !r.bare || r.given || rest.Limit == 0 || len(sh.filters) > 0 {
		return nil, nil
	}
	p, err := r.page(ctx, sh.statements[0], sh.selection, nil, rest, size)
	if err != nil || p.next != nil {
		return p, err
	}
	r.given = false // nothing of it is
	return nil, nil
}

// nextSize returns the size of the page after a full one.
func nextSize(size, bytes int) int {
	if bytes >= maxPageBytes {
		return max(size/2, 1)
	}
	if bytes > maxPageBytes/4 {
		return size
	}
	return size * 4
}

// page reads the rows of one statement of q.
func (r *reader) page(ctx context.Context, st clause, s *selection, filters []*filter, q *driver.Query, size int) (*page, error) {
	var p page
	order, tested := len(q.Order), len(filterColumns(filters))
	err := r.read(ctx, func() error {
		p = page{ids: p.ids[:0], rows: p.rows[:0]}
		if p.ids == nil && q.Parts == 0 {
			p.ids = make([]driver.ID, 0, min(size, 1024))
		} else if p.rows == nil {
			p.rows = make([]scanned, 0, min(size, 128))
		}
		n := 0
		err := r.c.query(ctx, st.text, st.args, s.dest, func() (err error) {
			if s.passes(filters) {
				p.add(s, q.Parts == 0)
			}
			if n++; n == size || p.bytes >= maxPageBytes {
				if p.next, err = s.cursor(order, tested); err == nil {
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
	return &p, err
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
