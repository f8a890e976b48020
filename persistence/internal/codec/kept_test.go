package codec

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/google/go-cmp/cmp"
)

// there decodes what another version of a program encoded.
func there(t *testing.T, c *Codec, w *world, data []byte, dst any) Outcome {
	t.Helper()
	h, err := c.Parse(data, testLimits)
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.Decode(h, dst, DecodeOptions{Limits: testLimits, Target: w.target, Store: w.store})
	if err != nil {
		t.Fatalf("decode %T: %v", dst, err)
	}
	return out
}

// back encodes obj with what was kept of it.
func back(t *testing.T, c *Codec, w *world, obj any, kept *Kept) []byte {
	t.Helper()
	enc, err := c.NewEncoder(testLimits, w).Encode(obj, kept)
	if err != nil {
		t.Fatalf("encode %T: %v", obj, err)
	}
	return bytes.Clone(enc.Data)
}

type (
	fullPart struct {
		Name string
		Note *string
		When time.Time
		More map[string]any
	}
	fullLeaf struct {
		unknown //nolint:unused // the codec finds it
		A, B    int
	}
	full struct {
		identity
		Aa    string // before the fields that the other version knows
		Any   any
		Array [2]fullLeaf
		Byte  []byte
		Deep  struct{ Part fullPart }
		Host  *machine
		Leafs []fullLeaf
		Lazy  ref[task]
		Map   map[string]fullPart
		Ptr   *fullPart
		Same  *fullPart
		Note  *string
		Zz    []any
	}

	thinPart struct{ Name string }
	thinLeaf struct {
		unknown //nolint:unused // the codec finds it
		B       int
	}
	thin struct {
		identity
		Any   any
		Array [2]thinLeaf
		Deep  struct{ Part thinPart }
		Leafs []thinLeaf
		Map   map[string]thinPart
		Ptr   *thinPart
		Same  *thinPart
	}
)

func fullValue(w *world) *full {
	note, other := "a note", "another"
	when := time.Date(2024, 3, 8, 9, 0, 0, 5, time.FixedZone("Somewhere/Else", 3600))
	part := &fullPart{Name: "shared", Note: &note, When: when, More: map[string]any{"x": int8(5), "y": []any{1, "two"}}}
	part.More["self"] = part.More
	host := &machine{Name: "host"}
	w.put("h1", host)
	f := &full{
		Aa: "first", Any: fullPart{Name: "boxed", Note: &other}, Array: [2]fullLeaf{{A: 1, B: 2}, {A: 3, B: 4}},
		Byte: []byte{1, 2}, Host: host, Leafs: []fullLeaf{{A: 5, B: 6}, {A: 7, B: 8}},
		Lazy: ref[task]{link: Link{ID: "lazy1"}},
		Map:  map[string]fullPart{"one": {Name: "1", Note: &note}, "two": {Name: "2", When: when}},
		Ptr:  part, Same: part, Note: &note, Zz: []any{part, host, map[string]any{"k": part.More}},
	}
	f.Deep.Part = fullPart{Name: "deep", Note: &other}
	return f
}

func keptCodecs(t *testing.T) (a, b *Codec) {
	t.Helper()
	a, b = New(testConfig), New(testConfig)
	for c, types := range map[*Codec][]reflect.Type{
		a: {reflect.TypeFor[full](), reflect.TypeFor[fullPart](), reflect.TypeFor[machine]()},
		b: {reflect.TypeFor[thin](), reflect.TypeFor[thinPart](), reflect.TypeFor[machine]()},
	} {
		for i, name := range []string{"whole", "part", "machine"} {
			if err := c.Register(name, types[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	return a, b
}

// A program that knows few fields changes those, and all others are there for the one that knows
// them: with their values, types, references and what they share.
func TestWhatATypeLacksIsKept(t *testing.T) {
	t.Parallel()
	a, b := keptCodecs(t)
	w := newWorld()
	w.store = "s"
	in := fullValue(w)
	data := encode(t, a, w, in)
	obj := new(thin)
	out := there(t, b, w, data, obj)
	for _, f := range out.Unknown {
		if f.Place == Lost {
			t.Errorf("%s is lost", f.Path)
		}
	}
	if out.Differs || out.Old {
		t.Error("encoding it again gives the same bytes")
	}
	if again := back(t, b, w, obj, out.Kept); !bytes.Equal(again, data) {
		t.Fatalf("the record was\n%x and is\n%x", data, again)
	}
	// The program changes what it knows.
	obj.Ptr.Name = "changed"
	obj.Deep.Part.Name = "changed too"
	obj.Leafs[0], obj.Leafs[1] = obj.Leafs[1], obj.Leafs[0]
	obj.Leafs = append(obj.Leafs, thinLeaf{B: 10})
	obj.Array[0], obj.Array[1] = obj.Array[1], obj.Array[0]
	delete(obj.Map, "two")
	obj.Map["one"] = thinPart{Name: "one!"}
	obj.Map["three"] = thinPart{Name: "3"}
	obj.Any = thinPart{Name: "boxed!"}
	got := new(full)
	if out := there(t, a, w, back(t, b, w, obj, out.Kept), got); out.Kept != nil || out.Old {
		t.Errorf("got %+v", out)
	}
	in.Ptr.Name = "changed"
	in.Deep.Part.Name = "changed too"
	in.Leafs[0], in.Leafs[1] = in.Leafs[1], in.Leafs[0]
	in.Leafs = append(in.Leafs, fullLeaf{B: 10})
	in.Array[0], in.Array[1] = in.Array[1], in.Array[0]
	one := in.Map["one"]
	one.Name = "one!"
	in.Map = map[string]fullPart{"one": one, "three": {Name: "3"}}
	boxed := in.Any.(fullPart)
	boxed.Name = "boxed!"
	in.Any = boxed
	compare := cmp.Options{compareAll, cmp.Comparer(func(x, y unknown) bool { return true })}
	if diff := cmp.Diff(in, got, compare); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.Same != got.Ptr || got.Note != got.Ptr.Note || got.Note != got.Map["one"].Note || got.Zz[0] != any(got.Ptr) ||
		got.Deep.Part.Note != got.Any.(fullPart).Note || got.Host != in.Host {
		t.Error("what was shared is no more")
	}
	loop := got.Ptr.More
	if reflect.ValueOf(loop["self"]).UnsafePointer() != reflect.ValueOf(loop).UnsafePointer() ||
		reflect.ValueOf(got.Zz[2].(map[string]any)["k"]).UnsafePointer() != reflect.ValueOf(loop).UnsafePointer() {
		t.Error("the map inside itself is another")
	}
	if name := got.Ptr.When.Location().String(); name != "Somewhere/Else" {
		t.Errorf("the zone is %q", name)
	}
}

func TestWhatMovesIsLost(t *testing.T) {
	t.Parallel()
	type (
		elemA struct{ X, Y int }
		elemB struct{ X int }
	)
	for name, tt := range map[string]struct {
		in, out any
		path    string
	}{
		"a slice":              {&struct{ S []elemA }{[]elemA{{1, 2}}}, new(struct{ S []elemB }), "S[0].Y"},
		"an array":             {&struct{ S [1]elemA }{[1]elemA{{1, 2}}}, new(struct{ S [1]elemB }), "S[0].Y"},
		"a map in a slice":     {&struct{ S []map[string]elemA }{[]map[string]elemA{{"k": {1, 2}}}}, new(struct{ S []map[string]elemB }), `S[0]["k"].Y`},
		"a slice in a map":     {&struct{ S map[string][]elemA }{map[string][]elemA{"k": {{1, 2}}}}, new(struct{ S map[string][]elemB }), `S["k"][0].Y`},
		"an array in a struct": {&struct{ S struct{ T [1]elemA } }{struct{ T [1]elemA }{[1]elemA{{1, 2}}}}, new(struct{ S struct{ T [1]elemB } }), "S.T[0].Y"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCodec(t)
			out := there(t, c, newWorld(), encode(t, c, nil, tt.in), tt.out)
			if len(out.Unknown) != 1 || out.Unknown[0].Place != Lost || !strings.HasSuffix(out.Unknown[0].Path, tt.path) {
				t.Errorf("got %+v", out.Unknown)
			}
			if !strings.HasSuffix(out.Kept.Lost(), tt.path) || !out.Differs {
				t.Errorf("got %q", out.Kept.Lost())
			}
		})
	}
}

// References among what is kept are those of the record, and are good in its store alone.
func TestKeptReferences(t *testing.T) {
	t.Parallel()
	c := newCodec(t)
	w := newWorld()
	w.store = "s"
	type with struct {
		identity
		Host *machine
		Lazy ref[task]
		N    int
	}
	type without struct {
		identity
		N int
	}
	host := &machine{}
	w.put("h", host)
	obj := new(without)
	out := there(t, c, w, encode(t, c, w, &with{Host: host, Lazy: ref[task]{link: Link{ID: "l"}}, N: 1}), obj)
	enc, err := c.NewEncoder(testLimits, w).Encode(obj, out.Kept)
	if err != nil || len(enc.Eager) != 1 || enc.Eager[0] != "h" || len(enc.Lazy) != 1 || enc.Lazy[0] != "l" {
		t.Errorf("got %v, %v, %v", enc.Eager, enc.Lazy, err)
	}
	w.store = "another"
	if _, err := c.NewEncoder(testLimits, w).Encode(obj, out.Kept); err == nil || !strings.Contains(err.Error(), "another store") {
		t.Errorf("got %v", err)
	}
}

func TestAliasesOfFields(t *testing.T) {
	t.Parallel()
	type one struct{ Aname, Other string }
	type both struct{ Aname, Name, Title string }
	type now struct {
		Other string
		Title string `msgpack:"Title,omitempty,alias:Name,alias:Aname"`
	}
	c := newCodec(t)
	for name, tt := range map[string]struct {
		in   any
		want now
		old  bool
		kept string // what an older program set beside
	}{
		"an alias":         {&one{"a", "o"}, now{"o", "a"}, true, ""},
		"own name wins":    {&both{"a", "n", "t"}, now{"", "t"}, false, "[{now.Name 0} {now.Aname 0}]"},
		"the first alias":  {&struct{ Aname, Name string }{"a", "n"}, now{"", "n"}, true, "[{now.Aname 0}]"},
		"the name it has":  {&now{"o", "t"}, now{"o", "t"}, false, ""},
		"shared with that": {&struct{ Aname, Other, Title string }{"a", "o", "t"}, now{"o", "t"}, false, "[{now.Aname 0}]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got now
			out := there(t, c, newWorld(), encode(t, c, nil, tt.in), &got)
			differs := tt.old || strings.HasPrefix(name, "own")
			if got != tt.want || out.Old != tt.old || out.Differs != differs || (out.Kept != nil) != (tt.kept != "") {
				t.Errorf("got %+v, %+v", got, out)
			}
			if tt.kept != "" && fmt.Sprint(out.Unknown) != tt.kept {
				t.Errorf("got %v", out.Unknown)
			}
			got.Title = ""
			var again now
			if there(t, c, newWorld(), back(t, c, newWorld(), &got, out.Kept), &again); again.Title != "" {
				t.Errorf("what is kept beside is read as %q", again.Title)
			}
		})
	}
	for name, in := range map[string]any{
		"of another field": &struct {
			Name  string
			Title string `msgpack:",alias:Name"`
		}{},
		"twice": &struct {
			A string `msgpack:",alias:Name"`
			B string `msgpack:",alias:Name"`
		}{},
		"misspelt": &struct {
			A string `msgpack:",alias=Name"`
		}{},
	} {
		if _, err := c.NewEncoder(testLimits, nil).Encode(in, nil); !errors.Is(err, driver.ErrUnstorable) {
			t.Errorf("an alias %s: %v", name, err)
		}
	}
}

// An empty struct that omitempty leaves out is stored if something is kept for it, and only then.
func TestKeptFieldsOfEmptyStructs(t *testing.T) {
	t.Parallel()
	type (
		innerA struct{ N, Note int }
		innerB struct{ N int }
		outerA struct {
			S innerA `msgpack:",omitempty"`
			X int
		}
		outerB struct { // begins with S: both have one address
			S innerB `msgpack:",omitempty"`
		}
	)
	for name, in := range map[string]outerA{
		"of the empty struct": {S: innerA{N: 0, Note: 1}, X: 1},
		"of the outer one":    {X: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCodec(t)
			data := encode(t, c, nil, &in)
			var obj outerB
			out := there(t, c, newWorld(), data, &obj)
			_, was := body(t, data)
			if _, is := body(t, back(t, c, newWorld(), &obj, out.Kept)); !bytes.Equal(was, is) {
				t.Errorf("the body was\n%x and is\n%x", was, is)
			}
		})
	}
}

// Neither keeping fields nor writing them back takes time that grows faster than the record.
func TestManyKeptFields(t *testing.T) {
	t.Parallel()
	type (
		partA struct {
			N    int
			O    struct{ N int } `msgpack:",omitempty"`
			X, Y *int
		}
		partB struct {
			N int
			O struct{ N int } `msgpack:",omitempty"`
		}
	)
	const n = 60_000 // a search for each among all takes over a minute
	in := &struct{ L []*partA }{}
	for i := range n {
		in.L = append(in.L, &partA{N: i, X: &i, Y: &i})
	}
	c := newCodec(t)
	data := encode(t, c, nil, in)
	begin := time.Now()
	var obj struct{ L []*partB }
	out := there(t, c, newWorld(), data, &obj)
	again := back(t, c, newWorld(), &obj, out.Kept)
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	_, was := body(t, data)
	if _, is := body(t, again); !bytes.Equal(was, is) {
		t.Error("the bodies differ")
	}
}

func TestKeysThatBecomeOne(t *testing.T) {
	t.Parallel()
	type (
		keyA struct{ Host, Port int }
		keyB struct{ Host int }
	)
	c := newCodec(t)
	in := &struct{ M map[keyA]int }{map[keyA]int{{1, 2}: 1, {1, 3}: 2}}
	err := decodeInto(c, newWorld(), encode(t, c, nil, in), new(struct{ M map[keyB]int }))
	if !errors.Is(err, driver.ErrType) || errors.Is(err, driver.ErrCorrupt) || !strings.Contains(err.Error(), ".M[") {
		t.Errorf("got %v", err)
	}
}

// A map that was in a field is the same one wherever it is then.
func TestAMapKeepsItsEntriesInAnElement(t *testing.T) {
	t.Parallel()
	type (
		entryA struct{ X, Y int }
		entryB struct{ X int }
		allA   struct {
			F map[string]entryA
			S []map[string]entryA
			T [2]struct{ M map[string]entryA }
		}
		allB struct {
			F map[string]entryB
			S []map[string]entryB
			T [2]struct{ M map[string]entryB }
		}
	)
	c := newCodec(t)
	shared := map[string]entryA{"k": {1, 2}}
	in := allA{F: shared, S: []map[string]entryA{shared}}
	in.T[1].M = shared
	var obj allB
	out := there(t, c, newWorld(), encode(t, c, nil, &in), &obj)
	if out.Kept.Lost() != "" || out.Differs {
		t.Fatalf("got %q", out.Kept.Lost())
	}
	obj.F = nil
	obj.S[0]["k"] = entryB{7}
	obj.T[0], obj.T[1] = obj.T[1], obj.T[0]
	var got allA
	there(t, c, newWorld(), back(t, c, newWorld(), &obj, out.Kept), &got)
	want := allA{S: []map[string]entryA{{"k": {7, 2}}}}
	want.T[0].M = want.S[0]
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A map that an unknown field holds first, and a known one too, has what its entries lack.
func TestKeptEntriesOfMapsFoundLate(t *testing.T) {
	t.Parallel()
	type (
		entryA struct{ X, Y int }
		entryB struct{ X int }
		allA   struct {
			A       []map[string]entryA // before the fields that the other version knows
			M, N, O map[string]entryA
			Zz      map[string]entryA // after them
		}
		allB struct{ M, N, O map[string]entryB }
	)
	c := newCodec(t)
	shared, other, third := map[string]entryA{"k": {1, 2}}, map[string]entryA{"l": {3, 4}}, map[string]entryA{"m": {5, 6}}
	in := allA{A: []map[string]entryA{shared, other}, M: shared, N: other, O: third, Zz: third}
	data := encode(t, c, nil, &in)
	var obj allB
	out := there(t, c, newWorld(), data, &obj)
	_, was := body(t, data)
	if _, is := body(t, back(t, c, newWorld(), &obj, out.Kept)); !bytes.Equal(was, is) || out.Differs {
		t.Errorf("the body was\n%x and is\n%x", was, is)
	}
	obj.M["k"] = entryB{7}
	obj.N, obj.O = nil, nil
	var got allA
	there(t, c, newWorld(), back(t, c, newWorld(), &obj, out.Kept), &got)
	shared["k"] = entryA{7, 2}
	in.N, in.O = nil, nil
	if diff := cmp.Diff(in, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The map that an interface holds is the same one wherever it is.
func TestKeptEntriesOfMapsInInterfaces(t *testing.T) {
	t.Parallel()
	type (
		entryA struct{ X, Y int }
		entryB struct{ X int }
		all    struct {
			M, N any
			O    []any
		}
	)
	a, b := newCodec(t), newCodec(t)
	if err := errors.Join(a.Register("entry", reflect.TypeFor[entryA]()), b.Register("entry", reflect.TypeFor[entryB]())); err != nil {
		t.Fatal(err)
	}
	m := map[string]any{"k": entryA{1, 2}}
	m["l"] = map[string]any{"inner": entryA{3, 4}}
	var obj all
	out := there(t, b, newWorld(), encode(t, a, nil, &all{M: m, N: m, O: []any{m}}), &obj)
	if out.Kept.Lost() != "" || out.Differs {
		t.Errorf("got %q", out.Kept.Lost())
	}
	obj.M = nil // N and O refer back to it
	var got all
	there(t, a, newWorld(), back(t, b, newWorld(), &obj, out.Kept), &got)
	if diff := cmp.Diff(all{N: m, O: []any{m}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	obj.N = nil // the element of O is left
	got = all{}
	there(t, a, newWorld(), back(t, b, newWorld(), &obj, out.Kept), &got)
	if diff := cmp.Diff(all{O: []any{m}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A pointer that is none in this program is no longer shared with the fields that its type lacks.
func TestKeptFieldsThatShareAValue(t *testing.T) {
	t.Parallel()
	type part struct{ X, Y int }
	c := newCodec(t)
	p := &part{1, 2}
	data := encode(t, c, nil, &struct{ A, B *part }{p, p})
	for name, tt := range map[string]struct {
		obj  any
		path string
	}{
		"a pointer": {new(struct{ A *part }), ""},
		"a value":   {new(struct{ A part }), ".B"},
		"a slice":   {new(struct{ A []part }), ".B"},
		"nothing":   {new(struct{ C int }), ""},
	} {
		out := there(t, c, newWorld(), data, tt.obj)
		if path := out.Kept.Split(); !strings.HasSuffix(path, tt.path) || (path == "") != (tt.path == "") || path != "" && !out.Differs {
			t.Errorf("%s: got %q, %v", name, path, out.Differs)
		}
	}
}

// What a known field shares with one before it that the type lacks is found there, whatever it is.
func TestSharedWithAnUnknownFieldBefore(t *testing.T) {
	t.Parallel()
	c := newCodec(t)
	w := newWorld()
	host := &machine{Name: "h"}
	w.put("h", host)
	for name, tt := range map[string]struct{ in, out any }{
		"a time":           {shares(time.Unix(5, 0).UTC()), new(struct{ B *time.Time })},
		"a local time":     {shares(time.Unix(5, 0).In(time.FixedZone("X", 60))), new(struct{ B *time.Time })},
		"a lazy reference": {shares(ref[task]{link: Link{ID: "l"}}), new(struct{ B *ref[task] })},
		"a reference":      {shares(host), new(struct{ B **machine })},
		"a number":         {shares(5), new(struct{ B *int })},
		"an array":         {shares([2]string{"a"}), new(struct{ B *[2]string })},
		"a slice":          {shares([]int{1}), new(struct{ B *[]int })},
		"an interface":     {shares(any(int8(1))), new(struct{ B *any })},
		"bytes":            {shares([]byte("x")), new(struct{ B *[]byte })},
		"another pointer":  {shares(ptr(2.5)), new(struct{ B **float64 })},
	} {
		data := encode(t, c, w, tt.in)
		out := there(t, c, w, data, tt.out)
		_, was := body(t, data)
		if _, is := body(t, back(t, c, w, tt.out, out.Kept)); !bytes.Equal(was, is) {
			t.Errorf("%s: the body was\n%x and is\n%x", name, was, is)
		}
	}
}

func shares[T any](v T) any { return &struct{ A, B *T }{&v, &v} }
