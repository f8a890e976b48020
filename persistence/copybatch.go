package persistence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

const (
	// copyRounds is how often a batch is tried that others write in dst.
	copyRounds = 5
	// copyGrace is what a batch that was begun gets after the end of the context, so that what is
	// written is also counted.
	copyGrace = 2 * time.Second
)

// graceful returns a context that ends some time after ctx does.
func graceful(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	later, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(grace):
			cancel(context.Cause(ctx))
		case <-later.Done():
		}
	})
	return later, func() {
		stop()
		cancel(nil)
	}
}

// A copyBatch is a batch of records of one namespace.
type copyBatch struct {
	*copying
	parent context.Context    // after its end no batch is begun
	ctx    context.Context    // ends some time after parent
	end    context.CancelFunc // must be called
	to     *conn
	page   copiedPage
	early  []driver.Record  // of later batches: see takeHolder
	tried  map[ID]driver.Op // that were written; Update: overwritten
	unread []driver.Record  // that were written and are to be read back
}

// newBatch returns a batch of what was read.
func (cp *copying) newBatch(ctx context.Context, to *conn, page copiedPage) *copyBatch {
	b := &copyBatch{copying: cp, parent: ctx, to: to, page: page}
	b.ctx, b.end = graceful(ctx, copyGrace)
	return b
}

// write writes what dst is to have, in one step.
func (b *copyBatch) write() error {
	if err := b.parent.Err(); err != nil || len(b.page.recs) == 0 {
		return err
	}
	if b.to == b.copying.to && !b.o.DryRun {
		var highest int64
		for i := range b.page.recs {
			if n, ok := b.page.recs[i].ID.Seq(); ok {
				highest = max(highest, n)
			}
		}
		if err := b.raiseAbove(b.ctx, highest); err != nil {
			return err
		}
	}
	var err error
	for round := 0; round < copyRounds; round++ {
		err = b.try()
		if errors.Is(err, ErrUnique) {
			more, failed := b.takeHolder(err)
			if failed != nil {
				return failed
			}
			if more {
				round--
				continue
			}
		}
		if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrUncertain) && !errors.Is(err, errTaken) {
			break
		}
	}
	if err == nil && len(b.early) > 0 {
		b.mu.Lock()
		defer b.mu.Unlock()
		for i := range b.early {
			b.copiedEarly[b.early[i].ID] = true
		}
	}
	return err
}

// verify reads back what was written and compares it. What someone has removed meanwhile is written
// again.
func (b *copyBatch) verify() error {
	for range copyRounds {
		err := b.readBack()
		if !errors.Is(err, ErrConflict) {
			return err
		}
		if err := b.write(); err != nil {
			return err
		}
	}
	return b.readBack()
}

// errTaken: what was not there is there now.
var errTaken = errors.New("the record was made meanwhile")

// try compares the records with what dst has, and writes those that it is to have.
func (b *copyBatch) try() error {
	b.unread = nil
	recs := b.page.recs
	if len(b.early) > 0 {
		recs = slices.Concat(recs, b.early)
	}
	found, damaged, err := b.inDst(recs)
	if err != nil {
		return err
	}
	var ms []driver.Mutation
	var away []ID
	var done CopyReport
	for i := range recs {
		rec := &recs[i]
		was, bad := found[rec.ID], damaged[rec.ID]
		if was == nil && bad == nil {
			ms = append(ms, driver.Mutation{Op: driver.Import, Rec: *rec})
			done.Copied++
			continue
		}
		path := "what can be read of it"
		if bad == nil {
			path = b.difference(was, rec)
		}
		switch {
		case path == "":
			b.countSame(rec.ID, &done)
			continue
		case b.o.Existing == SkipExisting:
			done.Skipped++
			continue
		case b.o.Existing == FailExisting && bad != nil:
			return &driver.RecordError{ID: rec.ID, Err: fmt.Errorf("the destination has it, and it cannot be read there: %w: %w", ErrExists, bad)}
		case b.o.Existing == FailExisting:
			return &driver.RecordError{ID: rec.ID, Err: fmt.Errorf("the destination has another one, which differs in %s: %w", path, ErrExists)}
		}
		m := driver.Mutation{Op: driver.Import, Rec: *rec}
		m.Rec.Revision++
		if was != nil {
			m.IfRev, m.Rec.Revision = max(was.Revision, 1), max(was.Revision, rec.Revision)+1
			if _, err := records.Parse(was.Data, quarantineLimits); err != nil {
				bad = err
			}
		}
		if bad != nil {
			m.IfRev, away = 0, append(away, rec.ID)
		}
		ms = append(ms, m)
		if i < len(b.page.recs) {
			done.Overwritten++
		}
	}
	if len(ms) > 0 && !b.o.DryRun {
		if err := b.moveToQuarantine(away); err != nil {
			return err
		}
		if err := b.apply(ms); err != nil {
			return err
		}
	}
	if b.to != b.copying.to {
		done = CopyReport{Pairs: int64(len(ms))}
	}
	b.page.done = done
	return nil
}

// countSame counts a record that dst has, which an earlier attempt or batch may have written.
func (b *copyBatch) countSame(id ID, done *CopyReport) {
	b.mu.Lock()
	early := b.copiedEarly[id]
	b.mu.Unlock()
	switch op := b.tried[id]; {
	case op == driver.Create:
		done.Copied++
	case op == driver.Update || early:
		done.Overwritten++
	default:
		done.Same++
	}
}

// copyEarly is how many records of later batches a batch has at most.
const copyEarly = 64

// takeHolder adds the record to the batch that has, in dst, the values of one of the batch in a
// unique index, and that a later batch is to give others: such values may be exchanged. It reports
// false if there is none.
func (b *copyBatch) takeHolder(err error) (bool, error) {
	taken, ok := errors.AsType[*driver.UniqueError](err)
	if !ok || b.o.Existing != OverwriteExisting || b.snapshot != nil || b.query.Limit > 0 || len(b.early) == copyEarly {
		return false, nil
	}
	is := func(rec driver.Record) bool { return rec.ID == taken.Holder }
	if slices.ContainsFunc(b.page.recs, is) || slices.ContainsFunc(b.early, is) {
		return false, nil
	}
	recs, _, err := getEach(b.ctx, b.from, nil, []ID{taken.Holder}, copyParts)
	if err != nil {
		return false, b.ofSrc(err)
	}
	if len(recs) == 0 || b.reached != nil && !b.reached[taken.Holder] {
		return false, nil
	}
	values := driver.NewColumns(driver.Schema{IntegerIDs: b.src.ids.Integral(), Fields: b.fields})
	if _, err := records.Parse(recs[0].Data, b.src.limits); err != nil || !values.Match(b.query, &recs[0]) {
		return false, nil //nolint:nilerr // its own batch reports it
	}
	b.early = append(b.early, recs[0])
	return true, nil
}

// moveToQuarantine puts damaged records of dst, which are to be replaced, into its quarantine.
func (b *copyBatch) moveToQuarantine(ids []ID) error {
	if len(ids) == 0 {
		return nil
	}
	err := b.dst.moveToQuarantine(b.ctx, "it was damaged, and Copy has replaced it", func() ([]quarantineEntry, error) {
		return b.dst.storedRecords(b.ctx, b.to.namespace.Storage(), ids)
	})
	if err != nil {
		return fmt.Errorf("a damaged record of the destination, before it is replaced: %w", err)
	}
	return nil
}

// inDst returns what dst has of the IDs of some records, and the errors of what cannot be read.
func (b *copyBatch) inDst(recs []driver.Record) (found map[ID]*driver.Record, damaged map[ID]error, err error) {
	ids := make([]ID, len(recs))
	for i := range recs {
		ids[i] = recs[i].ID
	}
	got, bad, err := getEach(b.ctx, b.to, nil, ids, copyParts)
	if b.o.DryRun && b.to != b.copying.to && unprepared(err) {
		return nil, nil, nil // there are no pairs yet
	}
	if err != nil {
		return nil, nil, err
	}
	found, damaged = make(map[ID]*driver.Record, len(got)), make(map[ID]error, len(bad))
	for i := range got {
		found[got[i].ID] = &got[i]
	}
	for _, err := range bad {
		damaged[recordOf(err)] = err
	}
	return found, damaged, nil
}

// apply writes records.
func (b *copyBatch) apply(ms []driver.Mutation) error {
	recs := make([]driver.Record, len(ms))
	for i := range ms {
		if b.to == b.copying.to {
			set, err := b.set(b.ctx, ms[i].Rec.ColumnSet)
			if err != nil {
				return err
			}
			ms[i].Rec.ColumnSet = set
		}
		recs[i] = ms[i].Rec
	}
	_, err := b.to.apply(b.ctx, ms)
	if errors.Is(err, ErrExists) {
		return fmt.Errorf("%w: %w", errTaken, err)
	}
	if err == nil || errors.Is(err, ErrUncertain) {
		b.remember(ms)
	}
	b.unread = recs
	return err
}

// readBack compares what was written with what dst has now.
func (b *copyBatch) readBack() error {
	if len(b.unread) == 0 {
		return nil
	}
	found, damaged, err := b.inDst(b.unread)
	if err != nil {
		return err
	}
	for i := range b.unread {
		rec := &b.unread[i]
		if err := b.compare(rec, found[rec.ID], damaged[rec.ID]); err != nil {
			return &driver.RecordError{ID: rec.ID, Err: err}
		}
	}
	return nil
}

// remember keeps which records were written, for another attempt.
func (b *copyBatch) remember(ms []driver.Mutation) {
	if b.tried == nil {
		b.tried = make(map[ID]driver.Op)
	}
	for i := range ms {
		op := driver.Create
		if ms[i].IfRev != 0 {
			op = driver.Update
		}
		b.tried[ms[i].Rec.ID] = op
	}
}

// compare compares a record that was written with what dst has now.
func (b *copyBatch) compare(rec, got *driver.Record, damaged error) error {
	switch {
	case damaged != nil:
		return fmt.Errorf("what was written cannot be read back: %w", damaged)
	case got == nil:
		return fmt.Errorf("it is gone since it was copied: %w", ErrConflict)
	case got.Revision != 0 && got.Revision != rec.Revision:
		return nil // someone has written it since
	}
	path := b.difference(got, rec)
	if path == "" && !b.lacks(driver.ColCreated) && !got.Created.Equal(rec.Created) {
		path = driver.ColCreated
	}
	if path == "" && !b.lacks(driver.ColModified) && !got.Modified.Equal(rec.Modified) {
		path = driver.ColModified
	}
	if path != "" {
		return fmt.Errorf("what was written is read back with another %s: %w", path, ErrCorrupt)
	}
	return nil
}

// lacks reports whether one of the stores does not have a library column.
func (cp *copying) lacks(column string) bool {
	return slices.Contains(cp.src.missing, column) || slices.Contains(cp.dst.missing, column)
}

// difference names the first part in which two records differ, or returns "".
func (cp *copying) difference(a, b *driver.Record) string {
	switch {
	case a.Type != b.Type && !cp.lacks(driver.ColType):
		return driver.ColType
	case a.State != b.State:
		return driver.ColState
	case !bytes.Equal(a.Data, b.Data):
		return "data"
	case sameFields(a.Fields, b.Fields):
		return ""
	}
	for i := range min(len(a.Fields), len(b.Fields)) {
		if !sameFields(a.Fields[i:i+1], b.Fields[i:i+1]) {
			return cp.fields[i].Name
		}
	}
	return ""
}
