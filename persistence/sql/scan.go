package sql

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/brine-go/brine/persistence/driver"
)

// A level is one column of an order, and the cursor's value there.
type level struct {
	column   string
	expr     clause
	desc     bool
	nullable bool
	value    any // what is bound; nil: NULL
}

// Scan implements [driver.Reader]. It reads with one statement open: two where
// the first column of the order may be NULL, so that an index serves each. On a server it reads page by page instead.
func (r *reader) Scan(ctx context.Context, q *driver.Query) iter.Seq2[driver.Record, error] {
	scan := r.scan
	if !r.b.traits.Embedded {
		scan = r.scanPages
	}
	return func(yield func(driver.Record, error) bool) {
		if err := scan(ctx, q, yield); err != nil && !errors.Is(err, errStop) {
			yield(driver.Record{}, r.b.translate(err))
		}
	}
}

// errStop: the caller broke off, or has had what it asked for.
var errStop = errors.New("iteration ended early")

func (r *reader) scan(ctx context.Context, q *driver.Query, yield func(driver.Record, error) bool) error {
	for page := *q; ; {
		left, last, err := r.scanOnce(ctx, &page, yield)
		if last == nil || err != nil {
			return err
		}
		page.After, page.Limit = last, left
	}
}

// scanOnce runs the statements of a query. Where records that could not be read have taken the place of others within the limit, it returns how
// many are left to read, and behind which place.
func (r *reader) scanOnce(ctx context.Context, q *driver.Query, yield func(driver.Record, error) bool) (left int, last *driver.Cursor, err error) {
	if err := ctx.Err(); err != nil {
		return 0, nil, err
	}
	sh, err := r.l.selects(q, q.Limit)
	if err != nil {
		return 0, nil, err
	}
	if len(sh.statements) > 1 {
		if err := r.whole(ctx); err != nil {
			return 0, nil, err
		}
	}
	if sh.short {
		ctx = r.b.short(ctx)
	}
	s, filters := sh.selection, sh.filters
	left = q.Limit
	for _, st := range sh.statements {
		rows, bad := 0, false
		err := r.c.query(ctx, st.text, st.args, s.dest, func() error {
			rows++
			if !s.passes(filters) {
				return nil
			}
			rec, err := s.record()
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

// ordering returns the columns of an order.
func (l *layout) ordering(order []driver.Order) ([]*column, error) {
	columns := make([]*column, len(order))
	for i, o := range order {
		if columns[i] = l.columns[o.Column]; columns[i] == nil {
			return nil, unsupported(l, o.Column)
		}
	}
	return columns, nil
}

// Count implements [driver.Reader].
func (r *reader) Count(ctx context.Context, q *driver.Query) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	where, filters, err := r.l.where(q.Where)
	if err != nil {
		return 0, err
	}
	tail := " FROM " + r.l.table + where.conjunction()
	var n int64
	err = r.run(ctx, func() error {
		n = 0
		if len(filters) == 0 {
			_, err := r.c.one(ctx, "SELECT count(*)"+tail, where.args, &n)
			return err
		}
		s := r.l.selection(0, filterColumns(filters)...)
		return r.c.query(ctx, "SELECT "+s.list()+tail, where.args, s.dest, func() error {
			if s.passes(filters) {
				n++
			}
			return nil
		})
	})
	r.given = r.given || err == nil
	return n, r.b.translate(err)
}

func filterColumns(fs []*filter) []*column {
	var cols []*column
	for _, f := range fs {
		cols = append(cols, f.column)
	}
	return cols
}

// passes reports whether the row in the cells, the last of which are the filters' columns, satisfies them.
func (s *selection) passes(fs []*filter) bool {
	for i, f := range fs {
		if !f.holds(s.cells[len(s.cells)-len(fs)+i].v) {
			return false
		}
	}
	return true
}

// A span is a stretch of a query's order that one statement reads.
type span struct {
	where     clause
	order     []string
	orderArgs []any
}

// ranges translates order and cursor of a query.
func (l *layout) ranges(q *driver.Query) ([]span, error) {
	levels, err := l.levels(q)
	if err != nil {
		return nil, err
	}
	first := levels[0]
	if q.After == nil || first.value != nil {
		first.nullable = first.nullable && !excludesNull(q.Where, first.column)
		levels[0] = first
	}
	if !first.nullable {
		rg := orderBy(levels)
		if q.After != nil {
			rg.where = after(levels)
		}
		return []span{rg}, nil
	}

	var spans []span
	if q.After == nil || first.value != nil {
		known := append([]level{first}, levels[1:]...)
		known[0].nullable = false
		rg := orderBy(known)
		rg.where = clause{text: first.expr.text + " IS NOT NULL", args: first.expr.args}
		if q.After != nil {
			rg.where = after(known) // which NULL does not satisfy
		}
		spans = append(spans, rg)
	}
	rg := orderBy(levels[1:])
	rg.where = clause{text: first.expr.text + " IS NULL", args: first.expr.args}
	if q.After != nil && first.value == nil {
		rg.where = and(rg.where, after(levels[1:]))
	}
	return append(spans, rg), nil
}

// excludesNull reports whether the database looks at a condition that NULL in the column does not satisfy.
func excludesNull(conds []driver.Cond, column string) bool {
	return slices.ContainsFunc(conds, func(c driver.Cond) bool {
		switch c.Op {
		case driver.Eq, driver.Lt, driver.Le, driver.Gt, driver.Ge, driver.HasPrefix, driver.NotNull:
			return c.Column == column
		}
		return false
	})
}

// levels returns the columns of the order of a query. The last is always the ID.
func (l *layout) levels(q *driver.Query) ([]level, error) {
	if q.After != nil && len(q.After.Values) != len(q.Order) {
		return nil, fmt.Errorf("cursor of %d values in an order of %d columns", len(q.After.Values), len(q.Order))
	}
	var levels []level
	seen := map[string]bool{}
	add := func(col *column, desc bool, value any) error {
		lv := level{column: col.name, expr: l.operand(col, driver.Gt, nil), desc: desc, nullable: col.nullable && col.zero == nil}
		if q.After != nil && value != nil {
			bound, ok := l.bind(col, value)
			if !ok {
				return fmt.Errorf("table %q: %q is no ID of it", l.name, value)
			}
			lv.value = bound
		}
		levels = append(levels, lv)
		return nil
	}
	for i, o := range q.Order {
		col := l.columns[o.Column]
		if col == nil {
			return nil, unsupported(l, o.Column)
		}
		if seen[o.Column] {
			continue
		}
		seen[o.Column] = true
		var value any
		if q.After != nil {
			value = q.After.Values[i]
		}
		if err := add(col, o.Desc, value); err != nil {
			return nil, err
		}
		if col == l.id {
			return levels, nil
		}
	}
	var id any
	if q.After != nil {
		id = q.After.ID
	}
	return levels, add(l.id, false, id)
}

// orderBy returns the span's " ORDER BY".
func (sp *span) orderBy() string { return " ORDER BY " + strings.Join(sp.order, ", ") }

// orderBy returns the ORDER BY of the levels, NULL last.
func orderBy(levels []level) span {
	var sp span
	for _, lv := range levels {
		if lv.nullable {
			sp.order = append(sp.order, lv.expr.text+" IS NULL")
			sp.orderArgs = append(sp.orderArgs, lv.expr.args...)
		}
		term := lv.expr.text
		if lv.desc {
			term += " DESC"
		}
		sp.order = append(sp.order, term)
		sp.orderArgs = append(sp.orderArgs, lv.expr.args...)
	}
	return sp
}

// after returns the condition for what stands behind the levels' values. Its outermost
// part is a plain range of the first column, so that an index on it serves.
func after(levels []level) clause {
	lv := levels[0]
	op := ">"
	if lv.desc {
		op = "<"
	}
	if len(levels) == 1 {
		return compare(lv, op)
	}
	rest := after(levels[1:])
	if lv.value == nil {
		return and(clause{text: lv.expr.text + " IS NULL", args: lv.expr.args}, rest)
	}
	beyond := compare(lv, op)
	beyond.text = "(" + beyond.text + " OR " + rest.text + ")"
	beyond.args = append(beyond.args, rest.args...)
	behind := and(compare(lv, op+"="), beyond)
	if lv.nullable {
		behind.text = "(" + lv.expr.text + " IS NULL OR " + behind.text + ")"
		behind.args = append(append([]any{}, lv.expr.args...), behind.args...)
	}
	return behind
}

func compare(lv level, op string) clause {
	return clause{text: lv.expr.text + " " + op + " ?", args: append(append([]any{}, lv.expr.args...), lv.value)}
}
