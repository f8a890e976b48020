package persistence

import (
	"context"
	"math"

	"golang.org/x/sync/semaphore"
)

// numbers hands out the numbers of the store's counter, which it takes in blocks. The blocks
// grow with use: bulk work needs few round trips, and a short run wastes few numbers.
type numbers struct {
	c         *conn
	give      func(context.Context) (int64, error) // next: a method value made once
	noCounter bool
	lock      *semaphore.Weighted // of weight 1, guards the fields below; waiting for it ends with a context
	spans     []span
	block     int
}

// A span is the range of numbers [next, end).
type span struct{ next, end int64 }

const (
	firstBlock = 16
	maxBlock   = 8192
)

func (n *numbers) init(c *conn, noCounter bool) {
	n.c, n.give, n.noCounter, n.block, n.lock = c, n.next, noCounter, firstBlock, semaphore.NewWeighted(1)
}

// next returns a number that was never returned before.
func (n *numbers) next(ctx context.Context) (int64, error) {
	if err := n.lock.Acquire(ctx, 1); err != nil {
		return 0, err
	}
	defer n.lock.Release(1)
	if len(n.spans) == 0 {
		if err := n.fetch(ctx, n.block); err != nil {
			return 0, err
		}
		n.block = min(2*n.block, maxBlock)
	}
	first := &n.spans[0]
	v := first.next
	first.next++
	if first.next == first.end {
		n.spans = n.spans[1:]
	}
	return v, nil
}

// take adds a span of count numbers.
func (n *numbers) take(ctx context.Context, count int) error {
	if err := n.lock.Acquire(ctx, 1); err != nil {
		return err
	}
	defer n.lock.Release(1)
	return n.fetch(ctx, count)
}

// skip discards the numbers at hand and count more, because they ran into IDs that are taken.
func (n *numbers) skip(ctx context.Context, count int) error {
	if err := n.lock.Acquire(ctx, 1); err != nil {
		return err
	}
	defer n.lock.Release(1)
	n.spans = nil
	if err := n.fetch(ctx, count); err != nil {
		return err
	}
	n.spans = nil
	return nil
}

// forget discards the numbers at hand after a save if they were only the next free ones, which
// another process may take. Another save that holds the lock discards them itself.
func (n *numbers) forget() {
	if n.noCounter && n.lock.TryAcquire(1) {
		n.spans, n.block = nil, firstBlock
		n.lock.Release(1)
	}
}

func (n *numbers) fetch(ctx context.Context, count int) error {
	first, err := n.c.nextIDs(ctx, count)
	if err != nil {
		return err
	}
	n.spans = append(n.spans, span{first, first + int64(count)})
	return nil
}

// raise makes sure that the numbers which are given from now on are above one.
func (n *numbers) raise(ctx context.Context, above int64) error {
	if above < 1 {
		return nil
	}
	if err := n.lock.Acquire(ctx, 1); err != nil {
		return err
	}
	defer n.lock.Release(1)
	n.spans = nil
	for !n.noCounter { // without a counter they are above the highest ID anyway
		first, err := n.c.nextIDs(ctx, 1)
		if err != nil && above == math.MaxInt64 {
			return nil //nolint:nilerr // there are no numbers left, so none is given out twice
		}
		if err != nil || first > above {
			return err
		}
		missing := min(above, math.MaxInt64-1) - first
		if missing <= 0 {
			return nil
		}
		count := min(missing, math.MaxInt)
		if first, err = n.c.nextIDs(ctx, int(count)); err != nil || first+(count-1) >= above {
			return err
		}
	}
	return nil
}
