package stress

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/brine-go/brine/persistence"
)

// Check reads the store and the journals of all clients that ever worked on it. No client may still
// run. It tells what in the store is not as the journals say: an acknowledged
// object that is not there, one that nobody made or that was removed, an update lost or made twice,
// an ID given twice, a graph whose parts were saved only in part.
func Check(ctx context.Context, s *persistence.Store, journals ...string) (*Report, error) {
	r := &Report{Acked: map[string]int64{}}
	b := newBook(r)
	for _, path := range journals {
		if err := readJournal(path, b.add); err != nil {
			return nil, err
		}
	}
	b.close()
	found, err := b.readStore(ctx, s)
	if err != nil {
		return nil, err
	}
	for key, h := range b.objects {
		if _, there := found[key]; !there && h.made && h.removed+h.removing == 0 {
			r.find("%s, %v, was acknowledged, nobody removed it, and it is not there", key, h.ids)
		}
	}
	for key, root := range found {
		if err := b.compare(ctx, s, key, root); err != nil {
			return nil, err
		}
	}
	slices.Sort(r.Findings)
	if r.suppressed > 0 {
		r.find("")
		r.Findings = append(r.Findings, fmt.Sprintf("and %d more", r.suppressed))
	}
	return r, nil
}

// readStore looks at every record, and returns the roots by their keys.
func (b *book) readStore(ctx context.Context, s *persistence.Store) (map[string]persistence.ID, error) {
	roots := map[string]persistence.ID{}
	parts := map[string]int{} // of graphs: how many of their nodes there are
	for obj, err := range s.All(ctx, nil) {
		if pe, ok := errors.AsType[*persistence.Error](err); ok && errors.Is(err, persistence.ErrDangling) {
			b.report.find("half a graph is there: %v", pe)
			continue
		} else if err != nil {
			return nil, err
		}
		b.report.Records++
		n, ok := obj.(*Node)
		if !ok {
			b.report.find("a %T is there, which nobody stored", obj)
			continue
		}
		id := n.PersistentID()
		if err := n.sound(); err != nil {
			b.report.find("%s: %v", id, err)
			continue
		}
		if n.Part != 0 {
			parts[n.Key]++
			continue
		}
		if other, dup := roots[n.Key]; dup {
			b.report.find("%s is there twice, as %s and as %s", n.Key, other, id)
		}
		roots[n.Key] = id
		if n.Kind == graph {
			parts[n.Key]++
		}
	}
	for key, n := range parts {
		if n != graphSize {
			b.report.find("%s: %d of the %d nodes of a graph are there", key, n, graphSize)
		}
	}
	return roots, nil
}

// compare looks at an object that is there.
func (b *book) compare(ctx context.Context, s *persistence.Store, key string, id persistence.ID) error {
	r := b.report
	n, err := persistence.Load[Node](ctx, s, id)
	if errors.Is(err, persistence.ErrDangling) {
		return nil // readStore has told it
	} else if err != nil {
		return err
	}
	if err := n.whole(); err != nil {
		r.find("%s: %v", id, err)
		return nil
	}
	h := b.objects[key]
	switch {
	case h == nil || !h.maybe:
		r.find("%s, %s, is there, and nobody stored it", key, id)
		return nil
	case h.removed > 0 && !h.unsure:
		r.find("%s, %s, is there, and somebody removed it", key, id)
		return nil
	}
	if h.made {
		var ids []persistence.ID
		for _, part := range n.all() {
			ids = append(ids, part.PersistentID())
		}
		if !slices.Equal(ids, h.ids) {
			r.find("%s is there as %v, and was acknowledged as %v", key, ids, h.ids)
		}
	}
	for _, worker := range slices.Sorted(maps.Keys(n.By)) {
		if _, known := h.by[worker]; !known && n.By[worker] != 0 {
			r.find("%s: raised %d times by %s, who says nothing of it", key, n.By[worker], worker)
		}
	}
	for worker, span := range h.by {
		if has := n.By[worker]; has < span.acked || has > span.begun {
			r.find("%s: lost update: raised by %s %d times, and acknowledged were %d, begun %d", key, worker, has, span.acked, span.begun)
		}
	}
	if !h.revisions {
		return nil
	}
	for _, part := range n.all() {
		info, err := s.Stat(ctx, part.PersistentID())
		if err != nil {
			return err
		}
		if info.Revision != 1+n.N {
			r.find("%s, part %d: raised %d times, and its revision is %d", key, part.Part, n.N, info.Revision)
		}
	}
	return nil
}
