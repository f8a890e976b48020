package persistence

import (
	"context"
	"errors"
	"slices"

	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence/driver"
)

// Remove deletes the records with the IDs, all or none. Records that they refer to stay, and
// references to them are left dangling. ErrNotFound names the first absent ID. (GC3Pie's
// SqlStore.remove.)
func (c *conn) Remove(ctx context.Context, ids ...ID) error {
	if err := c.s.mayWrite("remove", only(ids)); err != nil {
		return err
	}
	ms := make([]driver.Mutation, 0, len(ids))
	seen := make(map[ID]bool, len(ids))
	for _, id := range ids {
		if idfactory.Validate(id, c.s.ids.Integral()) != nil {
			return c.removeInvalid(ctx, ms, id)
		}
		if !seen[id] {
			seen[id] = true
			ms = append(ms, driver.Mutation{Op: driver.Delete, Rec: driver.Record{ID: id}})
		}
	}
	if len(ms) == 0 {
		return nil
	}
	_, err := c.apply(ctx, ms)
	return c.s.fail("remove", "", err)
}

// only returns the ID if there is but one, else "".
func only(ids []ID) ID {
	if len(ids) == 1 {
		return ids[0]
	}
	return ""
}

// removeInvalid finds the first absent ID: one of before, or else id, which no record of the
// store can have.
func (c *conn) removeInvalid(ctx context.Context, before []driver.Mutation, id ID) error {
	ids := make([]ID, 0, len(before))
	for _, m := range before {
		ids = append(ids, m.Rec.ID)
	}
	err := c.readOnce(ctx, func(r driver.Reader) error {
		recs, err := r.Get(ctx, ids, 0)
		for _, want := range ids {
			if !slices.ContainsFunc(recs, func(rec driver.Record) bool { return rec.ID == want }) && err == nil {
				id = want
				break
			}
		}
		return err
	})
	if err == nil {
		err = ErrNotFound
	}
	return c.s.fail("remove", id, err)
}

// RemoveAll removes the records that q selects, or all if q is nil, and returns their number.
// It works in atomic steps of a few hundred. A record that is changed meanwhile is removed only
// if q still selects it. References to removed records are left dangling. A record too damaged
// to tell whether q selects it stays, and is reported at the end; Remove can remove it.
// (APScheduler's remove_all_jobs, jobman's flush.)
func (c *conn) RemoveAll(ctx context.Context, q *Query) (n int64, err error) {
	if err := c.s.mayWrite("remove", ""); err != nil {
		return 0, err
	}
	var unreadable []error
	err = c.inChunks(ctx, q, func(dq *driver.Query, ids []ID) (int64, error) {
		done, err := c.removeChunk(ctx, dq, ids)
		if err == nil || !concernsOneRecord(err) {
			return done, err
		}
		for i := range ids { // all but those that cannot be read
			n, err := c.removeChunk(ctx, dq, ids[i:i+1])
			if err != nil && !concernsOneRecord(err) {
				return done, err
			}
			if done += n; err != nil {
				unreadable = append(unreadable, err)
			}
		}
		return done, nil
	}, &n)
	return n, c.s.fail("remove", "", join(err, unreadable))
}

// removeChunk removes the records with the IDs that dq selects.
func (c *conn) removeChunk(ctx context.Context, dq *driver.Query, ids []ID) (int64, error) {
	var err error
	for range maxAttempts {
		var ms []driver.Mutation
		err = c.readOnce(ctx, func(r driver.Reader) error {
			recs, err := c.matching(ctx, r, dq, ids, driver.Version)
			for _, rec := range recs {
				ms = append(ms, driver.Mutation{Op: driver.Delete, Rec: driver.Record{ID: rec.ID}, IfRev: rec.Revision})
			}
			return err
		})
		if err != nil || len(ms) == 0 {
			return 0, err
		}
		if _, err = c.apply(ctx, ms); err == nil {
			return int64(len(ms)), nil
		}
		if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrNotFound) {
			return 0, err
		}
	}
	return 0, err
}
