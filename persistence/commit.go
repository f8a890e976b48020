package persistence

import (
	"errors"
	"fmt"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// commit writes the records that differ and, once that has succeeded, updates what the objects
// know of their records.
//
// Saves of other goroutines may write the same objects. Each save marks the objects that it is
// about to write. A save that finds an object marked waits for the other save to end and then
// compares again; usually nothing is left to write.
func (sv *saver) commit() error {
	dirty, mine, err := sv.acquire()
	if err != nil {
		return err
	}
	defer close(mine.done)
	defer sv.unmark(dirty, mine)

	ms := make([]driver.Mutation, 0, len(dirty)+1)
	now := time.Now().UTC().Truncate(time.Microsecond)
	claim := sv.saving.claim
	for _, it := range dirty {
		m := sv.mutation(it, now)
		if ms = append(ms, m); m.Token != 0 {
			claim = nil // the claimed record is among those written
		}
	}
	if claim != nil {
		// This save does not write the claimed record: check the claim by itself.
		ms = append(ms, driver.Mutation{Op: driver.Check, Rec: driver.Record{ID: claim.info.ID}, Token: claim.token, Release: sv.saving.release})
	}
	if len(ms) == 0 {
		if err := sv.present(); err != nil {
			return err
		}
		sv.use()
		return nil
	}
	for _, it := range sv.items {
		if it.root && it.out == nil && (claim == nil || it.id != claim.info.ID) {
			ms = append(ms, driver.Mutation{Op: driver.Check, Rec: driver.Record{ID: it.id}})
		}
		it.out = nil // the mutation has it
	}
	sv.outputs, sv.chunk = nil, nil
	revs, err := sv.c.apply(sv.ctx, ms)
	if err != nil {
		if errors.Is(err, ErrUncertain) {
			for _, it := range dirty {
				sv.c.remember(it, sv.s.ids.Unique())
			}
		}
		return sv.explain(err)
	}
	sv.noteForeign(dirty)
	for i, it := range dirty {
		if it.ident != nil {
			sv.c.learn(it.ident, it.id, revs[i], it.digest, it.refs)
			if it.next != it.kept {
				it.ident.wrote(it.kept, it.next)
			}
		}
	}
	sv.use()
	return nil
}

// mutation returns the mutation that writes an item.
func (sv *saver) mutation(it *item, now time.Time) driver.Mutation {
	out := it.out
	m := driver.Mutation{
		Op: it.op,
		Rec: driver.Record{
			ID: it.id, Type: out.typ, State: out.state, Size: int64(len(out.data)),
			Created: now, Modified: now, Data: out.data, Fields: out.fields,
		},
		NewRefs: out.newRefs,
	}
	if claim := sv.saving.claim; claim != nil && it.id == claim.info.ID && it.op == driver.Update {
		m.Token, m.Release = claim.token, sv.saving.release
	}
	switch {
	case it.op == driver.Update && !it.force:
		m.IfRev = it.base.rev
	case it.op != driver.Update && (it.force || !sv.s.ids.Unique()):
		// A removed record may have had this ID. Whoever remembers its revisions must not mistake
		// this record for it.
		m.Rec.Revision = now.UnixMicro()
	}
	return m
}

// acquire marks the objects that differ as being written by this save, and returns their items.
// It leaves out an object if another save has meanwhile written the same bytes.
//
// Each attempt has a pendingSave of its own, which ends when the attempt gives up. A save that
// waits for this one must not wait for more than the attempt, because this save may in turn
// wait for that one.
func (sv *saver) acquire() ([]*item, *pendingSave, error) {
	for {
		mine := &pendingSave{done: make(chan struct{})}
		dirty, other, err := sv.tryAcquire(mine)
		if err == nil && other == nil {
			return dirty, mine, nil
		}
		close(mine.done)
		if err != nil {
			return nil, nil, err
		}
		select {
		case <-other.done:
		case <-sv.ctx.Done():
			return nil, nil, sv.ctx.Err()
		}
	}
}

// tryAcquire marks all the objects that differ. If another save is writing one of them it marks
// none and returns that save. No save waits while it has marked objects, so saves cannot
// deadlock.
func (sv *saver) tryAcquire(mine *pendingSave) (dirty []*item, other *pendingSave, err error) {
	n := 0
	for _, it := range sv.items {
		if it.out != nil {
			n++
		}
	}
	dirty = make([]*item, 0, n)
	for _, it := range sv.items {
		if it.out == nil {
			continue
		}
		if it.ident == nil {
			dirty = append(dirty, it)
			continue
		}
		var write bool
		if write, other, err = sv.mark(it, mine); other != nil || err != nil {
			sv.unmark(dirty, mine)
			return nil, other, err
		}
		if write {
			dirty = append(dirty, it)
		}
	}
	return dirty, nil, nil
}

// mark makes mine the writer of the item's object. If another save is writing the object, it
// returns that save. If another save has written the same bytes, it drops the item's output and
// reports false.
func (sv *saver) mark(it *item, mine *pendingSave) (write bool, other *pendingSave, err error) {
	it.ident.mu.Lock()
	defer it.ident.mu.Unlock()
	e := sv.c.entry(it.ident)
	current := e.id
	if current == "" {
		current = e.pending
	}
	switch {
	case e.writer != nil:
		return false, e.writer, nil
	case it.force:
	case current != it.id || e.tried != it.base.tried:
		return false, nil, errAgain
	case e.id == it.base.id && e.rev == it.base.rev && e.digest == it.base.digest:
	case e.digest == it.digest:
		it.out = nil
		return false, nil, nil
	default:
		return false, nil, errAgain
	}
	e.writer = mine
	return true, nil, nil
}

func (sv *saver) unmark(items []*item, mine *pendingSave) {
	for _, it := range items {
		if it.ident == nil {
			continue
		}
		it.ident.mu.Lock()
		if b := sv.c.entry(it.ident); b.writer == mine {
			b.writer = nil
		}
		it.ident.mu.Unlock()
	}
}

// use makes this store the last used one of every object that the save reached.
func (sv *saver) use() {
	for _, it := range sv.items {
		if it.ident == nil {
			continue
		}
		it.ident.mu.Lock()
		if b := sv.c.entry(it.ident); b.id != "" {
			it.ident.last = b
		}
		it.ident.mu.Unlock()
	}
}

// present checks that every root still exists if there is nothing to write.
func (sv *saver) present() error {
	var ids []ID
	for _, it := range sv.items {
		if it.root {
			ids = append(ids, it.id)
		}
	}
	there := make(map[ID]bool, len(ids))
	err := sv.c.readOnce(sv.ctx, func(r driver.Reader) error {
		recs, err := r.Get(sv.ctx, ids, 0)
		for i := range recs {
			there[recs[i].ID] = true
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		if !there[id] {
			return &driver.RecordError{ID: id, Err: errRemoved}
		}
	}
	return nil
}

// explain adds the objects concerned to an error of the backend.
func (sv *saver) explain(err error) error {
	re, ok := errors.AsType[*driver.RecordError](err)
	if !ok {
		return err
	}
	var it *item
	for _, candidate := range sv.items {
		if candidate.id == re.ID {
			it = candidate
			break
		}
	}
	if it == nil {
		return err
	}
	typ, _ := records.TypeName(typeOf(it.obj))
	switch {
	case errors.Is(err, ErrNotFound) && !it.force:
		return &driver.RecordError{ID: re.ID, Err: errRemoved} // in a table without revisions
	case errors.Is(err, driver.ErrRemoved):
		return &driver.RecordError{ID: re.ID, Err: errRemoved}
	case errors.Is(err, ErrConflict) && !errors.Is(err, driver.ErrClaimLost):
		return &driver.RecordError{ID: re.ID, Err: fmt.Errorf("%w: load it again and repeat the change", re.Err)}
	case errors.Is(err, ErrDangling) && it.op == driver.Create && !it.force:
		return &Error{Op: sv.saving.op, URL: sv.s.url,
			Err: fmt.Errorf("new %s refers to %q: %w", typ, re.Ref, re.Err)}
	case errors.Is(err, ErrDangling):
		return &Error{Op: sv.saving.op, ID: re.ID, URL: sv.s.url,
			Err: fmt.Errorf("%s refers to %q: %w", typ, re.Ref, re.Err)}
	case errors.Is(err, ErrTooLarge):
		enc := records.NewEncoder(sv.s.limits, sv)
		defer enc.Free()
		if field, size := enc.Largest(it.obj); field != "" {
			return &driver.RecordError{ID: re.ID, Err: fmt.Errorf("%w; the largest field is %s.%s with %d", re.Err, typ, field, size)}
		}
	}
	return err
}
