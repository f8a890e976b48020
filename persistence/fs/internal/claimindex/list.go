package claimindex

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/brine-go/brine/persistence/fs/internal/frame"
)

// Mark is the format mark of a list.
const Mark = "\xa7brinel1"

// A List is the open list of the records that have changed, in a file. Whoever uses it has the lock
// of the directory exclusively.
//
// It is a row of frames: the first has the generation, each other one the names of the files that a
// commit was about to rename or remove. It is never flushed: the indexes that it serves die with
// the machine. An empty list says that changes may have been left out of it, until someone begins
// it anew under another generation.
type List struct {
	f          *os.File
	size       int64
	generation string // "" if the list says nothing
}

// NewList returns the list in a file that is open for reading and writing.
func NewList(f *os.File) (*List, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	l := &List{f: f, size: info.Size()}
	return l, l.readGeneration()
}

// Close closes the file.
func (l *List) Close() error { return l.f.Close() }

// Size returns the length of the list in bytes, which is where the next entry begins.
func (l *List) Size() int64 { return l.size }

// Generation returns the generation of the list, "" if the list says nothing.
func (l *List) Generation() string { return l.generation }

// head returns the first frame of a list.
func head(generation string) ([]byte, error) {
	e := frame.NewEncoder()
	defer e.Free()
	b, err := e.Frame(Mark, func(e *frame.Encoder) {
		e.MapLen(1)
		e.Text("generation")
		e.Text(generation)
	})
	return append([]byte(nil), b...), err
}

func (l *List) readGeneration() error {
	b := make([]byte, min(l.size, 128))
	if _, err := l.f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	n, err := frame.Len(Mark, b)
	if err != nil || n > int64(len(b)) {
		return nil
	}
	body, err := frame.Open(Mark, b[:n])
	if err != nil {
		return nil
	}
	d := frame.NewDecoder(body)
	defer d.Free()
	if n, err := d.MapLen(); err != nil || n != 1 {
		return nil
	}
	if key, err := d.Text(); err != nil || key != "generation" {
		return nil
	}
	if g, err := d.Text(); err == nil {
		l.generation = g
	}
	return nil
}

// Begin makes the list an empty one of a new generation.
func (l *List) Begin() error {
	generation := rand.Text()
	first, err := head(generation)
	if err != nil {
		return err
	}
	if err := l.Drop(); err != nil {
		return err
	}
	if _, err := l.f.WriteAt(first, 0); err != nil {
		return errors.Join(err, l.Drop())
	}
	l.size, l.generation = int64(len(first)), generation
	return nil
}

// Drop makes the list say nothing, for which a full disk has room too.
func (l *List) Drop() error {
	l.size, l.generation = 0, ""
	return l.f.Truncate(0)
}

// Since returns the names that the list has from offset on, each once, and in how many frames. A
// name that is not valid is an error. An error that is no PathError says that the list is damaged.
func (l *List) Since(offset int64, valid func(name string) bool) (names map[string]struct{}, frames uint64, err error) {
	if offset == l.size {
		return nil, 0, nil
	}
	b := make([]byte, l.size-offset)
	if _, err := l.f.ReadAt(b, offset); err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, err
	}
	names = map[string]struct{}{}
	for len(b) > 0 {
		n, err := frame.Len(Mark, b)
		if err != nil {
			return nil, 0, err
		}
		if n > int64(len(b)) {
			return nil, 0, io.ErrUnexpectedEOF
		}
		body, err := frame.Open(Mark, b[:n])
		if err != nil {
			return nil, 0, err
		}
		if err := addNames(names, body, valid); err != nil {
			return nil, 0, err
		}
		b, frames = b[n:], frames+1
	}
	return names, frames, nil
}

func addNames(names map[string]struct{}, body []byte, valid func(string) bool) error {
	d := frame.NewDecoder(body)
	defer d.Free()
	n, err := d.ArrayLen()
	if err != nil {
		return err
	}
	for range n {
		name, err := d.Text()
		if err != nil {
			return err
		}
		if !valid(name) {
			return fmt.Errorf("%q is no record's file", name)
		}
		names[name] = struct{}{}
	}
	return nil
}

// EncodeEntry returns what Append takes: an entry with these names.
func EncodeEntry(names []string) ([]byte, error) {
	e := frame.NewEncoder()
	defer e.Free()
	b, err := e.Frame(Mark, func(e *frame.Encoder) {
		e.ArrayLen(len(names))
		for _, name := range names {
			e.Text(name)
		}
	})
	return append([]byte(nil), b...), err
}

// Append adds an entry.
func (l *List) Append(entry []byte) error {
	if _, err := l.f.WriteAt(entry, l.size); err != nil {
		return err
	}
	l.size += int64(len(entry))
	return nil
}
