package persistence

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// prepare makes the columns and indexes of src in dst, and counts what there is to copy.
func (cp *copying) prepare() error {
	var err error
	if cp.catalog, cp.fields, err = cp.src.recordedColumns(cp.ctx); err != nil {
		return cp.ofSrc(err)
	}
	if cp.target, err = cp.dst.catalog(cp.ctx); err != nil {
		return err
	}
	if err := cp.target.Check(cp.fields); err != nil {
		return err
	}
	if cp.from, err = cp.src.withColumns(cp.ctx, cp.fields, false); err != nil {
		return cp.ofSrc(err)
	}
	if cp.to, err = cp.dst.withColumns(cp.ctx, cp.fields, !cp.o.DryRun); err != nil {
		return err
	}
	if !cp.o.DryRun {
		if err := cp.makeIndexes(); err != nil {
			return err
		}
		if cp.target, err = cp.dst.catalog(cp.ctx); err != nil {
			return err
		}
		if err := cp.checkColumns(); err != nil {
			return err
		}
		if err := cp.recordSets(); err != nil {
			return err
		}
	}
	cp.begun = time.Now().UTC().Truncate(time.Microsecond)
	if err := cp.ofSrc(cp.count()); err != nil {
		return err
	}
	return cp.raiseToHighest()
}

// makeIndexes makes those indexes of src in dst that dst lacks: over several columns, and unique
// ones. Those of indexed columns came with the columns.
func (cp *copying) makeIndexes() error {
	if cp.catalog == nil {
		return nil
	}
	missing := slices.DeleteFunc(slices.Clone(cp.catalog.Indexes), cp.target.Serves)
	if len(missing) == 0 {
		return nil
	}
	k, ok := ability[driver.Indexer](&cp.dst.conn)
	if !ok {
		return fmt.Errorf("the %v in the destination: %w", missing[0], errors.ErrUnsupported)
	}
	return cp.dst.write(cp.ctx, func(driver.Backend) error { return k.MakeIndexes(cp.ctx, missing) })
}

// checkColumns returns an error if dst lacks a column after all, as a table that may not be altered
// does.
func (cp *copying) checkColumns() error {
	for _, f := range cp.fields {
		if cp.target.Column(f.Name) == nil && (cp.dst.declared(f.Name) == nil || slices.Contains(cp.dst.missing, f.Name)) {
			return fmt.Errorf("the destination has no column %q, and it cannot be added: %w", f.Name, errors.ErrUnsupported)
		}
	}
	return nil
}

// recordSets records the sets of columns of src in dst, before the first record that has one. In
// their order, so that copies of equal stores number them alike.
func (cp *copying) recordSets() error {
	if cp.catalog == nil {
		return nil
	}
	for _, n := range slices.Sorted(maps.Keys(cp.catalog.Sets)) {
		if _, err := cp.set(cp.ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// count counts the records and pairs that there are to copy. It also makes sure that the pairs can
// be read in the view of a snapshot.
func (cp *copying) count() error {
	progress := cp.o.Progress != nil
	if len(cp.o.Roots) == 0 && (progress || !cp.o.Snapshot) {
		n, err := cp.src.countRecords(cp.ctx, cp.query)
		if err != nil && !concernsOneRecord(err) {
			return err
		}
		if cp.had, cp.total = n, n; cp.query.Limit > 0 {
			cp.total = min(n, int64(cp.query.Limit))
		}
	}
	if cp.o.NoPairs {
		return nil
	}
	err := cp.src.kv.c.readOnce(cp.ctx, func(r driver.Reader) error {
		if !progress && cp.o.Snapshot {
			return nil
		}
		var err error
		cp.hadPairs, err = r.Count(cp.ctx, &driver.Query{})
		return err
	})
	if unprepared(err) || err != nil && concernsOneRecord(err) {
		err = nil
	}
	cp.total += cp.hadPairs
	return err
}

// raiseToHighest raises the counter of dst at once above all numbers of src, if all of it is
// copied. Otherwise the batches raise it.
func (cp *copying) raiseToHighest() error {
	if cp.o.DryRun || cp.o.Query != nil || len(cp.o.Roots) > 0 || !cp.src.ids.Integral() {
		return nil
	}
	var highest int64
	q := &driver.Query{Order: []driver.Order{{Column: driver.ColID, Desc: true}}, Limit: 1}
	err := cp.src.readOnce(cp.ctx, func(r driver.Reader) error {
		highest = 0
		for rec, err := range r.Scan(cp.ctx, q) {
			if err != nil && !concernsOneRecord(err) {
				return err
			}
			if n, ok := rec.ID.Seq(); ok && err == nil {
				highest = max(highest, n)
			}
		}
		return nil
	})
	if errors.Is(err, errors.ErrUnsupported) { // it has no order, as a file that is read once
		err = nil
	}
	if err != nil {
		return cp.ofSrc(err)
	}
	return cp.raiseAbove(cp.ctx, highest)
}

// raiseAbove makes sure that the counter of dst is above a number.
func (cp *copying) raiseAbove(ctx context.Context, n int64) error {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	if n <= cp.raised {
		return nil
	}
	if err := cp.dst.numbers.raise(ctx, n); err != nil {
		return err
	}
	cp.raised = n
	return nil
}

// set returns the number that dst has for a set of columns of src, which it records if need be.
func (cp *copying) set(ctx context.Context, number int64) (int64, error) {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	if n, known := cp.sets[number]; known {
		return n, nil
	}
	set, err := cp.setOfSrc(ctx, number)
	if err != nil {
		return 0, err
	}
	n := int64(0)
	if cp.target != nil && len(cp.target.Columns) > 0 {
		err := cp.dst.write(ctx, func(b driver.Backend) error {
			var err error
			n, err = b.(driver.Cataloger).AddColumnSet(ctx, set)
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	cp.sets[number] = n
	return n, nil
}

// setOfSrc returns the set of columns that a number stands for in src, without columns that are not
// copied because they were declared since.
func (cp *copying) setOfSrc(ctx context.Context, number int64) (driver.ColumnSet, error) {
	copied := driver.SetOf(cp.fields)
	if cp.catalog == nil {
		return copied, nil // nothing is known of the records, and the columns count as complete
	}
	if number == 0 {
		return nil, nil
	}
	set, known := cp.catalog.Sets[number]
	if !known { // it was recorded since
		if cp.snapshot != nil {
			return nil, fmt.Errorf("records of %v have a set of columns that was recorded since Copy began, run it again: %w", cp.src.url, ErrConflict)
		}
		var err error
		if cp.catalog, err = cp.src.catalog(ctx); err != nil {
			return nil, cp.ofSrc(err)
		}
		set = cp.catalog.Sets[number]
	}
	of := make(driver.ColumnSet, len(set))
	for name, types := range set {
		if _, is := copied[name]; is {
			of[name] = types
		}
	}
	return of, nil
}

// recordedColumns returns the catalog of a store and the columns that it has: those recorded, and
// those of a table made by hand that this Store declares.
func (s *Store) recordedColumns(ctx context.Context) (*driver.Catalog, []driver.Column, error) {
	catalog, err := s.catalog(ctx)
	if err != nil {
		return nil, nil, err
	}
	var fields []driver.Column
	if catalog != nil {
		fields = slices.Clone(catalog.Columns)
	}
	for i := range fields {
		fields[i].InIndex = catalog.InIndexes(fields[i].Name)
		if mine := s.declared(fields[i].Name); mine != nil {
			fields[i].Name = mine.Name // a query of this Store spells it so
		}
	}
	for _, c := range s.watch.declared {
		if catalog.Column(c.Name) == nil && !slices.Contains(s.missing, c.Name) {
			fields = append(fields, c)
		}
	}
	return catalog, fields, nil
}

// withColumns returns a conn to the objects with other columns than those that the Store declares.
func (s *Store) withColumns(ctx context.Context, fields []driver.Column, create bool) (*conn, error) {
	c := &conn{s: s}
	call := s.call
	if create {
		call = s.write
	}
	err := call(ctx, func(b driver.Backend) error {
		ns, err := driver.ObjectsWith(ctx, b, fields, create)
		c.namespace = ns
		return err
	})
	c.prepared.Store(true)
	return c, err
}
