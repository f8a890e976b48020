package persistence

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/brine-go/brine/persistence/internal/codec"
)

// MarshalJSON returns the record as one JSON object with the names id, type, state, revision, size,
// created, modified, version, fields (the extra columns), refs, lazy_refs and value, in that order.
// Equal records give equal bytes.
//
// In value, a struct and a map with text keys are objects, their names sorted. A time is an RFC
// 3339 text with its offset, bytes are base64. Whole numbers beyond 2^53 are texts, and so are
// "NaN", "Infinity" and "-Infinity"; a float that is a whole number has a fraction of 0. The rest
// are objects of their own:
//
//	{"$ref": "7"}                       a reference
//	{"$ref": "7", "lazy": true}         a lazy reference
//	{"$type": "int8", "value": 3}       a value in an interface, with its type; see Typed
//	{"$map": [[key, value], …]}         a map with other keys, or with one that begins with "$",
//	                                    in the order of the record
//	{"$complex": [1.5, -2.0]}           a complex number: real, imaginary
//	{"$string": "/w=="}                 a string that is not UTF-8: the base64 of its bytes
//	{"$cycle": "/value/Next"}           a value inside itself, which begins there
//	{"$same": "/value/Next"}            a value that the record holds there as well
//
// The paths are JSON Pointers (RFC 6901) from the record's object; one of over 200 bytes is cut
// off and ends in "…". What is shared is therefore written once. A value nested over 9,000 deep is
// ErrTooLarge, because encoding/json refuses 10,000. Bytes that are damaged are ErrCorrupt.
func (r Record) MarshalJSON() ([]byte, error) {
	w := &jsonWriter{}
	v, h, err := r.generic(&w.origins)
	if err != nil {
		return nil, err
	}
	w.object(
		jsonField{"id", string(r.ID)}, jsonField{"type", h.Type}, jsonField{"state", r.State},
		jsonField{"revision", r.Revision}, jsonField{"size", int64(len(r.Bytes))},
		jsonField{"created", r.Created}, jsonField{"modified", r.Modified}, jsonField{"version", int64(h.Version)},
		jsonField{"fields", columnsOf(r.Fields)}, jsonField{"refs", idList(h.Eager)}, jsonField{"lazy_refs", idList(h.Lazy)}, jsonField{"value", v},
	)
	if w.err != nil {
		return nil, fmt.Errorf("record %q: %w", r.ID, w.err)
	}
	return w.b, nil
}

func idList(ids []ID) []any {
	list := make([]any, len(ids))
	for i, id := range ids {
		list[i] = string(id)
	}
	return list
}

func columnsOf(fields map[string]any) map[string]any {
	if fields == nil {
		return map[string]any{}
	}
	return fields
}

const (
	maxJSONDepth   = 9000 // encoding/json refuses 10,000, and a record may be inside something
	maxJSONPointer = 200  // bytes, so that many references to a long path take little space
)

// A jsonWriter writes generic values as JSON.
type jsonWriter struct {
	b       []byte
	origins codec.Origins
	shared  map[uintptr]jsonPlace // by address: nothing moves or is freed while the value is in use
	pointer []byte                // to where the writer is; over maxJSONPointer, only its beginning
	depth   int
	err     error
}

// A jsonPlace is where a shared map or slice was written.
type jsonPlace struct {
	pointer string
	open    bool // it is still being written
}

// A jsonField is a name and a value of an object whose names are not those of a map.
type jsonField struct {
	name  string
	value any
}

func (w *jsonWriter) value(v any) {
	if w.err != nil {
		return
	}
	switch v := v.(type) {
	case nil:
		w.b = append(w.b, "null"...)
	case bool:
		w.b = strconv.AppendBool(w.b, v)
	case int64:
		w.integer(strconv.FormatInt(v, 10), -1<<53 <= v && v <= 1<<53)
	case uint64:
		w.integer(strconv.FormatUint(v, 10), v <= 1<<53)
	case float64:
		w.float(v)
	case complex128:
		w.object(jsonField{"$complex", []any{real(v), imag(v)}})
	case string:
		w.text(v)
	case []byte:
		w.b = append(w.b, '"')
		w.b = base64.StdEncoding.AppendEncode(w.b, v)
		w.b = append(w.b, '"')
	case time.Time:
		w.b = appendQuoted(w.b, jsonTime(v))
	case RecordRef:
		if v.Lazy {
			w.object(jsonField{"$ref", string(v.ID)}, jsonField{"lazy", true})
		} else {
			w.object(jsonField{"$ref", string(v.ID)})
		}
	case Typed:
		w.object(jsonField{"$type", v.Type}, jsonField{"value", v.Value})
	case []any:
		w.once(v, func() { w.list(len(v), func(i int) any { return v[i] }) })
	case map[string]any:
		w.once(v, func() { w.textMap(v) })
	case map[any]any:
		w.once(v, func() {
			keys, vals, _ := w.origins.Entries(v)
			w.pairs(keys, vals)
		})
	default:
		w.key(reflect.ValueOf(v))
	}
}

// key writes a key of a map that is a pointer to a value, or an array.
func (w *jsonWriter) key(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		w.value(v.Elem().Interface())
	case reflect.Array:
		w.list(v.Len(), func(i int) any { return v.Index(i).Interface() })
	default:
		w.err = fmt.Errorf("%v is no generic value: %w", v.Type(), ErrUnstorable)
	}
}

// once writes a map or slice, or where it was written before.
func (w *jsonWriter) once(v any, write func()) {
	if !w.origins.Shared(v) {
		write()
		return
	}
	id := reflect.ValueOf(v).Pointer()
	if place, ok := w.shared[id]; ok {
		name := "$same"
		if place.open {
			name = "$cycle"
		}
		w.object(jsonField{name, place.pointer})
		return
	}
	if w.shared == nil {
		w.shared = make(map[uintptr]jsonPlace)
	}
	pointer := string(w.pointer)
	if len(pointer) > maxJSONPointer {
		pointer = strings.ToValidUTF8(pointer[:maxJSONPointer], "") + "…"
	}
	w.shared[id] = jsonPlace{pointer: pointer, open: true}
	write()
	w.shared[id] = jsonPlace{pointer: pointer}
}

func (w *jsonWriter) open(bracket byte) {
	w.b = append(w.b, bracket)
	if w.depth++; w.depth > maxJSONDepth && w.err == nil {
		w.err = fmt.Errorf("JSON nested deeper than %d: %w", maxJSONDepth, ErrTooLarge)
	}
}

func (w *jsonWriter) close(bracket byte) {
	w.b = append(w.b, bracket)
	w.depth--
}

// step writes a value that stands under a name or index.
func (w *jsonWriter) step(name string, v any) {
	n := len(w.pointer)
	if n <= maxJSONPointer {
		w.pointer = append(w.pointer, '/')
		w.pointer = append(w.pointer, pointerEscapes.Replace(name[:min(len(name), maxJSONPointer)])...)
	}
	w.value(v)
	w.pointer = w.pointer[:n]
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

func (w *jsonWriter) object(fields ...jsonField) {
	w.open('{')
	for i, f := range fields {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.b = append(appendQuoted(w.b, f.name), ':')
		w.step(f.name, f.value)
	}
	w.close('}')
}

func (w *jsonWriter) list(n int, at func(int) any) {
	w.open('[')
	for i := range n {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.step(strconv.Itoa(i), at(i))
	}
	w.close(']')
}

func (w *jsonWriter) textMap(m map[string]any) {
	names := slices.Sorted(maps.Keys(m))
	if slices.ContainsFunc(names, func(s string) bool { return strings.HasPrefix(s, "$") || !utf8.ValidString(s) }) {
		keys, vals := make([]any, len(m)), make([]any, len(m))
		for i, name := range names {
			keys[i], vals[i] = name, m[name]
		}
		w.pairs(keys, vals)
		return
	}
	w.open('{')
	for i, name := range names {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.b = append(appendQuoted(w.b, name), ':')
		w.step(name, m[name])
	}
	w.close('}')
}

// pairs writes a map whose keys cannot be names.
func (w *jsonWriter) pairs(keys, vals []any) {
	list := make([]any, len(keys))
	for i := range keys {
		list[i] = []any{keys[i], vals[i]}
	}
	w.object(jsonField{"$map", list})
}

func (w *jsonWriter) integer(digits string, exact bool) {
	if !exact {
		digits = `"` + digits + `"`
	}
	w.b = append(w.b, digits...)
}

func (w *jsonWriter) float(f float64) {
	switch {
	case math.IsNaN(f):
		w.b = append(w.b, `"NaN"`...)
	case math.IsInf(f, 1):
		w.b = append(w.b, `"Infinity"`...)
	case math.IsInf(f, -1):
		w.b = append(w.b, `"-Infinity"`...)
	default:
		start := len(w.b)
		w.b = strconv.AppendFloat(w.b, f, 'g', -1, 64)
		if !bytes.ContainsAny(w.b[start:], ".e") {
			w.b = append(w.b, ".0"...)
		}
	}
}

func (w *jsonWriter) text(s string) {
	if utf8.ValidString(s) {
		w.b = appendQuoted(w.b, s)
		return
	}
	w.object(jsonField{"$string", []byte(s)})
}

// appendQuoted appends a string, which is UTF-8, as JSON.
func appendQuoted(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c < ' ' || c == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// jsonTime returns the instant and wall clock of t as RFC 3339 has them: its offsets are whole
// minutes below a day.
func jsonTime(t time.Time) string {
	const day = 24 * 60 * 60
	switch _, offset := t.Zone(); {
	case offset <= -day || offset >= day:
		t = t.UTC()
	case offset%60 != 0:
		t = t.In(time.FixedZone("", offset-offset%60))
	}
	return t.Format(time.RFC3339Nano)
}
