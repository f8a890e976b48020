package fs

import (
	"context"
	"iter"
	"slices"

	"github.com/brine-go/brine/persistence/driver"
)

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
