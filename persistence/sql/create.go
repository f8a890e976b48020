package sql

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/brine-go/brine/persistence/driver"
)

// create makes what is missing, inside a write transaction.
func (in *initializer) create(ctx context.Context, c *conn) error {
	tab, err := in.dialect.Inspect(ctx, c, in.table)
	if err != nil {
		return err
	}
	adopted := tab != nil
	if tab == nil {
		if err := define(ctx, c, in.createTable()); err != nil {
			return err
		}
		in.made = true
		if tab, err = in.dialect.Inspect(ctx, c, in.table); err != nil {
			return err
		}
	}
	l, err := in.layout(tab)
	if err != nil {
		return err
	}
	if err := in.readStores(ctx, c, l); err != nil {
		return err
	}
	if adopted && !l.counter {
		if err := in.recognize(ctx, c, l); err != nil {
			return err
		}
	}
	if err := in.addColumns(ctx, c, l, tab); err != nil {
		return err
	}
	if adopted {
		if err := in.fillSizes(ctx, c, l); err != nil {
			return err
		}
	}
	if len(l.missing) > 0 {
		if tab, err = in.dialect.Inspect(ctx, c, tab.Name); err != nil {
			return err
		}
	}
	if err := in.addIndexes(ctx, c, l, tab); err != nil {
		return err
	}
	if err := in.createStores(ctx, c, tab.Name); err != nil {
		return err
	}
	if !in.objects {
		return nil
	}
	return in.declare(ctx, c, tab)
}

// define runs a statement that changes the schema. Some databases end the transaction with it.
func define(ctx context.Context, c *conn, text string) error {
	c.within = false
	_, err := c.ExecContext(ctx, text)
	return err
}

// addColumns adds the columns that the table lacks.
func (in *initializer) addColumns(ctx context.Context, c *conn, l *layout, tab *Table) error {
	for _, def := range in.definitions() {
		if !slices.Contains(in.lacking(l), def.name) {
			continue
		}
		if tab.column(def.name) != nil {
			return fmt.Errorf("%s: table %q: column %q cannot be written", in.dialect.Location(), tab.Name, def.name)
		}
		if err := define(ctx, c, "ALTER TABLE "+l.table+" ADD COLUMN "+def.sql); err != nil {
			return err
		}
	}
	return nil
}

// recognize returns an error if a table that is not in the engine's own table has the records of
// another program: it is not altered then.
func (in *initializer) recognize(ctx context.Context, c *conn, l *layout) error {
	if in.schema.Recognize == nil {
		return nil
	}
	var first cell
	found, err := c.one(ctx, "SELECT "+l.data.quoted+" FROM "+l.table+" ORDER BY "+l.id.quoted+" LIMIT 1", nil, &first)
	if err != nil || !found {
		return err
	}
	data, err := first.bytes(true)
	if err == nil {
		err = in.schema.Recognize(data)
	}
	if err != nil {
		return fmt.Errorf("%s: table %q is of another program, and is not altered: the %s of its first row is %w (#table= or Options.Table names another table; Options.NoCreate opens this one as it is)",
			in.dialect.Location(), l.name, colData, err)
	}
	return nil
}

// fillSizes computes the sizes in a table that another program made. It does so also where the
// column is there and the engine's own table has no row: some databases commit each definition by
// itself, and an earlier Init may have been cut off just here.
func (in *initializer) fillSizes(ctx context.Context, c *conn, l *layout) error {
	if l.size != nil && l.counter {
		return nil
	}
	size, octets := quote(in.traits, colSize), "coalesce(octet_length("+l.data.quoted+"), 0)"
	if l.size != nil {
		size = l.size.quoted
	}
	return define(ctx, c, fmt.Sprintf("UPDATE %s SET %s = %s WHERE coalesce(%s, -1) <> %s", l.table, size, octets, size, octets))
}

// addIndexes adds the indexes that the table lacks.
func (in *initializer) addIndexes(ctx context.Context, c *conn, l *layout, tab *Table) error {
	t := in.traits
	for _, name := range in.wantedIndexes(tab) {
		columns := quote(t, name)
		if col := tab.column(name); col != nil {
			columns += col.IndexPart
		}
		if !t.keyInIndexes(in.schema) {
			columns += ", " + l.id.quoted
		}
		columns = "(" + columns + ")"
		if name == driver.ColClaimUntil && t.PartialIndexes {
			// A record without a claim costs nothing then.
			columns += " WHERE " + quote(t, name) + " IS NOT NULL"
		}
		if err := define(ctx, c, "CREATE INDEX "+quote(t, nameOf(tab.Name, driver.Index{Columns: []string{name}}))+" ON "+l.table+" "+columns); err != nil {
			return err
		}
	}
	return nil
}

// createStores makes the engine's own table and the row of an object table in it. The
// next number 0 stands for a counter that has not begun.
func (in *initializer) createStores(ctx context.Context, c *conn, table string) error {
	d := in.dialect
	stores, err := d.Inspect(ctx, c, storesTable)
	if err != nil {
		return err
	}
	if stores == nil {
		err := define(ctx, c, fmt.Sprintf("CREATE TABLE %s (name %s NOT NULL PRIMARY KEY, identity %s NOT NULL, next %s NOT NULL, format %s NOT NULL, %s %s)%s",
			storesTable, d.Type(TextID), d.Type(ShortText), d.Type(Integer), d.Type(Integer), colCatalog, d.Type(Text), in.traits.TableOptions))
		if err != nil {
			return err
		}
	}
	var one int64
	found, err := c.one(ctx, "SELECT 1 FROM "+storesTable+" WHERE name = ?", []any{table}, &one)
	if err != nil || found {
		return err
	}
	identity, err := uuid.NewRandom()
	if err != nil {
		return err
	}
	_, err = c.exec(ctx, "INSERT INTO "+storesTable+" (name, identity, next, format) VALUES (?, ?, 0, ?)",
		table, identity.String(), int64(formatPlain))
	return err
}

// locked calls f when no other process is creating tables.
func (in *initializer) locked(ctx context.Context, c *conn, f func() error) error {
	t := in.traits
	if t.InitLock == "" {
		return f()
	}
	begin := time.Now()
	for {
		var got cell
		if _, err := c.one(ctx, t.InitLock, nil, &got); err != nil {
			return err
		}
		if n, err := got.integer(0); err == nil && n == 1 {
			break
		}
		if time.Since(begin) > in.retryFor {
			return fmt.Errorf("%s: another process has been creating tables for %v", in.dialect.Location(), in.retryFor)
		}
		time.Sleep(serverPause)
	}
	if t.InitUnlock != "" {
		defer func() {
			var done cell
			if _, err := c.one(context.WithoutCancel(ctx), t.InitUnlock, nil, &done); err != nil {
				c.broken = true // its end is the lock's end
			}
		}()
	}
	return f()
}

// A definition is a column as CREATE TABLE and ADD COLUMN take it.
type definition struct{ name, sql string }

// definitions are the columns after id and data.
func (in *initializer) definitions() []definition {
	var defs []definition
	add := func(name string, typ ColumnType, more string) {
		defs = append(defs, definition{name, quote(in.traits, name) + " " + in.dialect.Type(typ) + more})
	}
	for _, lib := range libraryColumns {
		add(lib.name, lib.typ, " NOT NULL DEFAULT "+lib.initial)
	}
	for _, claim := range claimColumns {
		add(claim.name, claim.typ, "")
	}
	if in.objects {
		add(driver.ColColumnSet, Integer, " NOT NULL DEFAULT 0")
	}
	for _, f := range in.schema.Fields {
		add(f.Name, FieldType(f), "")
	}
	return defs
}

func (in *initializer) createTable() string {
	id := TextID
	if in.schema.IntegerIDs {
		id = IntegerID
	}
	parts := []string{
		quote(in.traits, driver.ColID) + " " + in.dialect.Type(id) + " NOT NULL PRIMARY KEY",
		quote(in.traits, colData) + " " + in.dialect.Type(Blob) + " NOT NULL",
	}
	for _, def := range in.definitions() {
		parts = append(parts, def.sql)
	}
	return "CREATE TABLE " + quote(in.traits, in.table) + " (" + strings.Join(parts, ", ") + ")" + in.traits.TableOptions
}

// wantedIndexes are the columns that should have an index and have none.
func (in *initializer) wantedIndexes(tab *Table) []string {
	var names []string
	if !tab.indexed(driver.ColState) {
		names = append(names, driver.ColState)
	}
	if !tab.indexedSomewhere(driver.ColClaimUntil) {
		names = append(names, driver.ColClaimUntil)
	}
	for _, f := range in.schema.Fields {
		if f.Indexed && !tab.indexed(f.Name) {
			names = append(names, f.Name)
		}
	}
	return names
}
