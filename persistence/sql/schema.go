package sql

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/brine-go/brine/persistence/driver"
)

// storesTable is the engine's own table: one row per object table.
const storesTable = "brine_stores"

// formatVersion is the version of the tables that this engine makes and understands.
const formatVersion = 1

// Init implements [driver.Backend]. What is there already is only looked at, so that
// a medium that cannot be written opens too; what is missing is made in one transaction.
func (b *Backend) Init(ctx context.Context, s driver.Schema) (driver.Meta, error) {
	if err := checkNames(b.options.Table, s); err != nil {
		return driver.Meta{}, err
	}
	s.Fields = slices.Clone(s.Fields)
	o, _, err := b.enter(ctx)
	if err != nil {
		return driver.Meta{}, err
	}
	defer b.leave()
	l, err := b.look(ctx, o, s)
	if errors.Is(err, errIncomplete) {
		for range 3 {
			err = b.write(ctx, o, func(c *conn) error {
				return b.locked(ctx, c, func() error {
					var err error
					if err = b.create(ctx, c, s); err == nil {
						l, err = b.read(ctx, c, s)
					}
					return err
				})
			})
			if !errors.Is(err, driver.ErrUncertain) {
				break
			}
			// What it may have made already, it finds the next time.
		}
	}
	if err != nil {
		return driver.Meta{}, b.translate(err)
	}
	b.mu.Lock()
	b.layout = l
	b.mu.Unlock()
	return driver.Meta{Identity: l.identity, NoCounter: !l.counter, Missing: slices.Clone(l.missing)}, nil
}

// checkNames refuses names that could not be told from SQL, from the engine's own or from each other.
func checkNames(table string, s driver.Schema) error {
	if !driver.ValidName(table) {
		return fmt.Errorf("table name %q is not valid: want letters, digits and _, at most 63, not starting with a digit", table)
	}
	lower := strings.ToLower(table)
	if lower == storesTable || strings.HasPrefix(lower, "sqlite_") || strings.HasPrefix(lower, "pg_") {
		return fmt.Errorf("table name %q is reserved", table)
	}
	taken := map[string]bool{driver.ColID: true, colData: true}
	for _, lib := range libraryColumns {
		taken[lib.name] = true
	}
	for _, claim := range claimColumns {
		taken[claim.name] = true
	}
	for _, f := range s.Fields {
		if !driver.ValidName(f.Name) {
			return fmt.Errorf("column name %q is not valid: want letters, digits and _, at most 63, not starting with a digit", f.Name)
		}
		if name := strings.ToLower(f.Name); taken[name] {
			return fmt.Errorf("column name %q is taken: names of columns differ in more than letter case", f.Name)
		} else {
			taken[name] = true
		}
		if f.Kind < driver.Text || f.Kind > driver.Time {
			return fmt.Errorf("column %q is of %v", f.Name, f.Kind)
		}
	}
	return nil
}

// errIncomplete: something has to be made first.
var errIncomplete = errors.New("tables are incomplete")

// look reads the layout without writing.
func (b *Backend) look(ctx context.Context, o *open, s driver.Schema) (*layout, error) {
	var l *layout
	err := b.view(ctx, o, func(c *conn) error {
		var err error
		l, err = b.read(ctx, c, s)
		return err
	})
	return l, err
}

// read reads the layout, and returns errIncomplete where something is missing that may be made.
func (b *Backend) read(ctx context.Context, c *conn, s driver.Schema) (*layout, error) {
	tab, err := b.dialect.Inspect(ctx, c, b.options.Table)
	if err != nil {
		return nil, err
	}
	if tab == nil {
		if !b.options.NoCreate {
			return nil, errIncomplete
		}
		return nil, fmt.Errorf("%s has no table %q, and nothing may be created", b.dialect.Location(), b.options.Table)
	}
	l, err := newLayout(b.traits, s, tab)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.dialect.Location(), err)
	}
	if err := b.readStores(ctx, c, l); err != nil {
		return nil, err
	}
	if b.options.NoCreate {
		return l, nil
	}
	if len(l.missing) > 0 || !l.counter || len(b.wantedIndexes(tab, s)) > 0 {
		return l, errIncomplete
	}
	return l, nil
}

// readStores reads the row of the engine's own table, or derives an identity where there is none.
func (b *Backend) readStores(ctx context.Context, c *conn, l *layout) error {
	l.identity = uuid.NewSHA1(uuid.NameSpaceURL, []byte(b.dialect.Location()+"#table="+l.name)).String()
	stores, err := b.dialect.Inspect(ctx, c, storesTable)
	if err != nil || stores == nil {
		return err
	}
	var identity string
	var format int64
	found, err := c.one(ctx, "SELECT identity, format FROM "+storesTable+" WHERE name = ?", []any{l.name}, &identity, &format)
	if err != nil || !found {
		return err
	}
	if format > formatVersion {
		return fmt.Errorf("%s: table %q has format %d, made by a newer version: this one knows up to %d",
			b.dialect.Location(), l.name, format, formatVersion)
	}
	l.identity, l.counter = identity, true
	return nil
}

// create makes what is missing, inside a write transaction.
func (b *Backend) create(ctx context.Context, c *conn, s driver.Schema) error {
	run := func(format string, args ...any) error {
		_, err := c.ExecContext(ctx, fmt.Sprintf(format, args...))
		return err
	}
	tab, err := b.dialect.Inspect(ctx, c, b.options.Table)
	if err != nil {
		return err
	}
	adopted := tab != nil
	if tab == nil {
		if err := run("%s", b.createTable(s)); err != nil {
			return err
		}
		if tab, err = b.dialect.Inspect(ctx, c, b.options.Table); err != nil {
			return err
		}
	}
	l, err := newLayout(b.traits, s, tab)
	if err != nil {
		return fmt.Errorf("%s: %w", b.dialect.Location(), err)
	}
	for _, def := range b.definitions(s) {
		if !slices.Contains(l.missing, def.name) {
			continue
		}
		if tab.column(def.name) != nil {
			return fmt.Errorf("%s: table %q: column %q cannot be written", b.dialect.Location(), tab.Name, def.name)
		}
		if err := run("ALTER TABLE %s ADD COLUMN %s", l.table, def.sql); err != nil {
			return err
		}
	}
	if err := b.readStores(ctx, c, l); err != nil {
		return err
	}
	if adopted && (l.size == nil || !l.counter) {
		// Also where there is the column and no row in the engine's own table: some databases commit each definition by itself,
		// and an earlier Init may have been cut off just here.
		size, octets := quote(b.traits, colSize), "coalesce(octet_length("+l.data.quoted+"), 0)"
		if l.size != nil {
			size = l.size.quoted
		}
		if err := run("UPDATE %s SET %s = %s WHERE coalesce(%s, -1) <> %s", l.table, size, octets, size, octets); err != nil {
			return err
		}
	}
	if len(l.missing) > 0 {
		if tab, err = b.dialect.Inspect(ctx, c, tab.Name); err != nil {
			return err
		}
	}
	for _, name := range b.wantedIndexes(tab, s) {
		columns := quote(b.traits, name)
		if col := tab.column(name); col != nil {
			columns += col.IndexPart
		}
		if s.IntegerIDs && !b.traits.KeyInIndexInteger || !s.IntegerIDs && !b.traits.KeyInIndexText {
			columns += ", " + l.id.quoted
		}
		columns = "(" + columns + ")"
		if name == driver.ColClaimUntil && b.traits.PartialIndexes { // what nobody has claimed costs nothing then
			columns += " WHERE " + quote(b.traits, name) + " IS NOT NULL"
		}
		if err := run("CREATE INDEX %s ON %s %s", quote(b.traits, indexName(tab.Name, name)), l.table, columns); err != nil {
			return err
		}
	}
	return b.createStores(ctx, c, tab.Name)
}

// createStores makes the engine's own table and the row of an object table in it. The
// next number 0 stands for a counter that has not begun.
func (b *Backend) createStores(ctx context.Context, c *conn, table string) error {
	d := b.dialect
	stores, err := d.Inspect(ctx, c, storesTable)
	if err != nil {
		return err
	}
	if stores == nil {
		_, err := c.ExecContext(ctx, fmt.Sprintf("CREATE TABLE %s (name %s NOT NULL PRIMARY KEY, identity %s NOT NULL, next %s NOT NULL, format %s NOT NULL)%s",
			storesTable, d.Type(TextID), d.Type(ShortText), d.Type(Integer), d.Type(Integer), b.traits.TableOptions))
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
		table, identity.String(), int64(formatVersion))
	return err
}

// locked calls f when no other process is creating tables.
func (b *Backend) locked(ctx context.Context, c *conn, f func() error) error {
	t := b.traits
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
		if time.Since(begin) > b.patience {
			return fmt.Errorf("%s: another process has been creating tables for %v", b.dialect.Location(), b.patience)
		}
		time.Sleep(maxPauseServer)
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

type definition struct{ name, sql string }

// definitions are the columns behind id and data, as CREATE TABLE and ADD COLUMN take them.
func (b *Backend) definitions(s driver.Schema) []definition {
	var defs []definition
	for _, lib := range libraryColumns {
		defs = append(defs, definition{lib.name, fmt.Sprintf("%s %s NOT NULL DEFAULT %s",
			quote(b.traits, lib.name), b.dialect.Type(lib.typ), lib.initial)})
	}
	for _, claim := range claimColumns {
		defs = append(defs, definition{claim.name, quote(b.traits, claim.name) + " " + b.dialect.Type(claim.typ)})
	}
	for _, f := range s.Fields {
		defs = append(defs, definition{f.Name, quote(b.traits, f.Name) + " " + b.dialect.Type(FieldType(f))})
	}
	return defs
}

func (b *Backend) createTable(s driver.Schema) string {
	id := TextID
	if s.IntegerIDs {
		id = IntegerID
	}
	parts := []string{
		quote(b.traits, driver.ColID) + " " + b.dialect.Type(id) + " NOT NULL PRIMARY KEY",
		quote(b.traits, colData) + " " + b.dialect.Type(Blob) + " NOT NULL",
	}
	for _, def := range b.definitions(s) {
		parts = append(parts, def.sql)
	}
	return "CREATE TABLE " + quote(b.traits, b.options.Table) + " (" + strings.Join(parts, ", ") + ")" + b.traits.TableOptions
}

// wantedIndexes are the columns that should have an index and have none.
func (b *Backend) wantedIndexes(tab *Table, s driver.Schema) []string {
	var names []string
	if !tab.indexed(driver.ColState) {
		names = append(names, driver.ColState)
	}
	if !tab.indexedSomewhere(driver.ColClaimUntil) {
		names = append(names, driver.ColClaimUntil)
	}
	for _, f := range s.Fields {
		if f.Indexed && !tab.indexed(f.Name) {
			names = append(names, f.Name)
		}
	}
	return names
}

// indexName names an index. Names of indexes are shared by all tables, and joining those of
// table and column is not unique: hence the checksum.
func indexName(table, column string) string {
	name := table + "_" + column
	return fmt.Sprintf("%s_%08x", name[:min(len(name), 50)], crc32.ChecksumIEEE([]byte(table+"."+column)))
}
