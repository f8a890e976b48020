// Taskgraph runs a graph of tasks that survives whatever happens to the program: every task, file
// and machine is an object in a store, every change of state is saved, and a run that was killed
// goes on from where it was.
//
//	go run ./examples/taskgraph
//
// runs go vet on each package of the Go module in which it is started, each package after those
// that it imports, and keeps the graph in an SQLite file. Stop it with Ctrl-C or kill -9 and start
// it again: what is DONE is not run twice.
//
//	go run ./examples/taskgraph -store file:/tmp/tasks
//	go run ./examples/taskgraph -workflow instance.json.gz -scale 0.001
//	go run ./examples/taskgraph -dot | dot -Tsvg >graph.svg
//
// Read model.go first (the objects), then store.go (saving, finding, loading) and runner.go
// (goroutines and objects).
package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/brine-go/brine/examples/internal/cli"
	"github.com/brine-go/brine/persistence"
)

var app = cli.Program{Name: "taskgraph"}

func main() { app.Main(run) }

// run is the program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c, err := parseFlags(args, stdout)
	if err != nil {
		return err
	}
	return cli.Interrupted(ctx, c.run(ctx, stdout, stderr), "resume by running it again")
}

// run returns an error if a task could not be done, too.
func (c *config) run(ctx context.Context, stdout, stderr io.Writer) (err error) {
	var fresh *Workflow
	if c.workflow != "" {
		fresh, err = readWorkflow(c.workflow)
	} else {
		fresh, err = goModule(ctx)
	}
	if err != nil {
		return err
	}
	if c.dot {
		return writeDot(stdout, fresh)
	}
	if c.store == "" {
		c.store = defaultStore(fresh.Source)
	}
	store, err := openStore(ctx, c.store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	fmt.Fprintf(stderr, "workflow %s\nstore    %s\n", fresh.Name, store.URL())
	if store.URL().Scheme() == "mem" {
		fmt.Fprintln(stderr, "a mem: store ends with the program: nothing can be resumed")
	}
	if c.reset {
		n, err := reset(ctx, store)
		if err != nil {
			return err
		}
		fmt.Fprintf(stderr, "reset: %d objects removed\n", n)
	}
	w, found, err := restore(ctx, store, fresh)
	if err != nil {
		return err
	}
	if err := c.runTasks(ctx, stderr, store, w, found); err != nil {
		return err
	}
	printFailures(stderr, w)
	if err := summarize(ctx, stdout, store, w); err != nil {
		return err
	}
	if look := cli.Look(store.URL(), "."); look != "" {
		fmt.Fprintf(stderr, "to look at the store: %s\n", look)
	}
	left := 0
	for _, t := range w.Tasks {
		if t.State != Done {
			left++
		}
	}
	if left > 0 {
		return fmt.Errorf("%d of %d tasks are not done", left, len(w.Tasks))
	}
	return nil
}

// runTasks runs what is left to run of the workflow.
func (c *config) runTasks(ctx context.Context, stderr io.Writer, store *persistence.Store, w *Workflow, found bool) error {
	was, err := renew(ctx, store, w)
	if err != nil {
		return err
	}
	switch {
	case found && was[Done] == len(w.Tasks):
		fmt.Fprintf(stderr, "finished already: all %d tasks are done; -reset runs them anew\n", len(w.Tasks))
		return nil
	case found:
		fmt.Fprintf(stderr, "resumed: %d of %d tasks are done\n", was[Done], len(w.Tasks))
	default:
		fmt.Fprintf(stderr, "stored: %d tasks\n", len(w.Tasks))
	}
	if n := was[Running]; n > 0 {
		fmt.Fprintf(stderr, "%d running when the last run was killed: run again\n", n)
	}
	if n := was[Failed]; n > 0 {
		fmt.Fprintf(stderr, "%d failed in the last run: tried again, and %d that waited for them\n", n, was[Blocked])
	}
	r := &runner{store: store, workers: c.workers}
	if w.Simulated {
		fmt.Fprintf(stderr, "SIMULATED: no command is run, each task just takes its recorded time times %g\n", c.scale)
		r.work = simulate(c.scale)
	} else {
		r.work = vet(w.Source)
		if r.host, err = here(ctx, store, w); err != nil {
			return err
		}
	}
	r.progress = newProgress(stderr, was[Done], len(w.Tasks))
	defer r.progress.close()
	return r.run(ctx, w)
}
