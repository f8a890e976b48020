package codec

import (
	"errors"
	"os"
	"reflect"
	"runtime/debug"
	"strings"
	"testing"
	"unsafe"

	"github.com/brine-go/brine/persistence/driver"
)

type (
	hook     struct{ Fn func() }
	hooks    struct{ Hooks []hook }
	channels struct{ C map[string][]chan int }
	raw      struct{ In struct{ P [2]uintptr } }
	rawPtr   struct{ P unsafe.Pointer }
	byValue  struct{ In []machine }
	valueIn  struct{ M machine }
	embedTag struct {
		machine `msgpack:"m"`
		identityField
	}
	identityField struct{ N int }
	ambiguous     struct {
		identity
		machine
	}
	holdsAmbiguous struct{ P *ambiguous }
	loopForm       struct{}
	loopForm2      struct{}
)

func (loopForm) StoredForm() loopForm2          { return loopForm2{} }
func (*loopForm) SetStoredForm(loopForm2) error { return nil }
func (loopForm2) StoredForm() loopForm          { return loopForm{} }
func (*loopForm2) SetStoredForm(loopForm) error { return nil }

func TestUnstorable(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		in   any
		path string
	}{
		"a function":                          {&hooks{make([]hook, 3, 4)[:3:3]}, ""},
		"a function that is not nil":          {&hooks{[]hook{{}, {}, {}, {func() {}}}}, "hooks.Hooks[3].Fn: "},
		"a channel that is not nil":           {channels{map[string][]chan int{"a": {nil, make(chan int)}}}, `channels.C["a"][1]: `},
		"a uintptr":                           {raw{}, "raw.In.P[0]: "},
		"an unsafe pointer":                   {rawPtr{}, "rawPtr.P: "},
		"a slice of uintptrs":                 {[]uintptr{1}, "[]uintptr[0]: "},
		"a function behind an interface":      {[]any{func() {}}, "[]interface {}[0]: "},
		"a uintptr behind an interface":       {[]any{uintptr(1)}, "[]interface {}[0]: "},
		"a nil":                               {nil, "nil: "},
		"a nil pointer to a struct":           {(*kinds)(nil), "nil *codec.kinds: "},
		"a persistable root by value":         {machine{}, "machine: "},
		"a persistable field by value":        {&valueIn{}, "valueIn.M: "},
		"a persistable element by value":      {&byValue{make([]machine, 1)}, "byValue.In[0]: "},
		"a persistable map value by value":    {map[int]machine{4: {}}, "map[int]codec.machine[4]: "},
		"a persistable map key by value":      {map[machine]int{{}: 1}, "map[codec.machine]int[codec.machine]: "},
		"a persistable behind an interface":   {[]any{machine{}}, "[]interface {}[0]: "},
		"a persistable embedded under a name": {&embedTag{}, "embedTag.m: "},
		"an ambiguous identity":               {&ambiguous{}, "ambiguous: "},
		"a pointer to an ambiguous identity":  {&holdsAmbiguous{&ambiguous{}}, "holdsAmbiguous.P: "},
		"the identity itself":                 {&identity{}, "identity: "},
		"the identity as a field":             {struct{ ID identity }{}, "struct { ID codec.identity }.ID: "},
		"a stored form without end":           {loopForm{}, "loopForm: "},
		"a key in a key":                      {map[any]int{[1]any{[1]any{int8(1)}}: 1, [1]any{uintptr(1)}: 2}, "map[interface {}]int["},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := newCodec(t).NewEncoder(testLimits, newWorld()).Encode(tc.in, nil)
			if tc.path == "" {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			if !errors.Is(err, driver.ErrUnstorable) || !strings.HasPrefix(err.Error(), tc.path) {
				t.Errorf("got %v, want it at %s", err, tc.path)
			}
		})
	}
}

func TestTypeNameTellsWhatCanNeverBeStored(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		typ  reflect.Type
		path string
	}{
		"a uintptr":         {reflect.TypeFor[raw](), "raw.In.P[0]: "},
		"an ambiguous type": {reflect.TypeFor[ambiguous](), "ambiguous: "},
		"a value":           {reflect.TypeFor[valueIn](), "valueIn.M: "},
		"a pointer is fine": {reflect.TypeFor[task](), ""},
		"nil may be":        {reflect.TypeFor[hooks](), ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := newCodec(t).TypeName(tc.typ)
			if (tc.path == "") != (err == nil) || err != nil && (!errors.Is(err, driver.ErrUnstorable) || !strings.HasPrefix(err.Error(), tc.path)) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestMaxBytes(t *testing.T) {
	t.Parallel()
	type job struct {
		Name string
		Log  []byte
		Args []string
	}
	c := newCodec(t)
	in := &job{"n", make([]byte, 5000), []string{strings.Repeat("x", 100)}}
	size := int64(len(encode(t, c, nil, in)))
	for limit, fits := range map[int64]bool{size: true, size - 1: false, 5000: false, 100: false, 1: false} {
		lim := Limits{limit, 10}
		enc, err := c.NewEncoder(lim, nil).Encode(in, nil)
		if fits {
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Parse(enc.Data, lim); err != nil {
				t.Error(err)
			}
			continue
		}
		if !errors.Is(err, driver.ErrTooLarge) || !strings.HasPrefix(err.Error(), "job: at least ") || !strings.Contains(err.Error(), "the largest field is Log with 500") {
			t.Errorf("limit %d: %v", limit, err)
		}
		if _, err := c.Parse(make([]byte, limit+1), lim); !errors.Is(err, driver.ErrTooLarge) {
			t.Errorf("parse at limit %d: %v", limit, err)
		}
	}
	t.Run("what has no size takes room as well", func(t *testing.T) {
		if _, err := c.NewEncoder(Limits{1 << 20, 10}, nil).Encode(new([1 << 30]struct{}), nil); !errors.Is(err, driver.ErrTooLarge) && !errors.Is(err, driver.ErrUnstorable) {
			t.Errorf("got %v", err)
		}
		type vast struct{ A [1 << 30]struct{} }
		if _, err := c.NewEncoder(Limits{1 << 20, 10}, nil).Encode(&vast{}, nil); !errors.Is(err, driver.ErrTooLarge) {
			t.Errorf("got %v", err)
		}
	})
}

// chain makes a list of n structs inside one record.
func chain(n int) *node {
	var list *node
	for range n {
		list = &node{Next: list}
	}
	return list
}

func nested(n int) any {
	var v any = 1
	for range n {
		v = []any{v}
	}
	return v
}

func nestedMaps(n int) any {
	var v any
	for i := range n {
		if i%2 == 0 {
			v = map[string]any{"k": v}
		} else {
			v = map[int]any{1: v}
		}
	}
	return v
}

type ptrChain *ptrChain

func ptrs(n int) ptrChain {
	var p ptrChain
	for range n {
		q := p
		p = &q
	}
	return p
}

type formChain struct{ next *formChain }

func (f *formChain) StoredForm() *formChain2           { return &formChain2{f.next} }
func (f *formChain) SetStoredForm(s *formChain2) error { f.next = s.Next; return nil }

type formChain2 struct{ Next *formChain }

func forms(n int) *formChain {
	var f *formChain
	for range n {
		f = &formChain{f}
	}
	return f
}

func TestMaxDepth(t *testing.T) {
	// Not parallel: the limit on the stack is that of the process.
	limit, stack := 2500, 16<<20
	if os.Getenv("BRINE_LONG") != "" {
		limit, stack = 10_000, 64<<20
	}
	defer debug.SetMaxStack(debug.SetMaxStack(stack))
	tests := map[string]func(n int) any{
		"a list":       func(n int) any { return chain(n) },
		"slices":       func(n int) any { return nested(n) },
		"maps":         func(n int) any { return nestedMaps(n) },
		"pointers":     func(n int) any { return ptrs(n) },
		"stored forms": func(n int) any { return forms(n) },
		"a recursive slice": func(n int) any {
			v := nest{}
			for range n {
				v = nest{v}
			}
			return v
		},
	}
	for name, deep := range tests {
		t.Run(name, func(t *testing.T) {
			c := newCodec(t)
			lim := Limits{1 << 30, limit}
			lo, hi := 1, limit+2 // the deepest that fits, and one that does not
			for lo+1 < hi {
				mid := (lo + hi) / 2
				if _, err := c.NewEncoder(lim, nil).Encode(deep(mid), nil); err == nil {
					lo = mid
				} else {
					hi = mid
				}
			}
			if lo < limit/2-1 {
				t.Errorf("only %d fit", lo)
			}
			in := deep(lo)
			data := encode(t, c, nil, in)
			h, err := c.Parse(data, lim)
			if err != nil {
				t.Fatal(err)
			}
			typ := reflect.TypeOf(in)
			if typ.Kind() == reflect.Pointer && typ.Elem().Kind() == reflect.Struct {
				typ = typ.Elem()
			}
			if _, err := c.Decode(h, reflect.New(typ).Interface(), DecodeOptions{Limits: lim}); err != nil {
				t.Errorf("what was encoded is not decoded: %v", err)
			}
			_, err = c.Decode(h, reflect.New(typ).Interface(), DecodeOptions{Limits: Limits{1 << 30, 100}})
			if !errors.Is(err, driver.ErrTooLarge) {
				t.Errorf("with a lower limit: %v", err)
			}
			_, err = c.NewEncoder(lim, nil).Encode(deep(2*limit), nil)
			if !errors.Is(err, driver.ErrTooLarge) || len(err.Error()) > 500 {
				t.Errorf("too deep: %.1000v", err)
			}
		})
	}
}

func TestADeepPathIsShortened(t *testing.T) {
	t.Parallel()
	_, err := newCodec(t).NewEncoder(Limits{1 << 30, 1000}, nil).Encode(chain(2000), nil)
	if err == nil || !strings.HasPrefix(err.Error(), "node.Next.Next.Next.") || !strings.Contains(err.Error(), "…: nested deeper than the limit of 1000") {
		t.Errorf("got %v", err)
	}
}
