package codec

import (
	"bytes"
	"cmp"
	"errors"
	"reflect"
	"slices"
	"unsafe"

	"github.com/brine-go/brine/persistence/driver"
)

// Entries of maps of any type. Keys are encoded first, then sorted, then written with their values
// in that order.

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

// entryWriter encodes the entries of one map. Keys and values are not addressable in the map, so
// both are copied out of it.
type entryWriter struct {
	e          *Encoder
	pl         *plan
	keys, vals unsafe.Pointer // of arrays
	depth      int            // of the map in e.path
	arena      []byte         // memory of the entries' encodings
	entries    []entry
}

func (w *entryWriter) key(i int) unsafe.Pointer {
	return unsafe.Add(w.keys, uintptr(i)*w.pl.key.size)
}

func (w *entryWriter) val(i int) unsafe.Pointer {
	return unsafe.Add(w.vals, uintptr(i)*w.pl.elem.size)
}

func (w *entryWriter) keyBytes(i int) []byte {
	return unsafe.Slice((*byte)(w.key(i)), w.pl.key.size)
}

// at makes entry i the one that errors name.
func (w *entryWriter) at(i int) { w.e.path[w.depth].key = w.key(i) }

func (pl *plan) encEntries(e *Encoder, p unsafe.Pointer) error {
	m := pl.value(p)
	n := m.Len()
	if e.isolated && pl.key.shared {
		e.buf = appendMapLen(e.buf, n) // looking further would take exponential time
		return nil
	}
	ks, vs := reflect.MakeSlice(pl.keys, n, n), reflect.MakeSlice(pl.vals, n, n)
	for it, i := m.MapRange(), 0; it.Next(); i++ {
		ks.Index(i).SetIterKey(it)
		vs.Index(i).SetIterValue(it)
	}
	w := entryWriter{e: e, pl: pl, keys: ks.UnsafePointer(), vals: vs.UnsafePointer(), depth: len(e.path) - 1}
	w.borrow(n)
	e.buf = appendMapLen(e.buf, n)
	if err := w.sort(); err != nil {
		return err
	}
	if err := w.write(); err != nil {
		return err
	}
	e.path[w.depth].key = nil
	w.giveBack()
	return nil
}

// maxSpare bounds the memory that an encoder keeps for the entries of maps, in entries and bytes.
const maxSpare = 1 << 12

// borrow takes the encoder's memory for n entries. Of maps inside one another, the outermost has
// it.
func (w *entryWriter) borrow(n int) {
	w.entries, w.arena = w.e.entries, w.e.arena
	w.e.entries, w.e.arena = nil, nil
	w.entries = slices.Grow(w.entries, n)[:n]
}

// giveBack is the end of what borrow began. After an error the memory is not used again.
func (w *entryWriter) giveBack() {
	if cap(w.entries) > maxSpare || cap(w.arena) > maxSpare {
		return
	}
	clear(w.entries)
	w.e.entries, w.e.arena = w.entries[:0], w.arena[:0]
}

// sort encodes the keys and brings the entries into their order.
func (w *entryWriter) sort() error {
	for i := range w.entries {
		w.at(i)
		en := &w.entries[i]
		en.i = i
		var err error
		if w.arena, en.key, en.deep, err = w.e.isolate(w.arena, w.pl.key, w.key(i)); err != nil {
			return err
		}
	}
	slices.SortFunc(w.entries, func(a, b entry) int { return bytes.Compare(a.key, b.key) })
	for i := 0; i < len(w.entries); {
		j := i + 1
		for j < len(w.entries) && bytes.Equal(w.entries[i].key, w.entries[j].key) {
			j++
		}
		if j > i+1 {
			if w.pl.key.kind != kindNever { // else they are generic values
				if err := w.distinct(w.entries[i:j]); err != nil {
					return err
				}
			}
			if err := w.sortByValue(w.entries[i:j]); err != nil {
				return err
			}
		}
		i = j
	}
	return nil
}

// sortByValue orders entries of equal keys, which are NaNs or pointers to equal variables. Where
// the values are equal too, addresses keep the order at least for as long as the keys live.
func (w *entryWriter) sortByValue(equal []entry) error {
	for k := range equal {
		w.at(equal[k].i)
		var err error
		if w.arena, equal[k].elem, _, err = w.e.isolate(w.arena, w.pl.elem, w.val(equal[k].i)); err != nil {
			return err
		}
	}
	slices.SortFunc(equal, func(a, b entry) int {
		return cmp.Or(bytes.Compare(a.elem, b.elem), bytes.Compare(w.keyBytes(a.i), w.keyBytes(b.i)))
	})
	return nil
}

// write appends the sorted entries.
func (w *entryWriter) write() error {
	e := w.e
	for _, en := range w.entries {
		w.at(en.i)
		if en.deep {
			if err := w.pl.key.enc(e, w.pl.key, w.key(en.i)); err != nil {
				return err
			}
		} else {
			e.buf = append(e.buf, en.key...)
		}
		if err := w.pl.elem.enc(e, w.pl.elem, w.val(en.i)); err != nil {
			return err
		}
		if len(e.buf) > e.limit {
			return e.tooBig(0)
		}
	}
	return nil
}

// isolate encodes a value as if it came next, copies the bytes to arena, and takes everything
// back. They may be written as they are unless deep is true: then they are the beginning of an
// encoding, or one with pointers or maps not encoded before, whose bytes depend on what is
// encoded before it.
func (e *Encoder) isolate(arena []byte, pl *plan, p unsafe.Pointer) (_, b []byte, deep bool, err error) {
	start, known := len(e.buf), len(e.seen.list)
	if !pl.shared {
		err = pl.enc(e, pl, p)
	} else {
		limit, depth, keys, pairs, isolated, region := e.limit, len(e.path), len(e.keys), len(e.pairs), e.isolated, e.region
		e.limit, e.isolated = min(limit, start+maxSortKey), true
		if err = pl.enc(e, pl, p); errors.Is(err, errSize) {
			clear(e.path[depth:])
			clear(e.keys[keys:])
			clear(e.pairs[pairs:])
			e.path, e.keys, e.pairs, e.region, deep, err = e.path[:depth], e.keys[:keys], e.pairs[:pairs], region, true, nil
		}
		e.limit, e.isolated = limit, isolated
	}
	if err != nil {
		return nil, nil, false, err
	}
	if len(e.seen.list) > known {
		deep = true
		e.seen.rollback(known)
	}
	from := len(arena)
	arena = append(arena, e.buf[start:]...)
	e.buf = e.buf[:start]
	return arena, arena[from:len(arena):len(arena)], deep, nil
}

func (pl *plan) decEntries(d *decoder, n, start int) (unsafe.Pointer, error) {
	m := reflect.MakeMapWithSize(pl.typ, d.mapRoom(n))
	ptr := m.UnsafePointer()
	d.madeMap(pl, ptr, start)
	if n == 0 {
		return ptr, nil // its values may be large: no room for one that does not come
	}
	k, v := reflect.New(pl.key.typ).Elem(), reflect.New(pl.elem.typ).Elem()
	kp, vp := k.Addr().UnsafePointer(), v.Addr().UnsafePointer()
	depth := len(d.path) - 1
	var last, key span // of the encoded keys
	for i := range n {
		if pl.key.op == opNone {
			k.SetZero()
		}
		if pl.elem.op == opNone {
			v.SetZero()
		}
		d.path[depth].key = nil
		last, key.from = key, d.pos
		if err := pl.key.dec(d, pl.key, kp); err != nil {
			return ptr, err
		}
		key.to = d.pos
		d.path[depth].key = kp
		if pl.key.op == opNone && !k.Comparable() {
			return ptr, d.corrupt("a key of type %v, which cannot be one", pl.key.typ)
		}
		if err := pl.elem.dec(d, pl.elem, vp); err != nil {
			return ptr, err
		}
		if m.SetMapIndex(k, v); m.Len() != i+1 {
			return ptr, d.twice(last, key)
		}
	}
	d.path[depth].key = nil
	return ptr, nil
}

// twice reports that an entry has the key of one before. Keys are sorted by their bytes: those that
// differ there were two keys of the type that wrote them.
func (d *decoder) twice(last, key span) error {
	if bytes.Equal(d.buf[last.from:last.to], d.buf[key.from:key.to]) {
		return d.corrupt("a key that stands twice")
	}
	return d.fail(driver.ErrType, "two keys that are one here")
}
