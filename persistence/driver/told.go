package driver

import "sync"

// Told remembers what was logged, so that it is logged once. The zero value is ready to use. It is
// safe for concurrent use.
type Told struct {
	mu   sync.Mutex
	seen map[string]bool
}

// maxTold bounds the memory: after so many texts, nothing is new any more.
const maxTold = 1000

// First reports whether it is called with what for the first time.
func (t *Told) First(what string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.seen[what] || len(t.seen) >= maxTold {
		return false
	}
	if t.seen == nil {
		t.seen = make(map[string]bool)
	}
	t.seen[what] = true
	return true
}
