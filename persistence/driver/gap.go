package driver

import (
	"context"
	"maps"
	"slices"
	"strings"
)

// A GapFinder is a [Cataloger] that looks for the records of a gap in a way of its own. Otherwise
// they are scanned for.
type GapFinder interface {
	// InGap reports whether there is a record in the gap.
	InGap(ctx context.Context, g Gap) (bool, error)
}

// A Gap says which records lack a column: those with the number Set whose type is among Types, or
// any if Types is nil, and is not among Except.
type Gap struct {
	Set    int64
	Types  []string
	Except []string
}

// Gaps returns where a column for records of some types (nil means all) was not filled, by number.
// Whether there are such records is another question.
func (c *Catalog) Gaps(column string, types []string) []Gap {
	var gaps []Gap
	if c.Unknown {
		gaps = append(gaps, Gap{Types: types})
	}
	key := strings.ToLower(column)
	for _, n := range slices.Sorted(maps.Keys(c.Sets)) {
		filled, has := c.Sets[n][key]
		gap := Gap{Set: n, Types: types}
		switch {
		case has && filled == nil:
			continue
		case has && types == nil:
			gap.Except = filled
		case has:
			gap.Types = slices.DeleteFunc(slices.Clone(types), func(t string) bool { return slices.Contains(filled, t) })
			if len(gap.Types) == 0 {
				continue
			}
		}
		gaps = append(gaps, gap)
	}
	return gaps
}

// Incomplete returns, for each set, which records lack one of some columns or more.
func (c *Catalog) Incomplete(fields []Column) []Gap {
	bySet := make(map[int64]Gap)
	for _, f := range fields {
		for _, gap := range c.Gaps(f.Name, f.Types) {
			if other, ok := bySet[gap.Set]; ok {
				gap = gap.merge(other)
			}
			bySet[gap.Set] = gap
		}
	}
	var gaps []Gap
	for _, n := range slices.Sorted(maps.Keys(bySet)) {
		gaps = append(gaps, bySet[n])
	}
	return gaps
}

// merge returns the gap of the records of both, which have the same set. Of Types and Except one at
// most is not empty.
func (g Gap) merge(other Gap) Gap {
	if g.Types != nil && other.Types != nil {
		return Gap{Set: g.Set, Types: sortedTypes(slices.Concat(g.Types, other.Types))}
	}
	if g.Types != nil {
		g, other = other, g
	}
	in := func(t string) bool { return slices.Contains(other.Types, t) }
	if other.Types == nil {
		in = func(t string) bool { return !slices.Contains(other.Except, t) }
	}
	return Gap{Set: g.Set, Except: slices.DeleteFunc(slices.Clone(g.Except), in)}
}

// Listed returns the types in the type column of the records of the gap, if Types is not nil.
func (g *Gap) Listed() []string {
	if g.Set == 0 {
		// A record that was there before the table had a column for the type may be of any type.
		return slices.Concat(g.Types, []string{""})
	}
	return g.Types
}

// Where returns the conditions that hold for the records of the gap.
func (g *Gap) Where() []Cond {
	where := []Cond{{Column: ColColumnSet, Op: Eq, Values: []any{g.Set}}}
	add := func(op CmpOp, types []string) {
		c := Cond{Column: ColType, Op: op}
		for _, t := range types {
			c.Values = append(c.Values, t)
		}
		where = append(where, c)
	}
	if g.Types != nil {
		add(In, g.Listed())
	}
	if len(g.Except) > 0 {
		add(NotIn, g.Except)
	}
	return where
}
