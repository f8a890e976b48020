package fs

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/brine-go/brine/persistence/fs/internal/claimindex"
)

// An index says what can be claimed in a directory. It belongs to the one who has the exclusive
// lock.
type index struct {
	*claimindex.Index
	schema *schema
	seen   stamp // of the directory when the index was last brought up to date
}

// A stamp tells by what a directory shows from outside whether someone has put files in or taken
// them out by hand.
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

// sync returns the index of the directory as it is now. The lock is exclusive.
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
	defer c.Close()
	st, err := l.stamp()
	if err != nil {
		return nil, err
	}
	if c.Generation() == "" {
		if err := c.Begin(); err != nil {
			return nil, err
		}
	}
	if x != nil && (x.schema != s || x.Generation != c.Generation() || x.Offset > c.Size() || x.seen.byHand(st)) {
		x = nil
	}
	if x != nil {
		names, frames, err := c.Since(x.Offset, isRecordName)
		if _, raw := errors.AsType[*fs.PathError](err); raw {
			return nil, err
		}
		if err != nil || frames < x.seen.changes(l) { // damaged, or cut, or someone does not know of it
			x, names = nil, nil
			if err := c.Begin(); err != nil {
				return nil, err
			}
		}
		for name := range names {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if err := l.readEntry(x, name); err != nil {
				return nil, err
			}
		}
	}
	if x == nil {
		if x, err = l.buildIndex(ctx, s); err != nil {
			return nil, err
		}
	}
	x.Generation, x.Offset, x.seen = c.Generation(), c.Size(), st
	l.b.index = x
	return x, nil
}

// buildIndex reads the headers of all records.
func (l *lock) buildIndex(ctx context.Context, s *schema) (*index, error) {
	x := &index{Index: claimindex.New(s.columns), schema: s}
	err := l.eachName(ctx, func(name string) error { return l.readEntry(x, name) })
	if err != nil {
		return nil, err
	}
	return x, nil
}

func isRecordName(name string) bool {
	_, _, ok := idOf(name)
	return ok
}

// readEntry puts into the index what the file of that name says.
func (l *lock) readEntry(x *index, name string) error {
	if !isRecordName(name) {
		return nil
	}
	h, err := l.readHeader(name, true)
	if err == nil && fileName(h.id) == name && storable(h.id, x.schema.IntegerIDs) {
		rec := h.record()
		if err = x.schema.setFields(&rec, h.fields); err == nil {
			x.Put(name, rec)
			return nil
		}
		err = damaged(err)
	}
	x.Remove(name)
	switch {
	case unreadable(err):
		l.unclaimable(name, err)
		return nil
	case errors.Is(err, errAbsent):
		return nil
	}
	return err
}

// unclaimable logs, once, why a record cannot be claimed.
func (l *lock) unclaimable(name string, err error) {
	if l.b.logged.First("claim " + name) {
		l.b.log.Warn("a damaged record cannot be claimed, and stays as it is", "directory", l.b.path, "file", name, "error", err)
	}
}

// applied tells the index what this Backend has just committed. Where it does not know all that
// came before, it finds out by the list of changes when it is needed.
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
		if c.remove || c.raw && c.header.id == "" {
			x.Remove(c.name)
			continue
		}
		rec := c.header.record()
		if err := x.schema.setFields(&rec, c.header.fields); err != nil {
			x.Remove(c.name)
			continue
		}
		x.Put(c.name, claimindex.Own(rec))
	}
	x.Offset, x.seen = l.listed, seen
}
