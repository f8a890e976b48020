package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/brine-go/brine/persistence"
)

// A trial is a workflow of tasks that may only wait for earlier ones, some of which fail.
type trial struct {
	deps  [][]int
	fails []bool
}

func drawTrial(t *rapid.T) trial {
	n := rapid.IntRange(1, 25).Draw(t, "tasks")
	tr := trial{deps: make([][]int, n), fails: make([]bool, n)}
	for i := range n {
		if i > 0 {
			tr.deps[i] = rapid.SliceOfNDistinct(rapid.IntRange(0, i-1), 0, min(i, 3), rapid.ID).Draw(t, "deps")
		}
		tr.fails[i] = rapid.IntRange(0, 9).Draw(t, "fails") == 0
	}
	return tr
}

func (tr trial) workflow() *Workflow {
	w := &Workflow{Name: "trial"}
	for i, deps := range tr.deps {
		task := &Task{Name: fmt.Sprint(i), State: Submitted}
		for _, d := range deps {
			task.dependsOn(w.Tasks[d])
		}
		w.Tasks = append(w.Tasks, task)
	}
	return w
}

// want returns the state that each task must end in.
func (tr trial) want() []State {
	states := make([]State, len(tr.deps))
	for i, deps := range tr.deps {
		states[i] = Done
		if tr.fails[i] {
			states[i] = Failed
		}
		for _, d := range deps {
			if states[d] != Done {
				states[i] = Blocked
			}
		}
	}
	return states
}

// A journal is what the tasks of a trial do: each notes that it ran.
type journal struct {
	mu    sync.Mutex
	ended map[string]bool
	wrong []string
}

func (j *journal) work(fails func(name string) bool) func(context.Context, *Task) error {
	return func(_ context.Context, task *Task) error {
		j.mu.Lock()
		defer j.mu.Unlock()
		for _, d := range task.Deps {
			if !j.ended[d.Name] {
				j.wrong = append(j.wrong, task.Name+" ran before "+d.Name)
			}
		}
		if task.State != Running {
			j.wrong = append(j.wrong, task.Name+" ran as "+string(task.State))
		}
		if fails(task.Name) {
			return errors.New("it fails")
		}
		j.ended[task.Name] = true
		return nil
	}
}

func TestEveryTaskRunsOnceAndAfterThoseItWaitsFor(t *testing.T) {
	defer goleak.VerifyNone(t)
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		store, err := openStore(ctx, "mem:")
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		tr := drawTrial(t)
		w := tr.workflow()
		id, err := store.Save(ctx, w)
		if err != nil {
			t.Fatal(err)
		}
		j := &journal{ended: make(map[string]bool)}
		r := &runner{store: store, workers: rapid.IntRange(1, 4).Draw(t, "workers"), progress: newProgress(io.Discard, 0, len(w.Tasks))}
		r.work = j.work(func(name string) bool {
			var i int
			fmt.Sscan(name, &i)
			return tr.fails[i]
		})
		if err := r.run(ctx, w); err != nil {
			t.Fatal(err)
		}

		w, err = persistence.Load[Workflow](ctx, store, id)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range tr.want() {
			attempts := 1
			if want == Blocked {
				attempts = 0
			}
			if got := w.Tasks[i]; got.State != want || got.Attempts != attempts {
				t.Errorf("task %d is stored as %s after %d attempts, want %s after %d", i, got.State, got.Attempts, want, attempts)
			}
		}

		// Run again, what failed is tried again, and this time all goes well.
		was, err := renew(ctx, store, w)
		if err != nil {
			t.Fatal(err)
		}
		r.work = j.work(func(string) bool { return false })
		if err := r.run(ctx, w); err != nil {
			t.Fatal(err)
		}
		done, err := store.Count(ctx, &persistence.Query{Type: taskType, State: []string{string(Done)}})
		if err != nil || done != int64(len(w.Tasks)) {
			t.Errorf("%d tasks are done at last, %v; want %d", done, err, len(w.Tasks))
		}
		again, err := store.Count(ctx, &persistence.Query{Type: taskType, Where: []persistence.Cond{persistence.Gt("attempts", 1)}})
		if err != nil || again != int64(was[Failed]) {
			t.Errorf("%d tasks ran twice, %v; want the %d that had failed", again, err, was[Failed])
		}
		if len(j.wrong) > 0 {
			t.Error(strings.Join(j.wrong, "; "))
		}
	})
}

func TestTwoProgramsOnOneStoreNoticeEachOther(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	store, err := openStore(ctx, stores(t)["sqlite"])
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	id, err := store.Save(ctx, trial{deps: [][]int{{}, {0}}}.workflow())
	if err != nil {
		t.Fatal(err)
	}
	var views []*Workflow // each program has loaded its own
	for range 2 {
		w, err := persistence.Load[Workflow](ctx, store, id)
		if err != nil {
			t.Fatal(err)
		}
		views = append(views, w)
	}
	r := &runner{store: store, workers: 2, work: simulate(0), progress: newProgress(io.Discard, 0, 2)}
	if err := r.run(ctx, views[0]); err != nil {
		t.Fatal(err)
	}
	if err := r.run(ctx, views[1]); !errors.Is(err, persistence.ErrConflict) || !strings.Contains(err.Error(), "twice on this store") {
		t.Errorf("the second program gets %v, want ErrConflict", err)
	}
}

func TestTheBarCountsTasks(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	b := newBar(&out, 1, 4)
	b.started("a")
	b.started("b")
	if want := "2 running  25% |"; !strings.Contains(out.String(), want) {
		t.Errorf("the bar lacks %q:\n%q", want, out.String())
	}
	b.ended(&Task{Name: "a", State: Done, Took: time.Second})
	b.ended(&Task{Name: "b", State: Failed})
	for _, want := range []string{"1 running  50% |", "FAILED  b\n", "0 running, 1 failed  50% |", "(2/4)"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the bar lacks %q:\n%q", want, out.String())
		}
	}
	b.close()
}
