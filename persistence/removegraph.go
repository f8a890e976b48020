package persistence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/internal/codec"
)

// RemoveGraphOptions are the options of [Store.RemoveGraph].
type RemoveGraphOptions struct {
	DryRun bool // only report what would be removed
}

// RemoveGraph removes the records with the IDs and all that only they reach, eagerly or lazily, in
// one atomic step. What something else refers to stays, with all that it reaches. If something that
// would stay refers to one of ids, the error is ErrReferenced, which names both, and nothing is
// removed. ErrNotFound names the first absent ID. Unlike [Store.Collect] it puts nothing into
// quarantine.
//
// To find out what is referred to it reads the headers of all records in one state; one that cannot
// be read is ErrCorrupt. Then it keeps other writers waiting, looks again at what was changed
// meanwhile, and removes: a save beside it either makes records stay or gets ErrDangling. On a
// Galera cluster, or where a user of MySQL lacks the right to LOCK TABLES, others cannot be kept
// waiting, and a save at the very moment leaves its reference dangling.
func (s *Store) RemoveGraph(ctx context.Context, o RemoveGraphOptions, ids ...ID) (GraphReport, error) {
	if !o.DryRun {
		if err := s.mayWrite("remove graph", only(ids)); err != nil {
			return GraphReport{}, err
		}
	}
	report, err := s.removeGraph(ctx, o, ids)
	return report, s.fail("remove graph", "", err)
}

func (s *Store) removeGraph(ctx context.Context, o RemoveGraphOptions, ids []ID) (GraphReport, error) {
	if len(ids) == 0 {
		return GraphReport{}, nil
	}
	for range maxAttempts {
		var p removal
		since := notBefore(time.Now())
		err := s.view(ctx, func(r driver.Reader) error { return p.plan(ctx, s, r, ids) })
		if err != nil {
			return GraphReport{}, err
		}
		report, ms := p.report()
		if !o.DryRun {
			err = s.removePlanned(ctx, &p, ms, since)
		}
		switch {
		case err == nil:
			return report, nil
		case !errors.Is(err, ErrConflict) && !errors.Is(err, ErrNotFound) && !errors.Is(err, errAgain):
			return GraphReport{}, err
		}
	}
	return GraphReport{}, fmt.Errorf("gave up after %d attempts: %w", maxAttempts, ErrConflict)
}

// removePlanned makes the mutations of a plan, unless what was modified since a time before it
// refers to what they remove: then the error is errAgain.
func (s *Store) removePlanned(ctx context.Context, p *removal, ms []driver.Mutation, since time.Time) error {
	var where []driver.Cond // all records, if the table cannot tell
	if s.checkColumn(driver.ColModified) == nil {
		where = []driver.Cond{{Column: driver.ColModified, Op: driver.Ge, Values: []any{since}}}
	}
	_, supported, err := s.applyExclusive(ctx, "", func(x driver.Exclusive) ([]driver.Mutation, error) {
		referred := false
		err := s.allLinks(ctx, x, where, func(rec *driver.Record, h *codec.Header) {
			referred = referred || !p.removes(rec.ID) && (slices.ContainsFunc(h.Eager, p.removes) || slices.ContainsFunc(h.Lazy, p.removes))
		})
		if err == nil && referred {
			err = errAgain
		}
		return ms, err
	})
	if !supported {
		_, err = s.apply(ctx, ms)
	}
	return err
}

// removes reports whether a record is removed.
func (p *removal) removes(id ID) bool {
	_, reached := p.reached[id]
	return reached && p.stays[id] == ""
}

// A removal is what one RemoveGraph is about.
type removal struct {
	order   []ID             // what the IDs reach, they first
	reached map[ID]graphNode // the same
	stays   map[ID]ID        // of these, those that something that stays refers to, and what that is
}

// A graphNode is a record that is reached.
type graphNode struct {
	revision int64
	refs     []ID
}

func (p *removal) plan(ctx context.Context, s *Store, r driver.Reader, ids []ID) error {
	p.order, p.reached, p.stays = nil, make(map[ID]graphNode), make(map[ID]ID)
	err := s.reach(ctx, r, ids, driver.Version, func(rec *driver.Record, h *codec.Header) {
		p.order = append(p.order, rec.ID)
		p.reached[rec.ID] = graphNode{rec.Revision, append(h.Eager, h.Lazy...)}
	})
	if err != nil {
		return err
	}
	var todo []ID
	keep := func(by ID, refs []ID) {
		for _, id := range refs {
			if _, ok := p.reached[id]; ok && p.stays[id] == "" {
				p.stays[id] = by
				todo = append(todo, id)
			}
		}
	}
	err = s.allLinks(ctx, r, nil, func(rec *driver.Record, h *codec.Header) {
		if _, ok := p.reached[rec.ID]; !ok {
			keep(rec.ID, h.Eager)
			keep(rec.ID, h.Lazy)
		}
	})
	if err != nil {
		return err
	}
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		keep(id, p.reached[id].refs)
	}
	for _, id := range ids {
		if by := p.stays[id]; by != "" {
			return &driver.RecordError{ID: id, Err: fmt.Errorf("%q, which would stay, refers to it: %w", by, ErrReferenced)}
		}
	}
	return nil
}

// report returns what is to be removed.
func (p *removal) report() (report GraphReport, ms []driver.Mutation) {
	for _, id := range p.order {
		if !p.removes(id) {
			report.Kept++
			continue
		}
		report.removed(id)
		ms = append(ms, driver.Mutation{Op: driver.Delete, Rec: driver.Record{ID: id}, IfRev: p.reached[id].revision})
	}
	return report, ms
}

// removed takes in a removed record.
func (g *GraphReport) removed(id ID) {
	if g.Removed++; len(g.IDs) < maxReported {
		g.IDs = append(g.IDs, id)
	}
}
