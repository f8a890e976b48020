package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/brine-go/brine/persistence/jobstore"
)

// A scheduler is one of the processes that run the jobs of a store.
type scheduler struct {
	store   *jobstore.Store[Job]
	out     *slog.Logger // a line for each run
	warn    *slog.Logger // what goes wrong
	workers int
	lease   time.Duration // how long the jobs of a process that was killed stay its own
	poll    time.Duration // how often at least to look for jobs
	takes   time.Duration // how long a run takes
}

// shortest is the least time to wait when a job is due but others have acquired it.
const shortest = 20 * time.Millisecond

// run runs jobs until ctx ends, and then finishes those it has begun. It always returns an error,
// that of ctx if there is no other.
func (s *scheduler) run(ctx context.Context) error {
	owner := fmt.Sprint("process ", os.Getpid())
	for ctx.Err() == nil {
		jobs, err := s.store.Acquire(ctx, owner, time.Now(), s.workers, s.lease)
		if bad, ok := errors.AsType[*jobstore.UnreadableError](err); ok {
			s.warn.Error("jobs that cannot be read do not run", "err", bad)
		} else if err != nil {
			return err
		}
		var wg sync.WaitGroup
		for _, a := range jobs { // one job is one goroutine: nobody else touches it
			wg.Go(func() {
				if err := s.runJob(context.WithoutCancel(ctx), a); err != nil {
					s.warn.Error("the run may be repeated", "job", a.ID(), "err", err)
				}
			})
		}
		wg.Wait()
		if len(jobs) == 0 {
			if err := s.wait(ctx); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// wait waits for the next job to be due.
func (s *scheduler) wait(ctx context.Context) error {
	pause := s.poll
	next, found, err := s.store.NextRunTime(ctx)
	if err != nil {
		return err
	}
	if found {
		pause = max(shortest, min(time.Until(next), s.poll))
	}
	select {
	case <-time.After(pause):
	case <-ctx.Done():
	}
	return nil
}

// runJob runs a job once, for the due time that it has.
func (s *scheduler) runJob(ctx context.Context, a *jobstore.Acquired[Job]) error {
	job, due := a.Job(), a.Job().Next
	before := job.Last
	job.Last = Attempt{Due: due, By: os.Getpid(), Until: a.Until()}
	// First the attempt, then the run, then the new time. A kill between the first two and one
	// between the last two cannot be told apart: after both, the run is repeated, and says so.
	if err := a.Save(ctx); err != nil {
		return err
	}
	attrs := []any{"job", job.Name, "due", due, "by", os.Getpid(), "text", job.Text}
	if before.Due.Equal(due) {
		attrs = append(attrs, "repeats", before)
	}
	stop := s.keep(ctx, a)
	time.Sleep(s.takes)
	s.out.Info("run", attrs...)
	stop()
	return s.done(ctx, a, due)
}

// keep extends the lease of a job until stop is called, so that a run may take longer.
func (s *scheduler) keep(ctx context.Context, a *jobstore.Acquired[Job]) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-time.After(s.lease / 3):
			case <-ctx.Done():
				return
			}
			if err := a.Extend(ctx, s.lease); err != nil && ctx.Err() == nil {
				s.warn.Error("the job may be run by others", "job", a.ID(), "err", err)
			}
		}
	})
	return func() { cancel(); wg.Wait() }
}

// done saves the time at which the job is due next, and releases it.
func (s *scheduler) done(ctx context.Context, a *jobstore.Acquired[Job], due time.Time) error {
	for {
		if job := a.Job(); job.Next.Equal(due) {
			next, err := job.after(due)
			if err != nil {
				return err
			}
			job.Next = next
			job.Runs++
		}
		err := a.Done(ctx)
		if !errors.Is(err, jobstore.ErrConflict) {
			return err
		}
		// Either this process has lost the job, and then Extend fails; or somebody has changed the
		// job, and then the change is to be kept.
		if err := a.Extend(ctx, s.lease); err != nil {
			return err
		}
		if err := a.Reload(ctx); err != nil {
			return err
		}
	}
}
