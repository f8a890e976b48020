package driver

import (
	"bytes"
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
)

// Library columns that a query may name, in addition to those of Schema.Fields.
const (
	ColID       = "id"
	ColType     = "type"
	ColState    = "state"
	ColRevision = "revision"
	ColCreated  = "created"
	ColModified = "modified"
)

// A Query selects, orders and pages records. Package persistence has checked it: every column
// exists, and every value has the Go type of its column's [Kind] (an [ID] for id, an int64 for
// revision).
//
// Text is compared by bytes, integer IDs by value, text IDs by bytes. NULL comes last in any
// order, ascending or descending; ties are ordered by ascending ID.
type Query struct {
	Where []Cond  // all must hold
	Order []Order // then by ID ascending
	After *Cursor // only records after it in the order of the query; nil: all
	Limit int     // 0: no limit
	Parts Parts

	// Columns names the columns to read of Info, Version and Fields, if Parts includes these; nil
	// means all. Other columns need not be read. Claim.Until and Claim.Token are read together with
	// the owner. [ColSize] may be among them.
	Columns []string
}

// ColSize names, in Query.Columns alone, the size of a record.
const ColSize = "size"

// Wants reports whether q asks for a column, other than the ID.
func (q *Query) Wants(column string) bool {
	named := q.Columns == nil || slices.Contains(q.Columns, column) ||
		column == ColClaimOwner && (slices.Contains(q.Columns, ColClaimUntil) || slices.Contains(q.Columns, ColClaimToken))
	return named && (q.Parts&PartOf(column) != 0 || q.Parts&Version != 0 && (column == ColState || column == ColRevision))
}

// Uses reports whether q needs a column to answer: it asks for it, or has a condition on it, or
// sorts by it.
func (q *Query) Uses(column string) bool {
	if q.Wants(column) || slices.ContainsFunc(q.Order, func(o Order) bool { return o.Column == column }) {
		return true
	}
	for i := range q.Where {
		for name := range q.Where[i].Columns() {
			if name == column {
				return true
			}
		}
	}
	return false
}

// A CmpOp compares a column with values.
type CmpOp uint8

// The comparisons. NULL satisfies Ne, NotIn and IsNull, and nothing else.
const (
	Eq CmpOp = iota + 1
	Ne
	Lt
	Le
	Gt
	Ge
	IsNull  // no value
	NotNull // no value
	// HasPrefix compares literal bytes. It is for Text columns, text IDs, type and state. The
	// prefix "" matches every value that is not NULL.
	HasPrefix
	In    // any number of values; without values it matches nothing
	NotIn // any number of values; without values it matches everything
	// Contains and HasSuffix are like HasPrefix, for any place in the text and for its end.
	Contains
	HasSuffix
	// Or matches a record that matches one of [Cond.Any]. If Any is empty it matches nothing. The
	// conditions in Any are no Ors. An Or has no column and no values.
	Or
)

var cmpNames = [...]string{
	Eq: "=", Ne: "!=", Lt: "<", Le: "<=", Gt: ">", Ge: ">=", IsNull: "is null", NotNull: "is not null",
	HasPrefix: "has prefix", In: "in", NotIn: "not in", Contains: "contains", HasSuffix: "has suffix", Or: "or",
}

// String returns the comparison as SQL or English writes it.
func (op CmpOp) String() string {
	if op == 0 || int(op) >= len(cmpNames) {
		return fmt.Sprintf("invalid comparison %d", uint8(op))
	}
	return cmpNames[op]
}

// A Cond is a condition on one column, or an Or of such conditions.
type Cond struct {
	Column string
	Op     CmpOp
	Values []any  // none, one or any number, as Op requires; never nil values
	Any    []Cond // of an Or
}

// Columns yields the columns that the condition names, those of an Or one by one.
func (c *Cond) Columns() iter.Seq[string] {
	return func(yield func(string) bool) {
		if c.Op != Or {
			yield(c.Column)
			return
		}
		for i := range c.Any {
			if !yield(c.Any[i].Column) {
				return
			}
		}
	}
}

// An Order sorts by one column.
type Order struct {
	Column string
	Desc   bool
}

// A Cursor is a position in the order of a Query. It is the position of a record that has this ID
// and these values in the columns of Query.Order (nil for NULL).
type Cursor struct {
	Values []any
	ID     ID
}

// The rest of this file evaluates queries for backends that have no query engine.

// Columns finds the values of a record's columns by name.
type Columns struct {
	integerIDs bool
	fields     map[string]int
}

// NewColumns returns the Columns of a schema.
func NewColumns(s Schema) *Columns {
	c := &Columns{integerIDs: s.IntegerIDs, fields: make(map[string]int, len(s.Fields))}
	for i, f := range s.Fields {
		c.fields[f.Name] = i
	}
	return c
}

// Value returns the value of a column of r; nil is NULL.
func (c *Columns) Value(r *Record, column string) any {
	switch column {
	case ColID:
		return r.ID
	case ColType:
		return r.Type
	case ColState:
		return r.State
	case ColRevision:
		return r.Revision
	case ColCreated:
		return r.Created
	case ColModified:
		return r.Modified
	case ColColumnSet:
		return r.ColumnSet
	}
	if r.Claim.Owner != "" {
		switch column {
		case ColClaimOwner:
			return r.Claim.Owner
		case ColClaimUntil:
			return r.Claim.Until
		case ColClaimToken:
			return r.Claim.Token
		}
	}
	if i, ok := c.fields[column]; ok && i < len(r.Fields) {
		return r.Fields[i]
	}
	return nil
}

// CompareIDs orders IDs as the store does: integers by value, text by bytes.
func (c *Columns) CompareIDs(a, b ID) int {
	if c.integerIDs {
		return compareDecimals(string(a), string(b))
	}
	return strings.Compare(string(a), string(b))
}

// compareDecimals compares canonical decimals of any size.
func compareDecimals(a, b string) int {
	an, bn := strings.HasPrefix(a, "-"), strings.HasPrefix(b, "-")
	switch {
	case an && !bn:
		return -1
	case bn && !an:
		return 1
	case an:
		a, b = b[1:], a[1:]
	}
	if c := cmp.Compare(len(a), len(b)); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

// compareValues orders two values of one column that are not NULL.
func (c *Columns) compareValues(a, b any) int {
	switch a := a.(type) {
	case string:
		return strings.Compare(a, b.(string))
	case ID:
		return c.CompareIDs(a, b.(ID))
	case int64:
		return cmp.Compare(a, b.(int64))
	case float64:
		return cmp.Compare(a, b.(float64))
	case bool:
		return cmp.Compare(rank(a), rank(b.(bool)))
	case []byte:
		return bytes.Compare(a, b.([]byte))
	case time.Time:
		return a.Compare(b.(time.Time))
	}
	return 0
}

func rank(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Match reports whether r satisfies every condition of q. It ignores q.After and q.Limit.
func (c *Columns) Match(q *Query, r *Record) bool {
	for i := range q.Where {
		if !c.matches(&q.Where[i], r) {
			return false
		}
	}
	return true
}

func (c *Columns) matches(cond *Cond, r *Record) bool {
	if cond.Op != Or {
		return c.Holds(cond, c.Value(r, cond.Column))
	}
	for i := range cond.Any {
		if c.Holds(&cond.Any[i], c.Value(r, cond.Any[i].Column)) {
			return true
		}
	}
	return false
}

// Holds reports whether a value of the column of cond, which is no Or, satisfies it; nil is NULL.
func (c *Columns) Holds(cond *Cond, v any) bool {
	null := v == nil
	switch cond.Op {
	case IsNull:
		return null
	case NotNull:
		return !null
	case In, NotIn:
		found := !null && slices.ContainsFunc(cond.Values, func(w any) bool { return c.compareValues(v, w) == 0 })
		return found == (cond.Op == In)
	case Ne:
		return null || c.compareValues(v, cond.Values[0]) != 0
	}
	if null {
		return false
	}
	if cond.Op.IsText() {
		if id, ok := v.(ID); ok {
			v = string(id)
		}
		return textTests[cond.Op](v.(string), cond.Values[0].(string))
	}
	n := c.compareValues(v, cond.Values[0])
	switch cond.Op {
	case Eq:
		return n == 0
	case Lt:
		return n < 0
	case Le:
		return n <= 0
	case Gt:
		return n > 0
	case Ge:
		return n >= 0
	}
	return false
}

var textTests = map[CmpOp]func(text, part string) bool{
	HasPrefix: strings.HasPrefix, Contains: strings.Contains, HasSuffix: strings.HasSuffix,
}

// IsText reports whether op is for text alone, with a text as its value.
func (op CmpOp) IsText() bool { return op == HasPrefix || op == Contains || op == HasSuffix }

// Cursor returns the position of r in the order of q.
func (c *Columns) Cursor(q *Query, r *Record) *Cursor {
	cur := &Cursor{ID: r.ID}
	for _, o := range q.Order {
		cur.Values = append(cur.Values, c.Value(r, o.Column))
	}
	return cur
}

// Compare compares two positions in the order of q. Different IDs never compare equal.
func (c *Columns) Compare(q *Query, a, b *Cursor) int {
	for i, o := range q.Order {
		av, bv := a.Values[i], b.Values[i]
		var n int
		switch {
		case av == nil && bv == nil:
		case av == nil:
			return 1
		case bv == nil:
			return -1
		default:
			n = c.compareValues(av, bv)
			if o.Desc {
				n = -n
			}
		}
		if n != 0 {
			return n
		}
	}
	return c.CompareIDs(a.ID, b.ID)
}
