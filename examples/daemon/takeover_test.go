package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence"
)

// elsewhere saves a daemon of another machine that has a task, and returns its worker and the task.
func elsewhere(t *testing.T, store *persistence.Store) (*worker, *Task) {
	t.Helper()
	d := &Daemon{State: Running, Host: "elsewhere", Pid: os.Getpid(), Beat: time.Now().UTC()}
	task := &Task{Name: "task", State: Running, Attempts: 1, By: d}
	if _, err := store.Save(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	return &worker{store: store, me: d, seen: observations{}}, task
}

func newWorker(t *testing.T, store *persistence.Store) *worker {
	t.Helper()
	me := &Daemon{State: Running, Host: hostname(), Pid: os.Getpid(), Beat: time.Now().UTC()}
	if _, err := store.Save(t.Context(), me); err != nil {
		t.Fatal(err)
	}
	return &worker{store: store, me: me, seen: observations{}}
}

func mustTake(t *testing.T, w *worker) *Task {
	t.Helper()
	task, err := w.take()
	if err != nil {
		t.Fatal(err)
	}
	return task
}

// age makes the worker's memory older than its maxSilence.
func (s observations) age() {
	for id, last := range s {
		s[id] = observation{last.beat, last.at.Add(-2 * maxSilence)}
	}
}

func TestOnlyADaemonThatIsSilentForLongLosesItsTask(t *testing.T) {
	t.Parallel()
	store := open(t, "mem:")
	far, task := elsewhere(t, store)
	w := newWorker(t, store)
	if got := mustTake(t, w); got != nil {
		t.Fatalf("took %s from a daemon that was seen for the first time", got.Name)
	}
	w.seen.age()
	far.me.Beat = far.me.Beat.Add(beat)
	if _, err := store.SaveOnly(t.Context(), far.me); err != nil {
		t.Fatal(err)
	}
	if got := mustTake(t, w); got != nil {
		t.Fatalf("took %s from a daemon that has beaten since", got.Name)
	}
	w.seen.age()
	got := mustTake(t, w)
	if got == nil || got.Attempts != 2 || got.By != w.me {
		t.Fatalf("took %+v from a silent daemon, want its task in a second attempt", got)
	}

	// It had only slept, and wakes.
	if err := far.perform(task); err != nil {
		t.Fatal(err)
	}
	if stored := tasks(t, store)["task"]; stored.State != Running || !persistence.Same(stored.By, w.me) {
		t.Errorf("the task is %s by %+v, want RUNNING by who took it over", stored.State, stored.By)
	}
	d, err := update(store, far.me, func(d *Daemon) { d.Beat = d.Beat.Add(beat) })
	if err != nil || d.State != Lost {
		t.Errorf("it finds itself %s (%v), want LOST", d.State, err)
	}
	if err := w.perform(got); err != nil {
		t.Fatal(err)
	}
	if stored := tasks(t, store)["task"]; stored.State != Done {
		t.Errorf("the task is %s, want DONE", stored.State)
	}
}

func TestOfTwoThatTakeATaskOneIsTooLate(t *testing.T) {
	t.Parallel()
	store := open(t, "mem:")
	if err := add(t.Context(), store, 0, "one", "two"); err != nil {
		t.Fatal(err)
	}
	stale := tasks(t, store)["one"]
	a, b := newWorker(t, store), newWorker(t, store)
	if got := mustTake(t, a); got == nil || got.Name != "one" {
		t.Fatalf("took %+v, want the first task", got)
	}
	stale.State, stale.By = Running, b.me
	if _, err := store.SaveOnly(t.Context(), stale); !errors.Is(err, persistence.ErrConflict) {
		t.Errorf("taking a task that is taken: %v, want ErrConflict", err)
	}
	if got := mustTake(t, b); got == nil || got.Name != "two" {
		t.Errorf("took %+v, want the second task", got)
	}
	if got := mustTake(t, b); got == nil || got.Name != "two" || got.Attempts != 2 {
		t.Errorf("took %+v, want what it had itself and knows nothing of", got)
	}
}

// deadPid returns the number of a process that has ended.
func deadPid(t *testing.T) int {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-help")
	_ = cmd.Run() // with exit code 1
	return cmd.Process.Pid
}

func TestStopDoesNotWaitForDeadDaemons(t *testing.T) {
	t.Parallel()
	store := open(t, "mem:")
	w := newWorker(t, store)
	w.me.Pid = deadPid(t)
	if _, err := store.SaveOnly(t.Context(), w.me); err != nil {
		t.Fatal(err)
	}
	if err := stop(t.Context(), store, t.Output()); err != nil {
		t.Fatal(err)
	}
	if d, err := persistence.Load[Daemon](t.Context(), store, w.me.PersistentID()); err != nil || d.State != Lost {
		t.Errorf("it is %+v (%v), want LOST", d, err)
	}
}

func TestADaemonThatCannotBeginIsReported(t *testing.T) {
	t.Parallel()
	store := open(t, "mem:") // it would have one of its own
	dir := t.TempDir()
	c, err := spawn(t.Context(), store, filepath.Join(dir, "log"))
	if err == nil || !strings.Contains(err.Error(), "has ended at once (exit status 1)") {
		t.Errorf("error is %v, want one that says that it has ended", err)
	}
	if text := logText(t, dir); !strings.Contains(text, "memory of one process") {
		t.Errorf("its log does not say why: %q", text)
	}
	if alive(c.pid) {
		t.Errorf("process %d is still there", c.pid)
	}
	if _, err := store.Save(t.Context(), &Task{Name: "after"}); err != nil {
		t.Errorf("the store is of no use any more: %v", err)
	}
}
