package persistence

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence/driver"
)

// A ColumnInfo describes an extra column of a store. See [Store.Columns].
type ColumnInfo struct {
	Name string
	Kind extrafields.Kind
	// Types are the names of the types of the records that the column is for: as this Store
	// declares it, else as the last program that declared it did. nil means all types.
	Types   []string
	Indexed bool // there is an index that begins with the column
	Unique  bool // there is a unique index of the column alone
	// Complete: every record of these types was written by a program that fills the column. A
	// query on a column that is not complete may miss records, until [Store.Reindex] has filled it.
	Complete bool
}

// Columns returns the extra columns that the store has, whoever declared them, in the order of
// their names. The columns of a table that Brine did not make are included if this Store declares
// them; nothing is known of their records, and they count as complete.
func (s *Store) Columns(ctx context.Context) ([]ColumnInfo, error) {
	columns, err := s.listColumns(ctx)
	return columns, s.fail("columns", "", err)
}

func (s *Store) listColumns(ctx context.Context) ([]ColumnInfo, error) {
	catalog, err := s.catalog(ctx)
	if err != nil {
		return nil, err
	}
	listed := make(map[string]bool)
	var columns []ColumnInfo
	add := func(c driver.Column) error {
		gaps, err := s.gapsWithRecords(ctx, s.gaps(catalog, c))
		if err != nil {
			return err
		}
		listed[strings.ToLower(c.Name)] = true
		columns = append(columns, ColumnInfo{
			Name: c.Name, Kind: c.Kind, Types: slices.Clone(c.Types), Complete: len(gaps) == 0,
			Indexed: c.Indexed || catalog.Begins(c.Name), Unique: catalog.Serves(Index{Columns: []string{c.Name}, Unique: true}),
		})
		return nil
	}
	if catalog != nil {
		for _, c := range catalog.Columns {
			if mine := s.declared(c.Name); mine != nil {
				c.Types = mine.Types
			}
			if err := add(c); err != nil {
				return nil, err
			}
		}
	}
	for _, c := range s.watch.declared {
		if !listed[strings.ToLower(c.Name)] && !slices.Contains(s.missing, c.Name) {
			if err := add(c); err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(columns, func(a, b ColumnInfo) int { return strings.Compare(a.Name, b.Name) })
	return columns, nil
}

// DropField removes an extra column that the store has: its values, its indexes, and what the store
// records of it. It is the cure for a field whose kind has changed: open the store without the
// field, drop it, and open the store with the new one, and Options.Reindex. The objects do not
// change, nor do their revisions.
//
// It returns ErrNotFound if Brine has not recorded such a column: columns made by hand are left
// alone. With NoCreate it is errors.ErrUnsupported. Programs that declare the field, this Store
// included, can neither write nor query it from then on until they are started anew: stop them
// first. On SQL they would go on once another program has declared the field again, and read and
// write values of the old kind; the records that they write lack the column.
func (s *Store) DropField(ctx context.Context, column string) error {
	if err := s.mayWrite("drop field", ""); err != nil {
		return err
	}
	err := s.write(ctx, func(b driver.Backend) error {
		k, ok := b.(driver.Cataloger)
		if !ok {
			return fmt.Errorf("a record of the extra columns in this backend: %w", errors.ErrUnsupported)
		}
		return k.DropColumn(ctx, column)
	})
	return s.fail("drop field", "", err)
}

// catalog returns what the data record of their extra columns; nil: nothing.
func (s *Store) catalog(ctx context.Context) (catalog *driver.Catalog, err error) {
	err = s.call(ctx, func(b driver.Backend) error {
		catalog, err = driver.CatalogOf(ctx, b)
		return err
	})
	if errors.Is(err, errors.ErrUnsupported) {
		return nil, nil
	}
	return catalog, err
}

// column returns the column of a field, with the names of its types, aliases included.
func (s *Store) column(f extrafields.Field) driver.Column {
	c := f.Column()
	types := f.Types()
	if types == nil {
		return c
	}
	for _, t := range types {
		names, err := records.Names(t)
		if err != nil { // two types have the name, say: it is not known which one will be registered
			return f.Column()
		}
		c.Types = append(c.Types, names...)
		for _, name := range names {
			if t.Kind() != reflect.Struct {
				c.Types = append(c.Types, "*"+name) // a pointer to it may be saved as well
			}
		}
	}
	slices.Sort(c.Types)
	c.Types = slices.Compact(c.Types)
	return c
}

// declared returns the column of a name that this Store declares, or nil.
func (s *Store) declared(name string) *driver.Column {
	for i := range s.watch.declared {
		if strings.EqualFold(s.watch.declared[i].Name, name) {
			return &s.watch.declared[i]
		}
	}
	return nil
}

// gaps returns where records may lack a column. Of a column that is not recorded nothing is known,
// and it counts as complete.
func (s *Store) gaps(catalog *driver.Catalog, c driver.Column) []driver.Gap {
	if catalog.Column(c.Name) == nil || slices.Contains(s.missing, c.Name) {
		return nil
	}
	return catalog.Gaps(c.Name, c.Types)
}

// gapsWithRecords returns those gaps that have a record.
func (s *Store) gapsWithRecords(ctx context.Context, gaps []driver.Gap) ([]driver.Gap, error) {
	if len(gaps) == 0 {
		return nil, nil
	}
	var with []driver.Gap
	for _, gap := range gaps {
		found, err := s.anyInGap(ctx, gap)
		if err != nil {
			return nil, err
		}
		if found {
			with = append(with, gap)
		}
	}
	return with, nil
}

// anyInGap reports whether there is a record in a gap.
func (s *Store) anyInGap(ctx context.Context, gap driver.Gap) (found bool, err error) {
	if f, ok := ability[driver.GapFinder](&s.conn); ok && !slices.Contains(s.missing, driver.ColType) {
		err = s.call(ctx, func(driver.Backend) error {
			found, err = f.InGap(ctx, gap)
			return err
		})
		return found, err
	}
	err = s.readOnce(ctx, func(r driver.Reader) error {
		for _, err := range r.Scan(ctx, s.inGap(gap, 1)) {
			if err != nil && !concernsOneRecord(err) {
				return err
			}
			found = found || err == nil
		}
		return nil
	})
	return found, err
}

// inGap returns the query for the records of a gap.
func (s *Store) inGap(gap driver.Gap, limit int) *driver.Query {
	if slices.Contains(s.missing, driver.ColType) {
		gap.Types, gap.Except = nil, nil
	}
	return &driver.Query{Where: gap.Where(), Limit: limit}
}
