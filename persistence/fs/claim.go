package fs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/fs/internal/claimindex"
)

var _ driver.Claimer = (*Backend)(nil)

// free reports whether a claim keeps nobody from claiming.
func free(c *driver.Claim, now time.Time) bool { return c.Owner == "" || !c.Until.After(now) }

// now is the time by which claims are made and lapse.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// lockForClaims takes the lock for a call that deals with claims.
func (b *Backend) lockForClaims(ctx context.Context) (*lock, error) {
	l, err := b.exclusive(ctx)
	if err != nil {
		return nil, err
	}
	if err := l.checkIdentity(); err != nil {
		l.release()
		return nil, err
	}
	if l.h.gate == nil && !lockDirs {
		l.release()
		return nil, fmt.Errorf("claims: %w: directory %s has no %s to lock, and none may be made", errors.ErrUnsupported, b.path, lockName)
	}
	return l, nil
}

// commitClaims commits changes of claims.
func (l *lock) commitClaims(ctx context.Context, changes []change) error {
	if err := l.commit(ctx, changes); err != nil {
		return readOnly(err)
	}
	l.applied(changes)
	return nil
}

// Claim looks for records in an index in memory, then reads their files, and writes those anew,
// data and all, with the claim in the header. The clock is that of the machine. The first call
// makes the index, for which it reads the headers of all records; see the package documentation. A
// damaged record is passed over, with a warning in the log.
func (b *Backend) Claim(ctx context.Context, q *driver.Query, c driver.Claiming) ([]driver.Record, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	if err := b.begin(); err != nil {
		return nil, err
	}
	defer b.calls.Done()
	s, err := b.ready()
	if err != nil {
		return nil, err
	}
	l, err := b.lockForClaims(ctx)
	if err != nil {
		return nil, err
	}
	defer l.release()
	x, err := l.sync(ctx, s[driver.Objects])
	if err != nil {
		return nil, readOnly(err)
	}
	cl := claimer{lock: l, index: x, q: q, Claiming: c, now: now()}
	if err := cl.collect(ctx); err != nil {
		return nil, err
	}
	if err := l.commitClaims(ctx, cl.changes); err != nil {
		return nil, err
	}
	return cl.claimed, nil
}

// A claimer is a Claim under way.
type claimer struct {
	*lock
	index *index
	q     *driver.Query
	driver.Claiming
	now     time.Time
	changes []change
	made    map[string]*change // changes by the names of their files
	claimed []driver.Record    // what the changes come down to, for the caller
}

// collect finds what to claim.
func (cl *claimer) collect(ctx context.Context) error {
	var after *driver.Cursor
	const least = 16
	for n := max(least, cl.Limit); ; {
		n = min(n, max(least, cl.index.Len()))
		found := cl.index.Pick(cl.q, after, n, func(e *claimindex.Entry) bool { return free(&e.Claim, cl.now) })
		for i := range found {
			if len(cl.changes) == cl.Limit {
				return nil
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := cl.take(ctx, found[i].Name); err != nil {
				return err
			}
		}
		if len(found) < n || len(cl.changes) == cl.Limit {
			return nil
		}
		after = &found[n-1].Cursor
		n *= 4 // Edit refuses many: do not go through all of them for a few each time
	}
}

// take claims one record if its file says that it may.
func (cl *claimer) take(ctx context.Context, name string) error {
	h, data, err := cl.readRecord(name)
	rec := h.record()
	if err == nil {
		if err = cl.index.schema.setFields(&rec, h.fields); err != nil {
			err = damaged(err)
		}
	}
	switch {
	case unreadable(err):
		cl.unclaimable(name, err)
		cl.index.Remove(name)
		return nil
	case errors.Is(err, errAbsent), err == nil &&
		(fileName(h.id) != name || !free(&rec.Claim, cl.now) || !cl.index.schema.columns.Match(cl.q, &rec)):
		cl.b.index = nil // somebody has changed files by hand
		return nil
	case err != nil:
		return err
	}
	if cl.Edit != nil {
		rec.Data = data
		if !cl.accepts(&rec) {
			return nil
		}
		before := h
		h.typ, h.state, h.modified = rec.Type, rec.State, rec.Modified
		h.fields = cl.index.schema.merge(rec.Fields, h.fields)
		h.size, data = int64(len(rec.Data)), rec.Data
		if refused, err := cl.refuses(ctx, name, &before, &h); refused || err != nil {
			return err
		}
	}
	h.revision++
	h.claim = driver.Claim{Owner: cl.Owner, Until: cl.now.Add(cl.Lease).Truncate(time.Microsecond), Token: h.revision}
	claimed := h.record()
	if cl.Parts&driver.Fields != 0 {
		if err := cl.index.schema.setFields(&claimed, h.fields); err != nil { // Edit has set one of another kind
			return err
		}
	}
	if cl.Parts&driver.Data != 0 {
		claimed.Data = data
	}
	c := change{file: file{cl.folder, name}, header: h, data: data}
	cl.changes, cl.claimed = append(cl.changes, c), append(cl.claimed, claimed)
	if len(cl.b.uniques) > 0 {
		if cl.made == nil {
			cl.made = make(map[string]*change)
		}
		cl.made[name] = &c
	}
	return nil
}

// refuses reports whether a unique index keeps a record from being edited.
func (cl *claimer) refuses(ctx context.Context, name string, before, after *header) (bool, error) {
	if !slices.ContainsFunc(cl.b.uniques, func(x driver.Index) bool {
		old, had := before.key(x)
		key, has := after.key(x)
		return has && (!had || old != key)
	}) {
		return false, nil
	}
	u := uniqueCheck{lock: cl.lock, before: func(f file) *change { return cl.made[f.name] }}
	err := u.unique(ctx, []change{{file: file{cl.folder, name}, header: *after}})
	if re, ok := errors.AsType[*driver.RecordError](err); ok && errors.Is(err, driver.ErrUnique) {
		if cl.Refused != nil {
			cl.Refused(re.ID, re.Err)
		}
		return true, nil
	}
	return false, err
}

// accepts has a record edited. Why Edit refuses one is its own affair.
func (cl *claimer) accepts(rec *driver.Record) bool { return cl.Edit(rec) == nil }

// Extend writes the record's file anew.
func (b *Backend) Extend(ctx context.Context, id driver.ID, token int64, lease time.Duration) (time.Time, error) {
	if lease < time.Microsecond {
		return time.Time{}, fmt.Errorf("a claim for %v, which is less than a microsecond", lease)
	}
	if err := b.begin(); err != nil {
		return time.Time{}, err
	}
	defer b.calls.Done()
	s, err := b.ready()
	if err != nil {
		return time.Time{}, err
	}
	l, err := b.lockForClaims(ctx)
	if err != nil {
		return time.Time{}, err
	}
	defer l.release()
	until := now().Add(lease).Truncate(time.Microsecond)
	p := plan{lock: l, schemas: s, revs: make([]int64, 1), ms: []driver.Mutation{{
		Op: driver.Check, Rec: driver.Record{ID: id}, Token: token,
	}}}
	if token == 0 { // which a Mutation takes for any
		return time.Time{}, &driver.RecordError{ID: id, Err: driver.ErrClaimLost}
	}
	if err := p.check(ctx); err != nil {
		return time.Time{}, err
	}
	if err := p.rewrite(0, file{l.folder, fileName(id)}, func(h *header) { h.claim.Until = until }); err != nil {
		return time.Time{}, recordError(id, err)
	}
	if err := l.commitClaims(ctx, p.changes); err != nil {
		return time.Time{}, err
	}
	return until, nil
}

// At one time ReleaseExpired ends so many claims at most, and of so many bytes of data unless a
// single one has more.
const (
	maxReaped      = 1000
	maxReapedBytes = 4 << 20
)

// ReleaseExpired uses the index of Claim. It writes each record's file anew, some of them in one
// commit, and lets others go between commits: an error comes with the number of claims ended so
// far.
func (b *Backend) ReleaseExpired(ctx context.Context) (int64, error) {
	if err := b.begin(); err != nil {
		return 0, err
	}
	defer b.calls.Done()
	s, err := b.ready()
	if err != nil {
		return 0, err
	}
	var total int64
	at := now()
	for {
		n, more, err := b.releaseExpired(ctx, s, at)
		total += n
		if err != nil || !more {
			return total, err
		}
	}
}

// releaseExpired ends some of the claims that had lapsed at a time.
func (b *Backend) releaseExpired(ctx context.Context, s schemas, at time.Time) (n int64, more bool, err error) {
	l, err := b.lockForClaims(ctx)
	if err != nil {
		return 0, false, err
	}
	defer l.release()
	x, err := l.sync(ctx, s[driver.Objects])
	if err != nil {
		return 0, false, readOnly(err)
	}
	lapsed := func(c *driver.Claim) bool { return c.Owner != "" && free(c, at) }
	found := x.Pick(&driver.Query{}, nil, maxReaped, func(e *claimindex.Entry) bool { return lapsed(&e.Claim) })
	more = len(found) == maxReaped
	bytes := 0
	var changes []change
	for _, e := range found {
		if err := ctx.Err(); err != nil {
			return 0, false, err
		}
		h, data, err := l.readRecord(e.Name)
		switch {
		case unreadable(err):
			if b.logged.First("end " + e.Name) {
				b.log.Warn("the claim of a damaged record cannot be ended, and the record stays as it is", "directory", b.path, "file", e.Name, "error", err)
			}
			x.Remove(e.Name)
			continue
		case errors.Is(err, errAbsent), err == nil && (h.id != e.ID || !lapsed(&h.claim)):
			b.index, more = nil, true // somebody has changed files by hand
			continue
		case err != nil:
			return 0, false, err
		}
		if bytes += len(data); bytes > maxReapedBytes && len(changes) > 0 {
			more = true
			break
		}
		h.claim = driver.Claim{}
		changes = append(changes, change{file: file{l.folder, e.Name}, header: h, data: data})
	}
	if err := l.commitClaims(ctx, changes); err != nil {
		return 0, false, err
	}
	return int64(len(changes)), more, nil
}
