package codec

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type (
	spotA  struct{ Name, Note string }
	spotB  struct{ Name string }
	blankA struct{ Note string }
	blankB struct{} // all fields are gone
	omitA  struct {
		In spotA `msgpack:",omitempty"`
		N  int
	}
	omitB struct {
		In spotB `msgpack:",omitempty"`
		N  int
	}

	keyedSpot[T any] struct {
		B map[*[]string]int
		C T
	}
	hiddenSpot[T any] struct{ Part T }
	outerA            struct {
		hiddenSpot[spotA]
		Part spotA
	}
	outerB struct {
		hiddenSpot[spotB]
		Part spotB
	}
)

// otherVersions returns the codecs of two versions of a program, which know the types under one
// name each.
func otherVersions(t *testing.T) (a, b *Codec) {
	t.Helper()
	a, b = newCodec(t), newCodec(t)
	for name, types := range map[string][2]reflect.Type{
		"spot":  {reflect.TypeFor[spotA](), reflect.TypeFor[spotB]()},
		"blank": {reflect.TypeFor[blankA](), reflect.TypeFor[blankB]()},
		"omit":  {reflect.TypeFor[omitA](), reflect.TypeFor[omitB]()},
	} {
		if err := errors.Join(a.Register(name, types[0]), b.Register(name, types[1])); err != nil {
			t.Fatal(err)
		}
	}
	return a, b
}

// A passage is a value that version A stores, B changes and A reads again.
type passage interface {
	check(t *testing.T)
}

type passes[A, B any] struct {
	in     func() *A
	change func(*B)
	want   func(*A) // changes in to what A is to find
}

func (p passes[A, B]) check(t *testing.T) {
	a, b := otherVersions(t)
	data := encode(t, a, nil, p.in())
	obj := new(B)
	out := there(t, b, newWorld(), data, obj)
	if out.Kept.Lost() != "" {
		t.Fatalf("%s is lost", out.Kept.Lost())
	}
	same := back(t, b, newWorld(), obj, out.Kept)
	if _, was := body(t, data); !out.Differs {
		if _, is := body(t, same); !bytes.Equal(was, is) {
			t.Errorf("the body was\n%x and is\n%x", was, is)
		}
	}
	p.change(obj)
	got, want := new(A), p.in()
	there(t, a, newWorld(), back(t, b, newWorld(), obj, out.Kept), got)
	p.want(want)
	if diff := cmp.Diff(want, got, compareAll); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What is kept stays with its struct, wherever that is and whatever else has its address.
func TestPlacesOfKeptFields(t *testing.T) {
	t.Parallel()
	type (
		blanksA struct {
			N         int
			V, W      blankA
			X, Y      *blankA
			M         map[string]blankA
			P         map[string]*blankA
			Any, Any2 any
		}
		blanksB struct {
			N         int
			V, W      blankB
			X, Y      *blankB
			M         map[string]blankB
			P         map[string]*blankB
			Any, Any2 any
		}
		emptyA struct {
			N  int
			In struct {
				V blankA `msgpack:",omitempty"`
				W blankA `msgpack:",omitempty"`
			} `msgpack:",omitempty"`
		}
		emptyB struct {
			N  int
			In struct {
				V blankB `msgpack:",omitempty"`
				W blankB `msgpack:",omitempty"`
			} `msgpack:",omitempty"`
		}
		omitsA struct {
			M   map[string]omitA
			Any any
			V   omitA
			N   int
		}
		omitsB struct {
			M   map[string]omitB
			Any any
			V   omitB
			N   int
		}
		mapsA struct{ X, Y, Z map[string]spotA }
		mapsB struct{ X, Y, Z map[string]spotB }
		anysA struct{ X, Y, Z any }
		ptrsA struct{ X, Y *spotA }
		ptrsB struct{ X, Y *spotB }
		nestA struct{ M map[string]map[string]spotA }
		nestB struct{ M map[string]map[string]spotB }
	)
	maps := func() *mapsA {
		return &mapsA{X: map[string]spotA{"k": {"x", "1"}}, Y: map[string]spotA{"k": {"y", "2"}}, Z: map[string]spotA{"k": {"z", ""}}}
	}
	anys := func() *anysA {
		return &anysA{X: spotA{"x", "1"}, Y: spotA{"y", "2"}, Z: map[string]any{"k": spotA{"z", "3"}}}
	}
	omits := func() *omitsA {
		o := omitA{In: spotA{Note: "note"}, N: 1}
		return &omitsA{M: map[string]omitA{"k": o, "l": {}}, Any: o, V: o}
	}
	for name, p := range map[string]passage{
		"structs without fields": passes[blanksA, blanksB]{func() *blanksA {
			return &blanksA{N: 1, V: blankA{"v"}, W: blankA{"w"}, X: &blankA{"x"}, Y: &blankA{"y"}, Any: blankA{"any"}, Any2: &blankA{"any2"},
				M: map[string]blankA{"a": {"ma"}, "b": {"mb"}}, P: map[string]*blankA{"a": {"pa"}, "b": {"pb"}}}
		}, func(b *blanksB) { b.N = 2; b.Y = nil; delete(b.M, "a") }, func(a *blanksA) { a.N = 2; a.Y = nil; delete(a.M, "a") }},
		"structs without fields that may be left out": passes[emptyA, emptyB]{func() *emptyA {
			e := &emptyA{N: 1}
			e.In.W.Note = "w"
			return e
		}, func(b *emptyB) { b.N = 2 }, func(a *emptyA) { a.N = 2 }},
		"empty structs that may be left out": passes[omitsA, omitsB]{omits, func(b *omitsB) { b.N = 2 }, func(a *omitsA) { a.N = 2 }},
		"maps exchanged": passes[mapsA, mapsB]{maps, func(b *mapsB) { b.X, b.Y, b.Z = b.Z, b.X, b.Y },
			func(a *mapsA) { a.X, a.Y, a.Z = a.Z, a.X, a.Y }},
		"a new map in place of one": passes[mapsA, mapsB]{maps, func(b *mapsB) { b.X = map[string]spotB{"k": {"new"}, "l": {"more"}} },
			func(a *mapsA) { a.X = map[string]spotA{"k": {"new", "1"}, "l": {Name: "more"}} }},
		"a new map in a map": passes[nestA, nestB]{func() *nestA {
			return &nestA{map[string]map[string]spotA{"a": {"k": {"ak", "1"}}, "b": {"k": {"bk", "2"}}}}
		},
			func(b *nestB) { b.M["a"], b.M["b"] = b.M["b"], map[string]spotB{"k": {"new"}} },
			func(a *nestA) { a.M["a"], a.M["b"] = a.M["b"], map[string]spotA{"k": {"new", "2"}} }},
		"what interfaces hold exchanged": passes[anysA, anysA]{anys, func(b *anysA) { b.X, b.Y, b.Z = b.Z, b.X, b.Y },
			func(a *anysA) { a.X, a.Y, a.Z = a.Z, a.X, a.Y }},
		"another struct in an interface": passes[anysA, anysA]{anys, func(b *anysA) { b.X, b.Z.(map[string]any)["k"] = spotB{"new"}, spotB{"newer"} },
			func(a *anysA) { a.X, a.Z = spotA{"new", "1"}, map[string]any{"k": spotA{"newer", "3"}} }},
		"pointers exchanged": passes[ptrsA, ptrsB]{func() *ptrsA { return &ptrsA{&spotA{"x", "1"}, &spotA{"y", "2"}} },
			func(b *ptrsB) { b.X, b.Y = b.Y, b.X }, func(a *ptrsA) { a.X, a.Y = a.Y, a.X }},
		"a field hidden by an outer one": passes[outerA, outerB]{func() *outerA { return &outerA{hiddenSpot[spotA]{spotA{Note: "hidden"}}, spotA{"p", "1"}} },
			func(b *outerB) { b.Part.Name = "P" }, func(a *outerA) { a.Part.Name = "P" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p.check(t)
		})
	}
}

// Structs that cannot be told apart, as in entries whose keys are NaN, keep nothing: a save is
// refused.
func TestPlacesThatSeveralStructsHave(t *testing.T) {
	t.Parallel()
	a, b := otherVersions(t)
	in := &struct{ M map[float64]spotA }{map[float64]spotA{math.NaN(): {"x", "1"}, math.NaN(): {"y", "2"}, 1: {"z", "3"}}}
	out := there(t, b, newWorld(), encode(t, a, nil, in), new(struct{ M map[float64]spotB }))
	if !strings.HasSuffix(out.Kept.Lost(), "M[NaN].Note") {
		t.Errorf("got %q", out.Kept.Lost())
	}
}

// A key too long to be sorted by does not make the encoder forget where it is.
func TestKeptFieldsAfterALongKey(t *testing.T) {
	t.Parallel()
	a, b := otherVersions(t)
	long := []string{strings.Repeat("x", maxSortKey+1)}
	in := &keyedSpot[spotA]{B: map[*[]string]int{&long: 1}, C: spotA{"c", "note"}}
	obj := new(keyedSpot[spotB])
	out := there(t, b, newWorld(), encode(t, a, nil, in), obj)
	got := new(keyedSpot[spotA])
	there(t, a, newWorld(), back(t, b, newWorld(), obj, out.Kept), got)
	if got.C != in.C {
		t.Errorf("got %+v", got.C)
	}
}

// What keeps fields behind an embedded pointer keeps those of no other struct, and is no state.
func TestUnknownBehindAnEmbeddedPointer(t *testing.T) {
	t.Parallel()
	type (
		keeps struct {
			unknown //nolint:unused // the codec finds it
			N       int
		}
		outer struct {
			*keeps
			X int
		}
		outerMore struct {
			*keeps
			X, Y int
		}
	)
	c := newCodec(t)
	in := &outerMore{keeps: &keeps{N: 1}, X: 2, Y: 3}
	obj := new(outer)
	out := there(t, c, newWorld(), encode(t, c, nil, in), obj)
	got := new(outerMore)
	there(t, c, newWorld(), back(t, c, newWorld(), obj, out.Kept), got)
	if got.N != 1 || got.X != 2 || got.Y != 3 || out.Kept == nil {
		t.Errorf("got %+v", got)
	}
}
