package main

import (
	"context"
	"log"

	"github.com/brine-go/brine/persistence"
)

// prepare is a round of a worker: it claims jobs that were received, puts those that are batchable
// together into a batch, and makes that and the others ready for the engines.
func (r *role) prepare(ctx context.Context) (found bool, err error) {
	claims, err := r.claim(ctx, jobs([]State{Received}), r.batch, "")
	if err != nil || len(claims) == 0 {
		return false, err
	}
	var claimed []*persistence.Claim
	var objs []any
	var small []*Job
	for _, c := range claims {
		j, err := persistence.LoadClaimed[Job](ctx, c)
		if err != nil { // the claim stays: nobody tries it again before it has expired
			log.Printf("%s: %v", r.key, err)
			continue
		}
		j.WorkerKey, j.State = r.key, Pending
		if j.Batchable {
			small = append(small, j)
		}
		claimed, objs = append(claimed, c), append(objs, j)
	}
	if len(claimed) == 0 {
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
	// One step: the batch is stored and its jobs refer to it, or nothing has happened. Complete
	// fails if the first claim is lost, and also if another one is: a new claim raises the revision
	// of its job, so the save of the job as it was loaded conflicts.
	save := context.WithoutCancel(ctx) // a worker that is told to end still releases its claims
	if err := claimed[0].Complete(save, objs...); err != nil {
		return false, err
	}
	for _, c := range claimed[1:] {
		if err := c.Release(save); err != nil {
			return false, err // it expires by itself
		}
	}
	return true, nil
}
