package fs

import (
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// defaultWindow is how many IDs a scan holds in memory. Between pages of one scan they are
// kept, so that listing all records reads the directory once for so many, not once a page.
const defaultWindow = 32 << 10

// A lookahead is a range of the IDs of a folder at one moment, in order.
type lookahead struct {
	generation uint64
	modified   time.Time // of the folder: files may have been added or removed by hand
	after      driver.ID // the range starts after it; "" stands before all
	ids        []driver.ID
	complete   bool     // there are none after the range
	lost       []string // damaged files whose IDs are unknown, as their names are hashed; of a range from the start
}

// since returns the part of a range that stands after an ID, or nil where it has none.
func (la *lookahead) since(after driver.ID, cmp func(a, b driver.ID) int) *lookahead {
	switch {
	case after == la.after:
		return la
	case la.after != "" && (after == "" || cmp(after, la.after) < 0):
		return nil
	}
	i, found := slices.BinarySearchFunc(la.ids, after, cmp)
	if found {
		i++
	}
	if i == len(la.ids) && !la.complete {
		return nil
	}
	return &lookahead{ids: la.ids[i:], complete: la.complete}
}

// idsAfter returns a range of IDs that starts after one.
func (r *reader) idsAfter(ctx context.Context, after driver.ID) (*lookahead, error) {
	generation, known := r.generation()
	info, err := r.file.Stat()
	if err != nil {
		return nil, err
	}
	r.b.mu.Lock()
	kept := r.ahead
	r.b.mu.Unlock()
	if known && kept != nil && kept.generation == generation && kept.modified.Equal(info.ModTime()) {
		if la := kept.since(after, r.schema.columns.CompareIDs); la != nil {
			return la, nil
		}
	}
	la, err := r.readIDs(ctx, after)
	if err != nil {
		return nil, err
	}
	la.generation, la.modified = generation, info.ModTime()
	if known {
		r.b.mu.Lock()
		r.ahead = la
		r.b.mu.Unlock()
	}
	return la, nil
}

// readIDs reads the folder for idsAfter.
func (r *reader) readIDs(ctx context.Context, after driver.ID) (*lookahead, error) {
	la := &lookahead{after: after}
	first := smallest{n: r.b.window, cmp: r.schema.columns.CompareIDs, complete: true}
	err := r.eachName(ctx, func(name string) error {
		id, err := r.idOfFile(name)
		if unreadable(err) {
			if after == "" {
				la.lost = append(la.lost, name)
			}
			return nil
		}
		if err == nil && storable(id, r.schema.IntegerIDs) && (after == "" || first.cmp(id, after) > 0) {
			first.add(id)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	la.ids, la.complete = first.sorted()
	return la, nil
}

// smallest collects the n smallest IDs of many.
type smallest struct {
	n        int
	cmp      func(a, b driver.ID) int
	ids      []driver.ID // the smallest so far, and up to as many candidates
	bound    driver.ID   // what is greater is not among the smallest; "": all may be
	complete bool        // none has been left out
}

func (s *smallest) add(id driver.ID) {
	if s.bound != "" && s.cmp(id, s.bound) > 0 {
		return
	}
	if s.ids = append(s.ids, id); len(s.ids) == 2*s.n {
		s.cut()
		s.bound = s.ids[s.n-1]
	}
}

// cut sorts the IDs and leaves the smallest.
func (s *smallest) cut() {
	slices.SortFunc(s.ids, s.cmp)
	if len(s.ids) > s.n {
		s.ids, s.complete = s.ids[:s.n], false
	}
}

// sorted returns the smallest IDs in order, without the room for candidates, and whether they are
// all there are.
func (s *smallest) sorted() (ids []driver.ID, complete bool) {
	s.cut()
	return slices.Clone(s.ids), s.complete
}

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

// A place is a record and where it stands in an order.
type place struct {
	rec driver.Record
	cur *driver.Cursor
}

// ordered reads all headers, and the first records of the order; again from there on where some of
// them turn out to be unreadable, so that they do not take the place of others.
func (s *selection) ordered(ctx context.Context) iter.Seq2[driver.Record, error] {
	return func(yield func(driver.Record, error) bool) {
		told := false // which headers are damaged
		for page := *s.q; ; {
			first, ok := s.first(ctx, &page, func(rec driver.Record, err error) bool {
				return told && unreadable(err) || yield(rec, err)
			})
			if !ok {
				return
			}
			told = true
			bad := 0
			for i := range first {
				rec, err := first[i].rec, error(nil)
				if page.Parts&(driver.Data|driver.Head) != 0 {
					rec, err = s.data(ctx, rec.ID)
				}
				if err != nil {
					bad++
				}
				if !yield(rec, err) || err != nil && !unreadable(err) {
					return
				}
			}
			if bad == 0 || len(first) < page.Limit || page.Limit == 0 {
				return
			}
			page.After, page.Limit = first[len(first)-1].cur, bad
		}
	}
}

// data reads a record with its data.
func (s *selection) data(ctx context.Context, id driver.ID) (driver.Record, error) {
	if err := ctx.Err(); err != nil {
		return driver.Record{}, err
	}
	buf := buffers.Get().(*[bufSize]byte)
	defer buffers.Put(buf)
	rec, _, err := s.read(id, s.q.Parts, buf)
	return rec, err
}

// first returns the first records of a query, up to its limit, without their data. Damaged headers
// it gives to bad; ok is false when that is over, or something else has failed.
func (s *selection) first(ctx context.Context, q *driver.Query, bad func(driver.Record, error) bool) (first []place, ok bool) {
	columns := s.schema.columns
	compare := func(a, b place) int { return columns.Compare(q, a.cur, b.cur) }
	all := &selection{reader: s.reader, q: &driver.Query{Parts: q.Parts &^ (driver.Data | driver.Head)}, byID: s.byID, rest: s.rest, columns: s.columns}
	for rec, err := range all.byIDs(ctx) {
		if err != nil {
			if !bad(rec, err) || !unreadable(err) {
				return nil, false
			}
			continue
		}
		p := place{rec, columns.Cursor(q, &rec)}
		if q.After != nil && columns.Compare(q, p.cur, q.After) <= 0 {
			continue
		}
		first = append(first, p)
		if q.Limit > 0 && len(first) >= 2*max(q.Limit, 512) {
			slices.SortFunc(first, compare)
			clear(first[q.Limit:])
			first = first[:q.Limit]
		}
	}
	slices.SortFunc(first, compare)
	if q.Limit > 0 && len(first) > q.Limit {
		first = first[:q.Limit]
	}
	return first, true
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
