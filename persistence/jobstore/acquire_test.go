package jobstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/jobstore"
)

// acquire acquires jobs and expects no error.
func acquire(t testing.TB, s *jobstore.Store[Job], minutes, limit int) []*jobstore.Acquired[Job] {
	t.Helper()
	return must[[]*jobstore.Acquired[Job]](t)(s.Acquire(t.Context(), "me", at(minutes), limit, time.Hour))
}

func wantAcquired(t testing.TB, got []*jobstore.Acquired[Job], want ...string) {
	t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), acquiredNames(got)); diff != "" {
		t.Fatal(diff)
	}
}

func TestAcquireTakesTheEarliestDueJobsAndNeverPausedOnes(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		s := open(t, here, options())
		wantAcquired(t, acquire(t, s, 0, 5))
		add(t, s, map[string]int{"e": 30, "paused": -1, "a": 11, "c": 10, "b": 12, "d": 13, "later": 40})
		wantAcquired(t, acquire(t, s, 5, 5))
		first := acquire(t, s, 30, 3)
		wantAcquired(t, first, "c", "a", "b")
		if a := first[0]; a.ID() != "c" || a.Token() < 1 || !a.Until().After(time.Now()) {
			t.Errorf("got %q, token %d, until %v", a.ID(), a.Token(), a.Until())
		}
		wantAcquired(t, acquire(t, open(t, here, options()), 30, 9), "d", "e")
		wantAcquired(t, acquire(t, s, 30, 9))
		if due := names(must[[]*Job](t)(s.Due(t.Context(), at(30)))); len(due) != 5 {
			t.Errorf("due: %v, want acquired ones too", due)
		}
		check(t, first[1].Release(t.Context()))
		wantAcquired(t, acquire(t, s, 30, 9), "a")
	})
}

func TestDoneSavesTheNewTimeAndLetsGo(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		s, ctx := open(t, here, options()), t.Context()
		add(t, s, map[string]int{"again": 1, "paused soon": 2, "once": 3})
		got := acquire(t, s, 5, 9)
		wantAcquired(t, got, "again", "paused soon", "once")
		job := got[0].Job()
		job.Runs++
		job.Next = at(7)
		check(t, got[0].Done(ctx))
		got[1].Job().Next = time.Time{}
		check(t, got[1].Done(ctx))
		check(t, got[2].Remove(ctx))
		wantAcquired(t, acquire(t, s, 5, 9))
		if diff := cmp.Diff([]string{"again", "paused soon"}, names(must[[]*Job](t)(s.All(ctx)))); diff != "" {
			t.Error(diff)
		}
		next := acquire(t, s, 7, 9)
		wantAcquired(t, next, "again")
		if next[0].Job().Runs != 1 || next[0].Token() <= got[0].Token() {
			t.Errorf("got %+v, token %d after %d", next[0].Job(), next[0].Token(), got[0].Token())
		}
		for name, call := range map[string]func(context.Context) error{
			"done": func(ctx context.Context) error { return got[0].Done(ctx) }, "save": func(ctx context.Context) error { return got[1].Save(ctx) },
			"release": got[1].Release, "remove": got[2].Remove, "reload": got[2].Reload,
		} {
			if err := call(ctx); err == nil {
				t.Errorf("%s of a job that is done: no error", name)
			}
		}
	})
}

func TestSaveKeepsTheJobAndSavesOtherObjectsWithIt(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		s, ctx := open(t, here, options()), t.Context()
		add(t, s, map[string]int{"blah": 1})
		a := acquire(t, s, 1, 1)[0]
		note := &Note{Text: "half"}
		a.Job().Runs, a.Job().Note = 1, note
		check(t, a.Save(ctx))
		check(t, a.Save(ctx)) // nothing has changed
		wantAcquired(t, acquire(t, s, 1, 1))
		a.Job().Runs, a.Job().Next = 2, at(2)
		note.Text = "whole"
		check(t, a.Done(ctx, note))
		got := must[*Job](t)(s.Lookup(ctx, "blah"))
		if got.Runs != 2 || got.Note == nil || got.Note.Text != "whole" || !got.Next.Equal(at(2)) {
			t.Errorf("got %+v, %+v", got, got.Note)
		}
	})
}

func TestALapsedJobIsAcquiredAgainAndTheLateHolderGetsErrConflict(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		s, ctx := open(t, here, options()), t.Context()
		add(t, s, map[string]int{"blah": 1})
		short := func() *jobstore.Acquired[Job] {
			for {
				got := must[[]*jobstore.Acquired[Job]](t)(s.Acquire(ctx, "slow", at(1), 1, time.Millisecond))
				if len(got) == 1 {
					return got[0]
				}
			}
		}
		// The lease has passed, but nobody else has the job.
		a := short()
		a.Job().Runs = 1
		for a.Until().After(time.Now()) {
			time.Sleep(time.Millisecond)
		}
		check(t, a.Save(ctx))
		check(t, a.Extend(ctx, time.Hour))
		wantAcquired(t, acquire(t, s, 1, 1))
		check(t, a.Done(ctx))

		late := short()
		var now []*jobstore.Acquired[Job]
		other := open(t, here, options())
		for len(now) == 0 {
			now = acquire(t, other, 1, 1)
		}
		if now[0].Job().Runs != 1 || now[0].Token() <= late.Token() {
			t.Errorf("got %+v, token %d after %d", now[0].Job(), now[0].Token(), late.Token())
		}
		late.Job().Next = at(9)
		wantIs(t, late.Extend(ctx, time.Hour), jobstore.ErrConflict)
		wantIs(t, late.Save(ctx), jobstore.ErrConflict)
		wantIs(t, late.Done(ctx), jobstore.ErrConflict)
		wantIs(t, late.Done(ctx, &Note{Text: "not kept"}), jobstore.ErrConflict)
		wantIs(t, late.Release(ctx), jobstore.ErrConflict)
		wantIs(t, late.Remove(ctx), jobstore.ErrConflict)
		if n := must[int64](t)(s.Objects().Count(ctx, nil)); n != 1 {
			t.Errorf("%d objects, want the job alone", n)
		}
		// Nor after it has reloaded the job.
		check(t, late.Reload(ctx))
		late.Job().Runs = 100
		wantIs(t, late.Done(ctx), jobstore.ErrConflict)
		now[0].Job().Runs = 2
		check(t, now[0].Done(ctx))
		if got := must[*Job](t)(s.Lookup(ctx, "blah")); got.Runs != 2 || !got.Next.Equal(at(1)) {
			t.Errorf("got %+v", got)
		}
	})
}

func TestAnUpdateOfAnAcquiredJobIsNotOverwritten(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		s, ctx := open(t, here, options()), t.Context()
		add(t, s, map[string]int{"blah": 1, "gone": 1})
		got := acquire(t, s, 1, 2)
		wantAcquired(t, got, "blah", "gone")
		check(t, s.Update(ctx, &Job{Name: "blah", Next: at(1), Note: &Note{Text: "changed"}}))
		check(t, s.Remove(ctx, "gone"))
		wantAcquired(t, acquire(t, s, 1, 9))
		for _, a := range got {
			a.Job().Runs, a.Job().Next = 1, at(5)
			wantIs(t, a.Save(ctx), jobstore.ErrConflict)
			wantIs(t, a.Done(ctx), jobstore.ErrConflict)
		}
		check(t, got[0].Reload(ctx))
		got[0].Job().Runs, got[0].Job().Next = 1, at(5)
		check(t, got[0].Done(ctx))
		if job := must[*Job](t)(s.Lookup(ctx, "blah")); job.Note == nil || job.Note.Text != "changed" || job.Runs != 1 {
			t.Errorf("got %+v", job)
		}
		wantIs(t, got[1].Reload(ctx), jobstore.ErrJobLookup)
		wantIs(t, got[1].Remove(ctx), jobstore.ErrConflict)
	})
}

func TestAnAcquiredJobKeepsItsIDAndIdentity(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		s, ctx := open(t, here, options()), t.Context()
		add(t, s, map[string]int{"blah": 1})
		a := acquire(t, s, 1, 1)[0]
		a.Job().Name = "foo"
		if err := a.Save(ctx); err == nil {
			t.Error("saved under another ID")
		}
		*a.Job() = Job{Name: "blah", Next: at(2)} //nolint:govet // the copy is what is wrong
		if err := a.Done(ctx); err == nil || !strings.Contains(err.Error(), "overwritten") {
			t.Errorf("saved another object: %v", err)
		}
		check(t, a.Reload(ctx))
		a.Job().Next = at(2)
		// A copy in another store does no harm.
		archive := must[*persistence.Store](t)(persistence.MakeStore(ctx, "mem:", nil))
		defer archive.Close()
		must[persistence.ID](t)(archive.Save(ctx, a.Job()))
		check(t, a.Done(ctx))
		if diff := cmp.Diff([]string{"blah"}, names(must[[]*Job](t)(s.All(ctx)))); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAcquiredJobsDoNotShareWhatTheyReferTo(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		s, ctx := open(t, here, options()), t.Context()
		note := &Note{Text: "shared"}
		check(t, s.Add(ctx, &Job{Name: "a", Next: at(1), Note: note}))
		check(t, s.Add(ctx, &Job{Name: "b", Next: at(1), Note: note}))
		got := acquire(t, s, 1, 2)
		wantAcquired(t, got, "a", "b")
		if a, b := got[0].Job().Note, got[1].Job().Note; a == b || !persistence.Same(a, b) {
			t.Errorf("notes %p and %p", a, b)
		}
	})
}

func TestAJobPutOffMeanwhileIsNotAcquired(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		s, ctx := open(t, here, options()), t.Context()
		add(t, s, map[string]int{"a": 1, "b": 2, "c": 3})
		// For this scheduler a and b are due later than their column says, as if they had changed
		// after the claim.
		o := options()
		o.NextRunTime = func(j *Job) time.Time {
			if j.Name == "c" {
				return j.Next
			}
			return j.Next.Add(time.Hour)
		}
		wantAcquired(t, acquire(t, open(t, here, o), 3, 1), "c")
		// Jobs that it did not take are available to others at once.
		wantAcquired(t, acquire(t, s, 3, 9), "a", "b")
		wantAcquired(t, acquire(t, s, 3, 9))
		_, err := s.Acquire(ctx, "me", at(1), 0, time.Hour)
		if err == nil {
			t.Error("a limit of 0: no error")
		}
	})
}

func TestReapForgetsLapsedAcquisitionsAlone(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		s, ctx := open(t, here, options()), t.Context()
		add(t, s, map[string]int{"held": 1, "lapsed": 2})
		held := acquire(t, s, 1, 1)
		lapsed := must[[]*jobstore.Acquired[Job]](t)(s.Acquire(ctx, "slow", at(2), 1, time.Microsecond))
		wantAcquired(t, lapsed, "lapsed")
		var n int64
		for n == 0 {
			n = must[int64](t)(s.ReleaseExpired(ctx))
		}
		if n != 1 {
			t.Errorf("%d were reaped, want 1", n)
		}
		wantIs(t, lapsed[0].Done(ctx), jobstore.ErrConflict)
		var owners []string
		for c, err := range s.Objects().Claims(ctx) {
			check(t, err)
			owners = append(owners, string(c.ID())+" by "+c.Owner())
		}
		if diff := cmp.Diff([]string{"held by me"}, owners); diff != "" {
			t.Error(diff)
		}
		check(t, held[0].Done(ctx))
	})
}

func TestManySchedulersAcquireEachDueJobOnce(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		const jobs, rounds, schedulers = 30, 3, 8
		ctx := t.Context()
		stores := []*jobstore.Store[Job]{open(t, here, options()), open(t, here, options())}
		for i := range jobs {
			check(t, stores[0].Add(ctx, &Job{Name: fmt.Sprintf("job %02d", i), Next: at(i % 7)}))
		}
		check(t, stores[0].Add(ctx, &Job{Name: "paused"}))
		var mu sync.Mutex
		runs := make(map[string]int) // of each job and its due time
		tokens := make(map[string][]int64)
		var wg sync.WaitGroup
		for i := range schedulers {
			s := stores[i%len(stores)]
			wg.Go(func() {
				for left := jobs * rounds; left > 0; {
					got, err := s.Acquire(ctx, fmt.Sprint("scheduler ", i), at(rounds*60), 1+i, time.Hour)
					if err != nil {
						t.Error(err)
						return
					}
					for _, a := range got {
						job := a.Job()
						mu.Lock()
						runs[fmt.Sprint(job.Name, " ", job.Runs)]++
						tokens[job.Name] = append(tokens[job.Name], a.Token())
						mu.Unlock()
						job.Runs++
						if job.Next = job.Next.Add(time.Hour); job.Runs == rounds {
							job.Next = time.Time{}
						}
						if err := a.Done(ctx); err != nil {
							t.Error(err)
							return
						}
					}
					mu.Lock()
					left = jobs*rounds - len(runs)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		for run, n := range runs {
			if n != 1 {
				t.Errorf("%s was run %d times", run, n)
			}
		}
		for name, list := range tokens {
			if len(list) != rounds || !slices.IsSorted(list) {
				t.Errorf("%s: tokens %v", name, list)
			}
		}
	})
}

func TestACallThatIsGivenUpAcquiresNothing(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		s := open(t, here, options())
		add(t, s, map[string]int{"a": 1, "b": 1, "c": 1})
		ctx, cancel := context.WithCancel(t.Context())
		o := options()
		first := true
		o.NextRunTime = func(j *Job) time.Time { // called when the first job has been read
			if first {
				cancel()
			}
			first = false
			return j.Next
		}
		got, err := open(t, here, o).Acquire(ctx, "hasty", at(1), 3, time.Hour)
		if !errors.Is(err, context.Canceled) || got != nil {
			t.Fatalf("got %v, %v", acquiredNames(got), err)
		}
		wantAcquired(t, acquire(t, s, 1, 9), "a", "b", "c")
	})
}
