package persistence_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/mem"
)

func TestCopyPutsAwayWhatIsDamagedInTheDestination(t *testing.T) {
	bad := []persistence.ID{"2", "270"}
	damaged(t, 400, bad, func(t *testing.T, dst *persistence.Store, _ int) {
		ctx := t.Context()
		src := open(t, "mem:", &persistence.Options{ExtraFields: jsonFields})
		objs := make([]any, 400)
		for i := range objs {
			objs[i] = &Task{Name: fmt.Sprint("task ", i), Prio: i, State: "NEW"}
		}
		must[[]persistence.ID](t)(src.SaveAll(ctx, objs...))

		_, err := persistence.Copy(ctx, dst, src, nil)
		wantIs(t, err, persistence.ErrExists)
		if !wordIn(err, `"2"`) && !wordIn(err, `"270"`) {
			t.Errorf("the error names neither record: %v", err)
		}
		o := &persistence.CopyOptions{Existing: persistence.SkipExisting}
		got, err := persistence.Copy(ctx, dst, src, o)
		if err != nil || got.Same != 398 || got.Skipped != 2 {
			t.Errorf("skipping: %+v, %v", got, err)
		}
		o.Existing, o.DryRun = persistence.OverwriteExisting, true
		got, err = persistence.Copy(ctx, dst, src, o)
		if err != nil || got.Same != 398 || got.Overwritten != 2 {
			t.Errorf("overwriting, dry: %+v, %v", got, err)
		}
		for range dst.Quarantined(ctx) {
			t.Fatal("a dry run has put something away")
		}
		o.DryRun = false
		got, err = persistence.Copy(ctx, dst, src, o)
		if err != nil || got.Same != 398 || got.Overwritten != 2 {
			t.Errorf("overwriting: %+v, %v", got, err)
		}
		var away []persistence.ID
		for q, err := range dst.Quarantined(ctx) {
			check(t, err)
			away = append(away, q.ID)
			if q.Err == nil || len(q.Stored) == 0 || !strings.Contains(q.Reason, "Copy") {
				t.Errorf("in quarantine: %+v", q)
			}
		}
		slices.Sort(away)
		if d := cmp.Diff(bad, away); d != "" {
			t.Errorf("put away (-want +got):\n%s", d)
		}
		if d := differences(t, src, dst, nil); d != nil {
			t.Errorf("the copy differs: %v", d)
		}
		for _, id := range bad {
			if r := must[*persistence.Record](t)(dst.Record(ctx, id)); r.Revision < 2 {
				t.Errorf("%s has revision %d: who has the damaged one overwrites it", id, r.Revision)
			}
		}
	})
}

func TestCopyCountsWhatChangesMeanwhile(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		ctx := t.Context()
		src := open(t, url, nil)
		fill(t, src, false)
		copied := func(o persistence.CopyOptions, change func()) persistence.CopyReport {
			t.Helper()
			once := false
			o.Progress = func(int64, int64) {
				if !once {
					once = true
					change()
				}
			}
			return must[persistence.CopyReport](t)(persistence.Copy(ctx, open(t, "mem:", nil), src, &o))
		}
		var added []persistence.ID
		type options = persistence.CopyOptions
		all := func() options { return options{} }
		for _, step := range []struct {
			name    string
			options func() options
			change  func()
			want    int64
		}{
			{"nothing", all, func() {}, 0},
			{"two are added", all, func() {
				added = must[[]persistence.ID](t)(src.SaveAll(ctx, &File{Path: "a"}, &File{Path: "b"}))
			}, 2},
			{"one is removed and one is replaced", all, func() {
				check(t, src.Remove(ctx, added[0]))
				check(t, src.Replace(ctx, added[1], &File{Path: "c"}))
			}, 2},
			{"one comes and one goes", all, func() {
				check(t, src.Remove(ctx, added[1]))
				added = []persistence.ID{must[persistence.ID](t)(src.Save(ctx, &File{Path: "d"}))}
			}, 2},
			{"one of those that a query selects goes", func() options { return options{Query: &persistence.Query{Type: "test.File"}} }, func() {
				check(t, src.Remove(ctx, added[0]))
			}, 1},
			{"one that roots do not reach", func() options { return options{Roots: []persistence.ID{"1"}} }, func() {
				added = []persistence.ID{must[persistence.ID](t)(src.Save(ctx, &File{Path: "e"}))}
			}, 0},
			{"pairs", all, func() {
				check(t, src.KV().Delete(ctx, "key 1"))
				check(t, src.KV().Set(ctx, "key 2", "new"))
			}, 2},
			{"pairs that are not copied", func() options { return options{NoPairs: true} }, func() {
				check(t, src.KV().Set(ctx, "key 2", "newer"))
			}, 0},
			{"a root is removed", func() options { return options{Roots: added, NoPairs: true} }, func() {
				check(t, src.Remove(ctx, added...))
			}, 1},
		} {
			if got := copied(step.options(), step.change); got.Changed != step.want {
				t.Errorf("%s: %+v, want %d changed", step.name, got, step.want)
			}
		}
	})
}

// The counter of dst is above what was copied at every moment, since a Copy may be cut off.
func TestNumbersOfACopyThatIsCutOffAreNotGivenOutAgain(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		src, dst := open(t, storeURL(t, "mem"), nil), open(t, url, nil)
		check(t, dst.Remove(t.Context(), must[persistence.ID](t)(dst.Save(t.Context(), &Task{Name: "the counter has begun"}))))
		tasks := make([]any, 1500)
		for i := range tasks {
			tasks[i] = &Task{Name: fmt.Sprint(i), Prio: i}
		}
		must[[]persistence.ID](t)(src.SaveAll(t.Context(), tasks...))
		for _, q := range []*persistence.Query{{Where: []persistence.Cond{persistence.Ge("revision", 1)}}, nil} {
			ctx, cancel := context.WithCancel(t.Context())
			_, err := persistence.Copy(ctx, dst, src, &persistence.CopyOptions{Query: q, Progress: func(int64, int64) { cancel() }})
			if err == nil {
				t.Fatal("Copy was not cut off")
			}
			ids := list(t, dst, nil)
			last, _ := ids[len(ids)-1].Seq()
			for range 40 {
				id := must[persistence.ID](t)(dst.Save(t.Context(), &Task{Name: "new"}))
				if n, _ := id.Seq(); n <= last {
					t.Fatalf("the ID %q was given out again: there are %d", id, last)
				}
			}
		}
	})
}

func TestAColumnThatIsDeclaredWhileCopyRunsIsNotCompleteInTheCopy(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	from, to := storeURL(t, "sqlite"), storeURL(t, "sqlite")
	names := []extrafields.Field{extrafields.Of("name", func(t *Task) string { return t.Name })}
	both := append(slices.Clone(names), extrafields.Of("prio", prio))
	src := open(t, from, &persistence.Options{ExtraFields: names})
	tasks := make([]any, 6000)
	for i := range tasks {
		tasks[i] = &Task{Name: fmt.Sprint(i), Prio: i}
	}
	must[[]persistence.ID](t)(src.SaveAll(ctx, tasks...))
	dst, once := open(t, to, nil), false
	got, err := persistence.Copy(ctx, dst, src, &persistence.CopyOptions{Progress: func(int64, int64) {
		if !once {
			once = true
			later := open(t, from, &persistence.Options{ExtraFields: both})
			must[persistence.ID](t)(later.Save(ctx, &Task{Name: "later", Prio: 1}))
		}
	}})
	if err != nil || got.Changed != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	seen := open(t, to, &persistence.Options{ExtraFields: both})
	for _, c := range must[[]persistence.ColumnInfo](t)(seen.Columns(ctx)) {
		if c.Complete != (c.Name == "name") {
			t.Errorf("column %q: complete is %t", c.Name, c.Complete)
		}
	}
}

func TestErrorsOfCopySayWhichStoreTheyAreAbout(t *testing.T) {
	damaged(t, 10, []persistence.ID{"2"}, func(t *testing.T, s *persistence.Store, _ int) {
		path := storeURL(t, "sqlite")
		_, err := persistence.Copy(t.Context(), open(t, path, nil), s, nil)
		if err == nil || !wordIn(err, s.URL().String()) || wordIn(err, path) {
			t.Errorf("of a record of the source: %v", err)
		}
	})
}

// Records far from each other exchange values of a unique index between two copies.
func TestCopyOfUniqueValuesThatMove(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		ctx := t.Context()
		names := []extrafields.Field{extrafields.Of("name", func(t *Task) string { return t.Name }).Unique()}
		src, dst := open(t, "mem:", &persistence.Options{ExtraFields: names}), open(t, url, nil)
		// Three batches at least: a page has 128 records, then 512, then 2048.
		n, middle := 1000, 400
		if long() {
			n, middle = 6000, 3000
		}
		last := persistence.ID(fmt.Sprint(n))
		tasks := make([]any, n)
		for i := range tasks {
			tasks[i] = &Task{Name: fmt.Sprint(i + 1)}
		}
		must[[]persistence.ID](t)(src.SaveAll(ctx, tasks...))
		must[persistence.CopyReport](t)(persistence.Copy(ctx, dst, src, nil))
		rename := func(i int, name string) { tasks[i-1].(*Task).Name = name }
		rename(1, string(last))
		rename(n, fmt.Sprint(middle))
		rename(middle, "1")
		must[[]persistence.ID](t)(src.SaveAll(ctx, tasks...))
		o := &persistence.CopyOptions{Existing: persistence.OverwriteExisting}
		got, err := persistence.Copy(ctx, dst, src, o)
		if err != nil || got != (persistence.CopyReport{Same: int64(n - 3), Overwritten: 3}) {
			t.Errorf("three that exchange their names: %+v, %v", got, err)
		}
		if d := differences(t, src, dst, nil); d != nil {
			t.Errorf("the copy differs: %v", d)
		}
		// The holder is removed from src, and a copy removes nothing from dst.
		check(t, src.Remove(ctx, last))
		rename(1, fmt.Sprint(middle))
		must[[]persistence.ID](t)(src.SaveOnly(ctx, tasks[0]))
		_, err = persistence.Copy(ctx, dst, src, o)
		if taken, ok := errors.AsType[*persistence.UniqueError](err); !ok || taken.Holder != last {
			t.Errorf("with a holder that src has no more: %v", err)
		}
		check(t, dst.Remove(ctx, last))
		got, err = persistence.Copy(ctx, dst, src, o)
		if err != nil || got.Overwritten != 1 {
			t.Errorf("after it is removed from dst: %+v, %v", got, err)
		}
	})
}

// A stuckBackend never answers a write.
type stuckBackend struct{ *mem.Backend }

func (stuckBackend) Apply(ctx context.Context, _ []driver.Mutation) ([]int64, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestCopyEndsSoonAfterItsContext(t *testing.T) {
	t.Parallel()
	src := open(t, "mem:", nil)
	fill(t, src, false)
	dst := must[*persistence.Store](t)(persistence.New(t.Context(), stuckBackend{mem.New(driver.OpenOptions{})}, nil))
	defer dst.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	got, err := persistence.Copy(ctx, dst, src, nil)
	if took := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || got != (persistence.CopyReport{}) || took > 30*time.Second {
		t.Errorf("after %v: %+v, %v", took, got, err)
	}
}
