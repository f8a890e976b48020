package sql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/brine-go/brine/persistence/driver"
)

var (
	_ driver.Cataloger = (*Backend)(nil)
	_ driver.GapFinder = (*Backend)(nil)
)

// colCatalog is the column of the engine's own table with the catalog of the extra columns; NULL
// where none was ever declared.
const colCatalog = "extra_columns"

// errCatalogChanged: another process has changed the catalog since it was read.
var errCatalogChanged = errors.New("the catalog of the extra columns was changed meanwhile")

// kept returns the fields that the table has.
func (l *layout) kept() []driver.Column {
	var kept []driver.Column
	for i, c := range l.fields {
		if c != nil {
			kept = append(kept, l.schema.Fields[i])
		}
	}
	return kept
}

// findSet finds the number of the set of columns that the handle fills.
func (in *initializer) findSet(l *layout) {
	if l.catalog == nil || in.alias {
		return
	}
	n, found := l.catalog.FindSet(driver.SetOf(l.kept()))
	l.fills, l.unrecorded = n, in.options.NoCreate && !found
	l.statements()
}

// undeclared reports whether the catalog does not say what the schema says.
func (in *initializer) undeclared(l *layout) bool {
	if l.catalog == nil {
		return in.objects && len(in.schema.Fields) > 0
	}
	changed, _ := in.declareIn(l.catalog.Clone())
	return changed
}

// declareIn records the columns of the schema in a catalog.
func (in *initializer) declareIn(catalog *driver.Catalog) (changed bool, err error) {
	if in.alias {
		return catalog.DeclareColumns(in.schema.Fields)
	}
	_, changed, err = catalog.Declare(in.schema.Fields)
	return changed, err
}

// declare records the columns of the schema. It runs with the lock of Init.
func (in *initializer) declare(ctx context.Context, c *conn, tab *Table) error {
	l, err := in.layout(tab)
	if err == nil {
		err = in.readStores(ctx, c, l)
	}
	if err != nil {
		return err
	}
	if in.undeclared(l) {
		catalog := l.catalog.Clone()
		if catalog == nil {
			catalog = &driver.Catalog{Unknown: !in.made}
		}
		if _, err := in.declareIn(catalog); err != nil {
			return fmt.Errorf("%s: table %q: %w", in.dialect.Location(), l.name, err)
		}
		if err := in.storeCatalog(ctx, c, l, catalog); err != nil {
			return err
		}
	}
	return in.indexSets(ctx, c, l, tab)
}

// storeCatalog stores a catalog in place of the one that l has read.
func (in *initializer) storeCatalog(ctx context.Context, c *conn, l *layout, catalog *driver.Catalog) error {
	if !l.hasCatalog {
		if err := define(ctx, c, "ALTER TABLE "+storesTable+" ADD COLUMN "+colCatalog+" "+in.dialect.Type(Text)); err != nil {
			return err
		}
		l.hasCatalog = true
	}
	text, err := catalog.Encode()
	if err != nil {
		return err
	}
	n, err := c.exec(ctx, "UPDATE "+storesTable+" SET "+colCatalog+" = ?, format = ? WHERE name = ? AND coalesce("+colCatalog+", '') = ?",
		text, formatOf(catalog), l.name, l.storedCatalog)
	if err == nil && n == 0 {
		err = errCatalogChanged
	}
	if err == nil {
		l.catalog, l.storedCatalog = catalog, text
	}
	return err
}

// indexSets makes the index that finds records by their set of columns, and by type, once there is
// more than one set.
func (in *initializer) indexSets(ctx context.Context, c *conn, l *layout, tab *Table) error {
	if in.options.NoCreate || l.catalog == nil || !l.catalog.Mixed() || tab.indexed(driver.ColColumnSet) {
		return nil
	}
	columns := l.columnSet.quoted
	if typ := tab.column(driver.ColType); typ != nil && typ.IndexPart == "" {
		columns += ", " + quote(in.traits, typ.Name)
	}
	if !in.traits.keyInIndexes(in.schema) {
		columns += ", " + l.id.quoted
	}
	return define(ctx, c, "CREATE INDEX "+quote(in.traits, nameOf(tab.Name, driver.Index{Columns: []string{driver.ColColumnSet}}))+" ON "+l.table+" ("+columns+")")
}

// Catalog implements [driver.Cataloger]: one statement.
func (b *Backend) Catalog(ctx context.Context) (*driver.Catalog, error) {
	o, ts, err := b.ready(ctx)
	if err != nil {
		return nil, err
	}
	defer b.leave()
	l := ts.objects
	if l.columnSet == nil || !l.counter {
		return nil, nil
	}
	var catalog *driver.Catalog
	err = b.view(ctx, o, func(c *conn) error {
		var err error
		catalog, err = b.currentCatalog(ctx, c, l)
		return err
	})
	if err != nil {
		return nil, b.translate(err)
	}
	if catalog == nil {
		catalog = &driver.Catalog{}
	}
	return catalog, nil
}

// currentCatalog reads the catalog as it is now; nil: none was ever declared.
func (b *Backend) currentCatalog(ctx context.Context, c *conn, l *layout) (*driver.Catalog, error) {
	if l.columnSet == nil || !l.counter {
		return nil, nil
	}
	if !l.hasCatalog { // it may have been added since
		stores, err := b.inspect(ctx, c, storesTable)
		if err != nil || stores == nil || stores.column(colCatalog) == nil {
			return nil, err
		}
	}
	var text cell
	if _, err := c.one(ctx, "SELECT "+colCatalog+" FROM "+storesTable+" WHERE name = ?", []any{l.name}, &text); err != nil {
		return nil, err
	}
	stored, err := text.text()
	if err != nil || stored == "" {
		return nil, err
	}
	return driver.DecodeCatalog(stored)
}

// InGap implements [driver.GapFinder]: one statement for each type. The order is that of the index
// on the number of the set and the type. In the order of IDs a planner could read all records in
// vain, for it expects to find one soon.
func (b *Backend) InGap(ctx context.Context, g driver.Gap) (found bool, err error) {
	types := []string{""}
	if g.Types != nil {
		types = g.Listed()
	}
	err = b.View(ctx, func(r driver.Reader) error {
		for i := 0; i < len(types) && !found; i++ {
			q := &driver.Query{Limit: 1, Order: []driver.Order{{Column: driver.ColType}}, Where: []driver.Cond{
				{Column: driver.ColColumnSet, Op: driver.Eq, Values: []any{g.Set}},
			}}
			if g.Types != nil {
				q.Where = append(q.Where, driver.Cond{Column: driver.ColType, Op: driver.Ge, Values: []any{types[i]}},
					driver.Cond{Column: driver.ColType, Op: driver.Le, Values: []any{types[i]}})
			}
			if len(g.Except) > 0 {
				not := driver.Gap{Set: g.Set, Except: g.Except}
				q.Where = append(q.Where, not.Where()[1:]...)
			}
			for _, err := range r.Scan(ctx, q) {
				if err != nil && !errors.Is(err, driver.ErrCorrupt) {
					return err
				}
				found = true // damaged or not
			}
		}
		return nil
	})
	return found, err
}

// AddColumnSet implements [driver.Cataloger].
func (b *Backend) AddColumnSet(ctx context.Context, set driver.ColumnSet) (n int64, err error) {
	err = b.changeCatalog(ctx, func(in *initializer, c *conn, l *layout, tab *Table) error {
		catalog := l.catalog.Clone()
		if catalog == nil {
			return fmt.Errorf("%s: table %q has no record of extra columns: %w", in.dialect.Location(), in.table, driver.ErrNotFound)
		}
		var changed bool
		if n, changed = catalog.AddSet(set); changed {
			if err := in.storeCatalog(ctx, c, l, catalog); err != nil {
				return err
			}
		}
		return in.indexSets(ctx, c, l, tab)
	})
	return n, err
}

// DropColumn implements [driver.Cataloger]. Some databases commit each definition by itself. So the
// column leaves the sets first: should the rest be cut off, it is there and incomplete, and can be
// dropped again.
func (b *Backend) DropColumn(ctx context.Context, name string) error {
	if b.options.NoCreate && !b.options.ReadOnly {
		return fmt.Errorf("extra column %q: nothing may be altered: %w", name, errors.ErrUnsupported)
	}
	err := b.changeCatalog(ctx, func(in *initializer, c *conn, l *layout, tab *Table) error {
		was := l.catalog.Column(name)
		if was == nil {
			return fmt.Errorf("extra column %q: %w", name, driver.ErrNotFound)
		}
		unfilled, without := l.catalog.Clone(), l.catalog.Clone()
		unfilled.Drop(name)
		without.Drop(name)
		unfilled.Columns, unfilled.Indexes = slices.Clone(l.catalog.Columns), slices.Clone(l.catalog.Indexes)
		if err := in.storeCatalog(ctx, c, l, unfilled); err != nil {
			return err
		}
		if err := in.dropColumn(ctx, c, l, tab, was.Name); err != nil {
			return err
		}
		return in.storeCatalog(ctx, c, l, without)
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil && b.tables.objects.columns[name] != nil {
		b.dropped = name
	}
	return err
}

// dropColumn drops a column and its indexes, if they are there.
func (in *initializer) dropColumn(ctx context.Context, c *conn, l *layout, tab *Table, name string) error {
	col := tab.column(name)
	if col == nil {
		return nil
	}
	for _, x := range tab.Indexes {
		if !slices.ContainsFunc(x.Columns, func(part string) bool { return strings.EqualFold(part, name) }) {
			continue
		}
		if err := in.dropIndex(ctx, c, l, x.Name); err != nil {
			return err
		}
	}
	return define(ctx, c, "ALTER TABLE "+l.table+" DROP COLUMN "+quote(in.traits, col.Name))
}

// changeCatalog calls f with the catalog, if there is one, in a transaction that has the lock of
// Init.
func (b *Backend) changeCatalog(ctx context.Context, f func(in *initializer, c *conn, l *layout, tab *Table) error) error {
	o, ts, err := b.readyToWrite(ctx)
	if err != nil {
		return err
	}
	defer b.leave()
	in := b.initializer(ts.objects.name, ts.objects.schema, true)
	in.schema.Fields = nil // what this handle declares plays no part
	uncertain := false
	for range 3 {
		err = in.write(ctx, o, func(c *conn) error {
			return in.locked(ctx, c, func() error { return in.withCatalog(ctx, c, f) })
		})
		if uncertain && errors.Is(err, driver.ErrNotFound) {
			return nil // it is done
		}
		uncertain = uncertain || errors.Is(err, driver.ErrUncertain)
		if !errors.Is(err, errCatalogChanged) && !errors.Is(err, driver.ErrUncertain) {
			break
		}
	}
	return b.translate(err)
}

// withCatalog calls f with the table and its catalog as they are, which may be nil.
func (in *initializer) withCatalog(ctx context.Context, c *conn, f func(in *initializer, c *conn, l *layout, tab *Table) error) error {
	tab, err := in.dialect.Inspect(ctx, c, in.table)
	if err != nil {
		return err
	}
	if tab == nil {
		return fmt.Errorf("%s: table %q is gone", in.dialect.Location(), in.table)
	}
	l, err := in.layout(tab)
	if err == nil {
		err = in.readStores(ctx, c, l)
	}
	if err != nil {
		return err
	}
	return f(in, c, l, tab)
}

// writable is ready for a call that writes: it records the set of columns that Init could not
// record.
func (b *Backend) writable(ctx context.Context) (*open, *tables, error) {
	o, ts, err := b.readyToWrite(ctx)
	if err != nil {
		return nil, nil, err
	}
	b.mu.Lock()
	dropped := b.dropped
	b.mu.Unlock()
	if dropped == "" && !ts.objects.unrecorded {
		return o, ts, nil
	}
	b.leave()
	if dropped != "" {
		return nil, nil, fmt.Errorf("the column %q was dropped after this store was opened: open it anew", dropped)
	}
	if b.options.NoCreate {
		if _, err := b.AddColumnSet(ctx, driver.SetOf(ts.objects.kept())); err != nil {
			return nil, nil, err
		}
	}
	if _, err := b.init(ctx, driver.Objects, b.options.Table, ts.objects.schema); err != nil {
		return nil, nil, err
	}
	return b.ready(ctx)
}
