package persistence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/internal/codec"
)

// CollectOptions are the options of [Store.Collect].
type CollectOptions struct {
	DryRun bool // only report what would be put away
	// Grace spares what was created or modified within this time before Collect began. 0 means an
	// hour. The times are those of the clocks of the programs that wrote.
	Grace time.Duration
	// Progress, if not nil, is called now and then with the number of records verified and the
	// number that there were in the beginning. It costs a count of the records.
	Progress func(done, total int64)
}

const (
	defaultGrace = time.Hour
	// clockSkew is by how much the clocks of writers may differ, and how long a write may take from
	// its time to its commit.
	clockSkew = 10 * time.Minute

	collectedReason = "collected"
)

// The numbers of records that are put away in one atomic step. The more there are to read again
// before each step, the larger steps become.
const (
	firstStep, largestStep = 512, 8192
	stepBytes              = 4 << 10 // of data, for each record that a step may have, plus one record
)

// notBefore returns a time that is not after that of any write which is committed after t.
func notBefore(t time.Time) time.Time { return t.Add(-clockSkew).UTC().Truncate(time.Microsecond) }

// Collect puts the records that no root reaches into quarantine, with the reason "collected".
// [Store.Unquarantine] brings one back, [Store.Purge] removes them for good. It may run beside
// writers, but not twice at a time, and not beside a [Copy] into the store: what is copied keeps
// its times, so it does not count as new.
//
// References are followed eagerly and lazily. Besides roots, which must be given and present, else
// it is an error, these are roots: claimed records, also where the lease has ended; what was
// created or modified within o.Grace of the start, or whenever after it; records without these
// times; and what readable records in quarantine for another reason than "collected" refer to.
//
// It needs no types. First it reads every record whole and verifies it. One that cannot be read, in
// the store or in quarantine for another reason than "collected", is ErrCorrupt, and nothing is put
// away. Then it puts the rest away in atomic steps of at most 8192. In each step it keeps other
// writers waiting (on fs, MySQL and MariaDB readers too), reads again what was modified since it
// began, and puts away what is garbage still. So a save that makes something refer to a record
// keeps it, or gets ErrDangling.
//
// On a Galera cluster, or where a user of MySQL lacks the right to LOCK TABLES, others cannot be
// kept waiting. Collect then looks for new references before and after each step, and puts a record
// back at once. Where a save takes longer than that, or Collect is killed just then, the reference
// dangles until the next Collect: it puts back what is reached and was collected before.
// docs/architecture.md has the reasons.
//
// If it ends with an error the report has what was put away until then. Memory grows by some bits
// for each record with an integer ID, and by the ID for each other. A table without the columns
// created and modified is errors.ErrUnsupported.
func (s *Store) Collect(ctx context.Context, roots []ID, o CollectOptions) (GraphReport, error) {
	if !o.DryRun {
		if err := s.mayWrite("collect", ""); err != nil {
			return GraphReport{}, err
		}
	}
	if o.Grace == 0 {
		o.Grace = defaultGrace
	}
	c := &collector{s: s, ctx: ctx, o: &o, start: time.Now(), absent: make(map[ID]bool), seen: make(map[ID]int64), step: firstStep}
	c.since = notBefore(c.start)
	shareTexts(&c.verified, &c.marked, &c.first, &c.away, &c.swept)
	err := c.run(roots)
	return c.report, s.fail("collect", "", err)
}

// A collector is one Collect.
type collector struct {
	s     *Store
	ctx   context.Context
	o     *CollectOptions
	start time.Time
	since time.Time // no write that was committed after catchUp was last called has an earlier time

	verified exactIDs    // records that were read whole: no other is ever put away
	marked   exactIDs    // what stays, present or not
	pending  []ID        // of these, those whose references are not marked yet
	absent   map[ID]bool // of these, those that were not there when last looked for
	// seen are records modified since c.since, with the revision that was read last: if they have
	// it still, they refer to nothing else. Those of revision 1 are in first.
	seen   map[ID]int64
	first  exactIDs
	away   exactIDs // what was put away, by earlier runs too
	swept  exactIDs // what this run put away
	report GraphReport

	step     int           // how many records the next step puts away
	rereadIn time.Duration // how long it took to read again what was modified, in the last step
	after    driver.Mark   // of the state after the last step
	beside   bool          // others cannot be kept from writing during a step
}

func (c *collector) run(roots []ID) error {
	if len(roots) == 0 {
		return errors.New("no roots are given: everything would be garbage")
	}
	for _, name := range []string{driver.ColCreated, driver.ColModified} {
		if err := c.s.checkColumn(name); err != nil {
			return err
		}
	}
	if _, err := c.s.salvager(); err != nil {
		return err
	}
	// The roots first: a mistake in them is found before the long work.
	if err := c.present(roots); err != nil {
		return err
	}
	if err := c.verify(); err != nil {
		return err
	}
	// Not before everything was verified: what is followed is then as new as c.seen says.
	c.mark(roots)
	if err := c.follow(nil); err != nil {
		return err
	}
	// After the references were followed: a record that was put away meanwhile was either followed
	// before or is found now.
	if err := c.markQuarantined(); err != nil {
		return err
	}
	if err := c.putBack(); err != nil {
		return err
	}
	if err := c.present(roots); err != nil {
		return err
	}
	return c.sweep()
}

// present returns an error if one of the roots does not exist.
func (c *collector) present(roots []ID) error {
	for _, id := range roots {
		if idfactory.Validate(id, c.s.ids.Integral()) != nil {
			return &driver.RecordError{ID: id, Err: ErrNotFound}
		}
	}
	there := make(map[ID]bool, len(roots))
	err := c.s.readOnce(c.ctx, func(r driver.Reader) error {
		recs, err := r.Get(c.ctx, roots, 0)
		for i := range recs {
			there[recs[i].ID] = true
		}
		return err
	})
	if err != nil {
		return unreadableRecord(err)
	}
	for _, id := range roots {
		if !there[id] {
			return &driver.RecordError{ID: id, Err: ErrNotFound}
		}
	}
	return nil
}

// mark notes that records stay.
func (c *collector) mark(ids []ID) {
	for _, id := range ids {
		if c.marked.add(id) {
			c.pending = append(c.pending, id)
		}
	}
}

// follow marks all that what is marked reaches. r reads; nil: a view for each page does. After an
// error it may be called again.
func (c *collector) follow(r driver.Reader) error {
	for len(c.pending) > 0 {
		n := max(len(c.pending)-infoPage, 0)
		some := slices.Clone(c.pending[n:])
		c.pending = c.pending[:n]
		for _, id := range some {
			c.absent[id] = true
		}
		links := func(r driver.Reader) error {
			return c.s.links(c.ctx, r, some, 0, func(rec *driver.Record, h *codec.Header) {
				delete(c.absent, rec.ID)
				c.mark(h.Eager)
				c.mark(h.Lazy)
			})
		}
		var err error
		if r != nil {
			err = links(r)
		} else {
			err = c.s.view(c.ctx, links)
		}
		if err != nil {
			c.pending = append(c.pending, some...)
			return unreadableRecord(err)
		}
	}
	return nil
}

// unreadableRecord makes an error of a record that cannot be read ErrCorrupt, also where it is of a
// newer format or over the limits.
func unreadableRecord(err error) error {
	if errors.Is(err, ErrCorrupt) || !concernsOneRecord(err) && !errors.Is(err, ErrTooLarge) {
		return err
	}
	if re, ok := errors.AsType[*driver.RecordError](err); ok {
		return &driver.RecordError{ID: re.ID, Err: fmt.Errorf("%w: it cannot be read: %w", ErrCorrupt, re.Err)}
	}
	return fmt.Errorf("%w: it cannot be read: %w", ErrCorrupt, err)
}

// verify reads every record whole, and marks those that are spared whatever refers to them.
func (c *collector) verify() error {
	var done, total int64
	if c.o.Progress != nil {
		err := c.s.readOnce(c.ctx, func(r driver.Reader) (err error) {
			total, err = r.Count(c.ctx, &driver.Query{})
			return err
		})
		if err != nil {
			return unreadableRecord(err)
		}
	}
	page := &verifyPage{c: c}
	q := &driver.Query{Parts: recordParts}
	p := c.s.newPager(q, dataPage, page, nil)
	for more := true; more; {
		var err error
		if more, err = p.read(c.ctx); err == nil && len(p.bad) > 0 {
			err = p.bad[0]
		}
		if err == nil {
			err = page.err
		}
		if err != nil {
			return unreadableRecord(err)
		}
		for _, id := range page.ids {
			c.verified.add(id)
		}
		c.mark(page.spared)
		if done += int64(p.n); c.o.Progress != nil {
			c.o.Progress(done, max(done, total))
		}
	}
	return nil
}

// A verifyPage is a page of records that are verified.
type verifyPage struct {
	c           *collector
	ids, spared []ID
	err         error // of the first that cannot be read
}

func (p *verifyPage) begin(int) { p.ids, p.spared, p.err = p.ids[:0], p.spared[:0], nil }

func (p *verifyPage) row(rec *driver.Record) {
	s := p.c.s
	if idfactory.Validate(rec.ID, s.ids.Integral()) != nil {
		return // a stray, which is never put away
	}
	h, err := records.Parse(rec.Data, s.limits)
	if err == nil {
		err = records.Verify(h, s.limits, genericForms)
	}
	if err != nil && p.err == nil {
		p.err = &driver.RecordError{ID: rec.ID, Err: err}
	}
	p.ids = append(p.ids, rec.ID)
	since := p.c.start.Add(-p.c.o.Grace)
	young := func(t time.Time) bool { return t.IsZero() || !t.Before(since) }
	if young(rec.Created) || young(rec.Modified) || rec.Claim.Owner != "" {
		p.spared = append(p.spared, rec.ID)
	}
	if !rec.Modified.Before(p.c.since) {
		p.c.see(rec)
	}
}

// see notes the revision of a record, and reports whether it is the one that was seen last.
func (c *collector) see(rec *driver.Record) bool {
	last := c.seen[rec.ID]
	if c.first.has(rec.ID) {
		last = 1
	}
	if rec.Revision == last {
		return last != 0 // without revisions nobody can tell
	}
	if rec.Revision == 1 {
		delete(c.seen, rec.ID)
		c.first.add(rec.ID)
	} else {
		c.first.remove(rec.ID)
		c.seen[rec.ID] = rec.Revision
	}
	return false
}

// markQuarantined marks what records in quarantine refer to.
func (c *collector) markQuarantined() error {
	for p, err := range c.s.entries(c.ctx, "") {
		if err != nil && unprepared(err) && !concernsOneRecord(err) {
			return nil // there is no quarantine
		}
		if err != nil {
			return fmt.Errorf("in quarantine: %w", unreadableRecord(err))
		}
		if p.Reason == collectedReason && !p.Stray && !c.o.DryRun {
			c.away.add(p.ID) // an earlier run may have been interrupted, or a save took long
		}
		if p.Reason == collectedReason || p.Stray || p.namespace() != driver.Objects {
			continue
		}
		q, err := c.s.quarantined(p)
		if err == nil && q.Err != nil {
			err = unreadableRecord(&driver.RecordError{ID: p.ID, Err: fmt.Errorf("in quarantine: %w", q.Err)})
		}
		if err != nil {
			return err
		}
		c.mark(q.Refs)
		c.mark(q.LazyRefs)
	}
	return c.follow(nil)
}
