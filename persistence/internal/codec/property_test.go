package codec

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
	"pgregory.net/rapid"
)

// vertex is a node of a random graph with everything that makes equal bytes hard: shared and
// cyclic pointers and maps, pointers as keys, references, interfaces.
type vertex struct {
	Name  string
	Edges []*vertex
	Keyed map[*vertex]any
	Any   any
	ByKey map[any]*vertex
	Attrs map[string]any
	Refs  map[*task]string
	Ref   *task
	Lazy  ref[task]
	Num   map[int16]float64
	Pair  *pair[string, *vertex]
	T     time.Time
	B     []byte
}

// drawGraph draws the recipe of a graph. What it returns builds that graph, each time out of new
// memory.
func drawGraph(t *rapid.T, tasks []*task) func() *vertex {
	n := rapid.IntRange(1, 8).Draw(t, "vertices")
	type recipe struct {
		edges, keyed, byKey, refs, attrs []int
		any, mapOf, ref, pair            int
		num                              map[int16]float64
		text                             string
		sec                              int64
		b                                []byte
	}
	index := rapid.IntRange(-1, n-1)
	some := rapid.SliceOfN(index, 0, 4)
	recipes := make([]recipe, n)
	for i := range recipes {
		recipes[i] = recipe{
			edges: some.Draw(t, "edges"), keyed: rapid.SliceOfNDistinct(index, 0, 3, rapid.ID).Draw(t, "keyed"), byKey: some.Draw(t, "by key"), attrs: some.Draw(t, "attrs"),
			refs: rapid.SliceOfN(rapid.IntRange(0, len(tasks)-1), 0, 3).Draw(t, "refs"), ref: rapid.IntRange(-1, len(tasks)-1).Draw(t, "ref"),
			any: rapid.IntRange(0, 20).Draw(t, "any"), mapOf: index.Draw(t, "map of"), pair: index.Draw(t, "pair"),
			num:  rapid.MapOfN(rapid.Int16(), rapid.Float64(), 0, 4).Draw(t, "num"),
			text: rapid.String().Draw(t, "text"), sec: rapid.Int64().Draw(t, "sec"), b: rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "bytes"),
		}
	}
	return func() *vertex {
		vs := make([]*vertex, n)
		for i := range vs {
			vs[i] = &vertex{Name: fmt.Sprint(i, recipes[i].text)}
		}
		at := func(i int) *vertex {
			if i < 0 {
				return nil
			}
			return vs[i]
		}
		for i, r := range recipes {
			v := vs[i]
			for _, k := range r.edges {
				v.Edges = append(v.Edges, at(k))
			}
			for j, k := range r.keyed {
				if v.Keyed == nil {
					v.Keyed = map[*vertex]any{}
				}
				v.Keyed[at(k)] = anyValue(r.any+j, at(k), r.text)
			}
			for j, k := range r.byKey {
				if v.ByKey == nil {
					v.ByKey = map[any]*vertex{}
				}
				switch j {
				case 0:
					v.ByKey[at(k)] = at(k)
				case 1:
					v.ByKey[r.text] = at(k)
				default:
					v.ByKey[[2]any{j, at(k)}] = at(k)
				}
			}
			for j, k := range r.attrs {
				if v.Attrs == nil {
					v.Attrs = map[string]any{}
				}
				v.Attrs[fmt.Sprint(r.text, j)] = anyValue(r.any+j+1, at(k), r.text)
			}
			for _, k := range r.refs {
				if v.Refs == nil {
					v.Refs = map[*task]string{}
				}
				v.Refs[tasks[k]] = r.text
			}
			if r.ref >= 0 {
				v.Ref, v.Lazy.link.Obj = tasks[r.ref], tasks[r.ref]
			}
			if r.mapOf >= 0 {
				v.Keyed = vs[r.mapOf].Keyed
			}
			v.Any = anyValue(r.any, at(r.pair), r.text)
			v.Num = r.num
			v.Pair = &pair[string, *vertex]{r.text, at(r.pair)}
			v.T, v.B = time.Unix(r.sec, 5).UTC(), bytes.Clone(r.b)
		}
		return vs[0]
	}
}

// anyValue returns one of many values for an interface.
func anyValue(i int, v *vertex, s string) any {
	values := []any{nil, s, v, i, int8(i), uint64(i), float32(i), float64(i), []any{v, s}, map[string]any{s: v}, []*vertex{v, v}, map[*vertex]int{v: i}, point{i, i}, &point{i, i},
		[]byte(s), [2]any{v, nil}, time.Duration(i), complex(float32(i), 1), math.NaN(), true, &s, struct{}{}}
	if i = i % len(values); i == len(values)-1 {
		return nil // an anonymous struct would need a name
	}
	return values[i]
}

func graphWorld(n int) (*world, []*task) {
	w := newWorld()
	tasks := make([]*task, n)
	for i := range tasks {
		tasks[i] = &task{}
		w.put(driver.ID(fmt.Sprint("t.", i)), tasks[i])
	}
	return w, tasks
}

func graphCodec(t testing.TB) *Codec {
	return newCodec(t, reflect.TypeFor[vertex](), reflect.TypeFor[point](), reflect.TypeFor[task]())
}

// checkGraph is the property of both the test and the fuzz target.
func checkGraph(t *rapid.T, c *Codec) {
	w, tasks := graphWorld(4)
	build := drawGraph(t, tasks)
	e := c.NewEncoder(testLimits, w)
	record := func(v *vertex) []byte {
		enc, err := e.Encode(v, nil)
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Clone(enc.Data)
	}
	in := build()
	first := record(in)
	if again := record(in); !bytes.Equal(first, again) {
		t.Fatalf("the same object, other bytes:\n%x\n%x", first, again)
	}
	if twin := record(build()); !bytes.Equal(first, twin) {
		t.Fatalf("an equal object, other bytes:\n%x\n%x", first, twin)
	}
	var out vertex
	if err := decodeInto(c, w, first, &out); err != nil {
		t.Fatalf("%v\n%x", err, first)
	}
	if back := record(&out); !bytes.Equal(first, back) {
		t.Fatalf("what was decoded gives other bytes:\n%x\n%x", first, back)
	}
	h, err := c.Parse(first, testLimits)
	if err != nil {
		t.Fatal(err)
	}
	if end, ok := skip(h.body, 0); !ok || end != len(h.body) {
		t.Fatalf("the body is not one msgpack value: %x", h.body)
	}
	// A type without any of the fields skips them all.
	if _, err := c.Decode(h, new(struct{ Zzzzzz int }), DecodeOptions{Limits: testLimits}); err != nil {
		t.Fatal(err)
	}
}

func TestEqualObjectsGiveEqualBytes(t *testing.T) {
	t.Parallel()
	c := graphCodec(t)
	rapid.Check(t, func(t *rapid.T) { checkGraph(t, c) })
}

func TestScalarsSurvive(t *testing.T) {
	t.Parallel()
	c := newCodec(t)
	e := c.NewEncoder(testLimits, nil)
	rapid.Check(t, func(t *rapid.T) {
		in := kinds{
			Bool: rapid.Bool().Draw(t, "bool"), Int: rapid.Int().Draw(t, "int"), Int8: rapid.Int8().Draw(t, "int8"), Int16: rapid.Int16().Draw(t, "int16"),
			Int32: rapid.Int32().Draw(t, "int32"), Int64: rapid.Int64().Draw(t, "int64"), Uint: rapid.Uint().Draw(t, "uint"), Uint8: rapid.Uint8().Draw(t, "uint8"),
			Uint16: rapid.Uint16().Draw(t, "uint16"), Uint32: rapid.Uint32().Draw(t, "uint32"), Uint64: rapid.Uint64().Draw(t, "uint64"),
			Float32: rapid.Float32().Draw(t, "float32"), Float64: rapid.Float64().Draw(t, "float64"), String: rapid.String().Draw(t, "string"),
			Bytes: rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"), Slice: rapid.SliceOf(rapid.String()).Draw(t, "slice"),
			Map: rapid.MapOf(rapid.String(), rapid.Int()).Draw(t, "map"), Any: rapid.Int64().Draw(t, "any"),
		}
		enc, err := e.Encode(&in, nil)
		if err != nil {
			t.Fatal(err)
		}
		var out kinds
		if err := decodeInto(c, noWorld, enc.Data, &out); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(in, out) {
			t.Fatalf("got %+v, want %+v", out, in)
		}
	})
}

var noWorld = newWorld()
