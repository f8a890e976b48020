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
	id := &pl.base.mapTag
	pl.enc = func(e *Encoder, p unsafe.Pointer) error {
		ptr := *(*unsafe.Pointer)(p)
		if ptr == nil {
			e.buf = append(e.buf, codeNil)
			return nil
		}
		if e.repeat(ptr, id) {
			return nil
		}
		if err := e.enter(pl); err != nil {
			return err
		}
		e.path[len(e.path)-1].m = ptr
		if err := enc(e, p); err != nil {
			return err
		}
		e.leave()
		return nil
	}
	pl.dec = func(d *decoder, p unsafe.Pointer) error {
		if d.nilNext() {
			return nil
		}
		start := d.pos
		if q, err := d.shared(pl, id); q != nil || err != nil {
			*(*unsafe.Pointer)(p) = q
			return err
		}
		if err := d.enter(pl); err != nil {
			return err
		}
		n, err := d.mapLen()
		if err != nil {
			return err
		}
		if err := dec(d, p, n, start); err != nil {
			return err
		}
		d.leave()
		d.recorded(id, start)
		return nil
	}
}

type (
	mapEncoder func(e *Encoder, p unsafe.Pointer) error
	// A mapDecoder makes the map at p, records it for the offset start, and reads n entries.
	mapDecoder func(d *decoder, p unsafe.Pointer, n, start int) error
)

// mapCodec chooses how the entries are handled: maps of strings to common types as what they are,
// all others by reflection.
func (pl *plan) mapCodec() (mapEncoder, mapDecoder) {
	if pl.key.typ == reflect.TypeFor[string]() && pl.key.op == opString {
		switch pl.elem.typ {
		case reflect.TypeFor[string]():
			return stringMap(pl, func(e *Encoder, v string) error { return e.scalar(opString, unsafe.Pointer(&v)) })
		case reflect.TypeFor[int]():
			return stringMap(pl, func(e *Encoder, v int) error { e.buf = appendInt(e.buf, int64(v)); return nil })
		case reflect.TypeFor[int64]():
			return stringMap(pl, func(e *Encoder, v int64) error { e.buf = appendInt(e.buf, v); return nil })
		case reflect.TypeFor[bool]():
			return stringMap(pl, func(e *Encoder, v bool) error { e.buf = appendBool(e.buf, v); return nil })
		case reflect.TypeFor[float64]():
			return stringMap(pl, func(e *Encoder, v float64) error { return e.scalar(opFloat64, unsafe.Pointer(&v)) })
		case anyType:
			return stringMap(pl, (*Encoder).inMap)
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

func stringMap[V any](pl *plan, value func(*Encoder, V) error) (mapEncoder, mapDecoder) {
	enc := func(e *Encoder, p unsafe.Pointer) error {
		m := *(*map[string]V)(p)
		first, depth := len(e.keys), len(e.path)-1
		for k := range m {
			e.keys = append(e.keys, k)
		}
		n := len(e.keys) - first
		slices.SortFunc(e.keys[first:], compareKeys)
		e.buf = appendMapLen(e.buf, n)
		for i := first; i < first+n; i++ {
			e.path[depth].key = unsafe.Pointer(&e.keys[i])
			if err := e.scalar(opString, unsafe.Pointer(&e.keys[i])); err != nil {
				return err
			}
			if err := value(e, m[e.keys[i]]); err != nil {
				return err
			}
			if len(e.buf) > e.limit {
				return e.tooBig(0)
			}
		}
		e.path[depth].key = nil
		clear(e.keys[first:])
		e.keys = e.keys[:first]
		return nil
	}
	dec := func(d *decoder, p unsafe.Pointer, n, start int) error {
		m := make(map[string]V, d.mapRoom(n))
		*(*map[string]V)(p) = m
		d.record(*(*unsafe.Pointer)(p), &pl.base.mapTag, start)
		depth := len(d.path) - 1
		d.path[depth].m = *(*unsafe.Pointer)(p)
		var kv struct {
			key  string
			elem V
		}
		d.path[depth].key = unsafe.Pointer(&kv.key)
		for i := range n {
			s, err := d.str()
			if err != nil {
				d.path[depth].key = nil
				return err
			}
			kv.key = string(s)
			var zero V
			kv.elem = zero
			if pl.elem.op != opNone {
				err = d.scalar(pl.elem.op, unsafe.Pointer(&kv.elem))
			} else {
				err = pl.elem.dec(d, unsafe.Pointer(&kv.elem))
			}
			if err != nil {
				return err
			}
			if m[kv.key] = kv.elem; len(m) != i+1 {
				return d.corrupt("a key that stands twice")
			}
		}
		d.path[depth].key = nil
		return nil
	}
	return enc, dec
}

// mapRoom returns for how many of n entries room is made at once: for as many as what is left of
// the record can well hold.
func (d *decoder) mapRoom(n int) int { return min(n, 8+d.left()/8) }
