package codec

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

type (
	point struct{ X, Y int }
	level int8
	shape interface{ Area() int }
	list  []any
	fixed [2]*point
	loner struct{ P *int }
)

func (p point) Area() int  { return p.X * p.Y }
func (l *level) Area() int { return int(*l) }

var registeredTypes = []reflect.Type{
	reflect.TypeFor[point](), reflect.TypeFor[level](), reflect.TypeFor[list](), reflect.TypeFor[fixed](), reflect.TypeFor[loner](),
	reflect.TypeFor[myMap](), reflect.TypeFor[myBytes](), reflect.TypeFor[myString](), reflect.TypeFor[myInt](), reflect.TypeFor[task](),
}

func TestInterfacesKeepTheDynamicType(t *testing.T) {
	t.Parallel()
	tests := map[string]any{
		"nil": nil, "bool": true, "string": "s", "int": 1, "a negative int": -1 << 30,
		"int8": int8(-1), "int16": int16(-2), "int32": int32(-3), "int64": int64(-4),
		"uint": uint(1), "uint8": uint8(2), "uint16": uint16(3), "uint32": uint32(4), "uint64": uint64(1<<64 - 1),
		"float32": float32(1.5), "float64": 2.5, "complex64": complex64(1i), "complex128": complex128(2i),
		"duration": time.Second, "time": time.Unix(1, 2).UTC(),
		"bytes": []byte{1}, "empty bytes": []byte{}, "nil bytes": []byte(nil),
		"map[string]any": map[string]any{"a": 1, "b": map[string]any{}}, "a nil map[string]any": map[string]any(nil),
		"[]any": []any{1, nil, []any{}}, "a nil []any": []any(nil),
		"[]string": []string{"a"}, "[]int": []int{1}, "[]float32": []float32{1}, "[3]int": [3]int{1, 2, 3}, "[3]byte": [3]byte{1, 2, 3},
		"[0]any": [0]any{}, "[1]*int": [1]*int{nil},
		"map[int][]string": map[int][]string{1: {"x"}}, "map[any]any": map[any]any{1: "a", "b": 2.5}, "map[[2]string]bool": map[[2]string]bool{{"a"}: true},
		"*int": ptr(1), "**string": ptr(ptr("x")), "a nil *int": (*int)(nil), "*[]int": &[]int{1},
		"*map[string]any": &map[string]any{"a": nil}, "[]*int": []*int{nil, ptr(1)},
		"a registered struct": point{1, 2}, "a pointer to it": &point{3, 4}, "a nil pointer to it": (*point)(nil), "a slice of it": []point{{1, 2}},
		"a map of it": map[point]*point{{1, 2}: {3, 4}}, "a registered slice": list{1, list{}}, "a registered array": fixed{nil, {1, 2}},
		"a struct of one pointer": loner{ptr(2)}, "a registered map": myMap{"a": 1}, "registered bytes": myBytes{1}, "a registered string": myString("s"),
		"a registered integer": myInt(-7), "a nil pointer to a persistable": (*task)(nil), "a nil registered map": myMap(nil),
	}
	for name, in := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCodec(t, registeredTypes...)
			type holder struct {
				A any
				B []any
				C map[string]any
			}
			out := roundTrip(t, c, newWorld(), &holder{in, []any{in}, map[string]any{"k": in}}).(*holder)
			for _, got := range []any{out.A, out.B[0], out.C["k"]} {
				if !reflect.DeepEqual(got, in) || reflect.TypeOf(got) != reflect.TypeOf(in) {
					t.Errorf("%T %v became %T %v", in, in, got, got)
				}
			}
		})
	}
}

func TestInterfacesWithMethods(t *testing.T) {
	t.Parallel()
	c := newCodec(t, registeredTypes...)
	in := []shape{nil, point{1, 2}, &point{3, 4}, ptr(level(5))}
	out := *roundTrip(t, c, newWorld(), box[[]shape]{in}).(*box[[]shape])
	if !reflect.DeepEqual(in, out.Value) {
		t.Errorf("got %v", out.Value)
	}
	t.Run("a type without the methods is refused", func(t *testing.T) {
		type any2 struct{ Value []any }
		type shape2 struct{ Value []shape }
		data := encode(t, c, newWorld(), any2{[]any{7}})
		err := decodeInto(c, newWorld(), data, new(shape2))
		if !errors.Is(err, driver.ErrType) || !strings.Contains(err.Error(), "shape2.Value[0]") {
			t.Errorf("got %v", err)
		}
	})
}

func TestUnregisteredTypesBehindInterfaces(t *testing.T) {
	t.Parallel()
	type (
		stranger struct{ A int }
		holder   struct {
			A any
			B map[string][]any
			S shape
		}
	)
	tests := map[string]struct {
		in   holder
		path string
	}{
		"a struct":                   {holder{A: stranger{}}, "holder.A: "},
		"a pointer":                  {holder{A: &stranger{}}, "holder.A: "},
		"a nil pointer":              {holder{A: (*stranger)(nil)}, "holder.A: "},
		"an element":                 {holder{B: map[string][]any{"k": {1, []stranger{}}}}, `holder.B["k"][1]: `},
		"a map value":                {holder{A: map[string]stranger{}}, "holder.A: "},
		"a map key":                  {holder{A: map[stranger]int{}}, "holder.A: "},
		"an array":                   {holder{A: [1]*stranger{}}, "holder.A: "},
		"a named integer":            {holder{A: time.March}, "holder.A: "},
		"an anonymous struct":        {holder{A: struct{ A int }{}}, "holder.A: "},
		"a pointer to a persistable": {holder{A: &machine{}}, "holder.A: "},
		"behind methods":             {holder{S: point{}}, "holder.S: "},
		"deep inside":                {holder{A: []any{map[string]any{"x": []any{stranger{}}}}}, `holder.A[0]["x"][0]: `},
		"too large an array":         {holder{A: [1 << 20]int16{}}, "holder.A: "},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := newCodec(t).NewEncoder(testLimits, newWorld()).Encode(&tc.in, nil)
			if !errors.Is(err, driver.ErrUnstorable) || !strings.HasPrefix(err.Error(), tc.path) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestUnknownTypesInARecord(t *testing.T) {
	t.Parallel()
	data := encode(t, newCodec(t, registeredTypes...), newWorld(), box[any]{[]any{&point{}}})
	c := newCodec(t)
	if _, err := c.TypeName(reflect.TypeFor[point]()); err != nil {
		t.Fatal(err)
	}
	err := decodeInto(c, newWorld(), data, new(box[any]))
	if !errors.Is(err, driver.ErrUnknownType) || !strings.HasPrefix(err.Error(), "box[interface {}].Value[0]: ") || !strings.Contains(err.Error(), "x.point") {
		t.Errorf("got %v", err)
	}
	t.Run("a type only met is not known behind an interface", func(t *testing.T) {
		named := newCodec(t)
		if err := named.Register("codec.point", reflect.TypeFor[point]()); err != nil {
			t.Fatal(err)
		}
		data := encode(t, named, newWorld(), box[any]{&point{}})
		if err := decodeInto(c, newWorld(), data, new(box[any])); !errors.Is(err, driver.ErrUnknownType) {
			t.Errorf("got %v", err)
		}
	})
}

func TestMarshalersDoNotWriteIntoInterfaces(t *testing.T) {
	t.Parallel()
	c := newCodec(t, reflect.TypeFor[counting]())
	v := any(counting{})
	roundTrip(t, c, newWorld(), box[any]{v})
	if v != any(counting{}) {
		t.Errorf("the value became %v", v)
	}
}

// counting changes itself when it is encoded.
type counting struct{ n int }

func (c *counting) MarshalText() ([]byte, error) {
	c.n++
	return fmt.Append(nil, 7), nil
}
func (c *counting) UnmarshalText([]byte) error { return nil }
