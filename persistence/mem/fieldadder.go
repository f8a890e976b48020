package mem

import (
	"context"

	"github.com/brine-go/brine/persistence/driver"
)

var _ driver.FieldAdder = (*Backend)(nil)

// ObjectsWith implements [driver.FieldAdder].
func (b *Backend) ObjectsWith(ctx context.Context, fields []driver.Column, create bool) (driver.Namespace, error) {
	ns := driver.Alias(fields)
	err := b.catalog(ctx, b.ready, func(t *table) error {
		cols := newColumns(driver.Schema{IntegerIDs: t.integerIDs, Fields: fields}, t)
		if create && !b.readOnly {
			if err := t.add(fields); err != nil {
				return err
			}
		}
		if _, err := t.find(cols, fields); err != nil {
			return err
		}
		b.columns.Store(ns, cols)
		return nil
	})
	return ns, err
}

// add adds columns to the table and its catalog.
func (t *table) add(fields []driver.Column) error {
	catalog := t.catalog.Clone()
	if catalog == nil {
		catalog = &driver.Catalog{Unknown: true}
	}
	if _, err := catalog.DeclareColumns(fields); err != nil || len(fields) == 0 {
		return err
	}
	for _, f := range fields {
		if t.place(f.Name) < 0 {
			t.layout, t.dropped = append(t.layout, f), append(t.dropped, false)
		}
	}
	t.catalog = catalog
	return nil
}
