package persistence

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// catchUp marks what has come to be reached since it was last called. r reads; nil: a view for each
// page does.
func (c *collector) catchUp(r driver.Reader) error {
	began := time.Now()
	modified := driver.Query{Parts: driver.Version, Columns: []string{driver.ColRevision},
		Where: []driver.Cond{{Column: driver.ColModified, Op: driver.Ge, Values: []any{c.since}}}}
	err := c.scan(r, modified, func(rec *driver.Record) {
		if !c.see(rec) {
			c.marked.add(rec.ID)
			c.pending = append(c.pending, rec.ID) // also where it was followed with its former references
		}
	})
	if err == nil && !slices.Contains(c.s.missing, driver.ColClaimUntil) {
		claimed := driver.Query{Where: []driver.Cond{{Column: driver.ColClaimUntil, Op: driver.NotNull}}}
		err = c.scan(r, claimed, func(rec *driver.Record) { c.mark([]ID{rec.ID}) })
	}
	if err != nil {
		return unreadableRecord(err)
	}
	// What was absent may have been put back, by this or by another program.
	c.pending = slices.AppendSeq(c.pending, maps.Keys(c.absent))
	if err := c.follow(r); err != nil {
		return err
	}
	if since := notBefore(began); since.After(c.since) {
		c.since = since
	}
	return nil
}

// scan calls each with the records of a query. r reads; nil: a view for each page does.
func (c *collector) scan(r driver.Reader, q driver.Query, each func(*driver.Record)) error {
	if r != nil {
		return scanPages(c.ctx, r, q, infoPage, each, func() error { return nil })
	}
	for rec, err := range stream(&c.s.conn, c.ctx, "collect", infoPage, &q, nil, func(rec *driver.Record) driver.Record { return *rec }) {
		if err != nil {
			return err
		}
		each(&rec)
	}
	return nil
}

// putBack catches up and puts back what was put away and is reached now, until there is none.
func (c *collector) putBack() error {
	for {
		if err := c.catchUp(nil); err != nil {
			return err
		}
		some := false
		for _, id := range slices.Sorted(maps.Keys(c.absent)) {
			if !c.away.has(id) {
				continue
			}
			back, err := c.putOneBack(id)
			if err != nil {
				return fmt.Errorf("putting back %q, which something refers to now: %w", id, err)
			}
			some = some || back
		}
		if !some {
			return nil
		}
	}
}

// putOneBack puts back a record that was put away, and reports whether it was still there.
func (c *collector) putOneBack(id ID) (bool, error) {
	c.away.remove(id)
	if err := c.s.unquarantine(c.ctx, []ID{id}); err != nil {
		if errors.Is(err, ErrExists) || errors.Is(err, ErrNotFound) && !c.swept.has(id) {
			return false, nil // another has made a record of that ID, put this one back or purged it
		}
		return false, err
	}
	if c.swept.has(id) { // else an earlier run has put it away
		c.swept.remove(id)
		c.report.Removed--
		c.report.Kept++
		c.report.IDs = slices.DeleteFunc(c.report.IDs, func(x ID) bool { return x == id })
	}
	return true, nil
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
		if size += f.size; len(batch) >= c.step || size >= int64(c.step)*stepBytes {
			if err := c.moveToQuarantine(batch); err != nil {
				return err
			}
			batch, size = nil, 0
		}
	}
	return c.moveToQuarantine(batch)
}

// errReached: something that was put away before is reached now.
var errReached = errors.New("something in quarantine is reached")

// moveToQuarantine puts the records with the IDs away, but for those that have come to be reached.
func (c *collector) moveToQuarantine(ids []ID) error {
	if c.o.DryRun || len(ids) == 0 {
		for _, id := range ids {
			c.report.removed(id)
		}
		return nil
	}
	if err := c.s.quarantine.prepare(c.ctx); err != nil {
		return err
	}
	for range maxAttempts {
		began := time.Now()
		away, err := c.quarantineStored(ids)
		switch {
		case err == nil:
			c.report.Kept += int64(len(ids) - len(away))
			for _, id := range away {
				c.away.add(id)
				c.swept.add(id)
				c.report.removed(id)
			}
			if c.rereadIn > time.Since(began)/2 {
				c.step = min(2*c.step, largestStep)
			}
			if c.beside {
				// A save that began before the step and committed before it refers to what is away.
				return c.putBack()
			}
			return nil
		case errors.Is(err, errReached):
			if err := c.putBack(); err != nil {
				return err
			}
		case !changedMeanwhile(err):
			return err
		}
	}
	return fmt.Errorf("gave up after %d attempts: %w", maxAttempts, ErrConflict)
}

// quarantineStored reads records as they are stored and puts them away, but for those that are
// reached now. It returns the IDs of those that it has put away.
func (c *collector) quarantineStored(ids []ID) ([]ID, error) {
	all, err := c.stored(ids)
	if err != nil {
		return nil, err
	}
	ms, err := quarantineMutations(all, collectedReason)
	if err != nil {
		return nil, err
	}
	// Whoever changes one of the records after it was read here, or claims it, makes the step fail;
	// whoever did so before is seen below.
	var away []ID
	decide := func(x driver.Exclusive) ([]driver.Mutation, error) {
		began := time.Now()
		if !x.Quiet {
			if err := c.catchUp(x.Reader); err != nil {
				return nil, err
			}
		}
		c.rereadIn = time.Since(began)
		for id := range c.absent {
			if c.away.has(id) {
				return nil, errReached
			}
		}
		var garbage []driver.Mutation
		away = nil
		for i := range all {
			if !c.marked.has(all[i].ID) {
				away = append(away, all[i].ID)
				garbage = append(garbage, ms[2*i], ms[2*i+1])
			}
		}
		return garbage, nil
	}
	if !c.beside {
		mark, supported, err := c.s.applyExclusive(c.ctx, c.after, decide)
		if supported {
			c.after = mark
			return away, err
		}
		c.beside = true
	}
	garbage, err := decide(driver.Exclusive{})
	if err == nil && len(garbage) > 0 {
		_, err = c.s.apply(c.ctx, garbage)
	}
	return away, err
}

// stored reads records as they are stored; those that are gone it leaves out.
func (c *collector) stored(ids []ID) ([]quarantineEntry, error) {
	for {
		all, err := c.s.storedRecords(c.ctx, driver.Objects, ids)
		re, ok := errors.AsType[*driver.RecordError](err)
		if !ok || !errors.Is(err, ErrNotFound) {
			return all, err
		}
		ids = slices.DeleteFunc(slices.Clone(ids), func(id ID) bool { return id == re.ID })
	}
}
