package mem

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/brine-go/brine/persistence/driver"
)

var _ driver.Cataloger = (*Backend)(nil)

// Catalog implements [driver.Cataloger].
func (b *Backend) Catalog(ctx context.Context) (catalog *driver.Catalog, err error) {
	err = b.catalog(ctx, b.ready, func(t *table) error {
		catalog = t.catalog.Clone()
		if catalog == nil {
			catalog = &driver.Catalog{}
		}
		return nil
	})
	return catalog, err
}

// AddColumnSet implements [driver.Cataloger].
func (b *Backend) AddColumnSet(ctx context.Context, set driver.ColumnSet) (n int64, err error) {
	err = b.catalog(ctx, b.writable, func(t *table) error {
		catalog := t.catalog.Clone()
		if catalog == nil {
			return errors.New("the store has no extra columns")
		}
		n, _ = catalog.AddSet(set)
		t.catalog = catalog
		return nil
	})
	return n, err
}

// DropColumn implements [driver.Cataloger]. The records keep their places for the values, which
// become NULL: other handles count on the layout. Those that declare the column fail to write, and
// to read it.
func (b *Backend) DropColumn(ctx context.Context, name string) error {
	return b.catalog(ctx, b.writable, func(t *table) error {
		catalog := t.catalog.Clone()
		if catalog.Column(name) == nil {
			return fmt.Errorf("extra column %q: %w", name, driver.ErrNotFound)
		}
		catalog.Drop(name)
		t.catalog = catalog
		t.keepUniques()
		at := t.place(name)
		t.dropped[at] = true
		gone := slices.Clone(t.dropped)
		t.gone.Store(&gone)
		b.clear(at)
		return nil
	})
}

// clear makes a place in the fields of every record NULL. The caller is the current writer.
func (b *Backend) clear(at int) {
	d := b.data
	d.batch++
	st := *d.state.Load()
	root := st[driver.Objects]
	cols, _ := b.columnsOf(driver.Objects)
	w := &writer{batch: d.batch, compare: cols.CompareIDs}
	st[driver.Objects].ascend(func(was *driver.Record) bool {
		if at < len(was.Fields) && was.Fields[at] != nil {
			rec := *was
			rec.Fields = slices.Clone(was.Fields)
			rec.Fields[at] = nil
			root = w.put(root, &rec)
		}
		return true
	})
	after := st.with(driver.Objects, root)
	d.state.Store(&after)
}

// catalog calls fn with the table of the objects, as the current writer. enter begins the call.
func (b *Backend) catalog(ctx context.Context, enter func(context.Context) (*columns, error), fn func(*table) error) error {
	cols, err := enter(ctx)
	if err != nil {
		return err
	}
	defer b.calls.Done()
	d := b.data
	if err := d.lock(ctx); err != nil {
		return err
	}
	defer d.unlock()
	return fn(cols.table)
}
