package persistence

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// Unquarantine puts records back as they were, the latest of each ID; of an ID that no record in
// quarantine has, the pair or stray with that Key. All are put back in one atomic step, or none is:
// ErrNotFound names the first that is not in quarantine, ErrExists one whose ID is taken.
func (s *Store) Unquarantine(ctx context.Context, ids ...ID) error {
	if err := s.mayWrite("unquarantine", only(ids)); err != nil {
		return err
	}
	return s.fail("unquarantine", "", s.unquarantine(ctx, ids))
}

func (s *Store) unquarantine(ctx context.Context, ids []ID) error {
	if _, err := s.salvager(); err != nil {
		return err
	}
	latest := s.latest
	if len(ids) >= onePass {
		all, err := s.latestOf(ctx, ids)
		if err != nil {
			return err
		}
		latest = func(_ context.Context, id ID) (*quarantineEntry, error) {
			if all[id] == nil {
				return nil, errNotAway
			}
			return all[id], nil
		}
	}
	var ms []driver.Mutation
	seen := make(map[ID]bool, len(ids))
	for _, id := range ids {
		if seen[id] {
			continue
		}
		seen[id] = true
		p, err := latest(ctx, id)
		if err != nil {
			return &driver.RecordError{ID: id, Err: err}
		}
		if p.namespace() == driver.Pairs || p.Stray {
			if err := s.kv.c.prepare(ctx); err != nil && (!p.Stray || !unprepared(err)) {
				return err
			}
		}
		ms = append(ms, p.mutation(driver.Restore),
			driver.Mutation{Op: driver.Delete, Namespace: driver.Quarantine, Rec: driver.Record{ID: p.id}})
	}
	if len(ms) == 0 {
		return nil
	}
	_, err := s.apply(ctx, ms)
	return err
}

// latest returns what was put away last under an ID or, if there is none, under a key.
func (s *Store) latest(ctx context.Context, id ID) (*quarantineEntry, error) {
	find := func(prefix string, is func(*quarantineEntry) bool) (last *quarantineEntry, err error) {
		for p, err := range s.entries(ctx, prefix) {
			if err != nil && unprepared(err) && !concernsOneRecord(err) {
				return nil, nil
			}
			if err != nil && !concernsOneRecord(err) {
				return nil, err
			}
			if err == nil && is(p) && (last == nil || p.Time.After(last.Time)) {
				last = p
			}
		}
		return last, nil
	}
	p, err := find(quarantinePrefix(id, ""), func(p *quarantineEntry) bool { return p.ID == id && p.Key == "" })
	if err == nil && p == nil && id != "" {
		p, err = find(quarantinePrefix("", string(id)), func(p *quarantineEntry) bool { return p.Key == string(id) })
	}
	if err == nil && p == nil {
		err = errNotAway
	}
	return p, err
}

var errNotAway = fmt.Errorf("not in quarantine: %w", ErrNotFound)

// onePass is the number of IDs from which on the quarantine is read whole in place of looking for
// each.
const onePass = 64

// latestOf is latest for many IDs: those that are in quarantine.
func (s *Store) latestOf(ctx context.Context, ids []ID) (map[ID]*quarantineEntry, error) {
	wanted := make(map[ID]bool, len(ids))
	for _, id := range ids {
		wanted[id] = true
	}
	byID, byKey := make(map[ID]*quarantineEntry, len(ids)), make(map[ID]*quarantineEntry)
	for p, err := range s.entries(ctx, "") {
		if err != nil && !concernsOneRecord(err) {
			if unprepared(err) {
				break
			}
			return nil, err
		}
		if err != nil {
			continue
		}
		of, name := byID, p.ID
		if p.Key != "" {
			of, name = byKey, ID(p.Key)
		}
		if last := of[name]; wanted[name] && (last == nil || p.Time.After(last.Time)) {
			of[name] = p
		}
	}
	for name, p := range byKey {
		if byID[name] == nil {
			byID[name] = p
		}
	}
	return byID, nil
}

// Purge removes for good what was put away before a time, and returns how much that was.
func (s *Store) Purge(ctx context.Context, before time.Time) (int64, error) {
	if err := s.mayWrite("purge", ""); err != nil {
		return 0, err
	}
	n, err := s.purge(ctx, before)
	return n, s.fail("purge", "", err)
}

func (s *Store) purge(ctx context.Context, before time.Time) (n int64, err error) {
	where := []driver.Cond{{Column: driver.ColCreated, Op: driver.Lt, Values: []any{before.UTC().Truncate(time.Microsecond)}}}
	for {
		var ms []driver.Mutation
		err := s.quarantine.view(ctx, func(r driver.Reader) error {
			ms = nil
			for rec, err := range r.Scan(ctx, &driver.Query{Where: where, Limit: infoPage}) {
				if err != nil && !concernsOneRecord(err) {
					return err
				}
				if err == nil {
					ms = append(ms, driver.Mutation{Op: driver.Delete, Namespace: driver.Quarantine, Rec: driver.Record{ID: rec.ID}})
				}
			}
			return nil
		})
		if err != nil && unprepared(err) || err == nil && len(ms) == 0 {
			return n, nil
		}
		if err == nil {
			_, err = s.apply(ctx, ms)
		}
		if err != nil && !errors.Is(err, ErrNotFound) { // another Purge was quicker
			return n, err
		}
		if err == nil {
			n += int64(len(ms))
		}
	}
}
