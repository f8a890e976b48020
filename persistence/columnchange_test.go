package persistence_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
)

// Elsewhere than on SQL the records would have NULL, and a query would find nothing.
func TestAProgramThatDeclaresADroppedColumnIsToldSo(t *testing.T) {
	reopened(t, func(t *testing.T, open func(*persistence.Options) (*persistence.Store, error)) {
		ctx := t.Context()
		s := must[*persistence.Store](t)(open(&persistence.Options{ExtraFields: []extrafields.Field{prioField, nameField}}))
		id := must[persistence.ID](t)(s.Save(ctx, &Task{Name: "x", Prio: 7}))
		if got := list(t, s, whereEq("prio", 7)); len(got) != 1 {
			t.Fatalf("found %v", got)
		}
		other := must[*persistence.Store](t)(open(&persistence.Options{ExtraFields: []extrafields.Field{nameField}}))
		if err := other.DropField(ctx, "prio"); err != nil {
			t.Fatal(err)
		}
		for what, call := range map[string]func() error{
			"a query": func() error {
				for _, err := range s.List(ctx, whereEq("prio", 7)) {
					return err
				}
				return nil
			},
			"an order": func() error {
				for _, err := range s.List(ctx, &persistence.Query{Order: []persistence.Order{persistence.Asc("prio")}}) {
					return err
				}
				return nil
			},
			"a count":        func() error { _, err := s.Count(ctx, whereEq("prio", 7)); return err },
			"a count by it":  func() error { _, err := s.CountBy(ctx, "prio", nil); return err },
			"what it holds":  func() error { _, err := s.Stat(ctx, id); return err },
			"a write":        func() error { _, err := s.Save(ctx, &Task{}); return err },
			"a write beside": func() error { return s.Replace(ctx, id, &Task{Name: "y"}) },
		} {
			if err := call(); err == nil || !strings.Contains(err.Error(), "prio") {
				t.Errorf("%s: %v", what, err)
			}
		}
		if got := list(t, s, whereEq("name", "x")); !slices.Equal(got, []persistence.ID{id}) {
			t.Errorf("a query on another column finds %v", got)
		}
		if got := list(t, other, whereEq("name", "x")); !slices.Equal(got, []persistence.ID{id}) {
			t.Errorf("a program that does not declare the column finds %v", got)
		}
		if err := s.KV().Set(ctx, "k", 1); err != nil {
			t.Errorf("pairs have no columns: %v", err)
		}
	})
}

// A record may be in quarantine while a column is dropped and declared anew with another kind.
func TestWhatComesBackFromQuarantineFitsItsColumns(t *testing.T) {
	reopened(t, func(t *testing.T, open func(*persistence.Options) (*persistence.Store, error)) {
		ctx := t.Context()
		kinds := map[string]extrafields.Field{
			"int":   extrafields.Of("c", func(t *Task) int { return t.Prio }),
			"text":  extrafields.Of("c", func(t *Task) string { return t.Name }),
			"float": extrafields.Of("c", func(t *Task) float64 { return float64(t.Prio) + 0.5 }),
			"bool":  extrafields.Of("c", func(t *Task) bool { return t.Prio == 7 }),
			"bytes": extrafields.Of("c", func(t *Task) []byte { return []byte{0xff, byte(t.Prio)} }),
			"time":  extrafields.Of("c", func(t *Task) time.Time { return time.Unix(int64(t.Prio), 0).UTC() }),
		}
		values := map[string]any{"int": 7, "text": "seven", "float": 7.5, "bool": true, "bytes": []byte{0xff, 7}, "time": time.Unix(7, 0).UTC()}
		names := []string{"int", "text", "float", "bool", "bytes", "time"}
		for i, was := range names {
			is := names[(i+1)%len(names)]
			if i%2 == 1 {
				is = names[(i+3)%len(names)]
			}
			for _, early := range []bool{true, false} { // it comes back before the column is declared anew, or after
				s := must[*persistence.Store](t)(open(&persistence.Options{ExtraFields: []extrafields.Field{kinds[was], nameField}, Reindex: true}))
				id := must[persistence.ID](t)(s.Save(ctx, &Task{Name: "seven", Prio: 7}))
				if err := s.Quarantine(ctx, "a test", id); err != nil {
					t.Fatal(err)
				}
				s.Close()
				s = must[*persistence.Store](t)(open(&persistence.Options{}))
				if err := s.DropField(ctx, "c"); err != nil {
					t.Fatal(err)
				}
				if early {
					if err := s.Unquarantine(ctx, id); err != nil {
						t.Fatalf("%s: %v", was, err)
					}
				}
				s.Close()
				log := &warningLog{}
				s = must[*persistence.Store](t)(open(&persistence.Options{ExtraFields: []extrafields.Field{kinds[is], nameField}, Logger: log.logger()}))
				if !early {
					for q, err := range s.Quarantined(ctx) {
						if err != nil || q.Err != nil {
							t.Errorf("%s to %s, in quarantine: %+v, %v", was, is, q, err)
						}
					}
					if err := s.Unquarantine(ctx, id); err != nil {
						t.Fatalf("%s to %s: %v", was, is, err)
					}
				}
				list(t, s, whereEq("c", values[is]))
				if log.about("c") != 1 {
					t.Errorf("%s to %s: the column is not filled, and nobody is told: %s", was, is, log.text.String())
				}
				if err := s.Reindex(ctx, nil); err != nil {
					t.Errorf("%s to %s: %v", was, is, err)
				}
				if got := list(t, s, whereEq("c", values[is])); !slices.Equal(got, []persistence.ID{id}) {
					t.Errorf("%s to %s: found %v, not %s", was, is, got, id)
				}
				if got := list(t, s, whereEq("name", "seven")); !slices.Equal(got, []persistence.ID{id}) {
					t.Errorf("%s to %s: another column has lost its values: %v", was, is, got)
				}
				if task := must[*Task](t)(persistence.Load[Task](ctx, s, id)); task.Prio != 7 {
					t.Errorf("%s to %s: %+v", was, is, task)
				}
				if err := s.Remove(ctx, id); err != nil {
					t.Fatal(err)
				}
				if err := s.DropField(ctx, "c"); err != nil {
					t.Fatal(err)
				}
				s.Close()
			}
		}
	})
}
