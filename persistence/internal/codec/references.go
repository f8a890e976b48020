package codec

import (
	"reflect"
	"slices"
	"strings"
	"unsafe"

	"github.com/brine-go/brine/persistence/driver"
)

// A pointer to a persistable struct is an extension with the ID of the target.

// Link is what a lazy reference holds. A struct type whose first field is of type Link is a lazy
// reference: the codec reads and writes that field in place, exported or not, and stores nothing
// else of the struct.
type Link struct {
	ID    driver.ID // "": nothing
	Obj   any       // pointer to a persistable object; nil in a loaded reference
	Store string    // identity of the store that ID belongs to
}

func buildReference(pl *plan) {
	elem := pl.elem
	pl.enc = func(e *Encoder, _ *plan, p unsafe.Pointer) error {
		ptr := *(*unsafe.Pointer)(p)
		if ptr == nil {
			e.buf = append(e.buf, codeNil)
			return nil
		}
		return e.reference(pack(elem.ptr, ptr))
	}
	pl.dec = func(d *decoder, _ *plan, p unsafe.Pointer) error {
		if d.nilNext() {
			return nil
		}
		obj, id, err := d.target()
		if err != nil || obj == nil {
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

// target reads an eager reference and returns what it refers to: a pointer to a struct that is
// not nil; or nil with DecodeOptions.Alone.
func (d *decoder) target() (any, driver.ID, error) {
	b, err := d.content(famExt, extEager, "a reference")
	if err != nil {
		return nil, "", err
	}
	// References are often in the order of their IDs.
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
	if d.opts.Alone {
		return nil, id, nil
	}
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

func encLazy(e *Encoder, _ *plan, p unsafe.Pointer) error {
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

func decLazy(d *decoder, _ *plan, p unsafe.Pointer) error {
	if d.nilNext() {
		return nil
	}
	ext := byte(extLazy)
	if t := readToken(d.buf[d.pos:]); t.fam == famExt && t.ext == extEager {
		ext, d.old = extEager, true // it was a pointer
	}
	b, err := d.content(famExt, ext, "a lazy reference")
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
