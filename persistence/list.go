package persistence

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync/atomic"
	"time"

	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence/driver"
)

// Pages grow from the first size to the last, so that looking at a few records is cheap and
// running through all of them takes few round trips.
const (
	firstPage = 128
	idPage    = 4096
	dataPage  = 512
	pageBytes = 8 << 20 // of data in a page of records; one more record may stand beyond it. No more than a driver.SingleReader gives at once
)

// List streams the IDs of the records that q selects; nil: of all. It never reads an object.
//
// It reads page by page and holds no connection, lock or snapshot in between: saving and
// removing inside the loop is fine, and records written meanwhile may or may not appear; in the order of IDs none
// appears twice. An error of ErrCorrupt concerns one record, too damaged to be listed, and the iteration goes on; any other ends
// it. (GC3Pie's Store.list.)
func (s *Store) List(ctx context.Context, q *Query) iter.Seq2[ID, error] {
	dq, err := s.compile(q)
	return stream(s, ctx, "list", dq, err, func(rec *driver.Record) ID { return rec.ID })
}

// StatAll streams what the store knows of the records that q selects, as [Store.Stat] does of one, and as List streams. Where columns
// are named, it reads these alone, and of an Info everything but they and the ID is left zero.
func (s *Store) StatAll(ctx context.Context, q *Query, columns ...string) iter.Seq2[Info, error] {
	dq, err := s.compile(q)
	for i := 0; i < len(columns) && err == nil; i++ {
		err = s.checkColumn(columns[i])
	}
	if err != nil {
		return stream(s, ctx, "list", nil, err, s.info)
	}
	if len(columns) == 0 {
		dq.Parts = driver.Info | driver.Fields
		return stream(s, ctx, "list", dq, nil, s.info)
	}
	for _, name := range columns {
		dq.Parts |= driver.PartOf(name)
	}
	dq.Columns = slices.Clone(columns)
	return stream(s, ctx, "list", dq, nil, func(rec *driver.Record) Info { return s.infoOf(rec, dq.Columns) })
}

// stream is List for what of makes of a record; q says what it needs of it. With an error, it is that error alone.
func stream[T any](s *Store, ctx context.Context, op string, q *driver.Query, err error, of func(*driver.Record) T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		if err != nil {
			yield(none, s.fail(op, "", err))
			return
		}
		page := &collected[T]{of: of}
		p := s.newPager(q, idPage, page, nil)
		for more := true; more; {
			var err error
			if more, err = p.read(ctx); err != nil {
				yield(none, s.fail(op, "", err))
				return
			}
			for _, x := range page.rows {
				if !yield(x, nil) {
					return
				}
			}
			for _, err := range p.bad {
				if !yield(none, s.fail(op, "", err)) {
					return
				}
			}
		}
	}
}

// A collected page is what of makes of its records.
type collected[T any] struct {
	of   func(*driver.Record) T
	rows []T
}

func (c *collected[T]) begin(most int)         { c.rows = slices.Grow(c.rows[:0], min(most, 32)) }
func (c *collected[T]) row(rec *driver.Record) { c.rows = append(c.rows, c.of(rec)) }

// A pager runs a query page by page, each page in a view of its own.
type pager struct {
	s     *Store
	query driver.Query // for the next page
	limit int          // of the whole query; 0: none
	next  int          // the size of the next page
	size  int          // of the largest one
	into  sink
	more  func(driver.Reader) error // goes on reading in the view of a page that has records; nil: nothing

	// Of the last page:
	n, bytes int
	last     driver.Record
	bad      []error // of records that cannot be read, which do not count; each is told once

	readsOn atomic.Bool // more read on in the last page
	told    map[ID]bool // damaged records may turn up on every page of an order
}

// A sink is given the records of a page, for the length of the call, and told where a page begins; one that has to be read again
// begins again.
type sink interface {
	begin(most int) // so many records, or fewer
	row(rec *driver.Record)
}

func (s *Store) newPager(q *driver.Query, size int, into sink, more func(driver.Reader) error) *pager {
	p := &pager{s: s, query: *q, limit: q.Limit, next: min(firstPage, size), size: size, into: into, more: more}
	if p.limit == 0 || p.limit > p.next || q.Parts&driver.Data != 0 { // there may be a second page
		s.wantOrder(&p.query)
	}
	return p
}

// wantOrder adds the columns of its order to what a query wants, so that a cursor can be made of a record.
func (s *Store) wantOrder(q *driver.Query) {
	for _, o := range q.Order {
		if o.Column == driver.ColID || q.Wants(o.Column) {
			continue
		}
		if q.Columns == nil {
			var all []string
			for name := range s.columns {
				if q.Wants(name) {
					all = append(all, name)
				}
			}
			slices.Sort(all)
			q.Columns = all
		}
		q.Columns = append(slices.Clip(q.Columns), o.Column)
		q.Parts |= driver.PartOf(o.Column)
	}
}

// read reads a page and reports whether there may be another one. Errors that concern one record are in p.bad; any other ends it.
func (p *pager) read(ctx context.Context) (more bool, err error) {
	if p.query.Limit = p.next; p.limit > 0 {
		p.query.Limit = min(p.next, p.limit)
	}
	scan := func(r driver.Reader) error { return p.scan(ctx, r) }
	if p.more == nil {
		err = p.s.readOnce(ctx, scan)
	} else {
		err = p.s.sight(ctx, &p.readsOn, scan)
	}
	if err != nil {
		return false, err
	}
	p.bad = slices.DeleteFunc(p.bad, p.toldBefore)
	if p.n < p.query.Limit && p.bytes < pageBytes || p.limit > 0 && p.n >= p.limit {
		return false, nil
	}
	if p.limit > 0 {
		p.limit -= p.n
	}
	p.query.After = p.s.values.Cursor(&p.query, &p.last)
	p.next = min(4*p.next, p.size)
	return true, nil
}

func (p *pager) scan(ctx context.Context, r driver.Reader) error {
	p.into.begin(p.query.Limit)
	p.n, p.bytes, p.bad = 0, 0, nil
	for rec, err := range r.Scan(ctx, &p.query) {
		if err != nil {
			if !concernsOneRecord(err) {
				return err
			}
			p.bad = append(p.bad, err)
			continue
		}
		p.last = rec
		p.into.row(&p.last)
		if p.n, p.bytes = p.n+1, p.bytes+len(rec.Data); p.bytes >= pageBytes {
			break
		}
	}
	if p.more != nil && p.n > 0 {
		return p.more(r)
	}
	return nil
}

// toldBefore reports whether a damaged record has been met before.
func (p *pager) toldBefore(err error) bool {
	re, ok := errors.AsType[*driver.RecordError](err)
	if !ok {
		return false
	}
	before := p.told[re.ID]
	if p.told == nil {
		p.told = make(map[ID]bool)
	}
	p.told[re.ID] = true
	return before
}

// An Info is what a store knows of a record without its data.
type Info struct {
	ID       ID
	Type     string // the registered or default name of the type
	State    string
	Revision int64     // rises with each write
	Size     int64     // of the data, in bytes
	Created  time.Time // UTC, microseconds
	Modified time.Time // UTC, microseconds
	// Fields are the values of the extra columns by name: string, int64, float64, bool, []byte or
	// time.Time (UTC, microseconds); nil for NULL. The columns of claims are among them only where [Store.StatAll] is asked for them.
	Fields map[string]any
}

// Stat returns what the store knows of a record. It never reads the data. ErrNotFound if
// there is no such record. What a table made by hand has no column for is zero.
func (s *Store) Stat(ctx context.Context, id ID) (Info, error) {
	if idfactory.Validate(id, s.ids.Integral()) != nil {
		return Info{}, s.fail("stat", id, ErrNotFound)
	}
	var recs []driver.Record
	err := s.readOnce(ctx, func(r driver.Reader) error {
		var err error
		recs, err = r.Get(ctx, []ID{id}, driver.Info|driver.Fields)
		return err
	})
	if err == nil && len(recs) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Info{}, s.fail("stat", id, err)
	}
	return s.info(&recs[0]), nil
}

func (s *Store) info(rec *driver.Record) Info {
	info := Info{ID: rec.ID, Type: rec.Type, State: rec.State, Revision: rec.Revision,
		Size: rec.Size, Created: rec.Created, Modified: rec.Modified, Fields: make(map[string]any, len(s.extras))}
	for i, f := range s.extras {
		if name := f.Column().Name; i < len(rec.Fields) && !slices.Contains(s.missing, name) {
			info.Fields[name] = rec.Fields[i]
		}
	}
	return info
}

// infoOf returns the columns of those names alone.
func (s *Store) infoOf(rec *driver.Record, columns []string) Info {
	info := Info{ID: rec.ID}
	for _, name := range columns {
		switch name {
		case driver.ColID:
		case driver.ColType:
			info.Type = rec.Type
		case driver.ColState:
			info.State = rec.State
		case driver.ColRevision:
			info.Revision = rec.Revision
		case driver.ColCreated:
			info.Created = rec.Created
		case driver.ColModified:
			info.Modified = rec.Modified
		default:
			if info.Fields == nil {
				info.Fields = make(map[string]any, len(columns))
			}
			info.Fields[name] = s.values.Value(rec, name)
		}
	}
	return info
}
