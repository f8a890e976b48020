package persistence

import (
	"context"
)

// numbers hands out the numbers of the store's counter, which it takes in blocks. The blocks
// grow with use, so that bulk work pays few round trips and a short run wastes few numbers.
type numbers struct {
	s         *Store
	noCounter bool
	turn      chan struct{} // holds one token: whoever has it may touch the rest
	spans     []span
	block     int
}

// A span is the numbers from next up to, not including, end.
type span struct{ next, end int64 }

const (
	firstBlock = 16
	maxBlock   = 8192
)

func (n *numbers) init(s *Store, noCounter bool) {
	n.s, n.noCounter, n.block = s, noCounter, firstBlock
	n.turn = make(chan struct{}, 1)
	n.turn <- struct{}{}
}

func (n *numbers) lock(ctx context.Context) error {
	select {
	case <-n.turn:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (n *numbers) unlock() { n.turn <- struct{}{} }

// next returns a number that was never given out before.
func (n *numbers) next(ctx context.Context) (int64, error) {
	if err := n.lock(ctx); err != nil {
		return 0, err
	}
	defer n.unlock()
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
	if err := n.lock(ctx); err != nil {
		return err
	}
	defer n.unlock()
	return n.fetch(ctx, count)
}

// skip throws the numbers at hand away, and count more: they ran into IDs that are taken.
func (n *numbers) skip(ctx context.Context, count int) error {
	if err := n.lock(ctx); err != nil {
		return err
	}
	defer n.unlock()
	n.spans = nil
	if err := n.fetch(ctx, count); err != nil {
		return err
	}
	n.spans = nil
	return nil
}

// forget throws the numbers at hand away after a save, where they were only the next free ones
// and another process may take them.
func (n *numbers) forget() {
	if !n.noCounter {
		return
	}
	select {
	case <-n.turn:
		n.spans, n.block = nil, firstBlock
		n.unlock()
	default: // another save is at it, and forgets in its turn
	}
}

func (n *numbers) fetch(ctx context.Context, count int) error {
	if err := n.s.gate.enter(ctx); err != nil {
		return err
	}
	defer n.s.gate.leave()
	first, err := n.s.backend.NextIDs(ctx, count)
	if err != nil {
		return err
	}
	n.spans = append(n.spans, span{first, first + int64(count)})
	return nil
}
