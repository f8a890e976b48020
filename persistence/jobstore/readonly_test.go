package jobstore_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/jobstore"
)

func TestAJobStoreThatIsReadOnly(t *testing.T) {
	t.Parallel()
	ctx, now := t.Context(), time.Now()
	url := "sqlite:" + filepath.Join(t.TempDir(), "jobs.db")
	rw, err := jobstore.Open(ctx, url, options())
	if err != nil {
		t.Fatal(err)
	}
	defer rw.Close()
	if err := rw.Add(ctx, &Job{Name: "a", Next: now.Add(-time.Minute)}); err != nil {
		t.Fatal(err)
	}
	ro, err := jobstore.Open(ctx, url+"?mode=ro", options())
	if err != nil {
		t.Fatal(err)
	}
	defer ro.Close()
	jobs, err := ro.Due(ctx, now)
	if err != nil || len(jobs) != 1 {
		t.Fatalf("%d jobs are due, %v", len(jobs), err)
	}
	if next, found, err := ro.NextRunTime(ctx); err != nil || !found || next.After(now) {
		t.Errorf("the next run is at %v, %v, %v", next, found, err)
	}
	_, acquired := ro.Acquire(ctx, "me", now, 1, time.Hour)
	_, removed := ro.RemoveAll(ctx)
	_, released := ro.ReleaseExpired(ctx)
	for verb, err := range map[string]error{
		"Acquire": acquired, "RemoveAll": removed, "ReleaseExpired": released,
		"Add": ro.Add(ctx, &Job{Name: "b"}), "Update": ro.Update(ctx, jobs[0]), "Remove": ro.Remove(ctx, "a"),
	} {
		if !errors.Is(err, persistence.ErrReadOnly) {
			t.Errorf("%s: %v", verb, err)
		}
	}
}
