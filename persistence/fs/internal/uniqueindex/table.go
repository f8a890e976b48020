// Package uniqueindex keeps, in a file, which records may have a value of a unique index.
//
// It is a hash table: from the hash of a value to the names of the records' files. What it says is
// a hint, which the file of the record confirms. It may have too many names, and none is missing:
// one is put in before the record is in its place, and no one is taken out when a record changes.
// So there is nothing to undo when a write fails.
package uniqueindex

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/brine-go/brine/persistence/fs/internal/frame"
)

// Mark is the beginning of the file: its kind and the version of its format.
const Mark = "\xa7brineu1"

// The file is a head, the slots and the names. All integers are big-endian.
//
//	head   Mark, the stamp, the number of slots, how many are in use, and a checksum of these
//	slots  from headSize on: the hash, and where the name is: 56 bits, and its length in 8
//	names  one after the other
const (
	headSize  = 128
	stampSize = 64
	headUsed  = len(Mark) + stampSize + 16
	slotSize  = 16
	minSlots  = 1024
	probe     = 32 // slots that are read at once
)

// A File holds a table.
type File interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
}

// A Stamp says which state of a directory a table is of.
type Stamp [stampSize]byte

// A Table is an open table. Whoever uses it has the directory to itself.
type Table struct {
	f     File
	slots int64
	used  int64 // at most half of slots
	end   int64 // of the names
	stamp Stamp // as the file has it
	buf   [probe * slotSize]byte
}

// ErrDamaged: a file is no table, or not whole.
var ErrDamaged = errors.New("the table of unique values is damaged")

// Open returns the table in a file of some size.
func Open(f File, size int64) (*Table, error) {
	var head [headSize]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		if errors.Is(err, io.EOF) {
			err = ErrDamaged
		}
		return nil, err
	}
	sum, ok := frame.ReadUint32(head[headUsed:])
	if !bytes.HasPrefix(head[:], []byte(Mark)) || !ok || sum != frame.Checksum(head[:headUsed]) {
		return nil, ErrDamaged
	}
	t := &Table{f: f, end: size}
	copy(t.stamp[:], head[len(Mark):])
	t.slots = int64(binary.BigEndian.Uint64(head[len(Mark)+stampSize:]))
	t.used = int64(binary.BigEndian.Uint64(head[len(Mark)+stampSize+8:]))
	if t.slots < minSlots || t.slots&(t.slots-1) != 0 || t.used < 0 || t.used > t.slots || size < t.names() || size >= 1<<56 {
		return nil, ErrDamaged
	}
	return t, nil
}

// Create makes an empty table of a file, with room for so many names. It has no stamp.
func Create(f File, names int) (*Table, error) {
	t := &Table{f: f, slots: minSlots}
	for t.slots < 2*int64(names) {
		t.slots *= 2
	}
	t.end = t.names()
	if err := f.Truncate(0); err != nil {
		return nil, err
	}
	if err := f.Truncate(t.end); err != nil { // zeros: slots that are free
		return nil, err
	}
	return t, t.Seal(Stamp{})
}

// names returns where the names begin.
func (t *Table) names() int64 { return headSize + t.slots*slotSize }

// Stamp returns the stamp that the table was sealed with.
func (t *Table) Stamp() Stamp { return t.stamp }

// Len returns how many names there are.
func (t *Table) Len() int64 { return t.used }

// Full reports whether there is no room for more names.
func (t *Table) Full(more int) bool { return 2*(t.used+int64(more)) > t.slots }

// Seal stores the stamp.
func (t *Table) Seal(s Stamp) error {
	head := append(make([]byte, 0, headSize), Mark...)
	head = append(head, s[:]...)
	head = binary.BigEndian.AppendUint64(head, uint64(t.slots))
	head = binary.BigEndian.AppendUint64(head, uint64(t.used))
	head = frame.AppendUint32(head, frame.Checksum(head))
	if _, err := t.f.WriteAt(head[:headSize], 0); err != nil {
		return err
	}
	t.stamp = s
	return nil
}

// Find calls each with the names under a hash, until it returns false.
func (t *Table) Find(hash uint64, each func(name string) bool) error {
	return t.walk(hash, func(_ int64, name string) bool { return name == "" || each(name) })
}

// walk calls each with the slots of a hash and their names, and with the free slot after them,
// whose name is "".
func (t *Table) walk(hash uint64, each func(at int64, name string) bool) error {
	hash = max(hash, 1) // 0 is a free slot
	at := int64(hash & uint64(t.slots-1))
	for seen := int64(0); seen < t.slots; {
		n := min(probe, t.slots-at)
		b := t.buf[:n*slotSize]
		if _, err := t.f.ReadAt(b, headSize+at*slotSize); err != nil {
			return damaged(err)
		}
		for i := range n {
			slot := b[i*slotSize:]
			switch binary.BigEndian.Uint64(slot) {
			case 0:
				each(at+i, "")
				return nil
			case hash:
				name, err := t.name(binary.BigEndian.Uint64(slot[8:]))
				if err != nil {
					return err
				}
				if !each(at+i, name) {
					return nil
				}
			}
		}
		seen, at = seen+n, (at+n)&(t.slots-1)
	}
	return fmt.Errorf("%w: no free slot", ErrDamaged)
}

// name returns the name at a place.
func (t *Table) name(place uint64) (string, error) {
	b := make([]byte, place&0xff)
	if len(b) == 0 || int64(place>>8) < t.names() || int64(place>>8)+int64(len(b)) > t.end {
		return "", fmt.Errorf("%w: a name outside of it", ErrDamaged)
	}
	if _, err := t.f.ReadAt(b, int64(place>>8)); err != nil {
		return "", damaged(err)
	}
	return string(b), nil
}

func damaged(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// Put puts a name under a hash, unless it is there. It must have 1 to 255 bytes, and the table must
// not be Full.
func (t *Table) Put(hash uint64, name string) error {
	if t.Full(1) || name == "" || len(name) > 255 {
		return fmt.Errorf("no room for %q in the table of unique values", name)
	}
	free := int64(-1)
	err := t.walk(hash, func(at int64, other string) bool {
		if other == "" {
			free = at
		}
		return other != name
	})
	if err != nil || free < 0 {
		return err
	}
	// The name first: a slot that is cut off from it would be damage.
	if _, err := t.f.WriteAt([]byte(name), t.end); err != nil {
		return err
	}
	var slot [slotSize]byte
	binary.BigEndian.PutUint64(slot[:], max(hash, 1))
	binary.BigEndian.PutUint64(slot[8:], uint64(t.end)<<8|uint64(len(name)))
	if _, err := t.f.WriteAt(slot[:], headSize+free*slotSize); err != nil {
		return err
	}
	t.end += int64(len(name))
	t.used++
	return nil
}

// All calls each with every hash and name, in no order, until it returns an error.
func (t *Table) All(each func(hash uint64, name string) error) error {
	b := make([]byte, minSlots*slotSize)
	for at := int64(0); at < t.slots; at += minSlots {
		if _, err := t.f.ReadAt(b, headSize+at*slotSize); err != nil {
			return damaged(err)
		}
		for i := range minSlots {
			slot := b[i*slotSize:]
			hash := binary.BigEndian.Uint64(slot)
			if hash == 0 {
				continue
			}
			name, err := t.name(binary.BigEndian.Uint64(slot[8:]))
			if err == nil {
				err = each(hash, name)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
