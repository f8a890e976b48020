package persistence

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/brine-go/brine/persistence/driver"
)

// Reindex computes the extra columns of all records again, from the objects, and writes those
// that differ. Use it when a field was added to a store that has records, or when an extractor
// changed. Neither the objects nor their revisions change. It streams, and others may use the
// store meanwhile.
//
// progress, if not nil, is called from time to time with the number of records done and the
// total at the start. Records that cannot be loaded stay as they are; this includes records of
// a type that is neither registered nor otherwise known to the process by then. The error
// returned at the end has the number of such records and the first error.
func (s *Store) Reindex(ctx context.Context, progress func(done, total int64)) error {
	return s.fail("reindex", "", s.reindex(ctx, progress))
}

func (s *Store) reindex(ctx context.Context, progress func(done, total int64)) error {
	for _, f := range s.extras {
		if name := f.Column().Name; slices.Contains(s.missing, name) {
			return fmt.Errorf("the table has no column %q: %w", name, errors.ErrUnsupported)
		}
	}
	total, err := s.Count(ctx, nil)
	if err != nil {
		return err
	}
	var done, failed int64
	var first error
	var ms []driver.Mutation
	flush := func() error {
		if err := s.setFields(ctx, ms); err != nil {
			return err
		}
		ms = ms[:0]
		if progress != nil {
			progress(done, max(done, total))
		}
		return nil
	}
	for l, err := range s.all(ctx, nil, nil, true) {
		done++
		switch {
		case err == nil:
			if m, differs := s.reindexed(l); differs {
				ms = append(ms, m)
			}
		case !concernsOneRecord(err):
			return err
		default:
			failed++
			if first == nil {
				first = err
			}
		}
		if len(ms) >= dataPage || done%dataPage == 0 {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d records could not be loaded, the first: %w", failed, done, first)
	}
	return nil
}

// reindexed returns the mutation for an object whose columns differ, and whether they do.
func (s *Store) reindexed(l loaded) (driver.Mutation, bool) {
	rev := l.rec.Revision
	if o, ok := l.ptr.(Object); ok {
		ident := o.persistable().identity()
		ident.mu.Lock()
		rev = s.entry(ident).rev // of the object, which may have been loaded before the record was read
		ident.mu.Unlock()
	}
	fields := s.fields(natural(l.ptr), l.rec.ID)
	if rev == l.rec.Revision && sameFields(fields, l.rec.Fields) {
		return driver.Mutation{}, false
	}
	return driver.Mutation{Op: driver.SetFields, Rec: driver.Record{ID: l.rec.ID, Fields: fields}, IfRev: rev}, true
}

func sameFields(a, b []any) bool {
	da, scratch := digestOf(nil, "", a, nil)
	db, _ := digestOf(scratch, "", b, nil)
	return da == db
}

// setFields writes columns. If a record was changed meanwhile, it computes the columns again;
// if it was removed, it skips the record.
func (s *Store) setFields(ctx context.Context, ms []driver.Mutation) error {
	if len(ms) == 0 {
		return nil
	}
	_, err := s.apply(ctx, ms)
	if !errors.Is(err, ErrConflict) {
		return err
	}
	for _, m := range ms {
		for {
			_, err := s.apply(ctx, []driver.Mutation{m})
			if err == nil {
				break
			}
			if !errors.Is(err, ErrConflict) {
				return err
			}
			ptrs, err := s.loadWith(ctx, []ID{m.Rec.ID}, &loader{c: &s.conn, unregistered: true})
			if errors.Is(err, ErrNotFound) || err != nil && concernsOneRecord(err) {
				break
			}
			if err != nil {
				return err
			}
			info, err := s.Stat(ctx, m.Rec.ID)
			if errors.Is(err, ErrNotFound) {
				break
			}
			if err != nil {
				return err
			}
			m.IfRev = info.Revision
			if o, ok := ptrs[0].(Object); ok {
				ident := o.persistable().identity()
				ident.mu.Lock()
				m.IfRev = s.entry(ident).rev
				ident.mu.Unlock()
			}
			m.Rec.Fields = s.fields(natural(ptrs[0]), m.Rec.ID)
		}
	}
	return nil
}
