package codec

import (
	"reflect"
	"unsafe"
)

// A plain pointer is what it points to, or nil; encoded again, it is a back-reference. Where the
// target may be a nil itself, it is in an array of one.

func buildPointer(pl *plan) {
	pl.enc, pl.dec = (*Encoder).pointer, (*decoder).pointer
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

func (e *Encoder) pointer(pl *plan, p unsafe.Pointer) error {
	ptr := *(*unsafe.Pointer)(p)
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
	if !pl.counts && e.kept == nil {
		return elem.enc(e, elem, ptr)
	}
	outer := e.region
	if pl.counts {
		if err := e.enter(pl); err != nil {
			return err
		}
	}
	if elem.size > 0 {
		e.region = region{at: ptr, depth: len(e.path)}
	}
	if err := elem.enc(e, elem, ptr); err != nil {
		return err
	}
	e.region = outer
	if pl.counts {
		e.leave()
	}
	return nil
}

func (d *decoder) pointer(pl *plan, p unsafe.Pointer) error {
	if d.nilNext() {
		return nil
	}
	elem := pl.elem
	if !elem.nilable && d.pos < len(d.buf) && d.buf[d.pos] == codeFixArray|1 && !elem.takes(token{tokenKind: tokenKind{fam: famArray}, n: 1}) {
		d.unwrap()
	}
	start := d.pos
	if elem.size > 0 && (elem.kind != kindPointer || elem.elem == elem || !d.refersTo(&elem.elem.ptrTag)) {
		if q, err := d.shared(pl, &elem.ptrTag); q != nil || err != nil {
			*(*unsafe.Pointer)(p) = q
			return err
		}
	}
	identified := elem.size > 0
	if elem.nilable {
		alone, err := d.wrapped(elem)
		if err != nil {
			return err
		}
		identified = !alone // a back-reference to the value is one to its target
	}
	q := reflect.New(elem.typ).UnsafePointer()
	*(*unsafe.Pointer)(p) = q
	if identified {
		d.record(q, &elem.ptrTag, start)
	}
	if pl.counts {
		if err := d.enter(pl); err != nil {
			return err
		}
	}
	var err error
	if d.keep == nil || elem.size == 0 {
		err = elem.dec(d, elem, q)
	} else {
		err = d.inRegion(elem, q)
	}
	if err != nil {
		return err
	}
	if pl.counts {
		d.leave()
	}
	if identified {
		d.recorded(&elem.ptrTag, start)
	}
	return nil
}
