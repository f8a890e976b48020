package codec

import (
	"encoding/binary"
	"reflect"
	"unsafe"

	"github.com/brine-go/brine/persistence/driver"
)

// Two keys of a map with equal encodings are two keys again only if something in them is another
// variable or no number: a pointer, an embedded pointer, a NaN. Any others differ in what is not
// stored, such as an unexported field or the monotonic clock of a time, and would be one key when
// they are read.

// distinct returns an error if two of the entries, whose keys have equal encodings, would have one
// key when they are read.
func (w *entryWriter) distinct(equal []entry) error {
	known := map[string]bool{}
	for _, en := range equal {
		w.at(en.i)
		m := keyMark{e: w.e}
		if err := m.add(w.pl.key, w.key(en.i)); err != nil {
			return err
		}
		if m.alone {
			continue
		}
		if known[string(m.b)] {
			return w.e.fail(driver.ErrUnstorable, "two keys of type %v would be stored as one: they differ in what is not stored", w.pl.key.typ)
		}
		known[string(m.b)] = true
	}
	return nil
}

// A keyMark is made of a key that is to be written: keys with equal marks are one key when they are
// read.
type keyMark struct {
	e     *Encoder
	b     []byte
	alone bool // the key equals no other
}

// add adds the value of pl at p, a key or a part of one.
func (m *keyMark) add(pl *plan, p unsafe.Pointer) error {
	switch pl.kind {
	case kindStruct:
		return m.structure(pl, p)
	case kindArray:
		for i := range pl.typ.Len() {
			if err := m.add(pl.elem, unsafe.Add(p, uintptr(i)*pl.elem.size)); err != nil {
				return err
			}
		}
		return nil
	case kindPointer:
		ptr := *(*unsafe.Pointer)(p)
		if pl.elem.size == 0 && ptr != nil {
			ptr = unsafe.Pointer(&zeroSized) // all pointers to such variables may be equal
		}
		m.b = binary.NativeEndian.AppendUint64(m.b, uint64(uintptr(ptr)))
		return nil
	case kindInterface:
		return m.boxed(pl, p)
	}
	return m.leaf(pl, p)
}

var zeroSized byte

func (m *keyMark) structure(pl *plan, p unsafe.Pointer) error {
	for i := range pl.fields {
		f := &pl.fields[i]
		q, ok := f.stored(p)
		if !ok {
			m.b = append(m.b, 0)
			continue
		}
		m.alone = m.alone || f.via != nil // it is read into a new variable
		m.b = append(m.b, 1)
		if err := m.add(f.pl, q); err != nil {
			return err
		}
	}
	return nil
}

func (m *keyMark) boxed(pl *plan, p unsafe.Pointer) error {
	v := reflect.NewAt(pl.typ, p).Elem().Elem()
	if !v.IsValid() {
		m.b = append(m.b, 0)
		return nil
	}
	inner := m.e.c.planOf(v.Type())
	held := reflect.New(v.Type())
	held.Elem().Set(v)
	m.b = binary.NativeEndian.AppendUint64(append(m.b, 1), uint64(uintptr(unsafe.Pointer(inner))))
	return m.add(inner, held.UnsafePointer())
}

// leaf adds what holds no variable that another key may hold: its encoding. If two values that are
// read from that differ, the key is alone.
func (m *keyMark) leaf(pl *plan, p unsafe.Pointer) error {
	e := m.e
	arena, enc, _, err := e.isolate(nil, pl, p)
	if err != nil {
		return err
	}
	m.b = append(binary.NativeEndian.AppendUint64(m.b, uint64(len(enc))), arena...)
	if pl.kind == kindReference || pl.kind == kindLazy || pl.kind == kindStored {
		return nil
	}
	first, second := reflect.New(pl.typ).Elem(), reflect.New(pl.typ).Elem()
	read := true
	for _, v := range []reflect.Value{first, second} {
		d := decoder{c: e.c, buf: enc, version: versionNewest, maxDepth: e.maxDepth, root: pl.typ}
		// An error is one of the type's own methods, which whoever reads it gets.
		read = read && pl.dec(&d, pl, v.Addr().UnsafePointer()) == nil
	}
	m.alone = m.alone || read && (!first.Comparable() || !first.Equal(second))
	return nil
}
