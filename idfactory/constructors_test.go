package idfactory

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
)

type task struct{}
type box[T any] struct{ _ T }
type names []string
type link *task

// counter counts like a store.
func counter() func(context.Context) (int64, error) {
	var mu sync.Mutex
	var n int64
	return func(context.Context) (int64, error) {
		mu.Lock()
		defer mu.Unlock()
		n++
		return n, nil
	}
}

func TestIDsOfFactories(t *testing.T) {
	t.Parallel()
	obj := &task{}
	for _, tt := range []struct {
		name             string
		factory          Factory
		obj              any
		first, second    ID
		integral, unique bool
	}{
		{"integers", Integers(), obj, "1", "2", true, true},
		{"a sequence with a prefix", Sequence("job"), obj, "job.1", "job.2", false, true},
		{"the type's name behind a pointer", Sequence(""), obj, "task.1", "task.2", false, true},
		{"the type's name", Sequence(""), *obj, "task.1", "task.2", false, true},
		{"the type's name behind two pointers", Sequence(""), &obj, "task.1", "task.2", false, true},
		{"a pointer type with a name", Sequence(""), link(obj), "link.1", "link.2", false, true},
		{"a generic type", Sequence(""), &box[map[string]*task]{}, "box.1", "box.2", false, true},
		{"a slice with a name", Sequence(""), names{}, "names.1", "names.2", false, true},
		{"a map without a name", Sequence(""), map[string]int{}, "map.1", "map.2", false, true},
		{"a struct without a name", Sequence(""), &struct{}{}, "struct.1", "struct.2", false, true},
		{"a built-in type", Sequence(""), "x", "string.1", "string.2", false, true},
		{"a function", Func(func(_ context.Context, obj any) (ID, error) { return ID(obj.(string) + "!"), nil }), "x", "x!", "x!", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.factory.Integral() != tt.integral || tt.factory.Unique() != tt.unique {
				t.Errorf("integral %t, unique %t", tt.factory.Integral(), tt.factory.Unique())
			}
			next := counter()
			for _, want := range []ID{tt.first, tt.second} {
				got, err := tt.factory.NewID(t.Context(), tt.obj, next)
				if err != nil || got != want {
					t.Fatalf("%q, %v, want %q", got, err, want)
				}
				if err := Validate(got, tt.integral); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestSequenceRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, prefix string
		obj          any
		want         string
	}{
		{"a prefix with a NUL", "a\x00", 1, "NUL"},
		{"a prefix of invalid UTF-8", "a\xff", 1, "UTF-8"},
		{"a prefix that leaves no room for numbers", strings.Repeat("x", 172), 1, "at most 171"},
		{"nil, which has no type", "", nil, "nil"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			next := counter()
			id, err := Sequence(tt.prefix).NewID(t.Context(), tt.obj, next)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%q, %v, want an error with %q", id, err, tt.want)
			}
			if n, _ := next(t.Context()); n != 1 {
				t.Errorf("the refusal took the number %d", n-1)
			}
		})
	}
	longest := strings.Repeat("x", 171)
	id, err := Sequence(longest).NewID(t.Context(), 1, func(context.Context) (int64, error) { return 1<<63 - 1, nil })
	if err != nil || Validate(id, false) != nil {
		t.Errorf("the longest prefix: %v, %v", err, Validate(id, false))
	}
}

func TestErrorsOfTheCounterComeBack(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	next := func(context.Context) (int64, error) { return 7, broken }
	for _, f := range []Factory{Integers(), Sequence("x")} {
		if id, err := f.NewID(t.Context(), 1, next); !errors.Is(err, broken) || id != "" {
			t.Errorf("%T: %q, %v", f, id, err)
		}
	}
	f := Func(func(context.Context, any) (ID, error) { return "", broken })
	if _, err := f.NewID(t.Context(), 1, next); !errors.Is(err, broken) {
		t.Errorf("func: %v", err)
	}
}

func TestTheContextReachesCounterAndFunc(t *testing.T) {
	t.Parallel()
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, int64(42))
	next := func(ctx context.Context) (int64, error) { return ctx.Value(key{}).(int64), nil }
	f := Func(func(ctx context.Context, _ any) (ID, error) { return Integers().NewID(ctx, nil, next) })
	for _, f := range []Factory{Integers(), f} {
		if id, err := f.NewID(ctx, 1, next); err != nil || id != "42" {
			t.Errorf("%q, %v", id, err)
		}
	}
}

func TestUUIDv7(t *testing.T) {
	t.Parallel()
	f := UUIDv7()
	if f.Integral() || !f.Unique() {
		t.Error("a UUID is no integer, and unique")
	}
	var mu sync.Mutex
	seen := map[ID]bool{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			last := ID("")
			for range 500 {
				id, err := f.NewID(t.Context(), nil, nil)
				u, perr := uuid.Parse(string(id))
				if err != nil || perr != nil || u.Version() != 7 || u.String() != string(id) {
					t.Errorf("%q: %v, %v", id, err, perr)
				}
				if id <= last {
					t.Errorf("%q follows %q", id, last)
				}
				last = id
				mu.Lock()
				if seen[id] {
					t.Errorf("%q twice", id)
				}
				seen[id] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

func TestFuncOfNilPanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	Func(nil)
}
