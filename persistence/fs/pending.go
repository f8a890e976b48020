package fs

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"sync"

	"github.com/brine-go/brine/persistence/driver"
)

// pending is what a Backend that is opened for reading only knows of the commits that crashed
// writers have left in the folders of its directory.
type pending struct {
	mu    sync.Mutex
	seen  map[*folder]mark // the marks that replaced tells of
	known bool             // there is a generation, which changes before any file does
}

// A mark tells by what a commit mark shows whether it, or what is left to do for it, has changed.
type mark struct {
	info       os.FileInfo
	generation uint64
}

// readThrough makes this call, and those that have the lock at the same time, read the records as
// the next writer will make them when it finishes the commits that crashed writers left. It changes
// no file. Nobody does so meanwhile, as the lock is shared: each of these calls finds the same.
func (l *lock) readThrough() error {
	p := &l.b.pending
	p.mu.Lock()
	defer p.mu.Unlock()
	marks, err := l.marks()
	if err != nil {
		return err
	}
	_, known := l.generation()
	if known && p.known && maps.EqualFunc(marks, p.seen, mark.same) {
		return nil
	}
	replaced := map[*folder]map[string]string{}
	for in := range marks {
		if err := l.replacements(in, replaced); err != nil {
			return err
		}
	}
	for _, f := range l.all() {
		if m := replaced[f]; m != nil {
			f.replaced.Store(&m)
		} else {
			f.replaced.Store(nil)
		}
		l.b.mu.Lock()
		f.ahead = nil
		l.b.mu.Unlock()
	}
	p.seen, p.known = marks, known
	return nil
}

func (m mark) same(other mark) bool {
	return m.generation == other.generation && os.SameFile(m.info, other.info) && m.info.ModTime().Equal(other.info.ModTime())
}

// all returns the folders that are open.
func (d *directory) all() []*folder {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append(slices.Collect(maps.Values(d.folders)), d.folder)
}

// marks returns the marks of unfinished commits, by folder.
func (l *lock) marks() (map[*folder]mark, error) {
	generation, _ := l.generation()
	marks := map[*folder]mark{}
	for _, f := range l.all() {
		info, err := f.root.Lstat(commitName)
		switch {
		case err == nil:
			marks[f] = mark{info, generation}
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	return marks, nil
}

// replacements adds what the commit whose mark is in a folder still has to do. A temporary that is
// gone has been renamed already.
func (l *lock) replacements(in *folder, all map[*folder]map[string]string) error {
	t, err := l.readRedo(in)
	if err != nil {
		return fmt.Errorf("reading what a writer that crashed had begun: %w", err)
	}
	set := func(f file, instead string) {
		if all[f.folder] == nil {
			all[f.folder] = map[string]string{}
		}
		all[f.folder][f.name] = instead
	}
	var temps temporaries
	for _, r := range t.renames {
		temp := temps.next(r.folder)
		is := temp.endsWith
		if r.whole {
			is = temp.hasSum
		}
		ours, err := is(r.sum)
		if err != nil {
			return err
		}
		if ours {
			set(r.file, temp.name)
		}
	}
	for _, f := range t.removes {
		set(f, "")
	}
	return nil
}

// readRedo reads the list of a commit in a folder.
func (l *lock) readRedo(in *folder) (*redo, error) {
	b, err := in.readOwn(commitName)
	if err != nil {
		return nil, err
	}
	resolve := in.resolve
	if in == l.folder {
		resolve = l.resolve
	}
	t, err := decodeRedo(b, resolve)
	if err != nil {
		return nil, fmt.Errorf("%w: %s in %s: %w", driver.ErrCorrupt, commitName, in.path, err)
	}
	return t, nil
}

// isReplaced reports whether an unfinished commit will have replaced or removed a file.
func (f *folder) isReplaced(name string) bool {
	m := f.replaced.Load()
	if m == nil {
		return false
	}
	_, ok := (*m)[name]
	return ok
}

// madeNames returns the names of the files that unfinished commits will have replaced or made.
func (f *folder) madeNames() (names []string) {
	if m := f.replaced.Load(); m != nil {
		for name, instead := range *m {
			if instead != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

// eachReplaced calls fn with the names of madeNames that may be records'.
func (f *folder) eachReplaced(fn func(name string) error) error {
	for _, name := range f.madeNames() {
		if name[0] == '.' {
			continue
		}
		if err := fn(name); err != nil {
			return err
		}
	}
	return nil
}
