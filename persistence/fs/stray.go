package fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/brine-go/brine/persistence/driver"
)

var _ driver.StrayFinder = (*Backend)(nil)

// strayChunk is how many files are looked at under one lock.
const strayChunk = 1024

// Strays implements [driver.StrayFinder]. Strays are files that no ID leads to: what is no regular
// file, what does not begin like a record, a record that is not under the name of its ID, and names
// that no ID of the namespace has. The Key is the path in the directory. It reads the beginning of
// every file that was not seen, with pauses for writers.
func (b *Backend) Strays(ctx context.Context, seen func(driver.Namespace, driver.ID) bool) iter.Seq2[driver.Stray, error] {
	return func(yield func(driver.Stray, error) bool) {
		if err := b.eachStray(ctx, seen, yield); err != nil && !errors.Is(err, errEnough) {
			yield(driver.Stray{}, err)
		}
	}
}

// errEnough: the caller of an iterator has broken off.
var errEnough = errors.New("iteration was broken off")

func (b *Backend) eachStray(ctx context.Context, seen func(driver.Namespace, driver.ID) bool, yield func(driver.Stray, error) bool) error {
	if err := b.begin(); err != nil {
		return err
	}
	defer b.calls.Done()
	all, err := b.ready()
	if err != nil {
		return err
	}
	for _, ns := range slices.Sorted(maps.Keys(all)) {
		d, err := b.directory()
		if err != nil {
			return err
		}
		f, err := d.in(ns)
		if err == nil {
			known := func(id driver.ID) bool { return seen != nil && seen(ns, id) }
			err = b.straysIn(ctx, f, all[ns], known, yield)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// straysIn yields the strays of one folder.
func (b *Backend) straysIn(ctx context.Context, f *folder, s *schema, known func(driver.ID) bool, yield func(driver.Stray, error) bool) error {
	dir, err := f.root.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	for {
		names, err := dir.Readdirnames(strayChunk)
		end := errors.Is(err, io.EOF)
		if end {
			names, err = f.madeNames(), nil
		}
		if err != nil {
			return err
		}
		names = slices.DeleteFunc(names, func(name string) bool {
			id, hashed, ok := idOf(name)
			return ok && !hashed && known(id)
		})
		found, err := b.straysAmong(ctx, f, s, names)
		if err != nil {
			return err
		}
		for _, stray := range found {
			if !yield(stray, nil) {
				return errEnough
			}
		}
		if end {
			return nil
		}
	}
}

// straysAmong returns the strays among some files of a folder.
func (b *Backend) straysAmong(ctx context.Context, f *folder, s *schema, names []string) ([]driver.Stray, error) {
	l, err := b.shared(ctx)
	if err != nil {
		return nil, err
	}
	defer l.release()
	buf := buffers.Get().(*[bufSize]byte)
	defer buffers.Put(buf)
	var found []driver.Stray
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if strings.HasPrefix(name, ownPrefix[:len(ownPrefix)-1]) {
			continue
		}
		file := file{f, name}
		what, err := file.stray(s, buf[:headSize])
		if err != nil {
			return nil, err
		}
		if what != "" {
			found = append(found, driver.Stray{Key: file.fullName(), Detail: what})
		}
	}
	return found, nil
}

// stray says what a file is if it belongs to nothing, or returns "".
func (f file) stray(s *schema, buf []byte) (what string, err error) {
	id, hashed, named := idOf(f.name)
	r, err := f.open(f.name, buf, false)
	r.close()
	switch {
	case errors.Is(err, errForeign):
		return f.foreign(named)
	case errors.Is(err, errAbsent): // removed meanwhile
		return "", nil
	case err != nil && !unreadable(err):
		return "", err
	case !named:
		return "its name is that of no ID", nil
	case err != nil: // a damaged record, or a newer one
		if !hashed && !storable(id, s.IntegerIDs) {
			return fmt.Sprintf("it cannot be read, and %q is no ID of this store", id), nil
		}
		return "", nil
	case !storable(r.id, s.IntegerIDs):
		return fmt.Sprintf("the record %q, which is no ID of this store", r.id), nil
	case !hashed && r.id != id && errors.Is(sameID(id, r.id), errClash):
		return fmt.Sprintf("the record %q under a name of other letter case", r.id), nil
	}
	return "", nil
}

// foreign says what a file is that is no record's.
func (f file) foreign(named bool) (string, error) {
	info, err := f.lstat()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", err
	case info.IsDir():
		return "a directory", nil
	case !info.Mode().IsRegular():
		return "no regular file: " + info.Mode().Type().String(), nil
	case named:
		return "a file that is no record, in the place of one", nil
	}
	return "a file that is no record", nil
}
