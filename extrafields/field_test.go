package extrafields

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence/driver"
)

type task struct {
	Name  string
	Cost  float64
	Owner *string
	Color color
	Big   bigName
	Blob  []byte
	N     int
}

// bigName has its String method on the pointer.
type bigName struct{ s string }

func (b *bigName) String() string { return b.s }

func (t *task) Title() string { return "task " + t.Name }

type titled interface{ Title() string }

func TestValue(t *testing.T) {
	t.Parallel()
	owner, broken := "me", errors.New("broken")
	name := func(t *task) string { return t.Name }
	cost := func(t *task) float64 { return t.Cost }
	constant := func(v any) func(any) (any, error) { return func(any) (any, error) { return v, nil } }
	obj := &task{Name: "a", Cost: 1.5, Owner: &owner, Color: 1, Big: bigName{"big"}, N: 3}
	nan := &task{Cost: math.NaN()}
	for _, tt := range []struct {
		name  string
		field Field
		obj   any
		want  any
	}{
		{"of a pointer", Of("c", name), obj, "a"},
		{"of a value", Of("c", name), *obj, "a"},
		{"of a nil pointer", Of("c", name), (*task)(nil), nil},
		{"of another type", Of("c", name), &host{}, nil},
		{"of nil", Of("c", name), nil, nil},
		{"of an interface", Of("c", func(t *titled) string { return (*t).Title() }), obj, "task a"},
		{"of a type that lacks the interface", Of("c", func(t *titled) string { return (*t).Title() }), &host{}, nil},
		{"of a map", Of("c", func(m *map[string]int) int { return (*m)["x"] }), map[string]int{"x": 4}, int64(4)},
		{"of a named string", Of("c", func(t *task) word { return word(t.Name) }), obj, "a"},
		{"of an integer with a String method", Of("c", func(t *task) color { return t.Color }), obj, int64(1)},
		{"of a duration", Of("c", func(*task) time.Duration { return time.Second }), obj, int64(time.Second)},
		{"of a bool", Of("c", func(*task) flag { return true }), obj, true},
		{"of bytes", Of("c", func(t *task) []byte { return t.Blob }), &task{Blob: []byte{}}, []byte{}},
		{"of nil bytes", Of("c", func(t *task) []byte { return t.Blob }), obj, nil},
		{"of a time", Of("c", func(*task) time.Time { return time.Unix(1, 1) }), obj, time.Unix(1, 0).UTC()},
		{"of NaN", Of("c", cost), nan, nil},
		{"of minus zero", Of("c", cost), &task{Cost: math.Copysign(0, -1)}, 0.0},
		{"of too large an integer", Of("c", func(*task) uint64 { return 1 << 63 }), obj, failure(`extra field "c": 9223372036854775808`)},
		{"of bad text", Of("c", func(*task) string { return "\x00" }), obj, failure("NUL")},
		{"of a panic", Of("c", func(t *task) string { return *(*string)(nil) }), obj, failure(`extra field "c": panic: runtime error`)},

		{"get a field", Get("c", Text, "Name"), obj, "a"},
		{"get through a pointer", Get("c", Text, "Owner"), obj, "me"},
		{"get a nil pointer", Get("c", Text, "Owner"), nan, nil},
		{"get an integer with a String method as text", Get("c", Text, "Color"), obj, "green"},
		{"get it as an integer", Get("c", Int, "Color"), obj, int64(1)},
		{"get a String method of the pointer", Get("c", Text, "Big"), obj, "big"},
		{"get an integer as a float", Get("c", Float, "N"), obj, 3.0},
		{"get NaN", Get("c", Float, "Cost"), nan, nil},
		{"get the wrong kind", Get("c", Int, "Name"), obj, failure("path Name: a string is no int value")},
		{"get of a type without the path", Get("c", Int, "Nothing"), obj, failure(`extra field "c": path Nothing: type extrafields.task has no field Nothing`)},
		{"get where a String method panics", Get("c", Text, "Color"), &task{Color: 7}, failure("panic")},
		{"get of nil", Get("c", Text, "Name"), nil, nil},

		{"a function", Func("c", Int, constant(int8(3))), obj, int64(3)},
		{"a function is given the object as it is", Func("c", Bool, func(o any) (any, error) { return o == any(obj), nil }), obj, true},
		{"a function of nothing", Func("c", Int, constant(nil)), obj, nil},
		{"a function of a nil pointer", Func("c", Text, constant((*string)(nil))), obj, nil},
		{"a function of a pointer", Func("c", Text, constant(&owner)), obj, "me"},
		{"a function of the wrong kind", Func("c", Text, constant(1)), obj, failure("int is no text")},
		{"a function that fails", Func("c", Text, func(any) (any, error) { return "x", broken }), obj, failure("broken")},
		{"a function that panics with nil", Func("c", Text, func(any) (any, error) { panic(nil) }), obj, failure("panic")},

		{"a default where nothing is", Get("c", Text, "Owner").Default(word("nobody")), nan, "nobody"},
		{"a default where something is", Get("c", Text, "Owner").Default("nobody"), obj, "me"},
		{"a default where an empty text is", Of("c", name).Default("nobody"), nan, ""},
		{"a default for NaN", Of("c", cost).Default(1), nan, 1.0},
		{"a default for a nil pointer", Of("c", cost).Default(1), (*task)(nil), 1.0},
		{"no default for another type", Of("c", cost).Default(1), &host{}, nil},
		{"no default for an excluded type", Get("c", Text, "Owner").Default("x").Only(host{}), nan, nil},
		{"no default for a failure", Get("c", Text, "Nothing").Default("x"), obj, failure("Nothing")},

		{"only its type by a value", Get("c", Text, "Name").Only(task{}), obj, "a"},
		{"only its type by a pointer", Get("c", Text, "Name").Only(&task{}), *obj, "a"},
		{"only its type by a nil pointer", Get("c", Text, "Name").Only((*task)(nil)), obj, "a"},
		{"only its type by a reflect.Type", Get("c", Text, "Name").Only(reflect.TypeFor[task]()), obj, "a"},
		{"only its type among others", Get("c", Text, "Name").Only(1, &task{}), obj, "a"},
		{"only another type", Get("c", Text, "Nothing").Only(host{}), obj, nil},
		{"only an interface", Get("c", Text, "Name").Only((*titled)(nil)), obj, "a"},
		{"only an interface that is lacking", Get("c", Text, "Nothing").Only((*titled)(nil)), &host{}, nil},
		{"only a type and nil", Get("c", Text, "Name").Only(task{}), nil, nil},
		{"only the last types", Get("c", Text, "Name").Only(host{}).Only(task{}), obj, "a"},

		{"an indexed text of 255 characters", Func("c", Text, constant(strings.Repeat("é", 255))).Indexed(), obj, strings.Repeat("é", 255)},
		{"an indexed text of 256 characters", Func("c", Text, constant(strings.Repeat("é", 256))).Indexed(), obj, failure("256 characters")},
		{"a text of 256 characters without an index", Func("c", Text, constant(strings.Repeat("x", 256))), obj, strings.Repeat("x", 256)},
		{"255 indexed bytes", Func("c", Bytes, constant(make([]byte, 255))).Indexed(), obj, make([]byte, 255)},
		{"256 indexed bytes", Func("c", Bytes, constant(make([]byte, 256))).Indexed(), obj, failure("256 bytes")},
		{"long bytes without an index", Func("c", Bytes, constant(make([]byte, 300))), obj, make([]byte, 300)},

		{"the zero field", Field{}, obj, failure("column name")},
		{"a field with a bad path", Get("c", Text, "A["), obj, failure("no index")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.field.Value(tt.obj)
			if part, ok := tt.want.(failure); ok {
				if err == nil || !strings.Contains(err.Error(), string(part)) || got != nil {
					t.Fatalf("%v, %v, want an error with %q", got, err, part)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if _, err := Func("c", Text, func(any) (any, error) { return nil, broken }).Value(obj); !errors.Is(err, broken) {
		t.Errorf("the error of the function is lost in %v", err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	of := func(column string) Field { return Of(column, func(*task) string { return "" }) }
	for _, tt := range []struct {
		name  string
		field Field
		want  string
	}{
		{"all is well", of("host").Only(task{}).Default("x").Indexed(), ""},
		{"a name of 63 bytes", of("_" + strings.Repeat("x", 62)), ""},
		{"a name of 64 bytes", of(strings.Repeat("x", 64)), "column name"},
		{"no name", of(""), "column name"},
		{"a name with a blank", of("a b"), "column name"},
		{"a digit at the start", of("1a"), "column name"},
		{"a library column", of("state"), "reserved"},
		{"a library column in capitals", of("Modified"), "reserved"},
		{"another library column", of("DATA"), "reserved"},
		{"an unknown kind", Get("c", 9, "A"), "unknown kind"},
		{"no kind", Func("c", 0, func(any) (any, error) { return nil, nil }), "unknown kind"},
		{"a bad path", Get("c", Text, "A[-1]"), "path"},
		{"a nil function of Of", Of[task, string]("c", nil), "nil function"},
		{"a nil function of Func", Func("c", Text, nil), "nil function"},
		{"a default of the wrong kind", of("c").Default(1), "default: a int is no text value"},
		{"a default of nil", of("c").Default(nil), "default"},
		{"a default of NaN", Get("c", Float, "A").Default(math.NaN()), "default"},
		{"a default too long for the index", of("c").Default(strings.Repeat("x", 256)).Indexed(), "256 characters"},
		{"only nil", of("c").Only(nil), "only"},
		{"only nothing", of("c").Only(), "only"},
		{"the zero field", Field{}, "column name"},
		{"a mistake stays", Get("c", Text, "A[").Default("x").Only(task{}).Indexed(), "no index"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := tt.field.Check()
			if (err != nil) != (tt.want != "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want %q", err, tt.want)
			}
			if err != nil && !strings.Contains(err.Error(), fmt.Sprintf("extra field %.80q", tt.field.Column().Name)) {
				t.Errorf("error %v does not name the field", err)
			}
		})
	}
}

func TestColumn(t *testing.T) {
	t.Parallel()
	type object = *task
	for _, tt := range []struct {
		field Field
		want  Kind
	}{
		{Of("c", func(object) word { return "" }), Text},
		{Of("c", func(object) count { return 0 }), Int},
		{Of("c", func(object) uintptr { return 0 }), Int},
		{Of("c", func(object) time.Duration { return 0 }), Int},
		{Of("c", func(object) ratio { return 0 }), Float},
		{Of("c", func(object) flag { return false }), Bool},
		{Of("c", func(object) []byte { return nil }), Bytes},
		{Of("c", func(object) time.Time { return time.Time{} }), Time},
		{Get("c", Bool, "A"), Bool},
	} {
		if diff := cmp.Diff(driver.Column{Name: "c", Kind: tt.want}, tt.field.Column()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestMethodsLeaveTheFieldAlone(t *testing.T) {
	t.Parallel()
	f := Get("c", Text, "Owner").Only(task{})
	f.Indexed()
	f.Default("x")
	f.Only(host{})
	f.Default(1)
	if f.Column().Indexed || f.Check() != nil {
		t.Errorf("column %v, %v", f.Column(), f.Check())
	}
	if v, err := f.Value(&task{}); v != nil || err != nil {
		t.Errorf("value %v, %v", v, err)
	}
}

func TestTheDefaultCannotBeChanged(t *testing.T) {
	t.Parallel()
	def := []byte{1}
	f := Get("c", Bytes, "Blob").Default(def)
	def[0] = 9
	for range 2 {
		v, err := f.Value(&task{})
		if diff := cmp.Diff(any([]byte{1}), v); diff != "" || err != nil {
			t.Fatalf("%v (-want +got):\n%s", err, diff)
		}
		v.([]byte)[0] = 9
	}
}

func TestFieldsServeManyGoroutines(t *testing.T) {
	t.Parallel()
	f := Get("c", Text, `Meta["user"].Name`)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 200 {
				obj := &deep{Meta: map[string]any{"user": []any{host{"h"}, &host{"p"}, &result{}}[i%3]}}
				v, err := f.Value(obj)
				if want := []any{"h", "p", nil}[i%3]; v != want || (err != nil) != (i%3 == 2) {
					t.Errorf("%v, %v", v, err)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkValue(b *testing.B) {
	obj := &deep{Execution: &execution{Results: []result{{Host: "host7.example.org"}}}, Meta: map[string]any{"user": "me"}, base: base{"someone"}}
	for _, bb := range []struct {
		name  string
		field Field
	}{
		{"Of/text", Of("c", func(d *deep) string { return d.Owner })},
		{"Of/named text", Of("c", func(d *deep) word { return word(d.Owner) })},
		{"Of/named int", Of("c", func(d *deep) time.Duration { return 123456 })},
		{"Of/time", Of("c", func(d *deep) time.Time { return time.Time{} })},
		{"Of/other type", Of("c", func(t *task) string { return t.Name })},
		{"Get/field", Get("c", Text, "Owner")},
		{"Get/only", Get("c", Text, "Owner").Only(task{}, deep{}).Indexed()},
		{"Get/deep", Get("c", Text, "Execution.Results[0].Host")},
		{"Get/map", Get("c", Text, `Meta["user"]`)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bb.field.Value(obj); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
