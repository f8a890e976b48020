package driver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ColColumnSet is a column that the conditions of a query to a [Cataloger] may name: the number of
// the set of extra columns that the last writer of a record filled. Its kind is Int, and it is
// never NULL. 0 means that nothing is known of the record.
const ColColumnSet = "brine_columns"

// A Catalog is what data record about their extra columns. The zero Catalog has none.
type Catalog struct {
	// Columns are the extra columns, in the order in which they were first declared. Types is
	// what the last Init that declared the column says; Indexed is true if any did.
	Columns []Column
	// Indexes are those that an [Indexer] has made: over several columns, and unique ones.
	Indexes []Index
	// Sets are the sets of columns that writers fill, by number, from 1. A number keeps its
	// meaning, but for columns that are dropped.
	Sets map[int64]ColumnSet
	// Unknown says that there may be records with the number 0: those of a writer that declares
	// no extra column, and those that were written before there was a catalog.
	Unknown bool
}

// A ColumnSet says which extra columns a writer fills: for each, the names of the types of the
// records that it is for, sorted; nil means all types.
type ColumnSet map[string][]string

// A Cataloger is a Backend that records the extra columns of its objects, in a [Catalog] that is
// kept with the data. Init declares the Fields of its Schema, which includes the set of them that
// this Backend fills; it returns the catalog in Meta.Catalog. Create, Update and Put, and a Claim
// with Edit, give the record the number of that set; so does no other operation (see
// [Mutation.ColumnSet]).
//
// A set is recorded before the first record has its number: by Init, or by the first write if Init
// may not write.
type Cataloger interface {
	// Catalog returns the catalog as it is now; nil: nothing is recorded, as in a table made by
	// hand (NoCreate).
	Catalog(ctx context.Context) (*Catalog, error)

	// AddColumnSet records a set, unless there is an equal one, and returns its number. It is an
	// error if nothing is recorded.
	AddColumnSet(ctx context.Context, set ColumnSet) (int64, error)

	// DropColumn removes a column that is recorded: its values, its indexes, and what the catalog
	// says of it, in every set too. Records keep their revisions. It returns ErrNotFound for any
	// other column. This Backend and others that declare the column fail to write from then on, or
	// leave the column out. They fail to read it too: a query that names it does not find nothing.
	DropColumn(ctx context.Context, name string) error
}

// A ForeignWriter is a [Cataloger] for which it is costly to look for the records of a [Gap], and
// that can tell whether that is needed again.
type ForeignWriter interface {
	// ForeignWrites returns a number that is another one after a write by any other Backend on the
	// same data; false if it cannot be known.
	ForeignWrites(ctx context.Context) (n uint64, known bool, err error)
}

// Column returns the column of a name, in whatever letter case it is spelt, or nil.
func (c *Catalog) Column(name string) *Column {
	if c == nil {
		return nil
	}
	for i := range c.Columns {
		if strings.EqualFold(c.Columns[i].Name, name) {
			return &c.Columns[i]
		}
	}
	return nil
}

// Check returns an error if a field has another kind than the column that is recorded.
func (c *Catalog) Check(fields []Column) error {
	for _, f := range fields {
		if was := c.Column(f.Name); was != nil && was.Kind != f.Kind {
			return fmt.Errorf("extra field %q is declared as %v, but the store has the column as %v: "+
				"open it without the field and call DropField(ctx, %q), which removes the column and its values",
				f.Name, f.Kind, was.Kind, was.Name)
		}
	}
	return nil
}

// Declare records the fields of a writer and returns the number of its set, and whether that
// changed c. The set of a writer without fields is 0. See Check for the error.
func (c *Catalog) Declare(fields []Column) (set int64, changed bool, err error) {
	if err := c.Check(fields); err != nil {
		return 0, false, err
	}
	for _, f := range fields {
		f.Types, f.InIndex, f.Unique = sortedTypes(f.Types), false, false
		was := c.Column(f.Name)
		if was == nil {
			c.Columns, changed = append(c.Columns, f), true
			continue
		}
		if indexed := was.Indexed || f.Indexed; indexed != was.Indexed || !sameTypes(was.Types, f.Types) {
			was.Indexed, was.Types, changed = indexed, f.Types, true
		}
	}
	set, added := c.AddSet(SetOf(fields))
	return set, changed || added, nil
}

// SetOf returns the set of columns of a writer that declares some fields.
func SetOf(fields []Column) ColumnSet {
	set := make(ColumnSet, len(fields))
	for _, f := range fields {
		set[strings.ToLower(f.Name)] = sortedTypes(f.Types)
	}
	return set
}

// FindSet returns the number of a set, and whether it is recorded.
func (c *Catalog) FindSet(set ColumnSet) (int64, bool) {
	if len(set) == 0 {
		return 0, c.Unknown
	}
	for _, n := range slices.Sorted(maps.Keys(c.Sets)) {
		if c.Sets[n].equal(set) {
			return n, true
		}
	}
	return 0, false
}

// AddSet records a set unless there is an equal one, and returns its number and whether that
// changed c.
func (c *Catalog) AddSet(set ColumnSet) (n int64, changed bool) {
	n, found := c.FindSet(set)
	switch {
	case found:
		return n, false
	case len(set) == 0:
		c.Unknown = true
		return 0, true
	}
	for k := range c.Sets {
		n = max(n, k)
	}
	if c.Sets == nil {
		c.Sets = make(map[int64]ColumnSet)
	}
	c.Sets[n+1] = set
	return n + 1, true
}

// Drop removes a column with its indexes, and reports whether there was one.
func (c *Catalog) Drop(name string) bool {
	was := c.Column(name)
	if was == nil {
		return false
	}
	key := strings.ToLower(was.Name)
	c.Columns = slices.DeleteFunc(c.Columns, func(col Column) bool { return strings.EqualFold(col.Name, name) })
	for _, set := range c.Sets {
		delete(set, key)
	}
	c.Indexes = slices.DeleteFunc(slices.Clone(c.Indexes), func(x Index) bool { return x.Has(name) })
	return true
}

// Mixed reports whether records may have different numbers.
func (c *Catalog) Mixed() bool {
	n := len(c.Sets)
	if c.Unknown {
		n++
	}
	return n > 1
}

// Clone returns a copy that shares nothing with c but type names. The clone of nil is nil.
func (c *Catalog) Clone() *Catalog {
	if c == nil {
		return nil
	}
	d := &Catalog{Columns: slices.Clone(c.Columns), Indexes: slices.Clone(c.Indexes), Unknown: c.Unknown}
	if c.Sets != nil {
		d.Sets = make(map[int64]ColumnSet, len(c.Sets))
	}
	for n, set := range c.Sets {
		d.Sets[n] = maps.Clone(set)
	}
	return d
}

// Union returns the columns of both sets, each for the types of both.
func (s ColumnSet) Union(other ColumnSet) ColumnSet {
	all := maps.Clone(s)
	if all == nil {
		all = ColumnSet{}
	}
	for name, types := range other {
		if mine, ok := all[name]; ok && (mine == nil || types == nil) {
			types = nil
		} else if ok {
			types = sortedTypes(slices.Concat(mine, types))
		}
		all[name] = types
	}
	return all
}

func (s ColumnSet) equal(other ColumnSet) bool {
	return maps.EqualFunc(s, other, sameTypes)
}

// sameTypes compares sorted lists. nil and empty differ.
func sameTypes(a, b []string) bool { return (a == nil) == (b == nil) && slices.Equal(a, b) }

// sortedTypes returns the names sorted, each once; nil stays nil.
func sortedTypes(types []string) []string {
	if types == nil {
		return nil
	}
	return slices.Compact(slices.Sorted(slices.Values(types)))
}

// CatalogOf returns the catalog of b. It returns errors.ErrUnsupported if b is no [Cataloger] or
// nothing is recorded.
func CatalogOf(ctx context.Context, b Backend) (*Catalog, error) {
	k, ok := b.(Cataloger)
	if !ok {
		return nil, fmt.Errorf("a record of the extra columns in this backend: %w", errors.ErrUnsupported)
	}
	c, err := k.Catalog(ctx)
	if err == nil && c == nil {
		err = fmt.Errorf("a record of the extra columns in this store: %w", errors.ErrUnsupported)
	}
	return c, err
}
