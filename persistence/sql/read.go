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

// ReadOnce implements [driver.SingleReader]: there is no transaction around the statement.
func (b *Backend) ReadOnce(ctx context.Context, fn func(driver.Reader) error) error {
	return b.reading(ctx, true, fn)
}

func (b *Backend) reading(ctx context.Context, bare bool, fn func(driver.Reader) error) error {
	o, ts, err := b.ready(ctx)
	if err != nil {
		return err
	}
	defer b.leave()
	s := &session{b: b, tables: ts, o: o, bare: bare}
	if err := b.again(ctx, func() error { return s.begin(ctx) }); err != nil {
		return b.translate(err)
	}
	defer s.end(ctx)
	if err = fn(&reader{session: s, l: ts.objects}); err != nil && s.c != nil {
		b.inspect(s.c, err)
	}
	return err
}

// view calls f with a connection in a read transaction; on a server, as often as the connection is lost. f must
// not keep anything of a try that it gave up.
func (b *Backend) view(ctx context.Context, o *open, f func(c *conn) error) error {
	return b.again(ctx, func() error {
		s := &session{b: b, o: o}
		if err := s.begin(ctx); err != nil {
			return err
		}
		defer s.end(ctx)
		err := f(s.c)
		if err != nil {
			b.inspect(s.c, err)
		}
		return b.ended(ctx, err)
	})
}

// A session is the state that one View reads.
type session struct {
	b      *Backend
	tables *tables
	o      *open
	bare   bool  // without a transaction
	c      *conn // nil: it was lost, and no other could be had
	given  bool  // the View's function has got something of what there is to read
}

// A reader reads the records of one namespace in a session.
type reader struct {
	*session
	l *layout
}

// begin takes a connection and begins a read transaction on it.
func (s *session) begin(ctx context.Context) error {
	c, err := s.o.reader.get(ctx)
	if err != nil {
		return err
	}
	if s.bare {
		s.c = c
		return nil
	}
	if err := c.control(s.b.short(ctx), s.b.traits.BeginRead); err != nil {
		s.b.inspect(c, err)
		// It is not known to be out of a transaction.
		c.broken = c.broken || !s.b.traits.Embedded
		s.o.reader.put(c)
		return s.b.ended(ctx, err)
	}
	s.c = c
	return nil
}

// end gives the connection back.
func (s *session) end(ctx context.Context) {
	if s.c == nil {
		return
	}
	if !s.bare {
		s.b.rollback(ctx, s.c)
	}
	s.o.reader.put(s.c)
	s.c = nil
}

// whole makes what is read from now on one state: in a transaction, if there is none yet.
func (s *session) whole(ctx context.Context) error {
	if !s.bare {
		return nil
	}
	s.end(ctx)
	s.bare = false
	return s.b.again(ctx, func() error { return s.begin(ctx) })
}

var errReaderLost = errors.New("the connection of this View was lost")

// run calls f, which reads through s.c. On a server it does so again on another connection if this one is lost, as
// long as nothing has been given away that the other one may see differently.
func (s *session) run(ctx context.Context, f func() error) error {
	b := s.b
	if s.c == nil {
		return fmt.Errorf("%s: %w", b.dialect.Location(), errReaderLost)
	}
	if b.traits.Embedded {
		return f()
	}
	again := s.given // never the second time
	once := func() error {
		if s.c == nil {
			if err := s.begin(ctx); err != nil {
				return err
			}
		}
		err := f()
		if err == nil {
			return nil
		}
		b.inspect(s.c, err)
		if !s.given && ctx.Err() == nil && b.mayRetry(err) {
			s.end(ctx)
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
	columns []*column
	own     int    // how many of the columns are for the record
	cells   []cell // one per column
	dest    []any  // pointers to them
}

// selection returns what reads the parts of records, and the columns of extra besides.
func (l *layout) selection(parts driver.Parts, extra ...*column) *selection {
	return l.wanted(&driver.Query{Parts: parts}, extra...).fresh()
}

// wanted is selection of what a query wants, without cells.
func (l *layout) wanted(q *driver.Query, extra ...*column) *selection {
	s := &selection{l: l, parts: q.Parts, columns: append(make([]*column, 0, 1+len(l.told)+len(extra)), l.id)}
	if q.Parts&driver.Data != 0 {
		s.columns = append(s.columns, l.data)
	}
	for _, c := range l.told {
		if c == l.size && q.Parts&driver.Info != 0 && q.Columns == nil || c != l.size && q.Wants(c.name) {
			s.columns = append(s.columns, c)
		}
	}
	s.own = len(s.columns)
	s.columns = append(s.columns, extra...)
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
	fail := func(c *column, err error) (driver.Record, error) {
		return driver.Record{ID: r.ID}, &driver.RecordError{ID: r.ID,
			Err: fmt.Errorf("%w: column %q of table %q: %w", driver.ErrCorrupt, c.name, l.name, err)}
	}
	id := &s.cells[0]
	if n, ok := id.v.(int64); ok {
		r.ID = driver.ID(strconv.FormatInt(n, 10))
	} else if text, err := id.text(); err == nil {
		r.ID = driver.ID(text)
	} else {
		return fail(l.id, err)
	}
	if s.parts&driver.Fields != 0 && len(l.fields) > 0 {
		r.Fields = make([]any, len(l.fields))
	}
	for i := 1; i < s.own; i++ {
		var err error
		v, c := &s.cells[i], s.columns[i]
		switch c {
		case l.data:
			r.Data, err = v.bytes(l.traits.FreshBytes)
			r.Size = int64(len(r.Data))
		case l.typ:
			r.Type, err = v.text()
		case l.state:
			r.State, err = v.text()
		case l.revision:
			r.Revision, err = v.integer(0)
		case l.size:
			r.Size, err = v.integer(r.Size)
		case l.created:
			r.Created, err = v.time()
		case l.modified:
			r.Modified, err = v.time()
		case l.claimOwner:
			r.Claim.Owner, err = v.text()
		case l.claimUntil:
			r.Claim.Until, err = v.time()
		case l.claimToken:
			r.Claim.Token, err = v.integer(0)
		default:
			r.Fields[c.field], err = fromSQL(c.kind, v.v)
		}
		if err != nil {
			return fail(c, err)
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
	keys = slices.Compact(keys)
	if !l.traits.Embedded { // where a range costs a round trip
		return eachChunk(ctx, l, c, head, keys, s, row)
	}
	// Integers in a row are one range, which is cheaper to read than a list of points.
	scattered := 0 // keys[scattered:i] belong to no run
	for i := 0; i < len(keys); {
		j := i + 1
		for j < len(keys) && keys[j] == keys[j-1]+1 {
			j++
		}
		if j-i >= denseRun {
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
		if err := c.query(l.traits.short(ctx), head+in(shape), args, s.dest, row); err != nil {
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
