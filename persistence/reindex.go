package persistence

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/brine-go/brine/persistence/driver"
)

// Reindex fills incomplete extra columns: it computes the columns of each record that lacks one,
// from the object, and writes them. Use it when a field was added to a store that has records, or
// when another program has written past it; [Store.Columns] and a warning at opening tell. Neither
// the objects nor their revisions change. It streams, and others may use the store meanwhile.
// Records that lack no column are not read: when an extractor has changed, DropField its column
// first. Where nothing is known of the records, as in a table that Brine did not make, Reindex
// visits all of them and writes those that differ.
//
// progress, if not nil, is called from time to time with the number of records done and the
// total at the start. Records that cannot be loaded stay as they are; this includes records of
// a type that is neither registered nor otherwise known to the process by then. So do records with
// values that a unique index allows once and another record has (ErrUnique). The error returned at
// the end has the number of such records and the first error.
func (s *Store) Reindex(ctx context.Context, progress func(done, total int64)) error {
	if err := s.mayWrite("reindex", ""); err != nil {
		return err
	}
	err := s.reindex(ctx, progress)
	if err == nil || errors.Is(err, errNotLoaded) {
		catalog, cerr := s.catalog(ctx)
		if cerr != nil {
			return s.fail("reindex", "", errors.Join(err, cerr))
		}
		s.watchColumns(catalog)
	}
	return s.fail("reindex", "", err)
}

// errNotLoaded: Reindex has done what it could.
var errNotLoaded = errors.New("records could not be filled")

// reindexRounds is how often Reindex goes back to records that were changed under its hands.
const reindexRounds = 5

func (s *Store) reindex(ctx context.Context, progress func(done, total int64)) error {
	for _, f := range s.extras {
		if name := f.Column().Name; slices.Contains(s.missing, name) {
			return fmt.Errorf("the table has no column %q: %w", name, errors.ErrUnsupported)
		}
	}
	if len(s.extras) == 0 {
		return nil
	}
	r := &reindexing{s: s, progress: progress}
	for round := range reindexRounds {
		passes, err := s.reindexPasses(ctx)
		if err != nil {
			return err
		}
		for _, p := range passes {
			if round > 0 {
				break
			}
			n, err := s.countRecords(ctx, p.query)
			if err != nil {
				return err
			}
			r.total += n
		}
		r.conflicts, r.failed, r.first = false, 0, nil
		for _, p := range passes {
			if err := r.pass(ctx, p); err != nil {
				return err
			}
		}
		if !r.conflicts {
			break
		}
	}
	if r.failed > 0 {
		return fmt.Errorf("%d of %d %w, the first: %w", r.failed, r.done, errNotLoaded, r.first)
	}
	return nil
}

// A reindexPass is a query for records, and the number of the set of columns that they have when
// theirs are filled; 0: nothing is known of the sets.
type reindexPass struct {
	query *driver.Query
	set   int64
}

// reindexPasses returns what there is to do: one pass for each set that lacks a column.
func (s *Store) reindexPasses(ctx context.Context) ([]reindexPass, error) {
	catalog, err := s.catalog(ctx)
	if err != nil {
		return nil, err
	}
	if catalog == nil {
		return []reindexPass{{query: &driver.Query{}}}, nil
	}
	var passes []reindexPass
	for _, gap := range s.incomplete(catalog) {
		filled := catalog.Sets[gap.Set].Union(driver.SetOf(s.watch.declared))
		set, found := catalog.FindSet(filled)
		if !found {
			err = s.write(ctx, func(b driver.Backend) error {
				set, err = b.(driver.Cataloger).AddColumnSet(ctx, filled)
				return err
			})
			if err != nil {
				return nil, err
			}
		}
		passes = append(passes, reindexPass{s.inGap(gap, 0), set})
	}
	return passes, nil
}

func (s *Store) countRecords(ctx context.Context, q *driver.Query) (n int64, err error) {
	err = s.readOnce(ctx, func(r driver.Reader) error {
		n, err = r.Count(ctx, q)
		return err
	})
	return n, err
}

// A reindexing is the state of a Reindex.
type reindexing struct {
	s           *Store
	progress    func(done, total int64)
	done, total int64
	ms          []driver.Mutation
	conflicts   bool  // a record was changed after it was read
	failed      int64 // records that could not be loaded
	first       error // of these
}

// pass fills the columns of the records of a query.
func (r *reindexing) pass(ctx context.Context, p reindexPass) error {
	n := int64(0)
	for l, err := range r.s.allOf(ctx, p.query, nil, nil, true) {
		n, r.done = n+1, r.done+1
		switch {
		case err == nil:
			m, needed, err := r.s.reindexed(l, p.set)
			if err != nil {
				r.fails(&driver.RecordError{ID: l.rec.ID, Err: err})
			} else if needed {
				r.ms = append(r.ms, m)
			}
		case !concernsOneRecord(err):
			return err
		default:
			r.fails(err)
		}
		if len(r.ms) >= dataPage || n%dataPage == 0 {
			if err := r.flush(ctx); err != nil {
				return err
			}
		}
	}
	return r.flush(ctx)
}

// fails notes that a record stays as it is.
func (r *reindexing) fails(err error) {
	r.failed++
	if r.first == nil {
		r.first = err
	}
}

// reindexed returns the mutation for an object, and whether it is needed.
func (s *Store) reindexed(l loaded, set int64) (m driver.Mutation, needed bool, err error) {
	rev := l.rec.Revision
	if o, ok := l.ptr.(Object); ok {
		ident := o.persistable().identity()
		ident.mu.Lock()
		rev = s.entry(ident).rev // of the object, which may have been loaded before the record was read
		ident.mu.Unlock()
	}
	fields, err := s.fields(natural(l.ptr), l.rec.ID)
	if err != nil || set == 0 && rev == l.rec.Revision && sameFields(fields, l.rec.Fields) {
		return driver.Mutation{}, false, err
	}
	return driver.Mutation{Op: driver.SetFields, Rec: driver.Record{ID: l.rec.ID, Fields: fields}, IfRev: rev, ColumnSet: set}, true, nil
}

func sameFields(a, b []any) bool {
	da, scratch := digestOf(nil, "", a, nil)
	db, _ := digestOf(scratch, "", b, nil)
	return da == db
}

// flush writes columns. A record that was changed or removed meanwhile is left for the next round.
func (r *reindexing) flush(ctx context.Context) error {
	ms := r.ms
	r.ms = r.ms[:0]
	if len(ms) > 0 {
		_, err := r.s.apply(ctx, ms)
		if errors.Is(err, ErrConflict) || errors.Is(err, ErrUnique) {
			err = r.oneByOne(ctx, ms)
		}
		if err != nil {
			return err
		}
	}
	if r.progress != nil {
		r.progress(r.done, max(r.done, r.total))
	}
	return nil
}

func (r *reindexing) oneByOne(ctx context.Context, ms []driver.Mutation) error {
	for i := range ms {
		_, err := r.s.apply(ctx, ms[i:i+1])
		switch {
		case errors.Is(err, ErrConflict):
			r.conflicts = true
		case errors.Is(err, ErrUnique):
			r.fails(err)
		case err != nil:
			return err
		}
	}
	return nil
}
