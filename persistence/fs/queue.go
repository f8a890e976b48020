package fs

import (
	"container/list"
	"context"
	"sync"
)

// A queue is a lock for readers and writers of one process, first come, first
// served, whose waiters can give up. The zero value is ready to use.
//
// Without it the goroutines of one process would fight for the lock of the
// directory, for which one can only wait by asking again and again.
type queue struct {
	mu      sync.Mutex
	readers int
	writer  bool
	waiting list.List // of *waiter
}

type waiter struct {
	exclusive bool
	ready     chan struct{} // closed when the lock is the waiter's
}

func (q *queue) acquire(ctx context.Context, exclusive bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	q.mu.Lock()
	if q.waiting.Len() == 0 && q.free(exclusive) {
		q.take(exclusive)
		q.mu.Unlock()
		return nil
	}
	w := &waiter{exclusive, make(chan struct{})}
	elem := q.waiting.PushBack(w)
	q.mu.Unlock()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-w.ready: // it came at the same moment
		q.drop(exclusive)
	default:
		q.waiting.Remove(elem)
	}
	q.admit() // those who stood behind may go now
	return ctx.Err()
}

func (q *queue) release(exclusive bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.drop(exclusive)
	q.admit()
}

func (q *queue) free(exclusive bool) bool {
	return !q.writer && (!exclusive || q.readers == 0)
}

func (q *queue) take(exclusive bool) {
	if exclusive {
		q.writer = true
	} else {
		q.readers++
	}
}

func (q *queue) drop(exclusive bool) {
	if exclusive {
		q.writer = false
	} else {
		q.readers--
	}
}

func (q *queue) admit() {
	for e := q.waiting.Front(); e != nil; e = q.waiting.Front() {
		w := e.Value.(*waiter)
		if !q.free(w.exclusive) {
			return
		}
		q.take(w.exclusive)
		q.waiting.Remove(e)
		close(w.ready)
	}
}
