package sql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/brine-go/brine/persistence/driver"
)

// storesTable is the engine's own table: one row per object table.
const storesTable = driver.StoresTable

// Versions of a table, in its row of the engine's own table.
const (
	formatPlain   = 1 // without extra columns, or made before there was a catalog of them
	formatColumns = 2 // with a catalog: a program that does not know of it would write past it
	formatIndexes = 3 // with indexes in the catalog, which a program that does not know of them would drop from it
	newestFormat  = formatIndexes
)

// formatOf returns the version of a table with a catalog.
func formatOf(catalog *driver.Catalog) int64 {
	if len(catalog.Indexes) > 0 {
		return formatIndexes
	}
	return formatColumns
}

// Init implements [driver.Backend]. What is there already is only inspected, so that
// a medium that cannot be written opens too; what is missing is made in one transaction.
func (b *Backend) Init(ctx context.Context, s driver.Schema) (driver.Meta, error) {
	if s.ReadOnly {
		b.options.ReadOnly, b.options.NoCreate = true, true // before any other call
	}
	l, err := b.init(ctx, driver.Objects, b.options.Table, s)
	if err != nil {
		return driver.Meta{}, err
	}
	missing := slices.DeleteFunc(slices.Clone(l.missing), func(name string) bool { return name == driver.ColColumnSet })
	catalog := l.catalog.Clone()
	for _, x := range l.lost { // whoever declares one makes it again
		catalog.RemoveIndex(x)
	}
	return driver.Meta{
		Identity: l.identity, NoCounter: !l.counter, Missing: slices.Clip(missing),
		TextIDs: !l.schema.IntegerIDs, Catalog: catalog,
	}, nil
}

// init prepares the table of a namespace.
func (b *Backend) init(ctx context.Context, ns driver.Namespace, table string, s driver.Schema) (*layout, error) {
	if err := checkNames(table, s); err != nil {
		return nil, err
	}
	s.Fields = slices.Clone(s.Fields)
	o, _, err := b.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer b.leave()
	l, err := b.initializer(table, s, ns == driver.Objects).run(ctx, o)
	if err != nil {
		return nil, b.translate(err)
	}
	b.mu.Lock()
	b.tables = b.tables.with(ns, l)
	if ns == driver.Objects {
		b.dropped = ""
	}
	b.mu.Unlock()
	return l, nil
}

// An initializer inspects a table, and makes it where it is missing.
type initializer struct {
	*Backend
	options driver.OpenOptions // of the Backend; but see ObjectsWith
	table   string
	schema  driver.Schema
	objects bool // the table is that of the objects
	alias   bool // it is only about columns, see ObjectsWith: no set of them is recorded
	made    bool // the table was made by this initializer
}

func (in *initializer) run(ctx context.Context, o *open) (l *layout, err error) {
	err = in.view(ctx, o, func(c *conn) error {
		l, err = in.read(ctx, c)
		return err
	})
	if !errors.Is(err, errIncomplete) {
		return l, err
	}
	found := l
	for range 3 {
		err = in.write(ctx, o, func(c *conn) error {
			return in.locked(ctx, c, func() error {
				if err := in.create(ctx, c); err != nil {
					return err
				}
				var err error
				l, err = in.read(ctx, c)
				return err
			})
		})
		if !errors.Is(err, driver.ErrUncertain) && !errors.Is(err, errCatalogChanged) {
			break
		}
		// What it may have made already, it finds the next time.
	}
	if found != nil && found.unrecorded && errors.Is(in.translate(err), driver.ErrReadOnly) {
		return found, nil // reading needs no more
	}
	return l, err
}

// checkNames refuses names that could not be told from SQL, from the engine's own or from each
// other.
func checkNames(table string, s driver.Schema) error {
	if err := driver.CheckTable(table); err != nil {
		return err
	}
	taken := map[string]bool{driver.ColID: true, colData: true}
	for _, lib := range libraryColumns {
		taken[lib.name] = true
	}
	for _, claim := range claimColumns {
		taken[claim.name] = true
	}
	taken[driver.ColColumnSet] = true
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

// read reads the layout, and returns errIncomplete where something is missing that may be made.
func (in *initializer) read(ctx context.Context, c *conn) (*layout, error) {
	tab, err := in.dialect.Inspect(ctx, c, in.table)
	if err != nil {
		return nil, err
	}
	if tab == nil {
		if !in.options.NoCreate {
			return nil, errIncomplete
		}
		err := fmt.Errorf("%s has no table %q, and nothing may be created", in.dialect.Location(), in.table)
		if !in.objects {
			err = fmt.Errorf("%w: %w", driver.ErrNotFound, err)
		}
		return nil, err
	}
	if !in.objects && in.unreadable(tab) {
		return nil, fmt.Errorf("%w: %s: table %q may not be read by this user", driver.ErrNotFound, in.dialect.Location(), tab.Name)
	}
	l, err := in.layout(tab)
	if err != nil {
		return nil, err
	}
	if err := in.readStores(ctx, c, l); err != nil {
		return nil, err
	}
	if err := l.catalog.Check(in.schema.Fields); err != nil {
		return nil, fmt.Errorf("%s: table %q: %w", in.dialect.Location(), l.name, err)
	}
	in.findSet(l)
	if in.objects {
		l.uniques = l.findUniques(tab, l.catalog)
	}
	if l.catalog != nil {
		l.lost = slices.DeleteFunc(slices.Clone(l.catalog.Indexes), tab.has)
	}
	if in.options.NoCreate {
		return l, nil
	}
	lacking := in.lacking(l)
	switch {
	case len(in.queried(lacking)) > 0 || !l.counter || len(in.wantedIndexes(tab)) > 0:
		return l, errIncomplete
	case len(lacking) > 0 || in.undeclared(l) || l.catalog != nil && l.catalog.Mixed() && !tab.indexed(driver.ColColumnSet):
		l.unrecorded = true
		return l, errIncomplete
	}
	return l, nil
}

// unreadable reports whether a table beside that of the objects counts as absent, as this Backend
// is opened for reading only and the user may not read it. It tells so once.
func (b *Backend) unreadable(tab *Table) bool {
	if !tab.Unreadable || !b.options.ReadOnly {
		return false
	}
	if log := b.options.Logger; log != nil && b.logged.First("unreadable "+tab.Name) {
		log.Warn("a table of the store may not be read by this user, and is taken for absent: grant SELECT on it",
			"database", b.dialect.Location(), "table", tab.Name)
	}
	return true
}

// queried returns those columns that reading needs.
func (in *initializer) queried(columns []string) []string {
	return slices.DeleteFunc(slices.Clone(columns), func(name string) bool { return name == driver.ColColumnSet })
}

// lacking returns the columns that have to be added.
func (in *initializer) lacking(l *layout) []string {
	if in.objects {
		return l.missing
	}
	return in.queried(l.missing)
}

// layout reads the layout off the catalogue entry of the table.
func (in *initializer) layout(tab *Table) (*layout, error) {
	if id := tab.column(driver.ColID); in.schema.AnyIDs && id != nil {
		in.schema.IntegerIDs = id.Integers
	}
	l, err := newLayout(in.traits, in.schema, tab)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", in.dialect.Location(), err)
	}
	return l, nil
}

// readStores reads the row of the engine's own table, or derives an identity where there is none.
func (in *initializer) readStores(ctx context.Context, c *conn, l *layout) error {
	l.identity = uuid.NewSHA1(uuid.NameSpaceURL, []byte(in.dialect.Location()+"#table="+l.name)).String()
	stores, err := in.dialect.Inspect(ctx, c, storesTable)
	if err != nil || stores == nil || in.unreadable(stores) {
		return err
	}
	var identity string
	var format int64
	var catalog cell
	columns, dest := "identity, format", []any{&identity, &format}
	if l.hasCatalog = stores.column(colCatalog) != nil; l.hasCatalog {
		columns, dest = columns+", "+colCatalog, append(dest, &catalog)
	}
	found, err := c.one(ctx, "SELECT "+columns+" FROM "+storesTable+" WHERE name = ?", []any{l.name}, dest...)
	if err != nil || !found {
		return err
	}
	if format > newestFormat {
		return fmt.Errorf("%s: table %q has format %d, made by a newer version: this one knows up to %d: %w",
			in.dialect.Location(), l.name, format, newestFormat, errors.ErrUnsupported)
	}
	l.identity, l.counter = identity, true
	l.storedCatalog, err = catalog.text()
	if err == nil && in.objects && l.storedCatalog != "" && l.columnSet != nil {
		l.catalog, err = driver.DecodeCatalog(l.storedCatalog)
	}
	if err != nil {
		return fmt.Errorf("%s: column %q of table %q: %w: %w", in.dialect.Location(), colCatalog, storesTable, driver.ErrCorrupt, err)
	}
	return nil
}
