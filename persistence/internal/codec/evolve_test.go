package codec

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
	"pgregory.net/rapid"
)

// Types of two versions of a program are drawn: one at random, the other by random changes to it.

var evolveScalars = []reflect.Type{
	reflect.TypeFor[int](), reflect.TypeFor[int8](), reflect.TypeFor[uint16](), reflect.TypeFor[float64](), reflect.TypeFor[float32](),
	reflect.TypeFor[string](), reflect.TypeFor[bool](), reflect.TypeFor[[]byte](), reflect.TypeFor[time.Time](), reflect.TypeFor[time.Duration](),
}

func drawType(t *rapid.T, depth int) reflect.Type {
	n := 9
	if depth <= 0 {
		n = 3
	}
	switch rapid.IntRange(0, n).Draw(t, "kind") {
	case 4:
		return reflect.PointerTo(drawType(t, depth-1))
	case 5:
		return reflect.SliceOf(drawType(t, depth-1))
	case 6:
		return reflect.MapOf(rapid.SampledFrom([]reflect.Type{reflect.TypeFor[string](), reflect.TypeFor[int]()}).Draw(t, "key"), drawType(t, depth-1))
	case 7:
		return reflect.ArrayOf(2, drawType(t, depth-1))
	case 8, 9:
		return drawStruct(t, depth-1)
	case 3:
		return anyType
	}
	return rapid.SampledFrom(evolveScalars).Draw(t, "scalar")
}

func drawStruct(t *rapid.T, depth int) reflect.Type {
	var fields []reflect.StructField
	for _, name := range []string{"Aa", "B", "Ccc", "D", "Ee", "F"} {
		if rapid.IntRange(0, 2).Draw(t, "has "+name) > 0 {
			fields = append(fields, reflect.StructField{Name: name, Type: drawType(t, depth)})
		}
	}
	if len(fields) == 0 {
		fields = append(fields, reflect.StructField{Name: "Z", Type: reflect.TypeFor[int]()})
	}
	return reflect.StructOf(fields)
}

// changeType returns another version of typ.
func changeType(t *rapid.T, typ reflect.Type, depth int) reflect.Type {
	switch rapid.IntRange(0, 14).Draw(t, "change") {
	case 0:
		// A map and a struct look the same in a record, and an interface does not say what it held.
		if other := drawType(t, 1); (!inMap(typ) || !inMap(other)) && !holdsAny(typ) {
			return other
		}
	case 1:
		return reflect.PointerTo(typ)
	case 2:
		return reflect.SliceOf(typ)
	case 3:
		if typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			return typ.Elem()
		}
	}
	switch typ.Kind() {
	case reflect.Pointer:
		return reflect.PointerTo(changeType(t, typ.Elem(), depth))
	case reflect.Slice:
		return reflect.SliceOf(changeType(t, typ.Elem(), depth))
	case reflect.Array:
		return reflect.ArrayOf(2, changeType(t, typ.Elem(), depth))
	case reflect.Map:
		return reflect.MapOf(typ.Key(), changeType(t, typ.Elem(), depth))
	case reflect.Struct:
		if typ != timeType {
			return changeStruct(t, typ, depth)
		}
	}
	return typ
}

func holdsAny(typ reflect.Type) bool {
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map || typ.Kind() == reflect.Array {
		typ = typ.Elem()
	}
	return typ.Kind() == reflect.Interface
}

// inMap reports whether values of typ, or what they lead to, stand in msgpack maps.
func inMap(typ reflect.Type) bool {
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
		typ = typ.Elem()
	}
	return typ.Kind() == reflect.Map || typ.Kind() == reflect.Struct && typ != timeType || typ.Kind() == reflect.Interface
}

func changeStruct(t *rapid.T, typ reflect.Type, depth int) reflect.Type {
	fields := []reflect.StructField{{Name: "New", Type: drawType(t, 0)}}
	if rapid.IntRange(0, 3).Draw(t, "adds") > 0 {
		fields = nil
	}
	for i := range typ.NumField() {
		f := reflect.StructField{Name: typ.Field(i).Name, Type: typ.Field(i).Type}
		switch rapid.IntRange(0, 5).Draw(t, "field") {
		case 0:
			continue // removed
		case 1:
			f.Type = changeType(t, f.Type, depth-1)
		case 2:
			if f.Type.Kind() == reflect.Struct && f.Type != timeType {
				f.Type = changeStruct(t, f.Type, depth-1)
			}
		}
		if !slices.ContainsFunc(fields, func(g reflect.StructField) bool { return g.Name == f.Name }) {
			fields = append(fields, f)
		}
	}
	if len(fields) == 0 {
		fields = append(fields, reflect.StructField{Name: "Zz", Type: reflect.TypeFor[int]()})
	}
	return reflect.StructOf(fields)
}

// A filler draws values. Pointers and maps of one type are shared at times.
type filler struct {
	t    *rapid.T
	made map[reflect.Type][]reflect.Value
}

func (f *filler) fill(v reflect.Value, depth int) {
	t := f.t
	switch v.Kind() {
	case reflect.Pointer, reflect.Map:
		if made := f.made[v.Type()]; len(made) > 0 && rapid.Bool().Draw(t, "shared") {
			v.Set(rapid.SampledFrom(made).Draw(t, "of"))
			return
		}
		if depth <= 0 || rapid.IntRange(0, 5).Draw(t, "nil") == 0 {
			return
		}
		if v.Kind() == reflect.Pointer {
			v.Set(reflect.New(v.Type().Elem()))
			f.fill(v.Elem(), depth-1)
		} else {
			v.Set(reflect.MakeMap(v.Type()))
			for range rapid.IntRange(0, 2).Draw(t, "entries") {
				key, elem := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
				f.fill(key, depth-1)
				f.fill(elem, depth-1)
				v.SetMapIndex(key, elem)
			}
		}
		f.made[v.Type()] = append(f.made[v.Type()], v)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes(rapid.SliceOfN(rapid.Byte(), 0, 4).Draw(t, "bytes"))
			return
		}
		if depth <= 0 || rapid.IntRange(0, 5).Draw(t, "nil") == 0 {
			return
		}
		n := rapid.IntRange(0, 3).Draw(t, "elements")
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			f.fill(v.Index(i), depth-1)
		}
	case reflect.Array:
		for i := range v.Len() {
			f.fill(v.Index(i), depth-1)
		}
	case reflect.Struct:
		if v.Type() == timeType {
			sec := rapid.Int64Range(0, 1<<33).Draw(t, "seconds")
			loc := rapid.SampledFrom([]*time.Location{time.UTC, time.FixedZone("A/B", 60), time.FixedZone("", 7200)}).Draw(t, "zone")
			v.Set(reflect.ValueOf(time.Unix(sec, 0).In(loc)))
			return
		}
		for i := range v.NumField() {
			f.fill(v.Field(i), depth-1)
		}
	case reflect.Interface:
		if depth <= 0 {
			return
		}
		x := rapid.SampledFrom([]any{nil, 5, "text", int8(3), 2.5, []any{1, "two"}, []string{"a"}, map[string]any{"k": 1}, uint64(1 << 63)}).Draw(t, "any")
		if x != nil {
			v.Set(reflect.ValueOf(x))
		}
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.String:
		v.SetString(rapid.StringN(0, 3, 6).Draw(t, "string"))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(float64(rapid.IntRange(-4, 300).Draw(t, "halves")) / 2)
	case reflect.Uint16:
		v.SetUint(uint64(rapid.IntRange(0, 300).Draw(t, "uint")))
	default:
		v.SetInt(int64(int8(rapid.IntRange(-128, 127).Draw(t, "int"))))
	}
}

// checkEvolution is the property: program A stores a value, program B, whose types differ, loads
// it, sets some fields and saves it, and A finds all that it stored but for these, or B was
// refused.
func checkEvolution(t *rapid.T) {
	typeA := drawStruct(t, 3)
	typeB := changeStruct(t, typeA, 3)
	f := filler{t: t, made: map[reflect.Type][]reflect.Value{}}
	a := reflect.New(typeA)
	f.fill(a.Elem(), 6)
	ca, cb := New(testConfig), New(testConfig)
	encodeAs := func(c *Codec, obj any, kept *Kept) []byte {
		enc, err := c.NewEncoder(testLimits, nil).Encode(obj, kept)
		if err != nil {
			t.Fatalf("encode: %v", err)
		}
		return bytes.Clone(enc.Data)
	}
	decodeAs := func(c *Codec, data []byte, dst any) (Outcome, error) {
		h, err := c.Parse(data, testLimits)
		if err != nil {
			t.Fatal(err)
		}
		return c.Decode(h, dst, DecodeOptions{Limits: testLimits})
	}
	stored := encodeAs(ca, a.Interface(), nil)
	b := reflect.New(typeB)
	out, err := decodeAs(cb, stored, b.Interface())
	if err != nil {
		if !errors.Is(err, driver.ErrType) && !errors.Is(err, driver.ErrUnknownType) {
			t.Fatalf("B is refused with %v", err)
		}
		return
	}
	unchanged := encodeAs(cb, b.Interface(), out.Kept)
	h1, _ := ca.Parse(stored, testLimits)
	h2, _ := ca.Parse(unchanged, testLimits)
	if !out.Differs && !bytes.Equal(h1.body, h2.body) {
		t.Fatalf("it is said to be the same\n%v\n%v\n%x\n%x", typeA, typeB, h1.body, h2.body)
	}
	if out.Kept.Lost() != "" || out.Kept.Split() != "" {
		return // a save is refused
	}
	for i := range typeB.NumField() {
		name := typeB.Field(i).Name
		in, ok := typeA.FieldByName(name)
		if ok && in.Type == typeB.Field(i).Type && slices.Contains(evolveScalars, in.Type) && rapid.Bool().Draw(t, "sets "+name) {
			f.fill(b.Elem().Field(i), 1)
			a.Elem().FieldByName(name).Set(b.Elem().Field(i))
		}
	}
	got := reflect.New(typeA)
	if _, err := decodeAs(ca, encodeAs(cb, b.Interface(), out.Kept), got.Interface()); err != nil {
		t.Fatalf("A is refused: %v\nA %v\nB %v\nstored %x\nsaved  %x", err, typeA, typeB, h1.body, h2.body)
	}
	if want, have := encodeAs(ca, a.Interface(), nil), encodeAs(ca, got.Interface(), nil); !bytes.Equal(want, have) {
		t.Fatalf("A %v\nB %v\nstored %s\ngot    %s\nbytes  %x\nB's    %x\n", typeA, typeB, fmt.Sprintf("%+v", a.Elem()), fmt.Sprintf("%+v", got.Elem()), h1.body, h2.body)
	}
}

// A pointer that had become a pointer to a pointer is written as an array of one, which may hold a
// back-reference and be referred to itself.
func TestBackReferencesToPointersInBoxes(t *testing.T) {
	t.Parallel()
	type before struct {
		A    *int8
		D    map[int]*int8
		E, F *int8
	}
	type after struct {
		D    map[int]**int8
		E, F **int8
	}
	c := New(testConfig)
	n := int8(-4)
	stored := encode(t, c, nil, &before{A: &n, D: map[int]*int8{1: &n, 2: &n}, E: &n, F: &n})
	var b after
	h, err := c.Parse(stored, testLimits)
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.Decode(h, &b, DecodeOptions{Limits: testLimits})
	if err != nil {
		t.Fatal(err)
	}
	enc, err := c.NewEncoder(testLimits, nil).Encode(&b, out.Kept)
	if err != nil {
		t.Fatal(err)
	}
	var got before
	if err := decodeInto(c, newWorld(), enc.Data, &got); err != nil {
		t.Fatal(err)
	}
	if again := encode(t, c, nil, &got); !bytes.Equal(again, stored) {
		t.Errorf("got %x\nwant %x", again, stored)
	}
}

func TestRandomChangesOfTypesLoseNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, checkEvolution)
}

func FuzzEvolution(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(checkEvolution))
}
