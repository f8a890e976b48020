package persistence

import (
	"context"
	"errors"
	"iter"
	"slices"
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
	pageBytes = 16 << 20 // of data in a page of records; one more record may stand beyond it
)

// List streams the IDs of the records that q selects; nil: of all. It never reads an object.
//
// It reads page by page and holds no connection, lock or snapshot in between: saving and
// removing inside the loop is fine, and records written meanwhile may or may not appear; in the order of IDs none
// appears twice. An error ends it. (GC3Pie's Store.list.)
func (s *Store) List(ctx context.Context, q *Query) iter.Seq2[ID, error] {
	return stream(s, ctx, "list", q, 0, func(rec *driver.Record) ID { return rec.ID })
}

// Infos streams what the store knows of the records that q selects, as [Store.Stat] does of one, and as List streams.
func (s *Store) Infos(ctx context.Context, q *Query) iter.Seq2[Info, error] {
	return stream(s, ctx, "list", q, driver.Info|driver.Fields, s.info)
}

// stream is List for what of makes of a record, of which it wants some parts.
func stream[T any](s *Store, ctx context.Context, op string, q *Query, want driver.Parts, of func(*driver.Record) T) iter.Seq2[T, error] {
	dq, err := s.compile(q)
	return func(yield func(T, error) bool) {
		var none T
		if err != nil {
			yield(none, s.fail(op, "", err))
			return
		}
		var page []T
		row := func(rec *driver.Record) { page = append(page, of(rec)) }
		for err := range s.pages(ctx, dq, want|parts(dq), idPage, row, nil) {
			if err != nil {
				yield(none, s.fail(op, "", err))
				return
			}
			for _, x := range page {
				if !yield(x, nil) {
					return
				}
			}
			page = page[:0]
		}
	}
}

// pages runs q page by page, each page in a view of its own. It calls row for each record, then more, if not
// nil, which may go on reading in the same view, and then yields nil: once for each page. What row
// is given is its own to keep.
//
// An error that concerns one record is yielded by itself, and the pages go on; any other ends them.
func (s *Store) pages(ctx context.Context, q *driver.Query, parts driver.Parts, size int,
	row func(*driver.Record), more func(driver.Reader) error) iter.Seq[error] {
	return func(yield func(error) bool) {
		page := *q
		page.Parts = parts
		columns := s.newColumns()
		left := q.Limit
		reported := make(map[ID]bool) // damaged records may turn up on every page of an order
		for next := min(firstPage, size); ; next = min(4*next, size) {
			page.Limit = next
			if q.Limit > 0 {
				page.Limit = min(next, left)
			}
			var last driver.Record
			var bad []error // of records that cannot be read: they do not count as yielded
			n, bytes := 0, 0
			read := s.glance
			if more != nil {
				read = s.view
			}
			err := read(ctx, func(r driver.Reader) error {
				for rec, err := range r.Scan(ctx, &page) {
					if err != nil {
						if !concernsOneRecord(err) {
							return err
						}
						bad = append(bad, err)
						continue
					}
					last = rec
					row(&rec)
					if n, bytes = n+1, bytes+len(rec.Data); bytes >= pageBytes {
						break
					}
				}
				if more != nil && n > 0 {
					return more(r)
				}
				return nil
			})
			if err != nil {
				yield(err)
				return
			}
			for _, err := range bad {
				if re, ok := errors.AsType[*driver.RecordError](err); ok {
					if reported[re.ID] {
						continue
					}
					reported[re.ID] = true
				}
				if !yield(err) {
					return
				}
			}
			if n > 0 {
				page.After = columns.Cursor(&page, &last)
				if !yield(nil) {
					return
				}
			}
			if n < page.Limit && bytes < pageBytes {
				return
			}
			if left -= n; q.Limit > 0 && left <= 0 {
				return
			}
		}
	}
}

func (s *Store) newColumns() *driver.Columns {
	schema := driver.Schema{IntegerIDs: s.ids.Integral()}
	for _, f := range s.extras {
		schema.Fields = append(schema.Fields, f.Column())
	}
	return driver.NewColumns(schema)
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
	// time.Time (UTC, microseconds); nil for NULL.
	Fields map[string]any
}

// Stat returns what the store knows of a record. It never reads the data. ErrNotFound if
// there is no such record. What a table made by hand has no column for is zero.
func (s *Store) Stat(ctx context.Context, id ID) (Info, error) {
	if idfactory.Validate(id, s.ids.Integral()) != nil {
		return Info{}, s.fail("stat", id, ErrNotFound)
	}
	var recs []driver.Record
	err := s.glance(ctx, func(r driver.Reader) error {
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
