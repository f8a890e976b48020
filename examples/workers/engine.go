package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/brine-go/brine/persistence"
)

// maxAttempts is how often a job is begun before it is given up: it may be what kills its engines.
const maxAttempts = 5

var (
	errLost   = fmt.Errorf("the claim is lost: %w", persistence.ErrConflict)
	errEnding = errors.New("this engine is to end")
)

// execute is a round of an engine: it claims a job or a batch that is ready, or that a dead engine
// has left, and runs it. A living engine keeps its claim, so a RUNNING job that can be claimed has
// no engine.
func (r *role) execute(ctx context.Context) (found bool, err error) {
	ready := jobs([]State{Pending, Running}, persistence.Eq("parent_batch_key", ""))
	claims, err := r.claim(ctx, ready, 1, Running)
	if err != nil || len(claims) == 0 {
		return false, err
	}
	j, err := persistence.LoadClaimed[Job](ctx, claims[0])
	if err != nil {
		return false, err // the claim stays: nobody tries it again before it has expired
	}
	return true, r.perform(ctx, claims[0], j)
}

// perform runs a job or a batch under its claim. Once somebody else has claimed it, all that this
// engine writes is refused with ErrConflict, the jobs of the batch included.
func (r *role) perform(ctx context.Context, c *persistence.Claim, j *Job) error {
	work, stop := r.keepClaim(ctx, c)
	defer stop()
	save := context.WithoutCancel(ctx) // an engine that is told to end still saves what there is
	run := r.runOne
	if j.IsBatch() {
		run = r.runBatch
	}
	switch err := run(work, save, c, j); {
	case errors.Is(err, errEnding):
		j.giveBack()
	case err != nil:
		return fmt.Errorf("%s: %w", j.Key, err)
	default:
		r.logf("%s: executed, attempt %d, %d errors", j.Key, j.Attempts, len(j.Errors))
	}
	return c.Complete(save, j)
}

// runOne runs a job. work ends when it must not go on; what is written is written under save.
func (r *role) runOne(work, save context.Context, c *persistence.Claim, j *Job) error {
	if err := r.begin(save, c, j); err != nil {
		return err
	}
	if j.Attempts > maxAttempts {
		j.end("", fmt.Errorf("given up: %d attempts have ended with their engines", maxAttempts))
		return nil
	}
	result, err := j.JobSpec.run(work, j.Key, c.Token())
	if err != nil && work.Err() != nil { // it was broken off
		return whyEnded(work)
	}
	j.end(result, err)
	return nil
}

// runBatch runs the jobs of a batch that are not executed yet, and saves each when it has ended:
// if this engine dies, the next one goes on from there.
func (r *role) runBatch(work, save context.Context, c *persistence.Claim, batch *Job) error {
	if err := r.begin(save, c, batch); err != nil {
		return err
	}
	subs, err := subJobs(save, r.store, batch)
	if err != nil {
		return err
	}
	failed := 0
	for _, j := range subs {
		if j.State == Batched || j.State == Running {
			err := r.runOne(work, save, c, j)
			if errors.Is(err, errEnding) {
				j.giveBack()
			} else if err != nil {
				return err
			}
			if err := errors.Join(err, c.Save(save, j)); err != nil {
				return err
			}
		}
		if len(j.Errors) > 0 {
			failed++
		}
	}
	err = nil
	if failed > 0 {
		err = fmt.Errorf("%d of %d jobs failed", failed, len(subs))
	}
	batch.end("", err)
	return nil
}

// begin says who runs a job. It is saved first, so that a job that kills its engines is found out.
func (r *role) begin(save context.Context, c *persistence.Claim, j *Job) error {
	host, _ := os.Hostname()
	j.State, j.EngineKey = Running, r.key
	j.Attempts++
	j.EngineMeta = EngineMeta{Host: host, Pid: os.Getpid(), Token: c.Token(), Started: time.Now().UTC()}
	return c.Save(save, j)
}

func (j *Job) end(result string, err error) {
	j.State, j.Result = Executed, result
	j.EngineMeta.Took = time.Since(j.EngineMeta.Started)
	if err != nil {
		j.Errors = append(j.Errors, err.Error())
	}
}

// giveBack undoes begin.
func (j *Job) giveBack() {
	j.Attempts--
	j.State = Pending
	if j.ParentBatchKey != "" {
		j.State = Batched
	}
}

// keepClaim keeps a claim from expiring until stop is called. The context that it returns ends with
// ctx, and when the claim is lost.
func (r *role) keepClaim(ctx context.Context, c *persistence.Claim) (work context.Context, stop func()) {
	work, cancel := context.WithCancelCause(ctx)
	quit, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(r.lease / 3)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			err := c.Extend(context.WithoutCancel(ctx), r.lease)
			if errors.Is(err, persistence.ErrConflict) {
				cancel(errLost)
				return
			} else if err != nil {
				log.Printf("%s: %v", r.key, err) // the next tick may do
			}
		}
	}()
	return work, func() {
		close(quit)
		<-stopped
		cancel(nil)
	}
}

// whyEnded tells the two reasons apart.
func whyEnded(work context.Context) error {
	if errors.Is(context.Cause(work), errLost) {
		return errLost
	}
	return errEnding
}
