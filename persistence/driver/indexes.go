package driver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits of the indexes of a store. MySQL's keys have room for not many more bytes, and
// PostgreSQL's for the ID besides them.
const (
	MaxIndexes      = 48   // with those of indexed extra fields
	MaxIndexColumns = 16   // of one index
	MaxIndexBytes   = 2600 // of one index: see [Index.Check]
)

// An Index is an index of the objects over several columns, or a unique one. Its columns are those
// that a query may name, but for the ID and those of claims.
type Index struct {
	Columns []string // in this order, without duplicates
	// Unique: no two records have equal values in all the columns. NULL equals nothing, so a record
	// with NULL in one of them is in nobody's way.
	Unique bool
}

// An Indexer is a [Cataloger] that keeps the indexes that it is told to make, whichever program
// writes: they are recorded in [Catalog.Indexes]. Without one, a store cannot have unique indexes.
//
// Uniqueness is judged after a whole Apply: it may remove the holder of a value and store another,
// or exchange two values. If two records would have equal values, the error is a [RecordError] with
// the ID of a record of the batch, around a [*UniqueError]. Claim leaves a record alone that Edit
// gives values of another one, and tells Claiming.Refused.
type Indexer interface {
	Cataloger

	// MakeIndexes makes those indexes that are not there, and makes those unique that are to be. Of
	// the columns of xs those of extra fields are in the catalog. Values of these that are longer
	// than an index holds, and records that collide in a unique index, are an error that names the
	// record, or two of them. With OpenOptions.NoCreate or ReadOnly an index that is not there is
	// errors.ErrUnsupported, naming it.
	MakeIndexes(ctx context.Context, xs []Index) error

	// DropIndex removes an index that is recorded. It may be the index of one indexed extra field.
	// If the index is not recorded, the error is ErrNotFound.
	DropIndex(ctx context.Context, x Index) error
}

// String returns "an index", or "a unique index", with the columns.
func (x Index) String() string {
	kind := "index"
	if x.Unique {
		kind = "unique index"
	}
	return kind + " over " + quotedList(x.Columns)
}

// quotedList returns names in quotes, separated by commas.
func quotedList(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = fmt.Sprintf("%q", name)
	}
	return strings.Join(quoted, ", ")
}

// SameColumns reports whether two indexes have the same columns, in the same order. Letter case
// does not count.
func (x Index) SameColumns(y Index) bool {
	return slices.EqualFunc(x.Columns, y.Columns, strings.EqualFold)
}

// Has reports whether the index has a column.
func (x Index) Has(column string) bool {
	return slices.ContainsFunc(x.Columns, func(name string) bool { return strings.EqualFold(name, column) })
}

// indexedLibraryColumns are the library columns that an index may have, with the bytes that their
// values need at most.
var indexedLibraryColumns = map[string]int{
	ColType: 4 * 255, ColState: 4 * MaxStateLen, ColRevision: 8, ColCreated: 8, ColModified: 8,
}

// Check returns an error if no store can have the index. fields are the extra fields. A text counts
// 4 bytes for each character that it may have, bytes count one each, and other values 8.
func (x Index) Check(fields []Column) error {
	size := 0
	seen := make(map[string]bool)
	for _, name := range x.Columns {
		n, library := indexedLibraryColumns[name]
		at := slices.IndexFunc(fields, func(f Column) bool { return f.Name == name })
		switch {
		case seen[name]:
			return fmt.Errorf("%v: column %q is given twice", x, name)
		case library:
		case at < 0:
			return fmt.Errorf("%v: there is no column %q that an index may have: they are type, state, revision, created, modified and the extra fields", x, name)
		case fields[at].Kind == Text:
			n = 4 * MaxIndexedTextLen
		case fields[at].Kind == Bytes:
			n = MaxIndexedBytesLen
		default:
			n = 8
		}
		seen[name] = true
		size += n
	}
	switch {
	case len(x.Columns) == 0:
		return errors.New("an index without columns")
	case len(x.Columns) > MaxIndexColumns:
		return fmt.Errorf("%v: %d columns, at most %d", x, len(x.Columns), MaxIndexColumns)
	case size > MaxIndexBytes:
		return fmt.Errorf("%v: its values may have %d bytes, and an index holds %d: a text counts 4 for each of its %d characters",
			x, size, MaxIndexBytes, MaxIndexedTextLen)
	}
	return nil
}

// Index returns the index with the same columns as x, or nil.
func (c *Catalog) Index(x Index) *Index {
	if c == nil {
		return nil
	}
	for i := range c.Indexes {
		if c.Indexes[i].SameColumns(x) {
			return &c.Indexes[i]
		}
	}
	return nil
}

// Serves reports whether an index is recorded that does what x is for.
func (c *Catalog) Serves(x Index) bool {
	was := c.Index(x)
	return was != nil && (was.Unique || !x.Unique)
}

// AddIndex records an index, and reports whether that changed c. A unique index with the same
// columns stays unique.
func (c *Catalog) AddIndex(x Index) (changed bool) {
	switch was := c.Index(x); {
	case was == nil:
		c.Indexes = append(c.Indexes, Index{Columns: slices.Clone(x.Columns), Unique: x.Unique})
	case x.Unique && !was.Unique:
		was.Unique = true
	default:
		return false
	}
	return true
}

// RemoveIndex removes an index, or says that an extra field has none, and reports whether there was
// one.
func (c *Catalog) RemoveIndex(x Index) bool {
	if c == nil {
		return false
	}
	if was := c.Index(x); was != nil {
		same := was.Unique == x.Unique
		if same {
			c.Indexes = slices.DeleteFunc(c.Indexes, x.SameColumns)
		}
		return same
	}
	if len(x.Columns) == 1 && !x.Unique {
		if col := c.Column(x.Columns[0]); col != nil && col.Indexed {
			col.Indexed = false
			return true
		}
	}
	return false
}

// UniqueIndexes returns those indexes that are unique.
func (c *Catalog) UniqueIndexes() []Index {
	if c == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(c.Indexes), func(x Index) bool { return !x.Unique })
}

// InIndexes reports whether an index has a column, so that its values have to be short.
func (c *Catalog) InIndexes(column string) bool {
	if c == nil {
		return false
	}
	col := c.Column(column)
	return col != nil && col.Indexed || slices.ContainsFunc(c.Indexes, func(x Index) bool { return x.Has(column) })
}

// Begins reports whether a recorded index begins with a column.
func (c *Catalog) Begins(column string) bool {
	return c != nil && slices.ContainsFunc(c.Indexes, func(x Index) bool { return strings.EqualFold(x.Columns[0], column) })
}

// FitsIndex reports whether an index may hold a value of an extra field.
func FitsIndex(v any) bool {
	switch v := v.(type) {
	case string:
		return len(v) <= MaxIndexedTextLen || utf8.RuneCountInString(v) <= MaxIndexedTextLen
	case []byte:
		return len(v) <= MaxIndexedBytesLen
	}
	return true
}

// ErrCollide returns the error of a unique index that two records keep from being made.
func ErrCollide(x Index, a, b ID) error {
	return fmt.Errorf("the %v cannot be made: records %q and %q have the same values in it", x, a, b)
}

// ErrTooLongForIndex returns the error of an index that a record keeps from being made.
func ErrTooLongForIndex(x Index, column string, id ID) error {
	return fmt.Errorf("the %v cannot be made: the value of record %q in column %q is longer than an index holds (a text of %d characters, or %d bytes): shorten it, or make the index without the column",
		x, id, column, MaxIndexedTextLen, MaxIndexedBytesLen)
}
