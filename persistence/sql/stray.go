package sql

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/brine-go/brine/persistence/driver"
)

var _ driver.StrayFinder = (*Backend)(nil)

// Strays implements [driver.StrayFinder]. Strays are rows of the tables of this store whose ID no
// record can have, and rows of the engine's own table that are about a table that does not exist.
// The Key of a row is the name of its table, a slash and its ID.
func (b *Backend) Strays(ctx context.Context, _ func(driver.Namespace, driver.ID) bool) iter.Seq2[driver.Stray, error] {
	return func(yield func(driver.Stray, error) bool) {
		var found []driver.Stray
		o, ts, err := b.ready(ctx)
		if err == nil {
			err = b.view(ctx, o, func(c *conn) (err error) {
				found, err = b.findStrays(ctx, c, ts)
				return err
			})
			b.leave()
		}
		if err != nil {
			yield(driver.Stray{}, b.translate(err))
			return
		}
		for _, s := range found {
			if !yield(s, nil) {
				return
			}
		}
	}
}

func (b *Backend) findStrays(ctx context.Context, c *conn, ts *tables) (found []driver.Stray, err error) {
	layouts := []*layout{ts.objects}
	for _, ns := range slices.Sorted(maps.Keys(ts.others)) {
		layouts = append(layouts, ts.others[ns])
	}
	for _, l := range layouts {
		if l.schema.IntegerIDs {
			continue // every value of the column is an ID
		}
		var id cell
		text := fmt.Sprintf("SELECT %s FROM %s WHERE %s = '' OR octet_length(%s) > %d", l.id.quoted, l.table, l.id.expr, l.id.quoted, driver.MaxIDLen)
		err := c.query(ctx, text, nil, []any{&id}, func() error {
			key, err := id.text()
			if err != nil {
				key = fmt.Sprint(id.v)
			}
			found = append(found, driver.Stray{
				Key: strayKey(l.name, key), Detail: fmt.Sprintf("a row whose ID of %d bytes no record can have", len(key)),
			})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return b.strayStores(ctx, c, found)
}

// strayKey names a row.
func strayKey(table, id string) string { return table + "/" + id }

// strayStores finds the rows of the engine's own table that are about no table.
func (b *Backend) strayStores(ctx context.Context, c *conn, found []driver.Stray) ([]driver.Stray, error) {
	stores, err := b.dialect.Inspect(ctx, c, storesTable)
	if err != nil || stores == nil || b.unreadable(stores) {
		return found, err
	}
	var name cell
	var names []string
	err = c.query(ctx, "SELECT name FROM "+storesTable+" ORDER BY name", nil, []any{&name}, func() error {
		text, err := name.text()
		names = append(names, text)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		tab, err := b.dialect.Inspect(ctx, c, name)
		if err != nil {
			return nil, err
		}
		if tab == nil {
			found = append(found, driver.Stray{Key: strayKey(storesTable, name), Detail: fmt.Sprintf("what Brine noted of a table %q, which does not exist", name)})
		}
	}
	return found, nil
}
