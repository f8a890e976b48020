package codec

import (
	"reflect"
	"unsafe"
)

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
	pl.enc = func(e *Encoder, _ *plan, p unsafe.Pointer) error {
		v, err := getForm(pl, p)
		if err != nil {
			return e.failUser("StoredForm", err)
		}
		if err := e.enter(pl); err != nil {
			return err
		}
		if err := form.enc(e, form, v); err != nil {
			return err
		}
		e.leave()
		return nil
	}
	pl.dec = func(d *decoder, _ *plan, p unsafe.Pointer) error {
		if err := d.enter(pl); err != nil {
			return err
		}
		v := reflect.New(form.typ)
		if err := form.dec(d, form, v.UnsafePointer()); err != nil {
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
