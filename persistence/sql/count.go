package sql

import (
	"context"
	"errors"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

var _ driver.Grouper = (*reader)(nil)

// errValue: a value that no record of the schema can have, so that a record is corrupt.
var errValue = errors.New("a value of another kind")

// Count implements [driver.Reader].
func (r *reader) Count(ctx context.Context, q *driver.Query) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	where, filters, err := r.l.where(q.Where)
	if err != nil {
		return 0, err
	}
	tail := " FROM " + r.l.table + where.conjunction()
	var n int64
	err = r.read(ctx, func() error {
		n = 0
		if len(filters) == 0 {
			_, err := r.c.one(ctx, "SELECT count(*)"+tail, where.args, &n)
			return err
		}
		s := r.l.selection(0, filterColumns(filters)...)
		return r.c.query(ctx, "SELECT "+s.list()+tail, where.args, s.dest, func() error {
			if s.passes(filters) {
				n++
			}
			return nil
		})
	})
	r.given = r.given || err == nil
	return n, r.b.translate(err)
}

// CountBy implements [driver.Grouper]. The database groups, by the bytes of text; where it cannot
// evaluate the conditions, or a record turns out corrupt, the records are looked at one by one.
func (r *reader) CountBy(ctx context.Context, q *driver.Query, column string) ([]driver.Group, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	col := r.l.columns[column]
	if col == nil {
		return nil, unsupported(r.l, column)
	}
	where, filters, err := r.l.where(q.Where)
	if err != nil {
		return nil, err
	}
	oneByOne := func() ([]driver.Group, error) {
		return driver.CountBy(ctx, struct{ driver.Reader }{r}, driver.NewColumns(r.l.schema), q, column)
	}
	if len(filters) > 0 {
		return oneByOne()
	}
	keys := col.expr
	if col.long {
		keys += ", " + r.l.traits.express(GroupKey, col.expr)
	}
	text := "SELECT " + col.expr + ", count(*) FROM " + r.l.table + where.conjunction() + " GROUP BY " + keys
	var value cell
	var n int64
	var at map[any]int // in groups
	var groups []driver.Group
	err = r.read(ctx, func() error {
		at, groups = map[any]int{}, nil
		return r.c.query(ctx, text, where.args, []any{&value, &n}, func() error {
			v, err := r.l.groupValue(col, value.v)
			if err != nil {
				return errValue
			}
			// NULL in a library column of a table made by hand means its zero value, and 1.0 is 1.
			key := hashable(v)
			i, ok := at[key]
			if !ok {
				i = len(groups)
				at[key] = i
				groups = append(groups, driver.Group{Value: v})
			}
			groups[i].Count += n
			return nil
		})
	})
	if errors.Is(err, errValue) {
		return oneByOne()
	}
	r.given = r.given || err == nil
	return groups, r.b.translate(err)
}

// groupValue returns the value of a column in the form that a record has it.
func (l *layout) groupValue(col *column, src any) (any, error) {
	if src == nil && col.zero != nil {
		src = col.zero
	}
	kind := col.kind
	if col == l.id {
		kind = driver.Text // what integers turn into, too
	}
	v, err := fromSQL(kind, src)
	switch x := v.(type) {
	case string:
		if col == l.id {
			v = driver.ID(x)
		}
	case time.Time:
		if x.IsZero() {
			v = time.Time{}
		}
	}
	return v, err
}
