package sql

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/brine-go/brine/persistence/driver"
)

// Scan implements [driver.Reader].
func (r *reader) Scan(ctx context.Context, q *driver.Query) iter.Seq2[driver.Record, error] {
	return func(yield func(driver.Record, error) bool) {
		if err := r.b.engine.scan(ctx, r, q, yield); err != nil && !errors.Is(err, errStop) {
			yield(driver.Record{}, r.b.translate(err))
		}
	}
}

// errStop: the caller broke off, or has had what it asked for.
var errStop = errors.New("iteration ended early")

// stream is scan on an embedded database: the rows are read while the statement is open.
func (r *reader) stream(ctx context.Context, q *driver.Query, yield func(driver.Record, error) bool) error {
	for page := *q; ; {
		left, last, err := r.streamOnce(ctx, &page, yield)
		if last == nil || err != nil {
			return err
		}
		page.After, page.Limit = last, left
	}
}

// streamOnce runs the statements of a query. Where records that could not be read have taken the
// place of others within the limit, it returns how many are left to read, and after which place.
func (r *reader) streamOnce(ctx context.Context, q *driver.Query, yield func(driver.Record, error) bool) (left int, last *driver.Cursor, err error) {
	if err := ctx.Err(); err != nil {
		return 0, nil, err
	}
	sh, err := r.l.selects(q, q.Limit, false)
	if err != nil {
		return 0, nil, err
	}
	if len(sh.statements) > 1 {
		if err := r.whole(ctx); err != nil {
			return 0, nil, err
		}
	}
	if sh.short {
		ctx = r.c.short(ctx)
	}
	s, filters := sh.selection, sh.filters
	left = q.Limit
	var rec driver.Record // one for all: it is large
	for _, st := range sh.statements {
		rows, bad := 0, false
		err := r.c.query(ctx, st.text, st.args, s.dest, func() error {
			rows++
			if !s.passes(filters) {
				return nil
			}
			err := s.read(&rec)
			if !yield(rec, err) {
				return errStop
			}
			if bad = bad || err != nil; err == nil {
				left--
			}
			if left == 0 && q.Limit > 0 {
				return errStop
			}
			return nil
		})
		if err != nil {
			return 0, nil, err
		}
		if bad && rows == q.Limit && len(filters) == 0 {
			last, err = r.place(ctx, s.cells[0].v, q.Order)
			return left, last, err
		}
	}
	return 0, nil, nil
}

// place returns where the record with a key stands in an order.
func (r *reader) place(ctx context.Context, key any, order []driver.Order) (place *driver.Cursor, err error) {
	columns, err := r.l.ordering(order)
	if err != nil {
		return nil, err
	}
	s := r.l.selection(0, columns...)
	found, err := r.c.one(ctx, "SELECT "+s.list()+" FROM "+r.l.table+" WHERE "+r.l.id.expr+" = ?", []any{key}, s.dest...)
	if err == nil && !found {
		err = fmt.Errorf("table %q: the record %v, which could not be read, was removed while the scan stood there", r.l.name, key)
	}
	if err != nil {
		return nil, err
	}
	return s.cursor(len(columns), 0)
}
