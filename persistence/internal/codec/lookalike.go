package codec

import (
	"reflect"
	"unsafe"

	"github.com/brine-go/brine/persistence/driver"
)

// A list of two that begins with a text has the bytes of a type and a value, as they stand in an
// interface, if the text is the name of a type that the other element can be of. Such a list has
// the head that longer lists have, so that neither an interface nor a reader without types takes it
// for a type and a value. With the short head, which older programs gave it, it is read as a list
// where the type of the program says that there is one, unless the name is that of a type that the
// program knows: a field that was an interface may be a list now.

// isWide reports whether t is the head of a list of two that is like a type and a value.
func isWide(t token) bool { return t.code == codeArray16 && t.n == 2 }

// appendList appends the head of n elements of pl at p.
func (e *Encoder) appendList(pl *plan, p unsafe.Pointer, n int) error {
	if n == 2 && pl.elem.text {
		like, err := e.likeTyped(pl.elem, p)
		if err != nil {
			return err
		}
		if like {
			e.buf = append(e.buf, codeArray16, 0, 2)
			return nil
		}
	}
	e.buf = appendArrayLen(e.buf, n)
	return nil
}

// likeTyped reports whether the encodings of two values of pl, at p, are like a type and a value.
func (e *Encoder) likeTyped(pl *plan, p unsafe.Pointer) (bool, error) {
	second := unsafe.Add(p, pl.size)
	switch {
	case pl.op == opString:
		return e.c.likeTyped(*(*string)(p), token{tokenKind: tokenKind{fam: famStr}}), nil
	case pl.kind == kindInterface:
		name, ok := (*(*any)(p)).(string)
		return ok && e.c.likeTyped(name, e.c.headInInterface(*(*any)(second))), nil
	}
	start, known := len(e.buf), len(e.seen.list)
	err := pl.enc(e, pl, p)
	if err == nil {
		err = pl.enc(e, pl, second)
	}
	if err != nil {
		return false, err
	}
	like := e.c.beginsTyped(e.buf[start:])
	e.seen.rollback(known)
	e.buf = e.buf[:start]
	return like, nil
}

// headInInterface returns the head of v in an interface, as far as likeTyped asks for it.
func (c *Codec) headInInterface(v any) token {
	switch v := v.(type) {
	case nil:
		return token{tokenKind: tokenKind{fam: famNil}}
	case bool:
		return token{tokenKind: tokenKind{fam: famBool}}
	case string:
		return token{tokenKind: tokenKind{fam: famStr}}
	case int:
		return token{tokenKind: tokenKind{fam: famInt}}
	case float64:
		return token{tokenKind: tokenKind{fam: famFloat}}
	case []byte:
		if v != nil {
			return token{tokenKind: tokenKind{fam: famBin}}
		}
	case map[string]any:
		if v != nil {
			return token{tokenKind: tokenKind{fam: famMap}}
		}
	default:
		if t := reflect.TypeOf(v); t.Kind() == reflect.Pointer && (*eface)(unsafe.Pointer(&v)).data != nil && c.planOf(t).kind == kindReference {
			return token{tokenKind: tokenKind{fam: famExt, ext: extEager}}
		}
	}
	return token{tokenKind: tokenKind{fam: famArray}, n: 2}
}

// beginsTyped reports whether b begins with two values that are like a type and a value.
func (c *Codec) beginsTyped(b []byte) bool {
	t := readToken(b)
	if t.fam != famStr || t.n > maxComposedName || t.head != strHead(t.n) || t.n > uint64(len(b)-t.head) {
		return false
	}
	name := b[t.head : t.head+int(t.n)]
	return c.likeTyped(unsafe.String(unsafe.SliceData(name), len(name)), readToken(b[t.head+len(name):]))
}

// likeTyped reports whether a text and a value that begins with v are like a type and a value of
// it. A map and what refers back to one are the same here.
func (c *Codec) likeTyped(name string, v token) bool {
	if len(name) > maxComposedName {
		return false
	}
	if v.fam == famStr { // most often, and most names are none
		return c.isTypeOf(name, v) && possibleName(name, 0)
	}
	if !possibleName(name, 0) {
		return false
	}
	if v.fam == famMap || v.fam == famExt && v.ext == extBackref {
		return c.isTypeOf(name, token{tokenKind: tokenKind{fam: famMap}}) || c.isTypeOf(name, token{tokenKind: tokenKind{fam: famExt, ext: extBackref}})
	}
	return c.isTypeOf(name, v)
}

// isTypeOf reports whether the name, which is a possible one, is taken for that of the type of a
// value that begins with v, where nothing else is known of the two.
func (c *Codec) isTypeOf(name string, v token) bool {
	if c.names.resolves(name) {
		return !standsAlone(name, v.fam) && c.fits(name, v)
	}
	switch v.fam {
	case famStr:
		return false
	case famArray, famMap:
		return true
	case famExt:
		if v.ext == extBackref {
			return true
		}
	}
	return hasQualified(name)
}

// listHead is told of the head of a list of elem, which comes next and is the last of the path. The
// list would be encoded with another head if an older program wrote it, or one with other types. If
// it is not the root, it may as well be a type and a value that stood in an interface: that is an
// error.
func (d *decoder) listHead(elem *plan) error {
	if !elem.text || d.pos >= len(d.buf) {
		return nil
	}
	if c := d.buf[d.pos]; c != codeFixArray|2 && c != codeArray16 {
		return nil
	}
	t := readToken(d.buf[d.pos:])
	if t.n != 2 || isWide(t) == d.c.beginsTyped(d.buf[d.pos+t.head:]) {
		return nil
	}
	d.differs = true
	if isWide(t) || len(d.path) < 2 { // the record names the type of the root
		return nil
	}
	at := d.pos + t.head
	s := readToken(d.buf[at:])
	name := string(d.buf[at+s.head : at+s.head+int(s.n)])
	if !d.c.names.resolves(name) {
		return nil
	}
	return d.fail(driver.ErrType, "a value of type %q, or a list that an older program wrote: nothing tells which", shorten(name))
}

// setText finds out whether a value of pl may be encoded as a text that is not a type's name.
func (pl *plan) setText() {
	in := pl
	for in.kind == kindPointer && !in.elem.nilable || in.kind == kindStored && in.never == nil {
		in = in.elem
	}
	pl.text = in.op == opString || in.kind == kindText || in.kind == kindInterface && in.typ.NumMethod() == 0
}

// likeTypedValues reports whether a list of two generic values is like a type and a value.
func (c *Codec) likeTypedValues(forms *GenericForms, first, second any) bool {
	name, ok := first.(string)
	if !ok {
		return false
	}
	switch v := second.(type) {
	case int64, uint64:
		return c.likeTyped(name, token{tokenKind: tokenKind{fam: famInt}})
	case []any:
		if v != nil {
			return c.likeTyped(name, token{tokenKind: tokenKind{fam: famArray}, n: uint64(len(v))})
		}
		second = nil
	case map[any]any:
		if v != nil {
			return c.likeTyped(name, token{tokenKind: tokenKind{fam: famMap}})
		}
		second = nil
	default:
		if _, lazy, ok := forms.OpenRef(second); ok {
			ext := byte(extEager)
			if lazy {
				ext = extLazy
			}
			return c.likeTyped(name, token{tokenKind: tokenKind{fam: famExt, ext: ext}})
		}
	}
	return c.likeTyped(name, c.headInInterface(second))
}
