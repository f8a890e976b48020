package fs

import (
	"context"

	"golang.org/x/sync/semaphore"
)

// A queue is a lock for readers and writers of one process, first come, first
// served, whose waiters can give up.
//
// Without it the goroutines of one process would fight for the lock of the
// directory, for which one can only wait by asking again and again.
type queue struct{ weight *semaphore.Weighted }

const (
	readerWeight = 1
	writerWeight = 1 << 30 // all there is
)

func newQueue() *queue { return &queue{semaphore.NewWeighted(writerWeight)} }

func weightOf(exclusive bool) int64 {
	if exclusive {
		return writerWeight
	}
	return readerWeight
}

func (q *queue) acquire(ctx context.Context, exclusive bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return q.weight.Acquire(ctx, weightOf(exclusive))
}

func (q *queue) release(exclusive bool) { q.weight.Release(weightOf(exclusive)) }
