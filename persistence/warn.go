package persistence

import (
	"sync"
	"sync/atomic"
)

// warned remembers the warnings given, so that a million records cause one line. After
// maxWarnings it warns no more.
type warned struct {
	mu   sync.Mutex
	seen map[string]bool
}

const maxWarnings = 1000

func (w *warned) first(what string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen[what] || len(w.seen) >= maxWarnings {
		return false
	}
	if w.seen == nil {
		w.seen = make(map[string]bool)
	}
	w.seen[what] = true
	return true
}

// warnUnknown logs, once for each path, that a record has a field that its type lacks.
func (s *Store) warnUnknown(n *node, path string) {
	if s.warned.first(path) {
		s.logger.Warn("a record has a field that its type lacks: it is skipped",
			"field", path, "type", n.head.Type, "id", string(n.rec.ID))
	}
}

// shallowHint detects a program that keeps saving large graphs for small changes.
type shallowHint struct {
	count atomic.Int32
}

const (
	hintEncoded = 1000 // more objects encoded than this
	hintWritten = 10   // and fewer written than this
	hintRepeats = 3    // so many times
)

func (h *shallowHint) note(s *Store, encoded, written int) {
	if encoded <= hintEncoded || written >= hintWritten || h.count.Load() >= hintRepeats {
		return
	}
	if h.count.Add(1) == hintRepeats {
		s.logger.Warn("Save keeps encoding many objects to write few: SaveOnly writes just the objects it is given",
			"encoded", encoded, "written", written)
	}
}
