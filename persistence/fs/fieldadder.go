package fs

import (
	"context"
	"fmt"

	"github.com/brine-go/brine/persistence/driver"
)

var _ driver.FieldAdder = (*Backend)(nil)

// ObjectsWith implements [driver.FieldAdder]. New columns are entries of the meta file; no record
// is written.
func (b *Backend) ObjectsWith(ctx context.Context, fields []driver.Column, create bool) (driver.Namespace, error) {
	if err := b.begin(); err != nil {
		return "", err
	}
	defer b.calls.Done()
	all, err := b.ready()
	if err != nil {
		return "", err
	}
	create = create && !b.opts.NoCreate && len(fields) > 0
	acquire := b.shared
	if create {
		acquire = b.exclusive
	}
	l, err := acquire(ctx)
	if err != nil {
		return "", err
	}
	defer l.release()
	m, err := l.readMeta()
	if err != nil {
		return "", err
	}
	var catalog *driver.Catalog
	if m != nil {
		catalog = m.catalog
	}
	if err := catalog.Check(fields); err != nil {
		return "", fmt.Errorf("directory %s: %w", b.path, err)
	}
	if create && m != nil {
		if catalog, err = l.addColumns(m, fields); err != nil {
			return "", err
		}
	}
	s := driver.Schema{IntegerIDs: all[driver.Objects].IntegerIDs, Fields: fields}
	one := newSchema(s, m.lacks(s), catalog)
	one.set, one.unrecorded = 0, false // Import brings the number of each record
	ns := driver.Alias(fields)
	b.setSchema(ns, one)
	return ns, nil
}

// addColumns records columns in the meta file, and returns the catalog.
func (l *lock) addColumns(m *meta, fields []driver.Column) (*driver.Catalog, error) {
	if m.catalog == nil {
		m.catalog = &driver.Catalog{Unknown: true}
	}
	changed, err := m.catalog.DeclareColumns(fields)
	if err == nil && changed {
		err = l.writeMeta(l.folder, m)
	}
	return m.catalog, err
}
