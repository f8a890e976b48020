package fs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/brine-go/brine/persistence/driver"
)

// Init makes the directory, its parents and the package's own files, cleans up
// after crashed writers and checks that the schema fits. Under NoCreate it only
// checks: extra fields that the directory does not know are Missing.
func (b *Backend) Init(ctx context.Context, s driver.Schema) (driver.Meta, error) {
	if s.ReadOnly {
		b.opts.ReadOnly, b.opts.NoCreate = true, true // before any other call
	}
	if err := b.begin(); err != nil {
		return driver.Meta{}, err
	}
	defer b.calls.Done()
	if !b.opts.NoCreate {
		if err := makeDirs(b.path); err != nil {
			return driver.Meta{}, readOnly(err)
		}
	}
	m, one, err := b.initFolder(ctx, driver.Objects, s)
	if err != nil {
		return driver.Meta{}, err
	}
	b.setSchema(driver.Objects, one)
	if m == nil {
		sum := sha256.Sum256([]byte("file:" + filepath.ToSlash(b.path)))
		return driver.Meta{Identity: hex.EncodeToString(sum[:16]), NoCounter: true, Missing: one.missing, TextIDs: !one.IntegerIDs}, nil
	}
	b.mu.Lock()
	b.identity = m.identity
	b.mu.Unlock()
	return driver.Meta{Identity: m.identity, Missing: one.missing, TextIDs: !m.integers, Catalog: m.catalog.Clone()}, nil
}

// InitNamespace implements [driver.Namespacer]. It does what Init does, in the folder .brine.NS of
// the directory. A commit that an older version of this package has left there is finished.
func (b *Backend) InitNamespace(ctx context.Context, ns driver.Namespace, s driver.Schema) error {
	if _, err := folderName(ns); err != nil {
		return err
	}
	if err := b.begin(); err != nil {
		return err
	}
	defer b.calls.Done()
	if _, err := b.ready(); err != nil {
		return err
	}
	_, one, err := b.initFolder(ctx, ns, s)
	if err != nil {
		return err
	}
	b.setSchema(ns, one)
	return nil
}

func (b *Backend) setSchema(ns driver.Namespace, s *schema) {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := schemas{}
	maps.Copy(all, b.schemas)
	all[ns] = s
	b.schemas = all
}

// initFolder prepares the folder of a namespace. It returns the meta file, nil if there is none and
// none may be made, and the schema with the extra fields that it lacks.
func (b *Backend) initFolder(ctx context.Context, ns driver.Namespace, s driver.Schema) (*meta, *schema, error) {
	l, f, err := b.lockFolder(ctx, ns)
	if err != nil {
		return nil, nil, err
	}
	defer l.release()
	if ns == driver.Objects {
		b.probe(l)
	}
	m, err := f.readMeta()
	if err != nil {
		return nil, nil, err
	}
	if s.AnyIDs {
		if m != nil {
			s.IntegerIDs = m.integers
		} else if s.IntegerIDs, err = f.integers(ctx, s.IntegerIDs); err != nil {
			return nil, nil, err
		}
	}
	if err := m.fits(s, f.path); err != nil {
		return nil, nil, err
	}
	if !b.opts.NoCreate {
		if m, err = l.prepareMeta(ctx, f, m, s); err != nil {
			return nil, nil, err
		}
	}
	var catalog *driver.Catalog
	if m != nil {
		catalog = m.catalog
	}
	if ns == driver.Objects {
		l.noteUniques(catalog) // so that the table is kept from the first call on
	}
	return m, newSchema(s, m.lacks(s), catalog), nil
}

// prepareMeta returns the meta file that a schema needs, after writing it if it has changed. On a
// medium that cannot be written, what is there will do if no column is missing.
func (l *lock) prepareMeta(ctx context.Context, f *folder, m *meta, s driver.Schema) (*meta, error) {
	fresh, changed := m == nil, false
	if fresh {
		if err := f.recognize(ctx, s); err != nil {
			return nil, err
		}
	}
	if err := l.clean(f); err != nil {
		return nil, err
	}
	if fresh {
		if err := f.checkIDs(ctx, s.IntegerIDs); err != nil {
			return nil, err
		}
		m = newMeta(s.IntegerIDs)
	} else if len(m.dropping) > 0 {
		if err := l.sweep(ctx, f, m); err != nil && !errors.Is(err, driver.ErrReadOnly) {
			return nil, err
		}
	}
	after := *m
	if after.catalog = m.catalog.Clone(); after.catalog == nil && len(s.Fields) > 0 {
		unknown, err := f.anyRecord(ctx)
		if err != nil {
			return nil, err
		}
		after.catalog = &driver.Catalog{Unknown: unknown || !fresh}
	}
	if after.catalog != nil {
		var err error
		if _, changed, err = after.catalog.Declare(s.Fields); err != nil {
			return nil, err
		}
	}
	if !fresh && !changed {
		return m, nil
	}
	err := l.writeMeta(f, &after)
	if errors.Is(err, driver.ErrReadOnly) && !fresh && len(m.lacks(s)) == 0 {
		return m, nil
	}
	return &after, err
}

// lockFolder takes the lock that Init needs and opens the folder of a namespace, in which it
// finishes what a writer of an older version had begun.
func (b *Backend) lockFolder(ctx context.Context, ns driver.Namespace) (_ *lock, _ *folder, err error) {
	acquire := b.exclusive
	if b.opts.NoCreate {
		acquire = b.shared
	}
	for {
		l, err := acquire(ctx)
		if err != nil {
			return nil, nil, err
		}
		f, unfinished, err := l.openFolder(ns)
		if err == nil && b.opts.ReadOnly {
			// The folder of a namespace may have a commit of an older version of this package.
			err, unfinished = l.readThrough(), false
		}
		if err == nil && !unfinished {
			return l, f, nil
		}
		if err == nil && l.exclusive {
			err = l.recover(f)
		}
		l.release()
		if err != nil {
			return nil, nil, err
		}
		acquire = b.exclusive
	}
}

// openFolder opens the folder of a namespace, or makes it, and reports whether there is a commit to
// finish.
func (l *lock) openFolder(ns driver.Namespace) (f *folder, unfinished bool, err error) {
	f, err = l.in(ns)
	if errors.Is(err, fs.ErrNotExist) && !l.b.opts.NoCreate {
		if err := l.makeFolder(ns); err != nil {
			return nil, false, readOnly(err)
		}
		f, err = l.in(ns)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", driver.ErrNotFound, err)
	}
	if err != nil {
		return nil, false, fmt.Errorf("the namespace %q: %w", string(ns), err)
	}
	unfinished, err = f.unfinished()
	return f, unfinished, err
}

// makeFolder makes the folder of a namespace, durably.
func (l *lock) makeFolder(ns driver.Namespace) error {
	name, err := folderName(ns)
	if err != nil {
		return err
	}
	// Else the change of the directory would look as if made by hand.
	if err := l.announce(); err != nil {
		return err
	}
	if err := l.root.Mkdir(name, dirPerm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return flushDir(l.file)
}

// probe finds out whether the file system folds letter case.
func (b *Backend) probe(l *lock) {
	lower, err := l.root.Lstat(lockName)
	if err != nil {
		return
	}
	upper, err := l.root.Lstat(strings.ToUpper(lockName))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.folds = err == nil && os.SameFile(lower, upper)
}
