package sql

import (
	"context"
	"slices"
	"strings"

	"github.com/brine-go/brine/persistence/driver"
)

// Get implements [driver.Reader].
func (r *reader) Get(ctx context.Context, ids []driver.ID, parts driver.Parts) ([]driver.Record, error) {
	s := r.l.selection(parts)
	recs := make([]driver.Record, 0, min(len(ids), 4096))
	err := r.read(ctx, func() error {
		recs = recs[:0]
		return r.l.eachKey(ctx, r.c, ids, s, func() error {
			rec, err := s.record()
			recs = append(recs, rec)
			return err
		})
	})
	if err != nil {
		return nil, r.b.translate(err)
	}
	r.given = true
	return recs, nil
}

// eachKey calls row for each record that has one of the IDs, once.
func (l *layout) eachKey(ctx context.Context, c *conn, ids []driver.ID, s *selection, row func() error) error {
	head := "SELECT " + s.list() + " FROM " + l.table + " WHERE " + l.id.expr
	if !l.schema.IntegerIDs {
		keys := make([]string, 0, len(ids))
		for _, id := range ids {
			if _, ok := l.key(id); ok {
				keys = append(keys, string(id))
			}
		}
		slices.Sort(keys)
		return eachChunk(ctx, l, c, head, slices.Compact(keys), s, row)
	}
	keys := make([]int64, 0, len(ids))
	for _, id := range ids {
		if n, ok := integerID(id); ok {
			keys = append(keys, n)
		}
	}
	slices.Sort(keys)
	return l.eachInteger(ctx, c, head, slices.Compact(keys), s, row)
}

// eachInteger calls row for each record that has one of some ascending keys. Integers in a row are
// one range, where that is cheaper to read than a list of points.
func (l *layout) eachInteger(ctx context.Context, c *conn, head string, keys []int64, s *selection, row func() error) error {
	dense := l.traits.DenseRun
	scattered := 0 // keys[scattered:i] belong to no run
	for i := 0; i < len(keys) && dense > 0; {
		j := i + 1
		for j < len(keys) && keys[j] == keys[j-1]+1 {
			j++
		}
		if j-i >= dense {
			if err := eachChunk(ctx, l, c, head, keys[scattered:i], s, row); err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			err := c.query(ctx, head+" BETWEEN ? AND ?", []any{keys[i], keys[j-1]}, s.dest, row)
			if err != nil {
				return err
			}
			scattered = j
		}
		i = j
	}
	return eachChunk(ctx, l, c, head, keys[scattered:], s, row)
}

// eachChunk runs as few SELECTs as there must be for some keys.
func eachChunk[K any](ctx context.Context, l *layout, c *conn, head string, keys []K, s *selection, row func() error) error {
	for len(keys) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		if array := l.traits.Array; array != nil && len(keys) > 1 {
			return c.query(ctx, head+" = ANY(?)", []any{array(keys)}, s.dest, row)
		}
		shapes := l.traits.getShapes()
		shape := shapes[len(shapes)-1]
		for _, n := range shapes {
			if n >= len(keys) {
				shape = n
				break
			}
		}
		args := make([]any, shape)
		for i := range args {
			args[i] = keys[min(i, len(keys)-1)]
		}
		if err := c.query(c.short(ctx), head+in(shape), args, s.dest, row); err != nil {
			return err
		}
		keys = keys[min(shape, len(keys)):]
	}
	return nil
}

// in returns the end of a condition that n values are compared in.
func in(n int) string {
	if n == 1 {
		return " = ?"
	}
	return " IN (?" + strings.Repeat(", ?", n-1) + ")"
}
