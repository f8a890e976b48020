package persistence

import (
	"reflect"
	"unsafe"
	"weak"

	"github.com/brine-go/brine/persistence/driver"
)

// A scope keeps one pointer per ID for one iteration. It holds the objects of the current and
// the previous page. It finds older ones as long as the caller keeps them alive.
type scope struct {
	young, old map[ID]any
	weak       map[ID]weakObject // nil while there are no older ones
	sweepAt    int
}

// A weakObject is a weak pointer to a persistable object of any type.
type weakObject struct {
	p      weak.Pointer[Persistable]
	typ    reflect.Type // of the object
	offset uintptr      // of its Persistable
}

// object returns the pointer for an ID, or nil if the scope has none.
func (sc *scope) object(id ID) any {
	if ptr := sc.young[id]; ptr != nil {
		return ptr
	}
	if ptr := sc.old[id]; ptr != nil {
		return ptr
	}
	w, ok := sc.weak[id]
	if !ok {
		return nil
	}
	p := w.p.Value()
	if p == nil {
		return nil
	}
	return reflect.NewAt(w.typ, unsafe.Add(unsafe.Pointer(p), -int(w.offset))).Interface()
}

// keepForPage is object, and also keeps the object alive as long as those of the current page.
func (sc *scope) keepForPage(id ID) any {
	ptr := sc.object(id)
	if ptr != nil {
		sc.young[id] = ptr
	}
	return ptr
}

// missing returns the records for which the scope has no object.
func (sc *scope) missing(recs []driver.Record) []driver.Record {
	if len(sc.young) == 0 && len(sc.old) == 0 && len(sc.weak) == 0 {
		return recs
	}
	rest := make([]driver.Record, 0, len(recs))
	for _, rec := range recs {
		if sc.keepForPage(rec.ID) == nil {
			rest = append(rest, rec)
		}
	}
	return rest
}

// nextPage starts a new page.
func (sc *scope) nextPage() {
	for id, ptr := range sc.old {
		if o, ok := ptr.(Object); ok && sc.young[id] == nil {
			sc.addWeak(id, o)
		}
	}
	sc.young, sc.old = make(map[ID]any), sc.young
	if len(sc.weak) < sc.sweepAt {
		return
	}
	for id, w := range sc.weak {
		if w.p.Value() == nil {
			delete(sc.weak, id)
		}
	}
	sc.sweepAt = max(4096, 2*len(sc.weak))
}

// keep adds the objects of a finished load to the scope.
func (sc *scope) keep(ld *loader) {
	if len(sc.young) == 0 {
		sc.young = make(map[ID]any, len(ld.order))
	}
	for _, n := range ld.order {
		sc.young[n.rec.ID] = n.ptr
	}
}

// addWeak adds an object without keeping it alive.
func (sc *scope) addWeak(id ID, o Object) {
	if sc.weak == nil {
		sc.weak = make(map[ID]weakObject)
	}
	p := o.persistable()
	sc.weak[id] = weakObject{
		p: weak.Make(p), typ: reflect.TypeOf(o).Elem(),
		offset: uintptr(unsafe.Pointer(p)) - uintptr(reflect.ValueOf(o).UnsafePointer()),
	}
}
