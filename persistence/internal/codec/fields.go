package codec

import (
	"cmp"
	"encoding/binary"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"github.com/brine-go/brine/persistence/driver"
)

// field is one stored field of a struct type, its own or one promoted from an embedded struct.
type field struct {
	name string // as stored
	fieldKey
	pl   *plan
	op   op
	omit bool      // leave it out when empty
	zero bool      // leave it out when zero in every bit
	off  uintptr   // after the last step of via, or in the struct itself
	via  []viaStep // embedded pointers on the way
}

// A fieldKey is the encoded name of a field. Names are read and written most of all: those of up to
// 15 bytes as two words.
type fieldKey struct {
	key   string
	start [2]uint64 // its first 16 bytes
	mask  [2]uint64 // the bits of start that it has
}

func newFieldKey(key string) fieldKey {
	k := fieldKey{key: key}
	for i := range min(16, len(key)) {
		k.start[i/8] |= uint64(key[i]) << (i % 8 * 8)
		k.mask[i/8] |= 0xff << (i % 8 * 8)
	}
	return k
}

// begins reports whether b begins with the key.
func (k *fieldKey) begins(b []byte) bool {
	if len(b) < 16 || len(k.key) > 16 {
		return hasPrefix(b, k.key)
	}
	return binary.LittleEndian.Uint64(b)&k.mask[0] == k.start[0] && binary.LittleEndian.Uint64(b[8:])&k.mask[1] == k.start[1]
}

// append appends the key to b.
func (k *fieldKey) append(b []byte) []byte {
	n := len(b)
	if len(k.key) > 16 || cap(b)-n < 16 {
		return append(b, k.key...)
	}
	to := b[n : n+16]
	binary.LittleEndian.PutUint64(to, k.start[0])
	binary.LittleEndian.PutUint64(to[8:], k.start[1])
	return b[:n+len(k.key)]
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
	if q == nil || f.omit && f.pl.empty(q) || f.zero && isZero(f.pl.value(q)) {
		return nil, false
	}
	return q, true
}

// empty reports whether omitempty leaves the value at p out: false, 0 but not -0, nil, an empty
// string, slice or map, an array without elements, and a struct that is zero in every bit that is
// kept.
func (pl *plan) empty(p unsafe.Pointer) bool {
	switch pl.op {
	case opString:
		return *(*string)(p) == ""
	case opBool, opInt8, opUint8:
		return *(*uint8)(p) == 0
	case opInt16, opUint16:
		return *(*uint16)(p) == 0
	case opInt32, opUint32:
		return *(*uint32)(p) == 0
	case opInt64, opUint64:
		return *(*uint64)(p) == 0
	}
	v := pl.value(p)
	switch v.Kind() {
	case reflect.String, reflect.Slice, reflect.Map, reflect.Array:
		return v.Len() == 0
	}
	return isZero(v)
}

// isZero is v.IsZero, but that -0 is no zero: it would come back as 0.
func isZero(v reflect.Value) bool { return v.IsZero() && !hasNegativeZero(v) }

// hasNegativeZero reports whether v, which is zero but for signs, is or holds a -0.
func hasNegativeZero(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Float32, reflect.Float64:
		return math.Signbit(v.Float())
	case reflect.Complex64, reflect.Complex128:
		return math.Signbit(real(v.Complex())) || math.Signbit(imag(v.Complex()))
	case reflect.Struct:
		for i := range v.NumField() {
			if hasNegativeZero(v.Field(i)) {
				return true
			}
		}
	case reflect.Array:
		// Of elements without floats, one look is enough.
		for i := range v.Len() {
			if e := v.Index(i); hasNegativeZero(e) {
				return true
			} else if !holdsFloats(e.Type()) {
				return false
			}
		}
	}
	return false
}

func holdsFloats(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		return true
	case reflect.Array:
		return holdsFloats(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if holdsFloats(t.Field(i).Type) {
				return true
			}
		}
	}
	return false
}

// candidate is a field found while the embedded structs of a type are searched.
type candidate struct {
	field
	typ    reflect.Type
	path   string // the embedded fields that lead to it, and its name as stored
	inGo   string // the same with its name in Go
	depth  int
	tagged bool
	alias  []string // other names it is read under
}

// foundFields are the stored fields of a struct type.
type foundFields struct {
	fields  []candidate
	aliases []alias
	unknown *field     // the embedded variable that keeps fields which the type lacks, or nil
	lossy   *pathError // what of the type is not stored, which makes its values unstorable
}

// An alias is a name under which older programs stored a field.
type alias struct {
	key   string // as msgpack string
	field int    // in plan.fields
}

// structFields returns the stored fields of struct type t, sorted by encoded name. Embedded structs
// are flattened. Of several fields of one name the shallowest has the name, and is stored under it;
// those that it hides are stored under their paths, unless they are zero. The caller sets the
// plans. The fields are those that older records have, also where values of t are unstorable.
func (cp *compiler) structFields(t reflect.Type) foundFields {
	s := fieldSearch{cp: cp, next: []embedded{{typ: t}}}
	for n := 0; len(s.next) > 0; s.depth++ {
		current := s.next
		s.next = nil
		if n += len(current); n > maxEmbedded {
			s.refuse("", "%v embeds more than %d structs", t, maxEmbedded)
			break
		}
		for _, em := range current {
			s.fields(em)
		}
	}
	holds := func(c candidate) bool { return !onlyNil(c.typ) }
	if !slices.ContainsFunc(s.found, holds) && stateful(cp.c.identity, t) {
		s.refuse("", "%v has fields and stores none of them%s", t, cureNoFields)
	}
	out := foundFields{fields: s.resolve(), unknown: s.unknown}
	out.aliases = s.aliases(out.fields)
	out.lossy = s.lossy
	return out
}

// aliases returns the aliases of fields: for each field in the order of its tag. No two fields may
// be read from one name.
func (s *fieldSearch) aliases(fields []candidate) []alias {
	var out []alias
	taken := map[string]string{} // by key: the field that is read from it
	for i := range fields {
		taken[fields[i].key] = fields[i].inGo
	}
	for i := range fields {
		for _, name := range fields[i].alias {
			key := string(appendStr(nil, name))
			if other, ok := taken[key]; ok {
				s.refuse("", "fields %s and %s would both be read from %q: drop the alias, or rename one", other, fields[i].inGo, name)
				continue
			}
			taken[key] = fields[i].inGo
			out = append(out, alias{key: key, field: i})
		}
	}
	return out
}

// maxEmbedded bounds the structs embedded in one: types that embed others twice, level by level,
// double their number with each.
const maxEmbedded = 4096

const cureNoFields = `: export a field, give the type MarshalBinary and UnmarshalBinary, or leave it out by the tag msgpack:"-"`

// fieldSearch finds the fields of a struct type, one depth of embedding after the other.
type fieldSearch struct {
	cp      *compiler
	depth   int
	found   []candidate
	next    []embedded // of the depth below
	unknown *field     // see foundFields
	lossy   *pathError // the first reason why something would not be stored
}

// embedded is a struct whose fields are promoted, or the struct searched itself.
type embedded struct {
	typ   reflect.Type
	off   uintptr        // after the last step of via, or in the struct searched
	via   []viaStep      // embedded pointers that lead to it
	path  string         // names of the embedded fields that lead to it, each with a dot
	above []reflect.Type // the structs it is embedded in
}

func (s *fieldSearch) refuse(path, format string, args ...any) {
	if s.lossy == nil {
		s.lossy = errAt(path, driver.ErrUnstorable, format, args...)
	}
}

// fields adds the fields of em to those found, and what it embeds to the next depth.
func (s *fieldSearch) fields(em embedded) {
	for i := range em.typ.NumField() {
		sf := em.typ.Field(i)
		tag := parseTag(sf.Tag.Get("msgpack"))
		if tag.bad != "" {
			s.refuse("."+em.path+sf.Name, "the tag has the option %q: want alias:name", tag.bad)
		}
		if tag.skip {
			continue
		}
		name, omit := tag.name, tag.omit
		visible, zero := sf.IsExported(), false
		if sf.Anonymous {
			inner := em.inner(sf)
			if inner.typ == s.cp.c.identity {
				continue
			}
			if inner.typ == s.cp.c.unknown && sf.Type == inner.typ {
				// One behind an embedded pointer, which may be nil, keeps nothing.
				if s.unknown == nil && len(inner.via) == 0 {
					s.unknown = &field{name: sf.Name, off: em.off + sf.Offset}
				}
				continue
			}
			// A name, or a form of its own, makes it a field like any other.
			if name == "" && s.cp.flattens(inner.typ) {
				if s.descend(inner, sf) {
					continue
				}
				zero = true // a nil pointer was never stored
			}
			visible = visible || inner.typ.Kind() == reflect.Struct
		}
		if !visible {
			continue
		}
		f := field{name: cmp.Or(name, sf.Name), omit: omit, zero: zero, off: em.off + sf.Offset, via: em.via}
		s.found = append(s.found, candidate{field: f, typ: sf.Type, path: em.path + f.name, inGo: em.path + sf.Name, depth: s.depth, tagged: name != "", alias: tag.alias})
	}
}

// descend adds the embedded struct inner to the next depth. It reports false for one that must be a
// field: a pointer that leads back to a struct it is embedded in, or to one that stores no field.
func (s *fieldSearch) descend(inner embedded, sf reflect.StructField) bool {
	pointer := sf.Type.Kind() == reflect.Pointer
	if slices.Contains(inner.above, inner.typ) {
		return false
	}
	if s.cp.storesNone(inner.typ, inner.above, true) && stateful(s.cp.c.identity, inner.typ) {
		if pointer {
			return false
		}
		s.refuse("."+strings.TrimSuffix(inner.path, "."), "%v has fields and stores none of them%s", inner.typ, cureNoFields)
		return true
	}
	s.next = append(s.next, inner)
	return true
}

// inner returns what the embedded field sf of em holds or points to.
func (em embedded) inner(sf reflect.StructField) embedded {
	in := embedded{typ: sf.Type, off: em.off + sf.Offset, via: em.via, path: em.path + sf.Name + "."}
	in.above = append(slices.Clip(em.above), em.typ)
	if sf.Type.Kind() == reflect.Pointer {
		in.typ = sf.Type.Elem()
		in.via = append(slices.Clip(em.via), viaStep{off: in.off, elem: in.typ})
		in.off = 0
	}
	return in
}

// storesNone reports whether the search in t, embedded in the structs above, would find no field.
// If values is true, fields that can only be nil do not count.
func (cp *compiler) storesNone(t reflect.Type, above []reflect.Type, values bool) bool {
	em := embedded{typ: t, above: above}
	for i := range t.NumField() {
		sf := t.Field(i)
		tag := parseTag(sf.Tag.Get("msgpack"))
		name := tag.name
		if tag.skip {
			continue
		}
		if !sf.Anonymous {
			if sf.IsExported() && (!values || !onlyNil(sf.Type)) {
				return false
			}
			continue
		}
		inner := em.inner(sf)
		switch {
		case inner.typ == cp.c.identity || inner.typ == cp.c.unknown:
		case name == "" && cp.flattens(inner.typ):
			if slices.Contains(inner.above, inner.typ) || !cp.storesNone(inner.typ, inner.above, values) {
				return false
			}
		case sf.IsExported() || inner.typ.Kind() == reflect.Struct:
			return false
		}
	}
	return true
}

// onlyNil reports whether no value of t is stored but nil.
func onlyNil(t reflect.Type) bool { return t.Kind() == reflect.Func || t.Kind() == reflect.Chan }

// noState are types that hold no state worth storing, though they have fields.
var noState = []reflect.Type{
	reflect.TypeFor[sync.Mutex](), reflect.TypeFor[sync.RWMutex](), reflect.TypeFor[sync.Once](), reflect.TypeFor[sync.WaitGroup](),
}

// stateful reports whether values of t hold state: a struct that has only such fields as hold none,
// or are tagged "-", does not, and neither does what has no size.
func stateful(identity, t reflect.Type) bool {
	switch {
	case t == identity || t.Size() == 0 || slices.Contains(noState, t):
		return false
	case t.Kind() == reflect.Array:
		return stateful(identity, t.Elem())
	case t.Kind() != reflect.Struct:
		return true
	}
	for i := range t.NumField() {
		sf := t.Field(i)
		if sf.IsExported() && onlyNil(sf.Type) {
			continue // nothing is lost of it: it is nil, or refused
		}
		if !parseTag(sf.Tag.Get("msgpack")).skip && sf.Name != "_" && stateful(identity, sf.Type) {
			return true
		}
	}
	return false
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

// resolve gives the fields found their keys and sorts them by these. A key depends on no other
// field of the same depth: two that would have one key make the type unstorable.
func (s *fieldSearch) resolve() []candidate {
	slices.SortStableFunc(s.found, func(a, b candidate) int {
		return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(a.depth, b.depth), rank(b.tagged)-rank(a.tagged))
	})
	var out []candidate
	for i := 0; i < len(s.found); {
		first, at := s.found[i], i
		for ; i < len(s.found) && s.found[i].name == first.name; i++ {
			c := s.found[i]
			if c.depth > first.depth {
				c.name, c.zero, c.omit = c.path, true, false
				out = append(out, c)
			}
		}
		if at+1 < i && s.found[at+1].depth == first.depth {
			second := s.found[at+1]
			s.ambiguous(first, second)
			if first.tagged == second.tagged {
				continue // older records have neither
			}
		}
		out = append(out, first)
	}
	for i := range out {
		out[i].fieldKey = newFieldKey(string(appendStr(nil, out[i].name)))
	}
	slices.SortStableFunc(out, func(a, b candidate) int {
		return cmp.Or(strings.Compare(a.key, b.key), cmp.Compare(a.depth, b.depth))
	})
	return slices.CompactFunc(out, func(a, b candidate) bool {
		if a.key != b.key {
			return false
		}
		s.ambiguous(a, b)
		return true
	})
}

// ambiguous refuses two fields that would be stored under one key.
func (s *fieldSearch) ambiguous(a, b candidate) {
	s.refuse("", "fields %s and %s would both be stored as %q: give one of them another name, or a tag", a.inGo, b.inGo, b.name)
}

func rank(b bool) int {
	if b {
		return 1
	}
	return 0
}

// A fieldTag is what the msgpack tag of a field says.
type fieldTag struct {
	name  string
	omit  bool
	skip  bool
	alias []string
	bad   string // an option that was meant to be an alias
}

// parseTag reads a tag name,omitempty,alias:other. Options it does not know are ignored.
func parseTag(text string) fieldTag {
	if text == "-" {
		return fieldTag{skip: true}
	}
	name, opts, _ := strings.Cut(text, ",")
	t := fieldTag{name: name}
	for opt := range strings.SplitSeq(opts, ",") {
		other, isAlias := strings.CutPrefix(opt, "alias:")
		switch {
		case opt == "omitempty":
			t.omit = true
		case isAlias && other != "":
			t.alias = append(t.alias, other)
		case strings.HasPrefix(opt, "alias"):
			t.bad = opt
		}
	}
	return t
}
