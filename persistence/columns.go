package persistence

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence/driver"
)

// A ColumnInfo describes an extra column of a store. See [Store.Columns].
type ColumnInfo struct {
	Name string
	Kind extrafields.Kind
	// Types are the names of the types of the records that the column is for: as this Store
	// declares it, else as the last program that declared it did. nil means all types.
	Types   []string
	Indexed bool // there is an index that begins with the column
	Unique  bool // there is a unique index of the column alone
	// Complete: every record of these types was written by a program that fills the column. A
	// query on a column that is not complete may miss records, until [Store.Reindex] has filled it.
	Complete bool
}

// Columns returns the extra columns that the store has, whoever declared them, in the order of
// their names. The columns of a table that Brine did not make are included if this Store declares
// them; nothing is known of their records, and they count as complete.
func (s *Store) Columns(ctx context.Context) ([]ColumnInfo, error) {
	columns, err := s.listColumns(ctx)
	return columns, s.fail("columns", "", err)
}

func (s *Store) listColumns(ctx context.Context) ([]ColumnInfo, error) {
	catalog, err := s.catalog(ctx)
	if err != nil {
		return nil, err
	}
	listed := make(map[string]bool)
	var columns []ColumnInfo
	add := func(c driver.Column) error {
		gaps, err := s.gapsWithRecords(ctx, s.gaps(catalog, c))
		if err != nil {
			return err
		}
		listed[strings.ToLower(c.Name)] = true
		columns = append(columns, ColumnInfo{
			Name: c.Name, Kind: c.Kind, Types: slices.Clone(c.Types), Complete: len(gaps) == 0,
			Indexed: c.Indexed || catalog.Begins(c.Name), Unique: catalog.Serves(Index{Columns: []string{c.Name}, Unique: true}),
		})
		return nil
	}
	if catalog != nil {
		for _, c := range catalog.Columns {
			if mine := s.declared(c.Name); mine != nil {
				c.Types = mine.Types
			}
			if err := add(c); err != nil {
				return nil, err
			}
		}
	}
	for _, c := range s.watch.declared {
		if !listed[strings.ToLower(c.Name)] && !slices.Contains(s.missing, c.Name) {
			if err := add(c); err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(columns, func(a, b ColumnInfo) int { return strings.Compare(a.Name, b.Name) })
	return columns, nil
}

// DropField removes an extra column that the store has: its values, its indexes, and what the store
// records of it. It is the cure for a field whose kind has changed: open the store without the
// field, drop it, and open the store with the new one, and Options.Reindex. The objects do not
// change, nor do their revisions.
//
// It returns ErrNotFound if Brine has not recorded such a column: columns made by hand are left
// alone. With NoCreate it is errors.ErrUnsupported. Programs that declare the field, this Store
// included, cannot write from then on until they are started anew: stop them first.
func (s *Store) DropField(ctx context.Context, column string) error {
	if err := s.mayWrite("drop field", ""); err != nil {
		return err
	}
	err := s.write(ctx, func(b driver.Backend) error {
		k, ok := b.(driver.Cataloger)
		if !ok {
			return fmt.Errorf("a record of the extra columns in this backend: %w", errors.ErrUnsupported)
		}
		return k.DropColumn(ctx, column)
	})
	return s.fail("drop field", "", err)
}

// catalog returns what the data record of their extra columns; nil: nothing.
func (s *Store) catalog(ctx context.Context) (catalog *driver.Catalog, err error) {
	err = s.call(ctx, func(b driver.Backend) error {
		catalog, err = driver.CatalogOf(ctx, b)
		return err
	})
	if errors.Is(err, errors.ErrUnsupported) {
		return nil, nil
	}
	return catalog, err
}

// column returns the column of a field, with the names of its types, aliases included.
func (s *Store) column(f extrafields.Field) driver.Column {
	c := f.Column()
	types := f.Types()
	if types == nil {
		return c
	}
	for _, t := range types {
		names, err := records.Names(t)
		if err != nil { // two types have the name, say: it is not known which one will be registered
			return f.Column()
		}
		c.Types = append(c.Types, names...)
		for _, name := range names {
			if t.Kind() != reflect.Struct {
				c.Types = append(c.Types, "*"+name) // a pointer to it may be saved as well
			}
		}
	}
	slices.Sort(c.Types)
	c.Types = slices.Compact(c.Types)
	return c
}

// declared returns the column of a name that this Store declares, or nil.
func (s *Store) declared(name string) *driver.Column {
	for i := range s.watch.declared {
		if strings.EqualFold(s.watch.declared[i].Name, name) {
			return &s.watch.declared[i]
		}
	}
	return nil
}

// gaps returns where records may lack a column. Of a column that is not recorded nothing is known,
// and it counts as complete.
func (s *Store) gaps(catalog *driver.Catalog, c driver.Column) []driver.Gap {
	if catalog.Column(c.Name) == nil || slices.Contains(s.missing, c.Name) {
		return nil
	}
	return catalog.Gaps(c.Name, c.Types)
}

// gapsWithRecords returns those gaps that have a record.
func (s *Store) gapsWithRecords(ctx context.Context, gaps []driver.Gap) ([]driver.Gap, error) {
	if len(gaps) == 0 {
		return nil, nil
	}
	var with []driver.Gap
	for _, gap := range gaps {
		found, err := s.anyInGap(ctx, gap)
		if err != nil {
			return nil, err
		}
		if found {
			with = append(with, gap)
		}
	}
	return with, nil
}

// anyInGap reports whether there is a record in a gap.
func (s *Store) anyInGap(ctx context.Context, gap driver.Gap) (found bool, err error) {
	if f, ok := ability[driver.GapFinder](&s.conn); ok && !slices.Contains(s.missing, driver.ColType) {
		err = s.call(ctx, func(driver.Backend) error {
			found, err = f.InGap(ctx, gap)
			return err
		})
		return found, err
	}
	err = s.readOnce(ctx, func(r driver.Reader) error {
		for _, err := range r.Scan(ctx, s.inGap(gap, 1)) {
			if err != nil && !concernsOneRecord(err) {
				return err
			}
			found = found || err == nil
		}
		return nil
	})
	return found, err
}

// inGap returns the query for the records of a gap.
func (s *Store) inGap(gap driver.Gap, limit int) *driver.Query {
	if slices.Contains(s.missing, driver.ColType) {
		gap.Types, gap.Except = nil, nil
	}
	return &driver.Query{Where: gap.Where(), Limit: limit}
}

// A columnWatch finds out that columns become incomplete while the store is open, and warns once
// for each column. A program that was running before the store was opened is found by a query on
// the column, for its set of columns is in the catalog; one that is opened later warns itself when
// it writes, for it has found the column there.
type columnWatch struct {
	declared []driver.Column // of this Store; set when it is opened

	reading atomic.Bool // gaps is not empty
	writing atomic.Bool // others is not empty
	mu      sync.Mutex
	// gaps are those of declared columns that others may fill with records, by column. A column
	// leaves it with the warning.
	gaps map[string][]driver.Gap
	// clean is what a driver.ForeignWriter said before the last look that found no record in the
	// gaps of a column.
	clean map[string]uint64
	// others are columns of other programs that this one's records lack.
	others []driver.Column
	fills  driver.ColumnSet // by this one
}

// openColumns finishes the opening of a store: it fills incomplete columns, if that is wanted, and
// warns of those that are incomplete.
func (s *Store) openColumns(ctx context.Context, declared []driver.Column, catalog *driver.Catalog, reindex bool) error {
	s.watch.declared = declared
	if reindex {
		if err := s.reindex(ctx, nil); errors.Is(err, errNotLoaded) {
			s.logger.Warn("Reindex has left records alone", "error", err)
		} else if e, ok := errors.AsType[*Error](err); ok && e.ID != "" {
			return &driver.RecordError{ID: e.ID, Err: e.Err}
		} else if err != nil {
			return err
		}
		var err error
		if catalog, err = s.catalog(ctx); err != nil {
			return err
		}
	}
	s.watchColumns(catalog)
	var incomplete []string
	if catalog == nil || !s.hearsWarnings(ctx) {
		return nil
	}
	// One look for all columns: mostly nothing is found.
	found, err := s.gapsWithRecords(ctx, s.incomplete(catalog))
	if err != nil || len(found) == 0 {
		return err
	}
	for _, c := range s.watch.declared {
		with, err := s.gapsWithRecords(ctx, s.gaps(catalog, c))
		if err != nil {
			return err
		}
		if len(with) > 0 {
			incomplete = append(incomplete, c.Name)
		}
	}
	s.warnIncomplete(incomplete)
	return nil
}

// incomplete returns where records may lack one of the declared columns or more.
func (s *Store) incomplete(catalog *driver.Catalog) []driver.Gap {
	var columns []driver.Column
	for _, c := range s.watch.declared {
		if len(s.gaps(catalog, c)) > 0 {
			columns = append(columns, c)
		}
	}
	return catalog.Incomplete(columns)
}

// watchColumns begins to watch the columns anew.
func (s *Store) watchColumns(catalog *driver.Catalog) {
	w := &s.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gaps, w.clean = make(map[string][]driver.Gap), make(map[string]uint64)
	w.others, w.fills = nil, driver.SetOf(w.declared)
	if catalog != nil {
		for _, c := range w.declared {
			if gaps := s.gaps(catalog, c); len(gaps) > 0 {
				w.gaps[c.Name] = gaps
			}
		}
		for _, c := range catalog.Columns {
			if types, mine := w.fills[strings.ToLower(c.Name)]; !mine || types != nil {
				w.others = append(w.others, c)
			}
		}
	}
	w.reading.Store(len(w.gaps) > 0)
	w.writing.Store(len(w.others) > 0)
}

// noteQuery is called after a query and warns if the query has used columns that have become
// incomplete: those that q names, and columns.
func (s *Store) noteQuery(ctx context.Context, q *driver.Query, columns ...string) error {
	w := &s.watch
	if !w.reading.Load() || !s.hearsWarnings(ctx) {
		return nil
	}
	columns = append(slices.Clip(columns), q.Columns...)
	for _, c := range q.Where {
		columns = slices.AppendSeq(columns, c.Columns())
	}
	for _, o := range q.Order {
		columns = append(columns, o.Column)
	}
	slices.Sort(columns)
	var incomplete []string
	for _, name := range slices.Compact(columns) {
		w.mu.Lock()
		gaps := w.gaps[name]
		last, looked := w.clean[name]
		w.mu.Unlock()
		if len(gaps) == 0 {
			continue
		}
		foreign, known, err := s.foreignWrites(ctx)
		if err != nil {
			return err
		}
		if known && looked && foreign == last {
			continue
		}
		with, err := s.gapsWithRecords(ctx, gaps)
		if err != nil {
			return err
		}
		switch {
		case len(with) > 0:
			incomplete = append(incomplete, name)
		case known:
			w.mu.Lock()
			w.clean[name] = foreign
			w.mu.Unlock()
		}
	}
	s.warnIncomplete(incomplete)
	return nil
}

// hearsWarnings reports whether the logger takes warnings. If it does not, nothing is looked for
// that would only be warned of.
func (s *Store) hearsWarnings(ctx context.Context) bool {
	return s.logger.Enabled(ctx, slog.LevelWarn)
}

// foreignWrites asks the backend whether others have written, if it can tell.
func (s *Store) foreignWrites(ctx context.Context) (n uint64, known bool, err error) {
	err = s.call(ctx, func(b driver.Backend) error {
		if f, ok := b.(driver.ForeignWriter); ok {
			n, known, err = f.ForeignWrites(ctx)
		}
		return err
	})
	return n, known, err
}

// warnIncomplete warns of columns, each once.
func (s *Store) warnIncomplete(columns []string) {
	w := &s.watch
	w.mu.Lock()
	columns = slices.DeleteFunc(columns, func(name string) bool {
		_, news := w.gaps[name]
		delete(w.gaps, name)
		return !news
	})
	w.reading.Store(len(w.gaps) > 0)
	w.mu.Unlock()
	if len(columns) > 0 {
		s.logger.Warn("extra columns are incomplete, so queries on them may miss records: Reindex, or Options.Reindex, fills them",
			"columns", strings.Join(columns, ", "))
	}
}

// noteWrites warns, once for each column, that records were written which lack columns of other
// programs.
func (s *Store) noteWrites(ms []driver.Mutation) {
	w := &s.watch
	if !w.writing.Load() {
		return
	}
	var past []string
	w.mu.Lock()
	for i := range ms {
		if op := ms[i].Op; ms[i].Namespace == driver.Objects && (op == driver.Create || op == driver.Update || op == driver.Put) {
			w.others = slices.DeleteFunc(w.others, func(c driver.Column) bool {
				lacks := w.lacks(&c, ms[i].Rec.Type)
				if lacks {
					past = append(past, c.Name)
				}
				return lacks
			})
		}
	}
	w.writing.Store(len(w.others) > 0)
	w.mu.Unlock()
	if len(past) > 0 {
		s.logger.Warn("records are written without extra columns that the store has, for this program does not declare them: "+
			"Reindex by a program that does fills them, DropField removes them", "columns", strings.Join(past, ", "))
	}
}

// lacks reports whether a record of a type that this Store writes should have the column of another
// program.
func (w *columnWatch) lacks(c *driver.Column, typ string) bool {
	if c.Types != nil && !slices.Contains(c.Types, typ) {
		return false
	}
	types, mine := w.fills[strings.ToLower(c.Name)]
	return !mine || types != nil && !slices.Contains(types, typ)
}
