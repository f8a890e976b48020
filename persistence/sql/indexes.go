package sql

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"

	"github.com/brine-go/brine/persistence/driver"
)

var _ driver.Indexer = (*Backend)(nil)

// nameOf names an index. Names of indexes are shared by all tables, and joining those of table and
// columns is not unique: hence the checksum.
func nameOf(table string, x driver.Index) string {
	name, whole := table+"_"+strings.Join(x.Columns, "_"), table+"."+strings.Join(x.Columns, ".")
	if x.Unique {
		whole += " unique"
	}
	return fmt.Sprintf("%s_%08x", name[:min(len(name), 50)], crc32.ChecksumIEEE([]byte(whole)))
}

// has reports whether the table has an index that does what x is for.
func (t *Table) has(x driver.Index) bool {
	return slices.ContainsFunc(t.Indexes, func(y Index) bool {
		switch {
		case y.Partial || len(y.Columns) < len(x.Columns):
			return false
		case strings.EqualFold(y.Name, nameOf(t.Name, driver.Index{Columns: x.Columns, Unique: true})):
			return true // where a part of long values is indexed, Unique is not set
		case x.Unique && (!y.Unique || len(y.Columns) > len(x.Columns)):
			return false
		}
		return slices.EqualFunc(y.Columns[:len(x.Columns)], x.Columns, strings.EqualFold)
	})
}

// named returns the index of a name; nil: there is none.
func (t *Table) named(name string) *Index {
	for i := range t.Indexes {
		if strings.EqualFold(t.Indexes[i].Name, name) {
			return &t.Indexes[i]
		}
	}
	return nil
}

// MakeIndexes implements [driver.Indexer].
func (b *Backend) MakeIndexes(ctx context.Context, xs []driver.Index) error {
	if len(xs) == 0 {
		return nil
	}
	if b.options.NoCreate {
		return b.lackIndexes(ctx, xs)
	}
	err := b.changeCatalog(ctx, func(in *initializer, c *conn, l *layout, tab *Table) error {
		catalog, changed := l.catalog.Clone(), false
		if catalog == nil {
			catalog = &driver.Catalog{Unknown: true}
		}
		for _, x := range xs {
			if err := in.makeIndex(ctx, c, l, tab, catalog, x); err != nil {
				return err
			}
			changed = catalog.AddIndex(x) || changed
		}
		if !changed {
			return nil
		}
		return in.storeCatalog(ctx, c, l, catalog)
	})
	if err != nil {
		return err
	}
	return b.inspectAgain(ctx, b.objectSchema())
}

// objectSchema returns a copy of the schema of the objects.
func (b *Backend) objectSchema() driver.Schema {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.tables.objects.schema
	s.Fields = slices.Clone(s.Fields)
	return s
}

// inspectAgain makes the layout of the objects anew.
func (b *Backend) inspectAgain(ctx context.Context, s driver.Schema) error {
	_, err := b.init(ctx, driver.Objects, b.options.Table, s)
	return err
}

// lackIndexes returns an error that names the first index that is not there.
func (b *Backend) lackIndexes(ctx context.Context, xs []driver.Index) error {
	o, ts, err := b.ready(ctx)
	if err != nil {
		return err
	}
	defer b.leave()
	return b.translate(b.view(ctx, o, func(c *conn) error {
		tab, err := b.dialect.Inspect(ctx, c, ts.objects.name)
		if err != nil {
			return err
		}
		for _, x := range xs {
			if tab == nil || !tab.has(x) {
				return fmt.Errorf("%s: table %q has no %v, and nothing may be created: %w", b.dialect.Location(), ts.objects.name, x, errors.ErrUnsupported)
			}
		}
		return nil
	}))
}

// makeIndex makes an index unless it is there.
func (in *initializer) makeIndex(ctx context.Context, c *conn, l *layout, tab *Table, catalog *driver.Catalog, x driver.Index) error {
	if tab.has(x) {
		return nil
	}
	columns, size := make([]string, len(x.Columns)), 0
	for i, name := range x.Columns {
		col := tab.column(name)
		if col == nil {
			return unsupported(l, name)
		}
		known := catalog.Column(name)
		if known != nil && (known.Kind == driver.Text || known.Kind == driver.Bytes) {
			if err := in.shorten(ctx, c, l, col, known, x); err != nil {
				return err
			}
		}
		text := name == driver.ColType || name == driver.ColState || known != nil && known.Kind == driver.Text
		if x.Unique && text && !col.Binary {
			return fmt.Errorf("the %v cannot be made: column %q is not compared by bytes: %w", x, name, errors.ErrUnsupported)
		}
		size += bytesOf(name, known)
		columns[i] = quote(in.traits, col.Name) + col.IndexPart
	}
	if !x.Unique && !in.traits.keyInIndexes(l.schema) && (l.schema.IntegerIDs || size+driver.MaxIDLen <= driver.MaxIndexBytes) {
		columns = append(columns, l.id.quoted) // in whose order ties end
	}
	kind := "INDEX "
	if x.Unique {
		if err := in.collide(ctx, c, l, tab, x); err != nil {
			return err
		}
		kind = "UNIQUE INDEX "
	}
	err := define(ctx, c, "CREATE "+kind+quote(in.traits, nameOf(tab.Name, x))+" ON "+l.table+" ("+strings.Join(columns, ", ")+")")
	if err != nil && in.classify(err) == Unique {
		return fmt.Errorf("the %v cannot be made: %w", x, err) // stored since it was looked for
	}
	if plain := nameOf(tab.Name, driver.Index{Columns: x.Columns}); err == nil && x.Unique && tab.named(plain) != nil {
		return in.dropIndex(ctx, c, l, plain)
	}
	return err
}

// bytesOf returns how many bytes of an index a column may need.
func bytesOf(name string, known *driver.Column) int {
	switch {
	case name == driver.ColType:
		return 4 * driver.MaxIndexedTextLen
	case name == driver.ColState:
		return 4 * driver.MaxStateLen
	case known != nil && known.Kind == driver.Text:
		return 4 * driver.MaxIndexedTextLen
	case known != nil && known.Kind == driver.Bytes:
		return driver.MaxIndexedBytesLen
	}
	return 8
}

// shorten makes sure that the values of a column are not too long for an index, and gives the
// column a type that an index holds whole, where it matters.
func (in *initializer) shorten(ctx context.Context, c *conn, l *layout, col *Column, known *driver.Column, x driver.Index) error {
	quoted := quote(in.traits, col.Name)
	long := fmt.Sprintf("octet_length(%s) > %d", quoted, driver.MaxIndexedBytesLen)
	if known.Kind == driver.Text {
		long = fmt.Sprintf("%s > %d", in.traits.express(CharLength, quoted), driver.MaxIndexedTextLen)
	}
	var id cell
	found, err := c.one(ctx, "SELECT "+l.id.quoted+" FROM "+l.table+" WHERE "+long+" ORDER BY "+l.id.quoted+" LIMIT 1", nil, &id)
	if err != nil {
		return err
	}
	if found {
		holder, err := l.idOf(&id)
		if err != nil {
			return err
		}
		return driver.ErrTooLongForIndex(x, known.Name, holder)
	}
	if known.Kind != driver.Text || col.IndexPart == "" {
		return nil
	}
	if err := define(ctx, c, "ALTER TABLE "+l.table+" MODIFY COLUMN "+quoted+" "+in.dialect.Type(ShortText)); err != nil {
		return err
	}
	col.IndexPart = ""
	return nil
}

// idOf returns the ID in a cell.
func (l *layout) idOf(c *cell) (driver.ID, error) {
	if l.schema.IntegerIDs {
		n, err := c.integer(0)
		return driver.ID(fmt.Sprint(n)), err
	}
	text, err := c.text()
	return driver.ID(text), err
}

// collide returns an error that names two records that have the same values in the columns of an
// index.
func (in *initializer) collide(ctx context.Context, c *conn, l *layout, tab *Table, x driver.Index) error {
	var columns, known []string
	for _, name := range x.Columns {
		quoted := quote(in.traits, tab.column(name).Name)
		columns, known = append(columns, quoted), append(known, quoted+" IS NOT NULL")
	}
	var a, b cell
	found, err := c.one(ctx, fmt.Sprintf("SELECT min(%[1]s), max(%[1]s) FROM %[2]s WHERE %[3]s GROUP BY %[4]s HAVING count(*) > 1 LIMIT 1",
		l.id.quoted, l.table, strings.Join(known, " AND "), strings.Join(columns, ", ")), nil, &a, &b)
	if err != nil || !found {
		return err
	}
	first, err := l.idOf(&a)
	if err != nil {
		return err
	}
	last, err := l.idOf(&b)
	if err != nil {
		return err
	}
	return driver.ErrCollide(x, first, last)
}

// DropIndex implements [driver.Indexer].
func (b *Backend) DropIndex(ctx context.Context, x driver.Index) error {
	if b.options.NoCreate && !b.options.ReadOnly {
		return fmt.Errorf("the %v: nothing may be altered: %w", x, errors.ErrUnsupported)
	}
	err := b.changeCatalog(ctx, func(in *initializer, c *conn, l *layout, tab *Table) error {
		without := l.catalog.Clone()
		if !without.RemoveIndex(x) {
			return fmt.Errorf("the %v: %w", x, driver.ErrNotFound)
		}
		// Some databases commit each definition by itself. Should the rest be cut off, the index
		// can be dropped again.
		if name := nameOf(tab.Name, x); tab.named(name) != nil {
			if err := in.dropIndex(ctx, c, l, name); err != nil {
				return err
			}
		}
		return in.storeCatalog(ctx, c, l, without)
	})
	if err != nil {
		return err
	}
	s := b.objectSchema()
	for i, f := range s.Fields {
		if !x.Unique && len(x.Columns) == 1 && strings.EqualFold(f.Name, x.Columns[0]) {
			s.Fields[i].Indexed = false // else it would be made again just now
		}
	}
	return b.inspectAgain(ctx, s)
}

// dropIndex drops an index that is there.
func (in *initializer) dropIndex(ctx context.Context, c *conn, l *layout, name string) error {
	text := "DROP INDEX " + quote(in.traits, name)
	if in.traits.IndexesOfTables {
		text += " ON " + l.table
	}
	return define(ctx, c, text)
}
