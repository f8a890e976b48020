package sql

import (
	"fmt"
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

// A span is a part of a query's order that one statement reads.
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

// excludesNull reports whether there is a condition for the database that NULL in the column does
// not satisfy.
func excludesNull(conds []driver.Cond, column string) bool {
	return slices.ContainsFunc(conds, func(c driver.Cond) bool {
		switch c.Op {
		case driver.Eq, driver.Lt, driver.Le, driver.Gt, driver.Ge, driver.NotNull,
			driver.HasPrefix, driver.Contains, driver.HasSuffix:
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

// after returns the condition for what comes after the levels' values. Its outermost
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
	later := and(compare(lv, op+"="), beyond)
	if lv.nullable {
		later.text = "(" + lv.expr.text + " IS NULL OR " + later.text + ")"
		later.args = append(append([]any{}, lv.expr.args...), later.args...)
	}
	return later
}

func compare(lv level, op string) clause {
	return clause{text: lv.expr.text + " " + op + " ?", args: append(append([]any{}, lv.expr.args...), lv.value)}
}
