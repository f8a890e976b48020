package codec

import (
	"strconv"
	"unsafe"
)

// What a record holds and the types of this program lack is kept aside while its object is in
// memory, and written back with it. It is found again by the place of the struct that it was a
// field of: the address of the struct or, inside a map or an interface, whose values have none,
// that map or value and the way from there.

// Kept is what a record held besides its object. It does not change once it is made.
type Kept struct {
	store   string                // where references among it are valid
	version int                   // of the record, if this program's is older; else 0
	lost    string                // path of a field that could not be kept, "" if there is none
	split   string                // see Split
	at      map[place]*keptFields // by the struct that they were fields of
	inside  map[place]bool        // these structs, and those that hold them by value
	holders
	images images
}

// Lost returns the path of a field that the record has and that would be gone if the object were
// written over it; "" if there is none.
func (k *Kept) Lost() string {
	if k == nil {
		return ""
	}
	return k.lost
}

// Split returns the path of a kept field that shares a pointer with a field which is none in this
// program, "" if there is none. Writing the object over the record would make two of what they
// share.
func (k *Kept) Split() string {
	if k == nil {
		return ""
	}
	return k.split
}

// Newer returns the version of the record if it is newer than that of the program's type, else 0.
func (k *Kept) Newer() int {
	if k == nil {
		return 0
	}
	return k.version
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
	at   unsafe.Pointer // the struct or, with a way, a map, the value of an interface, or a struct
	pl   *plan          // of the struct; nil: the place of a variable that holds a map or interface
	way  string         // encoded keys and names of fields from there
	into bool           // whether there is a way, which may be empty
}

// holders are the maps of an object, and the structs that interfaces hold, as they were loaded.
// Both are found again wherever they are moved to. A new one takes the place of the one that the
// variable held.
type holders struct {
	known map[unsafe.Pointer]bool
	in    map[place]unsafe.Pointer // by the variable
}

// holder returns what the fields in h are kept by, if the variable holds h; nil if nothing.
func (hs *holders) holder(h unsafe.Pointer, variable place, ok bool) unsafe.Pointer {
	switch {
	case hs.known[h]:
		return h
	case ok:
		return hs.in[variable]
	}
	return nil
}

// A region is a part of an object in which places are found without following pointers: from a
// variable that a pointer leads to, from a map, or from the value of an interface.
type region struct {
	at    unsafe.Pointer // nil: it is not known, and nothing is kept there
	depth int            // length of the path at its beginning
	into  bool           // at is a map or the value of an interface
	elem  bool           // that is in an element of a slice or array
}

// A way is a place in the making.
type way struct {
	at    unsafe.Pointer
	keys  []byte
	into  bool
	moves bool // it is in an element of a slice or array: only what it leads to lasts
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
			case f.pl.size == 0:
				// Several variables without a size may have one address.
				w.into = true
				w.keys = strconv.AppendUint(w.keys, uint64(uintptr(unsafe.Pointer(s.pl))), 16)
				w.keys = append(w.keys, f.key...)
			default:
				if w.at = f.at(w.at); w.at == nil {
					return false
				}
			}
		case kindMap:
			if s.key == nil {
				return false
			}
			key, ok := c.encodeKey(s.pl.key, s.key)
			if !ok {
				return false
			}
			w.keys = append(w.keys, key...)
		case kindSlice, kindArray:
			w.moves = true
		default: // stored forms are made anew each time
			return false
		}
	}
	return true
}

// placeOf returns the place to which path leads, which is the whole path, of a struct of pl or, if
// pl is nil, of another variable. It reports false for what moves.
func (c *Codec) placeOf(r *region, path []seg, pl *plan) (place, bool) {
	w := way{at: r.at, into: r.into}
	if r.at == nil || !w.follow(c, path[r.depth:]) || w.moves {
		return place{}, false
	}
	return place{at: w.at, pl: pl, way: string(w.keys), into: w.into}, true
}

// encodeKey returns the encoding of a map's key by itself. It reports false for one that has none.
func (c *Codec) encodeKey(pl *plan, p unsafe.Pointer) ([]byte, bool) {
	if pl.shared {
		return nil, false
	}
	e := Encoder{c: c, root: pl.typ, limit: maxKeptKey, maxBytes: maxKeptKey, maxDepth: 64}
	if err := pl.enc(&e, pl, p); err != nil {
		return nil, false
	}
	return e.buf, true
}

// maxKeptKey bounds the keys of maps by which fields are kept.
const maxKeptKey = 1 << 16

// hold returns the region of h, a map or the value of an interface, which the variable holds that
// the path leads to. A nil h is one that cannot be told from others.
func (e *Encoder) hold(h unsafe.Pointer) region {
	variable, ok := e.c.placeOf(&e.region, e.path, nil)
	at := e.kept.holder(h, variable, ok)
	if at != nil && !e.isolated {
		e.visits.held[at] = true
	}
	return region{at: at, depth: len(e.path), into: true}
}

// hold is the same while the object is made, for the variable that path leads to.
func (d *decoder) hold(h unsafe.Pointer, path []seg) region {
	k := d.keep
	variable, ok := d.c.placeOf(&k.region, path, nil)
	if ok {
		k.in[variable] = h
	}
	k.known[h] = true
	return region{at: h, depth: len(path), into: true, elem: !ok || k.region.elem}
}

// madeMap remembers m, a map that was made for the value that begins at off, and makes it the
// region. The path leads into it.
func (d *decoder) madeMap(pl *plan, m unsafe.Pointer, off int) {
	d.record(m, &pl.base.mapTag, off)
	if d.keep != nil {
		d.keep.region = d.hold(m, d.path[:len(d.path)-1])
	}
}

// heldApart reports whether an interface holds a struct of pl in memory of its own. Some are held
// as the pointer that is all they are, and all those without a size have one address.
func (pl *plan) heldApart() bool {
	return pl.size > 0 && (*eface)(unsafe.Pointer(&pl.zero)).data != nil
}
