package persistence

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/brine-go/brine/persistence/driver"
)

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
	// clean is what a driver.ForeignWriter said before the last query that found no record in the
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
	// One query for all columns: mostly it finds nothing.
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
