package codec

import (
	"reflect"
	"unsafe"
)

// Structs that an object holds by value, and those in its maps, keep their fields by place. A
// program may move such a struct to another place as a whole. What was kept of it does not go with
// it and would come to belong to what is in its place then, so that is found out: by the memory of
// the struct, which is the same there as it was here, down to the addresses of its texts.

// A structImage is what a struct with kept fields was in memory.
type structImage struct {
	at     place
	copied unsafe.Pointer // keeps what the image has the addresses of
	strong bool           // it has addresses, which no other value has by chance
}

// images are those of the structs of an object. They do not change once they are made.
type images struct {
	of   map[string]*structImage // by plan and memory; nil where several structs are the same
	at   map[place]string
	have map[*plan]bool
}

// add adds the image of the struct of pl at p.
func (im *images) add(pl *plan, p unsafe.Pointer, at place) {
	if im.at == nil {
		im.of, im.at, im.have = map[string]*structImage{}, map[place]string{}, map[*plan]bool{}
	}
	copied := reflect.New(pl.typ)
	copied.Elem().Set(pl.value(p))
	b, strong := pl.memory(nil, copied.UnsafePointer())
	key := string(b)
	im.at[at], im.have[pl] = key, true
	if _, ok := im.of[key]; ok {
		im.of[key] = nil
		return
	}
	im.of[key] = &structImage{at: at, copied: copied.UnsafePointer(), strong: strong}
}

// memory appends pl and the memory of the stored fields of the struct at p. strong says that it
// holds addresses.
func (pl *plan) memory(b []byte, p unsafe.Pointer) (_ []byte, strong bool) {
	tag := pl
	b = append(b, unsafe.Slice((*byte)(unsafe.Pointer(&tag)), unsafe.Sizeof(tag))...)
	for i := range pl.fields {
		f := &pl.fields[i]
		q := f.at(p)
		switch {
		case q == nil:
			b = append(b, 0)
		case f.pl.kind == kindStruct:
			var s bool
			b, s = f.pl.memory(b, q)
			strong = strong || s
		default:
			b = append(b, unsafe.Slice((*byte)(q), f.pl.size)...)
			strong = strong || f.pl.addressed(q)
		}
	}
	return b, strong
}

// addressed reports whether the value at p has the address of something.
func (pl *plan) addressed(p unsafe.Pointer) bool {
	switch pl.kind {
	case kindScalar:
		return pl.op == opString && *(*string)(p) != ""
	case kindSlice, kindBytes, kindMap, kindPointer, kindReference:
		return *(*unsafe.Pointer)(p) != nil
	case kindInterface:
		return (*eface)(p).data != nil
	}
	return false
}

// A move is a struct that has the image of another one.
type move struct {
	to, from place
	path     string
	strong   bool
}

// visits is what an encoder finds of what is kept for an object.
type visits struct {
	used  map[place]bool          // structs with kept fields
	held  map[unsafe.Pointer]bool // maps and values of interfaces
	moves []move
	now   images
}

// visit notes the struct of pl at p, which is at a place if ok.
func (e *Encoder) visit(pl *plan, p unsafe.Pointer, at place, ok bool) {
	if e.isolated {
		return
	}
	if _, kept := e.kept.at[at]; ok && kept {
		e.visits.used[at] = true
	}
	im := &e.kept.images
	if !im.have[pl] {
		return
	}
	b, _ := pl.memory(nil, p)
	if _, has := im.at[at]; ok && has {
		e.visits.now.add(pl, p, at)
		if im.at[at] == string(b) {
			return
		}
	}
	if was := im.of[string(b)]; was != nil && (!ok || was.at != at) {
		e.visits.moves = append(e.visits.moves, move{to: at, from: was.at, path: e.where(), strong: was.strong})
	}
}

// moved returns the path of a struct that was at another place, and is no longer there, "" if there
// is none. Where memory has no addresses only an exchange of fields is taken for one.
func (v *visits) moved(k *Kept) string {
	from := make(map[place]place, len(v.moves))
	for _, m := range v.moves {
		from[m.to] = m.from
	}
	for _, m := range v.moves {
		switch {
		case v.now.at[m.from] == k.images.at[m.from]: // a copy
		case m.strong:
			return m.path
		case !m.to.into && !m.from.into && m.to != (place{}):
			at, ok := m.from, true
			for n := len(from); ok && at != m.to && n > 0; n-- {
				at, ok = from[at]
			}
			if at == m.to {
				return m.path
			}
		}
	}
	return ""
}

// after returns what is kept of an object once it is written: without the entries of maps and the
// values of interfaces that are gone.
func (k *Kept) after(v *visits) *Kept {
	next := *k
	next.images = v.now
	gone := func(at place) bool { return at.into && v.held[at.at] && !v.used[at] }
	next.at = make(map[place]*keptFields, len(k.at))
	for at, f := range k.at {
		if !gone(at) {
			next.at[at] = f
		}
	}
	next.in = make(map[place]unsafe.Pointer, len(k.in))
	for at, h := range k.in {
		if v.held[h] {
			next.in[at] = h
		}
	}
	return &next
}
