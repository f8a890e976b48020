package fs

import (
	"context"
	"slices"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// A lookahead is a range of the IDs of a folder at one moment, in order.
type lookahead struct {
	generation uint64
	modified   time.Time // of the folder: files may have been added or removed by hand
	after      driver.ID // the range starts after it; "" stands before all
	ids        []driver.ID
	complete   bool     // there are none after the range
	lost       []string // damaged files whose IDs are unknown, as their names are hashed; of a range from the start
}

// since returns the part of a range that stands after an ID, or nil where it has none.
func (la *lookahead) since(after driver.ID, cmp func(a, b driver.ID) int) *lookahead {
	switch {
	case after == la.after:
		return la
	case la.after != "" && (after == "" || cmp(after, la.after) < 0):
		return nil
	}
	i, found := slices.BinarySearchFunc(la.ids, after, cmp)
	if found {
		i++
	}
	if i == len(la.ids) && !la.complete {
		return nil
	}
	return &lookahead{ids: la.ids[i:], complete: la.complete}
}

// idsAfter returns a range of IDs that starts after one.
func (r *reader) idsAfter(ctx context.Context, after driver.ID) (*lookahead, error) {
	generation, known := r.generation()
	info, err := r.file.Stat()
	if err != nil {
		return nil, err
	}
	r.b.mu.Lock()
	kept := r.ahead
	r.b.mu.Unlock()
	if known && kept != nil && kept.generation == generation && kept.modified.Equal(info.ModTime()) {
		if la := kept.since(after, r.schema.columns.CompareIDs); la != nil {
			return la, nil
		}
	}
	la, err := r.readIDs(ctx, after)
	if err != nil {
		return nil, err
	}
	la.generation, la.modified = generation, info.ModTime()
	if known {
		r.b.mu.Lock()
		r.ahead = la
		r.b.mu.Unlock()
	}
	return la, nil
}

// readIDs reads the folder for idsAfter.
func (r *reader) readIDs(ctx context.Context, after driver.ID) (*lookahead, error) {
	la := &lookahead{after: after}
	first := smallest{n: r.b.window, cmp: r.schema.columns.CompareIDs, complete: true}
	err := r.eachName(ctx, func(name string) error {
		id, err := r.idOfFile(name)
		if unreadable(err) {
			if after == "" {
				la.lost = append(la.lost, name)
			}
			return nil
		}
		if err == nil && storable(id, r.schema.IntegerIDs) && (after == "" || first.cmp(id, after) > 0) {
			first.add(id)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	la.ids, la.complete = first.sorted()
	return la, nil
}

// smallest collects the n smallest IDs of many.
type smallest struct {
	n        int
	cmp      func(a, b driver.ID) int
	ids      []driver.ID // the smallest so far, and up to as many candidates
	bound    driver.ID   // what is greater is not among the smallest; "": all may be
	complete bool        // none has been left out
}

func (s *smallest) add(id driver.ID) {
	if s.bound != "" && s.cmp(id, s.bound) > 0 {
		return
	}
	if s.ids = append(s.ids, id); len(s.ids) == 2*s.n {
		s.cut()
		s.bound = s.ids[s.n-1]
	}
}

// cut sorts the IDs and leaves the smallest.
func (s *smallest) cut() {
	slices.SortFunc(s.ids, s.cmp)
	if len(s.ids) > s.n {
		s.ids, s.complete = s.ids[:s.n], false
	}
}

// sorted returns the smallest IDs in order, without the room for candidates, and whether they are
// all there are.
func (s *smallest) sorted() (ids []driver.ID, complete bool) {
	s.cut()
	return slices.Clone(s.ids), s.complete
}
