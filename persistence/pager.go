package persistence

import (
	"context"
	"errors"
	"slices"

	"github.com/brine-go/brine/persistence/driver"
)

// Pages grow from the first size to the last, so that reading a few records is cheap and
// reading all of them takes few round trips.
const (
	firstPage = 128
	idPage    = 65536 // of nothing but IDs
	infoPage  = 4096
	dataPage  = 512
	// A page holds up to pageBytes of data, plus one record. This is, like infoPage, no more than a
	// driver.SingleReader reads in one state, which records that are loaded must be of.
	pageBytes = 8 << 20
)

// A pager runs a query page by page, each page in its own view.
type pager struct {
	c      *conn
	query  driver.Query // for the next page
	limit  int          // of the whole query; 0 means none
	next   int          // the size of the next page
	size   int          // of the largest one
	growth int          // how many times the last page the next one is
	into   sink
	in     driver.Reader             // that of a view in which all pages are read; nil: each has its own
	more   func(driver.Reader) error // reads further in the view of a page that has records; nil: nothing to read

	// The last page:
	n, bytes int
	last     driver.Record
	bad      []error // of records that cannot be read, which do not count; each is reported once

	hint     readHint    // whether more made another read for the last page
	reported map[ID]bool // a damaged record may appear on every page of an ordered query
}

// A sink receives the records of a page. A record is valid only during the call. begin starts a
// page; when a page has to be read again, begin is called again.
type sink interface {
	begin(most int) // most is the maximum number of records in the page
	row(rec *driver.Record)
}

func (c *conn) newPager(q *driver.Query, size int, into sink, more func(driver.Reader) error) *pager {
	p := &pager{c: c, query: *q, limit: q.Limit, next: min(firstPage, size), size: size, growth: 4, into: into, more: more}
	if size == idPage {
		p.growth = 32 // a page costs more than the IDs in it
	}
	if p.limit == 0 || p.limit > p.next || q.Parts&driver.Data != 0 { // there may be a second page
		c.s.wantOrder(&p.query)
	}
	return p
}

// wantOrder adds the columns of q.Order to the columns that q reads, so that a cursor can be
// made of a record.
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

// read reads a page and reports whether there may be another one. It puts errors that concern
// one record in p.bad and returns any other.
func (p *pager) read(ctx context.Context) (more bool, err error) {
	if p.query.Limit = p.next; p.limit > 0 {
		p.query.Limit = min(p.next, p.limit)
	}
	scan := func(r driver.Reader) error { return p.scan(ctx, r) }
	if p.in != nil {
		err = scan(p.in)
	} else if p.more == nil {
		err = p.c.readOnce(ctx, scan)
	} else {
		err = p.c.read(ctx, &p.hint, scan)
	}
	if err == nil && p.in == nil { // in a view nothing else is to be read
		err = p.c.s.noteQuery(ctx, &p.query)
	}
	if err != nil {
		return false, err
	}
	p.bad = slices.DeleteFunc(p.bad, p.reportedBefore)
	if p.n == 0 && p.in == nil {
		p.c.noneFound(ctx, &p.query)
	}
	if p.n < p.query.Limit && p.bytes < pageBytes || p.limit > 0 && p.n >= p.limit {
		return false, nil
	}
	if p.limit > 0 {
		p.limit -= p.n
	}
	p.query.After = p.c.s.values.Cursor(&p.query, &p.last)
	p.next = min(p.growth*p.next, p.size)
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

// reportedBefore reports whether an error concerns a damaged record that was reported before.
func (p *pager) reportedBefore(err error) bool {
	re, ok := errors.AsType[*driver.RecordError](err)
	if !ok {
		return false
	}
	before := p.reported[re.ID]
	if p.reported == nil {
		p.reported = make(map[ID]bool)
	}
	p.reported[re.ID] = true
	return before
}
