package codec

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"unsafe"
)

// A map is a msgpack map, sorted by encoded keys, or nil; encoded again, it is a back-reference.
// Keys are encoded first, then sorted, then written with their values in that order, so that
// equal maps give equal bytes.

func buildMap(pl *plan) {
	enc, dec := pl.mapCodec()
	pl.decMap = dec
	pl.keys, pl.vals = reflect.SliceOf(pl.key.typ), reflect.SliceOf(pl.elem.typ)
	id := &pl.base.mapTag
	pl.enc = func(e *Encoder, _ *plan, p unsafe.Pointer) error {
		ptr := *(*unsafe.Pointer)(p)
		if ptr == nil {
			e.buf = append(e.buf, codeNil)
			return nil
		}
		if e.repeat(ptr, id) {
			return nil
		}
		var outer region
		if e.kept != nil {
			outer, e.region = e.region, e.hold(ptr)
		}
		if err := e.enter(pl); err != nil {
			return err
		}
		if err := enc(e, p); err != nil {
			return err
		}
		e.leave()
		if e.kept != nil {
			e.region = outer
		}
		return nil
	}
	pl.dec = func(d *decoder, _ *plan, p unsafe.Pointer) error {
		m, err := d.mapping(pl)
		*(*unsafe.Pointer)(p) = m
		return err
	}
}

// mapping reads a map and returns it: nil for a nil and, in part, after an error.
func (d *decoder) mapping(pl *plan) (unsafe.Pointer, error) {
	if d.nilNext() {
		return nil, nil
	}
	id, start := &pl.base.mapTag, d.pos
	if m, err := d.shared(pl, id); m != nil || err != nil {
		if m != nil && d.keep != nil {
			d.hold(m, d.path)
		}
		return m, err
	}
	if err := d.enter(pl); err != nil {
		return nil, err
	}
	n, err := d.mapLen()
	if err != nil {
		return nil, err
	}
	var outer region
	if d.keep != nil {
		outer = d.keep.region
	}
	m, err := pl.decMap(d, n, start)
	if err != nil {
		return m, err
	}
	if d.keep != nil {
		d.keep.region = outer
	}
	d.leave()
	d.recorded(id, start)
	return m, nil
}

type (
	mapEncoder func(e *Encoder, p unsafe.Pointer) error
	// A mapDecoder makes a map, records it for the offset start, and reads n entries. It returns
	// the map with an error too.
	mapDecoder func(d *decoder, n, start int) (unsafe.Pointer, error)
)

// mapCodec chooses how the entries are handled: maps of strings to common types as what they are,
// all others by reflection.
func (pl *plan) mapCodec() (mapEncoder, mapDecoder) {
	if pl.key.typ == reflect.TypeFor[string]() && pl.key.op == opString {
		switch pl.elem.typ {
		case reflect.TypeFor[string]():
			return encScalars[string](opString), decStrings(pl, decScalar[string](opString))
		case reflect.TypeFor[int]():
			return encScalars[int](pl.elem.op), decStrings(pl, decScalar[int](pl.elem.op))
		case reflect.TypeFor[int64]():
			return encScalars[int64](opInt64), decStrings(pl, decScalar[int64](opInt64))
		case reflect.TypeFor[bool]():
			return encScalars[bool](opBool), decStrings(pl, decScalar[bool](opBool))
		case reflect.TypeFor[float64]():
			return encScalars[float64](opFloat64), decStrings(pl, decScalar[float64](opFloat64))
		case anyType:
			return encAnything, decStrings(pl, func(d *decoder) (any, error) { return d.dynamic(anyType) })
		}
	}
	return pl.encEntries, pl.decEntries
}

// compareKeys orders strings as their encodings are ordered: the shorter first.
func compareKeys(a, b string) int {
	if c := cmp.Compare(len(a), len(b)); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

// pushKeys puts the sorted keys of m on top of those of the maps around it.
func pushKeys[V any](e *Encoder, m map[string]V) {
	first := len(e.keys)
	for k := range m {
		e.keys = append(e.keys, k)
	}
	slices.SortFunc(e.keys[first:], compareKeys)
}

func (e *Encoder) popKeys(first int) {
	clear(e.keys[first:])
	e.keys = e.keys[:first]
}

// encScalars is for maps whose values are scalars: they have no errors but that of the limit.
func encScalars[V any](o op) mapEncoder {
	return func(e *Encoder, p unsafe.Pointer) error {
		m := *(*map[string]V)(p)
		first := len(e.keys)
		pushKeys(e, m)
		e.buf = appendMapLen(e.buf, len(m))
		for i := range e.keys[first:] {
			key := &e.keys[first+i]
			if err := e.scalar(opString, unsafe.Pointer(key)); err != nil {
				return err
			}
			v := m[*key]
			if err := e.scalar(o, unsafe.Pointer(&v)); err != nil {
				return err
			}
			if len(e.buf) > e.limit {
				return e.tooBig(0)
			}
		}
		e.popKeys(first)
		return nil
	}
}

// encAnything is for maps of values of any type.
func encAnything(e *Encoder, p unsafe.Pointer) error {
	m := *(*map[string]any)(p)
	first, depth := len(e.pairs), len(e.path)-1
	for k, v := range m {
		e.pairs = append(e.pairs, anyEntry{k, v})
	}
	n := len(e.pairs) - first
	slices.SortFunc(e.pairs[first:], func(a, b anyEntry) int { return compareKeys(a.key, b.key) })
	e.buf = appendMapLen(e.buf, n)
	for i := first; i < first+n; i++ {
		at := &e.pairs[i]
		e.path[depth].key = unsafe.Pointer(&at.key)
		if err := e.scalar(opString, unsafe.Pointer(&at.key)); err != nil {
			return err
		}
		if err := e.dynamic(at.val); err != nil {
			return err
		}
		if len(e.buf) > e.limit {
			return e.tooBig(0)
		}
	}
	e.path[depth].key = nil
	clear(e.pairs[first:])
	e.pairs = e.pairs[:first]
	return nil
}

// An anyEntry is an entry of a map of values of any type.
type anyEntry struct {
	key string
	val any
}

func decStrings[V any](pl *plan, value func(*decoder) (V, error)) mapDecoder {
	return func(d *decoder, n, start int) (unsafe.Pointer, error) {
		m := make(map[string]V, d.mapRoom(n))
		ptr := *(*unsafe.Pointer)(unsafe.Pointer(&m))
		d.madeMap(pl, ptr, start)
		open, depth := len(d.keys), len(d.path)-1
		d.keys = append(d.keys, "")
		for i := range n {
			var key string
			if !d.shortString(&key) {
				d.path[depth].key = nil
				if err := d.string(&key); err != nil {
					return ptr, err
				}
			}
			d.keys[open] = key
			if at := unsafe.Pointer(&d.keys[open]); d.path[depth].key != at {
				d.path[depth].key = at
			}
			v, err := value(d)
			if err != nil {
				return ptr, err
			}
			if m[key] = v; len(m) != i+1 {
				return ptr, d.corrupt("a key that stands twice")
			}
		}
		d.path[depth].key = nil
		d.keys[open] = ""
		d.keys = d.keys[:open]
		return ptr, nil
	}
}

// decScalar returns what reads a value in a map.
func decScalar[V any](o op) func(*decoder) (V, error) {
	return func(d *decoder) (v V, err error) {
		err = d.scalar(o, unsafe.Pointer(&v))
		return v, err
	}
}

// mapRoom returns for how many of n entries room is made at once: for as many as what is left of
// the record can well hold.
func (d *decoder) mapRoom(n int) int { return min(n, 8+d.left()/8) }
