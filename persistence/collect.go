package persistence

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
	collectBatch    = 2048    // records put away in one atomic step
	collectBytes    = 8 << 20 // of data in it, plus one record
)

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
// away. Then it puts the rest away in atomic steps of at most 2048. Before and after each step it
// reads again what was modified since it began. A save that makes something refer to a record that
// is put away gets ErrDangling, or the record is put back at once. Where a save on a server takes
// longer than that, or Collect is killed just then, the reference dangles until the next Collect:
// it puts back what is reached and was collected before. docs/architecture.md has the reasons.
//
// If it ends with an error the report has what was put away until then. Memory grows by a bit for
// each record with an integer ID, and by the ID for each other. A table without the columns created
// and modified is errors.ErrUnsupported.
func (s *Store) Collect(ctx context.Context, roots []ID, o CollectOptions) (GraphReport, error) {
	if !o.DryRun {
		if err := s.mayWrite("collect", ""); err != nil {
			return GraphReport{}, err
		}
	}
	if o.Grace == 0 {
		o.Grace = defaultGrace
	}
	c := &collector{s: s, ctx: ctx, o: &o, start: time.Now(), absent: make(map[ID]bool), seen: make(map[ID]int64)}
	c.since = c.start.Add(-clockSkew).UTC().Truncate(time.Microsecond)
	err := c.run(roots)
	return c.report, s.fail("collect", "", err)
}

// A collector is one Collect.
type collector struct {
	s     *Store
	ctx   context.Context
	o     *CollectOptions
	start time.Time
	since time.Time // no write that commits after the start has an earlier time

	verified exactIDs    // records that were read whole: no other is ever put away
	marked   exactIDs    // what stays, present or not
	todo     []ID        // of these, those whose references are not marked yet
	absent   map[ID]bool // of these, those that were not there when last looked for
	// seen are records modified since c.since, with the revision that was read last: if they have
	// it still, they refer to nothing else.
	seen   map[ID]int64
	away   exactIDs // what was put away, by earlier runs too
	swept  exactIDs // what this run put away
	report GraphReport
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
	if err := c.follow(); err != nil {
		return err
	}
	// After the references were followed: a record that was put away meanwhile was either followed
	// before or is found now.
	if err := c.markQuarantined(); err != nil {
		return err
	}
	if err := c.catchUp(); err != nil {
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
			c.todo = append(c.todo, id)
		}
	}
}

// follow marks all that what is marked reaches.
func (c *collector) follow() error {
	for len(c.todo) > 0 {
		n := max(len(c.todo)-infoPage, 0)
		some := slices.Clone(c.todo[n:])
		c.todo = c.todo[:n]
		for _, id := range some {
			c.absent[id] = true
		}
		err := c.s.view(c.ctx, func(r driver.Reader) error {
			return c.s.links(c.ctx, r, some, 0, func(rec *driver.Record, h *codec.Header) {
				delete(c.absent, rec.ID)
				c.mark(h.Eager)
				c.mark(h.Lazy)
			})
		})
		if err != nil {
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
		p.c.seen[rec.ID] = rec.Revision
	}
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
	return c.follow()
}

// catchUp marks what has come to be reached since it was last called, and puts back what was put
// away and is reached now.
func (c *collector) catchUp() error {
	modified := &driver.Query{Parts: driver.Version, Columns: []string{driver.ColRevision},
		Where: []driver.Cond{{Column: driver.ColModified, Op: driver.Ge, Values: []any{c.since}}}}
	type version struct {
		id  ID
		rev int64
	}
	for v, err := range stream(&c.s.conn, c.ctx, "collect", infoPage, modified, nil, func(rec *driver.Record) version { return version{rec.ID, rec.Revision} }) {
		if err != nil {
			return unreadableRecord(err)
		}
		if rev, ok := c.seen[v.id]; ok && rev == v.rev && rev != 0 {
			continue
		}
		c.seen[v.id] = v.rev
		c.marked.add(v.id)
		c.todo = append(c.todo, v.id) // also where it was followed with its former references
	}
	if !slices.Contains(c.s.missing, driver.ColClaimUntil) {
		claimed := &driver.Query{Where: []driver.Cond{{Column: driver.ColClaimUntil, Op: driver.NotNull}}}
		for id, err := range stream(&c.s.conn, c.ctx, "collect", idPage, claimed, nil, func(rec *driver.Record) ID { return rec.ID }) {
			if err != nil {
				return unreadableRecord(err)
			}
			c.mark([]ID{id})
		}
	}
	for again := true; again; {
		// What was absent may have been put back, by this or by another program.
		c.todo = slices.AppendSeq(c.todo, maps.Keys(c.absent))
		if err := c.follow(); err != nil {
			return err
		}
		var err error
		if again, err = c.putBack(); err != nil {
			return err
		}
	}
	return nil
}

// putBack puts back what was put away and is reached now, and reports whether there was any.
func (c *collector) putBack() (bool, error) {
	some := false
	for _, id := range slices.Sorted(maps.Keys(c.absent)) {
		if !c.away.has(id) {
			continue
		}
		c.away.remove(id)
		if err := c.s.unquarantine(c.ctx, []ID{id}); err != nil {
			if errors.Is(err, ErrExists) || errors.Is(err, ErrNotFound) && !c.swept.has(id) {
				continue // another has made a record of that ID, put this one back or purged it
			}
			return false, fmt.Errorf("putting back %q, which something refers to now: %w", id, err)
		}
		some = true
		if !c.swept.has(id) {
			continue // an earlier run has put it away
		}
		c.swept.remove(id)
		c.report.Removed--
		c.report.Kept++
		c.report.IDs = slices.DeleteFunc(c.report.IDs, func(x ID) bool { return x == id })
	}
	return some, nil
}

// sweep puts away what is not marked.
func (c *collector) sweep() error {
	type found struct {
		id   ID
		size int64
	}
	q := &driver.Query{Parts: driver.Info, Columns: []string{driver.ColSize}}
	var batch []ID
	var size int64
	for f, err := range stream(&c.s.conn, c.ctx, "collect", infoPage, q, nil, func(rec *driver.Record) found { return found{rec.ID, rec.Size} }) {
		if err != nil {
			return unreadableRecord(err)
		}
		if c.marked.has(f.id) || !c.verified.has(f.id) {
			c.report.Kept++
			continue
		}
		batch = append(batch, f.id)
		if size += f.size; len(batch) >= collectBatch || size >= collectBytes {
			if err := c.putAway(batch); err != nil {
				return err
			}
			batch, size = nil, 0
		}
	}
	return c.putAway(batch)
}

// putAway puts the records with the IDs away, but for those that have come to be reached.
func (c *collector) putAway(ids []ID) error {
	if c.o.DryRun || len(ids) == 0 {
		for _, id := range ids {
			c.report.removed(id)
		}
		return nil
	}
	var all []putAway
	err := c.s.putAway(c.ctx, collectedReason, func() ([]putAway, error) {
		var err error
		if all, err = c.stored(ids); err != nil {
			return nil, err
		}
		// In this order: whoever changes one of the records after it was read, or claims it, makes
		// the step fail; whoever did so before is seen here.
		if err := c.catchUp(); err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(all, func(p putAway) bool { return c.marked.has(p.ID) })
		return all, nil
	})
	if err != nil {
		return err
	}
	c.report.Kept += int64(len(ids) - len(all))
	for i := range all {
		c.away.add(all[i].ID)
		c.swept.add(all[i].ID)
		c.report.removed(all[i].ID)
	}
	// A save that began before the step and committed before it refers to what is away now.
	return c.catchUp()
}

// stored reads records as they are stored; those that are gone it leaves out.
func (c *collector) stored(ids []ID) ([]putAway, error) {
	for {
		all, err := c.s.storedRecords(c.ctx, driver.Objects, ids)
		re, ok := errors.AsType[*driver.RecordError](err)
		if !ok || !errors.Is(err, ErrNotFound) {
			return all, err
		}
		ids = slices.DeleteFunc(slices.Clone(ids), func(id ID) bool { return id == re.ID })
	}
}
