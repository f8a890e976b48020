package main

import (
	"context"
	"errors"
	"time"

	"github.com/brine-go/brine/persistence"
)

// intake is how many jobs the manager takes from a source at once.
const intake = 20

// manage is a round of the manager: it takes jobs from the sources, marks executed ones as
// completed or failed, and purges old ones. There may be several managers.
func (r *role) manage(ctx context.Context) (found bool, err error) {
	took, err := r.receive(ctx)
	if err != nil {
		return false, err
	}
	ticked, err := r.tick(ctx)
	if err != nil || took || ticked {
		return true, err
	}
	return false, r.purge(ctx)
}

// receive takes jobs from a source. It claims the source, so that no other manager takes the same
// ones; and the source and the jobs are saved in one step, so that a manager may die at any point
// and none is lost or taken twice.
func (r *role) receive(ctx context.Context) (found bool, err error) {
	claims, err := r.claim(ctx, &persistence.Query{
		Type: sourceType, Where: []persistence.Cond{persistence.Eq("drained", false)}}, 1, "")
	if err != nil || len(claims) == 0 {
		return false, err
	}
	c := claims[0]
	src, err := persistence.LoadClaimed[Source](ctx, c)
	if err != nil {
		return false, err // the claim stays: nobody tries it again before it has expired
	}
	taken, err := src.next(intake)
	if err != nil {
		return false, err
	}
	objs := []any{src}
	for _, j := range taken {
		objs = append(objs, j)
	}
	r.logf("%d jobs received from %s", len(taken), src.Key)
	return true, c.Complete(ctx, objs...)
}

// tick marks executed jobs as completed or failed. It needs no claims: if two managers do it at
// once, the later one gets ErrConflict.
func (r *role) tick(ctx context.Context) (found bool, err error) {
	// A batch and its jobs in one step: no job is purged while its batch still needs it.
	batches := jobs([]State{Executed}, persistence.Eq("is_batch", true))
	for batch, err := range persistence.All[Job](ctx, r.store, batches) {
		if err != nil {
			return found, err
		}
		subs, err := subJobs(ctx, r.store, batch)
		if err != nil {
			return found, err
		}
		objs := []any{batch}
		batch.finish()
		for _, j := range subs {
			j.finish()
			objs = append(objs, j)
		}
		if _, err := r.store.SaveOnly(ctx, objs...); err != nil && !errors.Is(err, persistence.ErrConflict) {
			return found, err
		}
		found = true
	}
	// Of those by themselves as many as there are, in steps of some hundreds.
	single := jobs([]State{Executed}, persistence.Eq("is_batch", false), persistence.Eq("parent_batch_key", ""))
	n, err := r.store.Update(ctx, single, func(obj any) error {
		obj.(*Job).finish()
		return nil
	})
	return found || n > 0, err
}

// purge removes the jobs that were finished long ago. It never reads one.
func (r *role) purge(ctx context.Context) error {
	n, err := r.store.RemoveAll(ctx, jobs([]State{Completed, Failed},
		persistence.Eq("purgeable", true), persistence.Lt("modified", time.Now().Add(-r.keep))))
	if n > 0 {
		r.logf("%d jobs purged", n)
	}
	return err
}

// subJobs returns the jobs of a batch, in one round trip and in their order.
func subJobs(ctx context.Context, store *persistence.Store, batch *Job) ([]*Job, error) {
	var ids []persistence.ID
	for _, ref := range batch.BatchMeta.SubJobs {
		ids = append(ids, ref.ID())
	}
	objs, err := store.LoadAll(ctx, ids...)
	if err != nil {
		return nil, err
	}
	subs := make([]*Job, len(objs))
	for i, obj := range objs {
		subs[i] = obj.(*Job)
	}
	return subs, nil
}
