package codec

import (
	"encoding"
	"errors"
	"net/netip"
	"net/url"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

type (
	leafValue   struct{ A int }
	leafPointer struct{ A int }
	bigValue    struct{ A [9]int }
	hasUpgrade  struct{ A int }
	generic     [1]int

	genericLeaf[T any] struct{ V T }
	genericOwn[T any]  struct {
		leafValue
		V T
	}
	genericPromoted[T any] struct {
		leafValue
		V T
	}
	genericOfGeneric[T any] struct {
		genericLeaf[T]
		N int
	}
	genericParam[T any] struct {
		genericOwn[T]
		N int
	}

	embedsValue struct {
		leafValue
		N int
	}
	afterField struct {
		N int
		leafValue
	}
	pointerMethodByValue struct {
		leafPointer
		N int
	}
	pointerMethodLater struct {
		N int
		leafPointer
	}
	embedsPointer struct {
		*leafValue
		N int
	}
	pointerMethodByPointer struct {
		*leafPointer
		N int
	}
	soleByValue     struct{ leafValue }
	solePointer     struct{ *leafPointer }
	embedsInterface struct{ encoding.TextMarshaler }
	deepEmbed       struct{ embedsPointer }
	deeper          struct{ *deepEmbed }
	embedsBig       struct{ bigValue }
	overrides       struct{ leafValue }
	overridesPtr    struct{ leafPointer }
	overridesDeep   struct{ deeper }
	callsIt         struct{ leafValue }
	callsPtr        struct{ *leafPointer }
	callsValue      struct{ embedsValue }
	callsExpression struct{ embedsValue }
	callsGeneric    struct{ embedsValue }
	aliased         = struct {
		leafValue
		N int
	}
	embedsAlias struct {
		aliased
		M int
	}
	ofOverrides   struct{ overrides }
	ambiguousLeaf struct {
		leafValue
		leafPointer
	}
	ownDespite struct {
		leafValue
		leafPointer
	}
	shallower struct {
		leafValue
		deepEmbed
	}
	hiddenByField struct {
		leafValue
		MarshalText int
	}
	timed     struct{ time.Time }
	addressed struct {
		*url.URL
		Note string
	}
	netted   struct{ netip.Addr }
	upgraded struct {
		hasUpgrade
		N int
	}
	ownUpgrade struct {
		hasUpgrade
		N int
	}
)

func (leafValue) MarshalText() ([]byte, error)              { return nil, nil }
func (l *leafPointer) MarshalText() ([]byte, error)         { return nil, nil }
func (b bigValue) MarshalText() ([]byte, error)             { return make([]byte, b.A[3]), errors.New("x") }
func (generic) MarshalText() ([]byte, error)                { return nil, nil }
func (g genericLeaf[T]) MarshalText() ([]byte, error)       { return nil, nil }
func (g *genericOwn[T]) MarshalText() ([]byte, error)       { return nil, nil }
func (overrides) MarshalText() ([]byte, error)              { return nil, nil }
func (*overridesPtr) MarshalText() ([]byte, error)          { return nil, nil }
func (o overridesDeep) MarshalText() ([]byte, error)        { return o.deeper.MarshalText() }
func (c callsIt) MarshalText() ([]byte, error)              { return c.leafValue.MarshalText() }
func (c *callsPtr) MarshalText() ([]byte, error)            { return c.leafPointer.MarshalText() }
func (c callsValue) MarshalText() ([]byte, error)           { f := c.embedsValue.MarshalText; return f() }
func (c callsExpression) MarshalText() ([]byte, error)      { return embedsValue.MarshalText(c.embedsValue) }
func (c callsGeneric) MarshalText() ([]byte, error)         { return textOf(c.embedsValue) }
func textOf[T encoding.TextMarshaler](t T) ([]byte, error)  { return t.MarshalText() }
func (ownDespite) MarshalText() ([]byte, error)             { return nil, nil }
func (hasUpgrade) RecordVersion() int                       { return 1 }
func (*hasUpgrade) UpgradeRecord(int, map[string]any) error { return nil }
func (hasUpgrade) State() string                            { return "" }
func (ownUpgrade) RecordVersion() int                       { return 2 }

var textCalls = []any{callsIt{}, &callsPtr{}, overridesDeep{}, leafValue{}} // methods that are called directly too

func TestOwnMethod(t *testing.T) {
	t.Parallel()
	type local struct {
		leafValue
		N int
	}
	of := func(v any) reflect.Type { return reflect.TypeOf(v) }
	for _, tt := range []struct {
		name   string
		typ    reflect.Type
		method string
		want   bool
	}{
		{"a method of the value", of(leafValue{}), "MarshalText", true},
		{"a pointer to the type", of(&leafValue{}), "MarshalText", true},
		{"a method of the pointer", of(leafPointer{}), "MarshalText", true},
		{"a method with a body", of(bigValue{}), "MarshalText", true},
		{"a method of no struct", of(generic{}), "MarshalText", true},
		{"a method of another package", of(time.Time{}), "MarshalBinary", true},
		{"a pointer method of another package", of(url.URL{}), "UnmarshalBinary", true},
		{"a method of a generic type", of(genericLeaf[int]{}), "MarshalText", true},
		{"a method of a generic type of a string", of(genericLeaf[string]{}), "MarshalText", true},
		{"a generic type overrides", of(genericOwn[*int]{}), "MarshalText", true},
		{"overridden", of(overrides{}), "MarshalText", true},
		{"overridden by the pointer", of(overridesPtr{}), "MarshalText", true},
		{"overridden at the top", of(overridesDeep{}), "MarshalText", true},
		{"overridden and called", of(callsIt{}), "MarshalText", true},
		{"overridden and called by pointer", of(callsPtr{}), "MarshalText", true},
		{"overridden by a call of a promoted method's value", of(callsValue{}), "MarshalText", true},
		{"overridden by a promoted method as an expression", of(callsExpression{}), "MarshalText", true},
		{"overridden by a generic call of a promoted method", of(callsGeneric{}), "MarshalText", true},
		{"own where two are embedded", of(ownDespite{}), "MarshalText", true},
		{"an own version", of(ownUpgrade{}), "RecordVersion", true},

		{"promoted from a value", of(embedsValue{}), "MarshalText", false},
		{"promoted, asked of the pointer", of(&embedsValue{}), "MarshalText", false},
		{"promoted after a field", of(afterField{}), "MarshalText", false},
		{"a pointer method promoted from a value", of(pointerMethodByValue{}), "MarshalText", false},
		{"a pointer method promoted after a field", of(pointerMethodLater{}), "MarshalText", false},
		{"promoted from a pointer", of(embedsPointer{}), "MarshalText", false},
		{"a pointer method promoted from a pointer", of(pointerMethodByPointer{}), "MarshalText", false},
		{"promoted from the only field", of(soleByValue{}), "MarshalText", false},
		{"promoted from the only pointer", of(solePointer{}), "MarshalText", false},
		{"promoted from an interface", of(embedsInterface{}), "MarshalText", false},
		{"promoted from two levels down", of(deepEmbed{}), "MarshalText", false},
		{"promoted from three levels down", of(deeper{}), "MarshalText", false},
		{"promoted with a body", of(embedsBig{}), "MarshalText", false},
		{"promoted from what overrides", of(ofOverrides{}), "MarshalText", false},
		{"promoted from the shallower of two", of(shallower{}), "MarshalText", false},
		{"promoted into a generic type", of(genericPromoted[int]{}), "MarshalText", false},
		{"promoted from a generic type", of(genericOfGeneric[string]{}), "MarshalText", false},
		{"promoted from a generic type that overrides", of(genericParam[int]{}), "MarshalText", false},
		{"promoted into a local type", of(local{}), "MarshalText", false},
		{"promoted from an alias of a struct", of(embedsAlias{}), "MarshalText", false},
		{"promoted into a type without a name", of(struct{ leafValue }{}), "MarshalText", false},
		{"promoted from time.Time", of(timed{}), "MarshalBinary", false},
		{"promoted from *url.URL", of(addressed{}), "UnmarshalBinary", false},
		{"promoted from netip.Addr", of(netted{}), "MarshalText", false},
		{"a promoted version", of(upgraded{}), "RecordVersion", false},
		{"a promoted upgrade", of(upgraded{}), "UpgradeRecord", false},
		{"a promoted upgrade beside an own version", of(ownUpgrade{}), "UpgradeRecord", false},
		{"a promoted state", of(upgraded{}), "State", false},

		{"ambiguousLeaf", of(ambiguousLeaf{}), "MarshalText", false},
		{"a field of the name", of(hiddenByField{}), "MarshalText", false},
		{"no such method", of(leafValue{}), "MarshalJSON", false},
		{"an interface", reflect.TypeFor[encoding.TextMarshaler](), "MarshalText", false},
		{"nil", nil, "MarshalText", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := OwnMethod(tt.typ, tt.method); got != tt.want {
				t.Errorf("%v", got)
			}
		})
	}
	for _, v := range textCalls {
		if _, ok := v.(encoding.TextMarshaler); !ok {
			t.Errorf("%T", v)
		}
	}
}

// A stripped binary knows as well which methods are promoted, and one without inlining.
func TestOwnMethodInOtherBuilds(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds this package twice")
	}
	for name, flags := range map[string][]string{
		"stripped":         {"-trimpath", "-ldflags=-s -w"},
		"without inlining": {"-gcflags=-l -N"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bin := filepath.Join(t.TempDir(), "codec.test")
			args := append(append([]string{"test", "-c", "-o", bin}, flags...), ".")
			if out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput(); err != nil {
				t.Fatalf("go %v: %v\n%s", args, err, out)
			}
			out, err := exec.CommandContext(t.Context(), bin, "-test.v", "-test.run", "^(TestOwnMethod|TestPromotedMarshalers)$").CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		})
	}
}
