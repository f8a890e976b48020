package sql

import (
	"encoding/binary"
	"slices"
	"strconv"
	"sync"

	"github.com/brine-go/brine/persistence/driver"
)

// maxShapes is how many shapes a layout keeps.
const maxShapes = 128

// A shape is what queries have in common that differ only in the values of their conditions: the
// SELECTs, ready but for these values.
type shape struct {
	statements []clause // of whose args some are slots
	filters    []*filter
	selection  *selection // without cells
	short      bool       // the statements look at no more rows than they give
}

// A slot stands for the value of a condition.
type slot int

// shapes are those used so far.
type shapes struct {
	mu    sync.RWMutex
	known map[string]*shape
}

// selects returns the SELECTs of q with the values that q has, and cells for their rows. They give
// the columns that q wants, then those of extra, then those of the filters. limit is the number of
// rows of each; 0: no limit. With filters it counts only where paged is true, and then also the
// rows that do not pass.
func (l *layout) selects(q *driver.Query, limit int, paged bool, extra ...*column) (shape, error) {
	if !l.cacheable(q) {
		sh, err := l.shape(q, limit, paged, extra)
		if err != nil {
			return shape{}, err
		}
		sh.selection = sh.selection.fresh()
		return *sh, nil
	}
	var buf [256]byte
	key := appendShape(buf[:0], q, limit)
	l.shapes.mu.RLock()
	sh := l.shapes.known[string(key)]
	l.shapes.mu.RUnlock()
	if sh == nil {
		template := *q
		template.Where = slotted(q.Where)
		var err error
		if sh, err = l.shape(&template, limit, paged, extra); err != nil {
			return shape{}, err
		}
		l.shapes.mu.Lock()
		if l.shapes.known == nil || len(l.shapes.known) >= maxShapes {
			l.shapes.known = make(map[string]*shape)
		}
		l.shapes.known[string(key)] = sh
		l.shapes.mu.Unlock()
	}
	bound := shape{selection: sh.selection.fresh(), short: sh.short}
	statements := make([]clause, len(sh.statements))
	for i, st := range sh.statements {
		statements[i].text = st.text
		if len(st.args) == 0 {
			continue
		}
		args := make([]any, len(st.args))
		for k, arg := range st.args {
			if at, ok := arg.(slot); ok {
				arg = toSQL(q.Where[at].Values[0])
			}
			args[k] = arg
		}
		statements[i].args = args
	}
	bound.statements = statements
	return bound, nil
}

// slotted returns conditions with slots in place of their values.
func slotted(where []driver.Cond) []driver.Cond {
	conds := slices.Clone(where)
	for i, c := range conds {
		if len(c.Values) > 0 {
			conds[i].Values = []any{slot(i)}
		}
	}
	return conds
}

// cacheable reports whether the text of the statements of q does not depend on the values in it.
func (l *layout) cacheable(q *driver.Query) bool {
	if q.After != nil {
		return false
	}
	for _, c := range q.Where {
		switch c.Op {
		case driver.IsNull, driver.NotNull:
			continue
		case driver.Eq, driver.Ne, driver.Lt, driver.Le, driver.Gt, driver.Ge:
			col := l.columns[c.Column]
			if col != nil && col != l.id && (col.zero == nil || !col.nullable) && len(c.Values) == 1 {
				continue
			}
		}
		return false
	}
	return true
}

// maxShort is how many rows a short statement gives at most. It ends too soon to be worth
// interrupting.
const maxShort = 16

// followsIndex reports whether the rows of q stand together in an index, in its order.
func (l *layout) followsIndex(q *driver.Query) bool {
	if len(q.Order) > 1 || q.After != nil || len(q.Order) == 0 && len(q.Where) == 0 {
		return false
	}
	var name string
	if len(q.Order) == 1 {
		name = q.Order[0].Column
		if q.Order[0].Desc {
			return false // the IDs of equals go up nevertheless: they are sorted
		}
	} else {
		name = q.Where[0].Column
	}
	for _, c := range q.Where {
		switch c.Op {
		case driver.Eq:
		case driver.Lt, driver.Le, driver.Gt, driver.Ge, driver.NotNull:
			if len(q.Order) == 0 {
				return false
			}
		default:
			return false
		}
		if c.Column != name {
			return false
		}
	}
	col := l.columns[name]
	return col != nil && col != l.id && col.keyed && !col.long && (col.zero == nil || !col.nullable)
}

// appendShape appends what tells the shape of q from others.
func appendShape(b []byte, q *driver.Query, limit int) []byte {
	text := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	b = append(b, byte(q.Parts))
	b = binary.AppendUvarint(b, uint64(limit))
	b = binary.AppendUvarint(b, uint64(len(q.Where)))
	for i := range q.Where {
		b = append(b, byte(q.Where[i].Op))
		text(q.Where[i].Column)
	}
	b = binary.AppendUvarint(b, uint64(len(q.Order)))
	for _, o := range q.Order {
		if o.Desc {
			b = append(b, 1)
		} else {
			b = append(b, 0)
		}
		text(o.Column)
	}
	if q.Columns != nil {
		b = append(b, 1)
		for _, name := range q.Columns {
			text(name)
		}
	}
	return b
}

// shape makes the statements of q, for use with the values that q has.
func (l *layout) shape(q *driver.Query, limit int, paged bool, extra []*column) (*shape, error) {
	where, filters, err := l.where(q.Where)
	if err != nil {
		return nil, err
	}
	ranges, err := l.ranges(q)
	if err != nil {
		return nil, err
	}
	sh := &shape{filters: filters, short: limit > 0 && limit <= maxShort && l.followsIndex(q), selection: l.wanted(q, slices.Concat(extra, filterColumns(filters))...)}
	head := "SELECT " + sh.selection.list() + " FROM " + l.table
	for _, rg := range ranges {
		st := clause{text: head}
		all := and(where, rg.where)
		st.add(all.conjunction(), all.args...)
		st.add(rg.orderBy(), rg.orderArgs...)
		if limit > 0 && (len(filters) == 0 || paged) {
			// Not bound: SQLite plans a statement anew whenever another value is bound there.
			st.text += " LIMIT " + strconv.Itoa(limit)
		}
		sh.statements = append(sh.statements, st)
	}
	return sh, nil
}
