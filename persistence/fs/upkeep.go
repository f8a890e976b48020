package fs

import (
	"context"

	"github.com/brine-go/brine/persistence/driver"
)

var (
	_ driver.Lister    = (*Backend)(nil)
	_ driver.Compacter = (*Backend)(nil)
)

// Stores implements [driver.Lister]: the directory is a store if it has a meta file.
func (b *Backend) Stores(context.Context) ([]string, error) {
	if err := b.begin(); err != nil {
		return nil, err
	}
	defer b.calls.Done()
	d, err := b.directory()
	if err != nil {
		return nil, err
	}
	m, err := d.readMeta()
	if m == nil || err != nil {
		return nil, err
	}
	return []string{b.path}, nil
}

// Compact implements [driver.Compacter]. The space of a record that is removed is free at once.
// What is left of crashed writers is removed here, as by Init.
func (b *Backend) Compact(ctx context.Context) error {
	if err := b.begin(); err != nil {
		return err
	}
	defer b.calls.Done()
	all, err := b.ready()
	if err != nil {
		return err
	}
	l, err := b.exclusive(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	for ns := range all {
		f, err := l.in(ns)
		if err != nil {
			return err
		}
		if err := l.clean(f); err != nil {
			return readOnly(err)
		}
	}
	return nil
}
