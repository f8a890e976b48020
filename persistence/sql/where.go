package sql

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/brine-go/brine/persistence/driver"
)

// A clause is a piece of SQL with the values bound in it.
type clause struct {
	text string
	args []any
}

func (c *clause) add(text string, args ...any) {
	c.text += text
	c.args = append(c.args, args...)
}

// and joins conditions; none: the empty clause.
func and(cs ...clause) clause {
	var all clause
	for _, c := range cs {
		if c.text == "" {
			continue
		}
		if all.text != "" {
			all.text += " AND "
		}
		all.add(c.text, c.args...)
	}
	return all
}

// A filter is an In or NotIn of more values than a statement can have: it is evaluated here, row by
// row.
type filter struct {
	column *column
	values map[any]struct{}
	not    bool
}

func (f *filter) matches(v any) bool {
	if v == nil && f.column.zero != nil {
		v = f.column.zero
	}
	if v == nil {
		return f.not
	}
	value, err := fromSQL(f.column.kind, v)
	if err != nil {
		return false
	}
	_, found := f.values[hashable(toSQL(value))]
	return found != f.not
}

func hashable(v any) any {
	if b, ok := v.([]byte); ok {
		return string(b)
	}
	return v
}

func filterColumns(fs []*filter) []*column {
	var cols []*column
	for _, f := range fs {
		cols = append(cols, f.column)
	}
	return cols
}

// passes reports whether the row in the cells, the last of which are the filters' columns,
// satisfies them.
func (s *selection) passes(fs []*filter) bool {
	for i, f := range fs {
		if !f.matches(s.cells[len(s.cells)-len(fs)+i].v) {
			return false
		}
	}
	return true
}

// maxListed is how many values of In and NotIn conditions a statement has at most, all together;
// the rest of its parameters are for everything else.
func (l *layout) maxListed() int { return l.traits.MaxParams * 3 / 4 }

// where translates the conditions of a query.
func (l *layout) where(conds []driver.Cond) (clause, []*filter, error) {
	return l.whereWithin(conds, l.maxListed())
}

// whereWithin is where, with room for so many values of In and NotIn conditions.
func (l *layout) whereWithin(conds []driver.Cond, room int) (clause, []*filter, error) {
	var parts []clause
	var filters []*filter
	for i := range conds {
		c := &conds[i]
		col := l.columns[c.Column]
		if col == nil {
			return clause{}, nil, unsupported(l, c.Column)
		}
		if (c.Op == driver.In || c.Op == driver.NotIn) && listed(len(c.Values)) > room {
			f := &filter{column: col, values: make(map[any]struct{}, len(c.Values)), not: c.Op == driver.NotIn}
			for _, v := range c.Values {
				if bound, ok := l.bind(col, v); ok {
					f.values[hashable(bound)] = struct{}{}
				}
			}
			filters = append(filters, f)
			continue
		}
		part, err := l.cond(col, c)
		if err != nil {
			return clause{}, nil, err
		}
		if c.Op == driver.In || c.Op == driver.NotIn {
			room -= len(part.args)
		}
		parts = append(parts, part)
	}
	return and(parts...), filters, nil
}

// bind returns what is bound for a value compared with a column; false: no value of the column
// equals it.
func (l *layout) bind(col *column, v any) (any, bool) {
	if id, ok := v.(driver.ID); ok && col == l.id {
		return l.key(id)
	}
	return toSQL(v), true
}

var operators = map[driver.CmpOp]string{
	driver.Eq: "=", driver.Ne: "<>", driver.Lt: "<", driver.Le: "<=", driver.Gt: ">", driver.Ge: ">=",
}

func (l *layout) cond(col *column, c *driver.Cond) (clause, error) {
	values := make([]any, 0, len(c.Values))
	for _, v := range c.Values {
		bound, ok := l.bind(col, v)
		switch {
		case ok:
			values = append(values, bound)
		case c.Op != driver.Eq && c.Op != driver.Ne && c.Op != driver.In && c.Op != driver.NotIn && c.Op != driver.HasPrefix:
			return clause{}, fmt.Errorf("table %q: %q is no ID of it", l.name, v)
		}
	}
	expr := l.operand(col, c.Op, values)
	nullable := col.nullable && col.zero == nil
	switch c.Op {
	case driver.IsNull:
		if !nullable {
			return clause{text: "1 = 0"}, nil
		}
		return clause{text: expr.text + " IS NULL"}, nil
	case driver.NotNull:
		if !nullable {
			return clause{text: "1 = 1"}, nil
		}
		return clause{text: expr.text + " IS NOT NULL"}, nil
	case driver.Eq, driver.In:
		if len(values) == 0 {
			return clause{text: "1 = 0"}, nil
		}
		expr.add(in(listed(len(values))), pad(values)...)
		return expr, nil
	case driver.Ne, driver.NotIn:
		if len(values) == 0 {
			return clause{text: "1 = 1"}, nil
		}
		test := clause{text: expr.text + " <> ?", args: append(expr.args, values...)}
		if n := listed(len(values)); n > 1 {
			test = clause{text: expr.text + " NOT" + in(n), args: append(expr.args, pad(values)...)}
		}
		if nullable {
			test.text = "(" + expr.text + " IS NULL OR " + test.text + ")"
		}
		return test, nil
	case driver.HasPrefix:
		return l.hasPrefix(col, expr, c.Values[0].(string)), nil
	}
	op, ok := operators[c.Op]
	if !ok {
		return clause{}, fmt.Errorf("unknown comparison %d", c.Op)
	}
	expr.add(" "+op+" ?", values...)
	return expr, nil
}

// operand returns the column for a comparison. NULL in a library column of a table made by hand
// means the zero value; where a row with NULL cannot match anyway, the column stands alone, so that
// an index serves.
func (l *layout) operand(col *column, op driver.CmpOp, values []any) clause {
	if col.zero == nil || !col.nullable {
		return clause{text: col.expr}
	}
	if (op == driver.Eq || op == driver.In) && !slices.Contains(values, col.zero) {
		return clause{text: col.expr}
	}
	return clause{text: "coalesce(" + col.expr + ", ?)", args: []any{col.zero}}
}

// hasPrefix is a range: text is compared by bytes, so what begins with the prefix stands together.
func (l *layout) hasPrefix(col *column, expr clause, prefix string) clause {
	if col == l.id && l.schema.IntegerIDs {
		expr.text = l.traits.AsText(expr.text)
	}
	if prefix == "" {
		if col.nullable && col.zero == nil {
			return clause{text: expr.text + " IS NOT NULL"}
		}
		return clause{text: "1 = 1"}
	}
	next, ok := successor(prefix)
	if !ok {
		expr.add(" >= ?", prefix)
		return expr
	}
	return and(
		clause{text: expr.text + " >= ?", args: append(slices.Clone(expr.args), prefix)},
		clause{text: expr.text + " < ?", args: append(slices.Clone(expr.args), next)},
	)
}

// successor returns the least text that is greater than every text with the prefix; false: there is
// none.
func successor(prefix string) (string, bool) {
	if !utf8.ValidString(prefix) {
		b := []byte(prefix)
		for len(b) > 0 && b[len(b)-1] == 0xff {
			b = b[:len(b)-1]
		}
		if len(b) == 0 {
			return "", false
		}
		b[len(b)-1]++
		return string(b), true
	}
	// Valid text stays valid: some databases accept nothing else.
	for prefix != "" {
		r, size := utf8.DecodeLastRuneInString(prefix)
		prefix = prefix[:len(prefix)-size]
		if r == utf8.MaxRune {
			continue
		}
		if r++; r == 0xd800 {
			r = 0xe000
		}
		return prefix + string(r), true
	}
	return "", false
}

// listed returns the number of placeholders for n values: few numbers, so that there are few
// statements.
func listed(n int) int {
	const step = 4096
	if n > step {
		return (n + step - 1) / step * step
	}
	shape := 1
	for shape < n {
		shape *= 2
	}
	return shape
}

// pad repeats the last value up to listed.
func pad(values []any) []any {
	padded := make([]any, listed(len(values)))
	for i := range padded {
		padded[i] = values[min(i, len(values)-1)]
	}
	return padded
}

// conjunction returns " WHERE " and the conditions, or nothing.
func (c clause) conjunction() string {
	if c.text == "" {
		return ""
	}
	return " WHERE " + c.text
}
