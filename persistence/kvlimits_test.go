package persistence_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/brine-go/brine/persistence"
)

func TestLimitsOfKeys(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		kv := s.KV()
		for _, l := range []struct {
			key  string
			want error
		}{
			{"x", nil},
			{" ", nil},
			{"a\n\u0001\uffff", nil},
			{strings.Repeat("x", 191), nil},
			{strings.Repeat("😀", 47) + "abc", nil},
			{"", persistence.ErrInvalidID},
			{strings.Repeat("x", 192), persistence.ErrInvalidID},
			{strings.Repeat("é", 96), persistence.ErrInvalidID},
			{"a\x00", persistence.ErrInvalidID},
			{"\xff", persistence.ErrInvalidID},
		} {
			wantRefused(t, kv.Set(ctx, l.key, "v"), l.want)
			got, err := kv.Get(ctx, l.key)
			wantRefused(t, err, l.want)
			if l.want == nil && got != "v" {
				t.Errorf("%q gives %v", l.key, got)
			}
			_, err = persistence.Value[string](ctx, kv, l.key)
			wantRefused(t, err, l.want)
			_, err = kv.CompareAndSwap(ctx, l.key, "v", "w")
			wantRefused(t, err, l.want)
			wantRefused(t, kv.Delete(ctx, l.key), l.want)
		}
		check(t, kv.Set(ctx, "é", 1))
		for prefix, want := range map[string]error{"": nil, "é": nil, "\U0010ffff": nil, strings.Repeat("x", 5000): nil,
			"\xc3": persistence.ErrInvalidID, "a\x00": persistence.ErrInvalidID} {
			n := 0
			var err error
			for _, e := range kv.Range(ctx, prefix) {
				if n, err = n+1, e; err != nil {
					break
				}
			}
			wantRefused(t, err, want)
			if found := n == 1; want == nil && found != strings.HasPrefix("é", prefix) {
				t.Errorf("prefix %q: %d pairs", prefix, n)
			}
		}
	})
}

// Types that are not registered.
type (
	loose     struct{ N int }
	looseKind string
	looseList []loose
	looseMap  map[looseKind]*loose
	mixedIn   struct {
		Of   *loose
		None *Task
		Ref  persistence.Ref[Task]
		Any  any
	}
	valued struct{ Task Task }
)

// back returns a function that tries to get a pair: see given.
func back[T any](want T) func(*testing.T, *persistence.KV) error {
	return func(t *testing.T, kv *persistence.KV) error { return given(t, kv, want) }
}

// given tries to get a pair: with Get, and as a T.
func given[T any](t *testing.T, kv *persistence.KV, want T) error {
	t.Helper()
	options := cmp.Options{cmpopts.EquateNaNs(), cmpopts.IgnoreTypes(persistence.Ref[Task]{}), cmpopts.IgnoreUnexported(persistence.Persistable{})}
	got, err := persistence.Value[T](t.Context(), kv, "k")
	if err != nil {
		return fmt.Errorf("Value: %w", err)
	}
	if diff := cmp.Diff(want, got, options); diff != "" {
		return fmt.Errorf("Value: (-want +got)\n%s", diff)
	}
	v, err := kv.Get(t.Context(), "k")
	if errors.Is(err, persistence.ErrUnknownType) {
		return nil // it is not registered
	}
	if err != nil {
		return fmt.Errorf("Get: %w", err)
	}
	if p, ok := v.(*T); ok { // a struct is got as a pointer
		v = *p
	}
	if diff := cmp.Diff(any(want), v, options); diff != "" {
		return fmt.Errorf("Get: (-want +got)\n%s", diff)
	}
	return nil
}

// A pair is refused when it is set, or Value gives it back, and Get too if its type is registered
// or known from birth.
func TestWhatSetAcceptsGetGivesBack(t *testing.T) {
	task := &Task{Name: "t"}
	var nilTask *Task
	one := 1
	p := &one
	type attempt struct {
		name string
		set  any
		get  func(t *testing.T, kv *persistence.KV) error // nil: Set must refuse it
	}
	accepted := func(name string, set any, get func(t *testing.T, kv *persistence.KV) error) attempt {
		return attempt{name, set, get}
	}
	refused := func(name string, set any) attempt { return attempt{name, set, nil} }
	attempts := []attempt{
		accepted("int", 1, back(1)),
		accepted("uint64", uint64(math.MaxUint64), back(uint64(math.MaxUint64))),
		accepted("NaN", math.NaN(), back(math.NaN())),
		accepted("time", time.Unix(math.MaxInt64/2, 1).UTC(), back(time.Unix(math.MaxInt64/2, 1).UTC())),
		accepted("pointer", &p, back(&p)),
		accepted("nil pointer inside", []*int{nil, p}, back([]*int{nil, p})),
		accepted("nil slice", []byte(nil), back([]byte(nil))),
		accepted("array", [2]any{nil, 1}, back([2]any{nil, 1})),
		accepted("registered", &Plain{Name: "p"}, back(Plain{Name: "p"})),
		accepted("registered, in a map", map[string]*Plain{"a": {}}, back(map[string]*Plain{"a": {}})),
		accepted("loose", loose{1}, back(loose{1})),
		accepted("loose pointer", &loose{1}, back(&loose{1})),
		accepted("loose kind", looseKind("x"), back(looseKind("x"))),
		accepted("loose list", looseList{{1}}, back(looseList{{1}})),
		accepted("list of loose", []loose{{1}}, back([]loose{{1}})),
		accepted("loose map", looseMap{"a": {1}}, back(looseMap{"a": {1}})),
		accepted("pointers to loose", map[int]**loose{}, back(map[int]**loose{})),
		accepted("struct without a name", struct{ A, B int }{1, 2}, back(struct{ A, B int }{1, 2})),
		accepted("no objects", mixedIn{Of: &loose{1}, Any: []any{1}}, back(mixedIn{Of: &loose{1}, Any: []any{1}})),
		accepted("nil objects", []*Task{nil}, back([]*Task{nil})),
		accepted("nil object behind an interface", []any{nilTask}, back([]any{nilTask})),
		refused("nil", nil),
		refused("nil pointer", (*loose)(nil)),
		refused("nil object", nilTask),
		refused("object", task),
		refused("object by value", Task{Name: "t"}),
		refused("objects", []*Task{task}),
		refused("objects by value", []Task{{}}),
		refused("object in a map", map[string]any{"t": task}),
		refused("object in a struct", mixedIn{None: task}),
		refused("object by value in a struct", valued{}),
		refused("reference", mixedIn{Ref: persistence.RefTo(task)}),
		refused("only a reference", persistence.RefTo(task)),
		refused("pointer to an object", &task),
		refused("loose behind an interface", []any{loose{1}}),
		refused("loose behind an interface in a struct", &mixedIn{Any: &loose{}}),
		refused("loose kind as a key", map[any]int{looseKind("x"): 1}),
		refused("loose element behind an interface", []any{[]loose{}}),
		refused("func", func() {}),
		refused("channel", make(chan int)),
		refused("channel inside", map[string]chan int{"a": make(chan int)}),
		refused("uintptr", uintptr(1)),
		refused("Absent", persistence.Absent),
		refused("an error", errors.New("not registered")),
		refused("what stores nothing", struct{ n int }{1}),
	}
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		kv := s.KV()
		for _, a := range attempts {
			err := kv.Set(ctx, "k", a.set)
			if a.get == nil {
				wantRefused(t, err, persistence.ErrUnstorable)
				if _, err := kv.Get(ctx, "k"); !errors.Is(err, persistence.ErrNotFound) {
					t.Errorf("%s: refused, and yet Get gives %v", a.name, err)
				}
				if a.set != persistence.Absent {
					_, err = kv.CompareAndSwap(ctx, "k", persistence.Absent, a.set)
					wantRefused(t, err, persistence.ErrUnstorable)
				}
				if err == nil {
					t.Errorf("%s is accepted", a.name)
				}
			} else if err != nil {
				t.Errorf("%s is refused: %v", a.name, err)
				continue
			} else if err := a.get(t, kv); err != nil {
				t.Errorf("%s: %v", a.name, err)
			}
			if err := kv.Delete(ctx, "k"); err != nil && !errors.Is(err, persistence.ErrNotFound) {
				t.Fatal(err)
			}
		}
	})
}
