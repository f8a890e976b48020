package golden

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/brine-go/brine/persistence"
)

// A record is one line of records.txt: what its bytes stand for.
type record struct {
	name  string
	value any // as it is given to Insert
	// load loads the record as its type and compares it with the value. It returns what was loaded.
	load func(t *testing.T, s *persistence.Store, id persistence.ID) any
}

// compare are the options by which values are compared: times with their offsets, NaN with NaN, and
// objects without what stores know of them.
var compare = cmp.Options{
	cmp.Comparer(func(a, b time.Time) bool {
		_, i := a.Zone()
		_, j := b.Zone()
		return a.Equal(b) && i == j
	}),
	cmpopts.EquateNaNs(),
	cmpopts.IgnoreTypes(persistence.Persistable{}),
	cmpopts.IgnoreTypes(persistence.Ref[Task]{}), // its ID is looked at by itself
	cmp.AllowUnexported(Tagged{}, Text{}, Binary{}, Custom{}, Formed{}),
}

// of makes a record of v, which loads as a T. checks look at what a comparison of values does not
// see.
func of[T any](name string, v T, checks ...func(*T) bool) record { return object(name, &v, checks...) }

// object is of for a value that others refer to.
func object[T any](name string, v *T, checks ...func(*T) bool) record {
	return record{name, v, func(t *testing.T, s *persistence.Store, id persistence.ID) any {
		got, err := persistence.Load[T](t.Context(), s, id)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return nil
		}
		if diff := cmp.Diff(v, got, compare); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
		for i, check := range checks {
			if !check(got) {
				t.Errorf("%s: check %d does not hold of %+v", name, i, *got)
			}
		}
		return got
	}}
}

// plain is of for a value that is no struct: it is stored as such, and loads without its type too.
func plain[T any](name string, v T) record {
	r := of(name, v)
	r.value = v
	typed := r.load
	r.load = func(t *testing.T, s *persistence.Store, id persistence.ID) any {
		if got, err := s.Load(t.Context(), id); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if diff := cmp.Diff(any(v), got, compare); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
		if got, ok := typed(t, s, id).(*T); ok {
			return *got
		}
		return nil
	}
	return r
}

// The IDs of the first records, which others refer to.
const machineID, taskID = "1", "2"

// records are the records of records.txt, whose IDs count from 1.
func records() []record {
	host, late := &Machine{Host: "target", Cores: 4}, &Task{Name: "late"}
	n := -70000
	pn := &n
	nums := []int{1, 2}
	var none *int

	self := Node{Name: "self"}
	shared, index := &Node{Name: "shared"}, map[string]int{"one": 1}
	graph := Node{Name: "graph", Next: shared, Other: shared, Index: index, Again: index}
	shared.Index = index
	ring := &Node{Name: "ring 1"}
	ring.Next = &Node{Name: "ring 2", Next: ring}
	inAny := map[string]any{"k": "v"}
	mixed := Node{Name: "any", Any: []any{inAny, inAny, ring, &Node{Name: "registered"}}, Other: ring}

	list := []record{
		object("persistable", host),
		object("persistable and registered", late),
		of("kinds, zero", Kinds{}),
		of("kinds, set", Kinds{
			Bool: true, I: -1, I8: -128, I16: -32768, I32: -1 << 31, I64: -1 << 63, U: 1, U8: 255, U16: 65535, U32: 1<<32 - 1, U64: 1<<64 - 1,
			F32: 1.5, F64: math.Pi, C64: complex(1, -2), C128: complex(math.Inf(1), 0.5), S: "größer", B: []byte{}, A: [4]byte{1, 2, 3, 4},
			T: time.Date(2024, 11, 7, 10, 11, 12, 131415, time.UTC), D: time.Minute, N: -33, P: pn, PP: &pn, PS: &nums, Any: Small(0) == 0,
		}, func(k *Kinds) bool { return k.P == *k.PP }),
		of("pointer to a nil pointer", Kinds{PP: &none, PS: new([]int)}),
		plain("true", true), plain("false", false), plain("empty string", ""),
		plain("int", ints(0, 127, 128, 255, 256, 65535, 65536, math.MaxUint32, math.MaxUint32+1, math.MaxInt64,
			-1, -32, -33, -128, -129, -32768, -32769, math.MinInt32, math.MinInt32-1, math.MinInt64)),
		plain("uint64", []uint64{0, 1<<63 - 1, 1 << 63, math.MaxUint64}),
		plain("float64", []float64{0, math.Copysign(0, -1), 1, math.MaxFloat64, math.SmallestNonzeroFloat64, math.Inf(-1), math.NaN()}),
		plain("float32", []float32{0, 0.1, math.MaxFloat32, float32(math.Inf(1))}),
		plain("complex64", complex64(complex(0.1, -0.2))), plain("complex128", complex(1, -1)),
		plain("strings", []string{strings.Repeat("a", 31), strings.Repeat("b", 32), strings.Repeat("c", 255), strings.Repeat("d", 256), "\x00\xff not UTF-8"}),
		plain("string of 65,536 bytes", strings.Repeat("0123456789abcdef", 4096)),
		plain("bytes", [][]byte{nil, {}, {0}, make([]byte, 255), make([]byte, 256)}),
		plain("65,536 bytes", make([]byte, 65536)),
		plain("byte array", [3]byte{7, 8, 9}),
		plain("array of arrays", [2][2]int8{{1, 2}, {3, 4}}), plain("array of nothing", [0]int{}),
		plain("nil slice", [][]string{nil, {}, {"x"}}),
		plain("slice of 15, 16 and 65,536", [][]bool{make([]bool, 15), make([]bool, 16), make([]bool, 65536)}),
		plain("nil and empty maps", []map[string]int{nil, {}, {"b": 2, "a": 1, "aa": 3}}),
		plain("map of 16", func() map[uint16]string {
			m := map[uint16]string{}
			for i := range uint16(16) {
				m[i*300] = fmt.Sprint(i)
			}
			return m
		}()),
		plain("map with keys of several types", map[any]bool{1: true, "1": false, int8(1): true, 2.5: false, [2]int{1, 2}: true}),
		plain("map with struct keys", map[Point]string{{1, 2}: "a", {-1, 0}: "b"}),
		plain("pointer to a map", &map[string]int{"a": 1}), plain("pointer to an int", pn),
		plain("map of maps", map[string]map[int64][]string{"x": {-1: {"a"}, 1: nil}}),
		plain("time UTC", []time.Time{{}, time.Unix(0, 0).UTC(), time.Unix(1<<32, 0).UTC(), time.Unix(1<<34, 5).UTC(), time.Unix(-1, 999999999).UTC(), time.Unix(1<<32-1, 1).UTC()}),
		of("time with an offset", time.Date(2024, 11, 7, 10, 11, 12, 13, time.FixedZone("", 5400))),
		plain("duration", -time.Hour),
		plain("behind an interface", []any{
			nil, true, "s", 1, -1, 1.5, []byte{1}, map[string]any{"a": nil}, int8(1), int16(2), int32(3), int64(4), uint(5), uint8(6), uint16(7),
			uint32(8), uint64(9), float32(0.5), complex64(1), complex(2, 3), time.Unix(1, 0).UTC(), time.Second, []any{}, []int(nil), []byte(nil),
			map[string]any(nil), map[string]string{"k": "v"}, [2]string{"x", "y"}, (*int)(nil), pn, Level("named"), Point{1, 2}, &Point{3, 4},
			[]Point{{5, 6}}, map[Level]*Point{"p": {7, 8}}, (*Machine)(nil) == nil,
		}),
		of("an object behind an interface", Kinds{Any: (*Task)(nil)}),
		of("named types", struct {
			L Level
			N Small
			M map[Level]Small
		}{"l", 3, map[Level]Small{"a": 1}}),
		of("tags", Tagged{Long: "long", Kept: 1, hidden: 0}),
		of("tags, empty", Tagged{}),
		of("embedded", Outer{Base: Base{"id", "kind"}, Extra: &Extra{9}, Point: Point{1, 2}, Name: "outer"}),
		of("embedded, nil", Outer{Name: "outer"}),
		of("not registered", Plain{1, 2}),
		of("marshalers", Marshalers{T: Text{"text"}, B: Binary{5}, C: Custom{300}, TP: &Text{"p"}, M: map[Text]Binary{{"b"}: {2}, {"a"}: {1}}}),
		of("stored form", Formed{host: host}, func(f *Formed) bool { return f.host.PersistentID() == machineID }),
		of("shared in a record", graph, func(n *Node) bool {
			return n.Next == n.Other && same(n.Index, n.Again) && same(n.Index, n.Next.Index)
		}),
		object("cycle", ring, func(n *Node) bool { return n.Next.Next == n && n.Next != n }),
		of("shared behind an interface", mixed, func(n *Node) bool {
			l := n.Any.([]any)
			return l[2].(*Node) == n.Other && same(l[0].(map[string]any), l[1].(map[string]any))
		}),
		of("references", Task{Name: "refs", Host: host, Level: late, Meta: map[string]any{"task": late, "list": []any{late}},
			Needs: []*Task{late, nil, late}, Parent: persistence.RefTo(late)},
			func(t *Task) bool {
				return t.Level == any(t.Needs[0]) && t.Meta["task"] == t.Level && t.Host.PersistentID() == machineID &&
					t.Needs[0] == t.Needs[2] && t.Needs[0].PersistentID() == taskID && t.Parent.ID() == taskID
			}),
	}
	self.Next = &self
	list = append(list, record{"itself", &self, func(t *testing.T, s *persistence.Store, id persistence.ID) any {
		got, err := persistence.Load[Node](t.Context(), s, id)
		if err != nil || got.Next != got || got.Name != "self" {
			t.Errorf("itself: %+v, %v", got, err)
		}
		return got
	}})
	return list
}

func same[K comparable, V any](a, b map[K]V) bool {
	return fmt.Sprintf("%p", a) == fmt.Sprintf("%p", b)
}

// insert stores all records under their IDs.
func insert(ctx context.Context, s *persistence.Store) error {
	for i, r := range records() {
		if err := s.Insert(ctx, persistence.ID(fmt.Sprint(i+1)), r.value); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return nil
}

// ints returns numbers as ints: where those have 32 bits, as what is left of the greater ones.
func ints(numbers ...int64) []int {
	out := make([]int, len(numbers))
	for i, n := range numbers {
		out[i] = int(n)
	}
	return out
}
