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

// Generic returns the body of a record as generic values. If o is not nil, it is filled for
// [Codec.Regeneric]. Bytes that no Encode makes are driver.ErrCorrupt where they cannot be made
// sense of; what is nested deeper than Encode nests it under lim is driver.ErrTooLarge.
//
// A value behind an interface is an array of the name of its type and the value. In older records,
// a list in a field may look the same; in others it has a longer head. An array with the shortest
// head is taken for a type and value if its two elements are a string in its shortest form and a
// value, nothing refers back to the array or the string, and
//
//   - it is known to stand in an interface: it is inside a value whose type is composed of
//     interfaces, such as []interface {}; or
//   - the string is the name of a type that may stand in an interface here (registered, known from
//     birth, or composed of such), values of that type have such a form, and do not stand for
//     themselves there; or
//   - the string can be the name of a type that is not known here, and the value is an array or a
//     map, or the string has a dot between identifiers and the value is not a string.
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
	odd     map[unsafe.Pointer]bool // see oddHead

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
		d.differs = false
		if err := decTime(d, nil, unsafe.Pointer(&at)); err != nil {
			return nil, relocate(err, g.h.Type)
		}
		if d.differs {
			return g.known(at, origin{plainZone: true}), nil
		}
		return at, nil
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
	if len(s) == 2 && isWide(t) != d.c.likeTypedValues(g.forms, s[0], s[1]) {
		g.oddHead(s)
	}
	return s, nil
}

// oddHead notes that a list of two has another head than Regeneric gives its values.
func (g *genericDecoder) oddHead(s []any) {
	p := identityOf(s)
	if g.odd == nil {
		g.odd = map[unsafe.Pointer]bool{}
	}
	g.odd[p] = true
	if g.o != nil {
		to := g.o.of(p)
		to.oddHead = true
		g.o.set(p, to)
	}
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
			from := g.o.of(identityOf(v))
			from.typ = name
			return g.known(v, from), nil
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
