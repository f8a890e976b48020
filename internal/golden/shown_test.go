package golden

import (
	"cmp"
	"encoding"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/brine-go/brine/persistence"
)

// A shower tells how docs/brine_reader.py shows Go values. It goes by the types of the values, as
// docs/format.md describes, and knows nothing of bytes.
type shower struct {
	seen       map[any]string // pointers and maps with the paths at which they are shown
	refs, lazy map[string]bool
}

// show returns how the body of obj's record is shown, and the IDs that it refers to.
func show(obj any) (shown any, refs, lazy []string) {
	s := shower{map[any]string{}, map[string]bool{}, map[string]bool{}}
	v := reflect.ValueOf(obj)
	if v.Kind() == reflect.Pointer && v.Elem().Kind() == reflect.Struct { // its record is that of the struct
		if _, ok := obj.(persistence.Object); !ok {
			s.seen[obj] = "$"
		}
		v = v.Elem()
	}
	shown = s.value(v, "$")
	return shown, slices.Sorted(maps.Keys(s.refs)), slices.Sorted(maps.Keys(s.lazy))
}

var (
	objectType = reflect.TypeFor[persistence.Object]()
	binaryType = reflect.TypeFor[encoding.BinaryMarshaler]()
	textType   = reflect.TypeFor[encoding.TextMarshaler]()
	customType = reflect.TypeFor[msgpack.CustomEncoder]()
)

func (s *shower) value(v reflect.Value, path string) any {
	t := v.Type()
	if t.Kind() != reflect.Pointer && t.Kind() != reflect.Interface {
		switch x := v.Interface().(type) {
		case time.Time:
			return showTime(x)
		case persistence.Ref[Task]:
			return s.reference("$lazy", s.lazy, x.ID())
		case persistence.Ref[Order]:
			return s.reference("$lazy", s.lazy, x.ID())
		case Formed:
			return s.value(reflect.ValueOf(x.StoredForm()), path)
		}
		switch {
		case t.Implements(customType):
			b, err := msgpack.Marshal(v.Interface())
			return showBytes(b, err)
		case t.Implements(binaryType):
			return showBytes(v.Interface().(encoding.BinaryMarshaler).MarshalBinary())
		case t.Implements(textType):
			b, err := v.Interface().(encoding.TextMarshaler).MarshalText()
			return showText(string(b), err)
		}
	}
	switch t.Kind() {
	case reflect.Bool:
		return v.Bool()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return json.Number(fmt.Sprint(v.Int()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return json.Number(fmt.Sprint(v.Uint()))
	case reflect.Float32, reflect.Float64:
		return showFloat(v.Float())
	case reflect.Complex64, reflect.Complex128:
		return []any{showFloat(real(v.Complex())), showFloat(imag(v.Complex()))}
	case reflect.String:
		return showText(v.String(), nil)
	case reflect.Slice, reflect.Array:
		return s.list(v, path)
	case reflect.Map:
		return s.mapping(v, path)
	case reflect.Struct:
		return s.structure(v, path)
	case reflect.Pointer:
		return s.pointer(v, path)
	case reflect.Interface:
		return s.behind(v, path)
	case reflect.Func, reflect.Chan:
		return nil
	}
	panic(fmt.Sprintf("%v has no form", t))
}

func (s *shower) reference(name string, all map[string]bool, id persistence.ID) any {
	if id == "" {
		return nil
	}
	all[string(id)] = true
	return map[string]any{name: string(id)}
}

// shared returns how a pointer or map is shown that has been shown before, or notes its path.
func (s *shower) shared(key any, path string) (any, bool) {
	if at, ok := s.seen[key]; ok {
		return map[string]any{"$same": at}, true
	}
	s.seen[key] = path
	return nil, false
}

func (s *shower) list(v reflect.Value, path string) any {
	if v.Kind() == reflect.Slice && v.IsNil() {
		return nil
	}
	if v.Type().Elem().Kind() == reflect.Uint8 {
		b := make([]byte, v.Len())
		reflect.Copy(reflect.ValueOf(b), v)
		return showBytes(b, nil)
	}
	items := []any{}
	for i := range v.Len() {
		items = append(items, s.value(v.Index(i), fmt.Sprintf("%s[%d]", path, i)))
	}
	return items
}

func (s *shower) mapping(v reflect.Value, path string) any {
	if v.IsNil() {
		return nil
	}
	if same, ok := s.shared(v.Pointer(), path); ok {
		return same
	}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return byLength(fmt.Sprint(a), fmt.Sprint(b)) })
	object, pairs := map[string]any{}, []any{}
	for i, k := range keys {
		key := s.value(k, fmt.Sprintf("%s{%d}", path, i))
		at := fmt.Sprintf("%s[%d]", path, i)
		text, isText := key.(string)
		if isText {
			at = path + "." + text
		}
		value := s.value(v.MapIndex(k), at)
		pairs = append(pairs, []any{key, value})
		if !isText || strings.HasPrefix(text, "$") {
			object = nil
		} else if object != nil {
			object[text] = value
		}
	}
	if object == nil {
		return map[string]any{"$map": pairs}
	}
	return object
}

// structure shows the fields of a struct by the names under which they are stored.
func (s *shower) structure(v reflect.Value, path string) any {
	fields := map[string]reflect.Value{}
	collectFields(v, fields)
	shown := map[string]any{}
	for _, name := range slices.SortedFunc(maps.Keys(fields), byLength) {
		shown[name] = s.value(fields[name], path+"."+name)
	}
	return shown
}

func collectFields(v reflect.Value, fields map[string]reflect.Value) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("msgpack"), ",")
		switch field := v.Field(i); {
		case f.Type == reflect.TypeFor[persistence.Persistable](), name == "-", !f.IsExported():
		case f.Anonymous && name == "" && field.Kind() == reflect.Pointer:
			if !field.IsNil() {
				collectFields(field.Elem(), fields)
			}
		case f.Anonymous && name == "":
			collectFields(field, fields)
		case !slices.Contains(strings.Split(options, ","), "omitempty") || !field.IsZero():
			fields[cmp.Or(name, f.Name)] = field
		}
	}
}

func (s *shower) pointer(v reflect.Value, path string) any {
	if v.Type().Implements(objectType) {
		if v.IsNil() {
			return nil
		}
		return s.reference("$ref", s.refs, v.Interface().(persistence.Object).PersistentID())
	}
	if v.IsNil() {
		return nil
	}
	if same, ok := s.shared(v.Interface(), path); ok {
		return same
	}
	switch v.Type().Elem().Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		return []any{s.value(v.Elem(), path+"[0]")}
	}
	return s.value(v.Elem(), path)
}

func (s *shower) behind(v reflect.Value, path string) any {
	if v.IsNil() {
		return nil
	}
	v = v.Elem()
	switch x := v.Interface().(type) {
	case bool, string, int, float64:
		return s.value(v, path)
	case []byte:
		if x != nil {
			return s.value(v, path)
		}
	case map[string]any:
		if x != nil {
			return s.value(v, path)
		}
	case persistence.Object:
		if !v.IsNil() {
			return s.value(v, path)
		}
	}
	return []any{typeName(v.Type()), s.value(v, path+"[1]")}
}

var registered = map[reflect.Type]string{
	reflect.TypeFor[Task](): "golden.task", reflect.TypeFor[Settings](): "golden.settings", reflect.TypeFor[Level](): "golden.level",
	reflect.TypeFor[Node](): "golden.node", reflect.TypeFor[Point](): "golden.point",
	reflect.TypeFor[Zoned](): "golden.zoned", reflect.TypeFor[Order](): "golden.order",
}

func typeName(t reflect.Type) string {
	switch name := registered[t]; {
	case name != "":
		return name
	case t.Name() != "":
		return t.String()
	}
	switch t.Kind() {
	case reflect.Pointer:
		return "*" + typeName(t.Elem())
	case reflect.Slice:
		return "[]" + typeName(t.Elem())
	case reflect.Array:
		return fmt.Sprintf("[%d]%s", t.Len(), typeName(t.Elem()))
	case reflect.Map:
		return "map[" + typeName(t.Key()) + "]" + typeName(t.Elem())
	}
	return t.String()
}

func byLength(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }

func showTime(t time.Time) any {
	shown := map[string]any{"$time": t.UTC().Format("2006-01-02T15:04:05.000000000Z")}
	if loc := t.Location(); loc != time.UTC {
		_, offset := t.Zone()
		shown["offset"] = json.Number(fmt.Sprint(offset))
		if name := loc.String(); loc != time.Local && name != "" {
			shown["zone"] = name
		}
	}
	return shown
}

func showFloat(f float64) any {
	switch {
	case math.IsNaN(f):
		return map[string]any{"$float": "nan"}
	case math.IsInf(f, 0):
		return map[string]any{"$float": strings.ToLower(strings.TrimPrefix(fmt.Sprint(f), "+"))}
	}
	return f
}

func showBytes(b []byte, err error) any {
	if err != nil {
		panic(err)
	}
	return map[string]any{"$bytes": base64.StdEncoding.EncodeToString(b)}
}

func showText(text string, err error) any {
	if err == nil && utf8.ValidString(text) {
		return text
	}
	return map[string]any{"$text": showBytes([]byte(text), err).(map[string]any)["$bytes"]}
}
