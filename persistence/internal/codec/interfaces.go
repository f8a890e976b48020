package codec

import (
	"reflect"
	"unsafe"

	"github.com/brine-go/brine/persistence/driver"
)

// In an interface, nil, bools, strings, ints, float64s, bytes and map[string]any stand as
// they are, and pointers to persistable objects as references. Everything else is an array of the
// name of its type and the value, so that it comes back as the same type.

func buildInterface(pl *plan) {
	if pl.typ.NumMethod() == 0 {
		pl.enc = func(e *Encoder, p unsafe.Pointer) error { return e.boxed(p, *(*any)(p)) }
		pl.dec = func(d *decoder, p unsafe.Pointer) error {
			v, err := d.boxed(p, pl.typ)
			if err != nil {
				return err
			}
			*(*any)(p) = v
			return nil
		}
		return
	}
	pl.enc = func(e *Encoder, p unsafe.Pointer) error {
		return e.boxed(p, pl.value(p).Interface())
	}
	pl.dec = func(d *decoder, p unsafe.Pointer) error {
		v, err := d.boxed(p, pl.typ)
		if err != nil || v == nil {
			return err
		}
		if rv := reflect.ValueOf(v); rv.Type().Implements(pl.typ) {
			pl.value(p).Set(rv)
			return nil
		}
		return d.fail(driver.ErrType, "a %T, which is no %v", v, pl.typ)
	}
}

// boxed encodes v, which the interface variable at p holds.
func (e *Encoder) boxed(p unsafe.Pointer, v any) error {
	if e.kept == nil {
		return e.dynamic(v)
	}
	outer := e.region
	e.region = outer.box(p, len(e.path))
	err := e.dynamic(v)
	e.region = outer
	return err
}

// inMap encodes v, a value in a map, which has no address.
func (e *Encoder) inMap(v any) error {
	if e.kept == nil {
		return e.dynamic(v)
	}
	held := v
	return e.boxed(unsafe.Pointer(&held), v)
}

// boxed reads what the interface variable at p is to hold.
func (d *decoder) boxed(p unsafe.Pointer, iface reflect.Type) (any, error) {
	if d.keep == nil {
		return d.dynamic(iface)
	}
	outer := d.keep.region
	d.keep.region = outer.box(p, len(d.path))
	v, err := d.dynamic(iface)
	d.keep.region = outer
	return v, err
}

// inMap reads a value in a map, which has no address.
func (d *decoder) inMap() (any, error) {
	if d.keep == nil {
		return d.dynamic(anyType)
	}
	return d.boxed(unsafe.Pointer(new(any)), anyType)
}

func (e *Encoder) dynamic(v any) error {
	switch v := v.(type) {
	case nil:
		e.buf = append(e.buf, codeNil)
		return nil
	case bool:
		e.buf = appendBool(e.buf, v)
		return nil
	case string:
		return e.scalar(opString, unsafe.Pointer(&v))
	case int:
		e.buf = appendInt(e.buf, int64(v))
		return nil
	case float64:
		return e.scalar(opFloat64, unsafe.Pointer(&v))
	case []byte:
		if v != nil {
			return e.bin(v)
		}
	case map[string]any:
		if v != nil {
			return e.c.anyMap().enc(e, unsafe.Pointer(&v))
		}
	}
	pl := e.c.planOf(reflect.TypeOf(v))
	if pl.never != nil {
		return e.failNever(pl.never)
	}
	var name string
	var err error
	if pl.kind == kindReference {
		// It is stored as its ID alone, but whoever loads it must know its type.
		_, err = e.c.wireName(pl.elem)
	} else {
		name, err = e.c.wireName(pl)
	}
	if err != nil {
		return &pathError{path: e.where(), errs: []error{err}}
	}
	ptr := (*eface)(unsafe.Pointer(&v)).data
	if pl.kind == kindReference {
		if ptr != nil {
			return e.reference(v)
		}
		if name, err = e.c.wireName(pl); err != nil {
			return &pathError{path: e.where(), errs: []error{err}}
		}
	}
	e.buf = appendStr(append(e.buf, codeFixArray|2), name)
	switch {
	case pl.typ.Kind() == reflect.Pointer || pl.kind == kindMap:
		return pl.enc(e, unsafe.Pointer(&ptr)) // the interface holds the word itself
	case pl.kind == kindScalar || pl.kind == kindSlice || pl.kind == kindBytes:
		return pl.enc(e, ptr)
	}
	// Some structs and arrays are held as words as well, and marshalers must not write into what an
	// interface holds: these are copied.
	tmp := reflect.New(pl.typ)
	tmp.Elem().Set(reflect.ValueOf(v))
	return pl.enc(e, tmp.UnsafePointer())
}

// dynamic reads what is stored in an interface of type iface.
func (d *decoder) dynamic(iface reflect.Type) (any, error) {
	if d.pos < len(d.buf) && d.buf[d.pos] < codeFixMap {
		d.pos++
		return int(d.buf[d.pos-1]), nil
	}
	t := readToken(d.buf[d.pos:])
	switch t.fam {
	case famNil:
		d.pos++
		return nil, nil
	case famBool:
		d.pos++
		return t.n == 1, nil
	case famInt:
		n, err := d.signed(8 * int(unsafe.Sizeof(0)))
		return int(n), err
	case famFloat:
		if t.code == codeFloat64 {
			var f float64
			err := d.scalar(opFloat64, unsafe.Pointer(&f))
			return f, err
		}
	case famStr:
		var s string
		err := d.string(&s)
		return s, err
	case famBin:
		var b []byte
		err := decBytes(d, unsafe.Pointer(&b))
		return b, err
	case famMap:
		return d.anyMap()
	case famExt:
		switch t.ext {
		case extEager:
			obj, _, err := d.target()
			return obj, err
		case extBackref:
			return d.anyMap()
		}
	case famArray:
		return d.typed(t)
	}
	return nil, d.mismatch("a value of type " + iface.String())
}

// anyMap returns the plan of map[string]any.
func (c *Codec) anyMap() *plan {
	pl := c.anyMaps.Load()
	if pl == nil {
		pl = c.planOf(anyMapType)
		c.anyMaps.Store(pl)
	}
	return pl
}

func (d *decoder) anyMap() (any, error) {
	m, err := d.mapping(d.c.anyMap())
	return *(*map[string]any)(unsafe.Pointer(&m)), err
}

// typed reads a value stored with the name of its type.
func (d *decoder) typed(t token) (any, error) {
	if t.n != 2 {
		return nil, d.mismatch("an array of a type and a value")
	}
	d.pos += t.head
	name, err := d.str()
	if err != nil {
		return nil, err
	}
	pl, err := d.c.wirePlan(name)
	if err != nil {
		return nil, &pathError{path: d.where(), errs: []error{err}}
	}
	if d.c.names.aliased.Load() {
		if current, err := d.c.wireName(pl); err != nil || current != string(name) {
			d.old = true // an alias, or composed of one
		}
	}
	// No value has such a type, and it would be depth that nobody counts.
	if pl.kind == kindInterface {
		return nil, d.corrupt("%v as the type of a value", pl.typ)
	}
	if pl.kind == kindArray && d.left() <= pl.typ.Len() {
		return nil, d.corrupt("%v in %d bytes", pl.typ, d.left())
	}
	p := reflect.New(pl.typ).UnsafePointer()
	if err := pl.dec(d, p); err != nil {
		return nil, err
	}
	return pl.interfaceOf(p), nil
}

// interfaceOf returns the value of the variable at p, which nobody else has, in an interface.
func (pl *plan) interfaceOf(p unsafe.Pointer) any {
	// An interface holds either the value, if that is one pointer, or the address of it.
	if (*eface)(unsafe.Pointer(&pl.zero)).data == nil {
		return pl.value(p).Interface()
	}
	return pack(pl.zero, p) // no copy is needed
}
