package sql

import (
	"slices"

	"github.com/brine-go/brine/persistence/driver"
)

// A filter is a condition with more values than a statement can have: it is evaluated here, row by
// row.
type filter struct {
	any []*filter // an Or of these; what follows is nil

	column *column
	values map[any]struct{} // of an In, or a NotIn if not is true
	not    bool

	cond *driver.Cond // another comparison
	in   *driver.Columns
}

// filter returns the filter of a condition.
func (l *layout) filter(c *driver.Cond) (*filter, error) {
	if c.Op == driver.Or {
		f := &filter{any: make([]*filter, 0, len(c.Any))}
		for i := range c.Any {
			part, err := l.filter(&c.Any[i])
			if err != nil {
				return nil, err
			}
			f.any = append(f.any, part)
		}
		return f, nil
	}
	f := &filter{column: l.columns[c.Column]}
	switch {
	case f.column == nil:
		return nil, unsupported(l, c.Column)
	case c.Op == driver.In || c.Op == driver.NotIn:
		f.not, f.values = c.Op == driver.NotIn, make(map[any]struct{}, len(c.Values))
		for _, v := range c.Values {
			if bound, ok := l.bind(f.column, v); ok {
				f.values[hashable(bound)] = struct{}{}
			}
		}
	default:
		f.cond, f.in = c, driver.NewColumns(l.schema)
	}
	return f, nil
}

// filterColumns returns the columns that filters look at, in the order in which passes takes them.
func filterColumns(fs []*filter) []*column {
	var cols []*column
	for _, f := range fs {
		if f.column == nil {
			cols = append(cols, filterColumns(f.any)...)
		} else {
			cols = append(cols, f.column)
		}
	}
	return cols
}

// passes reports whether the row in the cells, whose last ones are the filters' columns,
// satisfies them.
func (s *selection) passes(fs []*filter) bool {
	if len(fs) == 0 {
		return true
	}
	cells := s.cells[len(s.cells)-len(filterColumns(fs)):]
	for _, f := range fs {
		var ok bool
		if ok, cells = s.l.matches(f, cells); !ok {
			return false
		}
	}
	return true
}

// matches reports whether the first of the cells satisfy a filter, and returns the others.
func (l *layout) matches(f *filter, cells []cell) (bool, []cell) {
	if f.column == nil {
		found := false
		for _, part := range f.any {
			var ok bool
			ok, cells = l.matches(part, cells)
			found = found || ok
		}
		return found, cells
	}
	return l.holds(f, cells[0].v), cells[1:]
}

// holds reports whether a value that a row has satisfies a filter of one column.
func (l *layout) holds(f *filter, v any) bool {
	if f.cond != nil {
		value, err := l.groupValue(f.column, v)
		return err == nil && f.in.Holds(f.cond, value)
	}
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

// tooLong reports whether a condition has a list of values for which a statement has no room.
func tooLong(c *driver.Cond, room int) bool {
	if c.Op == driver.Or {
		return slices.ContainsFunc(c.Any, func(part driver.Cond) bool {
			ok := tooLong(&part, room)
			if part.Op == driver.In || part.Op == driver.NotIn {
				room -= listed(len(part.Values))
			}
			return ok
		})
	}
	return (c.Op == driver.In || c.Op == driver.NotIn) && listed(len(c.Values)) > room
}
