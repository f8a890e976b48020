package persistence

import (
	"context"
	"iter"
	"slices"

	"github.com/brine-go/brine/persistence/driver"
)

// List streams the IDs of the records that q selects, or of all if q is nil. It never reads an
// object's data.
//
// It reads page by page and holds no connection, lock or snapshot between pages. Saving and
// removing inside the loop is allowed; records written meanwhile may or may not appear. In the
// order of IDs none appears twice. An error of ErrCorrupt concerns one record that is too
// damaged to be listed, and the iteration continues; any other error ends it. (GC3Pie's
// Store.list.)
func (c *conn) List(ctx context.Context, q *Query) iter.Seq2[ID, error] {
	dq, err := c.s.compile(q)
	return stream(c, ctx, "list", idPage, dq, err, func(rec *driver.Record) ID { return rec.ID })
}

// StatAll streams the [Info] of the records that q selects, or of all if q is nil, as List
// does. If columns are named, it reads only these: every other field of an Info is zero, except
// the ID.
func (c *conn) StatAll(ctx context.Context, q *Query, columns ...string) iter.Seq2[Info, error] {
	dq, err := c.s.compile(q)
	for i := 0; i < len(columns) && err == nil; i++ {
		err = c.s.checkColumn(columns[i])
	}
	if err != nil {
		return stream(c, ctx, "list", infoPage, nil, err, c.s.info)
	}
	if len(columns) == 0 {
		dq.Parts, dq.Columns = driver.Info|driver.Fields, c.s.infoColumns()
		return stream(c, ctx, "list", infoPage, dq, nil, c.s.info)
	}
	for _, name := range columns {
		dq.Parts |= driver.PartOf(name)
	}
	dq.Columns = slices.Clone(columns)
	return stream(c, ctx, "list", infoPage, dq, nil, func(rec *driver.Record) Info { return c.s.infoOf(rec, dq.Columns) })
}

// infoColumns are the columns of an Info: those of claims are none.
func (s *Store) infoColumns() []string {
	columns := []string{driver.ColType, driver.ColState, driver.ColRevision, driver.ColSize, driver.ColCreated, driver.ColModified}
	for _, f := range s.given {
		columns = append(columns, f.Column().Name)
	}
	return columns
}

// stream runs a query page by page and yields what of returns for each record. q.Parts says
// what of needs. If err is not nil, stream yields it and nothing else.
func stream[T any](c *conn, ctx context.Context, op string, size int, q *driver.Query, err error, of func(*driver.Record) T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		if err != nil {
			yield(none, c.s.fail(op, "", err))
			return
		}
		page := &collected[T]{of: of}
		p := c.newPager(q, size, page, nil)
		for more := true; more; {
			var err error
			if more, err = p.read(ctx); err != nil {
				yield(none, c.s.fail(op, "", err))
				return
			}
			for _, piece := range page.pieces {
				for _, x := range piece {
					if !yield(x, nil) {
						return
					}
				}
			}
			for _, err := range p.bad {
				if !yield(none, c.s.fail(op, "", err)) {
					return
				}
			}
		}
	}
}

// A collected is a page of what of returned for its records. It has them in pieces, which the next
// page uses again: a page of many IDs is not copied while it grows.
type collected[T any] struct {
	of     func(*driver.Record) T
	pieces [][]T
	last   int // the piece that is being filled
}

// The numbers of rows in the first and in the largest pieces of a page.
const firstPiece, largestPiece = 32, 2048

func (c *collected[T]) begin(int) {
	for i := range c.pieces {
		c.pieces[i] = c.pieces[i][:0]
	}
	c.last = 0
}

func (c *collected[T]) row(rec *driver.Record) {
	if c.last == len(c.pieces) {
		c.pieces = append(c.pieces, make([]T, 0, min(firstPiece<<min(c.last, 16), largestPiece)))
	}
	p := &c.pieces[c.last]
	if *p = append(*p, c.of(rec)); len(*p) == cap(*p) {
		c.last++
	}
}
