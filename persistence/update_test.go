package persistence_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
)

func prio(t *Task) int { return t.Prio }

// An ID that the caller chooses may be the next one of the counter: an object referred to gets
// another.
func TestAChosenIDIsNotGivenToAnother(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s := open(t, url, nil)
		a, b := &Task{Name: "a"}, &Task{Name: "b"}
		check(t, s.Insert(t.Context(), "1", &Task{Name: "root", Deps: []*Task{a, b}}))
		check(t, s.Put(t.Context(), "4", &Task{Name: "root", Deps: []*Task{a, {Name: "c"}}}))
		for id, names := range map[persistence.ID]string{"1": "a b", "4": "a c"} {
			got := must[*Task](t)(persistence.Load[Task](t.Context(), s, id))
			if deps := got.Deps[0].Name + " " + got.Deps[1].Name; got.Name != "root" || deps != names {
				t.Errorf("%s: got %s of %s", id, got.Name, deps)
			}
		}
		if n := must[int64](t)(s.Count(t.Context(), nil)); n != 5 {
			t.Errorf("%d records, want 5", n)
		}
	})
}

func TestUpdateChangesWhatTheQuerySelects(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, &persistence.Options{ExtraFields: []extrafields.Field{extrafields.Of("prio", prio).Indexed()}}), t.Context()
		child := &Task{Name: "child", State: "OLD", Prio: 1000}
		tasks := make([]any, 600)
		for i := range tasks {
			tasks[i] = &Task{Name: fmt.Sprint(i), State: "NEW", Prio: i, Deps: []*Task{child}}
		}
		must[[]persistence.ID](t)(s.SaveAll(ctx, tasks...))
		calls := 0
		n, err := s.Update(ctx, &persistence.Query{State: []string{"NEW"}, Where: []persistence.Cond{persistence.Lt("prio", 500)}}, func(obj any) error {
			calls++
			task := obj.(*Task)
			task.State = "RUNNING"
			task.Deps[0].State = "CHANGED" // it may be read, but is not saved
			return nil
		})
		if err != nil || n != 500 || calls != 500 {
			t.Fatalf("%d updated in %d calls: %v", n, calls, err)
		}
		want := []persistence.Group{{Value: "NEW", Count: 100}, {Value: "OLD", Count: 1}, {Value: "RUNNING", Count: 500}}
		if diff := cmp.Diff(want, must[[]persistence.Group](t)(s.CountBy(ctx, "state", nil))); diff != "" {
			t.Error(diff)
		}

		// With an order, a limit, and a function that changes the position of records in that
		// order.
		q := &persistence.Query{State: []string{"RUNNING"}, Order: []persistence.Order{persistence.Desc("prio")}, Limit: 300}
		n, err = s.Update(ctx, q, func(obj any) error {
			obj.(*Task).Prio -= 10_000
			return nil
		})
		if err != nil || n != 300 {
			t.Fatalf("%d updated: %v", n, err)
		}
		if n := must[int64](t)(s.Count(ctx, &persistence.Query{Where: []persistence.Cond{persistence.Lt("prio", -9799)}})); n != 1 {
			t.Errorf("%d objects below the least of the 300 greatest, want 1: the first 300 and no other", n)
		}
	})
}

func TestUpdateOfPlainValuesKeepsTheirIDs(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		id := must[persistence.ID](t)(s.Save(ctx, map[string]int{"n": 1}))
		same := must[persistence.ID](t)(s.Save(ctx, map[string]int{"n": 7}))
		n, err := s.Update(ctx, nil, func(obj any) error {
			if m := obj.(map[string]int); m["n"] == 1 {
				m["n"] = 2
			}
			return nil
		})
		if err != nil || n != 2 {
			t.Fatalf("%d updated: %v", n, err)
		}
		if got := must[any](t)(s.Load(ctx, id)); got.(map[string]int)["n"] != 2 {
			t.Errorf("got %v", got)
		}
		for id, want := range map[persistence.ID]int64{id: 2, same: 1} {
			if info := must[persistence.Info](t)(s.Stat(ctx, id)); info.Revision != want {
				t.Errorf("%s has revision %d, want %d", id, info.Revision, want)
			}
		}
	})
}

func TestUpdatesOfManyGoroutinesAreNotLost(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		for range 20 {
			must[persistence.ID](t)(s.Save(ctx, &Task{}))
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 5 {
					if n, err := s.Update(ctx, nil, func(obj any) error { obj.(*Task).Prio++; return nil }); err != nil || n != 20 {
						t.Errorf("%d updated: %v", n, err)
					}
				}
			})
		}
		wg.Wait()
		for obj, err := range s.All(ctx, nil) {
			if err != nil || obj.(*Task).Prio != 20 {
				t.Errorf("got %+v, %v: an update was lost", obj, err)
			}
		}
	})
}

func TestUpdateEndsWithTheErrorOfItsFunction(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		for range 10 {
			must[persistence.ID](t)(s.Save(ctx, &Task{State: "NEW"}))
		}
		enough, calls := errors.New("enough"), 0
		n, err := s.Update(ctx, nil, func(obj any) error {
			if calls++; calls > 4 {
				return enough
			}
			obj.(*Task).State = "SEEN"
			return nil
		})
		if n != 4 || calls != 5 {
			t.Errorf("%d updated in %d calls", n, calls)
		}
		wantIs(t, err, enough)
		if n := must[int64](t)(s.Count(ctx, &persistence.Query{State: []string{"SEEN"}})); n != 4 {
			t.Errorf("%d saved, want 4", n)
		}
		_, err = s.Update(ctx, nil, func(obj any) error { obj.(*Task).Any = make(chan int); return nil })
		wantIs(t, err, persistence.ErrUnstorable, "Any")
	})
}

func TestUpdateLeavesAloneWhatItCannotLoad(t *testing.T) {
	t.Parallel()
	url := storeURL(t, "sqlite")
	s, ctx := open(t, url, nil), t.Context()
	must[persistence.ID](t)(s.Save(ctx, &Task{State: "NEW"}))
	bad := must[persistence.ID](t)(s.Save(ctx, &Unregistered{N: 1}))
	must[persistence.ID](t)(s.Save(ctx, &Task{State: "NEW"}))
	n, err := s.Update(ctx, nil, func(obj any) error { obj.(*Task).State = "SEEN"; return nil })
	wantIs(t, err, persistence.ErrUnknownType, string(bad))
	if n != 2 {
		t.Errorf("%d updated, want the other 2", n)
	}
}

func TestRemoveAllRemovesWhatTheQuerySelects(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		tasks := make([]any, 700)
		for i := range tasks {
			tasks[i] = &Task{State: []string{"DONE", "NEW"}[i%2]}
		}
		must[[]persistence.ID](t)(s.SaveAll(ctx, tasks...))
		q := &persistence.Query{State: []string{"DONE"}, Order: []persistence.Order{persistence.Desc("id")}, Limit: 300}
		if n, err := s.RemoveAll(ctx, q); n != 300 || err != nil {
			t.Fatalf("%d removed: %v", n, err)
		}
		left := list(t, s, &persistence.Query{State: []string{"DONE"}})
		if len(left) != 50 || left[0] != "1" {
			t.Errorf("%d of those DONE are left, from %v on", len(left), left[:1])
		}
		if n, err := s.RemoveAll(ctx, nil); n != 400 || err != nil {
			t.Errorf("%d removed: %v", n, err)
		}
		if n, err := s.RemoveAll(ctx, nil); n != 0 || err != nil {
			t.Errorf("%d removed from an empty store: %v", n, err)
		}
		if _, err := s.RemoveAll(ctx, &persistence.Query{Where: []persistence.Cond{persistence.Eq("nmae", "x")}}); err == nil {
			t.Error("an unknown column must be refused")
		}
	})
}

func TestCountByEveryKindOfColumn(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		day := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
		s, ctx := open(t, url, &persistence.Options{ExtraFields: []extrafields.Field{
			extrafields.Of("even", func(t *Task) bool { return t.Prio%2 == 0 }),
			extrafields.Of("name", func(t *Task) string { return t.Name }),
			extrafields.Of("raw", func(t *Task) []byte { return []byte{byte(t.Prio % 2)} }),
			extrafields.Of("day", func(t *Task) time.Time { return day.AddDate(0, 0, t.Prio%2) }),
			extrafields.Of("cost", func(t *Task) float64 { return float64(t.Prio%2) / 2 }),
		}}), t.Context()
		for i := range 5 {
			must[persistence.ID](t)(s.Save(ctx, &Task{Name: "task", Prio: i}))
		}
		must[persistence.ID](t)(s.Save(ctx, &File{Path: "x"})) // has none of these fields
		for column, want := range map[string][]persistence.Group{
			"even":     {{Value: false, Count: 2}, {Value: true, Count: 3}, {Count: 1}},
			"name":     {{Value: "task", Count: 5}, {Count: 1}},
			"raw":      {{Value: []byte{0}, Count: 3}, {Value: []byte{1}, Count: 2}, {Count: 1}},
			"day":      {{Value: day, Count: 3}, {Value: day.AddDate(0, 0, 1), Count: 2}, {Count: 1}},
			"cost":     {{Value: 0.0, Count: 3}, {Value: 0.5, Count: 2}, {Count: 1}},
			"type":     {{Value: "test.File", Count: 1}, {Value: "test.Task", Count: 5}},
			"revision": {{Value: int64(1), Count: 6}},
		} {
			if diff := cmp.Diff(want, must[[]persistence.Group](t)(s.CountBy(ctx, column, nil))); diff != "" {
				t.Errorf("%s: %s", column, diff)
			}
		}
		q := &persistence.Query{Where: []persistence.Cond{persistence.Lt("cost", 0.25)}}
		if diff := cmp.Diff([]persistence.Group{{Value: true, Count: 3}}, must[[]persistence.Group](t)(s.CountBy(ctx, "even", q))); diff != "" {
			t.Error(diff)
		}
		if _, err := s.CountBy(ctx, "stat", nil); err == nil {
			t.Error("an unknown column must be refused")
		}
	})
}
