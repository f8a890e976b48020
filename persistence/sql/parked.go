package sql

import (
	"context"
	"crypto/rand"
	mrand "math/rand/v2"
	"slices"
	"strings"

	"github.com/brine-go/brine/persistence/driver"
)

// parked is the order of the mutations of a batch that has met a unique index and yet may be right:
// it removes what goes, and gives what changes its values other ones first, that nobody has. What
// is left to be made follows. All in the order of IDs, so that writers do not deadlock.
func (t *batch) parked(ctx context.Context, c *conn) (left []int, err error) {
	for _, i := range t.order {
		m := &t.ms[i]
		switch {
		case m.Op == driver.Delete || m.Op == driver.Withdraw:
			t.at = []int{i}
			if err := t.mutate(ctx, c, t.at); err != nil {
				return nil, err
			}
			continue
		case m.Namespace.Storage() == driver.Objects && t.key(i) != nil:
			if err := t.park(ctx, c, i); err != nil {
				return nil, err
			}
		}
		left = append(left, i)
	}
	return left, nil
}

// park takes the record of mutation i out of the unique indexes whose columns the mutation is about
// to change.
func (t *batch) park(ctx context.Context, c *conn, i int) error {
	l, m := t.layout(i), &t.ms[i]
	if m.Op == driver.Create || m.Op == driver.Import && m.IfRev == 0 {
		return nil
	}
	var set []string
	var args []any
	seen := make(map[*column]bool)
	for i := range t.indexes() {
		u := &t.indexes()[i]
		if l != t.tables.objects {
			u = u.in(l)
		}
		at := slices.IndexFunc(u.columns, func(c uniqueColumn) bool { return l.writes(m, &c) && c.col.empties() })
		if at < 0 {
			at = slices.IndexFunc(u.columns, func(c uniqueColumn) bool { return l.writes(m, &c) })
		}
		if at < 0 || seen[u.columns[at].col] {
			continue
		}
		col := u.columns[at].col
		seen[col] = true
		set = append(set, col.quoted+" = ?")
		args = append(args, col.spare())
	}
	if len(set) == 0 {
		return nil
	}
	_, err := c.exec(ctx, "UPDATE "+l.table+" SET "+strings.Join(set, ", ")+" WHERE "+l.id.expr+" = ?", append(args, t.key(i))...)
	return err
}

// empties reports whether the column of a record may be made NULL.
func (c *column) empties() bool { return c.field >= 0 && c.nullable }

// spare returns a value that no record is likely to have in the column: NULL, if it may be.
func (c *column) spare() any {
	switch {
	case c.empties():
		return nil
	case c.kind == driver.Text:
		return rand.Text()
	case c.kind == driver.Bytes:
		return []byte(rand.Text())
	case c.field >= 0:
		return -mrand.Int64N(1 << 31) // the column may be one of 32 bits
	}
	return -mrand.Int64N(1 << 62)
}
