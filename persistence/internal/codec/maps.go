package codec

import (
	"bytes"
	"cmp"
	"errors"
	"reflect"
	"slices"
	"strings"
	"unsafe"
)

// A map is a msgpack map, sorted by encoded keys, or nil; met again, a back-reference. Keys are
// encoded first, then sorted, then written with their values in that order, so that equal maps give equal bytes.

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
			return stringMap(pl, (*Encoder).dynamic)
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

// mapRoom returns for how many of n entries room is made at once: for as many as what is left of the
// record can well hold.
func (d *decoder) mapRoom(n int) int { return min(n, 8+d.left()/8) }

// entry is an entry of a map while it is sorted.
type entry struct {
	key  []byte // encoded by itself
	elem []byte // the same, made only to tell equal keys apart
	i    int
	deep bool // key is not yet the encoding of the key, only what it is sorted by
}

// maxSortKey bounds what of a key that leads to others is looked at for sorting, so that a graph of
// pointers that are keys takes no more than that for each of them.
const maxSortKey = 16 << 10

func (pl *plan) encEntries(e *Encoder, p unsafe.Pointer) error {
	m := reflect.NewAt(pl.typ, p).Elem()
	n := m.Len()
	if e.isolated && pl.key.shared {
		e.buf = appendMapLen(e.buf, n) // looking further would take exponential time
		return nil
	}
	// Keys and values are not addressable in the map: both are copied out.
	ks := reflect.MakeSlice(reflect.SliceOf(pl.key.typ), n, n)
	vs := reflect.MakeSlice(reflect.SliceOf(pl.elem.typ), n, n)
	kp, vp := ks.UnsafePointer(), vs.UnsafePointer()
	for it, i := m.MapRange(), 0; it.Next(); i++ {
		ks.Index(i).SetIterKey(it)
		vs.Index(i).SetIterValue(it)
	}
	keyAt := func(i int) unsafe.Pointer { return unsafe.Add(kp, uintptr(i)*pl.key.size) }
	elemAt := func(i int) unsafe.Pointer { return unsafe.Add(vp, uintptr(i)*pl.elem.size) }
	keyBytes := func(i int) []byte { return unsafe.Slice((*byte)(keyAt(i)), pl.key.size) }
	depth := len(e.path) - 1
	e.buf = appendMapLen(e.buf, n)
	entries := make([]entry, n)
	var arena []byte
	for i := range n {
		e.path[depth].key = keyAt(i)
		en := &entries[i]
		en.i = i
		var err error
		if arena, en.key, en.deep, err = e.isolate(arena, pl.key, keyAt(i)); err != nil {
			return err
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return bytes.Compare(a.key, b.key) })
	for i := 0; i < n; {
		j := i + 1
		for j < n && bytes.Equal(entries[i].key, entries[j].key) {
			j++
		}
		if j > i+1 { // NaNs, or pointers to equal variables: their values tell the order
			for k := i; k < j; k++ {
				var err error
				e.path[depth].key = keyAt(entries[k].i)
				if arena, entries[k].elem, _, err = e.isolate(arena, pl.elem, elemAt(entries[k].i)); err != nil {
					return err
				}
			}
			// Where these are equal too, addresses keep the order at least for as long as the keys live.
			slices.SortFunc(entries[i:j], func(a, b entry) int {
				return cmp.Or(bytes.Compare(a.elem, b.elem), bytes.Compare(keyBytes(a.i), keyBytes(b.i)))
			})
		}
		i = j
	}
	for _, en := range entries {
		e.path[depth].key = keyAt(en.i)
		if en.deep {
			if err := pl.key.enc(e, keyAt(en.i)); err != nil {
				return err
			}
		} else {
			e.buf = append(e.buf, en.key...)
		}
		if err := pl.elem.enc(e, elemAt(en.i)); err != nil {
			return err
		}
		if len(e.buf) > e.limit {
			return e.tooBig(0)
		}
	}
	e.path[depth].key = nil
	return nil
}

// isolate encodes a value as if it came next, copies the bytes to arena, and takes everything back. They may be
// written as they are unless deep is true: then they are the beginning of an encoding, or one with pointers or
// maps not met before, for which it matters what stands before it.
func (e *Encoder) isolate(arena []byte, pl *plan, p unsafe.Pointer) (_, b []byte, deep bool, err error) {
	start, known := len(e.buf), len(e.seen.met)
	if !pl.shared {
		err = pl.enc(e, p)
	} else {
		limit, depth, keys, isolated := e.limit, len(e.path), len(e.keys), e.isolated
		e.limit, e.isolated = min(limit, start+maxSortKey), true
		if err = pl.enc(e, p); errors.Is(err, errSize) {
			clear(e.path[depth:])
			clear(e.keys[keys:])
			e.path, e.keys, deep, err = e.path[:depth], e.keys[:keys], true, nil
		}
		e.limit, e.isolated = limit, isolated
	}
	if err != nil {
		return nil, nil, false, err
	}
	if len(e.seen.met) > known {
		deep = true
		e.seen.rollback(known)
	}
	from := len(arena)
	arena = append(arena, e.buf[start:]...)
	e.buf = e.buf[:start]
	return arena, arena[from:len(arena):len(arena)], deep, nil
}

func (pl *plan) decEntries(d *decoder, p unsafe.Pointer, n, start int) error {
	m := reflect.MakeMapWithSize(pl.typ, d.mapRoom(n))
	reflect.NewAt(pl.typ, p).Elem().Set(m)
	d.record(*(*unsafe.Pointer)(p), &pl.base.mapTag, start)
	if n == 0 {
		return nil // its values may be large: no room for one that does not come
	}
	k, v := reflect.New(pl.key.typ).Elem(), reflect.New(pl.elem.typ).Elem()
	kp, vp := k.Addr().UnsafePointer(), v.Addr().UnsafePointer()
	depth := len(d.path) - 1
	for i := range n {
		k.SetZero()
		v.SetZero()
		d.path[depth].key = nil
		if err := pl.key.dec(d, kp); err != nil {
			return err
		}
		d.path[depth].key = kp
		if !k.Comparable() {
			return d.corrupt("a key of type %v, which cannot be one", pl.key.typ)
		}
		if err := pl.elem.dec(d, vp); err != nil {
			return err
		}
		if m.SetMapIndex(k, v); m.Len() != i+1 {
			return d.corrupt("a key that stands twice")
		}
	}
	d.path[depth].key = nil
	return nil
}
