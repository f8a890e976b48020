package fs

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"
	"unique"

	"github.com/brine-go/brine/persistence/driver"
)

// An index is what the headers of a directory say, in memory. It belongs to whoever holds the exclusive lock.
//
// It is only a hint of where to look: what it says of a record is checked against the file before anything is done.
type index struct {
	schema  *schema
	entries map[string]*entry   // by file name
	states  map[string][]*entry // by state

	// It knows the list of changes of that generation up to offset.
	generation string
	offset     int64
	seen       stamp
}

// An entry is a record without its data.
type entry struct {
	driver.Record
	name string
	pos  int // among those of its state
}

// A stamp tells by what a directory shows from outside whether someone has put files in or taken them out by hand.
type stamp struct {
	generation uint64
	known      bool
	modified   time.Time
}

func (l *lock) stamp() (stamp, error) {
	info, err := l.file.Stat()
	if err != nil {
		return stamp{}, err
	}
	generation, known := l.generation()
	return stamp{generation, known, info.ModTime()}, nil
}

// byHand reports whether the directory changed after s and no writer has been there.
func (s stamp) byHand(now stamp) bool {
	return s.known && now.known && s.generation == now.generation && !s.modified.Equal(now.modified)
}

// changes returns how often writers have been there since s, as far as can be known.
func (s stamp) changes(l *lock) uint64 {
	if generation, known := l.generation(); s.known && known {
		return generation - s.generation
	}
	return 0
}

// sync returns the index of the directory as it is now. The lock is held exclusively.
func (l *lock) sync(ctx context.Context, s *schema) (*index, error) {
	x := l.b.index
	l.b.index = nil // until all has gone well
	c, err := l.openChanges(!l.b.opts.NoCreate)
	if err != nil {
		return nil, err
	}
	if c == nil { // nobody would tell what changes later
		return l.buildIndex(ctx, s)
	}
	defer c.f.Close()
	st, err := l.stamp()
	if err != nil {
		return nil, err
	}
	if c.generation == "" {
		if err := c.begin(); err != nil {
			return nil, err
		}
	}
	if x != nil && (x.schema != s || x.generation != c.generation || x.offset > c.size || x.seen.byHand(st)) {
		x = nil
	}
	if x != nil {
		names, frames, err := c.since(x.offset)
		if _, raw := errors.AsType[*fs.PathError](err); raw {
			return nil, err
		}
		if err != nil || frames < x.seen.changes(l) { // damaged, or cut, or someone does not know of it
			x, names = nil, nil
			if err := c.begin(); err != nil {
				return nil, err
			}
		}
		for name := range names {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if err := l.look(x, name); err != nil {
				return nil, err
			}
		}
	}
	if x == nil {
		if x, err = l.buildIndex(ctx, s); err != nil {
			return nil, err
		}
	}
	x.generation, x.offset, x.seen = c.generation, c.size, st
	l.b.index = x
	return x, nil
}

// buildIndex reads the headers of all records.
func (l *lock) buildIndex(ctx context.Context, s *schema) (*index, error) {
	x := &index{schema: s, entries: map[string]*entry{}, states: map[string][]*entry{}}
	err := l.eachName(ctx, func(name string) error { return l.look(x, name) })
	if err != nil {
		return nil, err
	}
	return x, nil
}

// look puts into the index what the file of that name says.
func (l *lock) look(x *index, name string) error {
	if _, _, ok := idOf(name); !ok {
		return nil
	}
	h, err := l.readHeader(name, true)
	if err == nil && fileName(h.id) == name && storable(h.id, x.schema.IntegerIDs) {
		rec := h.record()
		if err = x.schema.set(&rec, h.fields); err == nil {
			x.put(rec)
			return nil
		}
		err = damaged(err)
	}
	x.remove(name)
	switch {
	case errors.Is(err, driver.ErrCorrupt):
		l.unclaimable(name, err)
		return nil
	case errors.Is(err, errAbsent):
		return nil
	}
	return err
}

// unclaimable says why a record cannot be claimed.
func (l *lock) unclaimable(name string, err error) {
	l.b.log.Warn("a damaged record cannot be claimed", "directory", l.b.path, "file", name, "error", err)
}

// applied tells the index what this Backend has just committed. Where it does not know all that came before, it
// finds out by the list of changes when it is needed.
func (l *lock) applied(changes []change) {
	x := l.b.index
	if x == nil || l.listed == 0 || len(changes) == 0 {
		return
	}
	seen, err := l.stamp()
	if err != nil {
		return
	}
	for i := range changes {
		c := &changes[i]
		if c.folder != l.folder {
			continue // claims are for objects
		}
		if c.remove {
			x.remove(c.name)
			continue
		}
		rec := c.header.record()
		if err := x.schema.set(&rec, c.header.fields); err != nil {
			x.remove(c.name)
			continue
		}
		// The caller may go on to use what he passed.
		rec.ID = driver.ID(strings.Clone(string(rec.ID)))
		for i, v := range rec.Fields {
			switch v := v.(type) {
			case string:
				rec.Fields[i] = strings.Clone(v)
			case []byte:
				rec.Fields[i] = bytes.Clone(v)
			}
		}
		x.put(rec)
	}
	x.offset, x.seen = l.listed, seen
}

func (x *index) put(rec driver.Record) {
	rec.Type, rec.State = unique.Make(rec.Type).Value(), unique.Make(rec.State).Value()
	rec.Claim.Owner = unique.Make(rec.Claim.Owner).Value()
	name := fileName(rec.ID)
	if e := x.entries[name]; e != nil {
		if e.State == rec.State {
			e.Record = rec
			return
		}
		x.remove(name)
	}
	e := &entry{Record: rec, name: name, pos: len(x.states[rec.State])}
	x.entries[name] = e
	x.states[rec.State] = append(x.states[rec.State], e)
}

func (x *index) remove(name string) {
	e := x.entries[name]
	if e == nil {
		return
	}
	delete(x.entries, name)
	same := x.states[e.State]
	last := len(same) - 1
	same[e.pos] = same[last]
	same[e.pos].pos = e.pos
	same[last] = nil
	if x.states[e.State] = same[:last]; last == 0 {
		delete(x.states, e.State)
	}
}

// A candidate is an entry and its place in the order of a query.
type candidate struct {
	*entry
	cur driver.Cursor
}

// pick returns the first n entries that match q, stand behind after if it is not nil, and that want accepts.
func (x *index) pick(q *driver.Query, after *driver.Cursor, n int, want func(*entry) bool) []candidate {
	columns := x.schema.columns
	compare := func(a, b candidate) int { return columns.Compare(q, &a.cur, &b.cur) }
	rest := &driver.Query{Where: q.Where}
	var first []candidate // the first in order so far, and up to as many that may be
	var bound *driver.Cursor
	var cur driver.Cursor
	consider := func(e *entry) {
		if !want(e) || !columns.Match(rest, &e.Record) {
			return
		}
		cur.ID, cur.Values = e.ID, cur.Values[:0]
		for _, o := range q.Order {
			cur.Values = append(cur.Values, columns.Value(&e.Record, o.Column))
		}
		if after != nil && columns.Compare(q, &cur, after) <= 0 || bound != nil && columns.Compare(q, &cur, bound) > 0 {
			return
		}
		first = append(first, candidate{e, driver.Cursor{ID: cur.ID, Values: slices.Clone(cur.Values)}})
		if len(first) >= 2*n {
			slices.SortFunc(first, compare)
			clear(first[n:])
			first = first[:n]
			bound = &driver.Cursor{ID: first[n-1].cur.ID, Values: slices.Clone(first[n-1].cur.Values)}
		}
	}
	if states, i, ok := statesOf(q); ok {
		rest.Where = slices.Delete(slices.Clone(q.Where), i, i+1)
		for _, state := range states {
			for _, e := range x.states[state] {
				consider(e)
			}
		}
	} else {
		for _, same := range x.states {
			for _, e := range same {
				consider(e)
			}
		}
	}
	slices.SortFunc(first, compare)
	return first[:min(n, len(first))]
}

// statesOf returns the only states that a query allows, each once, and which condition says so.
func statesOf(q *driver.Query) (states []string, cond int, ok bool) {
	for i, c := range q.Where {
		if c.Column != driver.ColState || c.Op != driver.Eq && c.Op != driver.In {
			continue
		}
		for _, v := range c.Values {
			if s := v.(string); !slices.Contains(states, s) {
				states = append(states, s)
			}
		}
		return states, i, true
	}
	return nil, 0, false
}
