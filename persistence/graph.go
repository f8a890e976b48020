package persistence

import (
	"context"
	"iter"
	"slices"

	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/internal/codec"
)

// GraphReport says what [Store.RemoveGraph] and [Store.Collect] did or, in a dry run, would do.
type GraphReport struct {
	Removed int64 // records removed
	Kept    int64 // of RemoveGraph: records that are reached and stay; of Collect: all that stay
	IDs     []ID  // of the removed records, the first 10,000
}

// maxReported is the number of IDs in a GraphReport.
const maxReported = 10_000

// Referrers streams the IDs of the records that refer to the record with the ID, eagerly or lazily,
// in ascending order. A record that refers to itself is among them. There need be no record with
// the ID: then they are the dangling references to it.
//
// There is no table of references: it reads the headers of all records, page by page, as
// [Store.List] does. An error of ErrCorrupt, or errors.ErrUnsupported for a record of a newer
// format, concerns one record, and the iteration continues; any other error ends it. Damage after
// the header is not looked for.
func (s *Store) Referrers(ctx context.Context, id ID) iter.Seq2[ID, error] {
	type row struct {
		id           ID
		refers, long bool
	}
	page := stream(&s.conn, ctx, "referrers", infoPage, &driver.Query{Parts: driver.Head}, nil, func(rec *driver.Record) row {
		h, ok := records.ParseHead(rec.Data)
		return row{rec.ID, refers(&h, id), !ok}
	})
	return func(yield func(ID, error) bool) {
		for x, err := range page {
			if err == nil && x.long {
				err = s.fail("referrers", x.id, s.readOnce(ctx, func(r driver.Reader) error {
					return s.wholeLinks(ctx, r, []ID{x.id}, 0, func(_ *driver.Record, h *codec.Header) { x.refers = refers(h, id) })
				}))
			}
			if err != nil {
				x.id = ""
			}
			if (err != nil || x.refers) && !yield(x.id, err) || err != nil && !concernsOneRecord(err) {
				return
			}
		}
	}
}

// refers reports whether a record with the header refers to an ID.
func refers(h *codec.Header, id ID) bool {
	return slices.Contains(h.Eager, id) || slices.Contains(h.Lazy, id)
}

// links calls each with those records that exist and their headers: the parts asked for and no
// data. The headers are not verified.
func (s *Store) links(ctx context.Context, r driver.Reader, ids []ID, parts driver.Parts, each func(*driver.Record, *codec.Header)) error {
	for some := range slices.Chunk(ids, infoPage) {
		recs, err := r.Get(ctx, some, parts|driver.Head)
		if err != nil {
			return err
		}
		var long []ID
		for i := range recs {
			h, ok := records.ParseHead(recs[i].Data)
			if !ok {
				long = append(long, recs[i].ID)
				continue
			}
			recs[i].Data = nil
			each(&recs[i], &h)
		}
		if err := s.wholeLinks(ctx, r, long, parts, each); err != nil {
			return err
		}
	}
	return nil
}

// wholeLinks is links for records whose headers are long: it reads them whole, one at a time, and
// verifies their checksums.
func (s *Store) wholeLinks(ctx context.Context, r driver.Reader, ids []ID, parts driver.Parts, each func(*driver.Record, *codec.Header)) error {
	for _, id := range ids {
		recs, err := r.Get(ctx, []ID{id}, parts|driver.Data)
		if err != nil {
			return err
		}
		for i := range recs {
			h, err := records.Parse(recs[i].Data, s.limits)
			if err != nil {
				return &driver.RecordError{ID: id, Err: err}
			}
			recs[i].Data = nil
			each(&recs[i], &codec.Header{Type: h.Type, Version: h.Version, Eager: h.Eager, Lazy: h.Lazy})
		}
	}
	return nil
}

// allLinks is links for all records of the store that meet some conditions, in the order of their
// IDs but for those with long headers.
func (s *Store) allLinks(ctx context.Context, r driver.Reader, where []driver.Cond, each func(*driver.Record, *codec.Header)) error {
	var long []ID
	q := driver.Query{Where: where, Parts: driver.Head}
	return scanPages(ctx, r, q, infoPage, func(rec *driver.Record) {
		h, ok := records.ParseHead(rec.Data)
		if !ok {
			long = append(long, rec.ID)
			return
		}
		rec.Data = nil
		each(rec, &h)
	}, func() error {
		err := s.wholeLinks(ctx, r, long, 0, each)
		long = long[:0]
		return err
	})
}

// scanPages calls each with the records of a query without order or limit, page by page, and
// between after each page, when the Reader may be used for something else.
func scanPages(ctx context.Context, r driver.Reader, q driver.Query, size int, each func(*driver.Record), between func() error) error {
	for q.Limit = size; ; {
		n, last := 0, ID("")
		for rec, err := range r.Scan(ctx, &q) {
			if err != nil {
				return err
			}
			n, last = n+1, rec.ID
			each(&rec)
		}
		if err := between(); err != nil || n < q.Limit {
			return err
		}
		q.After = &driver.Cursor{ID: last}
	}
}

// reach calls each with the records that have the IDs, and with all that they reach, lazily too:
// each once, with its header. ErrNotFound names the first of ids that does not exist; other
// references may dangle.
func (s *Store) reach(ctx context.Context, r driver.Reader, ids []ID, parts driver.Parts, each func(*driver.Record, *codec.Header)) error {
	for _, id := range ids {
		if idfactory.Validate(id, s.ids.Integral()) != nil {
			return &driver.RecordError{ID: id, Err: ErrNotFound}
		}
	}
	var known, found exactIDs
	add := func(to, ids []ID) []ID {
		for _, id := range ids {
			if known.add(id) {
				to = append(to, id)
			}
		}
		return to
	}
	for wave := add(nil, ids); len(wave) > 0; {
		var next []ID
		err := s.links(ctx, r, wave, parts, func(rec *driver.Record, h *codec.Header) {
			found.add(rec.ID)
			next = add(add(next, h.Eager), h.Lazy)
			each(rec, h)
		})
		if err != nil {
			return err
		}
		for _, id := range ids {
			if !found.has(id) {
				return &driver.RecordError{ID: id, Err: ErrNotFound}
			}
		}
		ids, wave = nil, next
	}
	return nil
}
