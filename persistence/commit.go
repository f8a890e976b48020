package persistence

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// commit writes what differs, and tells the objects once that has succeeded.
//
// Saves of other goroutines may have met the same objects. Each save claims the objects it is
// about to write; one that finds an object claimed waits for that save to land and then looks
// again: mostly there is nothing left to write.
func (sv *saver) commit() error {
	dirty, fl, err := sv.claim()
	if err != nil {
		return err
	}
	defer close(fl.done)
	defer sv.unclaim(dirty, fl)

	ms := make([]driver.Mutation, 0, len(dirty)+1)
	now := time.Now().UTC().Truncate(time.Microsecond)
	held := sv.saving.held
	for _, it := range dirty {
		m := sv.mutation(it, now)
		if ms = append(ms, m); m.Token != 0 {
			held = nil // it is seen to
		}
	}
	if held != nil {
		// The claimed record is not written, or not by this save: the claim is looked at all the same.
		ms = append(ms, driver.Mutation{Op: driver.Check, Rec: driver.Record{ID: held.info.ID}, Token: held.token, Release: sv.saving.done})
	}
	if len(ms) == 0 {
		if err := sv.present(); err != nil {
			return err
		}
		sv.use()
		return nil
	}
	for _, it := range sv.items {
		if it.root && it.data == nil && (held == nil || it.id != held.info.ID) {
			ms = append(ms, driver.Mutation{Op: driver.Check, Rec: driver.Record{ID: it.id}})
		}
	}
	revs, err := sv.s.apply(sv.ctx, ms)
	if err != nil {
		if errors.Is(err, ErrUncertain) {
			for _, it := range dirty {
				it.remember(sv.s.ids.Unique())
			}
		}
		return sv.explain(err)
	}
	for i, it := range dirty {
		if it.ident == nil {
			continue
		}
		it.ident.mu.Lock()
		it.ident.learn(it.ident.in(sv.s.ident), it.id, revs[i], it.digest, it.refs)
		it.ident.mu.Unlock()
	}
	sv.use()
	return nil
}

// claim claims the objects that differ and returns the items to write, and the flight that holds the
// claims. An object that another save has meanwhile written as this one would is left out.
//
// Each attempt is a flight of its own, over when the attempt gives up: who waits for it must not
// have to wait for the whole save, which may be waiting for him.
func (sv *saver) claim() ([]*item, *flight, error) {
	for {
		fl := &flight{done: make(chan struct{})}
		dirty, other, err := sv.tryClaim(fl)
		if err == nil && other == nil {
			return dirty, fl, nil
		}
		close(fl.done)
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

// tryClaim claims for fl all the objects that differ or, where another flight has one of them,
// none, and returns that flight. Nobody waits while holding claims, so saves cannot wait for
// each other in a circle.
func (sv *saver) tryClaim(fl *flight) (dirty []*item, other *flight, err error) {
	for _, it := range sv.items {
		if it.data == nil {
			continue
		}
		if it.ident == nil {
			dirty = append(dirty, it)
			continue
		}
		it.ident.mu.Lock()
		b := it.ident.in(sv.s.ident)
		current := b.id
		if current == "" {
			current = b.pending
		}
		switch {
		case b.flight != nil:
			other = b.flight
		case it.force:
			b.flight = fl
			dirty = append(dirty, it)
		case current != it.id || b.tried != it.base.tried:
			err = errAgain
		case b.id == it.base.id && b.rev == it.base.rev && b.digest == it.base.digest:
			b.flight = fl
			dirty = append(dirty, it)
		case b.digest == it.digest:
			it.data = nil // written by another save meanwhile
		default:
			err = errAgain
		}
		it.ident.mu.Unlock()
		if other != nil || err != nil {
			sv.unclaim(dirty, fl)
			return nil, other, err
		}
	}
	return dirty, nil, nil
}

func (sv *saver) unclaim(items []*item, fl *flight) {
	for _, it := range items {
		if it.ident == nil {
			continue
		}
		it.ident.mu.Lock()
		if b := it.ident.in(sv.s.ident); b.flight == fl {
			b.flight = nil
		}
		it.ident.mu.Unlock()
	}
}

// use makes this store the last used one of every object that the save has met.
func (sv *saver) use() {
	for _, it := range sv.items {
		if it.ident == nil {
			continue
		}
		it.ident.mu.Lock()
		if b := it.ident.in(sv.s.ident); b.id != "" {
			it.ident.last = b
		}
		it.ident.mu.Unlock()
	}
}

// present checks that every root is still there, when there is nothing to write.
func (sv *saver) present() error {
	var ids []ID
	for _, it := range sv.items {
		if it.root {
			ids = append(ids, it.id)
		}
	}
	there := make(map[ID]bool, len(ids))
	err := sv.s.readOnce(sv.ctx, func(r driver.Reader) error {
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
			return &driver.RecordError{ID: id, Err: ErrConflict}
		}
	}
	return nil
}

// explain names the objects that an error of the backend concerns.
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
	switch {
	case errors.Is(err, ErrNotFound) && !it.force:
		return &driver.RecordError{ID: re.ID, Err: ErrConflict} // removed since, in a table without revisions
	case errors.Is(err, ErrDangling) && it.op == driver.Create && !it.force:
		return &Error{Op: sv.saving.op, URL: sv.s.url,
			Err: fmt.Errorf("new %s refers to %q: %w", it.typ, re.Ref, re.Err)}
	case errors.Is(err, ErrDangling):
		return &Error{Op: sv.saving.op, ID: re.ID, URL: sv.s.url,
			Err: fmt.Errorf("%s refers to %q: %w", it.typ, re.Ref, re.Err)}
	case errors.Is(err, ErrTooLarge):
		enc := records.NewEncoder(sv.s.limits, sv)
		defer enc.Free()
		if field, size := enc.Largest(it.obj); field != "" {
			return &driver.RecordError{ID: re.ID, Err: fmt.Errorf("%w; the largest field is %s.%s with %d", re.Err, it.typ, field, size)}
		}
	}
	return err
}

// remember keeps what an uncertain save tried to write of an object. unique says that the store makes no ID twice.
func (it *item) remember(unique bool) {
	if it.ident == nil {
		return
	}
	it.ident.mu.Lock()
	defer it.ident.mu.Unlock()
	it.ident.in(it.base.store).tried = &attempt{
		id: it.id, created: unique && it.made && it.op == driver.Create, digest: it.digest, refs: it.refs}
}

// settle finds out whether uncertain saves had succeeded: it reads their records, and equal
// bytes mean that they had. It returns the items of which that is so.
func (s *Store) settle(ctx context.Context, items []*item) (landed []*item, err error) {
	ids := make([]ID, 0, len(items))
	tried := make([]*attempt, len(items))
	for i, it := range items {
		it.ident.mu.Lock()
		tried[i] = it.ident.in(s.ident).tried
		it.ident.mu.Unlock()
		if tried[i] != nil {
			ids = append(ids, tried[i].id)
		}
	}
	found := make(map[ID]driver.Record, len(ids))
	err = s.readOnce(ctx, func(r driver.Reader) error {
		recs, err := r.Get(ctx, ids, loadParts)
		for _, rec := range recs {
			found[rec.ID] = rec
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("finding out how the last save ended: %w", err)
	}
	var scratch []byte
	for i, it := range items {
		if tried[i] == nil {
			continue
		}
		rec, there := found[tried[i].id]
		var d digest
		if there {
			d, scratch = digestOf(scratch, rec.State, rec.Fields, rec.Data)
		}
		it.ident.mu.Lock()
		b := it.ident.in(s.ident)
		if b.tried == tried[i] {
			switch {
			case there && d == b.tried.digest:
				it.ident.learn(b, rec.ID, rec.Revision, d, b.tried.refs)
				landed = append(landed, it)
			case there && b.tried.created: // it is ours, and someone has changed it since
				it.ident.learn(b, rec.ID, min(rec.Revision, 1), b.tried.digest, b.tried.refs)
			default:
				b.tried = nil
			}
		}
		it.ident.mu.Unlock()
	}
	return landed, nil
}

// renew gives another ID to each new object whose ID turned out to be taken, and reports
// whether it could. skip is how many numbers to leave out, lest the next ones be taken too.
func (sv *saver) renew(cause error, skip int) (bool, error) {
	re, ok := errors.AsType[*driver.RecordError](cause)
	if !ok || !sv.s.ids.Unique() {
		return false, nil
	}
	var made []ID
	items := make(map[ID]*item)
	for _, it := range sv.items {
		if it.made && it.op == driver.Create {
			made = append(made, it.id)
			items[it.id] = it
		}
	}
	if items[re.ID] == nil {
		return false, nil
	}
	err := sv.s.readOnce(sv.ctx, func(r driver.Reader) error {
		recs, err := r.Get(sv.ctx, made, 0)
		for _, rec := range recs {
			items[rec.ID].forgetPending(sv.s.ident)
		}
		return err
	})
	if err != nil {
		return false, err
	}
	items[re.ID].forgetPending(sv.s.ident)
	return true, sv.s.numbers.skip(sv.ctx, skip)
}

// forgetPending makes the object's next save take another ID.
func (it *item) forgetPending(store storeID) {
	if it.ident == nil {
		return
	}
	it.ident.mu.Lock()
	defer it.ident.mu.Unlock()
	if b := it.ident.in(store); b.pending == it.id && b.flight == nil {
		b.pending = ""
	}
}
