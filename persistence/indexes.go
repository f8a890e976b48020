package persistence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence/driver"
)

// An Index is an index of the objects: over several columns, or a unique one. Its columns are those
// that a query may name, but for the ID. A query with conditions Eq on the first ones, in the order
// of those that follow, reads no more records than it gives.
//
// Options.Indexes are made when a store is opened, and kept from then on by every program that
// opens it, until [Store.DropIndex]. A text of an extra field in an index has at most 255
// characters, and bytes are at most 255: a longer value is a failing extractor. An index has at
// most 16 columns and 2,600 bytes, for which a text counts 4 bytes for each character that it may
// have, and all values but texts and bytes 8. A store has at most 48, those of indexed extra fields
// included. More than that, or an index over records with longer values, is refused at opening.
//
// If Unique is set, no two records have the same values in all the columns, where NULL equals
// nothing. A write that would make it so is ErrUnique: see [UniqueError]. It is judged when the
// whole write is made: a save may exchange the values of two objects. An extractor that fails on a
// column of a unique index is ErrUnstorable, as NULL would escape the index. A unique index over
// records that collide is refused at opening, and so is one over an incomplete column: Reindex, or
// Options.Reindex, fills it. On a backend that keeps no indexes, a unique one is
// [errors.ErrUnsupported]; so is one that is not there with NoCreate or ReadOnly.
type Index = driver.Index

// A UniqueError tells which columns of a unique index a write collides in, and with which record.
// errors.As finds it in the error of the write, and errors.Is finds ErrUnique.
type UniqueError = driver.UniqueError

// DropIndex removes an index that the store has, whoever declared it: the values, and programs that
// declare it, stay. A program that declares it makes it again when it opens the store. An index of
// an indexed extra field is one over a single column; DropField removes all that have the column.
//
// It returns ErrNotFound if Brine has not recorded such an index: those made by hand are left
// alone. With NoCreate it is errors.ErrUnsupported.
func (s *Store) DropIndex(ctx context.Context, x Index) error {
	if err := s.mayWrite("drop index", ""); err != nil {
		return err
	}
	err := s.write(ctx, func(b driver.Backend) error {
		k, ok := b.(driver.Indexer)
		if !ok {
			return fmt.Errorf("indexes in this backend: %w", errors.ErrUnsupported)
		}
		return k.DropIndex(ctx, x)
	})
	return s.fail("drop index", "", err)
}

// declareIndexes checks the indexes that the options ask for. It limits the values of the extra
// fields in them.
func (s *Store) declareIndexes(indexes []Index) error {
	s.given = slices.Clone(s.extras)
	var columns []driver.Column
	for _, f := range s.extras {
		c := f.Column()
		columns = append(columns, c)
		if c.Unique {
			s.addIndex(Index{Columns: []string{c.Name}, Unique: true})
		}
	}
	for _, x := range indexes {
		if err := x.Check(columns); err != nil {
			return err
		}
		s.addIndex(Index{Columns: slices.Clone(x.Columns), Unique: x.Unique})
	}
	count, fields := len(s.indexes), 0
	for i, f := range s.extras {
		c := f.Column()
		inIndex := slices.ContainsFunc(s.indexes, func(x Index) bool { return slices.Contains(x.Columns, c.Name) })
		if c.Indexed && !slices.ContainsFunc(s.indexes, func(x Index) bool { return x.Columns[0] == c.Name }) {
			count++
		}
		if inIndex || c.Indexed {
			fields++
		}
		if inIndex {
			s.extras[i] = f.Indexed() // for the limits of its values
			if err := s.extras[i].Check(); err != nil {
				return err
			}
		}
	}
	if fields > driver.MaxIndexedFields {
		return fmt.Errorf("%d extra fields with an index, at most %d", fields, driver.MaxIndexedFields)
	}
	if count > driver.MaxIndexes {
		return fmt.Errorf("%d indexes, at most %d", count, driver.MaxIndexes)
	}
	return nil
}

// addIndex adds an index to those that this Store declares. Of two with the same columns the unique
// one counts.
func (s *Store) addIndex(x Index) {
	for i := range s.indexes {
		if s.indexes[i].SameColumns(x) {
			s.indexes[i].Unique = s.indexes[i].Unique || x.Unique
			return
		}
	}
	s.indexes = append(s.indexes, x)
}

// indexed returns the column of a field as the backend is told of it.
func (s *Store) indexed(f extrafields.Field) driver.Column {
	c := s.column(f)
	c.InIndex = slices.ContainsFunc(s.indexes, func(x Index) bool { return x.Has(c.Name) })
	return c
}

// openIndexes makes the indexes that are not there, after the columns have been filled if that is
// wanted.
func (s *Store) openIndexes(ctx context.Context, catalog *driver.Catalog, reindexed bool) error {
	missing := slices.DeleteFunc(slices.Clone(s.indexes), catalog.Serves)
	if len(missing) > 0 {
		if err := s.makeIndexes(ctx, catalog, missing, reindexed); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) makeIndexes(ctx context.Context, catalog *driver.Catalog, missing []Index, reindexed bool) error {
	k, ok := ability[driver.Indexer](&s.conn)
	if !ok {
		at := slices.IndexFunc(missing, func(x Index) bool { return x.Unique })
		if at < 0 {
			return nil // it would only be quicker
		}
		return fmt.Errorf("the %v in this backend: %w", missing[at], errors.ErrUnsupported)
	}
	if reindexed {
		var err error
		if catalog, err = s.catalog(ctx); err != nil {
			return err
		}
	}
	for _, x := range missing {
		if !x.Unique {
			continue
		}
		for _, name := range x.Columns {
			if err := s.complete(ctx, catalog, x, name); err != nil {
				return err
			}
		}
	}
	return s.call(ctx, func(driver.Backend) error { return k.MakeIndexes(ctx, missing) }) // with ReadOnly, it says which are missing
}

// complete returns an error if a column of a unique index is incomplete: the values that it lacks
// may collide.
func (s *Store) complete(ctx context.Context, catalog *driver.Catalog, x Index, name string) error {
	c := s.declared(name)
	if c == nil { // a library column
		return nil
	}
	gaps, err := s.gapsWithRecords(ctx, s.gaps(catalog, *c))
	if err != nil || len(gaps) == 0 {
		return err
	}
	return fmt.Errorf("the %v cannot be made: column %q is incomplete, and the values that it lacks may collide: Options.Reindex fills it first, and so does Reindex, in a store that is opened without the index",
		x, name)
}

// learnIndexes notes what the indexes of the store mean for the columns that this program fills:
// those that it declares, and those of other programs.
func (s *Store) learnIndexes(catalog *driver.Catalog) {
	s.unique = make(map[string]bool)
	note := func(x Index) {
		if x.Unique {
			for _, name := range x.Columns {
				s.unique[strings.ToLower(name)] = true
			}
		}
	}
	for _, x := range s.indexes {
		note(x)
	}
	if catalog == nil {
		return
	}
	for _, x := range catalog.Indexes {
		note(x)
	}
	for i, f := range s.extras {
		if catalog.InIndexes(f.Column().Name) {
			s.extras[i] = f.Indexed()
		}
	}
}

// isUnique reports whether a unique index has a column.
func (s *Store) isUnique(column string) bool { return s.unique[strings.ToLower(column)] }
