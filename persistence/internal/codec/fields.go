package codec

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unsafe"
)

// field is one stored field of a struct type, its own or one promoted from an embedded struct.
type field struct {
	name string // as stored
	key  string // name as msgpack string
	pl   *plan
	op   op
	omit bool      // leave it out when empty
	off  uintptr   // behind the last step of via, or in the struct itself
	via  []viaStep // embedded pointers on the way
}

// viaStep is an embedded pointer that a promoted field is reached through.
type viaStep struct {
	off  uintptr
	elem reflect.Type
}

// at returns where the field of the struct at p is, nil behind an embedded pointer that is nil.
func (f *field) at(p unsafe.Pointer) unsafe.Pointer {
	for i := range f.via {
		if p = *(*unsafe.Pointer)(unsafe.Add(p, f.via[i].off)); p == nil {
			return nil
		}
	}
	return unsafe.Add(p, f.off)
}

// make is at, but allocates embedded structs that are missing.
func (f *field) make(p unsafe.Pointer) unsafe.Pointer {
	for i := range f.via {
		q := (*unsafe.Pointer)(unsafe.Add(p, f.via[i].off))
		if *q == nil {
			*q = reflect.New(f.via[i].elem).UnsafePointer()
		}
		p = *q
	}
	return unsafe.Add(p, f.off)
}

// stored reports whether the field belongs into the encoding of the struct at p, and where it is.
func (f *field) stored(p unsafe.Pointer) (unsafe.Pointer, bool) {
	q := f.at(p)
	if q == nil || f.omit && f.pl.empty(q) {
		return nil, false
	}
	return q, true
}

// empty reports whether omitempty leaves the value at p out: false, 0, nil, an empty string,
// slice or map, an array without elements, and a struct that is zero in every bit that is kept.
func (pl *plan) empty(p unsafe.Pointer) bool {
	v := reflect.NewAt(pl.typ, p).Elem()
	switch v.Kind() {
	case reflect.String, reflect.Slice, reflect.Map, reflect.Array:
		return v.Len() == 0
	case reflect.Float32, reflect.Float64:
		return v.Float() == 0
	}
	return v.IsZero()
}

// candidate is a field found while embedded structs are walked.
type candidate struct {
	field
	typ    reflect.Type
	depth  int
	tagged bool
}

// structFields returns the stored fields of struct type t, sorted by encoded name: embedded structs are
// flattened, and conflicts are resolved, as encoding/json does it. pl is filled in by the caller.
func (cp *compiler) structFields(t reflect.Type) []candidate {
	type level struct {
		typ reflect.Type
		off uintptr
		via []viaStep
	}
	var found []candidate
	visited := map[reflect.Type]bool{}
	next := []level{{typ: t}}
	for depth := 0; len(next) > 0; depth++ {
		current := next
		next = nil
		times := map[reflect.Type]int{}
		for _, l := range current {
			// A type that stands twice at one depth yields each of its fields twice, so that they
			// cancel out; a third time would add nothing.
			if visited[l.typ] || times[l.typ] == 2 {
				continue
			}
			times[l.typ]++
			for i := range l.typ.NumField() {
				sf := l.typ.Field(i)
				name, omit, skip := parseTag(sf.Tag.Get("msgpack"))
				if skip {
					continue
				}
				off, visible := l.off+sf.Offset, sf.IsExported()
				if sf.Anonymous {
					inner, via, step := sf.Type, l.via, off
					if inner.Kind() == reflect.Pointer {
						inner = inner.Elem()
						via = append(slices.Clip(via), viaStep{off: off, elem: inner})
						step = 0
					}
					if inner == cp.c.identity {
						continue
					}
					// A name, or a form of its own, makes it a field like any other.
					if name == "" && inner.Kind() == reflect.Struct && cp.flattens(inner) {
						next = append(next, level{inner, step, via})
						continue
					}
					visible = visible || inner.Kind() == reflect.Struct
				}
				if !visible {
					continue
				}
				cand := candidate{field: field{name: name, omit: omit, off: off, via: l.via}, typ: sf.Type, depth: depth, tagged: name != ""}
				if name == "" {
					cand.name = sf.Name
				}
				cand.key = string(appendStr(nil, cand.name))
				found = append(found, cand)
			}
		}
		for _, l := range current {
			visited[l.typ] = true
		}
	}
	return dominant(found)
}

// flattens reports whether the fields of an embedded struct are promoted; one with a form of its
// own is stored as a field named after its type.
func (cp *compiler) flattens(t reflect.Type) bool {
	return cp.kindOf(t) == kindStruct
}

// dominant keeps of each name the field that Go's rules promote: the shallowest, among those the tagged
// one; where that leaves several, none.
func dominant(found []candidate) []candidate {
	slices.SortStableFunc(found, func(a, b candidate) int {
		return cmp.Or(strings.Compare(a.key, b.key), cmp.Compare(a.depth, b.depth), cmp.Compare(rank(!a.tagged), rank(!b.tagged)))
	})
	out := found[:0]
	for i := 0; i < len(found); {
		j := i + 1
		for j < len(found) && found[j].key == found[i].key {
			j++
		}
		if j == i+1 || found[i].depth != found[i+1].depth || found[i].tagged != found[i+1].tagged {
			out = append(out, found[i])
		}
		i = j
	}
	return out
}

func rank(b bool) int {
	if b {
		return 1
	}
	return 0
}

// parseTag reads a tag name,omitempty. Options it does not know are ignored.
func parseTag(tag string) (name string, omit, skip bool) {
	if tag == "-" {
		return "", false, true
	}
	name, opts, _ := strings.Cut(tag, ",")
	for opt := range strings.SplitSeq(opts, ",") {
		omit = omit || opt == "omitempty"
	}
	return name, omit, false
}

// Persistable reports whether struct type t embeds the identity type by value, itself or through structs it embeds by
// value. An embedding that is ambiguous, by pointer or through an interface is ErrUnstorable. t may
// be of any kind; all but structs are not persistable.
func (c *Codec) Persistable(t reflect.Type) (bool, error) {
	if t == nil || t.Kind() != reflect.Struct {
		return false, nil
	}
	pl := c.planOf(t)
	if pl.kind == kindNever && !pl.persistable && t != c.identity {
		return false, pl.never.under(t)
	}
	return pl.persistable, nil
}

func (c *Codec) persistable(t reflect.Type) (bool, error) {
	n, err := c.identities(t, map[reflect.Type]bool{t: true})
	if err == nil && n > 1 {
		err = fmt.Errorf("%v embeds %v more than once", t, c.identity)
	}
	return n == 1, err
}

// identities counts the ways by which t embeds the identity. above are the types it is embedded in.
func (c *Codec) identities(t reflect.Type, above map[reflect.Type]bool) (int, error) {
	n := 0
	for i := range t.NumField() {
		sf := t.Field(i)
		if !sf.Anonymous {
			continue
		}
		inner := sf.Type
		switch inner.Kind() {
		case reflect.Interface:
			if inner.NumMethod() > 0 && reflect.PointerTo(c.identity).Implements(inner) {
				return 0, fmt.Errorf("%v embeds interface %v: embed %v by value", t, inner, c.identity)
			}
		case reflect.Pointer:
			inner = inner.Elem()
			if inner == c.identity {
				return 0, fmt.Errorf("%v embeds %v by pointer: embed it by value", t, c.identity)
			}
			if inner.Kind() != reflect.Struct || above[inner] {
				continue
			}
			above[inner] = true
			m, err := c.identities(inner, above)
			delete(above, inner)
			if err != nil {
				return 0, err
			}
			if m > 0 {
				return 0, fmt.Errorf("%v embeds %v by pointer: embed it by value, or name the field", t, inner)
			}
		case reflect.Struct:
			if inner == c.identity {
				n++
				continue
			}
			above[inner] = true
			m, err := c.identities(inner, above)
			delete(above, inner)
			if err != nil {
				return 0, err
			}
			n += m
		}
	}
	return n, nil
}
