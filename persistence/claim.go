package persistence

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// ClaimOptions configure a claim.
type ClaimOptions struct {
	Owner string        // who claims, for people to read: 1 to 255 characters
	Lease time.Duration // how long the claim lasts unless it is extended; at least a microsecond
	Limit int           // the maximum number of objects; 0 means 1
	// State, if not "", becomes the state of the objects in the same step. The record changes at
	// once, and so do extra columns that are computed from the state; the object's field State or
	// Execution.State is set when the object is loaded. The objects must have such a field, of
	// string kind. A column that is computed from other objects too changes when the object is
	// saved.
	State string
}

// A Claim is the exclusive right to an object until the claim lapses at Until, by the clock of
// the database server, or of this machine if there is no server. It prevents other claims and
// nothing else: anybody may load, save or remove the object. Its methods are safe for
// concurrent use.
type Claim struct {
	s     *Store
	owner string
	token int64

	info Info

	mu    sync.Mutex // guards until and rec
	until time.Time
	rec   *driver.Record // as it was claimed, for the first Load; then nil
}

// Info returns what the store knew of the record when it was claimed.
func (c *Claim) Info() Info { return c.info }

// ID returns the ID of the object.
func (c *Claim) ID() ID { return c.info.ID }

// Owner returns who claimed the object.
func (c *Claim) Owner() string { return c.owner }

// Token returns the fencing token: later claims of the object have greater ones. Another system
// that the owner writes to can use it to reject an owner whose claim has lapsed.
func (c *Claim) Token() int64 { return c.token }

// Until returns when the claim lapses or has lapsed, in UTC.
func (c *Claim) Until() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.until
}

// Claim claims objects that q selects and that nobody has claimed, or whose claim has lapsed. A
// nil q selects all. It takes the first ones in the order of q, but may pass over those that
// another call is claiming at the moment. An object never has two valid claims at once,
// whichever process made them. Claiming raises the revision, so an object loaded before can no
// longer be saved. If there is nothing to claim it returns no claims and no error. q.After and
// q.Limit must be zero.
//
// A claim is durable: it outlives the process, until it is released or lapses. Records that
// cannot be claimed because of State are reported as joined errors, each an [*Error], together
// with the claims that could be made. (jobman's claim_jobs.)
func (s *Store) Claim(ctx context.Context, q *Query, o ClaimOptions) ([]*Claim, error) {
	if err := s.mayWrite("claim", ""); err != nil {
		return nil, err
	}
	claims, err := s.claim(ctx, q, o)
	return claims, s.fail("claim", "", err)
}

func (s *Store) claim(ctx context.Context, q *Query, o ClaimOptions) ([]*Claim, error) {
	b, err := s.claimer()
	if err != nil {
		return nil, err
	}
	if q != nil && (q.After != "" || q.Limit != 0) {
		return nil, errors.New("query: After and Limit do not go with claims: see ClaimOptions.Limit")
	}
	dq, err := s.compile(q)
	if err != nil {
		return nil, err
	}
	spec := driver.Claiming{Owner: o.Owner, Lease: o.Lease, Limit: max(o.Limit, 1), Parts: driver.Fields | driver.Data}
	if o.Limit < 0 {
		spec.Limit = o.Limit // rejected by spec.Check
	}
	if err := spec.Check(); err != nil {
		return nil, err
	}
	bad := make(map[ID]error)
	if o.State != "" {
		if err := checkState(o.State, "the claim"); err != nil {
			return nil, err
		}
		now := time.Now().UTC().Truncate(time.Microsecond)
		spec.Edit = func(rec *driver.Record) error {
			err := s.checkStateField(rec)
			if err != nil {
				bad[rec.ID] = err
				return err
			}
			delete(bad, rec.ID)
			s.restate(rec, o.State)
			rec.Modified = now
			return nil
		}
		spec.Refused = func(id ID, err error) { bad[id] = err }
	}
	var recs []driver.Record
	err = s.write(ctx, func(driver.Backend) error {
		recs, err = b.Claim(ctx, dq, spec)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(recs) == 0 {
		s.noneFound(ctx, dq)
	}
	_ = s.noteQuery(ctx, dq) // the claims are made: the next call asks again
	claims := make([]*Claim, len(recs))
	for i := range recs {
		claims[i] = s.newClaim(&recs[i])
		claims[i].rec = &recs[i]
	}
	var errs []error
	for _, id := range slices.SortedFunc(maps.Keys(bad), s.values.CompareIDs) {
		errs = append(errs, s.fail("claim", id, bad[id]))
	}
	return claims, joined(errs...)
}

func (s *Store) newClaim(rec *driver.Record) *Claim {
	return &Claim{s: s, info: s.info(rec), owner: rec.Claim.Owner, token: rec.Claim.Token, until: rec.Claim.Until}
}

// claimer returns the backend if it supports claims.
func (s *Store) claimer() (driver.Claimer, error) {
	b, ok := ability[driver.Claimer](&s.conn)
	if !ok {
		return nil, fmt.Errorf("claims in this backend: %w", errors.ErrUnsupported)
	}
	if slices.Contains(s.missing, driver.ColClaimOwner) {
		return nil, fmt.Errorf("the table has no column %q: %w", driver.ColClaimOwner, errors.ErrUnsupported)
	}
	return b, nil
}

// checkStateField returns an error if the object of the record has no field for the state.
func (s *Store) checkStateField(rec *driver.Record) error {
	head, err := records.Parse(rec.Data, s.limits)
	if err != nil {
		return err
	}
	t, _, err := records.Resolve(head.Type)
	if err != nil {
		return err
	}
	if !s.stateIsField(t) {
		return fmt.Errorf("the state of a %s is no field that could be set: %w", head.Type, errors.ErrUnsupported)
	}
	return nil
}

// Load returns the object, as [Store.Load] does. The first Load of an object without references
// uses the record as it was claimed and does not read it again.
func (c *Claim) Load(ctx context.Context) (any, error) {
	ptr, err := c.load(ctx, nil)
	if err != nil {
		return nil, c.s.fail("load", c.info.ID, err)
	}
	return natural(ptr), nil
}

// LoadClaimed is [Claim.Load] for objects of type T. It returns ErrType for an object of
// another type.
func LoadClaimed[T any](ctx context.Context, c *Claim) (*T, error) {
	ptr, err := c.load(ctx, reflect.TypeFor[T]())
	if err != nil {
		return nil, c.s.fail("load", c.info.ID, err)
	}
	return ptr.(*T), nil
}

func (c *Claim) load(ctx context.Context, want reflect.Type) (any, error) {
	c.mu.Lock()
	rec := c.rec
	c.rec = nil
	c.mu.Unlock()
	if rec != nil {
		if err := c.s.prepare(ctx); err != nil { // closed, or paused
			return nil, err
		}
		ld := &loader{c: &c.s.conn, want: want}
		ld.begin(1)
		if err := ld.add(rec, nil); err != nil {
			return nil, err
		}
		if n := ld.order[0]; len(n.head.Eager) == 0 {
			err := ld.build()
			return n.ptr, err
		}
	}
	ptrs, err := c.s.load(ctx, []ID{c.info.ID}, want)
	if err != nil {
		return nil, err
	}
	return ptrs[0], nil
}

// Extend makes the claim last for lease from now on, even if it has lapsed. It returns
// ErrConflict if somebody else has claimed the object since, or the claim was released.
func (c *Claim) Extend(ctx context.Context, lease time.Duration) error {
	if err := c.s.mayWrite("extend", c.info.ID); err != nil {
		return err
	}
	return c.s.fail("extend", c.info.ID, c.extend(ctx, lease))
}

func (c *Claim) extend(ctx context.Context, lease time.Duration) error {
	if lease < time.Microsecond {
		return fmt.Errorf("a claim for %v: want a microsecond or more", lease)
	}
	b, err := c.s.claimer()
	if err != nil {
		return err
	}
	var until time.Time
	err = c.s.write(ctx, func(driver.Backend) error {
		until, err = b.Extend(ctx, c.info.ID, c.token, lease)
		return err
	})
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = until
	return nil
}

// Save saves objs as [Store.SaveOnly] does, in one atomic write. It returns ErrConflict if
// somebody else has claimed the object of this claim since, or the claim was released. A lapsed
// claim still permits it until then. objs need not contain the object.
func (c *Claim) Save(ctx context.Context, objs ...any) error {
	return c.save(ctx, saving{op: "save", claim: c}, objs)
}

// Complete is Save and Release in one atomic step.
func (c *Claim) Complete(ctx context.Context, objs ...any) error {
	return c.save(ctx, saving{op: "complete", claim: c, release: true}, objs)
}

func (c *Claim) save(ctx context.Context, how saving, objs []any) error {
	if err := c.s.mayWrite(how.op, c.info.ID); err != nil {
		return err
	}
	if len(objs) > 0 {
		_, err := c.s.save(ctx, how, objs...)
		return err
	}
	m := driver.Mutation{Op: driver.Check, Rec: driver.Record{ID: c.info.ID}, Token: c.token, Release: how.release}
	_, err := c.s.apply(ctx, []driver.Mutation{m})
	return c.s.fail(how.op, c.info.ID, err)
}

// Release ends the claim, so that others may claim the object at once. It returns ErrConflict
// in the cases that Save does.
func (c *Claim) Release(ctx context.Context) error {
	return c.save(ctx, saving{op: "release", claim: c, release: true}, nil)
}

// Claims streams the existing claims of all owners, in the order of the IDs. A lapsed claim is
// included until the object is claimed again or ReleaseExpired ends it. Extend, Save, Complete
// and Release of these claims work as they do for the owner. Claims reads page by page, as List
// does.
func (s *Store) Claims(ctx context.Context) iter.Seq2[*Claim, error] {
	q := &driver.Query{Where: []driver.Cond{{Column: driver.ColClaimUntil, Op: driver.NotNull}}, Parts: driver.Info | driver.Fields}
	_, err := s.claimer()
	return stream(&s.conn, ctx, "claims", infoPage, q, err, s.newClaim)
}

// ReleaseExpired ends the claims that have lapsed and returns their number. It is never
// necessary: a lapsed claim prevents no new claim.
func (s *Store) ReleaseExpired(ctx context.Context) (int64, error) {
	if err := s.mayWrite("release expired", ""); err != nil {
		return 0, err
	}
	n, err := s.releaseExpired(ctx)
	return n, s.fail("release expired", "", err)
}

func (s *Store) releaseExpired(ctx context.Context) (int64, error) {
	b, err := s.claimer()
	if err != nil {
		return 0, err
	}
	var n int64
	err = s.write(ctx, func(driver.Backend) error {
		n, err = b.ReleaseExpired(ctx)
		return err
	})
	return n, err
}
