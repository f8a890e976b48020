package persistence_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence"
)

func pairs(t *testing.T, kv *persistence.KV, prefix string) map[string]any {
	t.Helper()
	found, last := map[string]any{}, ""
	for p, err := range kv.Range(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		if p.Key <= last {
			t.Errorf("%q comes after %q", p.Key, last)
		}
		found[p.Key], last = p.Value, p.Key
	}
	return found
}

func TestPairsComeBackAsTheyWereSet(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		kv := s.KV()
		want := map[string]any{
			"a": "text", "a/1": int8(-3), "a/2": []string{"x", "y"}, "a0": map[string]any{"n": 1.5}, "b": new(time.Unix(1, 2).UTC()),
			"日本/ ": true, strings.Repeat("k", 191): []byte{0, 255}, "p": &Plain{Name: "p"}, "A": nil,
		}
		delete(want, "A") // nil is no value
		for k, v := range want {
			if err := kv.Set(ctx, k, v); err != nil {
				t.Fatal(err)
			}
			if got, err := kv.Get(ctx, k); err != nil || !cmp.Equal(v, got, cmp.AllowUnexported(persistence.Persistable{})) {
				t.Errorf("%q: got %v, %v, want %v", k, got, err, v)
			}
		}
		if diff := cmp.Diff(want, pairs(t, kv, "")); diff != "" {
			t.Error(diff)
		}
		if got := pairs(t, kv, "a/"); len(got) != 2 || got["a/1"] != int8(-3) {
			t.Errorf("got %v below a/", got)
		}
		if n := must[int64](t)(s.Count(ctx, nil)); n != 0 {
			t.Errorf("%d pairs are among the objects", n)
		}
		if err := kv.Delete(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		wantIs(t, kv.Delete(ctx, "a"), persistence.ErrNotFound, `"a"`)
		_, err := kv.Get(ctx, "a")
		wantIs(t, err, persistence.ErrNotFound, `"a"`)
		for _, bad := range []string{"", "a\x00b", "\xff", strings.Repeat("k", 192)} {
			wantIs(t, kv.Set(ctx, bad, 1), persistence.ErrInvalidID)
		}
		wantIs(t, kv.Set(ctx, "x", func() {}), persistence.ErrUnstorable)
		wantIs(t, kv.Set(ctx, "x", nil), persistence.ErrUnstorable)
		wantIs(t, kv.Set(ctx, "x", &Plain{Task: &Task{}}), persistence.ErrUnstorable, "Task")
	})
}

func TestPairsSurviveReopening(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		if url == "mem:" {
			t.Skip("private memory is gone with its store")
		}
		s, ctx := open(t, url, nil), t.Context()
		if err := s.KV().Set(ctx, "k", 7); err != nil {
			t.Fatal(err)
		}
		id := must[persistence.ID](t)(s.Save(ctx, &Task{}))
		if err := s.Reset(); err != nil {
			t.Fatal(err)
		}
		if got, err := s.KV().Get(ctx, "k"); err != nil || got != 7 {
			t.Errorf("after Reset: got %v, %v", got, err)
		}
		again := open(t, url, nil)
		if got, err := again.KV().Get(ctx, "k"); err != nil || got != 7 {
			t.Errorf("reopened: got %v, %v", got, err)
		}
		if ids := list(t, again, nil); len(ids) != 1 || ids[0] != id {
			t.Errorf("the objects are %v", ids)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		_, err := s.KV().Get(ctx, "k")
		wantIs(t, err, persistence.ErrClosed)
	})
}

func TestCompareAndSwap(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		kv := s.KV()
		for i, c := range []struct {
			old, next any
			swapped   bool
		}{
			{1, 2, false},
			{persistence.Absent, persistence.Absent, true},
			{persistence.Absent, 1, true},
			{persistence.Absent, 5, false},
			{int64(1), 5, false}, // another type
			{1, map[string]int{"a": 1, "b": 2}, true},
			{map[string]int{"b": 2, "a": 1}, "x", true},
			{"y", persistence.Absent, false},
			{"x", "x", true},
			{"x", persistence.Absent, true},
			{"x", "y", false},
		} {
			if swapped, err := kv.CompareAndSwap(ctx, "k", c.old, c.next); swapped != c.swapped || err != nil {
				t.Errorf("step %d: %v for %v: got %v, %v", i+1, c.next, c.old, swapped, err)
			}
		}
		if got := pairs(t, kv, ""); len(got) != 0 {
			t.Errorf("got %v", got)
		}
	})
}

func TestSwapsOfManyGoroutinesAreNotLost(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		kvs := []*persistence.KV{s.KV(), s.KV()}
		if url != "mem:" {
			kvs[1] = open(t, url, nil).KV()
		}
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				for range 10 {
					if err := increment(ctx, kvs[g%2], "counter"); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if got, err := kvs[0].Get(ctx, "counter"); err != nil || got != 40 {
			t.Errorf("got %v, %v, want 40", got, err)
		}
	})
}

func increment(ctx context.Context, kv *persistence.KV, key string) error {
	for {
		var old any = persistence.Absent
		next := 1
		if v, err := kv.Get(ctx, key); err == nil {
			old, next = v, v.(int)+1
		}
		if swapped, err := kv.CompareAndSwap(ctx, key, old, next); swapped || err != nil {
			return err
		}
	}
}

func TestRangeOfManyPairsAndChangesInside(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		kv := s.KV()
		for i := range 300 {
			if err := kv.Set(ctx, fmt.Sprintf("%03d", i), i); err != nil {
				t.Fatal(err)
			}
		}
		n := 0
		for p, err := range kv.Range(ctx, "") {
			if err != nil || p.Value != n {
				t.Fatalf("got %v, %v, want %d", p, err, n)
			}
			if n++; n%2 == 0 {
				if err := kv.Delete(ctx, p.Key); err != nil {
					t.Fatal(err)
				}
			}
			if p.Created.IsZero() || p.Modified.Before(p.Created) {
				t.Errorf("created %v, modified %v", p.Created, p.Modified)
			}
		}
		if n != 300 || len(pairs(t, kv, "")) != 150 {
			t.Errorf("%d seen, %d left", n, len(pairs(t, kv, "")))
		}
	})
}
