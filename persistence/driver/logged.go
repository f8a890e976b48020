package driver

import "sync"

// Logged remembers what was logged, so that it is logged once. The zero value is ready to use. It
// is safe for concurrent use.
type Logged struct {
	mu   sync.Mutex
	seen map[string]bool
}

// maxLogged bounds the memory: after so many texts, nothing is new any more.
const maxLogged = 1000

// First reports whether it is called with what for the first time.
func (t *Logged) First(what string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.seen[what] || len(t.seen) >= maxLogged {
		return false
	}
	if t.seen == nil {
		t.seen = make(map[string]bool)
	}
	t.seen[what] = true
	return true
}
