package codec

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

func TestNamesComeBackAsTheirTypes(t *testing.T) {
	t.Parallel()
	c := newCodec(t, reflect.TypeFor[point](), reflect.TypeFor[task]())
	if err := c.Register("generic[a,b]", reflect.TypeFor[pair[string, int]]()); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		typ        reflect.Type
		name       string
		registered bool
	}{
		"a registered type":        {reflect.TypeFor[point](), "x.point", true},
		"a registered generic":     {reflect.TypeFor[pair[string, int]](), "generic[a,b]", true},
		"a type met":               {reflect.TypeFor[tree](), "codec.tree", false},
		"a generic type met":       {reflect.TypeFor[box[int]](), "codec.box[int]", false},
		"a built-in kind":          {reflect.TypeFor[uint16](), "uint16", true},
		"any":                      {reflect.TypeFor[any](), "interface {}", true},
		"a time":                   {reflect.TypeFor[time.Time](), "time.Time", true},
		"a duration":               {reflect.TypeFor[time.Duration](), "time.Duration", true},
		"a slice":                  {reflect.TypeFor[[]*point](), "[]*x.point", true},
		"a map":                    {reflect.TypeFor[map[[2]string][]map[string]any](), "map[[2]string][]map[string]interface {}", true},
		"a map with a generic key": {reflect.TypeFor[map[pair[string, int]]bool](), "map[generic[a,b]]bool", true},
		"composed of a type met":   {reflect.TypeFor[map[string][]tree](), "map[string][]codec.tree", false},
		"an anonymous struct":      {reflect.TypeFor[struct{ A int }](), "struct { A int }", false},
		"a pointer to a pointer":   {reflect.TypeFor[**task](), "**x.task", true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := c.TypeName(tc.typ)
			if err != nil || got != tc.name {
				t.Fatalf("TypeName is %q, %v", got, err)
			}
			typ, registered, err := c.Resolve(got)
			if typ != tc.typ || registered != tc.registered || err != nil {
				t.Errorf("Resolve gives %v, %v, %v", typ, registered, err)
			}
		})
	}
}

func TestResolveRefuses(t *testing.T) {
	t.Parallel()
	c := newCodec(t)
	tests := map[string]string{
		"an unknown name":            "codec.nobody",
		"no name":                    "",
		"a type that is never met":   "chan int",
		"a function":                 "func()",
		"a uintptr":                  "uintptr",
		"a slice of nothing":         "[]",
		"a slice of the unknown":     "[]codec.nobody",
		"an array without a length":  "[x]int",
		"a negative array":           "[-1]int",
		"an array with a plus":       "[+1]int",
		"an array that is too large": "[1000000]int",
		"a vast array of nothing":    "[1000000000][0]int",
		"an array beyond int":        "[99999999999999999999]int",
		"a map without an end":       "map[string",
		"a map without a value":      "map[string]",
		"a map of maps without end":  "map[map[string]",
		"a key that cannot be one":   "map[[]int]int",
		"a map as key":               "map[map[int]int]int",
		"deep slices":                strings.Repeat("[]", 100) + "int",
		"a name without end":         strings.Repeat("map[int]", 100_000) + "int",
		"arrays of arrays":           strings.Repeat("[1000]", 5) + "int",
	}
	for name, in := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			typ, _, err := c.Resolve(in)
			if typ != nil || !errors.Is(err, driver.ErrUnknownType) || len(err.Error()) > 500 {
				t.Errorf("got %v, %v", typ, err)
			}
		})
	}
}

func TestBytesCannotMakeTypesWithoutEnd(t *testing.T) {
	t.Parallel()
	c := newCodec(t)
	refused := 0
	for i := range 2 * maxComposed {
		if _, _, err := c.Resolve(fmt.Sprintf("[%d]bool", i)); err != nil {
			refused++
		}
	}
	if refused != maxComposed {
		t.Errorf("%d refused", refused)
	}
	if _, _, err := c.Resolve("[5]bool"); err != nil {
		t.Errorf("one made before: %v", err)
	}
}

func TestRegisterRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		name string
		typ  reflect.Type
	}{
		"a name taken":                {"x.point", reflect.TypeFor[tree]()},
		"a first name for a type":     {"x.other", reflect.TypeFor[point]()},
		"a built-in name":             {"int", reflect.TypeFor[tree]()},
		"the name of time.Time":       {"time.Time", reflect.TypeFor[tree]()},
		"a built-in type":             {"x.int", reflect.TypeFor[int]()},
		"a duration":                  {"x.duration", reflect.TypeFor[time.Duration]()},
		"a slice":                     {"x.slice", reflect.TypeFor[[]point]()},
		"a pointer":                   {"x.ptr", reflect.TypeFor[*tree]()},
		"an interface":                {"x.shape", reflect.TypeFor[shape]()},
		"no type":                     {"x.nil", nil},
		"the identity":                {"x.identity", reflect.TypeFor[identity]()},
		"a uintptr":                   {"x.ptr", reflect.TypeFor[uintptr]()},
		"an empty name":               {"", reflect.TypeFor[tree]()},
		"a name like a pointer's":     {"*a", reflect.TypeFor[tree]()},
		"a name like a slice's":       {"[]a", reflect.TypeFor[tree]()},
		"a name like a map's":         {"map[a]b", reflect.TypeFor[tree]()},
		"brackets that do not match":  {"a]b[", reflect.TypeFor[tree]()},
		"an open bracket":             {"a[b", reflect.TypeFor[tree]()},
		"a control character":         {"a\nb", reflect.TypeFor[tree]()},
		"a name that is not UTF-8":    {"a\xff", reflect.TypeFor[tree]()},
		"a name that is far too long": {strings.Repeat("x", 256), reflect.TypeFor[tree]()},
	}
	c := newCodec(t, reflect.TypeFor[point]())
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := c.Register(tc.name, tc.typ); err == nil {
				t.Error("it is registered")
			}
		})
	}
	t.Run("but not the same pair again", func(t *testing.T) {
		t.Parallel()
		if err := c.Register("x.point", reflect.TypeFor[point]()); err != nil {
			t.Error(err)
		}
	})
}

func TestTwoTypesOfOneName(t *testing.T) {
	t.Parallel()
	first := func() reflect.Type { type holder struct{ E int }; return reflect.TypeFor[holder]() }()
	second := func() reflect.Type { type holder struct{ F int }; return reflect.TypeFor[holder]() }()
	c := newCodec(t)
	if _, err := c.TypeName(first); err != nil {
		t.Fatal(err)
	}
	for _, typ := range []reflect.Type{second, first} {
		if _, err := c.TypeName(typ); !errors.Is(err, driver.ErrUnstorable) || !strings.Contains(err.Error(), "use Register") {
			t.Errorf("%v: %v", typ, err)
		}
	}
	if _, _, err := c.Resolve("codec.holder"); !errors.Is(err, driver.ErrUnknownType) {
		t.Errorf("resolve: %v", err)
	}
	for i, typ := range []reflect.Type{first, second} {
		want := fmt.Sprint("holder ", i)
		if err := c.Register(want, typ); err != nil {
			t.Fatal(err)
		}
		if got, err := c.TypeName(typ); got != want || err != nil {
			t.Errorf("registered: %q, %v", got, err)
		}
	}
}

func TestTheDefaultNameOfARegisteredOneIsTaken(t *testing.T) {
	t.Parallel()
	c := newCodec(t)
	if err := c.Register("codec.tree", reflect.TypeFor[point]()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.TypeName(reflect.TypeFor[tree]()); !errors.Is(err, driver.ErrUnstorable) {
		t.Errorf("got %v", err)
	}
}

func TestTypesReachedStaticallyAreMet(t *testing.T) {
	t.Parallel()
	c := newCodec(t)
	if _, _, err := c.Resolve("codec.machine"); !errors.Is(err, driver.ErrUnknownType) {
		t.Fatal("it is known without being met")
	}
	if _, err := c.TypeName(reflect.TypeFor[map[string][]*task]()); err != nil {
		t.Fatal(err)
	}
	if typ, registered, err := c.Resolve("codec.machine"); typ != reflect.TypeFor[machine]() || registered || err != nil {
		t.Errorf("got %v, %v, %v", typ, registered, err)
	}
}

func TestACodecIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	c := newCodec(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if err := c.Register("x.point", reflect.TypeFor[point]()); err != nil {
				t.Error(err)
			}
			for range 20 {
				in := &node{Name: fmt.Sprint(i), Attrs: map[string]any{"p": &point{i, 2}, "t": []any{time.Unix(int64(i), 0).UTC()}}}
				in.Next = in
				out := roundTrip(t, c, newWorld(), in).(*node)
				if out.Next != out || *out.Attrs["p"].(*point) != (point{i, 2}) {
					t.Errorf("got %+v", out)
				}
			}
		})
	}
	wg.Wait()
}
