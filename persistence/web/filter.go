package web

import (
	"encoding/base64"
	"encoding/csv"
	"errors"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
)

// A filter is a condition of a list as the address of the page has it: parameters j, c, o and v,
// repeated for each condition.
type filter struct {
	Or     bool // it is joined to the one before by OR, and those so joined by AND
	Column string
	Op     string
	Value  string
}

// An operator is one of the conditions of a query.
type operator struct {
	Name, Label string
	Text        bool // it is for texts
	NoValue     bool
	make        func(column string, v any) persistence.Cond
	makeList    func(column string, vs ...any) persistence.Cond
}

var operators = []operator{
	{Name: "eq", Label: "is", make: persistence.Eq},
	{Name: "ne", Label: "is not", make: persistence.Ne},
	{Name: "lt", Label: "<", make: persistence.Lt},
	{Name: "le", Label: "≤", make: persistence.Le},
	{Name: "gt", Label: ">", make: persistence.Gt},
	{Name: "ge", Label: "≥", make: persistence.Ge},
	{Name: "in", Label: "is one of", makeList: persistence.In},
	{Name: "notin", Label: "is none of", makeList: persistence.NotIn},
	{Name: "contains", Label: "contains", Text: true, make: textCond(persistence.Contains)},
	{Name: "prefix", Label: "begins with", Text: true, make: textCond(persistence.HasPrefix)},
	{Name: "suffix", Label: "ends with", Text: true, make: textCond(persistence.HasSuffix)},
	{Name: "null", Label: "is NULL", NoValue: true, make: func(column string, _ any) persistence.Cond { return persistence.IsNull(column) }},
	{Name: "notnull", Label: "is not NULL", NoValue: true, make: func(column string, _ any) persistence.Cond { return persistence.NotNull(column) }},
}

func textCond(f func(column, text string) persistence.Cond) func(string, any) persistence.Cond {
	return func(column string, v any) persistence.Cond { return f(column, v.(string)) }
}

// maxFilters is how many filters an address may have: each is a part of the form.
const maxFilters = 50

// filtersOf reads the filters of an address. A filter without a column is one that the form left
// empty.
func filtersOf(v url.Values) ([]filter, error) {
	joins, names, ops, values := v["j"], v["c"], v["o"], v["v"]
	if len(ops) != len(names) || len(values) != len(names) || len(joins) != 0 && len(joins) != len(names) {
		return nil, badRequestf("The parameters c, o and v of the address do not belong together: each condition has one of each.")
	}
	var filters []filter
	for i, name := range names {
		if name == "" {
			continue
		}
		f := filter{Column: name, Op: ops[i], Value: values[i]}
		f.Or = len(joins) > 0 && joins[i] == "or" && len(filters) > 0
		filters = append(filters, f)
	}
	if len(filters) > maxFilters {
		return nil, badRequestf("The address has %d conditions, at most %d: the JSON of a query may have more.", len(filters), maxFilters)
	}
	return filters, nil
}

// conditions returns the conditions of a query: filters joined by OR are one.
func conditions(columns []column, filters []filter) ([]persistence.Cond, error) {
	var groups [][]persistence.Cond
	for _, f := range filters {
		c, err := f.condition(columns)
		if err != nil {
			return nil, err
		}
		if f.Or && len(groups) > 0 {
			groups[len(groups)-1] = append(groups[len(groups)-1], c)
			continue
		}
		groups = append(groups, []persistence.Cond{c})
	}
	var conds []persistence.Cond
	for _, g := range groups {
		if len(g) == 1 {
			conds = append(conds, g[0])
		} else {
			conds = append(conds, persistence.Or(g...))
		}
	}
	return conds, nil
}

func (f filter) condition(columns []column) (persistence.Cond, error) {
	c := find(columns, f.Column)
	if c == nil {
		return persistence.Cond{}, badRequestf("The store has no column %q that could be asked for.", visible(f.Column))
	}
	var op *operator
	for i := range operators {
		if operators[i].Name == f.Op {
			op = &operators[i]
		}
	}
	switch {
	case op == nil:
		return persistence.Cond{}, badRequestf("There is no condition %q.", visible(f.Op))
	case op.NoValue:
		return op.make(f.Column, nil), nil
	case op.Text && c.Kind != extrafields.Text:
		return persistence.Cond{}, badRequestf("Column %q is of kind %s: %q is for texts.", c.Name, c.Kind, op.Label)
	case op.makeList == nil:
		v, err := parseValue(c.Kind, f.Value)
		if err != nil {
			return persistence.Cond{}, badRequestf("Column %q: %v.", c.Name, err)
		}
		return op.make(f.Column, v), nil
	}
	list, err := listOf(f.Value)
	if err != nil {
		return persistence.Cond{}, badRequestf("Column %q: the list: %v.", c.Name, err)
	}
	var vs []any
	for _, text := range list {
		v, err := parseValue(c.Kind, text)
		if err != nil {
			return persistence.Cond{}, badRequestf("Column %q: %v.", c.Name, err)
		}
		vs = append(vs, v)
	}
	return op.makeList(f.Column, vs...), nil
}

// listOf returns the values of a list: they are separated by commas, and one that has a comma or
// quotation mark stands in quotation marks, as in a CSV file.
func listOf(text string) ([]string, error) {
	r := csv.NewReader(strings.NewReader(text))
	r.TrimLeadingSpace = true
	list, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	return list, err
}

// timeForms are those in which a time may be typed. One without a zone is UTC.
var timeForms = []string{time.RFC3339Nano, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02"}

// parseValue reads a value of a kind as a person types it.
func parseValue(kind extrafields.Kind, text string) (any, error) {
	trimmed := strings.TrimSpace(text)
	switch kind {
	case extrafields.Int:
		if v, err := strconv.ParseInt(trimmed, 10, 64); err == nil {
			return v, nil
		}
		return nil, badRequestf("%q is no whole number", visible(text))
	case extrafields.Float:
		if v, err := strconv.ParseFloat(trimmed, 64); err == nil {
			return v, nil
		}
		return nil, badRequestf("%q is no number", visible(text))
	case extrafields.Bool:
		if v, err := strconv.ParseBool(strings.ToLower(trimmed)); err == nil {
			return v, nil
		}
		return nil, badRequestf("%q is neither true nor false", visible(text))
	case extrafields.Bytes:
		if v, err := base64.StdEncoding.DecodeString(trimmed); err == nil {
			return v, nil
		}
		return nil, badRequestf("%q is no base64", visible(text))
	case extrafields.Time:
		for _, form := range timeForms {
			if v, err := time.Parse(form, trimmed); err == nil {
				return v, nil
			}
		}
		if n, err := strconv.ParseFloat(trimmed, 64); err == nil && n > -1e12 && n < 1e12 {
			return time.UnixMicro(int64(n * 1e6)), nil
		}
		return nil, badRequestf("%q is no time: write 2006-01-02 15:04:05 (UTC), RFC 3339 or Unix seconds", visible(text))
	}
	return text, nil
}

// equalLink returns the address of the list of those records that have the values in the columns,
// given in turn.
func equalLink(columnsAndValues ...string) string {
	var l listing
	for i := 0; i+1 < len(columnsAndValues); i += 2 {
		l.filters = append(l.filters, filter{Column: columnsAndValues[i], Op: "eq", Value: columnsAndValues[i+1]})
	}
	return l.link("records")
}
