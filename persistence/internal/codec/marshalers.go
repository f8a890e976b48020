package codec

import (
	"bytes"
	"encoding"
	"fmt"
	"reflect"
	"unsafe"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/vmihailenco/msgpack/v5"
)

// A type with marshalers of its own is what they make of it: msgpack and binary ones as msgpack bin, text
// as a string, so that each reads its own bytes and no others.

func buildMarshaler(pl *plan) {
	nilable := pl.nilable // then the value is one word, or begins with one, that is nil
	pl.enc = func(e *Encoder, p unsafe.Pointer) error {
		if nilable && *(*unsafe.Pointer)(p) == nil {
			e.buf = append(e.buf, codeNil)
			return nil
		}
		b, err := marshal(pl, p)
		if err != nil {
			return e.failUser(marshalerNames[pl.kind][0], err)
		}
		if pl.kind == kindCustom && !wellFormed(b, e.maxDepth) {
			return e.fail(driver.ErrUnstorable, "EncodeMsgpack wrote what is not msgpack")
		}
		if pl.kind != kindText {
			return e.bin(b)
		}
		if err := e.room(len(b)); err != nil {
			return err
		}
		e.buf = append(appendStrLen(e.buf, len(b)), b...)
		return nil
	}
	pl.dec = func(d *decoder, p unsafe.Pointer) error {
		if nilable && d.nilNext() {
			return nil
		}
		fam, want := famBin, "bytes"
		if pl.kind == kindText {
			fam, want = famStr, "a string"
		}
		b, err := d.content(fam, 0, want)
		if err != nil {
			return err
		}
		// The library's own decoder trusts what it reads: neither depth nor lengths may be lies.
		if pl.kind == kindCustom && !wellFormed(b, d.maxDepth) {
			return d.corrupt("malformed msgpack for DecodeMsgpack")
		}
		if err := unmarshal(pl, p, b); err != nil {
			return d.failUser(marshalerNames[pl.kind][1], err)
		}
		return nil
	}
}

var marshalerNames = map[kind][2]string{
	kindCustom: {"EncodeMsgpack", "DecodeMsgpack"},
	kindBinary: {"MarshalBinary", "UnmarshalBinary"},
	kindText:   {"MarshalText", "UnmarshalText"},
	kindStored: {"StoredForm", "SetStoredForm"},
}

// failUser reports an error of the user's own code.
func (d *decoder) failUser(what string, err error) error {
	return &pathError{path: d.where(), msg: what, errs: []error{driver.ErrCorrupt, err}}
}

// recoverUser makes an error of a panic in the user's own code.
func recoverUser(err *error) {
	if r := recover(); r != nil {
		if cause, ok := r.(error); ok {
			*err = fmt.Errorf("panic: %w", cause)
			return
		}
		*err = fmt.Errorf("panic: %v", r)
	}
}

func marshal(pl *plan, p unsafe.Pointer) (b []byte, err error) {
	defer recoverUser(&err)
	v := pack(pl.ptr, p)
	switch pl.kind {
	case kindBinary:
		return v.(encoding.BinaryMarshaler).MarshalBinary()
	case kindText:
		return v.(encoding.TextMarshaler).MarshalText()
	}
	var buf bytes.Buffer
	err = v.(msgpack.CustomEncoder).EncodeMsgpack(msgpack.NewEncoder(&buf))
	return buf.Bytes(), err
}

// unmarshal gives the user's code a copy of b, which it may keep.
func unmarshal(pl *plan, p unsafe.Pointer, b []byte) (err error) {
	defer recoverUser(&err)
	v := pack(pl.ptr, p)
	switch pl.kind {
	case kindBinary:
		return v.(encoding.BinaryUnmarshaler).UnmarshalBinary(bytes.Clone(b))
	case kindText:
		return v.(encoding.TextUnmarshaler).UnmarshalText(bytes.Clone(b))
	}
	return v.(msgpack.CustomDecoder).DecodeMsgpack(msgpack.NewDecoder(bytes.NewReader(b)))
}

// A storedForm tells how to turn a value into the one that is stored in its place, and back: by its
// methods StoredForm() F and SetStoredForm(F) error. References in F are kept as such.
type storedForm struct {
	typ reflect.Type // F
}

func storedFormOf(t reflect.Type) *storedForm {
	if t.PkgPath() == "" && t.Kind() != reflect.Struct {
		return nil
	}
	pt := reflect.PointerTo(t)
	get, ok := pt.MethodByName("StoredForm")
	if !ok || get.Type.NumIn() != 1 || get.Type.NumOut() != 1 {
		return nil
	}
	form := get.Type.Out(0)
	set, ok := pt.MethodByName("SetStoredForm")
	if !ok || set.Type.NumIn() != 2 || set.Type.IsVariadic() || set.Type.In(1) != form || set.Type.NumOut() != 1 || set.Type.Out(0) != errorType {
		return nil
	}
	return &storedForm{typ: form}
}

func (cp *compiler) classifyStored(pl *plan) {
	pl.form = storedFormOf(pl.typ)
	// A form that leads back to itself has no end.
	for seen, t := map[reflect.Type]bool{}, pl.typ; ; {
		if seen[t] {
			pl.setNever("the stored form of %v is %v again", pl.typ, t)
			return
		}
		seen[t] = true
		if cp.kindOf(t) != kindStored {
			break
		}
		t = storedFormOf(t).typ
	}
	form := cp.plan(pl.form.typ)
	pl.nilable = form.nilable
	pl.counts = true // forms may hold what has a form again
}

func buildStored(pl *plan) {
	form := pl.elem
	pl.enc = func(e *Encoder, p unsafe.Pointer) error {
		v, err := getForm(pl, p)
		if err != nil {
			return e.failUser("StoredForm", err)
		}
		if err := e.enter(pl); err != nil {
			return err
		}
		if err := form.enc(e, v); err != nil {
			return err
		}
		e.leave()
		return nil
	}
	pl.dec = func(d *decoder, p unsafe.Pointer) error {
		if err := d.enter(pl); err != nil {
			return err
		}
		v := reflect.New(form.typ)
		if err := form.dec(d, v.UnsafePointer()); err != nil {
			return err
		}
		d.leave()
		if err := setForm(pl, p, v); err != nil {
			return d.failUser("SetStoredForm", err)
		}
		return nil
	}
}

func getForm(pl *plan, p unsafe.Pointer) (form unsafe.Pointer, err error) {
	defer recoverUser(&err)
	out := reflect.NewAt(pl.typ, p).MethodByName("StoredForm").Call(nil)[0]
	v := reflect.New(pl.form.typ)
	v.Elem().Set(out)
	return v.UnsafePointer(), nil
}

func setForm(pl *plan, p unsafe.Pointer, form reflect.Value) (err error) {
	defer recoverUser(&err)
	out := reflect.NewAt(pl.typ, p).MethodByName("SetStoredForm").Call([]reflect.Value{form.Elem()})[0]
	if cause, ok := out.Interface().(error); ok {
		return cause
	}
	return nil
}
