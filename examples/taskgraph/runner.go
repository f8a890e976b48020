package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/brine-go/brine/persistence"
)

// A runner runs the tasks of a workflow with a few workers and saves every change of state.
//
// How goroutines and objects go together: a Store is safe for concurrent use, objects are not. So
// every object has one owner at a time, which alone may change it, and there are no locks:
//
//   - The goroutine that calls run owns the graph: which task waits for which, and the tasks that
//     do not run.
//   - A task sent to a worker belongs to the worker until it comes back. Names, dependencies, files
//     and machines do not change while tasks run, so every goroutine may read them.
//   - The owner of a task saves it, with SaveOnly. Save would read all that the task reaches, which
//     is the whole graph, while other workers are changing their parts of it. SaveOnly reads the
//     objects that it is given, and only the IDs of those that they refer to. It costs one small
//     write, however large the graph is. (The column "machine" also reads the machine's name: extra
//     fields must not follow pointers to things that change.)
//
// A task is saved as RUNNING before its work begins and as DONE before it is reported. So a task
// that was reported DONE is DONE after a kill, and one that is RUNNING then was cut short.
type runner struct {
	store    *persistence.Store
	workers  int
	work     func(context.Context, *Task) error // an error fails the task
	host     *Machine                           // where the tasks run; nil: where they say
	progress progress
}

// An outcome is a task that its worker gives back. err means that the store failed, not the task.
type outcome struct {
	task *Task
	err  error
}

// run runs all tasks that are SUBMITTED and returns when nothing is left that could run. When ctx
// ends, the running tasks are broken off and become SUBMITTED again.
func (r *runner) run(ctx context.Context, w *Workflow) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	jobs, outcomes := make(chan *Task), make(chan outcome)
	var workers sync.WaitGroup
	for range r.workers {
		workers.Go(func() {
			for t := range jobs {
				outcomes <- outcome{t, r.perform(ctx, t)}
			}
		})
	}
	defer workers.Wait()
	defer close(jobs)

	q := newQueue(w)
	for busy := 0; ; {
		if ctx.Err() != nil {
			q.ready = nil // no more tasks are handed out; those handed out come back
		}
		if busy == 0 && len(q.ready) == 0 {
			return context.Cause(ctx)
		}
		var next *Task
		var hand chan *Task // nil, and so never chosen, unless there is something to hand out
		if len(q.ready) > 0 && busy < r.workers {
			hand, next = jobs, q.ready[0]
		}
		select {
		case hand <- next:
			q.ready = q.ready[1:]
			busy++
			r.progress.started(next.Name)
		case o := <-outcomes:
			busy--
			err := o.err
			if err == nil {
				err = r.returned(ctx, o.task, q)
			}
			if err != nil {
				cancel(err) // the first error counts
			} else {
				r.progress.ended(o.task)
			}
		}
	}
}

// returned does what a task that came back asks for.
func (r *runner) returned(ctx context.Context, t *Task, q *queue) error {
	switch t.State {
	case Done:
		q.done(t)
	case Failed:
		return r.block(ctx, t)
	}
	return nil
}

// A queue is the tasks that can run.
type queue struct {
	ready    []*Task
	waitsFor map[*Task]int // the number of tasks not done yet that a task waits for
}

func newQueue(w *Workflow) *queue {
	q := &queue{waitsFor: make(map[*Task]int)}
	for _, t := range w.Tasks {
		for _, d := range t.Deps {
			if d.State != Done {
				q.waitsFor[t]++
			}
		}
		if t.State == Submitted && q.waitsFor[t] == 0 {
			q.ready = append(q.ready, t)
		}
	}
	return q
}

// done makes the tasks ready that waited for t alone.
func (q *queue) done(t *Task) {
	for _, d := range t.Dependents {
		if q.waitsFor[d]--; q.waitsFor[d] == 0 && d.State == Submitted {
			q.ready = append(q.ready, d)
		}
	}
}

// perform runs one task, which is the calling worker's meanwhile.
func (r *runner) perform(ctx context.Context, t *Task) error {
	t.State = Running
	t.Attempts++
	t.Started, t.Took, t.Output = time.Now(), 0, ""
	if r.host != nil {
		t.Machine = r.host
	}
	if err := r.save(ctx, t); err != nil {
		return err
	}
	err := r.work(ctx, t)
	t.Took = time.Since(t.Started)
	switch {
	case err == nil:
		t.State = Done
	case ctx.Err() != nil:
		t.State = Submitted // broken off, which says nothing about the task
	default:
		t.State = Failed
		t.Output = err.Error()
	}
	return r.save(context.WithoutCancel(ctx), t) // it is known how the task ended: never lose that
}

// block marks all tasks that can no longer run since t has failed. No worker has any of them.
func (r *runner) block(ctx context.Context, t *Task) error {
	var blocked []any
	for next := []*Task{t}; len(next) > 0; next = next[1:] {
		for _, d := range next[0].Dependents {
			if d.State == Submitted {
				d.State = Blocked
				blocked = append(blocked, d)
				next = append(next, d)
			}
		}
	}
	return r.save(context.WithoutCancel(ctx), blocked...)
}

func (r *runner) save(ctx context.Context, tasks ...any) error {
	_, err := r.store.SaveOnly(ctx, tasks...)
	if errors.Is(err, persistence.ErrConflict) {
		return fmt.Errorf("someone else has changed a task: is this program running twice on this store? %w", err)
	}
	return err
}
