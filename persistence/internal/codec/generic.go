package codec

import (
	"bytes"
	"cmp"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/brine-go/brine/persistence/driver"
)

// Generic values are what a record holds for a reader that has none of its types: nil, bool, int64,
// uint64 (only above the range of int64), float64, complex128, string, []byte, time.Time, []any,
// map[string]any, map[any]any, and the two forms of [GenericForms].
//
// A struct is a map of its fields' names. A map has the type map[any]any if some key is not a
// string, or if a string is there twice (keys that were pointers); an empty map is a
// map[string]any. A key that Go cannot hash, or that equals another key of its map, is a pointer to
// its value: a *[]byte, *map[string]any, and so on. An array as a key is a Go array, [n]any, if it
// has at most 64 elements, all of them can be hashed and nothing refers back to it.
//
// A pointer is what it points to. If that may be nil itself, it is in a []any of one, as in
// the record. A map or slice that is shared in the record is one map or slice here too, and a cycle
// is a cycle.

// GenericForms makes and opens the two generic values that have types of their own. Both types can
// be compared with ==, as far as what they hold can.
type GenericForms struct {
	Ref       func(id driver.ID, lazy bool) any // a reference
	Typed     func(name string, value any) any  // a value behind an interface, with its type
	OpenRef   func(v any) (id driver.ID, lazy, ok bool)
	OpenTyped func(v any) (name string, value any, ok bool)
}

// Origins tells how generic values of one record were stored, where the values do not say it: as a
// float32, behind an interface, shared. It knows maps and slices by their identity, and others by
// the memory that their interface points to, so that it still knows a value that was moved to
// another field, but not one that was computed. The zero value is ready for use, for one
// [Codec.Generic]. It is for one goroutine.
type Origins struct {
	known map[unsafe.Pointer]origin
}

type origin struct {
	shared bool             // the record refers back to it
	single bool             // stored in floats of 32 bits
	bits   uint64           // these floats
	typ    string           // it stood behind an interface with this type
	keys   []unsafe.Pointer // of a map[any]any: its keys in the order of the record
	deep   bool             // that order does not follow from the bytes of each key alone
}

// Shared reports whether the record refers back to v, a map or slice that Generic returned.
func (o *Origins) Shared(v any) bool { return o.of(identityOf(v)).shared }

// Entries returns the keys and values of a map that Generic returned, in the order of the record.
// The order of a map whose keys were changed since is not known: then stored is false.
func (o *Origins) Entries(m map[any]any) (keys, vals []any, stored bool) {
	keys, vals = make([]any, 0, len(m)), make([]any, 0, len(m))
	for k, v := range m {
		keys, vals = append(keys, k), append(vals, v)
	}
	order := o.of(identityOf(m)).keys
	if len(order) != len(m) {
		return keys, vals, false
	}
	rank := make(map[unsafe.Pointer]int, len(order))
	for i, p := range order {
		rank[p] = i
	}
	sorted, sortedVals := make([]any, len(m)), make([]any, len(m))
	for i, k := range keys {
		at, ok := rank[identityOf(k)]
		if !ok {
			return keys, vals, false
		}
		sorted[at], sortedVals[at] = k, vals[i]
	}
	return sorted, sortedVals, true
}

func (o *Origins) of(p unsafe.Pointer) origin {
	if o == nil {
		return origin{}
	}
	return o.known[p]
}

func (o *Origins) has(p unsafe.Pointer) bool {
	_, ok := o.known[p]
	return ok
}

func (o *Origins) set(p unsafe.Pointer, to origin) {
	if o.known == nil {
		o.known = map[unsafe.Pointer]origin{}
	}
	o.known[p] = to
}

// identityOf returns what a value can be recognized by, as long as it lives.
func identityOf(v any) unsafe.Pointer {
	if s, ok := v.([]any); ok {
		return unsafe.Pointer(unsafe.SliceData(s))
	}
	return (*eface)(unsafe.Pointer(&v)).data // of a map, the map itself
}

// Generic returns the body of a record as generic values. If o is not nil, it is filled for
// [Codec.Regeneric]. Bytes that no Encode makes are driver.ErrCorrupt where they cannot be made sense
// of; what is nested deeper than Encode nests it under lim is driver.ErrTooLarge.
//
// A value behind an interface is an array of the name of its type and the value. An array in a
// field may look the same. It is taken for a type and value if its two elements are a string in its
// shortest form and a value, nothing refers back to the array or the string, and
//
//   - it is known to stand in an interface: it is inside a value whose type is composed of
//     interfaces, such as []interface {}; or
//   - the string is the name of a type that may stand in an interface here (registered, known from
//     birth, or composed of such), values of that type have such a form, and do not stand for
//     themselves there; or
//   - the string can be the name of a type that is not known here, and the value is an array or map,
//     or the string has a dot between identifiers and the value is not a string.
//
// Of the types known from birth, int64, uint64, complex128 and time.Time give a plain value, all
// others the Typed form.
func (c *Codec) Generic(h Header, lim Limits, forms *GenericForms, o *Origins) (any, error) {
	g := &genericDecoder{
		d: decoder{c: c, buf: h.body, maxDepth: genericDepth(lim), version: h.format, root: anyType},
		h: &h, forms: forms, o: o,
		fields: c.planOf(anyMapType), keyed: c.planOf(keyedMapType), list: c.planOf(anySliceType),
	}
	if err := g.scan(); err != nil {
		return nil, err
	}
	return g.value(h.Type)
}

var (
	keyedMapType = reflect.TypeFor[map[any]any]()
	anySliceType = reflect.TypeFor[[]any]()
)

// genericDepth is how deep msgpack values of a record may be nested. A step of depth may be three
// of them: type and value, the array of a pointer to something that may be nil, and an array or
// map. A time or complex number at the end may be one more.
func genericDepth(lim Limits) int { return 3*min(lim.MaxDepth, math.MaxInt32/4) + 3 }

// A genericDecoder reads one body. Its decoder reads heads and times, and knows the path.
type genericDecoder struct {
	d     decoder
	h     *Header
	forms *GenericForms
	o     *Origins

	targets []uint32                // offsets that back-references lead to, sorted
	mixed   []uint32                // offsets of maps whose keys are not just different strings, sorted
	made    map[uint32]any          // the values at targets
	lists   map[unsafe.Pointer]bool // the slices among them

	fields, keyed, list *plan // of the types of containers: for the path
}

func (g *genericDecoder) isTarget(off int) bool {
	if len(g.targets) == 0 {
		return false
	}
	_, ok := slices.BinarySearch(g.targets, uint32(off))
	return ok
}

// register remembers the value at off if back-references lead there.
func (g *genericDecoder) register(off int, v any) {
	if !g.isTarget(off) {
		return
	}
	if g.made == nil {
		g.made = map[uint32]any{}
	}
	g.made[uint32(off)] = v
	if _, ok := v.([]any); ok {
		if g.lists == nil {
			g.lists = map[unsafe.Pointer]bool{}
		}
		g.lists[identityOf(v)] = true
	}
	if g.o != nil {
		p := identityOf(v)
		to := g.o.of(p)
		to.shared = true
		g.o.set(p, to)
	}
}

// value reads a value. name is that of its type, "" where nothing is known of it.
func (g *genericDecoder) value(name string) (any, error) {
	d := &g.d
	start := d.pos
	t := readToken(d.buf[start:])
	name = pointee(name)
	switch {
	case t.fam == famMap:
		return g.mapping(t, name)
	case t.fam == famArray && !g.isTime(t):
		if v, ok := g.complex(t, name); ok {
			return v, nil
		}
		if g.isTyped(t, name) {
			return g.typed()
		}
		return g.slice(t, name)
	case t.fam == famExt && t.ext == extBackref:
		return g.backref(t)
	}
	v, err := g.scalar(t)
	if err == nil && v != nil && g.isTarget(start) {
		v = g.boxed(v)
		g.register(start, v)
	}
	return v, err
}

// scalar reads a value that holds no others.
func (g *genericDecoder) scalar(t token) (any, error) {
	d := &g.d
	if t.fam == famArray || t.fam == famExt && t.ext == extTime {
		var at time.Time
		err := decTime(d, unsafe.Pointer(&at))
		return at, relocate(err, g.h.Type)
	}
	content := d.buf[d.pos+t.head : d.pos+t.head+int(t.payload())]
	d.pos += t.head + len(content)
	switch t.fam {
	case famNil:
		return nil, nil
	case famBool:
		return t.n == 1, nil
	case famInt:
		if !t.neg && t.n > math.MaxInt64 {
			return t.n, nil
		}
		return int64(t.n), nil
	case famFloat:
		if t.code == codeFloat32 {
			return g.known(float64(math.Float32frombits(uint32(t.n))), origin{single: true, bits: t.n}), nil
		}
		return math.Float64frombits(t.n), nil
	case famStr:
		return string(content), nil
	case famBin:
		return bytes.Clone(content), nil
	case famExt:
		if t.ext == extEager || t.ext == extLazy {
			return g.reference(content, t.ext == extLazy)
		}
	}
	return nil, g.corrupt("an extension of type %d", int8(t.ext))
}

func (g *genericDecoder) reference(id []byte, lazy bool) (any, error) {
	among := g.h.Eager
	if lazy {
		among = g.h.Lazy
	}
	i, ok := slices.BinarySearchFunc(among, id, func(known driver.ID, id []byte) int { return cmp.Compare(string(known), string(id)) })
	if !ok {
		return nil, g.corrupt("refers to %q, which the header does not name", shorten(string(id)))
	}
	return g.forms.Ref(among[i], lazy), nil
}

func (g *genericDecoder) backref(t token) (any, error) {
	d := &g.d
	start := d.pos
	off := backrefOffset(d.buf[start:], t)
	v, ok := g.made[off]
	if !ok {
		return nil, g.corrupt("refers back to byte %d, where there is no value that could be shared", off)
	}
	d.pos += t.head + int(t.n)
	g.register(start, v)
	return v, nil
}

// known returns v in memory of its own, and remembers where it comes from.
func (g *genericDecoder) known(v any, from origin) any {
	if g.o == nil {
		return v
	}
	v = alone(v)
	g.o.set(identityOf(v), from)
	return v
}

// boxed returns v in memory of its own.
func (g *genericDecoder) boxed(v any) any {
	if g.o == nil || v == nil {
		return v
	}
	if g.o.has(identityOf(v)) {
		return v
	}
	return alone(v)
}

// alone copies a value into memory that no other interface points to. Maps, slices of any and pointers
// have an identity of their own.
func alone(v any) any {
	t := reflect.TypeOf(v)
	switch t.Kind() {
	case reflect.Map, reflect.Pointer:
		return v
	case reflect.Slice:
		if t == anySliceType {
			return v
		}
	}
	p := reflect.New(t)
	p.Elem().Set(reflect.ValueOf(v))
	return pack(v, p.UnsafePointer())
}

func (g *genericDecoder) slice(t token, name string) (any, error) {
	d := &g.d
	start := d.pos
	if err := d.enter(g.list); err != nil {
		return nil, relocate(err, g.h.Type)
	}
	depth := len(d.path) - 1
	d.pos += t.head
	s := make([]any, t.n, max(t.n, 1)) // with an address of its own, though it be empty
	g.register(start, s)
	elem := elemName(name, int(t.n))
	for i := range s {
		d.path[depth].i = i
		var err error
		if s[i], err = g.value(elem); err != nil {
			return nil, err
		}
	}
	d.leave()
	return s, nil
}

// complex reads a complex number, if the name says that there is one.
func (g *genericDecoder) complex(t token, name string) (any, bool) {
	d := &g.d
	if name != "complex128" && name != "complex64" || t.n != 2 || g.isTarget(d.pos) {
		return nil, false
	}
	re := readToken(d.buf[d.pos+t.head:])
	im := readToken(d.buf[d.pos+t.head+re.head:])
	var v any
	switch {
	case name == "complex128" && re.code == codeFloat64 && im.code == codeFloat64:
		v = complex(math.Float64frombits(re.n), math.Float64frombits(im.n))
	case name == "complex64" && re.code == codeFloat32 && im.code == codeFloat32:
		f := func(t token) float64 { return float64(math.Float32frombits(uint32(t.n))) }
		v = g.known(complex(f(re), f(im)), origin{single: true, bits: re.n<<32 | im.n})
	default:
		return nil, false
	}
	d.pos += t.head + re.head + im.head
	return v, true
}

// typed reads a type and a value.
func (g *genericDecoder) typed() (any, error) {
	d := &g.d
	if err := d.enter(g.list); err != nil {
		return nil, relocate(err, g.h.Type)
	}
	d.pos++
	t := readToken(d.buf[d.pos:])
	name := string(d.buf[d.pos+t.head : d.pos+t.head+int(t.n)])
	d.pos += t.head + int(t.n)
	v, err := g.value(name)
	if err != nil {
		return nil, err
	}
	d.leave()
	switch v.(type) {
	case int64, uint64:
		if name == "int64" || name == "uint64" {
			return g.known(v, origin{typ: name}), nil
		}
	case complex128:
		if name == "complex128" {
			return g.known(v, origin{typ: name}), nil
		}
	case time.Time:
		if name == "time.Time" {
			return g.known(v, origin{typ: name}), nil
		}
	}
	return g.forms.Typed(name, v), nil
}

func (g *genericDecoder) mapping(t token, name string) (any, error) {
	d := &g.d
	start := d.pos
	key, elem := entryNames(name)
	if _, ok := slices.BinarySearch(g.mixed, uint32(start)); ok {
		return g.keyedMap(t, key, elem)
	}
	if err := d.enter(g.fields); err != nil {
		return nil, relocate(err, g.h.Type)
	}
	depth := len(d.path) - 1
	d.pos += t.head
	m := make(map[string]any, t.n)
	g.register(start, m)
	var k string
	d.path[depth].key = unsafe.Pointer(&k)
	for i := range int(t.n) {
		t := readToken(d.buf[d.pos:])
		k = string(d.buf[d.pos+t.head : d.pos+t.head+int(t.n)])
		d.pos += t.head + int(t.n)
		v, err := g.value(elem)
		if err != nil {
			return nil, err
		}
		if m[k] = v; len(m) != i+1 {
			return nil, g.corrupt("a key that stands twice")
		}
	}
	d.leave()
	return m, nil
}

// keyedMap reads a map whose keys are not just different strings.
func (g *genericDecoder) keyedMap(t token, key, elem string) (any, error) {
	d := &g.d
	start := d.pos
	if err := d.enter(g.keyed); err != nil {
		return nil, relocate(err, g.h.Type)
	}
	depth := len(d.path) - 1
	d.pos += t.head
	m := make(map[any]any, t.n)
	g.register(start, m)
	var order []unsafe.Pointer
	deep := false
	for range int(t.n) {
		from := d.pos
		t := readToken(d.buf[from:])
		d.path[depth].key = nil
		k, err := g.value(key)
		if err != nil {
			return nil, err
		}
		k = g.key(k)
		if _, ok := m[k]; ok {
			if k = g.pointerTo(k); m[k] != nil {
				return nil, g.corrupt("a key that stands twice")
			}
		}
		deep = deep || t.fam == famArray || t.fam == famMap || t.fam == famExt && t.ext == extBackref ||
			g.isTarget(from) || k != nil && reflect.TypeOf(k).Kind() == reflect.Pointer
		if g.o != nil {
			k = g.boxed(k)
			order = append(order, identityOf(k))
		}
		d.path[depth].key = unsafe.Pointer(&k)
		if m[k], err = g.value(elem); err != nil {
			return nil, err
		}
	}
	if g.o != nil {
		p := identityOf(m)
		to := g.o.of(p)
		to.keys, to.deep = order, deep
		g.o.set(p, to)
	}
	d.leave()
	return m, nil
}

// Limits on arrays that are keys: Go never forgets a type of array, and hashes by recursion.
const (
	maxKeyArray = 64
	maxKeyDepth = 8
)

// key returns a key in a form that Go can hash.
func (g *genericDecoder) key(k any) any {
	if hashed, ok := g.hashable(k, 0); ok {
		return hashed
	}
	return g.pointerTo(k)
}

func (g *genericDecoder) hashable(v any, depth int) (any, bool) {
	switch v := v.(type) {
	case []byte, map[string]any, map[any]any:
		return nil, false
	case []any:
		// What others refer back to stays what they get.
		if len(v) > maxKeyArray || depth >= maxKeyDepth || g.lists[identityOf(v)] {
			return nil, false
		}
		a := reflect.New(reflect.ArrayOf(len(v), anyType)).Elem()
		for i := range v {
			elem, ok := g.hashable(v[i], depth+1)
			if !ok {
				return nil, false
			}
			if elem != nil {
				a.Index(i).Set(reflect.ValueOf(elem))
			}
		}
		return a.Interface(), true
	}
	if name, inner, ok := g.forms.OpenTyped(v); ok {
		if depth >= maxKeyDepth {
			return nil, false
		}
		if inner, ok = g.hashable(inner, depth+1); !ok {
			return nil, false
		}
		return g.forms.Typed(name, inner), true
	}
	return v, true
}

// pointerTo returns a pointer to a value. If the origin of the value is known, that is to the memory
// it is known by.
func (g *genericDecoder) pointerTo(v any) any {
	if v == nil {
		return new(any)
	}
	t := reflect.TypeOf(v)
	if t.Size() == 0 { // pointers to it may all be equal
		return &[]any{}
	}
	if k := t.Kind(); k != reflect.Map && t != anySliceType && g.o != nil {
		if p := identityOf(v); g.o.has(p) {
			return reflect.NewAt(t, p).Interface()
		}
	}
	p := reflect.New(t)
	p.Elem().Set(reflect.ValueOf(v))
	return p.Interface()
}

func (g *genericDecoder) corrupt(format string, args ...any) error {
	return relocate(g.d.corrupt(format, args...), g.h.Type)
}

// relocate makes the path of an error begin with the type of the record.
func relocate(err error, typ string) error {
	if err == nil {
		return nil
	}
	if pe, ok := errors.AsType[*pathError](err); ok {
		if rest, ok := strings.CutPrefix(pe.path, anyType.String()); ok {
			pe.path = bareName(typ) + rest
		}
	}
	return err
}
