package persistence

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence/driver"
)

// A Query selects and orders records. nil and the zero Query select all, in ascending order of
// their IDs: integers by value, text by bytes. The columns are id, type, state, revision,
// created, modified and those of Options.ExtraFields. Every backend gives the same result.
//
// An unknown column, a value of the wrong kind, or more than 500 conditions, those of Type and
// State included and those in an Or counted one by one, are an error before any I/O. A list of In
// or NotIn may have any length.
type Query struct {
	Type  string   // name of a type, or an alias of it: all its names are meant; "" means any
	State []string // any of these; nil means any
	Where []Cond   // all must hold
	Order []Order  // ties are ordered by ascending ID; NULL comes last, ascending or descending
	After ID       // only IDs after this one; an error together with Order: see [Store.StatPage]
	Limit int      // the maximum number of records; 0 means no limit
}

// conds returns all conditions of a query, including those of Type and State.
func (q *Query) conds() []Cond {
	where := slices.Clone(q.Where)
	if q.Type != "" {
		where = append(where, Eq(driver.ColType, q.Type))
	}
	if len(q.State) == 1 {
		where = append(where, Eq(driver.ColState, q.State[0]))
	} else if q.State != nil {
		c := Cond{column: driver.ColState, op: driver.In}
		for _, st := range q.State {
			c.values = append(c.values, st)
		}
		where = append(where, c)
	}
	return where
}

// A Cond is a condition on a column; make it with [Eq] and similar functions. A NULL column
// satisfies only the conditions that say so. Values are of the column's kind: any Go integer
// for Int, a time.Time for Time, a string or an ID for id, and so on.
type Cond struct {
	column string
	op     driver.CmpOp
	values []any
	any    []Cond // of an Or; none of them is an Or
}

// Eq holds where the column equals v.
func Eq(column string, v any) Cond { return Cond{column: column, op: driver.Eq, values: []any{v}} }

// Ne holds where the column differs from v or is NULL (as jobman's filters do).
func Ne(column string, v any) Cond { return Cond{column: column, op: driver.Ne, values: []any{v}} }

// Lt holds where the column is less than v.
func Lt(column string, v any) Cond { return Cond{column: column, op: driver.Lt, values: []any{v}} }

// Le holds where the column is at most v.
func Le(column string, v any) Cond { return Cond{column: column, op: driver.Le, values: []any{v}} }

// Gt holds where the column is greater than v.
func Gt(column string, v any) Cond { return Cond{column: column, op: driver.Gt, values: []any{v}} }

// Ge holds where the column is at least v.
func Ge(column string, v any) Cond { return Cond{column: column, op: driver.Ge, values: []any{v}} }

// IsNull holds where the column is NULL.
func IsNull(column string) Cond { return Cond{column: column, op: driver.IsNull} }

// NotNull holds where the column is not NULL.
func NotNull(column string) Cond { return Cond{column: column, op: driver.NotNull} }

// HasPrefix holds where the text column, or the ID, starts with the prefix, taken literally.
func HasPrefix(column, prefix string) Cond {
	return Cond{column: column, op: driver.HasPrefix, values: []any{prefix}}
}

// HasSuffix holds where the text column, or the ID, ends in the suffix, taken literally. No index
// serves it.
func HasSuffix(column, suffix string) Cond {
	return Cond{column: column, op: driver.HasSuffix, values: []any{suffix}}
}

// Contains holds where the text column, or the ID, has the text anywhere in it, taken literally. No
// index serves it.
func Contains(column, text string) Cond {
	return Cond{column: column, op: driver.Contains, values: []any{text}}
}

// In holds where the column equals one of vs. Without vs it never holds.
func In(column string, vs ...any) Cond {
	return Cond{column: column, op: driver.In, values: slices.Clone(vs)}
}

// NotIn holds where the column equals none of vs or is NULL. Without vs it always holds.
func NotIn(column string, vs ...any) Cond {
	return Cond{column: column, op: driver.NotIn, values: slices.Clone(vs)}
}

// Or holds where one of conds holds. They may be Ors themselves. Without conds it never holds.
func Or(conds ...Cond) Cond {
	or := Cond{op: driver.Or}
	for _, c := range conds {
		if c.op == driver.Or {
			or.any = append(or.any, c.any...)
			continue
		}
		or.any = append(or.any, c)
	}
	return or
}

// An Order sorts by a column; make it with [Asc] or [Desc].
type Order struct {
	column string
	desc   bool
}

// Asc sorts from the least to the greatest, NULL last.
func Asc(column string) Order { return Order{column, false} }

// Desc sorts from the greatest to the least, NULL last.
func Desc(column string) Order { return Order{column, true} }

// queryOf returns q, which may be nil, for records of a type unless it names one.
func queryOf(q *Query, t reflect.Type) (*Query, error) {
	name, err := records.TypeName(t)
	if err != nil {
		return nil, err
	}
	typed := Query{}
	if q != nil {
		typed = *q
	}
	if typed.Type == "" {
		typed.Type = name
	}
	return &typed, nil
}

// maxConds is the greatest number of conditions in a query, those of Type and State included.
// SQLite's parser has room for not quite 1,000.
const maxConds = 500

// compile checks q and translates it to a query of the driver.
func (s *Store) compile(q *Query) (*driver.Query, error) {
	dq := &driver.Query{}
	if q == nil {
		return dq, nil
	}
	if q.Limit < 0 {
		return nil, fmt.Errorf("query: negative limit %d", q.Limit)
	}
	dq.Limit = q.Limit
	if q.After != "" {
		if len(q.Order) > 0 {
			return nil, errors.New("query: After goes with the order of IDs, not with Order: StatPage goes on in any order")
		}
		if err := idfactory.Validate(q.After, s.ids.Integral()); err != nil {
			return nil, fmt.Errorf("query: After: %w: %w", ErrInvalidID, err)
		}
		dq.After = &driver.Cursor{ID: q.After}
	}
	conds := q.conds()
	n := len(conds)
	for _, c := range conds {
		n += len(c.any)
	}
	if n > maxConds {
		return nil, fmt.Errorf("query: %d conditions, at most %d: use In for many values of a column", n, maxConds)
	}
	if names := records.NamesLike(q.Type); len(names) > 1 {
		conds[len(q.Where)] = In(driver.ColType, anyOf(names)...) // instead of the condition for q.Type
	}
	for _, c := range conds {
		dc, err := s.compileCond(c)
		if err != nil {
			return nil, err
		}
		dq.Where = append(dq.Where, dc)
	}
	for _, o := range q.Order {
		if err := s.checkColumn(o.column); err != nil {
			return nil, err
		}
		// What a column has ordered it does not order again, and databases bound the list.
		if !slices.ContainsFunc(dq.Order, func(d driver.Order) bool { return d.Column == o.column }) {
			dq.Order = append(dq.Order, driver.Order{Column: o.column, Desc: o.desc})
		}
	}
	return dq, nil
}

func anyOf(names []string) []any {
	vs := make([]any, len(names))
	for i, name := range names {
		vs[i] = name
	}
	return vs
}

func (s *Store) checkColumn(name string) error {
	if _, ok := s.columns[name]; !ok && name != driver.ColID {
		known := append(slices.Sorted(maps.Keys(s.columns)), driver.ColID)
		slices.Sort(known)
		guess := ""
		if like := driver.Similar(name, known); like != "" {
			guess = fmt.Sprintf("did you mean %q? ", like)
		}
		return fmt.Errorf("query: unknown column %q: %scolumns are %s; Options.ExtraFields adds more", name, guess, strings.Join(known, ", "))
	}
	if slices.Contains(s.missing, name) {
		return fmt.Errorf("query: the table has no column %q: %w", name, errors.ErrUnsupported)
	}
	return nil
}

func (s *Store) compileCond(c Cond) (driver.Cond, error) {
	if c.op == 0 {
		return driver.Cond{}, errors.New("query: empty condition: make conditions with Eq and its like")
	}
	if c.op == driver.Or {
		or := driver.Cond{Op: driver.Or}
		for _, part := range c.any {
			dc, err := s.compileCond(part)
			if err != nil {
				return driver.Cond{}, err
			}
			or.Any = append(or.Any, dc)
		}
		return or, nil
	}
	if err := s.checkColumn(c.column); err != nil {
		return driver.Cond{}, err
	}
	dc := driver.Cond{Column: c.column, Op: c.op}
	kind := s.columns[c.column]
	if c.op.IsText() {
		if c.column != driver.ColID && kind != driver.Text {
			return dc, fmt.Errorf("query: column %q is of kind %s: %q is for text", c.column, kind, c.op)
		}
		kind = driver.Text
	}
	for _, v := range c.values {
		var cv any
		var err error
		if c.column == driver.ColID && !c.op.IsText() {
			cv, err = s.idValue(v)
		} else {
			cv, err = canonicalValue(kind, v)
		}
		if err == nil && cv == nil {
			err = fmt.Errorf("%v is NULL: use IsNull or NotNull", v)
		}
		if err != nil {
			return dc, fmt.Errorf("query: column %q: %w", c.column, err)
		}
		dc.Values = append(dc.Values, cv)
	}
	return dc, nil
}

// canonicalValue converts a value of a condition to the canonical form of its column's kind.
func canonicalValue(kind driver.Kind, v any) (any, error) {
	if j, ok := v.(jsonValue); ok {
		var err error
		if v, err = j.of(kind); err != nil {
			return nil, err
		}
	}
	return extrafields.Canonical(kind, v)
}

// idValue converts a value that is compared with the id column to an ID.
func (s *Store) idValue(v any) (any, error) {
	if j, ok := v.(jsonValue); ok {
		switch x := j.v.(type) {
		case json.Number:
			v = x.String()
		default:
			v = x
		}
	}
	id, ok := v.(ID)
	if !ok {
		if text, err := extrafields.Canonical(driver.Text, v); err == nil && text != nil {
			id = ID(text.(string))
		} else if n, err := extrafields.Canonical(driver.Int, v); err == nil && n != nil && s.ids.Integral() {
			id = ID(fmt.Sprint(n))
		} else {
			return nil, fmt.Errorf("%T is no ID", v)
		}
	}
	if err := idfactory.Validate(id, s.ids.Integral()); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidID, err)
	}
	return id, nil
}
