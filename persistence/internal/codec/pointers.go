package codec

import (
	"reflect"
	"unsafe"
)

// A plain pointer is what it points to, or nil; encoded again, it is a back-reference. Where the
// target may be a nil itself, it is in an array of one.

func buildPointer(pl *plan) {
	pl.enc = func(e *Encoder, p unsafe.Pointer) error { return e.pointer(pl, *(*unsafe.Pointer)(p)) }
	pl.dec = func(d *decoder, p unsafe.Pointer) error { return d.pointer(pl, p) }
}

// repeat appends a back-reference if ptr was encoded before; else it remembers ptr.
func (e *Encoder) repeat(ptr unsafe.Pointer, id ident) bool {
	if off, ok := e.seen.find(ptr, id); ok {
		e.buf = appendBackref(e.buf, off)
		return true
	}
	e.seen.add(ptr, id, e.offset())
	return false
}

func (e *Encoder) pointer(pl *plan, ptr unsafe.Pointer) error {
	if ptr == nil {
		e.buf = append(e.buf, codeNil)
		return nil
	}
	elem := pl.elem
	// All variables without a size may have one address.
	if elem.size > 0 && e.repeat(ptr, &elem.ptrTag) {
		return nil
	}
	if elem.nilable {
		e.buf = append(e.buf, codeFixArray|1)
	}
	if !pl.counts {
		return elem.enc(e, ptr)
	}
	if err := e.enter(pl); err != nil {
		return err
	}
	if err := elem.enc(e, ptr); err != nil {
		return err
	}
	e.leave()
	return nil
}

func (d *decoder) pointer(pl *plan, p unsafe.Pointer) error {
	if d.nilNext() {
		return nil
	}
	elem, start := pl.elem, d.pos
	if elem.size > 0 {
		if q, err := d.shared(pl, &elem.ptrTag); q != nil || err != nil {
			*(*unsafe.Pointer)(p) = q
			return err
		}
	}
	if elem.nilable {
		if d.left() < 1 || d.buf[d.pos] != codeFixArray|1 {
			return d.mismatch("an array of one")
		}
		d.pos++
	}
	q := reflect.New(elem.typ).UnsafePointer()
	*(*unsafe.Pointer)(p) = q
	if elem.size > 0 {
		d.record(q, &elem.ptrTag, start)
	}
	if pl.counts {
		if err := d.enter(pl); err != nil {
			return err
		}
	}
	if err := elem.dec(d, q); err != nil {
		return err
	}
	if pl.counts {
		d.leave()
	}
	if elem.size > 0 {
		d.recorded(&elem.ptrTag, start)
	}
	return nil
}
