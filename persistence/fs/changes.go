package fs

import (
	"errors"
	"io/fs"
	"os"

	"github.com/brine-go/brine/persistence/fs/internal/claimindex"
)

// changesName is a list of the records that have changed, for the indexes of claiming processes. It
// exists once somebody has claimed, and is read and written under the exclusive lock alone. An
// entry is written before the change that it tells of.
const changesName = ".brine.changes"

// defaultListed is the length at which the list is begun anew.
const defaultListed = 1 << 20

// openChanges returns nil where there is no list and none is to be made.
func (d *directory) openChanges(create bool) (*claimindex.List, error) {
	// Most directories have none: this is all that it costs them.
	if _, err := d.root.Lstat(changesName); errors.Is(err, fs.ErrNotExist) && !create {
		return nil, nil
	}
	f, readOnly, err := d.openOwn(changesName, create)
	if err != nil {
		return nil, err
	}
	if readOnly {
		f.Close()
		return nil, &os.PathError{Op: "write", Path: changesName, Err: fs.ErrPermission}
	}
	c, err := claimindex.NewList(f)
	if err != nil {
		f.Close()
		return nil, err
	}
	return c, nil
}

// announce tells the others what is about to change. It stands before the first change that they
// can see, so that a crash in between does no harm. Each time the generation rises, there is a
// frame more in the list.
func (l *lock) announce(files ...file) error {
	if err := l.list(files); err != nil {
		return err
	}
	return l.touch()
}

// list adds the names of objects among the files to the list of changes, if there is one.
func (l *lock) list(files []file) error {
	l.listed = 0
	c, err := l.openChanges(false)
	if c == nil || err != nil {
		return err
	}
	defer c.Close()
	if c.Size() == 0 { // whoever wants an index makes it anew
		return nil
	}
	var names []string
	for _, f := range files {
		if f.folder == l.folder {
			names = append(names, f.name)
		}
	}
	entry, err := claimindex.EncodeEntry(names)
	if err != nil {
		return err
	}
	x := l.b.index
	current := x != nil && x.Generation == c.Generation() && x.Offset == c.Size() && x.seen.changes(l) == 0
	length := int64(len(entry))
	if c.Size()+length > l.b.maxListed && current {
		if c.Begin() != nil {
			return c.Drop()
		}
		x.Generation, x.Offset = c.Generation(), c.Size() // it misses nothing
	}
	if c.Size()+length > l.b.maxListed {
		return c.Drop()
	}
	if err := c.Append(entry); err != nil {
		return c.Drop() // the disk is full: an index more to make, but no write less
	}
	if current {
		l.listed = c.Size()
	}
	return l.b.step("listed")
}
