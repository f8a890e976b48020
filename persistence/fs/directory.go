package fs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/internal/moved"
)

// A directory is what is open of a Backend. Its own folder is that of the objects.
type directory struct {
	*folder
	idle     []*handle // guarded by Backend.mu
	readOnly bool      // files are opened for reading only

	info     os.FileInfo // of the open directory
	lockPath string
	watch    moved.Watch // whether it is still the store that was opened, and at its path

	mu      sync.Mutex
	folders map[driver.Namespace]*folder // those of other namespaces, as far as they are open
}

// A folder has the records of one namespace.
type folder struct {
	root   *os.Root
	file   *os.File   // the folder itself, to flush it
	path   string     // for errors
	prefix string     // of full names, see file: "" or ending in a slash
	ahead  *lookahead // IDs that the next scan may start with; guarded by Backend.mu

	// replaced has, by name, the files that an unfinished commit will have replaced, made or
	// removed: the file that each is read from; "": it is removed. nil: there are none. It is set
	// with ReadOnly only; see lock.readThrough.
	replaced atomic.Pointer[map[string]string]
}

// A file is the name of one in a folder.
type file struct {
	*folder
	name string
}

// fullName returns the name as it is seen from the directory.
func (f file) fullName() string { return f.prefix + f.name }

// directory returns the open directory and opens it if need be. If a store was opened in it before,
// it must be that store.
func (b *Backend) directory() (*directory, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dir != nil {
		if away := b.dir.watch.Err(); away != nil {
			return nil, away
		}
		return b.dir, nil
	}
	root, err := os.OpenRoot(b.path)
	if errors.Is(err, fs.ErrNotExist) && b.opts.NoCreate {
		err = fmt.Errorf("there is no directory %s, and nothing may be created: %w", b.path, fs.ErrNotExist)
	}
	if err != nil {
		if b.identity != "" && gone(err) {
			err = fmt.Errorf("directory %s, the store that was opened, is not here any more: put it back and call Reset: %w", b.path, err)
		}
		return nil, err
	}
	f, err := newFolder(root, b.path, "")
	if err != nil {
		return nil, err
	}
	d := &directory{
		folder: f, folders: map[driver.Namespace]*folder{}, readOnly: b.opts.ReadOnly,
		lockPath: filepath.Join(b.path, lockName),
	}
	if d.info, err = f.file.Stat(); err == nil {
		err = d.compare(b.identity)
	}
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	b.dir = d
	return d, nil
}

// newFolder returns the folder whose root is open, or closes that.
func newFolder(root *os.Root, path, prefix string) (*folder, error) {
	f, err := root.Open(".")
	if err != nil {
		root.Close()
		return nil, err
	}
	return &folder{root: root, file: f, path: path, prefix: prefix}, nil
}

// in returns the folder of a namespace and opens it if need be.
func (d *directory) in(ns driver.Namespace) (*folder, error) {
	if ns.Storage() == driver.Objects {
		return d.folder, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.folders[ns]; f != nil {
		return f, nil
	}
	name, err := folderName(ns)
	if err != nil {
		return nil, err
	}
	root, err := d.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	f, err := newFolder(root, filepath.Join(d.path, name), name+"/")
	if err != nil {
		return nil, err
	}
	d.folders[ns] = f
	return f, nil
}

// folderName returns the name of the folder of a namespace other than the objects.
func folderName(ns driver.Namespace) (string, error) {
	switch name := ownPrefix + string(ns); name {
	case lockName, gateName, metaName, commitName, changesName:
		return "", fmt.Errorf("a namespace cannot be named %q: %s is another file", string(ns), name)
	default:
		if !driver.ValidName(string(ns)) {
			return "", fmt.Errorf("a namespace cannot be named %q", string(ns))
		}
		return name, nil
	}
}

// resolve returns the file of a record whose full name is given.
func (d *directory) resolve(fullName string) (file, error) {
	f, name := d.folder, fullName
	if in, base, ok := strings.Cut(fullName, "/"); ok {
		ns, ok := strings.CutPrefix(in, ownPrefix)
		if !ok || ns == "" {
			return file{}, fmt.Errorf("%q is no record's file", fullName)
		}
		var err error
		if f, err = d.in(driver.Namespace(ns)); err != nil {
			return file{}, err
		}
		name = base
	}
	return f.resolve(name)
}

// actual returns the name of the file from which the record of a name is read.
func (f *folder) actual(name string) (string, bool) {
	if m := f.replaced.Load(); m != nil {
		if instead, ok := (*m)[name]; ok {
			return instead, instead != ""
		}
	}
	return name, true
}

// resolve returns the file of that name if it can be a record's, or a stray.
func (f *folder) resolve(name string) (file, error) {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") || strings.HasPrefix(name, ownPrefix[:len(ownPrefix)-1]) {
		return file{}, fmt.Errorf("%q is no record's file", name)
	}
	return file{f, name}, nil
}

func (f *folder) close() error { return errors.Join(f.file.Close(), f.root.Close()) }

func (d *directory) close() error {
	for _, h := range d.idle {
		h.close()
	}
	var errs []error
	for _, f := range d.folders {
		errs = append(errs, f.close())
	}
	return errors.Join(append(errs, d.folder.close())...)
}

// makeDirs makes a directory and its parents, durably.
func makeDirs(path string) error {
	var todo []string
	for p := path; ; p = filepath.Dir(p) {
		info, err := os.Stat(p)
		if err == nil && p == path && info.Mode().IsRegular() {
			return fmt.Errorf("%s is a file, not a directory (%w): write sqlite: for a database in a file", path, syscall.ENOTDIR)
		}
		if err == nil && !info.IsDir() {
			return &os.PathError{Op: "mkdir", Path: p, Err: syscall.ENOTDIR}
		}
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) || p == filepath.Dir(p) {
			return err
		}
		todo = append(todo, p)
	}
	for _, p := range slices.Backward(todo) {
		if err := os.Mkdir(p, dirPerm); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		parent, err := os.Open(filepath.Dir(p))
		if err != nil {
			return err
		}
		err = flushDir(parent)
		parent.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
