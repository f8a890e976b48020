package persistence

import (
	"context"
	"slices"

	"github.com/brine-go/brine/persistence/driver"
)

// Count returns the number of records that q selects, or of all if q is nil. It ignores Order,
// After and Limit.
func (c *conn) Count(ctx context.Context, q *Query) (int64, error) {
	dq, err := c.s.compile(q)
	if err != nil {
		return 0, c.s.fail("count", "", err)
	}
	var n int64
	err = c.readOnce(ctx, func(r driver.Reader) error {
		var err error
		n, err = r.Count(ctx, dq)
		return err
	})
	if n == 0 && err == nil {
		c.noneFound(ctx, dq)
	}
	if err == nil {
		err = c.s.noteQuery(ctx, dq)
	}
	return n, c.s.fail("count", "", err)
}

// A Group is a value of a column and the number of records that have it. See [Store.CountBy].
type Group = driver.Group

// CountBy counts the records that q selects, or all if q is nil, by the value of a column. The
// groups are in the order of the values, with NULL last as nil: CountBy(ctx, "state", nil) is a
// summary by state. Values are as in [Info].Fields; those of id are IDs. It ignores Order,
// After and Limit.
func (c *conn) CountBy(ctx context.Context, column string, q *Query) ([]Group, error) {
	dq, err := c.s.compile(q)
	if err == nil {
		err = c.s.checkColumn(column)
	}
	if err != nil {
		return nil, c.s.fail("count", "", err)
	}
	var groups []Group
	err = c.readOnce(ctx, func(r driver.Reader) error {
		var err error
		groups, err = driver.CountBy(ctx, r, c.s.values, dq, column)
		return err
	})
	if len(groups) == 0 && err == nil {
		c.noneFound(ctx, dq)
	}
	if err == nil {
		err = c.s.noteQuery(ctx, dq, column)
	}
	if err != nil {
		return nil, c.s.fail("count", "", err)
	}
	order := &driver.Query{Order: []driver.Order{{Column: column}}}
	slices.SortFunc(groups, func(a, b Group) int {
		return c.s.values.Compare(order, &driver.Cursor{Values: []any{a.Value}}, &driver.Cursor{Values: []any{b.Value}})
	})
	return groups, nil
}
