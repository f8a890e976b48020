package fs

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strconv"

	"github.com/brine-go/brine/persistence/fs/internal/frame"
)

func tempName(i int) string { return tempPrefix + strconv.Itoa(i) }

// temporaries are the names of temporary files, each in the folder where its record belongs.
type temporaries struct {
	files  []file
	counts map[*folder]int
}

// next returns the next temporary of a folder. In each folder they are numbered from 0.
func (t *temporaries) next(f *folder) file {
	if t.counts == nil {
		t.counts = map[*folder]int{}
	}
	n := t.counts[f]
	t.counts[f]++
	t.files = append(t.files, file{f, tempName(n)})
	return t.files[len(t.files)-1]
}

// rename gives a file another name in its folder.
func (f file) rename(name string) error { return f.root.Rename(f.name, name) }

func (f file) remove() error { return f.root.Remove(f.name) }

// clean removes what crashed writers left in a folder. The lock is exclusive and no commit waits.
// Temporaries are made in the order of their numbers and discarded in the reverse order, so there
// is a first one or none.
func (l *lock) clean(f *folder) error {
	var temps temporaries
	for {
		if _, err := temps.next(f).lstat(); err != nil {
			break
		}
	}
	l.discard(temps.files)
	if err := f.root.Remove(metaTemp); err != nil && !errors.Is(err, fs.ErrNotExist) && !isReadOnly(err) {
		return err
	}
	if f == l.folder {
		return nil
	}
	// An older version of this package made lists in each folder.
	if err := f.root.Remove(commitTemp); err != nil && !errors.Is(err, fs.ErrNotExist) && !isReadOnly(err) {
		return err
	}
	return nil
}

// lstat describes a file, or that which it is read from.
func (f file) lstat() (os.FileInfo, error) {
	name, ok := f.actual(f.name)
	if !ok {
		return nil, fs.ErrNotExist
	}
	return f.root.Lstat(name)
}

// discard removes temporaries, the last one first, and an unfinished list. What cannot be removed
// is in nobody's way: it is removed when its name is needed again.
func (l *lock) discard(temps []file) {
	removed := l.root.Remove(commitTemp) == nil
	for _, temp := range slices.Backward(temps) {
		removed = temp.remove() == nil || removed
	}
	if removed {
		_ = l.announce() // at worst an index is made anew
	}
}

// writeRecord writes the file of a record under a temporary name and returns its
// last frame.Checksum. buf is memory for it, kept for the next one.
func (l *lock) writeRecord(temp file, flush bool, c *change, buf *[]byte) (uint32, error) {
	if c.raw {
		return frame.Checksum(c.data), l.writeTemp(temp, flush, c.data)
	}
	b, err := appendRecord((*buf)[:0], &c.header)
	if err != nil {
		return 0, err
	}
	last := frame.Sum(b, c.data)
	const small = 64 << 10
	if len(c.data) > small {
		*buf = b
		return last, l.writeTemp(temp, flush, b, c.data, frame.AppendUint32(nil, last))
	}
	b = frame.AppendUint32(append(b, c.data...), last)
	*buf = b
	return last, l.writeTemp(temp, flush, b)
}

// writeTemp makes a file of the package's own, which must not be there. Leftovers of that name are
// removed, as are those of a failure.
func (l *lock) writeTemp(temp file, flush bool, chunks ...[]byte) error {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	f, err := temp.root.OpenFile(temp.name, flags, filePerm)
	if errors.Is(err, fs.ErrExist) {
		if temp.name == tempName(0) { // the others would no longer be found once this one is gone
			err = l.clean(temp.folder)
		} else {
			err = temp.remove()
		}
		if err != nil {
			return err
		}
		f, err = temp.root.OpenFile(temp.name, flags, filePerm)
	}
	if err != nil {
		return err
	}
	for _, b := range chunks {
		if err == nil {
			_, err = f.Write(b)
		}
	}
	if err == nil {
		err = l.b.step("write")
	}
	if flush && err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		_ = temp.remove()
	}
	return err
}
