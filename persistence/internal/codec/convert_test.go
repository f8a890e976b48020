package codec

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/brine-go/brine/persistence/driver"
)

// What another version of a program reads as another type, it writes so that the first one reads
// its own value again.
func TestConversionsGoBothWays(t *testing.T) {
	t.Parallel()
	five, text := 5, "x"
	some := &text
	type (
		one   struct{ A int }
		other struct{ A int8 }
	)
	for _, tt := range []struct {
		in any
		as reflect.Type
	}{
		{5, reflect.TypeFor[[1]int]()},
		{[1]int{5}, reflect.TypeFor[int8]()},
		{[1]int{5}, reflect.TypeFor[*float64]()},
		{&five, reflect.TypeFor[[1]uint16]()},
		{one{1}, reflect.TypeFor[[1]other]()},
		{[1]one{{1}}, reflect.TypeFor[*other]()},
		{&some, reflect.TypeFor[*string]()},
		{&text, reflect.TypeFor[**string]()},
		{[2]float64{1, 2}, reflect.TypeFor[[]float32]()},
	} {
		t.Run(reflect.TypeOf(tt.in).String()+" as "+tt.as.String(), func(t *testing.T) {
			t.Parallel()
			c := newCodec(t)
			field := func(typ reflect.Type) reflect.Value {
				return reflect.New(reflect.StructOf([]reflect.StructField{{Name: "F", Type: typ}}))
			}
			a, b, again := field(reflect.TypeOf(tt.in)), field(tt.as), field(reflect.TypeOf(tt.in))
			a.Elem().Field(0).Set(reflect.ValueOf(tt.in))
			data := encode(t, c, nil, a.Interface())
			out := there(t, c, newWorld(), data, b.Interface())
			there(t, c, newWorld(), back(t, c, newWorld(), b.Interface(), out.Kept), again.Interface())
			if !bytes.Equal(encode(t, c, nil, again.Interface()), data) {
				t.Errorf("stored %v, then %v", tt.in, again.Elem().Field(0))
			}
		})
	}
}

// Inside elements no value stands for a slice of one, nor the reverse, also where the elements are
// pointers: what is written then would not be read again.
func TestElementsDoNotConvertToSlices(t *testing.T) {
	t.Parallel()
	c := newCodec(t)
	ones := []int{1}
	for name, tt := range map[string]struct{ in, out any }{
		"slices as pointers":               {&struct{ F [][]int }{[][]int{{1}}}, new(struct{ F []*int })},
		"a pointer to a slice as pointers": {&struct{ F *[]int }{&ones}, new(struct{ F []*int })},
		"pointers as slices":               {&struct{ F []*int }{[]*int{&ones[0]}}, new(struct{ F [][]int })},
		"slices as values":                 {&struct{ F [][]int }{[][]int{{1}}}, new(struct{ F []int })},
		"pointers to pointers as pointers": {&struct{ F [2]**int }{[2]**int{nil, ptr(&ones[0])}}, new(struct{ F [2]*int })},
	} {
		if err := decodeInto(c, newWorld(), encode(t, c, nil, tt.in), tt.out); !errors.Is(err, driver.ErrType) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Pointers to pointers that share what they lead to are not taken for one pointer by a program that
// reads pointers. Those that are one pointer it does not read.
func TestSharedPointersToPointers(t *testing.T) {
	t.Parallel()
	type (
		far  struct{ X, Y **int }
		near struct{ X, Y *int }
	)
	c := newCodec(t)
	n := 5
	p, q := &n, &n
	var obj near
	out := there(t, c, newWorld(), encode(t, c, nil, &far{&p, &q}), &obj)
	var got far
	there(t, c, newWorld(), back(t, c, newWorld(), &obj, out.Kept), &got)
	if obj.X != obj.Y || *got.X != *got.Y || got.X == got.Y {
		t.Errorf("got %+v, %+v", obj, got)
	}
	if err := decodeInto(c, newWorld(), encode(t, c, nil, &far{&p, &p}), new(near)); !errors.Is(err, driver.ErrType) {
		t.Errorf("got %v", err)
	}
}
