package jobstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/brine-go/brine/persistence"
)

// setAside is how long at least a job that cannot be read is out of the way of the others.
const setAside = time.Minute

// releaseTime is how long Acquire tries to give back what it has, when it fails.
const releaseTime = 5 * time.Second

// Acquire takes up to limit of the jobs that are due (see [Store.Due]) and that nobody has acquired, or not held on to, the earliest
// first, for the scheduler named owner: nobody else can acquire them until they are done, released or lease has passed by the clock of
// the database server, or of this machine where there is none. No jobs and no error: none is due. Jobs never share the objects that they
// refer to: each may have its goroutine.
//
// An [UnreadableError] reports due jobs that cannot be read, beside those that can. They do not count against limit and are out of the way
// for a while: for lease, but at least a minute. With any other error nothing is acquired.
func (s *Store[J]) Acquire(ctx context.Context, owner string, now time.Time, limit int, lease time.Duration) ([]*Acquired[J], error) {
	if limit < 1 {
		return nil, fmt.Errorf("acquire %d jobs: want one or more", limit)
	}
	q := dueQuery(now)
	var got []*Acquired[J]
	var later []*persistence.Claim // of jobs put off meanwhile: given back at the end only, or they might be claimed again and again
	var bad unreadable
	for {
		want := limit - len(got)
		claims, err := s.objects.Claim(ctx, q, persistence.ClaimOptions{Owner: owner, Lease: lease, Limit: want})
		for i := 0; err == nil && i < len(claims); i++ {
			a := &Acquired[J]{s: s, claim: claims[i]}
			switch err = a.begin(ctx, lease, &bad); {
			case err != nil:
				later = append(later, claims[i:]...)
			case a.job != nil && s.due(a.job, now):
				got = append(got, a)
			case a.job != nil:
				later = append(later, a.claim)
			}
		}
		if err != nil {
			for _, a := range got {
				later = append(later, a.claim)
			}
			release(ctx, later)
			return nil, errors.Join(err, bad.err())
		}
		if len(got) == limit || len(claims) < want {
			release(ctx, later)
			return got, bad.err()
		}
	}
}

// begin reads a job that has just been claimed. It has none if that is not to be had.
func (a *Acquired[J]) begin(ctx context.Context, lease time.Duration, bad *unreadable) error {
	err := a.Reload(ctx)
	if err != nil && bad.take(err) {
		// It is not released: it would be the first one again.
		if err = nil; lease < setAside {
			err = a.Extend(ctx, setAside)
		}
	}
	if errors.Is(err, ErrConflict) || errors.Is(err, ErrJobLookup) {
		return nil // it was removed, or lease has passed already
	}
	return err
}

// release gives back what was acquired in vain. Whatever it does not get to lapses.
func release(ctx context.Context, claims []*persistence.Claim) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
	defer cancel()
	for _, c := range claims {
		if err := c.Release(ctx); err != nil && !errors.Is(err, ErrConflict) {
			return
		}
	}
}

// An Acquired is a job that nobody else can acquire before Until. It keeps other schedulers away and nobody else: the job may be
// looked up, updated and removed meanwhile. It is for one goroutine at a time.
type Acquired[J any] struct {
	s     *Store[J]
	claim *persistence.Claim
	job   *J
}

// Job returns the job. Change it, but not its ID, and Save it or be Done.
func (a *Acquired[J]) Job() *J { return a.job }

// ID returns the ID of the job.
func (a *Acquired[J]) ID() string { return string(a.claim.ID()) }

// Until returns when others can acquire the job. UTC.
func (a *Acquired[J]) Until() time.Time { return a.claim.Until() }

// Token returns the fencing token: whoever acquires the job later has a greater one. See [persistence.Claim.Token].
func (a *Acquired[J]) Token() int64 { return a.claim.Token() }

// Extend keeps the job for lease from now on, even if its time had run out: ErrConflict if somebody else has acquired it since.
func (a *Acquired[J]) Extend(ctx context.Context, lease time.Duration) error {
	return a.claim.Extend(ctx, lease)
}

// Reload reads the job anew: after somebody has updated it, which is ErrConflict for Save and Done. ErrJobLookup if it was removed.
func (a *Acquired[J]) Reload(ctx context.Context) error {
	job, err := persistence.LoadClaimed[J](ctx, a.claim)
	if err != nil {
		return lookupError(err)
	}
	a.job = job
	return nil
}

// Save saves the job as it is now, and also such other objects as are given, all or nothing, and keeps the job. ErrConflict:
// somebody else has acquired it since, or updated or removed it; nothing was saved. That its time had run out does not matter as long as nobody has.
func (a *Acquired[J]) Save(ctx context.Context, also ...any) error {
	return a.save(ctx, a.claim.Save, also)
}

// Done is Save and Release in one step: all of it happens, or nothing.
func (a *Acquired[J]) Done(ctx context.Context, also ...any) error {
	return a.save(ctx, a.claim.Complete, also)
}

func (a *Acquired[J]) save(ctx context.Context, save func(context.Context, ...any) error, also []any) error {
	id, err := a.s.check(a.job)
	if err != nil {
		return err
	}
	if id != a.claim.ID() {
		return fmt.Errorf("job %q cannot become %q: a job keeps its ID", a.claim.ID(), id)
	}
	if any(a.job).(persistence.Object).PersistentID() == "" {
		return fmt.Errorf("job %q was overwritten by another object, which is not the one acquired: change its fields", id)
	}
	return save(ctx, append([]any{a.job}, also...)...)
}

// Release gives the job back as it was when it was last saved: others can acquire it at once. ErrConflict if somebody else has acquired it
// since.
func (a *Acquired[J]) Release(ctx context.Context) error { return a.claim.Release(ctx) }

// Remove removes the job, changed by others or not: ErrConflict if somebody else has acquired it since, or removed it.
func (a *Acquired[J]) Remove(ctx context.Context) error {
	objects := a.s.objects
	n, err := objects.RemoveAll(ctx, &persistence.Query{Where: []persistence.Cond{
		persistence.Eq("id", a.claim.ID()), persistence.Eq("claim_token", a.claim.Token()),
	}})
	if err == nil && n == 0 {
		err = &persistence.Error{Op: "remove", ID: a.claim.ID(), URL: objects.URL(), Err: ErrConflict}
	}
	return err
}

// ReleaseExpired forgets who had acquired the jobs whose time has run out, and returns how many. Nothing depends on it: others can acquire them anyway.
func (s *Store[J]) ReleaseExpired(ctx context.Context) (int64, error) {
	return s.objects.ReleaseExpired(ctx)
}
