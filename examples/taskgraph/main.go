// Taskgraph runs a graph of tasks that survives whatever happens to the program: every task, file
// and machine is an object in a store, every change of state is saved, and a run
// that was killed goes on where it stood.
//
//	go run ./examples/taskgraph
//
// runs go vet on each package of the Go module it is started in, each one after those that it imports, and keeps
// the graph in an SQLite file. Stop it with Ctrl-C or kill -9 and start it again: what is DONE is not run twice.
//
//	go run ./examples/taskgraph -store file:/tmp/tasks
//	go run ./examples/taskgraph -workflow instance.json.gz -scale 0.001
//	go run ./examples/taskgraph -dot | dot -Tsvg >graph.svg
//
// Read model.go first (the objects), then store.go (saving, finding, loading) and runner.go (goroutines and objects).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/brine-go/brine/persistence"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1 // a task failed, or something else went wrong
	exitUsage       = 2
	exitInterrupted = 130 // as shells have it
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second Ctrl-C kills
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program; it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c, err := parseFlags(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	} else if err != nil {
		return exitUsage
	}
	allDone, err := c.run(ctx, stdout, stderr)
	switch {
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "\ninterrupted: resume by running it again")
		return exitInterrupted
	case err != nil:
		fmt.Fprintln(stderr, "taskgraph:", err)
		return exitFailed
	case !allDone:
		return exitFailed
	}
	return exitOK
}

func (c *config) run(ctx context.Context, stdout, stderr io.Writer) (allDone bool, err error) {
	var fresh *Workflow
	if c.workflow != "" {
		fresh, err = readWorkflow(c.workflow)
	} else {
		fresh, err = goModule(ctx)
	}
	if err != nil {
		return false, err
	}
	if c.dot {
		return true, writeDot(stdout, fresh)
	}
	if c.store == "" {
		c.store = defaultStore(fresh.Source)
	}
	store, err := openStore(ctx, c.store)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	fmt.Fprintf(stderr, "workflow %s\nstore    %s\n", fresh.Name, store.URL())
	if store.URL().Scheme() == "mem" {
		fmt.Fprintln(stderr, "a mem: store ends with the program: nothing can be resumed")
	}
	if c.reset {
		n, err := reset(ctx, store)
		if err != nil {
			return false, err
		}
		fmt.Fprintf(stderr, "reset: %d objects removed\n", n)
	}
	w, found, err := restore(ctx, store, fresh)
	if err != nil {
		return false, err
	}
	if err := c.runTasks(ctx, stderr, store, w, found); err != nil {
		return false, err
	}
	printFailures(stderr, w)
	allDone = !slices.ContainsFunc(w.Tasks, func(t *Task) bool { return t.State != Done })
	return allDone, summarize(ctx, stdout, store, w)
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
