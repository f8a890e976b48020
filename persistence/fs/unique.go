package fs

import (
	"context"
	"errors"
	"fmt"

	"github.com/brine-go/brine/persistence/driver"
)

var _ driver.Indexer = (*Backend)(nil)

// A uniqueCheck says whether changes leave two records with the same values in a unique index. What
// it lets pass is in the table before it is in the directory.
type uniqueCheck struct {
	*lock
	before func(f file) *change // what those before it in the same commit have changed; nil: nothing
}

// unique returns an error if changes, all made, collide with each other or with what stays. mine
// are the changes by the names of their files.
func (u *uniqueCheck) unique(ctx context.Context, changes []change) error {
	if len(u.b.uniques) == 0 {
		return nil
	}
	mine := make(map[string]*change, len(changes))
	takers := make(map[string]*change)
	var takes []take
	for i := range changes {
		c := &changes[i]
		if c.folder != u.folder {
			continue
		}
		mine[c.name] = c
		if c.remove || c.header.id == "" {
			continue
		}
		for k, x := range u.b.uniques {
			key, ok := c.header.key(x)
			if !ok {
				continue
			}
			whole := fmt.Sprint(k, " ", key)
			if other := takers[whole]; other != nil {
				return driver.ErrHeld(x, c.header.id, other.header.id)
			}
			takers[whole] = c
			takes = append(takes, take{x, key, c})
		}
	}
	if len(takes) == 0 {
		return nil
	}
	t, err := u.uniqueTable(ctx, len(takes))
	if err != nil {
		return err
	}
	for i := range takes {
		if err := ctx.Err(); err != nil {
			return err
		}
		holder, err := u.holder(t, &takes[i], mine)
		if err != nil {
			return err
		}
		if holder != "" {
			return driver.ErrHeld(takes[i].index, takes[i].header.id, holder)
		}
	}
	for _, take := range takes {
		if err := t.Put(hashOf(take.index, take.key), take.name); err != nil {
			return err
		}
	}
	return nil
}

// A take is a key of an index that a change gives its record.
type take struct {
	index driver.Index
	key   string
	*change
}

// holder returns who has a key and keeps it; "": nobody.
func (u *uniqueCheck) holder(t *uniqueTable, take *take, mine map[string]*change) (holder driver.ID, err error) {
	findErr := t.Find(hashOf(take.index, take.key), func(name string) bool {
		if mine[name] != nil {
			return true // what it becomes counts
		}
		var h header
		if h, err = u.headerOf(name); err != nil {
			return errors.Is(err, errAbsent) || unreadable(err)
		}
		if key, ok := h.key(take.index); ok && key == take.key && fileName(h.id) == name {
			holder = h.id
		}
		return holder == ""
	})
	if errors.Is(err, errAbsent) || unreadable(err) {
		err = nil
	}
	return holder, errors.Join(err, findErr)
}

// headerOf returns the header of the record in a file, as those before in the same commit leave it.
func (u *uniqueCheck) headerOf(name string) (header, error) {
	if !isRecordName(name) {
		return header{}, errAbsent
	}
	f := file{u.folder, name}
	if u.before != nil {
		if c := u.before(f); c != nil {
			if c.remove || c.header.id == "" {
				return header{}, errAbsent
			}
			return c.header, nil
		}
	}
	return u.readHeader(name, true)
}

// MakeIndexes reads the headers of all records. Only unique indexes do anything: a search reads all
// records.
func (b *Backend) MakeIndexes(ctx context.Context, xs []driver.Index) error {
	if len(xs) == 0 {
		return nil
	}
	if b.opts.NoCreate {
		return b.lackIndexes(ctx, xs)
	}
	return b.changeCatalog(ctx, func(l *lock, m *meta) error {
		if m.catalog == nil {
			m.catalog = &driver.Catalog{Unknown: true}
		}
		var made []driver.Index
		for _, x := range xs {
			if m.catalog.AddIndex(x) {
				made = append(made, x)
			}
		}
		if len(made) == 0 {
			return nil
		}
		if err := l.mayIndex(ctx, made); err != nil {
			return err
		}
		if err := l.writeMeta(l.folder, m); err != nil {
			return err
		}
		l.discardTable()
		b.uniques = m.catalog.UniqueIndexes()
		if len(b.uniques) == 0 {
			return nil
		}
		_, err := l.uniqueTable(ctx, 1)
		return err
	})
}

// mayIndex returns an error that names the records that are in the way of indexes.
func (l *lock) mayIndex(ctx context.Context, xs []driver.Index) error {
	holders := make([]map[string]driver.ID, len(xs))
	for i := range xs {
		holders[i] = make(map[string]driver.ID)
	}
	return l.eachHeader(ctx, func(_ string, h *header) error {
		for i, x := range xs {
			for _, name := range x.Columns {
				if !driver.FitsIndex(h.value(name)) {
					return driver.ErrTooLongForIndex(x, name, h.id)
				}
			}
			key, ok := h.key(x)
			if !ok || !x.Unique {
				continue
			}
			if other, held := holders[i][key]; held {
				return driver.ErrCollide(x, other, h.id)
			}
			holders[i][key] = h.id
		}
		return nil
	})
}

// lackIndexes returns an error that names the first index that is not there.
func (b *Backend) lackIndexes(ctx context.Context, xs []driver.Index) error {
	catalog, err := b.Catalog(ctx)
	for _, x := range xs {
		if err == nil && !catalog.Serves(x) {
			err = fmt.Errorf("directory %s has no %v, and nothing may be created: %w", b.path, x, errors.ErrUnsupported)
		}
	}
	return err
}

// DropIndex implements [driver.Indexer].
func (b *Backend) DropIndex(ctx context.Context, x driver.Index) error {
	if b.opts.NoCreate && !b.opts.ReadOnly {
		return fmt.Errorf("the %v: nothing may be altered: %w", x, errors.ErrUnsupported)
	}
	return b.changeCatalog(ctx, func(l *lock, m *meta) error {
		if !m.catalog.RemoveIndex(x) {
			return fmt.Errorf("the %v: %w", x, driver.ErrNotFound)
		}
		return l.writeMeta(l.folder, m)
	})
}
