package sql

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/brine-go/brine/persistence/driver"
)

var (
	_ driver.Lister    = (*Backend)(nil)
	_ driver.Compacter = (*Backend)(nil)
)

// Stores implements [driver.Lister]: the rows of the engine's own table whose tables exist.
func (b *Backend) Stores(ctx context.Context) ([]string, error) {
	o, _, err := b.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer b.leave()
	var names []string
	err = b.view(ctx, o, func(c *conn) error {
		names = nil
		stores, err := b.dialect.Inspect(ctx, c, storesTable)
		if err != nil || stores == nil {
			return err
		}
		var listed []string
		var name string
		err = c.query(ctx, "SELECT name FROM "+storesTable, nil, []any{&name}, func() error {
			listed = append(listed, name)
			return nil
		})
		if err != nil {
			return err
		}
		for _, name := range besideNone(listed) {
			tab, err := b.dialect.Inspect(ctx, c, name)
			if err != nil {
				return err
			}
			if tab != nil {
				names = append(names, name)
			}
		}
		return nil
	})
	slices.Sort(names)
	return names, b.translate(err)
}

// besideNone returns those names of tables that are not the table of a namespace beside another.
func besideNone(tables []string) []string {
	beside := make(map[string]bool)
	for _, name := range tables {
		for _, ns := range []driver.Namespace{driver.Pairs, driver.Quarantine} {
			beside[namespaceTable(name, ns)] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(tables), func(name string) bool { return beside[name] })
}

// Compact implements [driver.Compacter].
func (b *Backend) Compact(ctx context.Context) error {
	o, ts, err := b.readyToWrite(ctx)
	if err != nil {
		return err
	}
	defer b.leave()
	tables := map[string]bool{ts.objects.table: true}
	for _, l := range ts.others {
		tables[l.table] = true
	}
	for _, text := range b.traits.Compact {
		texts := []string{text}
		if strings.Contains(text, "%s") {
			texts = nil
			for _, table := range slices.Sorted(maps.Keys(tables)) {
				texts = append(texts, fmt.Sprintf(text, table))
			}
		}
		for _, text := range texts {
			err := b.autocommit(ctx, o, func(ctx context.Context, c *conn) error { return define(ctx, c, text) })
			if err != nil {
				return b.translate(err)
			}
		}
	}
	return nil
}
