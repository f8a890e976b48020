package jobstore_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/jobstore"
)

func TestLookupReturnsTheJobThatWasAdded(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		s, ctx := open(t, here, options()), t.Context()
		job := &Job{Name: "blah", Next: at(1).Add(789 * time.Nanosecond), Runs: 7, Note: &Note{Text: "why"}}
		check(t, s.Add(ctx, job))
		for _, s := range []*jobstore.Store[Job]{s, open(t, here, options())} {
			got := must[*Job](t)(s.Lookup(ctx, "blah"))
			if got == job || got.Name != job.Name || !got.Next.Equal(job.Next) || got.Runs != 7 || got.Note.Text != "why" {
				t.Fatalf("got %+v, want %+v", got, job)
			}
		}
	})
}

func TestAddingTwiceIsErrConflictingID(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		s, ctx := open(t, here, options()), t.Context()
		add(t, s, map[string]int{"blah": 1})
		err := s.Add(ctx, &Job{Name: "blah", Next: at(2)})
		wantIs(t, err, jobstore.ErrConflictingID)
		wantIs(t, err, persistence.ErrExists)
		wantIs(t, open(t, here, options()).Add(ctx, &Job{Name: "blah"}), jobstore.ErrConflictingID)
		if got := must[*Job](t)(s.Lookup(ctx, "blah")); !got.Next.Equal(at(1)) {
			t.Fatalf("the first job became %+v", got)
		}
	})
}

func TestUnknownIDsAreErrJobLookup(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		s, ctx := open(t, here, options()), t.Context()
		add(t, s, map[string]int{"blah": 1})
		for _, id := range []string{"foo", "blah ", "BLAH", "", strings.Repeat("x", 192), "a\x00b", "\xff"} {
			_, err := s.Lookup(ctx, id)
			wantIs(t, err, jobstore.ErrJobLookup)
			wantIs(t, s.Update(ctx, &Job{Name: id, Next: at(2)}), jobstore.ErrJobLookup)
			wantIs(t, s.Remove(ctx, id), jobstore.ErrJobLookup)
		}
		if diff := cmp.Diff([]string{"blah"}, names(must[[]*Job](t)(s.All(ctx)))); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestAllJobsComeByNextRunTimePausedOnesLastTiesStable(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		s, ctx := open(t, here, options()), t.Context()
		if got := names(must[[]*Job](t)(s.All(ctx))); len(got) != 0 {
			t.Fatalf("an empty store has %v", got)
		}
		add(t, s, map[string]int{"z": 1, "y": -1, "b": 3, "C": 3, "a": 3, "x": -1, "Job.10": 2, "Job.9": 2})
		want := []string{"z", "Job.10", "Job.9", "C", "a", "b", "x", "y"}
		for range 3 {
			if diff := cmp.Diff(want, names(must[[]*Job](t)(s.All(ctx)))); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

func TestJobsThatMoveOnMeanwhileComeOnce(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		s := open(t, here, options())
		jobs := make(map[string]int)
		for i := range 300 {
			jobs[fmt.Sprintf("job %03d", i)] = i
		}
		add(t, s, jobs)
		ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() { // a scheduler postpones the first job to after all others, again and again
			for i := 0; ctx.Err() == nil; i++ {
				if err := s.Update(t.Context(), &Job{Name: fmt.Sprintf("job %03d", i%300), Next: at(300 + i)}); err != nil {
					t.Error(err)
					return
				}
			}
		})
		for ctx.Err() == nil {
			all := names(must[[]*Job](t)(s.All(t.Context())))
			due := names(must[[]*Job](t)(s.Due(t.Context(), at(1_000_000))))
			for what, got := range map[string][]string{"all": all, "due": due} {
				if slices.Sort(got); len(slices.Compact(slices.Clone(got))) != len(got) {
					t.Fatalf("%s: a job came twice: %v", what, got)
				}
			}
			if len(all) != 300 {
				t.Fatalf("%d of 300 jobs", len(all))
			}
		}
	})
}

func TestDueJobsAreThoseNotAfterNowAndNeverPausedOnes(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		s, ctx := open(t, here, options()), t.Context()
		add(t, s, map[string]int{"late": 30, "soon": 10, "next": 20, "paused": -1})
		for _, test := range []struct {
			now  time.Time
			want []string
		}{
			{at(0), []string{}},
			{at(10).Add(-time.Microsecond), []string{}},
			{at(10), []string{"soon"}},
			{at(20).Add(time.Nanosecond), []string{"soon", "next"}},
			{at(20).In(time.FixedZone("", -5*3600)), []string{"soon", "next"}},
			{at(1000000), []string{"soon", "next", "late"}},
		} {
			if diff := cmp.Diff(test.want, names(must[[]*Job](t)(s.Due(ctx, test.now)))); diff != "" {
				t.Errorf("due at %v: %s", test.now, diff)
			}
		}
	})
}

func TestNextRunTimeIsTheEarliestAndIgnoresPausedJobs(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		s, ctx := open(t, here, options()), t.Context()
		want := func(want time.Time) {
			t.Helper()
			got, found, err := s.NextRunTime(ctx)
			if err != nil || found == want.IsZero() || !got.Equal(want) || found && got.Location() != time.UTC {
				t.Fatalf("got %v, %v, %v, want %v", got, found, err, want)
			}
		}
		want(time.Time{})
		add(t, s, map[string]int{"paused": -1})
		want(time.Time{})
		add(t, s, map[string]int{"late": 30})
		want(at(30))
		add(t, s, map[string]int{"soon": 10, "next": 20})
		want(at(10))
		check(t, s.Remove(ctx, "soon"))
		want(at(20))
	})
}

func TestUpdateMovesTheNextRunTime(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		s, ctx := open(t, here, options()), t.Context()
		for _, test := range []struct {
			name string
			next time.Time
			all  []string
			due  []string
			soon time.Time
		}{
			{"earlier", at(5), []string{"moved", "first", "last"}, []string{"moved", "first"}, at(5)},
			{"null", time.Time{}, []string{"first", "last", "moved"}, []string{"first"}, at(10)},
			{"later", at(40), []string{"first", "last", "moved"}, []string{"first"}, at(10)},
			{"between", at(25), []string{"first", "moved", "last"}, []string{"first"}, at(10)},
			{"tie", at(10), []string{"first", "moved", "last"}, []string{"first", "moved"}, at(10)},
		} {
			must[int64](t)(s.RemoveAll(ctx))
			add(t, s, map[string]int{"first": 10, "moved": 20, "last": 30})
			job := must[*Job](t)(s.Lookup(ctx, "moved"))
			job.Next = test.next
			check(t, s.Update(ctx, job))
			if diff := cmp.Diff(test.all, names(must[[]*Job](t)(s.All(ctx)))); diff != "" {
				t.Errorf("%s: all: %s", test.name, diff)
			}
			if diff := cmp.Diff(test.due, names(must[[]*Job](t)(s.Due(ctx, at(20))))); diff != "" {
				t.Errorf("%s: due: %s", test.name, diff)
			}
			if next, _, err := s.NextRunTime(ctx); err != nil || !next.Equal(test.soon) {
				t.Errorf("%s: next run time %v, %v, want %v", test.name, next, err, test.soon)
			}
		}
	})
}

func TestUpdateIsUnconditional(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		s, ctx := open(t, here, options()), t.Context()
		add(t, s, map[string]int{"blah": 1})
		stale := must[*Job](t)(s.Lookup(ctx, "blah"))
		check(t, s.Update(ctx, &Job{Name: "blah", Next: at(2), Runs: 1}))
		stale.Runs = 2
		check(t, s.Update(ctx, stale))
		if got := must[*Job](t)(s.Lookup(ctx, "blah")); got.Runs != 2 || !got.Next.Equal(at(1)) {
			t.Fatalf("got %+v", got)
		}
	})
}

func TestRemovedJobsAreGone(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		s, ctx := open(t, here, options()), t.Context()
		add(t, s, map[string]int{"one": 1, "two": 2})
		check(t, s.Remove(ctx, "one"))
		if diff := cmp.Diff([]string{"two"}, names(must[[]*Job](t)(s.All(ctx)))); diff != "" {
			t.Fatal(diff)
		}
		wantIs(t, s.Remove(ctx, "one"), jobstore.ErrJobLookup)
		check(t, s.Remove(ctx, "two"))
		if got := names(must[[]*Job](t)(s.All(ctx))); len(got) != 0 {
			t.Fatal(got)
		}
		add(t, s, map[string]int{"one": 3}) // the ID is free again
	})
}

func TestRemoveAllRemovesAllJobsAndNothingElse(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		s, ctx := open(t, here, options()), t.Context()
		add(t, s, map[string]int{"one": 1, "two": 2, "paused": -1, "damaged": 3, "acquired": 0})
		note := &Note{Text: "kept"}
		check(t, s.Add(ctx, &Job{Name: "noted", Note: note}))
		here.damage(t, "damaged")
		must[[]*jobstore.Acquired[Job]](t)(s.Acquire(ctx, "me", at(0), 1, time.Hour))
		if n := must[int64](t)(s.RemoveAll(ctx)); n != 6 {
			t.Errorf("%d jobs were removed, want 6", n)
		}
		if got := names(must[[]*Job](t)(s.All(ctx))); len(got) != 0 {
			t.Errorf("left: %v", got)
		}
		if n := must[int64](t)(s.RemoveAll(ctx)); n != 0 {
			t.Errorf("%d jobs were removed from an empty store", n)
		}
		if _, err := s.Objects().Load(ctx, note.PersistentID()); err != nil {
			t.Error(err)
		}
	})
}

func TestJobsAreOrderedByMicroseconds(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		s, ctx := open(t, here, options()), t.Context()
		for name, d := range map[string]time.Duration{"c": -1, "b": 0, "a": 1, "A": 2} {
			check(t, s.Add(ctx, &Job{Name: name, Next: base.Add(d * time.Microsecond)}))
		}
		// Within a microsecond the order is that of the IDs.
		check(t, s.Add(ctx, &Job{Name: "a2", Next: base.Add(1 * time.Microsecond)}))
		check(t, s.Add(ctx, &Job{Name: "a1", Next: base.Add(1*time.Microsecond + 999)}))
		if diff := cmp.Diff([]string{"c", "b", "a", "a1", "a2", "A"}, names(must[[]*Job](t)(s.All(ctx)))); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"c", "b"}, names(must[[]*Job](t)(s.Due(ctx, base)))); diff != "" {
			t.Error(diff)
		}
	})
}

func TestTimesKeepTheirZonesAndAreOrderedAsMoments(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		s, ctx := open(t, here, options()), t.Context()
		berlin := must[*time.Location](t)(time.LoadLocation("Europe/Berlin"))
		jobs := map[string]time.Time{
			"1": time.Date(2031, 10, 26, 2, 30, 0, 0, time.FixedZone("CEST", 7200)), // 00:30 UTC
			"2": time.Date(2031, 10, 26, 0, 45, 0, 0, time.UTC),
			"3": time.Date(2031, 10, 25, 20, 0, 0, 0, time.FixedZone("", -5*3600)), // 01:00 UTC
			"4": time.Date(2031, 10, 26, 3, 30, 0, 0, berlin),                      // 02:30 UTC
			"5": time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC),
		}
		for name, next := range jobs {
			check(t, s.Add(ctx, &Job{Name: name, Next: next}))
		}
		all := must[[]*Job](t)(s.All(ctx))
		if diff := cmp.Diff([]string{"5", "1", "2", "3", "4"}, names(all)); diff != "" {
			t.Error(diff)
		}
		for _, job := range all {
			want := jobs[job.Name]
			_, offset := job.Next.Zone()
			if _, wantOffset := want.Zone(); !job.Next.Equal(want) || offset != wantOffset {
				t.Errorf("job %s: %v became %v", job.Name, want, job.Next)
			}
		}
	})
}

func TestIDsMayHave191CharactersOfAnyKind(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		s, ctx := open(t, here, options()), t.Context()
		for _, id := range []string{
			strings.Repeat("x", 191), strings.Repeat("é", 95), strings.Repeat("/", 191), strings.Repeat("X", 191),
			"a job, 100 % sure", "../../etc/passwd", `C:\x`, ".", "nul", "'; DROP TABLE jobs; --", "日報", "a", "a ", "A",
		} {
			check(t, s.Add(ctx, &Job{Name: id, Next: at(0)}))
			if got := must[*Job](t)(s.Lookup(ctx, id)); got.Name != id {
				t.Errorf("%q became %q", id, got.Name)
			}
			got := must[[]*jobstore.Acquired[Job]](t)(s.Acquire(ctx, "me", at(0), 1, time.Hour))
			if len(got) != 1 || got[0].ID() != id {
				t.Fatalf("%q: acquired %v", id, acquiredNames(got))
			}
			job := got[0].Job()
			job.Next = at(100)
			check(t, got[0].Done(ctx))
		}
		wantIs(t, s.Add(ctx, &Job{Name: strings.Repeat("x", 192)}), persistence.ErrInvalidID)
		wantIs(t, s.Add(ctx, &Job{Name: ""}), persistence.ErrInvalidID)
	})
}

func TestAJobThatWouldNotBeFoundIsNotStored(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		s, ctx := open(t, here, options()), t.Context()
		add(t, s, map[string]int{"blah": 1})
		far := time.Date(300_000, 1, 1, 0, 0, 0, 0, time.UTC) // beyond what the column can hold
		wantIs(t, s.Add(ctx, &Job{Name: "far", Next: far}), persistence.ErrUnstorable)
		wantIs(t, s.Update(ctx, &Job{Name: "blah", Next: far}), persistence.ErrUnstorable)
		wantIs(t, s.Add(ctx, nil), persistence.ErrUnstorable)
		if all := must[[]*Job](t)(s.All(ctx)); len(all) != 1 || !all[0].Next.Equal(at(1)) {
			t.Fatalf("got %v", names(all))
		}
	})
}

func TestJobsOfATypeThatIsNotRegistered(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		ctx, delay := t.Context(), time.Duration(0)
		s := open(t, here, jobstore.Options[Unregistered]{
			ID:          func(j *Unregistered) string { return j.Name },
			NextRunTime: func(j *Unregistered) time.Time { return j.Next.Add(delay) },
			Store:       options().Store,
		})
		check(t, s.Add(ctx, &Unregistered{Name: "b", Next: at(1)}))
		check(t, s.Add(ctx, &Unregistered{Name: "c", Next: at(2)}))
		check(t, s.Add(ctx, &Unregistered{Name: "a"}))
		all := must[[]*Unregistered](t)(s.All(ctx))
		if len(all) != 3 || all[0].Name != "b" || all[1].Name != "c" || all[2].Name != "a" {
			t.Errorf("got %v", all)
		}
		if due := must[[]*Unregistered](t)(s.Due(ctx, at(1))); len(due) != 1 || due[0].Name != "b" {
			t.Errorf("due: %v", due)
		}
		delay = time.Hour // as if the job had been postponed before it was read
		if due := must[[]*Unregistered](t)(s.Due(ctx, at(1))); len(due) != 0 {
			t.Errorf("due: %v", due)
		}
		delay = 0
		got := must[[]*jobstore.Acquired[Unregistered]](t)(s.Acquire(ctx, "me", at(5), 9, time.Hour))
		if len(got) != 2 || got[1].Job().Name != "c" {
			t.Errorf("acquired: %v", got)
		}
	})
}

func TestJobsStandBesideOtherObjectsOfOneDatabase(t *testing.T) {
	t.Parallel()
	ctx, url := t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "all.db")
	objects := must[*persistence.Store](t)(persistence.MakeStore(ctx, url, nil))
	defer objects.Close()
	id := must[persistence.ID](t)(objects.Save(ctx, &Note{Text: "a note"}))
	jobs, more := open(t, site{url: url}, options()), open(t, site{url: url + "#table=more"}, options())
	add(t, jobs, map[string]int{string(id): 1})
	add(t, more, map[string]int{"more": 1})
	if n := must[int64](t)(objects.Count(ctx, nil)); n != 1 {
		t.Errorf("%d objects, want 1", n)
	}
	must[int64](t)(more.RemoveAll(ctx))
	if diff := cmp.Diff([]string{string(id)}, names(must[[]*Job](t)(jobs.All(ctx)))); diff != "" {
		t.Error(diff)
	}
}

func TestJobsCanBeQueriedByExtraFields(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		o := options()
		o.Store.ExtraFields = []extrafields.Field{extrafields.Of("runs", func(j *Job) int { return j.Runs })}
		s, ctx := open(t, here, o), t.Context()
		for _, j := range []*Job{{Name: "a", Runs: 1}, {Name: "b", Runs: 5, Next: at(3)}, {Name: "c", Runs: 7}} {
			check(t, s.Add(ctx, j))
		}
		q := &persistence.Query{Where: []persistence.Cond{persistence.Gt("runs", 3), persistence.NotNull(jobstore.ColNextRunTime)}}
		var got []persistence.ID
		for id, err := range s.Objects().List(ctx, q) {
			check(t, err)
			got = append(got, id)
		}
		if diff := cmp.Diff([]persistence.ID{"b"}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestOptionsThatMakeNoJobStoreAreRefused(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*jobstore.Options[Job]){
		"no ID":    func(o *jobstore.Options[Job]) { o.ID = nil },
		"no time":  func(o *jobstore.Options[Job]) { o.NextRunTime = nil },
		"integers": func(o *jobstore.Options[Job]) { o.Store.IDs = idfactory.Integers() },
		"column in use": func(o *jobstore.Options[Job]) {
			o.Store.ExtraFields = []extrafields.Field{extrafields.Get(jobstore.ColNextRunTime, extrafields.Time, "Next")}
		},
	} {
		o := options()
		spoil(&o)
		if s, err := jobstore.Open(t.Context(), "mem:", o); err == nil {
			t.Errorf("%s: no error", name)
			s.Close()
		}
	}
	if _, err := jobstore.Open(t.Context(), "mem:x", options()); err == nil {
		t.Error("a bad URL: no error")
	}
}

func TestAfterCloseEveryCallIsErrClosed(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		s, ctx := open(t, here, options()), t.Context()
		add(t, s, map[string]int{"blah": 1})
		a := must[[]*jobstore.Acquired[Job]](t)(s.Acquire(ctx, "me", at(1), 1, time.Hour))[0]
		check(t, s.Close())
		for name, call := range map[string]func(context.Context) error{
			"add":            func(ctx context.Context) error { return s.Add(ctx, &Job{Name: "x"}) },
			"update":         func(ctx context.Context) error { return s.Update(ctx, &Job{Name: "blah"}) },
			"remove":         func(ctx context.Context) error { return s.Remove(ctx, "blah") },
			"lookup":         func(ctx context.Context) error { _, err := s.Lookup(ctx, "blah"); return err },
			"all":            func(ctx context.Context) error { _, err := s.All(ctx); return err },
			"due":            func(ctx context.Context) error { _, err := s.Due(ctx, base); return err },
			"next":           func(ctx context.Context) error { _, _, err := s.NextRunTime(ctx); return err },
			"acquire":        func(ctx context.Context) error { _, err := s.Acquire(ctx, "me", base, 1, time.Hour); return err },
			"releaseExpired": func(ctx context.Context) error { _, err := s.ReleaseExpired(ctx); return err },
			"done":           func(ctx context.Context) error { return a.Done(ctx) },
			"none":           func(ctx context.Context) error { return a.Remove(ctx) },
		} {
			if err := call(ctx); !errors.Is(err, persistence.ErrClosed) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// A job store may have indexes of its user's, over its own columns too, and unique ones.
func TestIndexesOfAJobStore(t *testing.T) {
	backends(t, func(t *testing.T, at site) {
		o := options()
		o.Store.ExtraFields = []extrafields.Field{extrafields.Func("runs", extrafields.Int, func(obj any) (any, error) {
			if j, ok := obj.(*Job); ok && j.Runs > 0 {
				return j.Runs, nil
			}
			return nil, nil
		}).Unique()}
		o.Store.Indexes = []persistence.Index{{Columns: []string{jobstore.ColIsJob, jobstore.ColNextRunTime}}}
		s := open(t, at, o)
		due := time.Now().Add(-time.Hour)
		for i, name := range []string{"a", "b", "c"} {
			if err := s.Add(t.Context(), &Job{Name: name, Next: due.Add(time.Duration(i) * time.Minute), Runs: i}); err != nil {
				t.Fatal(err)
			}
		}
		err := s.Add(t.Context(), &Job{Name: "d", Runs: 2})
		if taken, ok := errors.AsType[*persistence.UniqueError](err); !ok || taken.Holder != "c" || errors.Is(err, jobstore.ErrConflictingID) {
			t.Errorf("a value that is taken: %v", err)
		}
		jobs, err := s.Due(t.Context(), time.Now())
		if err != nil || len(jobs) != 3 || jobs[0].Name != "a" || jobs[2].Name != "c" {
			t.Errorf("%d jobs are due, %v", len(jobs), err)
		}
	})
}
