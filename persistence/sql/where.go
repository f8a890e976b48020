package sql

import (
	"fmt"
	"slices"
	"strings"
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
		if tooLong(c, room) {
			f, err := l.filter(c)
			if err != nil {
				return clause{}, nil, err
			}
			filters = append(filters, f)
			continue
		}
		part, err := l.cond(c)
		if err != nil {
			return clause{}, nil, err
		}
		if c.Op == driver.In || c.Op == driver.NotIn || c.Op == driver.Or {
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

// cond translates a condition.
func (l *layout) cond(c *driver.Cond) (clause, error) {
	if c.Op != driver.Or {
		return l.comparison(c)
	}
	if len(c.Any) == 0 {
		return clause{text: "1 = 0"}, nil
	}
	var either clause
	for i := range c.Any {
		part, err := l.comparison(&c.Any[i])
		if err != nil {
			return clause{}, err
		}
		if i > 0 {
			either.text += " OR "
		}
		either.add(part.text, part.args...)
	}
	either.text = "(" + either.text + ")"
	return either, nil
}

// comparison translates a condition on one column.
func (l *layout) comparison(c *driver.Cond) (clause, error) {
	col := l.columns[c.Column]
	if col == nil {
		return clause{}, unsupported(l, c.Column)
	}
	values := make([]any, 0, len(c.Values))
	for _, v := range c.Values {
		bound, ok := l.bind(col, v)
		switch {
		case ok:
			values = append(values, bound)
		case c.Op != driver.Eq && c.Op != driver.Ne && c.Op != driver.In && c.Op != driver.NotIn && !c.Op.IsText():
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
	case driver.HasPrefix, driver.Contains, driver.HasSuffix:
		return l.textTest(col, expr, c.Op, c.Values[0].(string)), nil
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

// textTest translates a condition on a part of a text.
func (l *layout) textTest(col *column, expr clause, op driver.CmpOp, part string) clause {
	if col == l.id && l.schema.IntegerIDs {
		expr.text = l.traits.express(AsText, expr.text)
	}
	switch {
	case part == "" && col.nullable && col.zero == nil:
		return clause{text: expr.text + " IS NOT NULL"}
	case part == "":
		return clause{text: "1 = 1"}
	case op == driver.Contains:
		return clause{text: l.traits.express(Contains, expr.text), args: append(expr.args, part)}
	case op == driver.HasSuffix:
		text, args := l.traits.hasSuffix(expr.text, part)
		return clause{text: text, args: append(expr.args, args...)}
	}
	return hasPrefix(expr, part)
}

// hasPrefix is a range: text is compared by bytes, so what begins with the prefix stands together.
func hasPrefix(expr clause, prefix string) clause {
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

// likeSuffix is Traits.HasSuffix where LIKE compares as = does.
func likeSuffix(expr, suffix string) (cond string, args []any) {
	return expr + " LIKE ? ESCAPE '!'", []any{"%" + likeEscaper.Replace(suffix)}
}

var likeEscaper = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")

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
