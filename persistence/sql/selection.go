package sql

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

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
	s := &selection{l: l, parts: q.Parts, columns: append(make([]*column, 0, 1+len(l.infoColumns)+len(extra)), l.id)}
	switch {
	case q.Parts&driver.Data != 0:
		s.columns = append(s.columns, l.data)
	case q.Parts&driver.Head != 0:
		s.columns = append(s.columns, l.head)
	}
	for _, c := range l.infoColumns {
		if c == l.size && q.Parts&driver.Info != 0 && (q.Columns == nil || slices.Contains(q.Columns, driver.ColSize)) || c != l.size && q.Wants(c.name) {
			s.columns = append(s.columns, c)
		}
	}
	if q.Parts&driver.SetNumber != 0 && l.columnSet != nil {
		s.columns = append(s.columns, l.columnSet)
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

// record returns the record of the row in the cells. An error concerns that record alone.
func (s *selection) record() (r driver.Record, err error) {
	err = s.read(&r)
	return r, err
}

// read makes r, which may have been read before, the record of the row in the cells. After an
// error, which concerns that record alone, r has its ID at most.
func (s *selection) read(r *driver.Record) error {
	*r = driver.Record{}
	l := s.l
	fail := func(c *column, err error) error {
		*r = driver.Record{ID: r.ID}
		return &driver.RecordError{ID: r.ID,
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
		case l.head:
			r.Data, err = v.bytes(l.traits.FreshBytes)
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
		case l.columnSet:
			r.ColumnSet, err = v.integer(0)
		default:
			r.Fields[c.field], err = fromSQL(c.kind, v.v)
		}
		if err != nil {
			return fail(c, err)
		}
	}
	return nil
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
