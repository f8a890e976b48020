package golden

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence"
)

func TestTextIDs(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, c copied) {
		s := openTexts(t, c)
		want := []persistence.ID{".hidden", "CON", "Machine.2", "Task.1", "Task.3"}
		for id := range notes() {
			if !slices.Contains(want, id) {
				want = append(want, id)
			}
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, list(t, s, nil)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		for id, want := range notes() {
			if got, err := s.Load(t.Context(), id); got != want || err != nil {
				t.Errorf("%q gives %v, %v", id, got, err)
			}
		}
		one, err := persistence.Load[Task](t.Context(), s, "Task.1")
		if err != nil {
			t.Fatal(err)
		}
		two := one.Needs[0]
		if one.Name != "one" || two.Name != "two" || two.PersistentID() != "Task.3" || two.Needs[0] != one || two.Host != one.Host ||
			one.Host.Host != "m" || two.Parent.ID() != "Task.1" || one.Parent.ID() != "" {
			t.Errorf("got %+v and %+v", one, two)
		}
		if _, err := s.Save(t.Context(), one); err != nil {
			t.Fatal(err)
		}
		for name, st := range stamps[c.name+" texts"] {
			if strings.HasPrefix(name, "kv ") {
				continue
			}
			info, err := s.Stat(t.Context(), persistence.ID(name))
			got := stamp{info.Revision, info.Size, info.Created.UnixMicro(), info.Modified.UnixMicro()}
			if err != nil || got != st {
				t.Errorf("%s is %v, %v, not %v", name, got, err, st)
			}
		}
		saved, err := s.Save(t.Context(), &Task{Name: "new"})
		if err != nil {
			t.Fatal(err)
		}
		if n, ok := saved.Seq(); !ok || n < 17 || saved.Prefix() != "Task" {
			t.Errorf("the next ID is %s, want one from Task.17 on", saved)
		}
		if v, err := s.KV().Get(t.Context(), "answer"); v != "in texts" || err != nil {
			t.Errorf("the pair is %v, %v", v, err)
		}
	})
}

func TestPairs(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, c copied) {
		kv := openStore(t, c).KV()
		want := pairs()
		when := want["when"].(time.Time)
		want["when"] = &when // a struct loads as a pointer
		got := map[string]any{}
		var keys []string
		for _, p := range collect(t, kv.Range(t.Context(), "")) {
			got[p.Key] = p.Value
			keys = append(keys, p.Key)
			st := stamps[c.name+" store"]["kv "+p.Key]
			if p.Created.UnixMicro() != st.created || p.Modified.UnixMicro() != st.modified {
				t.Errorf("%s is of %v and %v", p.Key, p.Created, p.Modified)
			}
		}
		if diff := cmp.Diff(want, got, compare); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if !slices.IsSorted(keys) {
			t.Errorf("in the order %q", keys)
		}
		if _, err := kv.Get(t.Context(), "gone"); !errors.Is(err, persistence.ErrNotFound) {
			t.Errorf("a deleted key gives %v", err)
		}
		if ok, err := kv.CompareAndSwap(t.Context(), "tmp/ä", want["tmp/ä"], 2); !ok || err != nil {
			t.Errorf("the bytes of an equal value differ: %v, %v", ok, err)
		}
		if err := kv.Set(t.Context(), "answer", 43); err != nil {
			t.Fatal(err)
		}
		if v, err := kv.Get(t.Context(), "answer"); v != 43 || err != nil {
			t.Errorf("set to %v, %v", v, err)
		}
	})
}
