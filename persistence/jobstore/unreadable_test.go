package jobstore_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/jobstore"
)

// spoilt are the ways in which a job becomes unreadable. Each stores one that is due at the
// given minute.
var spoilt = []struct {
	name  string
	kind  error
	spoil func(t *testing.T, here site, s *jobstore.Store[Job], id string, minute int)
}{
	{"damaged", persistence.ErrCorrupt, func(t *testing.T, here site, s *jobstore.Store[Job], id string, minute int) {
		check(t, s.Add(t.Context(), &Job{Name: id, Next: at(minute)}))
		here.damage(t, id)
	}},
	{"of another type", persistence.ErrType, func(t *testing.T, here site, _ *jobstore.Store[Job], id string, minute int) {
		check(t, open(t, here, otherOptions()).Add(t.Context(), &Other{Name: id, Next: at(minute)}))
	}},
	{"of an unknown type", persistence.ErrType, func(t *testing.T, here site, _ *jobstore.Store[Job], id string, minute int) {
		s := open(t, here, jobstore.Options[Unregistered]{
			ID:          func(j *Unregistered) string { return j.Name },
			NextRunTime: func(j *Unregistered) time.Time { return j.Next },
			Store:       options().Store,
		})
		check(t, s.Add(t.Context(), &Unregistered{Name: id, Next: at(minute)}))
	}},
	{"referring to what is gone", persistence.ErrDangling, func(t *testing.T, _ site, s *jobstore.Store[Job], id string, minute int) {
		note := &Note{}
		check(t, s.Add(t.Context(), &Job{Name: id, Next: at(minute), Note: note}))
		check(t, s.Objects().Remove(t.Context(), note.PersistentID()))
	}},
}

// wantUnreadable expects an error that names exactly these jobs.
func wantUnreadable(t testing.TB, err, kind error, ids ...persistence.ID) {
	t.Helper()
	bad, ok := errors.AsType[*jobstore.UnreadableError](err)
	if !ok {
		t.Fatalf("got error %v, want an UnreadableError", err)
	}
	var got []persistence.ID
	for _, e := range bad.Jobs {
		got = append(got, e.ID)
		if !strings.Contains(err.Error(), fmt.Sprintf("%q", string(e.ID))) {
			t.Errorf("error %q does not name %q", err, e.ID)
		}
	}
	if diff := cmp.Diff(ids, got); diff != "" {
		t.Error(diff)
	}
	wantIs(t, err, kind)
}

func TestOneUnreadableJobDoesNotHideTheOthers(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		s, ctx := open(t, here, options()), t.Context()
		for _, how := range spoilt {
			t.Run(how.name, func(t *testing.T) {
				must[int64](t)(s.RemoveAll(ctx))
				add(t, s, map[string]int{"one": 1, "three": 3, "later": 9, "paused": -1})
				how.spoil(t, here, s, "two", 2)
				for range 2 { // it is not deleted
					jobs, err := s.All(ctx)
					wantUnreadable(t, err, how.kind, "two")
					if diff := cmp.Diff([]string{"one", "three", "later", "paused"}, names(jobs)); diff != "" {
						t.Error(diff)
					}
					jobs, err = s.Due(ctx, at(5))
					wantUnreadable(t, err, how.kind, "two")
					if diff := cmp.Diff([]string{"one", "three"}, names(jobs)); diff != "" {
						t.Error(diff)
					}
				}
				if due := must[[]*Job](t)(s.Due(ctx, at(1))); len(due) != 1 {
					t.Errorf("due before it: %v", names(due))
				}
				_, err := s.Lookup(ctx, "two")
				wantIs(t, err, how.kind)
				if errors.Is(err, jobstore.ErrJobLookup) {
					t.Error("Lookup says that it is not there")
				}
				got, err := s.Acquire(ctx, "me", at(5), 9, time.Hour)
				wantUnreadable(t, err, how.kind, "two")
				wantAcquired(t, got, "one", "three")
				check(t, s.Objects().Remove(ctx, "one"))
				if next, ok, err := s.NextRunTime(ctx); err != nil || !ok || !next.Equal(at(2)) {
					t.Errorf("next run time %v, %v, %v, want its", next, ok, err)
				}
				// It can be repaired and removed.
				check(t, s.Update(ctx, &Job{Name: "two", Next: at(2)}))
				must[*Job](t)(s.Lookup(ctx, "two"))
				check(t, s.Remove(ctx, "two"))
			})
		}
	})
}

func TestUnreadableJobsDoNotKeepSchedulersFromTheOthers(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		s, ctx := open(t, here, options()), t.Context()
		for i := range 3 {
			how := spoilt[i]
			how.spoil(t, here, s, fmt.Sprint("bad ", i), i)
		}
		add(t, s, map[string]int{"good 1": 5, "good 2": 6, "good 3": 7})
		// Even after the shortest lease they are not acquired before the others.
		got, err := s.Acquire(ctx, "me", at(9), 1, time.Microsecond)
		wantUnreadable(t, err, persistence.ErrCorrupt, "bad 0", "bad 1", "bad 2")
		wantAcquired(t, got, "good 1")
		check(t, got[0].Extend(ctx, time.Hour))
		wantAcquired(t, acquire(t, s, 9, 1), "good 2")
		wantAcquired(t, acquire(t, open(t, here, options()), 9, 9), "good 3")
		wantAcquired(t, acquire(t, s, 9, 9))
	})
}

func TestTheTextOfAnUnreadableErrorIsBounded(t *testing.T) {
	t.Parallel()
	e := &jobstore.UnreadableError{}
	for i := range 1000 {
		e.Jobs = append(e.Jobs, &persistence.Error{Op: "all", ID: persistence.ID(fmt.Sprint("job ", i)), Err: persistence.ErrCorrupt})
	}
	text := e.Error()
	if len(text) > 1000 || !strings.Contains(text, "1000") || !strings.Contains(text, `"job 0"`) || !strings.Contains(text, "995 more") {
		t.Error(text)
	}
	wantIs(t, e, persistence.ErrCorrupt)
}
