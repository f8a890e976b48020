package persistence

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/internal/codec"
)

// copyPage is how many records a batch of a Copy has at most, and pageBytes how large it is: a
// commit costs little then.
const copyPage = 4096

func (cp *copying) copyAll() error {
	var err error
	if len(cp.o.Roots) > 0 {
		err = cp.copyReached()
	} else {
		q := *cp.query
		q.Parts = copyParts
		err = cp.copySelected(cp.from, cp.to, &q)
	}
	if err != nil || cp.o.NoPairs {
		return err
	}
	from := &cp.src.kv.c
	if !from.prepared.Load() {
		return nil // there are none: they were never made
	}
	return cp.copySelected(from, &cp.dst.kv.c, &driver.Query{Parts: driver.Info | driver.Data})
}

// A copiedPage is a page of records on its way.
type copiedPage struct {
	limits codec.Limits
	recs   []driver.Record
	bad    []error    // of records that could not be read
	done   CopyReport // what was done with the records
}

func (p *copiedPage) begin(int) { p.recs, p.bad = nil, nil }

// row adds a record, if it is sound.
func (p *copiedPage) row(rec *driver.Record) {
	if _, err := p.parse(rec); err == nil {
		p.recs = append(p.recs, *rec)
	}
}

func (p *copiedPage) parse(rec *driver.Record) (codec.Header, error) {
	h, err := records.Parse(rec.Data, p.limits)
	if err != nil {
		p.bad = append(p.bad, &driver.RecordError{ID: rec.ID, Err: err})
	}
	return h, err
}

// A recordPage is a page of records as they are.
type recordPage struct{ recs []driver.Record }

func (p *recordPage) begin(int)              { p.recs = p.recs[:0] }
func (p *recordPage) row(rec *driver.Record) { p.recs = append(p.recs, *rec) }

// copySelected copies the records of a namespace that a query selects. While one batch is written,
// the next one is read, and the one before it is read back. They are written in their order.
func (cp *copying) copySelected(from, to *conn, q *driver.Query) error {
	g, ctx := errgroup.WithContext(cp.ctx)
	pages, written, done := make(chan copiedPage), make(chan *copyBatch), make(chan copiedPage)
	g.Go(func() error {
		defer close(pages)
		return cp.ofSrc(cp.readPages(ctx, from, q, pages))
	})
	g.Go(func() error {
		defer close(written)
		for page := range pages {
			b := cp.newBatch(ctx, to, page)
			if err := b.write(); err != nil {
				b.end()
				return err
			}
			written <- b
		}
		return nil
	})
	g.Go(func() (err error) {
		for b := range written {
			if err == nil {
				err = b.verify()
			}
			if b.end(); err == nil {
				done <- b.page
			}
		}
		return err
	})
	go func() {
		_ = g.Wait() // its error is that of the call below
		close(done)
	}()
	for page := range done {
		cp.take(&page)
	}
	return g.Wait()
}

// readPages sends the pages of a query.
func (cp *copying) readPages(ctx context.Context, from *conn, q *driver.Query, pages chan<- copiedPage) error {
	page := copiedPage{limits: cp.src.limits}
	p := from.newPager(q, copyPage, &page, nil)
	if cp.snapshot != nil {
		in, err := driver.InNamespace(cp.snapshot, from.namespace)
		if err != nil {
			return err
		}
		p.in = in
	}
	for more := true; more; {
		var err error
		if more, err = p.read(ctx); err != nil {
			return err
		}
		page.bad = append(page.bad, p.bad...)
		select {
		case pages <- page:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// take counts what was done with a page.
func (cp *copying) take(page *copiedPage) {
	cp.report.add(page.done)
	cp.report.Failed += int64(len(page.bad))
	cp.failed = append(cp.failed, page.bad[:min(len(page.bad), maxUnreadable-len(cp.failed))]...)
	cp.done += int64(len(page.recs) + len(page.bad))
	if cp.o.Progress != nil {
		cp.o.Progress(cp.done, max(cp.done, cp.total))
	}
}

// copyReached copies the roots and what they reach, wave by wave.
func (cp *copying) copyReached() error {
	cp.reached = make(map[ID]bool)
	var wave []ID
	add := func(ids []ID) {
		for _, id := range ids {
			if _, known := cp.reached[id]; !known {
				cp.reached[id] = false
				wave = append(wave, id)
			}
		}
	}
	add(cp.o.Roots)
	if err := cp.ofSrc(cp.checkRoots(wave)); err != nil {
		return err
	}
	for len(wave) > 0 {
		some := wave[:min(len(wave), dataPage)]
		wave = wave[len(some):]
		page := copiedPage{limits: cp.src.limits}
		recs, bad, err := getEach(cp.ctx, cp.from, cp.snapshot, some, copyParts)
		if err != nil {
			return cp.ofSrc(err)
		}
		page.bad = bad
		for i := range recs {
			cp.reached[recs[i].ID] = true
			if h, err := page.parse(&recs[i]); err == nil {
				page.recs = append(page.recs, recs[i])
				add(h.Eager)
				add(h.Lazy)
			}
		}
		cp.total = max(cp.total, int64(len(cp.reached))+cp.hadPairs)
		b := cp.newBatch(cp.ctx, cp.to, page)
		if err = b.write(); err == nil {
			err = b.verify()
		}
		if b.end(); err != nil {
			return err
		}
		cp.take(&b.page)
	}
	return nil
}

// checkRoots returns ErrNotFound, naming the first root that does not exist.
func (cp *copying) checkRoots(roots []ID) error {
	for some := range slices.Chunk(roots, infoPage) {
		recs, bad, err := getEach(cp.ctx, cp.from, cp.snapshot, some, 0)
		if err != nil {
			return err
		}
		found := make(map[ID]bool, len(recs))
		for i := range recs {
			found[recs[i].ID] = true
		}
		for _, err := range bad {
			found[recordOf(err)] = true
		}
		for _, id := range some {
			if !found[id] {
				return &driver.RecordError{ID: id, Err: ErrNotFound}
			}
		}
	}
	return nil
}

// getEach reads records, and returns the errors of those that are damaged. in is nil or a Reader of
// the objects, which sees the state to read.
func getEach(ctx context.Context, c *conn, in driver.Reader, ids []ID, parts driver.Parts) (recs []driver.Record, bad []error, err error) {
	var some []driver.Record
	get := func(r driver.Reader) (err error) {
		some, err = r.Get(ctx, ids, parts)
		return err
	}
	if in == nil {
		err = c.readOnce(ctx, get)
	} else if in, err = driver.InNamespace(in, c.namespace); err == nil {
		err = get(in)
	}
	switch {
	case err == nil:
		return some, nil, nil
	case !concernsOneRecord(err):
		return nil, nil, err
	case len(ids) == 1:
		if recordOf(err) != ids[0] {
			err = &driver.RecordError{ID: ids[0], Err: err}
		}
		return nil, []error{err}, nil
	}
	// One of them is damaged: the halves tell which.
	for half := range slices.Chunk(ids, (len(ids)+1)/2) {
		some, worse, err := getEach(ctx, c, in, half, parts)
		if err != nil {
			return nil, nil, err
		}
		recs, bad = append(recs, some...), append(bad, worse...)
	}
	return recs, bad, nil
}
