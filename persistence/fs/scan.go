package fs

import (
	"context"
	"errors"
	"io"
	"iter"
	"slices"

	"github.com/brine-go/brine/persistence/driver"
)

// defaultWindow is how many IDs a scan holds in memory. Between pages of one scan they are
// kept, so that listing all records reads the directory once for so many, not once a page.
const defaultWindow = 32 << 10

// eachName calls fn with the name of every file that may be a record's, in no order.
func (f *folder) eachName(ctx context.Context, fn func(name string) error) error {
	dir, err := f.root.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		names, err := dir.Readdirnames(1024)
		for _, name := range names {
			if name[0] == '.' || f.isReplaced(name) {
				continue
			}
			if err := fn(name); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return f.eachReplaced(fn)
		}
		if err != nil {
			return err
		}
	}
}

// A selection is a query prepared for reading headers.
type selection struct {
	*reader
	q       *driver.Query
	byID    *driver.Query // the conditions on the ID, which need no file opened
	rest    *driver.Query
	columns driver.Parts // the parts that conditions and order need
}

func (r *reader) selection(q *driver.Query) *selection {
	s := &selection{reader: r, q: q, byID: &driver.Query{}, rest: &driver.Query{}, columns: driver.Info}
	need := func(column string) {
		// A query names a field as this handle spells it; index has the spelling of the catalog.
		if slices.ContainsFunc(r.schema.Fields, func(f driver.Column) bool { return f.Name == column }) {
			s.columns |= driver.Fields
		}
	}
	for _, c := range q.Where {
		if c.Column == driver.ColID {
			s.byID.Where = append(s.byID.Where, c)
			continue
		}
		s.rest.Where = append(s.rest.Where, c)
		for column := range c.Columns() {
			need(column)
		}
	}
	for _, o := range q.Order {
		need(o.Column)
	}
	return s
}

// read reads the record with the ID if it matches.
func (s *selection) read(id driver.ID, parts driver.Parts, buf *[bufSize]byte) (driver.Record, bool, error) {
	rec := driver.Record{ID: id}
	if !s.schema.columns.Match(s.byID, &rec) {
		return rec, false, nil
	}
	rec, ok, err := s.reader.read(id, fileName(id), parts|s.columns, buf, func(rec *driver.Record) bool {
		return s.schema.columns.Match(s.rest, rec)
	})
	if errors.Is(err, errAbsent) {
		return rec, false, nil
	}
	if err != nil {
		rec = driver.Record{ID: id}
	}
	return rec, ok, err
}

// Scan reads the directory, a range of IDs at a time, and then the file of
// each ID. An order other than by ID makes it read every header before the first
// record is yielded, and keep the q.Limit first ones.
func (r *reader) Scan(ctx context.Context, q *driver.Query) iter.Seq2[driver.Record, error] {
	if err := r.present(q); err != nil {
		return func(yield func(driver.Record, error) bool) { yield(driver.Record{}, err) }
	}
	s := r.selection(q)
	if len(q.Order) > 0 {
		return s.ordered(ctx)
	}
	return s.byIDs(ctx)
}

func (s *selection) byIDs(ctx context.Context) iter.Seq2[driver.Record, error] {
	return func(yield func(driver.Record, error) bool) {
		buf := buffers.Get().(*[bufSize]byte)
		defer buffers.Put(buf)
		yielded := 0
		for id, err := range s.ids(ctx) {
			rec, ok := driver.Record{ID: id}, false
			if err == nil {
				rec, ok, err = s.read(id, s.q.Parts, buf)
			}
			if err == nil && !ok {
				continue
			}
			if !yield(rec, err) || err != nil && !unreadable(err) {
				return
			}
			if err == nil {
				yielded++
			}
			if err == nil && yielded == s.q.Limit {
				return
			}
		}
	}
}

// ids returns the IDs after the cursor of the query, in order. First it returns the files whose IDs
// are unknown, each with an ErrCorrupt. Another error is the last.
func (s *selection) ids(ctx context.Context) iter.Seq2[driver.ID, error] {
	return func(yield func(driver.ID, error) bool) {
		var after driver.ID
		if s.q.After != nil {
			after = s.q.After.ID
		}
		for {
			la, err := s.idsAfter(ctx, after)
			if err != nil {
				yield("", err)
				return
			}
			for _, name := range la.lost {
				id := driver.ID(name) // the best there is
				if !yield(id, &driver.RecordError{ID: id, Err: damaged(errors.New("this is the name of its file"))}) {
					return
				}
			}
			for _, id := range la.ids {
				if err := ctx.Err(); err != nil {
					yield("", err)
					return
				}
				if !yield(id, nil) {
					return
				}
			}
			if la.complete {
				return
			}
			after = la.ids[len(la.ids)-1]
		}
	}
}

// Count reads every header that a condition needs. A damaged record counts where there are no
// conditions but on IDs, and is an error where there are, since it cannot be known to match.
func (r *reader) Count(ctx context.Context, q *driver.Query) (int64, error) {
	conds := &driver.Query{Where: q.Where}
	if err := r.present(conds); err != nil {
		return 0, err
	}
	s := r.selection(conds)
	buf := buffers.Get().(*[bufSize]byte)
	defer buffers.Put(buf)
	var n int64
	err := r.eachName(ctx, func(name string) error {
		ok := false
		id, err := r.idOfFile(name)
		switch {
		case err == nil && storable(id, r.schema.IntegerIDs):
			_, ok, err = s.read(id, 0, buf)
		case unreadable(err):
			err = &driver.RecordError{ID: driver.ID(name), Err: err}
			if len(q.Where) > 0 {
				return err
			}
		}
		if unreadable(err) && len(s.rest.Where) == 0 {
			ok, err = true, nil
		}
		if ok {
			n++
		}
		return err
	})
	return n, err
}
