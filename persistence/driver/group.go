package driver

import (
	"context"
	"time"
)

// A Group is a value of a column, nil for NULL, and the number of records that have it.
type Group struct {
	Value any
	Count int64
}

// A Grouper is a Reader that can count records by the value of a column.
type Grouper interface {
	// CountBy returns, in no particular order, each value that a column has in the records that
	// match q, once, and the number of those records. It ignores everything in q but the
	// conditions.
	CountBy(ctx context.Context, q *Query, column string) ([]Group, error)
}

// CountBy calls r.CountBy if r is a [Grouper]; otherwise it counts with a Scan that reads no
// data.
func CountBy(ctx context.Context, r Reader, c *Columns, q *Query, column string) ([]Group, error) {
	if g, ok := r.(Grouper); ok {
		return g.CountBy(ctx, q, column)
	}
	scan := &Query{Where: q.Where, Parts: PartOf(column)}
	counts := make(map[any]int64)
	for rec, err := range r.Scan(ctx, scan) {
		if err != nil {
			return nil, err
		}
		v := c.Value(&rec, column)
		switch x := v.(type) {
		case []byte:
			v = groupBytes(x)
		case time.Time:
			v = x.UTC()
		}
		counts[v]++
	}
	groups := make([]Group, 0, len(counts))
	for v, n := range counts {
		if b, ok := v.(groupBytes); ok {
			v = []byte(b)
		}
		groups = append(groups, Group{v, n})
	}
	return groups, nil
}

// groupBytes holds bytes as a map key.
type groupBytes string

// PartOf returns the part of a record that holds a column.
func PartOf(column string) Parts {
	switch column {
	case ColID:
		return 0
	case ColType, ColState, ColRevision, ColCreated, ColModified, ColClaimOwner, ColClaimUntil, ColClaimToken:
		return Info
	}
	return Fields
}
