package jobstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/brine-go/brine/persistence"
)

// setAside is the minimum time for which Acquire skips a job that cannot be read.
const setAside = time.Minute

// releaseTime bounds how long a failing Acquire tries to release the jobs that it has claimed.
const releaseTime = 5 * time.Second

// Acquire acquires up to limit of the jobs that are due (see [Store.Due]), the earliest first,
// for the scheduler named owner. It takes only jobs that nobody has acquired, or whose lease
// has passed. Nobody else can acquire them until Done or Release, or until lease has passed by
// the clock of the database server, or of this machine if there is no server. If no job is due
// it returns no jobs and no error. The jobs never share the objects that they refer to, so each
// may be used by its own goroutine.
//
// An [UnreadableError] reports due jobs that cannot be read, in addition to the jobs returned.
// They do not count toward limit, and are skipped for lease, but at least for a minute. With
// any other error nothing is acquired.
func (s *Store[J]) Acquire(ctx context.Context, owner string, now time.Time, limit int, lease time.Duration) ([]*Acquired[J], error) {
	if limit < 1 {
		return nil, fmt.Errorf("acquire %d jobs: want one or more", limit)
	}
	q := dueQuery(now)
	var got []*Acquired[J]
	// Jobs postponed meanwhile are released only at the end, or they might be claimed again and
	// again.
	var later []*persistence.Claim
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

// begin reads a job that has just been claimed. a.job stays nil if the job cannot be read, has
// been removed or is no longer claimed.
func (a *Acquired[J]) begin(ctx context.Context, lease time.Duration, bad *unreadable) error {
	err := a.Reload(ctx)
	if err != nil && bad.take(err) {
		// Do not release the claim: the job would be the first one again.
		if err = nil; lease < setAside {
			err = a.Extend(ctx, setAside)
		}
	}
	if errors.Is(err, ErrConflict) || errors.Is(err, ErrJobLookup) {
		return nil // the job was removed, or the lease has passed already
	}
	return err
}

// release releases claims that are of no use. Claims that it does not reach in time lapse.
func release(ctx context.Context, claims []*persistence.Claim) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
	defer cancel()
	for _, c := range claims {
		if err := c.Release(ctx); err != nil && !errors.Is(err, ErrConflict) {
			return
		}
	}
}

// An Acquired is a job that no other scheduler can acquire before Until. It excludes nothing
// else: anybody may look up, update or remove the job meanwhile. It is for one goroutine at a
// time.
type Acquired[J any] struct {
	s     *Store[J]
	claim *persistence.Claim
	job   *J
}

// Job returns the job. Change it, except its ID, and call Save or Done.
func (a *Acquired[J]) Job() *J { return a.job }

// ID returns the ID of the job.
func (a *Acquired[J]) ID() string { return string(a.claim.ID()) }

// Until returns when others can acquire the job. UTC.
func (a *Acquired[J]) Until() time.Time { return a.claim.Until() }

// Token returns the fencing token: later acquisitions of the job have greater ones. See
// [persistence.Claim.Token].
func (a *Acquired[J]) Token() int64 { return a.claim.Token() }

// Extend keeps the job for lease from now on, even if its lease has passed. It returns
// ErrConflict if somebody else has acquired the job since.
func (a *Acquired[J]) Extend(ctx context.Context, lease time.Duration) error {
	return a.claim.Extend(ctx, lease)
}

// Reload reads the job again. It is needed after somebody has updated the job, which makes Save
// and Done return ErrConflict. It returns ErrJobLookup if the job was removed.
func (a *Acquired[J]) Reload(ctx context.Context) error {
	job, err := persistence.LoadClaimed[J](ctx, a.claim)
	if err != nil {
		return lookupError(err)
	}
	a.job = job
	return nil
}

// Save saves the job and the objects in also, all or nothing, and keeps the job. It returns
// ErrConflict, and saves nothing, if somebody else has acquired, updated or removed the job
// since. A passed lease alone is no error.
func (a *Acquired[J]) Save(ctx context.Context, also ...any) error {
	return a.save(ctx, a.claim.Save, also)
}

// Done is Save and Release in one atomic step.
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

// Release releases the job as it was last saved, so that others can acquire it at once. It
// returns ErrConflict if somebody else has acquired it since.
func (a *Acquired[J]) Release(ctx context.Context) error { return a.claim.Release(ctx) }

// Remove removes the job, even if others have changed it. It returns ErrConflict if somebody
// else has acquired or removed it since.
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

// ReleaseExpired clears the owners of jobs whose lease has passed, and returns the number of
// such jobs. It is never necessary: others can acquire these jobs anyway.
func (s *Store[J]) ReleaseExpired(ctx context.Context) (int64, error) {
	return s.objects.ReleaseExpired(ctx)
}
