package persistence

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// warned remembers the warnings given, so that a million records cause one line. After
// maxWarnings it warns no more.
type warned struct {
	mu   sync.Mutex
	seen map[string]bool
	last map[string]time.Time // by type: when noneFound looked
	// failures counts, by kind, those that were logged.
	failures map[string]int
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

// maxFailures is how many different failures of one kind are logged.
const maxFailures = 10

// failure reports whether a failure of a kind, which is told by what, is logged: the first of each
// text is, up to maxFailures of a kind. last says that no more of the kind will be.
func (w *warned) failure(kind, what string) (log, last bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failures[kind] >= maxFailures || w.seen[kind+"\x00"+what] || len(w.seen) >= maxWarnings {
		return false, false
	}
	if w.seen == nil {
		w.seen = make(map[string]bool)
	}
	if w.failures == nil {
		w.failures = make(map[string]int)
	}
	w.seen[kind+"\x00"+what] = true
	w.failures[kind]++
	return true, w.failures[kind] == maxFailures
}

// warnFailure logs that a column of an object could not be computed.
func (s *Store) warnFailure(what, column string, obj any, id ID, err error) {
	log, last := s.warned.failure(fmt.Sprintf("%s of %T", column, obj), err.Error())
	if !log {
		return
	}
	if last {
		what += "; further failures of this column and type are not logged"
	}
	s.logger.Warn(what, "column", column, "type", fmt.Sprintf("%T", obj), "id", string(id), "error", err)
}

// due reports whether noneFound looks for what, for the first time within a minute.
func (w *warned) due(what string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if last, ok := w.last[what]; ok && now.Sub(last) < time.Minute || len(w.last) >= maxWarnings {
		return false
	}
	if w.last == nil {
		w.last = make(map[string]time.Time)
	}
	w.last[what] = now
	return true
}

const (
	lostAtLoad = "a record has a field that its type lacks, and a value without an identity has no place to keep it: embed persistence.Unknown to save it again"
	lostAtSave = "a record has a field that the type of an element lacks: saving the object changed is refused unless the type embeds persistence.Unknown or Options.DropUnknown is set"
)

// warnUnknown logs, once for each type and field, that a record has a field that its type lacks.
func (s *Store) warnUnknown(typ string, id ID, path, what string) {
	if s.warned.first(fieldOf(path)) {
		s.logger.Warn(what, "field", path, "type", typ, "id", string(id))
	}
}

// fieldOf returns a path without what it has in brackets: the elements and entries of a field are
// one to it.
func fieldOf(path string) string {
	var b strings.Builder
	for path != "" {
		before, rest, ok := strings.Cut(path, "[")
		b.WriteString(before)
		if !ok {
			break
		}
		b.WriteByte('[')
		if key, err := strconv.QuotedPrefix(rest); err == nil {
			rest = rest[len(key):]
		}
		_, path, _ = strings.Cut(rest, "]")
	}
	return b.String()
}

// noneFound is told that a query found no record. If it asks for a type, and there are records of
// types that this program does not know, that is logged: a type that was renamed must not look like
// an empty store. It looks at most once a minute for each type.
func (c *conn) noneFound(ctx context.Context, q *driver.Query) {
	var names []string
	for _, cond := range q.Where {
		if cond.Column == driver.ColType && (cond.Op == driver.Eq || cond.Op == driver.In) {
			for _, v := range cond.Values {
				names = append(names, fmt.Sprint(v))
			}
		}
	}
	if c.namespace != driver.Objects || len(names) == 0 || q.After != nil || !c.s.warned.due(names[0]) {
		return
	}
	var groups []Group
	err := c.readOnce(ctx, func(r driver.Reader) error {
		var err error
		groups, err = driver.CountBy(ctx, r, c.s.values, &driver.Query{}, driver.ColType)
		return err
	})
	if err != nil {
		return // it was only for the log
	}
	var unknown []string
	for _, g := range groups {
		name, ok := g.Value.(string)
		if !ok || slices.Contains(names, name) {
			continue
		}
		if _, _, err := records.Resolve(name); err != nil {
			unknown = append(unknown, fmt.Sprintf("%s (%d)", name, g.Count))
		}
	}
	if len(unknown) > 0 && c.s.warned.first("none "+names[0]) {
		c.s.logger.Warn("a query found no records of a type, and the store has records of types that this program does not know: if one was renamed, RegisterAlias finds it",
			"type", strings.Join(names, ", "), "unknown", strings.Join(unknown[:min(len(unknown), 10)], ", "))
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

// maxForeign is how many objects of other stores are saved as new ones without a warning.
const maxForeign = 100

// noteForeign warns, once, if a program copies a store by loading its objects and saving them in
// another one.
func (sv *saver) noteForeign(dirty []*item) {
	s := sv.s
	if s.foreign.Load() > maxForeign {
		return
	}
	n := int64(0)
	for _, it := range dirty {
		if it.op == driver.Create && it.ident != nil && it.ident.elsewhere(s.ident) {
			n++
		}
	}
	if n > 0 && s.foreign.Add(n) > maxForeign && s.warned.first("objects of another store") {
		s.logger.Warn("many objects of another store were saved here as new ones: persistence.Copy copies a store, " +
			"with its IDs, and each record once, where a loop of All and Save may make several of an object that more than one refers to")
	}
}
