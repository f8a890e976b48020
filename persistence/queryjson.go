package persistence

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"strings"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// ParseQuery reads a query from JSON, in the form of jobman's filters:
//
//	{"filters": [{"field": "status", "op": "!IN", "arg": ["DONE", "FAILED"]}],
//	 "order_by": [{"field": "priority", "direction": "DESC"}],
//	 "limit": 100}
//
// The operators are =, !=, <, <=, >, >=, IN, !IN, PREFIX, SUFFIX, CONTAINS, IS NULL and IS NOT
// NULL, in any letter case. A space may follow the "!". The operators with "!" also match NULL.
// With the argument null, = means IS NULL and != means IS NOT NULL. A filter may be {"or": [...]},
// a list of filters: one of them must hold. A direction is ASC, the default, or DESC. "after" may
// give an ID.
//
// An argument is a string, a number, true or false. A column of times accepts RFC 3339 texts
// and Unix seconds, a column of bytes accepts base64. The names of the form's own fields are
// matched in any letter case, as in encoding/json. The store that runs the query checks that a
// field is a column and that the argument is of its kind. Unknown names and operators, and
// anything after the object, are errors.
func ParseQuery(data []byte) (*Query, error) {
	var form jsonQuery
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	dec.UseNumber()
	if err := dec.Decode(&form); err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	if trimmed := bytes.TrimSpace(data); trimmed[0] != '{' {
		return nil, fmt.Errorf("query: %s is no object", trimmed)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("query: unexpected data after the object")
	}
	q := &Query{After: form.After, Limit: form.Limit}
	if form.Limit < 0 {
		return nil, fmt.Errorf("query: negative limit %d", form.Limit)
	}
	for i, f := range form.Filters {
		c, err := f.cond()
		if err != nil {
			return nil, fmt.Errorf("query: filter %d: %w", i+1, err)
		}
		q.Where = append(q.Where, c)
	}
	for i, o := range form.OrderBy {
		switch dir := strings.ToUpper(o.Direction); {
		case o.Field == "":
			return nil, fmt.Errorf("query: order %d names no field", i+1)
		case dir == "" || dir == "ASC":
			q.Order = append(q.Order, Asc(o.Field))
		case dir == "DESC":
			q.Order = append(q.Order, Desc(o.Field))
		default:
			return nil, fmt.Errorf("query: order %d: direction %q: want ASC or DESC", i+1, o.Direction)
		}
	}
	return q, nil
}

// FormatQuery is the inverse of [ParseQuery]: it returns the JSON of a query that selects the
// same records in the same order. A nil q is the zero Query. A value that no column can hold is
// an error.
func FormatQuery(q *Query) ([]byte, error) {
	var form jsonQuery
	if q == nil {
		return json.Marshal(form)
	}
	form.After, form.Limit = q.After, q.Limit
	for _, c := range q.conds() {
		f, err := c.filter()
		if err != nil {
			return nil, fmt.Errorf("query: %w", err)
		}
		form.Filters = append(form.Filters, f)
	}
	for _, o := range q.Order {
		direction := "ASC"
		if o.desc {
			direction = "DESC"
		}
		form.OrderBy = append(form.OrderBy, jsonOrder{Field: o.column, Direction: direction})
	}
	return json.Marshal(form)
}

type jsonQuery struct {
	Filters []jsonFilter `json:"filters,omitempty"`
	OrderBy []jsonOrder  `json:"order_by,omitempty"`
	After   ID           `json:"after,omitempty"`
	Limit   int          `json:"limit,omitempty"`
}

type jsonFilter struct {
	Field string        `json:"field,omitempty"`
	Op    string        `json:"op,omitempty"`
	Arg   any           `json:"arg,omitempty"`
	Or    *[]jsonFilter `json:"or,omitempty"` // then the others are empty
}

type jsonOrder struct {
	Field     string `json:"field"`
	Direction string `json:"direction,omitempty"`
}

var jsonOps = map[string]driver.CmpOp{
	"=": driver.Eq, "!=": driver.Ne, "<": driver.Lt, "<=": driver.Le, ">": driver.Gt, ">=": driver.Ge,
	"IN": driver.In, "!IN": driver.NotIn, "PREFIX": driver.HasPrefix, "SUFFIX": driver.HasSuffix, "CONTAINS": driver.Contains,
	"IS NULL": driver.IsNull, "IS NOT NULL": driver.NotNull,
}

func (f jsonFilter) cond() (Cond, error) {
	if f.Or != nil {
		return f.or()
	}
	if f.Field == "" {
		return Cond{}, errors.New("it names no field")
	}
	name := strings.ToUpper(strings.Join(strings.Fields(f.Op), " "))
	op, ok := jsonOps[strings.Replace(name, "! ", "!", 1)]
	if !ok {
		return Cond{}, fmt.Errorf("field %q: unknown operator %q: want =, !=, <, <=, >, >=, IN, !IN, PREFIX, SUFFIX, CONTAINS, IS NULL or IS NOT NULL", f.Field, f.Op)
	}
	c := Cond{column: f.Field, op: op}
	bad := func() (Cond, error) {
		return Cond{}, fmt.Errorf("field %q: argument %v does not go with %s", f.Field, f.Arg, f.Op)
	}
	switch {
	case op == driver.IsNull || op == driver.NotNull:
		if f.Arg != nil {
			return bad()
		}
		return c, nil
	case op == driver.In || op == driver.NotIn:
		list, ok := f.Arg.([]any)
		if !ok {
			return bad()
		}
		for _, v := range list {
			if !isScalar(v) {
				return bad()
			}
			c.values = append(c.values, jsonValue{v})
		}
		return c, nil
	case f.Arg == nil && op == driver.Eq:
		return IsNull(f.Field), nil
	case f.Arg == nil && op == driver.Ne:
		return NotNull(f.Field), nil
	case !isScalar(f.Arg):
		return bad()
	}
	if _, text := f.Arg.(string); op.IsText() && !text {
		return bad()
	}
	c.values = []any{jsonValue{f.Arg}}
	return c, nil
}

// or returns the condition of a filter that is a list of others.
func (f jsonFilter) or() (Cond, error) {
	if f.Field != "" || f.Op != "" || f.Arg != nil {
		return Cond{}, errors.New(`"or" stands beside "field", "op" or "arg"`)
	}
	var conds []Cond
	for i, part := range *f.Or {
		c, err := part.cond()
		if err != nil {
			return Cond{}, fmt.Errorf("or %d: %w", i+1, err)
		}
		conds = append(conds, c)
	}
	return Or(conds...), nil
}

func isScalar(v any) bool {
	switch v.(type) {
	case string, json.Number, bool:
		return true
	}
	return false
}

// filter returns the JSON form of a condition.
func (c Cond) filter() (jsonFilter, error) {
	if c.op == driver.Or {
		parts := make([]jsonFilter, len(c.any))
		for i, part := range c.any {
			var err error
			if parts[i], err = part.filter(); err != nil {
				return jsonFilter{}, err
			}
		}
		return jsonFilter{Or: &parts}, nil
	}
	f := jsonFilter{Field: c.column}
	for name, op := range jsonOps {
		if op == c.op {
			f.Op = name
		}
	}
	if f.Op == "" {
		return f, errors.New("empty condition: make conditions with Eq and its like")
	}
	values := make([]any, len(c.values))
	for i, v := range c.values {
		var err error
		if values[i], err = formatValue(v); err != nil {
			return f, fmt.Errorf("column %q: %w", c.column, err)
		}
	}
	switch {
	case c.op == driver.In || c.op == driver.NotIn:
		f.Arg = values
	case len(values) > 0:
		f.Arg = values[0]
	}
	return f, nil
}

// formatValue returns the JSON form of a value of a condition. Values of different kinds may
// have the same form: the kind of the column decides when the query is run.
func formatValue(v any) (any, error) {
	if j, ok := v.(jsonValue); ok {
		return j.v, nil
	}
	for _, kind := range []driver.Kind{driver.Time, driver.Bytes, driver.Bool, driver.Int, driver.Float, driver.Text} {
		canonical, err := canonicalValue(kind, v)
		if err != nil || canonical == nil {
			continue
		}
		switch x := canonical.(type) {
		case time.Time:
			return x.Format(time.RFC3339Nano), nil
		case []byte:
			return base64.StdEncoding.EncodeToString(x), nil
		case float64:
			// Keep the fraction, so that it is not read back as an integer.
			text, err := json.Marshal(x)
			if err == nil && !bytes.ContainsAny(text, ".e") {
				text = append(text, ".0"...)
			}
			return json.Number(text), err
		}
		return canonical, nil
	}
	return nil, fmt.Errorf("%T is no value of a column", v)
}

// A jsonValue is a value from JSON whose column, and therefore kind, is not known yet.
type jsonValue struct{ v any }

// of converts the value to one that extrafields.Canonical accepts for a kind.
func (j jsonValue) of(kind driver.Kind) (any, error) {
	switch v := j.v.(type) {
	case string:
		switch kind {
		case driver.Time:
			t, err := time.Parse(time.RFC3339Nano, v)
			if err != nil {
				return nil, fmt.Errorf("%q is no RFC 3339 time", v)
			}
			return t, nil
		case driver.Bytes:
			b, err := base64.StdEncoding.DecodeString(v)
			if err != nil {
				return nil, fmt.Errorf("%q is no base64", v)
			}
			return b, nil
		}
		return v, nil
	case json.Number:
		switch kind {
		case driver.Int:
			n, err := wholeNumber(v)
			if err != nil {
				return nil, err
			}
			return n, nil
		case driver.Time:
			return unixSeconds(v)
		}
		f, err := v.Float64()
		if err != nil {
			return nil, fmt.Errorf("%s is out of range", v)
		}
		return f, nil
	}
	return j.v, nil
}

func wholeNumber(v json.Number) (int64, error) {
	if n, err := v.Int64(); err == nil {
		return n, nil
	}
	// 1e3 and 5.0 are integers too.
	if f, err := v.Float64(); err == nil && f == math.Trunc(f) && math.Abs(f) <= 1<<53 {
		return int64(f), nil
	}
	return 0, fmt.Errorf("%s is no integer of 64 bits", v)
}

func unixSeconds(v json.Number) (time.Time, error) {
	f, err := v.Float64()
	if err != nil || math.Abs(f) > 1<<43 { // beyond the years that a column can hold
		return time.Time{}, fmt.Errorf("%s is no time in Unix seconds", v)
	}
	if math.Abs(f) < 1e-9 { // below the resolution of a time; its exponent may have any size
		return time.Unix(0, 0).UTC(), nil
	}
	seconds, ok := new(big.Rat).SetString(v.String())
	if !ok {
		return time.Time{}, fmt.Errorf("%s is no time in Unix seconds", v)
	}
	nanos := new(big.Int)
	nanos.Div(new(big.Int).Mul(seconds.Num(), big.NewInt(1e9)), seconds.Denom())
	whole, rest := new(big.Int).DivMod(nanos, big.NewInt(1e9), new(big.Int))
	return time.Unix(whole.Int64(), rest.Int64()).UTC(), nil
}
