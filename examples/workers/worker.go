package main

import (
	"context"
	"log"

	"github.com/brine-go/brine/persistence"
)

// prepare is a round of a worker: it claims jobs that were received, puts those that are batchable together into a batch, and makes that and
// the others ready for the engines.
func (r *role) prepare(ctx context.Context) (found bool, err error) {
	claims, err := r.claim(ctx, jobs([]State{Received}), r.batch, "")
	if err != nil || len(claims) == 0 {
		return false, err
	}
	var held []*persistence.Claim
	var objs []any
	var small []*Job
	for _, c := range claims {
		j, err := persistence.LoadClaimed[Job](ctx, c)
		if err != nil { // the claim stays: nobody tries it again before it has lapsed
			log.Printf("%s: %v", r.key, err)
			continue
		}
		j.WorkerKey, j.State = r.key, Pending
		if j.Batchable {
			small = append(small, j)
		}
		held, objs = append(held, c), append(objs, j)
	}
	if len(held) == 0 {
		return true, nil
	}
	if len(small) > 1 {
		batch := &Job{Key: small[0].Key + "+", State: Pending, WorkerKey: r.key}
		for _, j := range small {
			j.State, j.ParentBatchKey = Batched, batch.Key
			batch.BatchMeta.SubJobs = append(batch.BatchMeta.SubJobs, persistence.RefTo(j))
		}
		objs = append(objs, batch)
		r.logf("%s: a batch of %d jobs", batch.Key, len(small))
	}
	// One step: the batch is there and its jobs belong to it, or nothing has happened. The first claim has to hold for that. So have the
	// others, for whoever claims a job raises its revision, and that of the job as it was loaded is then too low.
	save := context.WithoutCancel(ctx) // a worker that is told to end still lets go of its claims
	if err := held[0].Complete(save, objs...); err != nil {
		return false, err
	}
	for _, c := range held[1:] {
		if err := c.Release(save); err != nil {
			return false, err // it lapses by itself
		}
	}
	return true, nil
}
