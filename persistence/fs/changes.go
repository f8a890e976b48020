package fs

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
)

// changesName is a list of the records that have changed, for the indexes of claiming processes. It exists once somebody has
// claimed, and is read and written under the exclusive lock alone.
//
// It is a row of frames: the first has the generation, each other one the names of the files that a commit was about to rename or
// remove. It is written before they are, and never flushed: the indexes that it serves die with the machine. An empty list says
// that changes may have been left out of it, until someone begins it anew under another generation.
const changesName = ".brine.changes"

const changesMark = "\xa7brinel1"

// defaultListed is the length at which the list is begun anew.
const defaultListed = 1 << 20

// A changeList is the open list of changes.
type changeList struct {
	f          *os.File
	size       int64
	generation string // "" if the list says nothing
}

// openChanges returns nil where there is no list and none is to be made.
func (d *directory) openChanges(create bool) (*changeList, error) {
	// Most directories have none: this is all that it costs them.
	if _, err := d.root.Lstat(changesName); errors.Is(err, fs.ErrNotExist) && !create {
		return nil, nil
	}
	f, readOnly, err := d.openOwn(changesName, create)
	if err != nil {
		return nil, err
	}
	c := &changeList{f: f}
	info, err := f.Stat()
	if err == nil && readOnly {
		err = &os.PathError{Op: "write", Path: changesName, Err: fs.ErrPermission}
	}
	if err == nil {
		c.size = info.Size()
		err = c.readGeneration()
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return c, nil
}

// headOfChanges returns the first frame of a list.
func headOfChanges(generation string) ([]byte, error) {
	e := newEncoder()
	defer e.free()
	b, err := e.frame(changesMark, func(e *encoder) {
		e.mapLen(1)
		e.text("generation")
		e.text(generation)
	})
	return append([]byte(nil), b...), err
}

func (c *changeList) readGeneration() error {
	b := make([]byte, min(c.size, 128))
	if _, err := c.f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	n, err := frameLen(changesMark, b)
	if err != nil || n > int64(len(b)) {
		return nil
	}
	body, err := openFrame(changesMark, b[:n])
	if err != nil {
		return nil
	}
	d := newDecoder(body)
	defer d.free()
	if n, err := d.mapLen(); err != nil || n != 1 {
		return nil
	}
	if key, err := d.text(); err != nil || key != "generation" {
		return nil
	}
	if g, err := d.text(); err == nil {
		c.generation = g
	}
	return nil
}

// begin makes the list an empty one of a new generation.
func (c *changeList) begin() error {
	generation := rand.Text()
	head, err := headOfChanges(generation)
	if err != nil {
		return err
	}
	if err := c.drop(); err != nil {
		return err
	}
	if _, err := c.f.WriteAt(head, 0); err != nil {
		return errors.Join(err, c.drop())
	}
	c.size, c.generation = int64(len(head)), generation
	return nil
}

// drop makes the list say nothing, for which a full disk has room too.
func (c *changeList) drop() error {
	c.size, c.generation = 0, ""
	return c.f.Truncate(0)
}

// since returns the names that the list has from offset on, each once, and in how many frames. An error that is no PathError
// says that the list is damaged.
func (c *changeList) since(offset int64) (names map[string]struct{}, frames uint64, err error) {
	if offset == c.size {
		return nil, 0, nil
	}
	b := make([]byte, c.size-offset)
	if _, err := c.f.ReadAt(b, offset); err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, err
	}
	names = map[string]struct{}{}
	for len(b) > 0 {
		n, err := frameLen(changesMark, b)
		if err != nil {
			return nil, 0, err
		}
		if n > int64(len(b)) {
			return nil, 0, io.ErrUnexpectedEOF
		}
		body, err := openFrame(changesMark, b[:n])
		if err != nil {
			return nil, 0, err
		}
		if err := addNames(names, body); err != nil {
			return nil, 0, err
		}
		b, frames = b[n:], frames+1
	}
	return names, frames, nil
}

func addNames(names map[string]struct{}, body []byte) error {
	d := newDecoder(body)
	defer d.free()
	n, err := d.arrayLen()
	if err != nil {
		return err
	}
	for range n {
		name, err := d.fileName()
		if err != nil {
			return err
		}
		names[name] = struct{}{}
	}
	return nil
}

// announce tells the others what is about to change. It stands before the first change that they can see, so that a crash in
// between does no harm. Each time the generation rises, there is a frame more in the list.
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
	defer c.f.Close()
	if c.size == 0 { // whoever wants an index makes it anew
		return nil
	}
	var names []string
	for _, f := range files {
		if f.folder == l.folder {
			names = append(names, f.name)
		}
	}
	e := newEncoder()
	defer e.free()
	b, err := e.frame(changesMark, func(e *encoder) {
		e.arrayLen(len(names))
		for _, name := range names {
			e.text(name)
		}
	})
	if err != nil {
		return err
	}
	x := l.b.index
	current := x != nil && x.generation == c.generation && x.offset == c.size && x.seen.changes(l) == 0
	length := int64(len(b))
	if c.size+length > l.b.maxListed && current {
		if c.begin() != nil {
			return c.drop()
		}
		x.generation, x.offset = c.generation, c.size // it misses nothing
	}
	if c.size+length > l.b.maxListed {
		return c.drop()
	}
	if _, err := c.f.WriteAt(b, c.size); err != nil {
		return c.drop() // the disk is full: an index more to make, but no write less
	}
	if current {
		l.listed = c.size + length
	}
	return l.b.step("listed")
}
