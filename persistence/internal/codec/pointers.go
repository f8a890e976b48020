package codec

import (
	"reflect"
	"slices"
	"strings"
	"unsafe"

	"github.com/brine-go/brine/persistence/driver"
)

// A plain pointer is what it points to, or nil; met again, a back-reference. Where the
// target may be a nil itself, it stands in an array of one.

func buildPointer(pl *plan) {
	pl.enc = func(e *Encoder, p unsafe.Pointer) error { return e.pointer(pl, *(*unsafe.Pointer)(p)) }
	pl.dec = func(d *decoder, p unsafe.Pointer) error { return d.pointer(pl, p) }
}

// repeat appends a back-reference if ptr was met before; else it remembers ptr.
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

// A pointer to a persistable struct is an extension with the ID of the target.

func buildReference(pl *plan) {
	elem := pl.elem
	pl.enc = func(e *Encoder, p unsafe.Pointer) error {
		ptr := *(*unsafe.Pointer)(p)
		if ptr == nil {
			e.buf = append(e.buf, codeNil)
			return nil
		}
		return e.reference(pack(elem.ptr, ptr))
	}
	pl.dec = func(d *decoder, p unsafe.Pointer) error {
		if d.nilNext() {
			return nil
		}
		obj, id, err := d.target()
		if err != nil {
			return err
		}
		if reflect.TypeOf(obj) != pl.typ {
			return d.fail(driver.ErrType, "refers to %q, a %T where a %v is wanted", id, obj, pl.typ)
		}
		*(*unsafe.Pointer)(p) = (*eface)(unsafe.Pointer(&obj)).data
		return nil
	}
}

func (e *Encoder) reference(obj any) error {
	if e.r == nil {
		return e.fail(driver.ErrUnstorable, "a reference, where none are allowed")
	}
	id, err := e.r.Ref(obj)
	if err != nil {
		return err
	}
	e.eager.add(id)
	return e.appendID(extEager, id)
}

func (e *Encoder) appendID(ext byte, id driver.ID) error {
	if len(id) == 0 || len(id) > driver.MaxIDLen {
		return e.fail(driver.ErrInvalidID, "refers to an ID of %d bytes", len(id))
	}
	e.buf = append(appendExtLen(e.buf, ext, len(id)), id...)
	return nil
}

// target reads an eager reference and returns what it refers to: a pointer to a struct that is not nil.
func (d *decoder) target() (any, driver.ID, error) {
	b, err := d.content(famExt, extEager, "a reference")
	if err != nil {
		return nil, "", err
	}
	// References often stand in the order of their IDs.
	if d.hint >= len(d.eager) || string(d.eager[d.hint]) != string(b) {
		i, ok := slices.BinarySearchFunc(d.eager, b, func(id driver.ID, b []byte) int {
			return strings.Compare(string(id), unsafe.String(unsafe.SliceData(b), len(b)))
		})
		if !ok {
			return nil, "", d.corrupt("refers to %q, which the header does not name", shorten(string(b)))
		}
		d.hint = i
	}
	id := d.eager[d.hint]
	d.hint++
	if d.opts.Target == nil {
		return nil, "", d.corrupt("a reference, where none are allowed")
	}
	obj, err := d.opts.Target(id)
	if err != nil {
		return nil, "", err
	}
	if t := reflect.TypeOf(obj); t == nil || t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct || (*eface)(unsafe.Pointer(&obj)).data == nil {
		return nil, "", d.fail(driver.ErrType, "refers to %q, a %T where a persistable object is wanted", id, obj)
	}
	return obj, id, nil
}

// A lazy reference is an extension with the ID, or nil.

func encLazy(e *Encoder, p unsafe.Pointer) error {
	l := (*Link)(p)
	if l.ID == "" && l.Obj == nil {
		e.buf = append(e.buf, codeNil)
		return nil
	}
	if e.r == nil {
		return e.fail(driver.ErrUnstorable, "a reference, where none are allowed")
	}
	id, err := e.r.Lazy(l)
	if err != nil {
		return err
	}
	e.lazy.add(id)
	return e.appendID(extLazy, id)
}

func decLazy(d *decoder, p unsafe.Pointer) error {
	if d.nilNext() {
		return nil
	}
	b, err := d.content(famExt, extLazy, "a lazy reference")
	if err != nil {
		return err
	}
	if len(b) == 0 || len(b) > driver.MaxIDLen {
		return d.corrupt("refers to an ID of %d bytes", len(b))
	}
	l := (*Link)(p)
	l.ID = driver.ID(b)
	if d.opts.Lazy != nil {
		d.opts.Lazy(l)
	}
	return nil
}
