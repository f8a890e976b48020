package codec

import (
	"reflect"
	"unsafe"
)

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
		// What others refer back to stays what they get, and a list is known by its memory.
		if len(v) > maxKeyArray || depth >= maxKeyDepth || g.lists[identityOf(v)] || g.odd[identityOf(v)] {
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

// pointerTo returns a pointer to a value. If the origin of the value is known, that is to the
// memory it is known by.
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
