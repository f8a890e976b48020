package fs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/brine-go/brine/persistence/internal/moved"
)

// move notes that the directory is no longer at the path, or no longer the store that was opened,
// and returns the error of all calls until it is opened anew.
func (d *directory) move(format string, args ...any) error {
	return d.watch.Set(fmt.Errorf("directory %s "+format, append([]any{d.path}, args...)...))
}

// checkPlace returns an error if the directory at the path is another one than the open one, or
// there is none.
func (d *directory) checkPlace() error {
	if err := d.watch.Err(); err != nil {
		return err
	}
	const open = "while the store was open, and nobody would find what is written: put the store's directory in place and call Reset"
	now, err := os.Stat(d.path)
	switch {
	case err == nil && os.SameFile(d.info, now):
		return nil
	case err == nil:
		return d.move("was replaced by another one " + open)
	case gone(err):
		return d.move("was removed or renamed " + open)
	}
	return nil // it cannot be seen from here any more, which says nothing
}

// gone reports whether err says that there is nothing at a path.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) }

// locks reports whether the lock file of h is still the one that others lock: one that is removed
// or replaced keeps nobody out. It is looked for by the path of the directory, which must be the
// open one too.
func (d *directory) locks(h *handle, exclusive bool) (bool, error) {
	if err := d.watch.Err(); err != nil {
		return false, err
	}
	if !exclusive && !d.watch.Due() {
		return true, nil
	}
	if h.gate == nil { // the directory itself is locked
		return true, d.checkPlace()
	}
	now, err := os.Stat(d.lockPath)
	if err == nil && os.SameFile(h.info, now) {
		return true, nil
	}
	if away := d.checkPlace(); away != nil {
		return false, away
	}
	return err != nil && !gone(err), nil
}

// compare returns an error if the directory is not the store with that identity; "": it had none.
func (d *directory) compare(identity string) error {
	if identity == "" {
		return nil
	}
	m, err := d.readMeta()
	if err != nil {
		return err
	}
	return d.compareMeta(m, identity)
}

// compareMeta is compare with the meta file that has been read.
func (d *directory) compareMeta(m *meta, identity string) error {
	switch {
	case identity == "":
	case m == nil:
		return d.move("is not the store any more that was opened, with the identity %s: there is no %s in it. Nothing was created or written: put that back and call Reset, or open the directory with MakeStore",
			identity, metaName)
	case m.identity != identity:
		return d.move("has another store now, whose identity is %s: the one that was opened has %s. Nothing was created or written: put that one back and call Reset, or open this one with MakeStore",
			m.identity, identity)
	}
	return nil
}

// committed returns the error of a commit that ended with err.
func (l *lock) committed(err error) error { return moved.Outcome(err, l.checkPlace()) }

// storeIdentity returns the identity that Init has found; "": there is none, or no Init yet.
func (b *Backend) storeIdentity() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.identity
}
