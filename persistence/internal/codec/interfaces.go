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
		pl.enc = func(e *Encoder, _ *plan, p unsafe.Pointer) error { return e.dynamic(*(*any)(p)) }
		pl.dec = func(d *decoder, _ *plan, p unsafe.Pointer) error {
			v, err := d.dynamic(pl.typ)
			if err != nil {
				return err
			}
			*(*any)(p) = v
			return nil
		}
		return
	}
	pl.enc = func(e *Encoder, _ *plan, p unsafe.Pointer) error {
		return e.dynamic(pl.value(p).Interface())
	}
	pl.dec = func(d *decoder, _ *plan, p unsafe.Pointer) error {
		v, err := d.dynamic(pl.typ)
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
			pl := e.c.anyMap()
			return pl.enc(e, pl, unsafe.Pointer(&v))
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
		return pl.enc(e, pl, unsafe.Pointer(&ptr)) // the interface holds the word itself
	case pl.kind == kindScalar || pl.kind == kindSlice || pl.kind == kindBytes:
		return pl.enc(e, pl, ptr)
	}
	// Some structs and arrays are held as words as well, and marshalers must not write into what an
	// interface holds: these are copied.
	tmp := reflect.New(pl.typ)
	tmp.Elem().Set(reflect.ValueOf(v))
	if e.kept == nil || pl.kind != kindStruct {
		return pl.enc(e, pl, tmp.UnsafePointer())
	}
	if !pl.heldApart() {
		ptr = nil
	}
	outer := e.region
	e.region = e.hold(ptr)
	err = pl.enc(e, pl, tmp.UnsafePointer())
	e.region = outer
	return err
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
		err := decBytes(d, nil, unsafe.Pointer(&b))
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
	if t.code != codeFixArray|2 {
		return nil, d.mismatch("an array of a type and a value")
	}
	start := d.pos
	d.pos += t.head
	name, err := d.str()
	if err != nil {
		return nil, err
	}
	if standsAlone(unsafe.String(unsafe.SliceData(name), len(name)), readToken(d.buf[d.pos:]).fam) {
		d.pos = start
		return nil, d.mismatch("an array of a type and a value") // it is a list of two
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
	if d.keep != nil && pl.kind == kindStruct {
		return d.keptBox(pl, p)
	}
	if err := pl.dec(d, pl, p); err != nil {
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

// keptBox reads a struct into the variable at p, and returns the interface that holds it.
func (d *decoder) keptBox(pl *plan, p unsafe.Pointer) (any, error) {
	held := p
	if !pl.heldApart() {
		held = unsafe.Pointer(new(byte)) // it is found by the variable alone
	}
	outer := d.keep.region
	d.keep.region = d.hold(held, d.path)
	if err := pl.dec(d, pl, p); err != nil {
		return nil, err
	}
	d.keep.region = outer
	return pl.interfaceOf(p), nil
}
