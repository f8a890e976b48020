package codec

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"time"
	"unsafe"

	"github.com/brine-go/brine/persistence/driver"
)

// Regeneric returns h with the body, the references and the version of the format that v has, which
// is made of generic values. If o is what [Codec.Generic] filled for h, and v is what it returned,
// the body is the same byte for byte. Other values have the one form that Encode gives them: heads
// are the shortest, maps are sorted by the bytes of their keys.
//
// v may hold any other Go value that can be stored, such as an int, a []string, a time.Duration or
// a struct. It is stored as the same value in a field of its type. So is each generic value: what
// stands behind an interface and is not nil, a bool, an int, a float64, a string, bytes or a
// map[string]any must have come from h or be Typed.
//
// What the record shares stays shared, wherever it was moved to. Any other value is written as
// often as it is in v; one that is inside itself refers back.
//
// A reference that is not among those of h is driver.ErrType: eagerly h must hold the ID eagerly,
// lazily in either way. What cannot be stored is driver.ErrUnstorable, and what is over the limits
// driver.ErrTooLarge.
func (c *Codec) Regeneric(h Header, v any, lim Limits, forms *GenericForms, o *Origins) (Header, error) {
	e := c.NewEncoder(lim, nil)
	defer e.Free()
	defer e.reset()
	e.maxDepth = genericDepth(lim)
	e.root = anyType
	e.start()
	g := &genericEncoder{
		e: e, h: &h, forms: forms, o: o, open: map[opened]uint32{},
		fields: c.planOf(anyMapType), keyed: c.planOf(keyedMapType), list: c.planOf(anySliceType),
	}
	g.entries = &plan{
		typ: keyedMapType, kind: kindMap,
		key:  &plan{typ: anyType, size: anyType.Size(), shared: true, enc: func(_ *Encoder, _ *plan, p unsafe.Pointer) error { return g.key(*(*any)(p)) }},
		elem: &plan{typ: anyType, size: anyType.Size(), shared: true, enc: func(_ *Encoder, _ *plan, p unsafe.Pointer) error { return g.value(*(*any)(p)) }},
	}
	err := g.value(v)
	if err == nil {
		err = e.room(0)
	}
	if errors.Is(err, errSize) {
		err = fmt.Errorf("%s: at least %d bytes, over the limit of %d: %w", bareName(h.Type), e.need, lim.MaxBytes, driver.ErrTooLarge)
	}
	if err != nil {
		return Header{}, relocate(err, h.Type)
	}
	e.eager.sort(&e.sorter)
	e.lazy.sort(&e.sorter)
	// An encoder that was used before has empty lists, where Parse gives nil.
	h.Eager, h.Lazy = append([]driver.ID(nil), e.eager.list...), append([]driver.ID(nil), e.lazy.list...)
	h.body, h.format = bytes.Clone(e.buf[e.base:]), e.version
	return h, nil
}

// A genericEncoder writes one body.
type genericEncoder struct {
	e     *Encoder
	h     *Header
	forms *GenericForms
	o     *Origins
	open  map[opened]uint32 // the containers that are being written, with their offsets

	fields, keyed, list *plan // of the types of containers: for the path
	entries             *plan // writes the keys and values of a map[any]any
}

// opened is a map, or a slice of a certain length.
type opened struct {
	ptr unsafe.Pointer
	len int
}

// genericTag is the ident of all that generic values share, for their types are not known.
// onlyToSortTag is that of nothing.
var genericTag, onlyToSortTag byte

// value writes v as the value of a field of its type.
func (g *genericEncoder) value(v any) error {
	e := g.e
	id := identityOf(v)
	from := g.o.of(id)
	if from.shared && e.repeat(id, &genericTag) {
		return nil
	}
	if from.typ != "" {
		e.buf = appendStr(append(e.buf, codeFixArray|2), from.typ)
	}
	switch v := v.(type) {
	case nil:
		e.buf = append(e.buf, codeNil)
	case bool:
		e.buf = appendBool(e.buf, v)
	case int64:
		e.buf = appendInt(e.buf, v)
	case uint64:
		e.buf = appendUint(e.buf, v)
	case float64:
		if from.single {
			e.buf = appendFloat32(e.buf, uint32(from.bits))
			return nil
		}
		return e.scalar(opFloat64, unsafe.Pointer(&v))
	case complex128:
		if from.single {
			e.buf = appendFloat32(appendFloat32(append(e.buf, codeFixArray|2), uint32(from.bits>>32)), uint32(from.bits))
			return nil
		}
		return e.scalar(opComplex128, unsafe.Pointer(&v))
	case string:
		return e.scalar(opString, unsafe.Pointer(&v))
	case []byte:
		return encBytes(e, nil, unsafe.Pointer(&v))
	case time.Time:
		if from.plainZone {
			return e.time(v, v.Location().String())
		}
		return encTime(e, nil, unsafe.Pointer(&v))
	case []any:
		if v == nil {
			e.buf = append(e.buf, codeNil)
			return nil
		}
		return g.container(opened{id, len(v)}, from.shared || len(v) == 0, g.list, func() error {
			return g.elements(len(v), from.oddHead, func(i int) any { return v[i] })
		})
	case map[string]any:
		if v == nil {
			e.buf = append(e.buf, codeNil)
			return nil
		}
		return g.container(opened{id, -1}, from.shared, g.fields, func() error { return g.stringMap(v) })
	case map[any]any:
		if v == nil {
			e.buf = append(e.buf, codeNil)
			return nil
		}
		return g.container(opened{id, -1}, from.shared, g.keyed, func() error { return g.keyedMap(v, from.deep) })
	default:
		return g.other(v)
	}
	return nil
}

// container writes an array or map, or a back-reference if it is inside itself. safe says that
// this is known to be impossible.
func (g *genericEncoder) container(at opened, safe bool, pl *plan, write func() error) error {
	e := g.e
	if !safe {
		if off, ok := g.open[at]; ok {
			e.buf = appendBackref(e.buf, off)
			g.onlyToSort()
			return nil
		}
		g.open[at] = e.offset()
		defer delete(g.open, at)
	}
	if err := e.enter(pl); err != nil {
		return err
	}
	if err := write(); err != nil {
		return err
	}
	e.leave()
	return nil
}

// onlyToSort makes isolate take what was written last for something to sort by, not for the
// encoding of a key: it is not whole, or fits nowhere else. Isolate does so where something was
// seen.
func (g *genericEncoder) onlyToSort() {
	if g.e.isolated {
		g.e.seen.add(unsafe.Pointer(new(byte)), &onlyToSortTag, 0)
	}
}

// elements writes an array of n. odd: of the two heads that a list of two may have, it has the
// other.
func (g *genericEncoder) elements(n int, odd bool, at func(int) any) error {
	e := g.e
	if err := e.room(n); err != nil {
		return err
	}
	if n == 2 && e.c.likeTypedValues(g.forms, at(0), at(1)) != odd {
		e.buf = append(e.buf, codeArray16, 0, 2)
	} else {
		e.buf = appendArrayLen(e.buf, n)
	}
	depth := len(e.path) - 1
	for i := range n {
		e.path[depth].i = i
		if err := g.value(at(i)); err != nil {
			return err
		}
		if err := e.room(0); err != nil {
			return err
		}
	}
	return nil
}

func (g *genericEncoder) stringMap(m map[string]any) error {
	e := g.e
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compareKeys)
	e.buf = appendMapLen(e.buf, len(keys))
	depth := len(e.path) - 1
	for i := range keys {
		e.path[depth].key = unsafe.Pointer(&keys[i])
		if err := e.scalar(opString, unsafe.Pointer(&keys[i])); err != nil {
			return err
		}
		if err := g.value(m[keys[i]]); err != nil {
			return err
		}
		if err := e.room(0); err != nil {
			return err
		}
	}
	return nil
}

func (g *genericEncoder) keyedMap(m map[any]any, deep bool) error {
	keys, vals, stored := g.o.Entries(m)
	return g.entriesOf(keys, vals, stored && deep)
}

// entriesOf writes the entries of a map, which may be sorted already.
func (g *genericEncoder) entriesOf(keys, vals []any, sorted bool) error {
	e := g.e
	e.buf = appendMapLen(e.buf, len(keys))
	if len(keys) == 0 {
		return nil
	}
	if e.isolated && slices.ContainsFunc(keys, holdsOthers) {
		g.onlyToSort() // looking further would take exponential time
		return nil
	}
	w := entryWriter{
		e: e, pl: g.entries, depth: len(e.path) - 1, entries: make([]entry, len(keys)),
		keys: unsafe.Pointer(unsafe.SliceData(keys)), vals: unsafe.Pointer(unsafe.SliceData(vals)),
	}
	if !sorted {
		if err := w.sort(); err != nil {
			return err
		}
		return w.write()
	}
	for i := range w.entries {
		w.entries[i] = entry{i: i, deep: true}
	}
	return w.write()
}

// holdsOthers reports whether a key may hold something that is shared.
func holdsOthers(k any) bool {
	switch k.(type) {
	case nil, bool, int64, uint64, float64, complex128, string, time.Time:
		return false
	}
	return true
}

// key writes the key of a map[any]any: of a pointer, the value that it points to.
func (g *genericEncoder) key(k any) error {
	v := reflect.ValueOf(k)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return g.value(k)
	}
	if elem := v.Elem(); elem.Kind() == reflect.Map || elem.Kind() == reflect.Interface || elem.Kind() == reflect.Pointer {
		return g.value(elem.Interface())
	}
	// An interface that points to the same memory, by which an origin may be known.
	return g.value(pack(reflect.Zero(v.Type().Elem()).Interface(), v.UnsafePointer()))
}

// other writes what is no plain generic value.
func (g *genericEncoder) other(v any) error {
	if id, lazy, ok := g.forms.OpenRef(v); ok {
		return g.reference(id, lazy)
	}
	if name, value, ok := g.forms.OpenTyped(v); ok {
		return g.typed(name, value)
	}
	e := g.e
	rv := reflect.ValueOf(v)
	pl := e.c.planOf(rv.Type())
	if g.holdsGeneric(rv.Type()) {
		switch pl.kind {
		case kindSlice, kindArray:
			if pl.kind == kindSlice && rv.IsNil() {
				e.buf = append(e.buf, codeNil)
				return nil
			}
			return g.container(opened{}, true, g.list, func() error {
				return g.elements(rv.Len(), false, func(i int) any { return rv.Index(i).Interface() })
			})
		case kindMap:
			if rv.IsNil() {
				e.buf = append(e.buf, codeNil)
				return nil
			}
			return g.container(opened{}, true, g.keyed, func() error {
				var keys, vals []any
				for it := rv.MapRange(); it.Next(); {
					keys, vals = append(keys, it.Key().Interface()), append(vals, it.Value().Interface())
				}
				return g.entriesOf(keys, vals, false)
			})
		}
	}
	tmp := reflect.New(rv.Type())
	tmp.Elem().Set(rv)
	return pl.enc(e, pl, tmp.UnsafePointer())
}

// holdsGeneric reports whether slices, arrays or maps of type t may hold generic values that the
// plan of t does not know.
func (g *genericEncoder) holdsGeneric(t reflect.Type) bool {
	for range maxNesting {
		switch t.Kind() {
		case reflect.Slice, reflect.Array, reflect.Map:
			t = t.Elem()
			continue
		case reflect.Interface:
			return true
		}
		break
	}
	zero := reflect.Zero(t).Interface()
	_, _, ref := g.forms.OpenRef(zero)
	_, _, typed := g.forms.OpenTyped(zero)
	return ref || typed
}

func (g *genericEncoder) reference(id driver.ID, lazy bool) error {
	_, eager := slices.BinarySearch(g.h.Eager, id)
	_, lazily := slices.BinarySearch(g.h.Lazy, id)
	switch {
	case lazy && (eager || lazily):
		g.e.lazy.add(id)
		return g.e.appendID(extLazy, id)
	case eager:
		g.e.eager.add(id)
		return g.e.appendID(extEager, id)
	case lazily:
		return g.e.fail(driver.ErrType, "refers to %q, which the record holds only lazily", shorten(string(id)))
	}
	return g.e.fail(driver.ErrType, "refers to %q, which the record does not hold", shorten(string(id)))
}

// typed writes a value with its type, as it stands in an interface.
func (g *genericEncoder) typed(name string, v any) error {
	e := g.e
	fam := famNil
	if v != nil && !isNilContainer(v) {
		fam = famInvalid
	}
	if name == anyName || len(name) > maxComposedName || !possibleName(name, 0) {
		return e.fail(driver.ErrUnstorable, "%q as the type of a value", shorten(name))
	}
	if standsAlone(name, fam) {
		return g.value(v)
	}
	if err := e.enter(g.list); err != nil {
		return err
	}
	e.buf = appendStr(append(e.buf, codeFixArray|2), name)
	if err := g.named(name, v); err != nil {
		return err
	}
	e.leave()
	return nil
}

// named writes a value of a type: a number that the type has in fewer bits, in those.
func (g *genericEncoder) named(name string, v any) error {
	single := func(f float64) bool { return float64(float32(f)) == f }
	if !g.o.of(identityOf(v)).single {
		switch v := v.(type) {
		case float64:
			if name == "float32" && single(v) {
				g.e.buf = appendFloat32(g.e.buf, math.Float32bits(float32(v)))
				return nil
			}
		case complex128:
			if name == "complex64" && single(real(v)) && single(imag(v)) {
				return g.other(complex64(v))
			}
		}
	}
	return g.value(v)
}

func isNilContainer(v any) bool {
	switch v := v.(type) {
	case []byte:
		return v == nil
	case map[string]any:
		return v == nil
	}
	return false
}
