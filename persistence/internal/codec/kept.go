package codec

import (
	"cmp"
	"slices"
	"unsafe"
)

// What a record holds and the types of this program lack is kept aside while its object is in
// memory, and written back with it. It is found again by the place of the struct that it was a
// field of: the address of the struct or, inside a map or an interface, whose values have none, the
// address of the variable that holds those and the way from there.

// Kept is what a record held besides its object. It does not change once it is made.
type Kept struct {
	store   string                // where references among it are valid
	version int                   // of the record, if this program's is older; else 0
	at      map[place]*keptFields // by the struct that they were fields of
	lost    string                // path of a field that could not be kept, "" if there is none
	structs []structAt            // the places in at that are structs with an address, sorted
}

// Lost returns the path of a field that the record has and that would be gone if the object were
// written over it; "" if there is none.
func (k *Kept) Lost() string {
	if k == nil {
		return ""
	}
	return k.lost
}

// Newer returns the version of the record if it is newer than that of the program's type, else 0.
func (k *Kept) Newer() int {
	if k == nil {
		return 0
	}
	return k.version
}

// A structAt is a struct at an address.
type structAt struct {
	addr uintptr
	pl   *plan
}

// keptFields are the unknown fields of one struct, sorted by encoded name. They do not change once
// they are made: copies of a struct may share them.
type keptFields struct {
	store  string // where references among them are valid
	fields []keptField
}

type keptField struct {
	key   string // name as msgpack string
	value rawValue
}

// A place is where a struct is, in terms that last while the program changes the object.
type place struct {
	at   unsafe.Pointer // the struct or, with a way, the map or interface variable, or the map
	pl   *plan          // of the struct
	way  string         // encoded keys and names of fields from there
	into bool           // whether there is a way, which may be empty
}

// A region is a part of an object in which places are found without following pointers: from a
// variable that a pointer leads to, or from the value in an interface.
type region struct {
	at    unsafe.Pointer // the variable
	depth int            // length of the path at its beginning
	boxed *region        // not nil: the region that holds the interface
}

// box returns the region of the value that the interface variable at p, inside r, holds.
func (r *region) box(p unsafe.Pointer, depth int) region {
	outer := *r
	return region{at: p, depth: depth, boxed: &outer}
}

// A way is a place in the making.
type way struct {
	at    unsafe.Pointer
	keys  []byte
	into  bool
	moves bool           // it is in an element of a slice or array: only what it leads to lasts
	elem  bool           // the way led through such an element
	m     unsafe.Pointer // the last map on the way: with keys[from:], another name of the place
	from  int
}

// follow continues w along path, the steps from one value of a region to another inside it. It
// reports false where the way does not last.
func (w *way) follow(c *Codec, path []seg) bool {
	for i := range path {
		s := &path[i]
		switch s.pl.kind {
		case kindStruct:
			if s.i < 0 {
				return false
			}
			f := &s.pl.fields[s.i]
			switch {
			case w.moves:
			case w.into:
				w.keys = append(w.keys, f.key...)
			default:
				if w.at = f.at(w.at); w.at == nil {
					return false
				}
			}
		case kindMap:
			if s.key == nil || s.m == nil {
				return false
			}
			w.m, w.from = s.m, len(w.keys)
			if w.moves {
				w.at, w.keys, w.from, w.moves = s.m, nil, 0, false
			}
			w.into = true
			key, ok := c.encodeKey(s.pl.key, s.key)
			if !ok {
				return false
			}
			w.keys = append(w.keys, key...)
		case kindSlice, kindArray:
			w.moves, w.elem, w.m = true, true, nil
		default: // stored forms are made anew each time
			return false
		}
	}
	return true
}

// wayTo returns the way from the beginning of r along path, which is the whole path.
func (c *Codec) wayTo(r *region, path []seg) (way, bool) {
	if r.boxed == nil {
		w := way{at: r.at}
		return w, w.follow(c, path[r.depth:])
	}
	w, ok := c.wayTo(r.boxed, path[:r.depth])
	if !ok {
		return w, false
	}
	if !w.into && !w.moves {
		w.at, w.into = r.at, true
	}
	return w, w.follow(c, path[r.depth:])
}

// placeOf returns the place of a struct of pl, which path leads to and whose own step is the last.
// A second place, if it has one, names it too: a map may be in another variable by the time that
// the struct is encoded. placeOf reports false for a struct that moves. elem: it is in a map in an
// element of a slice, and lasts only as long as the program keeps that map.
func (c *Codec) placeOf(r *region, path []seg, pl *plan) (first, second place, elem, ok bool) {
	w, ok := c.wayTo(r, path[:len(path)-1])
	if !ok || w.moves {
		return place{}, place{}, false, false
	}
	first = place{at: w.at, pl: pl, way: string(w.keys), into: w.into}
	if w.m != nil {
		second = place{at: w.m, pl: pl, way: string(w.keys[w.from:]), into: true}
	}
	return first, second, w.elem, true
}

// encodeKey returns the encoding of a map's key by itself. It reports false for one that has none.
func (c *Codec) encodeKey(pl *plan, p unsafe.Pointer) ([]byte, bool) {
	if pl.shared {
		return nil, false
	}
	e := Encoder{c: c, root: pl.typ, limit: maxKeptKey, maxBytes: maxKeptKey, maxDepth: 64}
	if err := pl.enc(&e, p); err != nil {
		return nil, false
	}
	return e.buf, true
}

// maxKeptKey bounds the keys of maps by which fields are kept.
const maxKeptKey = 1 << 16

// fields returns what is kept for the struct at the end of path.
func (k *Kept) fields(c *Codec, r *region, path []seg, pl *plan) *keptFields {
	first, second, _, ok := c.placeOf(r, path, pl)
	if !ok {
		return nil
	}
	if f := k.at[first]; f != nil || second.at == nil {
		return f
	}
	return k.at[second]
}

// index makes k ready for within. The places in k.at keep the structs where they are.
func (k *Kept) index() {
	for at := range k.at {
		if !at.into {
			k.structs = append(k.structs, structAt{uintptr(at.at), at.pl})
		}
	}
	slices.SortFunc(k.structs, func(a, b structAt) int { return cmp.Compare(a.addr, b.addr) })
}

// within reports whether something is kept for the struct of pl at p, or for one in it by value.
func (k *Kept) within(p unsafe.Pointer, pl *plan) bool {
	i, _ := slices.BinarySearchFunc(k.structs, uintptr(p), func(s structAt, p uintptr) int { return cmp.Compare(s.addr, p) })
	for ; i < len(k.structs) && k.structs[i].addr-uintptr(p) < pl.size; i++ {
		// A struct that begins with this one has the same address.
		if k.structs[i].addr != uintptr(p) || pl.begins(k.structs[i].pl) {
			return true
		}
	}
	return false
}

// begins reports whether a struct of pl is one of other, or begins with one.
func (pl *plan) begins(other *plan) bool {
	if pl == other {
		return true
	}
	return pl.kind == kindStruct && slices.ContainsFunc(pl.fields, func(f field) bool {
		return f.off == 0 && f.via == nil && f.pl.begins(other)
	})
}
