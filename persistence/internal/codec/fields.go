package codec

import (
	"cmp"
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
	off  uintptr   // after the last step of via, or in the struct itself
	via  []viaStep // embedded pointers on the way
}

// viaStep is an embedded pointer that a promoted field is reached through.
type viaStep struct {
	off  uintptr
	elem reflect.Type
}

// at returns where the field of the struct at p is, or nil if an embedded pointer on the way is
// nil.
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

// candidate is a field found while the embedded structs of a type are searched.
type candidate struct {
	field
	typ    reflect.Type
	depth  int
	tagged bool
}

// structFields returns the stored fields of struct type t, sorted by encoded name. Embedded structs
// are flattened and conflicts resolved as encoding/json does it. The caller sets the plans.
func (cp *compiler) structFields(t reflect.Type) []candidate {
	s := fieldSearch{cp: cp}
	visited := map[reflect.Type]bool{}
	s.next = []embedded{{typ: t}}
	for len(s.next) > 0 {
		current := s.next
		s.next = nil
		times := map[reflect.Type]int{}
		for _, em := range current {
			// A type embedded twice at one depth yields each field twice, so that they cancel out;
			// a third time would add nothing.
			if !visited[em.typ] && times[em.typ] < 2 {
				times[em.typ]++
				s.fields(em)
			}
		}
		for _, em := range current {
			visited[em.typ] = true
		}
		s.depth++
	}
	return dominant(s.found)
}

// fieldSearch finds the fields of a struct type, one depth of embedding after the other.
type fieldSearch struct {
	cp    *compiler
	depth int
	found []candidate
	next  []embedded // of the depth below
}

// embedded is a struct whose fields are promoted, or the struct searched itself.
type embedded struct {
	typ reflect.Type
	off uintptr   // after the last step of via, or in the struct searched
	via []viaStep // embedded pointers that lead to it
}

// fields adds the fields of em to those found, and what it embeds to the next depth.
func (s *fieldSearch) fields(em embedded) {
	for i := range em.typ.NumField() {
		sf := em.typ.Field(i)
		name, omit, skip := parseTag(sf.Tag.Get("msgpack"))
		if skip {
			continue
		}
		visible := sf.IsExported()
		if sf.Anonymous {
			inner := em.inner(sf)
			if inner.typ == s.cp.c.identity {
				continue
			}
			// A name, or a form of its own, makes it a field like any other.
			if name == "" && s.cp.flattens(inner.typ) {
				s.next = append(s.next, inner)
				continue
			}
			visible = visible || inner.typ.Kind() == reflect.Struct
		}
		if !visible {
			continue
		}
		f := field{name: cmp.Or(name, sf.Name), omit: omit, off: em.off + sf.Offset, via: em.via}
		f.key = string(appendStr(nil, f.name))
		s.found = append(s.found, candidate{field: f, typ: sf.Type, depth: s.depth, tagged: name != ""})
	}
}

// inner returns what the embedded field sf of em holds or points to.
func (em embedded) inner(sf reflect.StructField) embedded {
	off := em.off + sf.Offset
	if sf.Type.Kind() != reflect.Pointer {
		return embedded{typ: sf.Type, off: off, via: em.via}
	}
	elem := sf.Type.Elem()
	return embedded{typ: elem, via: append(slices.Clip(em.via), viaStep{off: off, elem: elem})}
}

// flattens reports whether the fields of an embedded t are promoted. A struct with a form of its
// own is stored as a field named after its type, and so is one that had a promoted form.
func (cp *compiler) flattens(t reflect.Type) bool {
	if t.Kind() != reflect.Struct || cp.kindOf(t) != kindStruct {
		return false
	}
	_, promoted := cp.marshalers(t)
	return promoted == kindNever
}

// dominant keeps of each name the field that Go's rules promote: the shallowest, among those the
// tagged one. Where that leaves several, it keeps none.
func dominant(found []candidate) []candidate {
	slices.SortStableFunc(found, func(a, b candidate) int {
		return cmp.Or(strings.Compare(a.key, b.key), cmp.Compare(a.depth, b.depth), rank(b.tagged)-rank(a.tagged))
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
