package codec

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/google/go-cmp/cmp"
)

type node struct {
	Name  string
	Next  *node
	Other *node
	Attrs map[string]any
	Kids  []*node
}

func TestCyclesInsideOneRecord(t *testing.T) {
	t.Parallel()
	a := &node{Name: "a"}
	b := &node{Name: "b", Next: a}
	a.Next, a.Other = b, a
	a.Attrs = map[string]any{"n": 1}
	a.Attrs["self"] = a.Attrs
	b.Attrs = a.Attrs
	a.Kids = []*node{b, a, nil, b}
	out := roundTrip(t, newCodec(t), newWorld(), a).(*node)
	ob := out.Next
	if out.Other != out || ob.Next != out || ob.Name != "b" {
		t.Error("a pointer leads elsewhere")
	}
	if out.Kids[0] != ob || out.Kids[1] != out || out.Kids[2] != nil || out.Kids[3] != ob {
		t.Error("an element leads elsewhere")
	}
	out.Attrs["mark"] = true
	if _, ok := ob.Attrs["mark"]; !ok {
		t.Error("the map is shared no more")
	}
	if _, ok := out.Attrs["self"].(map[string]any)["mark"]; !ok {
		t.Error("the map does not hold itself any more")
	}
}

type selfMap map[string]selfMap

type selfPtr *selfPtr

func TestSharing(t *testing.T) {
	t.Parallel()
	t.Run("a map of a named type and its plain twin stay one", func(t *testing.T) {
		t.Parallel()
		c, w := newCodec(t), newWorld()
		type both struct {
			A map[string]int
			B namedMap
		}
		m := map[string]int{"a": 1}
		out := roundTrip(t, c, w, &both{m, m}).(*both)
		out.A["b"] = 2
		if out.B["b"] != 2 {
			t.Error("they are two")
		}
	})
	t.Run("a map holds itself", func(t *testing.T) {
		t.Parallel()
		c, w := newCodec(t), newWorld()
		m := selfMap{}
		m["x"] = m
		out := *roundTrip(t, c, w, m).(*selfMap)
		out["y"] = nil
		if len(out["x"]) != 2 {
			t.Error("it holds another map")
		}
	})
	t.Run("a pointer points to itself", func(t *testing.T) {
		t.Parallel()
		c, w := newCodec(t), newWorld()
		var p selfPtr
		p = &p
		out := *roundTrip(t, c, w, box[*selfPtr]{(*selfPtr)(p)}).(*box[*selfPtr])
		if q := out.Value; *q != selfPtr(q) {
			t.Error("it points elsewhere")
		}
	})
	t.Run("pointers of different types to one address are not mixed up", func(t *testing.T) {
		t.Parallel()
		c, w := newCodec(t), newWorld()
		type inner struct{ A int }
		type outer struct{ In inner }
		type both struct {
			O *outer
			I *inner
			P *int
			Q *int
		}
		o := &outer{inner{5}}
		out := roundTrip(t, c, w, &both{o, &o.In, &o.In.A, &o.In.A}).(*both)
		if out.I.A != 5 || *out.P != 5 || out.P != out.Q {
			t.Error("a value is lost")
		}
		if out.I == &out.O.In {
			t.Error("an interior pointer is not a copy")
		}
	})
	t.Run("pointers behind interfaces are shared with plain ones", func(t *testing.T) {
		t.Parallel()
		c, w := newCodec(t), newWorld()
		type both struct {
			A any
			B *int
			C []any
		}
		n := 5
		out := roundTrip(t, c, w, &both{&n, &n, []any{&n}}).(*both)
		if out.A != out.B || out.C[0] != out.A {
			t.Error("they are not one")
		}
	})
	t.Run("many pointers are found again", func(t *testing.T) {
		t.Parallel()
		c, w := newCodec(t), newWorld()
		var in [][]*int
		all := make([]*int, 5000)
		for i := range all {
			all[i] = &[]int{i}[0]
		}
		in = append(in, all, slices.Clone(all), slices.Clone(all))
		slices.Reverse(in[1])
		out := *roundTrip(t, c, w, in).(*[][]*int)
		for i := range all {
			if out[0][i] != out[2][i] || out[0][i] != out[1][len(all)-1-i] || *out[0][i] != i {
				t.Fatalf("pointer %d leads elsewhere", i)
			}
		}
	})
	t.Run("slices that share memory become two", func(t *testing.T) {
		t.Parallel()
		c, w := newCodec(t), newWorld()
		s := []int{1, 2}
		out := *roundTrip(t, c, w, [][]int{s, s}).(*[][]int)
		if &out[0][0] == &out[1][0] || out[1][1] != 2 {
			t.Error("not two equal slices")
		}
	})
	t.Run("pointers as keys of maps", func(t *testing.T) {
		t.Parallel()
		c, w := newCodec(t), newWorld()
		type key struct {
			N    int
			Next *key
		}
		type both struct {
			M map[*key]string
			P *key
			L []*key
		}
		common := &key{N: 9}
		a, b := &key{1, common}, &key{2, common}
		a.Next.Next = a
		in := &both{map[*key]string{a: "a", b: "b", nil: "nil", common: "c"}, b, []*key{a, common}}
		first := encode(t, c, w, in)
		for range 20 {
			if again := encode(t, c, w, in); !bytes.Equal(first, again) {
				t.Fatal("the bytes depend on the order of the map")
			}
		}
		out := roundTrip(t, c, w, in).(*both)
		oa, oc := out.L[0], out.L[1]
		if out.M[oa] != "a" || out.M[oc] != "c" || out.M[out.P] != "b" || out.M[nil] != "nil" || out.P.Next != oc || oc.Next != oa {
			t.Error("a key leads elsewhere")
		}
	})
	t.Run("a map stands in its own key", func(t *testing.T) {
		t.Parallel()
		c, w := newCodec(t), newWorld()
		m := map[any]any{}
		m[&m] = "me"
		m[ptr(1)] = "other"
		out := *roundTrip(t, c, w, m).(*map[any]any)
		for k, v := range out {
			if p, ok := k.(*map[any]any); ok && (v != "me" || len(*p) != 2) {
				t.Error("its key leads elsewhere")
			}
		}
	})
}

type namedMap map[string]int

// Persistable types of these tests.
type task struct {
	identity
	Name  string
	Needs []*task
	Host  *machine
	Any   any
	Meta  map[string]*task
	Lazy  ref[task]
	Cells map[*machine]int
}

type machine struct {
	identity
	Name string
	Last *task
}

// ref is a lazy reference.
type ref[T any] struct{ link Link }

func TestReferences(t *testing.T) {
	t.Parallel()
	c, w := newCodec(t, reflect.TypeFor[task](), reflect.TypeFor[machine]()), newWorld()
	self, dep, host := &task{}, &task{Name: "dep"}, &machine{Name: "h"}
	w.put("t.1", self)
	w.put("t.20", dep)
	w.put("m", host)
	*self = task{
		Name: "self", Needs: []*task{dep, self, nil, dep}, Host: host, Any: []any{host, nil, (*machine)(nil)},
		Meta: map[string]*task{"d": dep, "n": nil}, Lazy: ref[task]{Link{Obj: dep}}, Cells: map[*machine]int{host: 1, nil: 2},
	}
	data := encode(t, c, w, self)
	h, err := c.Parse(data, testLimits)
	if err != nil {
		t.Fatal(err)
	}
	want := Header{Type: "x.task", Eager: []driver.ID{"m", "t.1", "t.20"}, Lazy: []driver.ID{"t.20"}}
	if diff := cmp.Diff(want, h, cmp.FilterPath(func(p cmp.Path) bool { s := p.Last().String(); return s == ".body" || s == ".format" }, cmp.Ignore())); diff != "" {
		t.Error(diff)
	}
	var out task
	into := newWorld()
	outDep, outHost := &task{}, &machine{}
	into.put("t.1", &out)
	into.put("t.20", outDep)
	into.put("m", outHost)
	var links []driver.ID
	_, err = c.Decode(h, &out, DecodeOptions{Limits: testLimits, Target: into.target, Lazy: func(l *Link) {
		l.Store = "here"
		links = append(links, l.ID)
	}})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(out.Needs, []*task{outDep, &out, nil, outDep}) || out.Host != outHost || out.Meta["d"] != outDep || out.Cells[outHost] != 1 || out.Cells[nil] != 2 {
		t.Errorf("a reference leads elsewhere: %+v", out)
	}
	if list := out.Any.([]any); list[0] != any(outHost) || list[1] != nil || list[2] != any((*machine)(nil)) {
		t.Errorf("a reference behind an interface leads elsewhere: %v", list)
	}
	if out.Lazy.link != (Link{ID: "t.20", Store: "here"}) || !slices.Equal(links, []driver.ID{"t.20"}) {
		t.Errorf("the lazy reference is %+v", out.Lazy)
	}
}

func TestPointersToPointersToPersistableObjects(t *testing.T) {
	t.Parallel()
	c, w := newCodec(t), newWorld()
	m := &machine{}
	w.put("7", m)
	pm := &m
	out := *roundTrip(t, c, w, []**machine{pm, pm, nil, ptr((*machine)(nil))}).(*[]**machine)
	if out[0] != out[1] || *out[0] != m || out[2] != nil || *out[3] != nil {
		t.Error("a pointer leads elsewhere")
	}
}

func TestManyReferencesAreSortedAndDistinct(t *testing.T) {
	t.Parallel()
	c, w := newCodec(t), newWorld()
	in := &task{}
	for i := range 3000 {
		m := &task{}
		w.put(driver.ID(fmt.Sprint(i*7919%3000)), m)
		in.Needs = append(in.Needs, m, m)
	}
	in.Needs = append(in.Needs, in.Needs[:100]...)
	data := encode(t, c, w, in)
	h, err := c.Parse(data, testLimits)
	if err != nil {
		t.Fatal(err)
	}
	if len(h.Eager) != 3000 || !slices.IsSorted(h.Eager) {
		t.Fatalf("%d references", len(h.Eager))
	}
	var out task
	if err := decodeInto(c, w, data, &out); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(in.Needs, out.Needs) {
		t.Error("a reference leads elsewhere")
	}
}

func TestReferencesThatDoNotFit(t *testing.T) {
	t.Parallel()
	c, w := newCodec(t, reflect.TypeFor[task](), reflect.TypeFor[machine]()), newWorld()
	host := &machine{}
	w.put("9", host)
	data := encode(t, c, w, &task{Host: host})
	h, err := c.Parse(data, testLimits)
	if err != nil {
		t.Fatal(err)
	}
	gone := errors.New("gone")
	tests := map[string]struct {
		target func(driver.ID) (any, error)
		want   error
		text   string
	}{
		"another type":           {func(driver.ID) (any, error) { return &task{}, nil }, driver.ErrType, `task.Host: refers to "9", a *codec.task where a *codec.machine is wanted`},
		"nothing":                {func(driver.ID) (any, error) { return nil, nil }, driver.ErrType, "task.Host"},
		"no pointer to a struct": {func(driver.ID) (any, error) { return ptr(5), nil }, driver.ErrType, "task.Host"},
		"a nil pointer":          {func(driver.ID) (any, error) { return (*machine)(nil), nil }, driver.ErrType, "task.Host"},
		"an error":               {func(driver.ID) (any, error) { return nil, gone }, gone, "gone"},
		"none allowed":           {nil, driver.ErrCorrupt, "task.Host"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := c.Decode(h, new(task), DecodeOptions{Limits: testLimits, Target: tc.target})
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("the resolver's error is passed up", func(t *testing.T) {
		if _, err := c.NewEncoder(testLimits, newWorld()).Encode(&task{Host: host}, nil); err == nil || !strings.Contains(err.Error(), "no ID for a *codec.machine") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("an ID that is too long", func(t *testing.T) {
		w := newWorld()
		w.put(driver.ID(strings.Repeat("x", driver.MaxIDLen+1)), host)
		if _, err := c.NewEncoder(testLimits, w).Encode(&task{Host: host}, nil); !errors.Is(err, driver.ErrInvalidID) {
			t.Errorf("got %v", err)
		}
	})
}

type city struct {
	Name  string
	Roads map[*city]int
}

func TestAGraphOfPointersAsKeys(t *testing.T) {
	t.Parallel()
	const n = 60
	build := func() *city {
		all := make([]*city, n)
		for i := range all {
			all[i] = &city{Name: fmt.Sprint("city ", i), Roads: map[*city]int{}}
		}
		for i, from := range all {
			for j, to := range all {
				from.Roads[to] = i + j
			}
		}
		return all[0]
	}
	c, w := newCodec(t), newWorld()
	in := build()
	out := roundTrip(t, c, w, in).(*city)
	if !bytes.Equal(encode(t, c, w, in), encode(t, c, w, build())) {
		t.Error("equal graphs, other bytes")
	}
	for to, length := range out.Roads {
		if len(to.Roads) != n || to.Roads[out] != length {
			t.Fatalf("from %s: %d roads, %d back", to.Name, len(to.Roads), to.Roads[out])
		}
	}
}

func TestKeysThatLookTheSameKeepTheirOrder(t *testing.T) {
	t.Parallel()
	c, w := newCodec(t), newWorld()
	in := map[*point]string{}
	for range 50 {
		in[&point{1, 2}] = "same"
	}
	in[&point{1, 2}] = strings.Repeat("long", maxSortKey)
	first := encode(t, c, w, in)
	for range 5 {
		if !bytes.Equal(first, encode(t, c, w, in)) {
			t.Fatal("the same map, other bytes")
		}
	}
	var out map[*point]string
	if err := decodeInto(c, w, first, &out); err != nil || len(out) != len(in) {
		t.Errorf("%d entries, %v", len(out), err)
	}
}
