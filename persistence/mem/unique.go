package mem

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/brine-go/brine/persistence/driver"
)

var _ driver.Indexer = (*Backend)(nil)

// A unique is a unique index: who has which values. It belongs to the current writer, as a table
// does; readers have no use for it.
type unique struct {
	driver.Index
	holders map[string]driver.ID // by driver.IndexKey
}

// key returns the key of a stored record, which may be nil; false: the index does not concern it.
func (t *table) key(x driver.Index, rec *driver.Record) (string, bool) {
	if rec == nil {
		return "", false
	}
	return x.Key(rec, t.field(rec))
}

// field returns a function that returns the value of an extra field of a stored record.
func (t *table) field(rec *driver.Record) func(name string) any {
	return func(name string) any {
		if at := t.place(name); at >= 0 && at < len(rec.Fields) {
			return rec.Fields[at]
		}
		return nil
	}
}

// A uniqueCheck collects what a batch does to the unique indexes, and says in the end whether two
// records have the same values. nil has nothing to check.
type uniqueCheck struct {
	table  *table
	leaves []map[string]driver.ID // of each index: keys that a record no longer has
	takes  []map[string]driver.ID // keys that a record has now
	order  []taken                // of takes
	clash  error                  // inside the batch
}

type taken struct {
	index int
	key   string
}

// uniqueCheck returns one for a batch, or nil where there is no unique index.
func (d *data) uniqueCheck() *uniqueCheck {
	t := d.tables[driver.Objects]
	if t == nil || len(t.uniques) == 0 {
		return nil
	}
	u := &uniqueCheck{table: t}
	for range t.uniques {
		u.leaves = append(u.leaves, make(map[string]driver.ID))
		u.takes = append(u.takes, make(map[string]driver.ID))
	}
	return u
}

// change notes that a record becomes another one. Either may be nil.
func (c *uniqueCheck) change(was, is *driver.Record) {
	for i, u := range c.table.uniques {
		old, had := c.table.key(u.Index, was)
		key, has := c.table.key(u.Index, is)
		if had && has && old == key {
			continue
		}
		if had {
			c.leaves[i][old] = was.ID
		}
		if !has {
			continue
		}
		if other, ok := c.takes[i][key]; ok && c.clash == nil {
			c.clash = driver.ErrHeld(u.Index, is.ID, other)
		}
		c.takes[i][key] = is.ID
		c.order = append(c.order, taken{i, key})
	}
}

// try is change for one record after the other: it notes nothing, and returns the
// [*driver.UniqueError], if the record takes what another one has by now.
func (c *uniqueCheck) try(was, is *driver.Record) error {
	if c == nil {
		return nil
	}
	for i, u := range c.table.uniques {
		old, had := c.table.key(u.Index, was)
		key, has := c.table.key(u.Index, is)
		if !has || had && old == key {
			continue
		}
		holder, held := c.takes[i][key]
		if !held {
			holder, held = c.keeps(i, key)
		}
		if held {
			return &driver.UniqueError{Columns: slices.Clone(u.Columns), Holder: holder}
		}
	}
	c.change(was, is)
	return nil
}

// keeps returns who has a key of an index and does not leave it.
func (c *uniqueCheck) keeps(index int, key string) (holder driver.ID, held bool) {
	if _, left := c.leaves[index][key]; left {
		return "", false
	}
	holder, held = c.table.uniques[index].holders[key]
	return holder, held
}

// settle returns the error of the first record that takes what another one keeps, or else brings
// the indexes up to date.
func (c *uniqueCheck) settle() error {
	if c == nil {
		return nil
	}
	if c.clash != nil {
		return c.clash
	}
	for _, t := range c.order {
		if holder, held := c.keeps(t.index, t.key); held {
			return driver.ErrHeld(c.table.uniques[t.index].Index, c.takes[t.index][t.key], holder)
		}
	}
	for i, u := range c.table.uniques {
		for key := range c.leaves[i] {
			delete(u.holders, key)
		}
		for key, id := range c.takes[i] {
			u.holders[key] = id
		}
	}
	return nil
}

// MakeIndexes implements [driver.Indexer]. Only unique indexes do anything: a search reads all
// records.
func (b *Backend) MakeIndexes(ctx context.Context, xs []driver.Index) error {
	if b.readOnly {
		return b.catalog(ctx, b.ready, func(t *table) error {
			for _, x := range xs {
				if !t.catalog.Serves(x) {
					return fmt.Errorf("there is no %v, and nothing may be created: %w", x, errors.ErrUnsupported)
				}
			}
			return nil
		})
	}
	return b.catalog(ctx, b.writable, func(t *table) error {
		catalog := t.catalog.Clone()
		if catalog == nil {
			catalog = &driver.Catalog{Unknown: true}
		}
		uniques := slices.Clone(t.uniques)
		for _, x := range xs {
			if !catalog.AddIndex(x) {
				continue
			}
			u, err := b.index(ctx, t, x)
			if err != nil {
				return err
			}
			if x.Unique {
				uniques = append(uniques, u)
			}
		}
		t.catalog, t.uniques = catalog, uniques
		return nil
	})
}

// index makes an index of the records, which must have room in it and, if it is unique, must not
// collide.
func (b *Backend) index(ctx context.Context, t *table, x driver.Index) (*unique, error) {
	u := &unique{Index: x, holders: make(map[string]driver.ID)}
	var err error
	n := 0
	(*b.data.state.Load())[driver.Objects].ascend(func(rec *driver.Record) bool {
		if n++; n%checkEvery == 0 {
			err = ctx.Err()
		}
		for _, name := range x.Columns {
			if !driver.FitsIndex(driver.IndexValue(rec, name, t.field(rec))) {
				err = driver.ErrTooLongForIndex(x, name, rec.ID)
			}
		}
		if key, ok := t.key(x, rec); ok && x.Unique {
			if other, held := u.holders[key]; held {
				err = driver.ErrCollide(x, other, rec.ID)
			}
			u.holders[key] = rec.ID
		}
		return err == nil
	})
	return u, err
}

// DropIndex implements [driver.Indexer].
func (b *Backend) DropIndex(ctx context.Context, x driver.Index) error {
	return b.catalog(ctx, b.writable, func(t *table) error {
		catalog := t.catalog.Clone()
		if !catalog.RemoveIndex(x) {
			return fmt.Errorf("the %v: %w", x, driver.ErrNotFound)
		}
		t.catalog = catalog
		t.keepUniques()
		return nil
	})
}

// keepUniques drops the unique indexes that the catalog no longer has.
func (t *table) keepUniques() {
	t.uniques = slices.DeleteFunc(slices.Clone(t.uniques), func(u *unique) bool { return !t.catalog.Serves(u.Index) })
}
