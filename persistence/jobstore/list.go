package jobstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/brine-go/brine/persistence"
)

// Lookup returns the job with the ID, or ErrJobLookup if there is none. (APScheduler's
// lookup_job.)
func (s *Store[J]) Lookup(ctx context.Context, id string) (*J, error) {
	job, err := persistence.Load[J](ctx, s.objects, persistence.ID(id))
	if err != nil {
		return nil, lookupError(err)
	}
	return job, nil
}

// All returns all jobs, ordered by next run time, paused ones last. Jobs are not all read at
// the same moment. An [UnreadableError] reports jobs that cannot be read, in addition to the
// jobs returned; with any other error no jobs are returned. (APScheduler's get_all_jobs.)
func (s *Store[J]) All(ctx context.Context) ([]*J, error) {
	// In the order of IDs, which running schedulers do not change, each job appears once.
	jobs, err := s.read(ctx, &persistence.Query{Where: []persistence.Cond{persistence.Eq(ColIsJob, true)}}, nil)
	next := func(job *J) int64 {
		if t := s.nextOf(job); !t.IsZero() {
			return t.UnixMicro()
		}
		return math.MaxInt64
	}
	slices.SortStableFunc(jobs, func(a, b *J) int { return cmp.Compare(next(a), next(b)) })
	return jobs, err
}

// Due returns the jobs whose next run time is not after now, the earliest first, acquired or
// not. Paused jobs are never included. Errors are as for All. (APScheduler's get_due_jobs.)
func (s *Store[J]) Due(ctx context.Context, now time.Time) ([]*J, error) {
	return s.read(ctx, dueQuery(now), func(job *J) bool { return s.due(job, now) })
}

func dueQuery(now time.Time) *persistence.Query {
	return &persistence.Query{
		Where: []persistence.Cond{persistence.Le(ColNextRunTime, now)},
		Order: []persistence.Order{persistence.Asc(ColNextRunTime)},
	}
}

// due reports whether a job that was read later still satisfies dueQuery.
func (s *Store[J]) due(job *J, now time.Time) bool {
	next := s.nextOf(job)
	return !next.IsZero() && next.UnixMicro() <= now.UnixMicro()
}

// read returns the jobs that q selects. If keep is not nil, a job that has to be read by itself
// is included only if keep returns true.
func (s *Store[J]) read(ctx context.Context, q *persistence.Query, keep func(*J) bool) ([]*J, error) {
	var jobs []*J
	var bad unreadable
	// The jobs returned so far, and the IDs of those to be read by themselves: a job that a
	// scheduler postpones meanwhile may appear again.
	seen := make(map[any]bool)
	for obj, err := range s.objects.All(ctx, q) {
		var job *J
		switch {
		case err == nil:
			job, err = s.asJob(obj)
		case errors.Is(err, persistence.ErrUnknownType):
			e, _ := errors.AsType[*persistence.Error](err)
			if seen[e.ID] {
				continue
			}
			seen[e.ID] = true
			job, err = persistence.Load[J](ctx, s.objects, e.ID)
			if errors.Is(err, persistence.ErrNotFound) || err == nil && keep != nil && !keep(job) {
				continue // it has changed since
			}
		}
		switch {
		case err == nil:
			if !seen[job] {
				seen[job] = true
				jobs = append(jobs, job)
			}
		case !bad.take(err):
			return nil, err
		}
	}
	return jobs, bad.err()
}

// asJob returns a stored object as a job, or an error if it is none.
func (s *Store[J]) asJob(obj any) (*J, error) {
	if job, ok := obj.(*J); ok {
		return job, nil
	}
	e := &persistence.Error{Op: "all", URL: s.objects.URL(), Err: fmt.Errorf("it is a %T, not a %T: %w", obj, (*J)(nil), persistence.ErrType)}
	if o, ok := obj.(persistence.Object); ok {
		e.ID = o.PersistentID()
	}
	return nil, e
}

// earliest is the query for the job that is due first.
var earliest = &persistence.Query{
	Where: []persistence.Cond{persistence.NotNull(ColNextRunTime)},
	Order: []persistence.Order{persistence.Asc(ColNextRunTime)},
	Limit: 1,
}

// NextRunTime returns the earliest next run time, in UTC, and false if no job has one. It reads
// no job. Jobs that are acquired, and jobs that cannot be read, count as well, so the time may
// be past: a scheduler should also poll from time to time. (APScheduler's get_next_run_time.)
func (s *Store[J]) NextRunTime(ctx context.Context) (next time.Time, found bool, err error) {
	for info, err := range s.objects.StatAll(ctx, earliest, ColNextRunTime) {
		next, found = info.Fields[ColNextRunTime].(time.Time)
		return next, found && err == nil, err
	}
	return time.Time{}, false, nil
}
