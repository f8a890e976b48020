package fs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/brine-go/brine/persistence/driver"
)

var (
	_ driver.Cataloger     = (*Backend)(nil)
	_ driver.ForeignWriter = (*Backend)(nil)
)

// Catalog reads the meta file.
func (b *Backend) Catalog(ctx context.Context) (*driver.Catalog, error) {
	if err := b.begin(); err != nil {
		return nil, err
	}
	defer b.calls.Done()
	if _, err := b.ready(); err != nil {
		return nil, err
	}
	l, err := b.shared(ctx)
	if err != nil {
		return nil, err
	}
	defer l.release()
	m, err := l.readMeta()
	if m == nil || err != nil {
		return nil, err
	}
	if m.catalog == nil {
		return &driver.Catalog{}, nil
	}
	return m.catalog, nil
}

// ForeignWrites returns how often others have raised the generation of the directory.
func (b *Backend) ForeignWrites(ctx context.Context) (uint64, bool, error) {
	if err := b.begin(); err != nil {
		return 0, false, err
	}
	defer b.calls.Done()
	l, err := b.shared(ctx)
	if err != nil {
		return 0, false, err
	}
	defer l.release()
	generation, known := l.generation()
	return generation - b.touched, known, nil
}

// AddColumnSet writes the meta file anew, unless it has the set.
func (b *Backend) AddColumnSet(ctx context.Context, set driver.ColumnSet) (n int64, err error) {
	err = b.changeCatalog(ctx, func(l *lock, m *meta) error {
		if m.catalog == nil {
			return fmt.Errorf("directory %s has no record of extra columns: %w", b.path, driver.ErrNotFound)
		}
		var changed bool
		if n, changed = m.catalog.AddSet(set); !changed {
			return nil
		}
		return l.writeMeta(l.folder, m)
	})
	return n, err
}

// DropColumn writes the files of all records that have a value in the column anew. If it is cut
// off, the next Init goes on.
func (b *Backend) DropColumn(ctx context.Context, name string) error {
	if b.opts.NoCreate && !b.opts.ReadOnly {
		return fmt.Errorf("extra column %q: nothing may be altered: %w", name, errors.ErrUnsupported)
	}
	return b.changeCatalog(ctx, func(l *lock, m *meta) error {
		was := m.catalog.Column(name)
		if was == nil {
			return fmt.Errorf("extra column %q: %w", name, driver.ErrNotFound)
		}
		m.dropping = append(m.dropping, was.Name)
		m.catalog.Drop(name)
		if err := l.writeMeta(l.folder, m); err != nil {
			return err
		}
		return l.sweep(ctx, l.folder, m)
	})
}

// changeCatalog calls fn with the meta file of the objects, under the exclusive lock.
func (b *Backend) changeCatalog(ctx context.Context, fn func(*lock, *meta) error) error {
	if err := b.begin(); err != nil {
		return err
	}
	defer b.calls.Done()
	if _, err := b.ready(); err != nil {
		return err
	}
	l, err := b.exclusive(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	m, err := l.readMeta()
	if err != nil {
		return err
	}
	if m == nil {
		return fmt.Errorf("directory %s has no %s: %w", b.path, metaName, driver.ErrNotFound)
	}
	return fn(l, m)
}

// One commit of sweep writes so many records at most, and so many bytes of data unless a single
// one has more.
const (
	maxSwept      = 64
	maxSweptBytes = 4 << 20
)

// sweep removes the values of columns that have been dropped from the records, and then the names
// of these columns from the meta file. Damaged records stay as they are. The lock is exclusive.
func (l *lock) sweep(ctx context.Context, f *folder, m *meta) error {
	l.b.index = nil // its records have the values
	var changes []change
	bytes := 0
	commit := func() error {
		err := l.commit(ctx, changes)
		changes, bytes = changes[:0], 0
		if err != nil {
			return readOnly(err)
		}
		// What is not all in place must be so before the next commit.
		unfinished, err := l.unfinished()
		if err == nil && unfinished {
			err = l.recover(l.folder)
		}
		return readOnly(err)
	}
	var names []string
	err := f.eachName(ctx, func(name string) error {
		if isRecordName(name) {
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	dropped := func(x field) bool { return slices.Contains(m.dropping, x.name) }
	for _, name := range names {
		h, err := f.readHeader(name, true)
		if err == nil && !slices.ContainsFunc(h.fields, dropped) {
			continue
		}
		var data []byte
		if err == nil {
			h, data, err = f.readRecord(name)
		}
		switch {
		case errors.Is(err, errAbsent):
			continue
		case unreadable(err):
			l.b.log.Warn("a damaged record keeps the values of a column that is dropped", "directory", l.b.path, "file", name, "error", err)
			continue
		case err != nil:
			return err
		}
		h.fields = slices.DeleteFunc(h.fields, dropped)
		changes, bytes = append(changes, change{file: file{f, name}, header: h, data: data}), bytes+len(data)
		if len(changes) == maxSwept || bytes > maxSweptBytes {
			if err := commit(); err != nil {
				return err
			}
		}
	}
	if err := commit(); err != nil {
		return err
	}
	m.dropping = nil
	return l.writeMeta(f, m)
}

// checkIdentity returns an error if the directory is not the store that was opened. The lock is
// exclusive.
func (l *lock) checkIdentity() error { return l.checkMeta(&l.b.identified, &schema{}) }

// checkColumns is checkIdentity, and returns an error if a column of a schema was dropped since the
// schema was made: what is written would bring its values back.
func (l *lock) checkColumns(s *schema) error {
	if len(s.Fields) == 0 {
		return l.checkIdentity()
	}
	return l.checkMeta(&l.b.checked, s)
}

// checkMeta checks identity and columns, and learns which unique indexes there are, unless the meta
// file is still the one that was seen.
func (l *lock) checkMeta(seen *os.FileInfo, s *schema) error {
	info, err := l.root.Lstat(metaName)
	if errors.Is(err, fs.ErrNotExist) {
		return l.compareMeta(nil, l.b.storeIdentity())
	}
	if err != nil {
		return err
	}
	if *seen != nil && os.SameFile(*seen, info) && (*seen).ModTime().Equal(info.ModTime()) {
		return nil
	}
	m, err := l.readMeta()
	if err == nil {
		err = l.compareMeta(m, l.b.storeIdentity())
	}
	if m == nil || err != nil {
		return err
	}
	if names := m.dropped(s); len(names) > 0 {
		return droppedColumn(names[0])
	}
	*seen = info
	l.noteUniques(m.catalog)
	return nil
}

// dropped returns the columns of a schema that were dropped since the schema was made.
func (m *meta) dropped(s *schema) (names []string) {
	for _, f := range s.kept() {
		if c := m.catalog.Column(f.Name); c == nil || c.Kind != f.Kind {
			names = append(names, f.Name)
		}
	}
	return names
}

func droppedColumn(name string) error {
	return fmt.Errorf("the column %q was dropped after this store was opened: open it anew", name)
}

// A metaSeen is a meta file in which no column of a schema is missing.
type metaSeen struct {
	info   os.FileInfo
	schema *schema
}

// present returns an error if a query uses a column that was dropped since the schema was made.
func (r *reader) present(q *driver.Query) error {
	if r.checked || !slices.ContainsFunc(r.schema.Fields, func(f driver.Column) bool { return q.Uses(f.Name) }) {
		return nil
	}
	info, err := r.lock.root.Lstat(metaName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	seen := r.b.seen.Load()
	if seen == nil || seen.schema != r.schema || !os.SameFile(seen.info, info) || !seen.info.ModTime().Equal(info.ModTime()) {
		m, err := r.lock.readMeta()
		if m == nil || err != nil {
			return err
		}
		names := m.dropped(r.schema)
		if used := slices.IndexFunc(names, q.Uses); used >= 0 {
			return droppedColumn(names[used])
		}
		if len(names) > 0 {
			return nil
		}
		r.b.seen.Store(&metaSeen{info, r.schema})
	}
	r.checked = true
	return nil
}

// writable is ready for a call that writes: it records the sets of columns that Init could not
// record.
func (b *Backend) writable(ctx context.Context) (schemas, error) {
	all, err := b.ready()
	if err != nil {
		return nil, err
	}
	for ns, s := range all {
		if s.unrecorded {
			if err := b.recordSet(ctx, ns, s); err != nil {
				return nil, err
			}
		}
	}
	return b.ready()
}

func (b *Backend) recordSet(ctx context.Context, ns driver.Namespace, s *schema) error {
	l, err := b.exclusive(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	f, err := l.in(ns)
	if err != nil {
		return err
	}
	m, err := f.readMeta()
	if err != nil || m == nil || m.catalog == nil {
		return err
	}
	recorded := *s
	n, changed := m.catalog.AddSet(driver.SetOf(s.kept()))
	recorded.set, recorded.unrecorded = n, false
	if changed {
		if err := l.writeMeta(f, m); err != nil {
			return err
		}
	}
	b.setSchema(ns, &recorded)
	return nil
}

// noteUniques notes which unique indexes there are.
func (l *lock) noteUniques(catalog *driver.Catalog) {
	xs := catalog.UniqueIndexes()
	if !slices.EqualFunc(xs, l.b.uniques, driver.Index.SameColumns) {
		l.discardTable() // it is not of these
		l.b.uniques = xs
	}
}
