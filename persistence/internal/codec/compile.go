package codec

import (
	"reflect"
	"unsafe"

	"github.com/brine-go/brine/persistence/driver"
)

// planOf returns the plan of t, compiling it and those of all types it reaches if need be.
func (c *Codec) planOf(t reflect.Type) *plan {
	if pl, ok := c.plans.Load(t); ok {
		return pl.(*plan)
	}
	c.compile.Lock()
	defer c.compile.Unlock()
	cp := compiler{c: c, fresh: map[reflect.Type]*plan{}, settled: map[*plan]bool{}}
	pl := cp.plan(t)
	for len(cp.todo) > 0 {
		next := cp.todo[len(cp.todo)-1]
		cp.todo = cp.todo[:len(cp.todo)-1]
		cp.build(next)
	}
	for _, p := range cp.order {
		cp.settle(p)
	}
	cp.settleShared()
	for _, p := range cp.order {
		p.setText()
	}
	for _, p := range cp.order {
		if p.typ.Name() != "" || p.kind == kindStruct {
			c.note(p.typ)
		}
	}
	for _, p := range cp.order {
		p.done = true
	}
	for t, p := range cp.fresh {
		c.plans.Store(t, p)
	}
	return pl
}

// A compiler makes the plans of a type and of all that it reaches. It works off a list, so that
// neither recursive nor deeply nested types trouble it: plan classifies a type, build completes it.
type compiler struct {
	c       *Codec
	fresh   map[reflect.Type]*plan
	order   []*plan
	todo    []*plan
	settled map[*plan]bool           // of fresh plans
	forms   map[reflect.Type][2]kind // what marshalers found
}

// plan returns the plan of t. Of a fresh one, only what classify sets may be used yet.
func (cp *compiler) plan(t reflect.Type) *plan {
	if pl, ok := cp.c.plans.Load(t); ok {
		return pl.(*plan)
	}
	if pl, ok := cp.fresh[t]; ok {
		return pl
	}
	pl := cp.newPlan(t)
	cp.fresh[t] = pl
	if t.Kind() == reflect.Struct {
		persistable, err := cp.c.persistable(t)
		switch {
		case err != nil:
			pl.setNever("%v", err)
			return pl
		case persistable:
			pl.persistable = true
			pl.body = cp.newPlan(t)
			cp.classify(pl.body)
			pl.setNever("%v is persistable and held by value: hold a pointer", t)
			return pl
		}
	}
	cp.classify(pl)
	return pl
}

// maxZero is the size up to which zero values of reflect are no memory of their own.
const maxZero = 1024

func (cp *compiler) newPlan(t reflect.Type) *plan {
	pl := &plan{typ: t, size: t.Size(), ptr: reflect.Zero(reflect.PointerTo(t)).Interface()}
	if pl.size <= maxZero {
		pl.zero = reflect.Zero(t).Interface()
	}
	pl.body = pl
	pl.version, pl.versionErr = versionOf(t)
	cp.order = append(cp.order, pl)
	cp.todo = append(cp.todo, pl)
	return pl
}

func (pl *plan) setNever(format string, args ...any) {
	pl.kind = kindNever
	pl.never = errAt("", driver.ErrUnstorable, format, args...)
}

// classify sets kind, op, nilable and counts, all that plans of other types need to know while a
// recursive type is compiled.
func (cp *compiler) classify(pl *plan) {
	t := pl.typ
	pl.kind = cp.kindOf(t)
	_, pl.promoted = cp.marshalers(t)
	switch pl.kind {
	case kindScalar:
		pl.op = opOf(t.Kind())
	case kindStruct, kindArray:
		pl.counts = true
	case kindSlice, kindMap:
		pl.counts, pl.nilable = true, true
	case kindBytes, kindNilOnly, kindReference, kindInterface, kindLazy:
		pl.nilable = true
	case kindPointer:
		pl.nilable = true
		// A pointer to what counts itself is free, so that a list of structs costs one step a link.
		// For others cp.plan is safe: such a chain of types ends, or comes back to a fresh plan.
		pl.counts = !structural(t.Elem().Kind())
	case kindCustom, kindBinary, kindText:
		switch t.Kind() {
		case reflect.Slice, reflect.Map, reflect.Func, reflect.Chan:
			pl.nilable = true
		}
	case kindStored:
		cp.classifyStored(pl)
	case kindNever:
		if t == cp.c.identity {
			pl.setNever("%v can only be embedded", t)
		} else {
			pl.setNever("%v values cannot be stored", t)
		}
	}
}

// structural reports whether values of kind k take a step of depth themselves, own marshalers
// aside.
func structural(k reflect.Kind) bool {
	return k == reflect.Struct || k == reflect.Array || k == reflect.Slice || k == reflect.Map
}

func (cp *compiler) kindOf(t reflect.Type) kind {
	k := t.Kind()
	switch {
	case t == timeType:
		return kindTime
	case t == cp.c.identity:
		return kindNever
	case t == linkType, k == reflect.Struct && t.NumField() > 0 && t.Field(0).Type == linkType:
		return kindLazy
	}
	if kind, _ := cp.marshalers(t); kind != kindNever {
		return kind
	}
	switch k {
	case reflect.Struct:
		if t.ConvertibleTo(timeType) {
			return kindTime // a type of its own made from time.Time
		}
		return kindStruct
	case reflect.Slice:
		if cp.isByte(t.Elem()) {
			return kindBytes
		}
		return kindSlice
	case reflect.Array:
		if cp.isByte(t.Elem()) {
			return kindByteArray
		}
		return kindArray
	case reflect.Map:
		return kindMap
	case reflect.Interface:
		return kindInterface
	case reflect.Func, reflect.Chan:
		return kindNilOnly
	case reflect.Uintptr, reflect.UnsafePointer:
		return kindNever
	case reflect.Pointer:
		if cp.plan(t.Elem()).persistable {
			return kindReference
		}
		return kindPointer
	}
	return kindScalar
}

// isByte reports whether values of t are stored as single bytes of a msgpack bin.
func (cp *compiler) isByte(t reflect.Type) bool {
	return t.Kind() == reflect.Uint8 && cp.kindOf(t) == kindScalar
}

// build completes a classified plan.
func (cp *compiler) build(pl *plan) {
	t := pl.typ
	switch pl.kind {
	case kindNever: // settle sets its functions
	case kindScalar:
		o := pl.op
		pl.enc = func(e *Encoder, _ *plan, p unsafe.Pointer) error { return e.scalar(o, p) }
		pl.dec = func(d *decoder, _ *plan, p unsafe.Pointer) error { return d.scalar(o, p) }
	case kindNilOnly:
		buildNilOnly(pl)
	case kindStruct:
		cp.buildStruct(pl)
	case kindBytes:
		cp.plan(t.Elem()) // for its name
		pl.enc, pl.dec = encBytes, decBytes
	case kindByteArray:
		cp.plan(t.Elem())
		buildByteArray(pl)
	case kindSlice:
		pl.elem = cp.plan(t.Elem())
		buildSlice(pl)
	case kindArray:
		pl.elem = cp.plan(t.Elem())
		buildArray(pl)
	case kindMap:
		pl.key, pl.elem, pl.base = cp.plan(t.Key()), cp.plan(t.Elem()), pl
		if t.Name() != "" {
			pl.base = cp.plan(reflect.MapOf(t.Key(), t.Elem()))
		}
		buildMap(pl)
	case kindPointer:
		pl.elem = cp.plan(t.Elem())
		buildPointer(pl)
	case kindReference:
		pl.elem = cp.plan(t.Elem())
		buildReference(pl)
	case kindInterface:
		buildInterface(pl)
	case kindTime:
		pl.enc, pl.dec = encTime, decTime
	case kindLazy:
		pl.enc, pl.dec = encLazy, decLazy
	case kindStored:
		pl.elem = cp.plan(pl.form.typ)
		buildStored(pl)
	case kindCustom, kindBinary, kindText:
		buildMarshaler(pl)
	}
	cp.buildPromoted(pl)
}

// settle finds out whether pl, now built, can never be stored because of what it holds by value.
func (cp *compiler) settle(pl *plan) {
	if pl.done || cp.settled[pl] {
		return
	}
	cp.settled[pl] = true
	within := func(step string, inner *plan) {
		cp.settle(inner)
		if pl.never == nil && inner.never != nil {
			pl.never = &pathError{path: step + inner.never.path, msg: inner.never.msg, errs: inner.never.errs}
		}
	}
	switch pl.kind {
	case kindStruct:
		for i := range pl.fields {
			if f := &pl.fields[i]; !f.omit && !f.zero && f.via == nil {
				within("."+f.name, f.pl)
			}
		}
	case kindArray:
		if pl.typ.Len() > 0 {
			within("[0]", pl.elem)
		}
	case kindStored:
		within("", pl.elem)
	}
	if pl.persistable {
		cp.settle(pl.body)
	}
	if never := pl.never; never != nil {
		pl.enc = func(e *Encoder, _ *plan, _ unsafe.Pointer) error { return e.failNever(never) }
		pl.dec = func(d *decoder, _ *plan, _ unsafe.Pointer) error { return d.failNever(never) }
		pl.op = opNone
	}
}

// settleShared sets shared in the fresh plans: true for pointers, maps and interfaces, and for
// all that holds such by value. What user code makes of a value never holds any.
func (cp *compiler) settleShared() {
	for _, pl := range cp.order {
		switch pl.kind {
		case kindPointer, kindMap, kindInterface, kindStored:
			pl.shared = true
		}
	}
	for changed := true; changed; {
		changed = false
		for _, pl := range cp.order {
			if pl.shared {
				continue
			}
			switch pl.kind {
			case kindStruct:
				for i := range pl.fields {
					pl.shared = pl.shared || pl.fields[i].pl.shared
				}
			case kindSlice, kindArray:
				pl.shared = pl.elem.shared
			}
			changed = changed || pl.shared
		}
	}
}
