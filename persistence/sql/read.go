package sql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// View implements [driver.Backend]: one read transaction on one connection, which it holds while fn runs. Views
// inside Views take one each: as many of them as there are connections wait for each other until ctx ends.
//
// On a server, a connection lost before fn has been given anything is replaced without its knowing.
func (b *Backend) View(ctx context.Context, fn func(driver.Reader) error) error {
	return b.reading(ctx, false, fn)
}

// Glance implements [driver.Glancer]: there is no transaction around the statement.
func (b *Backend) Glance(ctx context.Context, fn func(driver.Reader) error) error {
	return b.reading(ctx, true, fn)
}

func (b *Backend) reading(ctx context.Context, bare bool, fn func(driver.Reader) error) error {
	o, l, err := b.ready(ctx)
	if err != nil {
		return err
	}
	defer b.leave()
	r := &reader{b: b, l: l, o: o, bare: bare}
	if err := b.again(ctx, func() error { return r.begin(ctx) }); err != nil {
		return b.translate(err)
	}
	defer r.end(ctx)
	if err = fn(r); err != nil && r.c != nil {
		b.inspect(r.c, err)
	}
	return err
}

// view calls f with a connection in a read transaction; on a server, as often as the connection is lost. f must
// not keep anything of a try that it gave up.
func (b *Backend) view(ctx context.Context, o *open, f func(c *conn) error) error {
	return b.again(ctx, func() error {
		r := &reader{b: b, o: o}
		if err := r.begin(ctx); err != nil {
			return err
		}
		defer r.end(ctx)
		err := f(r.c)
		if err != nil {
			b.inspect(r.c, err)
		}
		return b.ended(ctx, err)
	})
}

// A reader is the driver.Reader of one View.
type reader struct {
	b     *Backend
	l     *layout
	o     *open
	bare  bool  // without a transaction
	c     *conn // nil: it was lost, and no other could be had
	given bool  // the View's function has got something of what there is to read
}

// begin takes a connection and begins a read transaction on it.
func (r *reader) begin(ctx context.Context) error {
	c, err := r.o.reader.get(ctx)
	if err != nil {
		return err
	}
	if r.bare {
		r.c = c
		return nil
	}
	if err := c.control(r.b.short(ctx), r.b.traits.BeginRead); err != nil {
		r.b.inspect(c, err)
		// It is not known to be out of a transaction.
		c.broken = c.broken || !r.b.traits.Embedded
		r.o.reader.put(c)
		return r.b.ended(ctx, err)
	}
	r.c = c
	return nil
}

// end gives the connection back.
func (r *reader) end(ctx context.Context) {
	if r.c == nil {
		return
	}
	if !r.bare {
		r.b.rollback(ctx, r.c)
	}
	r.o.reader.put(r.c)
	r.c = nil
}

var errReaderLost = errors.New("the connection of this View was lost")

// run calls f, which reads through r.c. On a server it does so again on another connection if this one is lost, as
// long as nothing has been given away that the other one may see differently.
func (r *reader) run(ctx context.Context, f func() error) error {
	b := r.b
	if r.c == nil {
		return fmt.Errorf("%s: %w", b.dialect.Location(), errReaderLost)
	}
	if b.traits.Embedded {
		return f()
	}
	again := r.given // never the second time
	once := func() error {
		if r.c == nil {
			if err := r.begin(ctx); err != nil {
				return err
			}
		}
		err := f()
		if err == nil {
			return nil
		}
		b.inspect(r.c, err)
		if !r.given && ctx.Err() == nil && b.mayRetry(err) {
			r.end(ctx)
		}
		return b.ended(ctx, err)
	}
	if again {
		return once()
	}
	return b.again(ctx, once)
}

// A selection reads rows of the object table into records.
type selection struct {
	l       *layout
	parts   driver.Parts
	fields  []*column // as the layout's; nil where the table lacks it, or it is not wanted
	columns []*column
	cells   []cell // one per column
	dest    []any  // pointers to them
}

// selection returns what reads the parts of records, and the columns of extra besides.
func (l *layout) selection(parts driver.Parts, extra ...*column) *selection {
	return l.wanted(&driver.Query{Parts: parts}, extra...).fresh()
}

// wanted is selection of what a query wants, without cells.
func (l *layout) wanted(q *driver.Query, extra ...*column) *selection {
	parts := q.Parts
	s := &selection{l: l, parts: parts, columns: append(make([]*column, 0, len(l.written)+len(claimColumns)+len(extra)), l.id)}
	add := func(cs ...*column) {
		for _, c := range cs {
			if c != nil {
				s.columns = append(s.columns, c)
			}
		}
	}
	if parts&driver.Data != 0 {
		add(l.data)
	}
	if parts&driver.Info != 0 {
		add(l.typ, l.state, l.revision, l.size, l.created, l.modified, l.claimOwner, l.claimUntil, l.claimToken)
	} else if parts&driver.Version != 0 {
		add(l.state, l.revision)
	}
	if parts&driver.Fields != 0 {
		s.fields = l.fields
		if q.Columns != nil {
			s.fields = make([]*column, len(l.fields))
			for i, c := range l.fields {
				if c != nil && q.Wants(l.schema.Fields[i].Name) {
					s.fields[i] = c
				}
			}
		}
		add(s.fields...)
	}
	add(extra...)
	return s
}

// fresh returns a copy of the selection with cells of its own.
func (s *selection) fresh() *selection {
	c := *s
	s = &c
	s.cells, s.dest = make([]cell, len(s.columns)), make([]any, len(s.columns))
	for i := range s.cells {
		s.dest[i] = &s.cells[i]
	}
	return s
}

// list returns the columns for a SELECT.
func (s *selection) list() string {
	names := make([]string, len(s.columns))
	for i, c := range s.columns {
		names[i] = c.quoted
	}
	return strings.Join(names, ", ")
}

// record makes a record of the row in the cells. An error concerns that record alone.
func (s *selection) record() (driver.Record, error) {
	var r driver.Record
	l := s.l
	next := 0
	fail := func(err error) (driver.Record, error) {
		return driver.Record{ID: r.ID}, &driver.RecordError{ID: r.ID,
			Err: fmt.Errorf("%w: column %q of table %q: %w", driver.ErrCorrupt, s.columns[next-1].name, l.name, err)}
	}
	take := func() *cell {
		next++
		return &s.cells[next-1]
	}
	var err error
	id := take()
	if n, ok := id.v.(int64); ok {
		r.ID = driver.ID(strconv.FormatInt(n, 10))
	} else if text, err := id.text(); err == nil {
		r.ID = driver.ID(text)
	} else {
		return fail(err)
	}
	if s.parts&driver.Data != 0 {
		if r.Data, err = take().bytes(l.traits.FreshBytes); err != nil {
			return fail(err)
		}
		r.Size = int64(len(r.Data))
	}
	info := s.parts&driver.Info != 0
	if info && l.typ != nil {
		if r.Type, err = take().text(); err != nil {
			return fail(err)
		}
	}
	if info || s.parts&driver.Version != 0 {
		if r.State, err = take().text(); err != nil {
			return fail(err)
		}
		if l.revision != nil {
			if r.Revision, err = take().integer(r.Revision); err != nil {
				return fail(err)
			}
		}
	}
	if info {
		if l.size != nil {
			if r.Size, err = take().integer(r.Size); err != nil {
				return fail(err)
			}
		}
		for _, x := range [...]struct {
			col  *column
			dest *time.Time
		}{{l.created, &r.Created}, {l.modified, &r.Modified}} {
			if x.col != nil {
				if *x.dest, err = take().time(); err != nil {
					return fail(err)
				}
			}
		}
		if err := l.readClaim(&r.Claim, take); err != nil {
			return fail(err)
		}
	}
	if len(s.fields) > 0 {
		r.Fields = make([]any, len(s.fields))
		for i, c := range s.fields {
			if c == nil {
				continue
			}
			if r.Fields[i], err = fromSQL(c.kind, take().v); err != nil {
				return fail(err)
			}
		}
	}
	return r, nil
}

// denseRun is how many successive integers make a SELECT of a range worth while.
const denseRun = 16

// Get implements [driver.Reader].
func (r *reader) Get(ctx context.Context, ids []driver.ID, parts driver.Parts) ([]driver.Record, error) {
	s := r.l.selection(parts)
	recs := make([]driver.Record, 0, min(len(ids), 4096))
	err := r.run(ctx, func() error {
		recs = recs[:0]
		return r.eachKey(ctx, ids, s, func() error {
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
func (r *reader) eachKey(ctx context.Context, ids []driver.ID, s *selection, row func() error) error {
	head := "SELECT " + s.list() + " FROM " + r.l.table + " WHERE " + r.l.id.expr
	if !r.l.schema.IntegerIDs {
		keys := make([]string, 0, len(ids))
		for _, id := range ids {
			if _, ok := r.l.key(id); ok {
				keys = append(keys, string(id))
			}
		}
		slices.Sort(keys)
		return eachChunk(ctx, r, head, slices.Compact(keys), s, row)
	}
	keys := make([]int64, 0, len(ids))
	for _, id := range ids {
		if n, ok := integerID(id); ok {
			keys = append(keys, n)
		}
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	if !r.b.traits.Embedded { // where a range costs a round trip
		return eachChunk(ctx, r, head, keys, s, row)
	}
	// Integers in a row are one range, which is cheaper to read than a list of points.
	scattered := 0 // keys[scattered:i] belong to no run
	for i := 0; i < len(keys); {
		j := i + 1
		for j < len(keys) && keys[j] == keys[j-1]+1 {
			j++
		}
		if j-i >= denseRun {
			if err := eachChunk(ctx, r, head, keys[scattered:i], s, row); err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			err := r.c.query(ctx, head+" BETWEEN ? AND ?", []any{keys[i], keys[j-1]}, s.dest, row)
			if err != nil {
				return err
			}
			scattered = j
		}
		i = j
	}
	return eachChunk(ctx, r, head, keys[scattered:], s, row)
}

// eachChunk runs as few SELECTs as there must be for some keys.
func eachChunk[K any](ctx context.Context, r *reader, head string, keys []K, s *selection, row func() error) error {
	for len(keys) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		if array := r.b.traits.Array; array != nil && len(keys) > 1 {
			return r.c.query(ctx, head+" = ANY(?)", []any{array(keys)}, s.dest, row)
		}
		shapes := r.b.traits.getShapes()
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
		if err := r.c.query(r.b.short(ctx), head+in(shape), args, s.dest, row); err != nil {
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

// time returns the value of a column of times: the zero time where it is NULL.
func (c *cell) time() (time.Time, error) {
	switch v := c.v.(type) {
	case nil:
		return time.Time{}, nil
	case int64:
		if v == zeroMicros {
			return time.Time{}, nil
		}
		return time.UnixMicro(v).UTC(), nil
	}
	v, err := fromSQL(driver.Time, c.v)
	if err != nil {
		return time.Time{}, err
	}
	return v.(time.Time), nil
}

// unsupported is the error for a query on a column that the table lacks.
func unsupported(l *layout, column string) error {
	return fmt.Errorf("table %q has no column %q: %w", l.name, column, errors.ErrUnsupported)
}
