package fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"

	"github.com/brine-go/brine/persistence/driver"
)

const (
	commitName = ".brine.commit"
	commitTemp = ".brine.commit.tmp"
	tempPrefix = ".brine.tmp."
)

// flushEach is the number of files up to which they are flushed one by one: flushing
// the file system waits for what all others have written, too.
const flushEach = 4

func tempName(i int) string { return tempPrefix + strconv.Itoa(i) }

// commit makes all changes or none.
func (l *held) commit(ctx context.Context, changes []change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	switch {
	case len(changes) == 0:
		return nil
	case len(changes) == 1 && changes[0].remove:
		return l.commitRemoval(changes[0].name)
	case len(changes) == 1:
		return l.commitOne(&changes[0])
	}
	return l.commitMany(ctx, changes)
}

func (l *held) commitRemoval(name string) error {
	if err := l.b.step("begin"); err != nil {
		return err
	}
	if err := l.announce(name); err != nil {
		return err
	}
	if err := l.root.Remove(name); err != nil {
		return err
	}
	return l.settle()
}

func (l *held) commitOne(c *change) error {
	if _, err := l.writeRecord(tempName(0), true, c, new([]byte)); err != nil {
		return err
	}
	err := l.b.step("flushed")
	if err == nil {
		err = l.announce(c.name)
	}
	if err == nil {
		err = l.root.Rename(tempName(0), c.name)
	}
	if err != nil {
		l.discard(1)
		return err
	}
	return l.settle()
}

// settle flushes the directory after a change that others can see already.
func (l *held) settle() error {
	err := l.b.step("renamed")
	if err == nil {
		err = flushDir(l.file)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", driver.ErrUncertain, err)
	}
	return nil
}

// A todo is what is left of a commit once all is written.
type todo struct {
	renames []rename // the i-th is that of temporary number i
	removes []string
}

type rename struct {
	name string
	sum  uint32 // the last checksum of the file
}

func (l *held) commitMany(ctx context.Context, changes []change) error {
	var t todo
	if err := l.prepare(ctx, changes, &t); err != nil {
		l.discard(len(t.renames))
		return err
	}
	err := l.announce(t.names()...)
	if err == nil {
		err = l.root.Rename(commitTemp, commitName)
	}
	if err != nil {
		l.discard(len(t.renames))
		return err
	}
	err = l.b.step("marked")
	if err == nil {
		err = flushDir(l.file)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", driver.ErrUncertain, err)
	}
	if err := l.finish(&t, false); err != nil {
		l.b.log.Warn("commit is durable, but its files are not all in place: the next call goes on",
			"directory", l.b.path, "error", err)
	}
	return nil
}

// prepare writes all that a commit needs, and flushes it.
func (l *held) prepare(ctx context.Context, changes []change, t *todo) error {
	together := canFlushAll && len(changes) > flushEach
	var buf []byte
	for i := range changes {
		if err := ctx.Err(); err != nil {
			return err
		}
		c := &changes[i]
		if c.remove {
			t.removes = append(t.removes, c.name)
			continue
		}
		sum, err := l.writeRecord(tempName(len(t.renames)), !together, c, &buf)
		if err != nil {
			return err
		}
		t.renames = append(t.renames, rename{c.name, sum})
		if err := l.b.step("temporary"); err != nil {
			return err
		}
	}
	e := newEncoder()
	defer e.free()
	b, err := e.frame(commitMark, t.encode)
	if err != nil {
		return err
	}
	if err := l.writeTemp(commitTemp, !together, b); err != nil {
		return err
	}
	if err := l.b.step("written"); err != nil {
		return err
	}
	if together {
		err = flushAll(l.file)
	} else {
		err = flushDir(l.file) // the temporaries must not be lost when the list is not
	}
	if err != nil {
		return err
	}
	if err := l.b.step("flushed"); err != nil {
		return err
	}
	return ctx.Err()
}

// finish carries out a list that is in place and flushed, again or for the first time.
func (l *held) finish(t *todo, again bool) error {
	for i, r := range t.renames {
		temp := tempName(i)
		if again {
			ours, err := l.endsWith(temp, r.sum)
			if err != nil {
				return err
			}
			if !ours {
				continue
			}
		}
		if err := l.root.Rename(temp, r.name); err != nil {
			return err
		}
		if err := l.b.step("rename"); err != nil {
			return err
		}
	}
	for _, name := range t.removes {
		if err := l.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := l.b.step("remove"); err != nil {
			return err
		}
	}
	if err := flushDir(l.file); err != nil {
		return err
	}
	if err := l.b.step("done"); err != nil {
		return err
	}
	if err := l.root.Remove(commitName); err != nil {
		return err
	}
	return l.b.step("unmarked")
}

// unfinished reports whether a commit waits to be finished.
func (l *held) unfinished() (bool, error) {
	_, err := l.root.Lstat(commitName)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// recover finishes the commit that a crashed writer left. The lock is held exclusively.
func (l *held) recover() error {
	switch unfinished, err := l.unfinished(); {
	case err != nil:
		return err
	case !unfinished:
		return nil
	}
	b, err := l.readOwn(commitName)
	if err != nil {
		return err
	}
	t, err := decodeTodo(b)
	if err != nil {
		return fmt.Errorf("%w: %s in %s: %w", driver.ErrCorrupt, commitName, l.b.path, err)
	}
	// Its name may not be on disk yet, if the writer died between rename and flush.
	if err := flushDir(l.file); err != nil {
		return err
	}
	if err := l.b.step("recover"); err != nil {
		return err
	}
	if err := l.announce(t.names()...); err != nil {
		return err
	}
	return l.finish(t, true)
}

// endsWith reports whether a file is there and its last checksum is sum.
func (l *held) endsWith(name string, sum uint32) (bool, error) {
	info, err := l.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !info.Mode().IsRegular() || info.Size() < uint32Len {
		return false, nil
	}
	f, err := l.root.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	var b [uint32Len]byte
	if _, err := f.ReadAt(b[:], info.Size()-uint32Len); err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	n, ok := readUint32(b[:])
	return ok && n == sum, nil
}

// clean removes what crashed writers left. The lock is held exclusively and no commit waits. Temporaries
// are made in the order of their numbers and discarded in the reverse order, so there is a first one or none.
func (l *held) clean() error {
	n := 0
	for ; ; n++ {
		if _, err := l.root.Lstat(tempName(n)); err != nil {
			break
		}
	}
	l.discard(n)
	if err := l.root.Remove(metaTemp); err != nil && !errors.Is(err, fs.ErrNotExist) && !isReadOnly(err) {
		return err
	}
	return nil
}

// discard removes the first n temporaries and an unfinished list. What cannot be removed is in nobody's
// way: it is removed when its name is needed again.
func (l *held) discard(n int) {
	removed := l.root.Remove(commitTemp) == nil
	for i := n - 1; i >= 0; i-- {
		removed = l.root.Remove(tempName(i)) == nil || removed
	}
	if removed {
		_ = l.announce() // at worst an index is made anew
	}
}

// writeRecord writes the file of a record under a temporary name and returns its
// last checksum. buf is memory for it, kept for the next one.
func (l *held) writeRecord(temp string, flush bool, c *change, buf *[]byte) (uint32, error) {
	b, err := appendRecord((*buf)[:0], &c.header)
	if err != nil {
		return 0, err
	}
	last := sum(b, c.data)
	const small = 64 << 10
	if len(c.data) > small {
		*buf = b
		return last, l.writeTemp(temp, flush, b, c.data, appendUint32(nil, last))
	}
	b = appendUint32(append(b, c.data...), last)
	*buf = b
	return last, l.writeTemp(temp, flush, b)
}

// writeTemp makes a file of the package's own, which must not be there. Leftovers of that name are removed, as are those
// of a failure.
func (l *held) writeTemp(name string, flush bool, chunks ...[]byte) error {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	f, err := l.root.OpenFile(name, flags, filePerm)
	if errors.Is(err, fs.ErrExist) {
		if name == tempName(0) { // the others would no longer be found once this one is gone
			err = l.clean()
		} else {
			err = l.root.Remove(name)
		}
		if err != nil {
			return err
		}
		f, err = l.root.OpenFile(name, flags, filePerm)
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
		_ = l.root.Remove(name)
	}
	return err
}

// names returns the files that will change.
func (t *todo) names() []string {
	names := slices.Clone(t.removes)
	for _, r := range t.renames {
		names = append(names, r.name)
	}
	return names
}

func (t *todo) encode(e *encoder) {
	e.mapLen(2)
	e.text("renames")
	e.arrayLen(len(t.renames))
	for _, r := range t.renames {
		e.arrayLen(2)
		e.text(r.name)
		e.int(int64(r.sum))
	}
	e.text("removes")
	e.arrayLen(len(t.removes))
	for _, name := range t.removes {
		e.text(name)
	}
}

func decodeTodo(b []byte) (*todo, error) {
	body, err := openFrame(commitMark, b)
	if err != nil {
		return nil, err
	}
	d := newDecoder(body)
	defer d.free()
	n, err := d.mapLen()
	if err != nil {
		return nil, err
	}
	t := &todo{}
	for range n {
		key, err := d.text()
		if err != nil {
			return nil, err
		}
		count, err := d.arrayLen()
		if err != nil {
			return nil, err
		}
		for range count {
			switch key {
			case "renames":
				var r rename
				if r, err = d.rename(); err == nil {
					t.renames = append(t.renames, r)
				}
			case "removes":
				var name string
				if name, err = d.fileName(); err == nil {
					t.removes = append(t.removes, name)
				}
			default:
				err = errors.New("unknown entry")
			}
			if err != nil {
				return nil, fmt.Errorf("%q: %w", key, err)
			}
		}
	}
	return t, nil
}

func (d *decoder) rename() (rename, error) {
	if n, err := d.arrayLen(); err != nil || n != 2 {
		return rename{}, errors.Join(errors.New("not a pair"), err)
	}
	name, err := d.fileName()
	if err != nil {
		return rename{}, err
	}
	sum, err := d.dec.DecodeUint64()
	return rename{name, uint32(sum)}, err
}

// fileName reads the name of a record's file, and no other.
func (d *decoder) fileName() (string, error) {
	name, err := d.text()
	if err != nil {
		return "", err
	}
	if _, _, ok := idOf(name); !ok {
		return "", fmt.Errorf("%q is no record's file", name)
	}
	return name, nil
}
