package codec

import (
	"reflect"
	"time"
	"unsafe"
)

// A marshaler that a struct has from an embedded field encodes that field and no other, so it is no
// marshaler of the struct, unless the field is all that the struct stores. Records written when it
// was taken for one hold its bytes in place of the struct, and are still read.

// marshalerPair is a kind of marshaler: the two methods that a type needs for it.
type marshalerPair struct {
	kind     kind
	has      func(t reflect.Type) bool
	enc, dec string
}

var marshalerPairs = []marshalerPair{
	{kindStored, func(t reflect.Type) bool { return storedFormOf(t) != nil }, "StoredForm", "SetStoredForm"},
	{kindCustom, implementsBoth(customEnc, customDec), "EncodeMsgpack", "DecodeMsgpack"},
	{kindBinary, implementsBoth(binaryEnc, binaryDec), "MarshalBinary", "UnmarshalBinary"},
	{kindText, implementsBoth(textEnc, textDec), "MarshalText", "UnmarshalText"},
}

func implementsBoth(enc, dec reflect.Type) func(reflect.Type) bool {
	return func(t reflect.Type) bool {
		pt := reflect.PointerTo(t)
		return pt.Implements(enc) && pt.Implements(dec)
	}
}

// marshalers returns how the methods of t encode it, kindNever if they do not. promoted is the kind
// by which t was encoded as long as promoted methods counted, if that is another one.
func (cp *compiler) marshalers(t reflect.Type) (own, promoted kind) {
	if k := t.Kind(); k == reflect.Interface || k == reflect.Pointer || t == timeType || t == cp.c.identity {
		return kindNever, kindNever
	}
	if m, ok := cp.forms[t]; ok {
		return m[0], m[1]
	}
	if cp.forms == nil {
		cp.forms = map[reflect.Type][2]kind{}
	}
	cp.forms[t] = [2]kind{} // for types that embed each other by pointer
	own, promoted = cp.findMarshalers(t)
	cp.forms[t] = [2]kind{own, promoted}
	return own, promoted
}

func (cp *compiler) findMarshalers(t reflect.Type) (own, promoted kind) {
	var first marshalerPair
	for _, m := range marshalerPairs {
		if !m.has(t) {
			continue
		}
		if OwnMethod(t, m.enc) && OwnMethod(t, m.dec) {
			return m.kind, first.kind
		}
		if first.kind == kindNever {
			first = m
		}
	}
	if first.kind != kindNever && cp.storesOnly(t, first) {
		return first.kind, kindNever
	}
	return kindNever, first.kind
}

// storesOnly reports whether all that struct type t stores is one field, embedded by value, from
// which it has both methods of m, and which stores nothing else in its turn.
func (cp *compiler) storesOnly(t reflect.Type, m marshalerPair) bool {
	enc, ok := promotedBy(t, m.enc)
	dec, ok2 := promotedBy(t, m.dec)
	if !ok || !ok2 || enc[0].Index[0] != dec[0].Index[0] || enc[0].Type.Kind() == reflect.Pointer || enc[0].Type.Kind() == reflect.Interface {
		return false
	}
	for i := range t.NumField() {
		sf := t.Field(i)
		skip := parseTag(sf.Tag.Get("msgpack")).skip
		if i == enc[0].Index[0] {
			if skip {
				return false
			}
			continue
		}
		if !skip && cp.storesField(sf) {
			return false
		}
	}
	inner := enc[0].Type
	if inner == timeType {
		return true
	}
	own, _ := cp.marshalers(inner)
	return own == m.kind
}

// timeOf returns the time.Time whose MarshalBinary encodes the struct type t, nil if none does.
// That method knows no names of locations.
func timeOf(t reflect.Type) *field { return promotedFrom(t, "MarshalBinary", timeType) }

// hasBinary reports whether t is read from its MarshalBinary as it is. That writes no names, and
// what it writes of offsets with seconds is not what it reads.
func hasBinary(t time.Time) bool {
	_, offset := t.Zone()
	return storedZone(t) == "" && offset%60 == 0
}

// promotedFrom returns the embedded field of type from whose method of the given name a struct type
// t has, nil if it has another or none.
func promotedFrom(t reflect.Type, method string, from reflect.Type) *field {
	if t.Kind() != reflect.Struct || OwnMethod(t, method) {
		return nil
	}
	path, ok := promotedBy(t, method)
	if !ok || path[len(path)-1].Type != from {
		return nil
	}
	return embeddedAt(path)
}

// storesField reports whether field sf, without the tag "-", stores anything.
func (cp *compiler) storesField(sf reflect.StructField) bool {
	inner := sf.Type
	if sf.Anonymous && inner.Kind() == reflect.Pointer {
		inner = inner.Elem()
	}
	switch {
	case sf.Anonymous && (inner == cp.c.identity || inner == cp.c.unknown):
		return false
	case sf.Anonymous && inner.Kind() == reflect.Struct:
		return !cp.flattens(inner) || !cp.storesNone(inner, nil, false) || stateful(cp.c.identity, inner)
	}
	return sf.IsExported()
}

// buildPromoted makes pl read what the marshaler pl.promoted wrote.
func (cp *compiler) buildPromoted(pl *plan) {
	if pl.promoted == kindNever || pl.kind == kindNever {
		return
	}
	old := &plan{typ: pl.typ, size: pl.size, ptr: pl.ptr, kind: pl.promoted}
	want := famBin
	switch old.kind {
	case kindText:
		want = famStr
	case kindStored:
		old.form = storedFormOf(old.typ)
		old.elem = cp.plan(old.form.typ)
		buildStored(old)
	}
	if old.kind != kindStored {
		buildMarshaler(old)
	}
	path, ok := promotedBy(pl.typ, decoderName(old.kind))
	if !ok || pl.kind == kindCustom || pl.kind == kindBinary {
		return // it has no path, or what it wrote looks like what is written now
	}
	target := embeddedAt(path)
	dec := pl.dec
	pl.dec = func(d *decoder, _ *plan, p unsafe.Pointer) error {
		t := readToken(d.buf[d.pos:])
		if old.kind == kindStored && d.beginsStruct(pl, t) || old.kind != kindStored && t.fam != want {
			return dec(d, pl, p)
		}
		target.make(p)
		return old.dec(d, old, p)
	}
}

func decoderName(k kind) string {
	for _, m := range marshalerPairs {
		if m.kind == k {
			return m.dec
		}
	}
	return ""
}

// embeddedAt returns the last field of a path of embedded fields.
func embeddedAt(path []reflect.StructField) *field {
	f := &field{}
	for _, sf := range path {
		f.off += sf.Offset
		if sf.Type.Kind() == reflect.Pointer {
			f.via = append(f.via, viaStep{off: f.off, elem: sf.Type.Elem()})
			f.off = 0
		}
	}
	return f
}

// beginsStruct reports whether t begins the fields of a struct of pl, and not a map of other keys.
func (d *decoder) beginsStruct(pl *plan, t token) bool {
	if pl.kind != kindStruct || t.fam != famMap || t.n == 0 {
		return pl.kind == kindStruct && t.fam == famMap && (pl.optional || len(pl.fields) == 0)
	}
	for i := range pl.fields {
		if hasPrefix(d.buf[d.pos+t.head:], pl.fields[i].key) {
			return true
		}
	}
	return false
}
