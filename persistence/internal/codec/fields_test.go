package codec

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/google/go-cmp/cmp"
)

type (
	base struct {
		ID   int
		Name string
		Both string
	}
	mixin struct {
		Color string
		deep
	}
	deep  struct{ Depth, Name int }
	Label string

	embedding struct {
		base
		*mixin
		Label
		Own   int
		Name  string `msgpack:"name"`
		Skip  int    `msgpack:"-"`
		Dash  int    `msgpack:"-,"`
		Comma int    `msgpack:",inline,whatever"`
		inner int
	}
)

func TestFieldNames(t *testing.T) {
	t.Parallel()
	type tagged struct{ X int }
	type chosen struct {
		base `msgpack:"base"`
		X    int
	}
	tests := map[string]struct {
		typ  reflect.Type
		want []string
	}{
		"promoted fields, tags, and what they hide": {reflect.TypeFor[embedding](), []string{"Both", "mixin.deep.Name", "Color", "Comma", "Depth", "ID", "Label", "Name", "Own", "name", "-"}},
		"an embedded struct with a tag":             {reflect.TypeFor[chosen](), []string{"X", "base"}},
		"the identity is not stored":                {reflect.TypeFor[machine](), []string{"Last", "Name"}},
		"a tag hides what is below": {reflect.TypeFor[struct {
			deep
			tagged
			Y int `msgpack:"X"`
		}](), []string{"Depth", "Name", "X", "tagged.X"}},
		"the same type twice cancels out": {reflect.TypeFor[struct {
			twin1
			twin2
		}](), nil},
		"and so does a third": {reflect.TypeFor[struct {
			twin1
			twin2
			twin3
		}](), nil},
		"an embedded type with a form of its own is a field": {reflect.TypeFor[struct {
			ref[task]
			Ref2 ref[task]
			time.Month
			B bool
			E embeddedTime
		}](), []string{"B", "E", "Month", "Ref2", "ref"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, f := range newCodec(t).planOf(tc.typ).body.fields {
				got = append(got, f.name)
			}
			slices.Sort(got)
			slices.Sort(tc.want)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

type (
	common       struct{ A, B int }
	twin1        struct{ common }
	twin2        struct{ common }
	twin3        struct{ common }
	embeddedTime struct {
		time.Time
		encodedBeside
	}
	encodedBeside struct{ N int }
)

func (encodedBeside) MarshalText() ([]byte, error)    { return nil, nil }
func (*encodedBeside) UnmarshalText([]byte) error     { return nil }
func (encodedBeside) MarshalBinary() ([]byte, error)  { return nil, nil }
func (*encodedBeside) UnmarshalBinary(b []byte) error { return nil }

func TestEmbeddedTimeBesideFieldsIsKept(t *testing.T) {
	t.Parallel()
	// Both embedded types have marshalers, so that none of them is promoted.
	in := embeddedTime{Time: time.Unix(5, 6).UTC()}
	out := roundTrip(t, newCodec(t), newWorld(), &in).(*embeddedTime)
	if !out.Equal(in.Time) {
		t.Errorf("%v became %v", in.Time, out.Time)
	}
}

func TestEmbeddedStructs(t *testing.T) {
	t.Parallel()
	tests := map[string]embedding{
		"a nil pointer":     {base: base{ID: 1, Name: "hidden"}, Label: "l", Own: 2, Name: "shown"},
		"a pointer":         {mixin: &mixin{Color: "red", deep: deep{Depth: 3}}, Dash: 4, Comma: 5},
		"an empty embedded": {mixin: &mixin{}},
	}
	for name, in := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := *roundTrip(t, newCodec(t), newWorld(), in).(*embedding)
			if !reflect.DeepEqual(in, out) {
				t.Errorf("got %+v, want %+v", out, in)
			}
		})
	}
}

func TestUnexportedAndSkippedFieldsAreNotStored(t *testing.T) {
	t.Parallel()
	out := roundTrip(t, newCodec(t), newWorld(), &embedding{inner: 1, Skip: 2, Own: 3}).(*embedding)
	if out.inner != 0 || out.Skip != 0 || out.Own != 3 {
		t.Errorf("got %+v", out)
	}
}

func TestOmitEmpty(t *testing.T) {
	t.Parallel()
	type omitting struct {
		B bool           `msgpack:",omitempty"`
		I int            `msgpack:"i,omitempty"`
		F float64        `msgpack:",omitempty"`
		S string         `msgpack:",omitempty"`
		L []int          `msgpack:",omitempty"`
		M map[string]int `msgpack:",omitempty"`
		A [0]int         `msgpack:",omitempty"`
		P *int           `msgpack:",omitempty"`
		X any            `msgpack:",omitempty"`
		T time.Time      `msgpack:",omitempty"`
		D base           `msgpack:",omitempty"`
		R ref[task]      `msgpack:",omitempty"`
	}
	c, w := newCodec(t), newWorld()
	empty := encode(t, c, w, &omitting{L: []int{}, M: map[string]int{}})
	h, err := c.Parse(empty, testLimits)
	if err != nil {
		t.Fatal(err)
	}
	if string(h.body) != "\x80" {
		t.Errorf("an empty struct is %x", h.body)
	}
	in := omitting{true, 1, 2, "s", []int{0}, map[string]int{"": 0}, [0]int{}, ptr(0), 0, time.Unix(0, 0).UTC(), base{ID: 1}, ref[task]{}}
	if out := *roundTrip(t, c, w, in).(*omitting); !reflect.DeepEqual(in, out) {
		t.Errorf("got %+v, want %+v", out, in)
	}
}

func TestPersistable(t *testing.T) {
	t.Parallel()
	type (
		byEmbedding struct{ machine }
		deeper      struct{ byEmbedding }
		twice       struct {
			identity
			machine
		}
		byPointer       struct{ *identity }
		pointerToObject struct{ *machine }
		byInterface     struct{ sealed } //nolint:unused // looked at by reflection
		otherInterface  struct{ error }
		asField         struct{ ID identity }
		recursive       struct{ *recursive }
	)
	tests := map[string]struct {
		typ  reflect.Type
		want bool
		err  bool
	}{
		"embedded":                             {reflect.TypeFor[machine](), true, false},
		"through an embedded struct":           {reflect.TypeFor[byEmbedding](), true, false},
		"through two":                          {reflect.TypeFor[deeper](), true, false},
		"not at all":                           {reflect.TypeFor[kinds](), false, false},
		"twice":                                {reflect.TypeFor[twice](), false, true},
		"by pointer":                           {reflect.TypeFor[byPointer](), false, true},
		"a pointer to a persistable":           {reflect.TypeFor[pointerToObject](), false, true},
		"through an interface":                 {reflect.TypeFor[byInterface](), false, true},
		"another interface":                    {reflect.TypeFor[otherInterface](), false, false},
		"as a field, which is no embedding":    {reflect.TypeFor[asField](), false, false},
		"a struct that embeds its own pointer": {reflect.TypeFor[recursive](), false, false},
		"the identity itself":                  {reflect.TypeFor[identity](), false, false},
		"a pointer":                            {reflect.TypeFor[*machine](), false, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := newCodec(t).Persistable(tc.typ)
			if got != tc.want || (err != nil) != tc.err || err != nil && !errors.Is(err, driver.ErrUnstorable) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestPersistableThroughAnEmbeddedStructIsStoredWhole(t *testing.T) {
	t.Parallel()
	type child struct {
		machine
		Extra int
	}
	in := &child{machine: machine{Name: "m"}, Extra: 2}
	out := roundTrip(t, newCodec(t), newWorld(), in).(*child)
	if out.Name != "m" || out.Extra != 2 {
		t.Errorf("got %+v", out)
	}
}
