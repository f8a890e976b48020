package sql

import (
	"sync/atomic"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// counters count what the pools of a Backend have done since it was made.
type counters struct {
	opened, closed, waits atomic.Int64
	waited                atomic.Int64 // nanoseconds
}

// Stats implements [driver.Statser].
func (b *Backend) Stats() driver.Stats {
	n := b.counters
	s := driver.Stats{
		Opened: n.opened.Load(), Closed: n.closed.Load(), Waits: n.waits.Load(), WaitTime: time.Duration(n.waited.Load()),
	}
	b.mu.Lock()
	o := b.open
	s.Limit = b.limit
	b.mu.Unlock()
	if o == nil {
		return s
	}
	for _, p := range o.pools() {
		p.mu.Lock()
		s.InUse += p.lent
		s.Idle += len(p.free)
		p.mu.Unlock()
	}
	return s
}
