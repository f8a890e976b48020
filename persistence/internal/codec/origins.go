package codec

import (
	"reflect"
	"unsafe"
)

// Origins tells how generic values of one record were stored, where the values do not say it: as a
// float32, behind an interface, shared. It knows maps and slices by their identity, and others by
// the memory that their interface points to, so that it still knows a value that was moved to
// another field, but not one that was computed. The zero value is ready for use, for one
// [Codec.Generic]. It is for one goroutine.
type Origins struct {
	known map[unsafe.Pointer]origin
}

type origin struct {
	shared    bool             // the record refers back to it
	single    bool             // stored in floats of 32 bits
	plainZone bool             // a time under the name of its location alone, though it would have a mark
	bits      uint64           // these floats
	oddHead   bool             // a list of two with another head than its values would have
	typ       string           // it stood behind an interface with this type
	keys      []unsafe.Pointer // of a map[any]any: its keys in the order of the record
	deep      bool             // that order does not follow from the bytes of each key alone
}

// Shared reports whether the record refers back to v, a map or slice that Generic returned.
func (o *Origins) Shared(v any) bool { return o.of(identityOf(v)).shared }

// Entries returns the keys and values of a map that Generic returned, in the order of the record.
// The order of a map whose keys were changed since is not known: then stored is false.
func (o *Origins) Entries(m map[any]any) (keys, vals []any, stored bool) {
	keys, vals = make([]any, 0, len(m)), make([]any, 0, len(m))
	for k, v := range m {
		keys, vals = append(keys, k), append(vals, v)
	}
	order := o.of(identityOf(m)).keys
	if len(order) != len(m) {
		return keys, vals, false
	}
	rank := make(map[unsafe.Pointer]int, len(order))
	for i, p := range order {
		rank[p] = i
	}
	sorted, sortedVals := make([]any, len(m)), make([]any, len(m))
	for i, k := range keys {
		at, ok := rank[identityOf(k)]
		if !ok {
			return keys, vals, false
		}
		sorted[at], sortedVals[at] = k, vals[i]
	}
	return sorted, sortedVals, true
}

func (o *Origins) of(p unsafe.Pointer) origin {
	if o == nil {
		return origin{}
	}
	return o.known[p]
}

func (o *Origins) has(p unsafe.Pointer) bool {
	_, ok := o.known[p]
	return ok
}

func (o *Origins) set(p unsafe.Pointer, to origin) {
	if o.known == nil {
		o.known = map[unsafe.Pointer]origin{}
	}
	o.known[p] = to
}

// identityOf returns what a value can be recognized by, as long as it lives.
func identityOf(v any) unsafe.Pointer {
	if s, ok := v.([]any); ok {
		return unsafe.Pointer(unsafe.SliceData(s))
	}
	return (*eface)(unsafe.Pointer(&v)).data // of a map, the map itself
}

// known returns v in memory of its own, and remembers where it comes from.
func (g *genericDecoder) known(v any, from origin) any {
	if g.o == nil {
		return v
	}
	v = alone(v)
	g.o.set(identityOf(v), from)
	return v
}

// boxed returns v in memory of its own.
func (g *genericDecoder) boxed(v any) any {
	if g.o == nil || v == nil {
		return v
	}
	if g.o.has(identityOf(v)) {
		return v
	}
	return alone(v)
}

// alone copies a value into memory that no other interface points to. Maps, slices of any and
// pointers have an identity of their own.
func alone(v any) any {
	t := reflect.TypeOf(v)
	switch t.Kind() {
	case reflect.Map, reflect.Pointer:
		return v
	case reflect.Slice:
		if t == anySliceType {
			return v
		}
	}
	p := reflect.New(t)
	p.Elem().Set(reflect.ValueOf(v))
	return pack(v, p.UnsafePointer())
}
