// Workers is a batch system of three roles, as jobman is: the manager takes jobs from a source and,
// when they have ended, completes and purges them; workers make jobs ready and put small ones
// together into batches; engines run them. Each role is a process of its own, most roles are
// several processes, and they share nothing but the store. They pass jobs to each other by claims.
//
//	go run ./examples/workers
//	go run ./examples/workers -from FOLDER
//
// makes jobs, or takes those of a folder with files such as {"command": ["go", "version"],
// "batchable": true}, runs all roles until the jobs are done, and shows how many are in each state.
// Kill any of the processes with kill -9, or all of them, and start again: the claims of a killed
// process end after the -lease, and others go on. By hand, with the store on a server
// (-store postgres://…) also on several machines:
//
//	go build -o w ./examples/workers
//	./w manager & ./w worker & ./w engine & ./w engine &
//	./w status
//	./w pause
//
// Read model.go first (what a job is), then manager.go, worker.go and engine.go.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/brine-go/brine/examples/internal/cli"
	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence"
	_ "github.com/brine-go/brine/persistence/all"
)

var app = cli.Program{
	Name:     "workers",
	Commands: []string{"manager", "worker", "engine", "status", "pause", "resume"},
	Default:  "it runs all roles",
}

func main() { app.Main(run) }

// run is the program.
func run(ctx context.Context, args []string, stdout, _ io.Writer) (err error) {
	flags := app.Flags()
	storeURL := flags.String("store", "", "`URL` of the store (default: $"+storeEnv+", or else an SQLite file in the user's cache folder)")
	n := flags.Int("jobs", 200, "how many jobs to make, if the last run has finished its own")
	from := flags.String("from", "", "take the jobs from the files of that `FOLDER` instead")
	workers := flags.Int("workers", 2, "how many workers")
	engines := flags.Int("engines", max(2, runtime.NumCPU()), "how many engines")
	r := &role{}
	flags.DurationVar(&r.lease, "lease", 10*time.Second, "how long a dead process keeps its jobs")
	flags.IntVar(&r.batch, "batch", 8, "how many jobs a worker puts into a batch at most")
	flags.DurationVar(&r.keep, "keep", time.Hour, "how long finished jobs are kept")
	flags.BoolVar(&r.verbose, "v", false, "say what each process does")
	if err := app.Parse(flags, args, stdout); err != nil {
		return err
	}
	command := flags.Arg(0)
	if min(*n, *workers, *engines, r.batch) < 1 || r.lease < time.Millisecond {
		return cli.UsageErrorf("-jobs, -workers, -engines and -batch are 1 or more, -lease is 1ms or more")
	}
	if command == "" && *from != "" {
		if _, err := os.ReadDir(*from); err != nil {
			return fmt.Errorf("-from: %w", err)
		}
	}
	*storeURL = cmp.Or(*storeURL, os.Getenv(storeEnv), cli.DefaultStore("workers.db"))
	if err := cli.CheckShared(*storeURL); err != nil {
		return err
	}
	ctx, cancel := endWithStdin(ctx)
	defer cancel()
	// UUIDs of version 7, so that jobs are in the order in which they were made, and a source can
	// have an ID of its own.
	r.store, err = persistence.MakeStore(ctx, *storeURL, &persistence.Options{ExtraFields: columns, IDs: idfactory.UUIDv7()})
	if r.store == nil && ctx.Err() != nil && roles[command] != nil {
		return nil // it was told to end before it could begin
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.store.Close()) }()

	switch command {
	case "":
		return r.all(ctx, *from, *n, map[string]int{"manager": 1, "worker": *workers, "engine": *engines}, stdout)
	case "status":
		return status(ctx, r.store, stdout)
	case "pause", "resume":
		changed, err := pause(ctx, r.store, command == "pause")
		if err == nil && !changed {
			err = fmt.Errorf("nothing to %s", command)
		}
		return err
	}
	return r.work(ctx, command)
}

// all runs all roles, each as often as count says, until all jobs are finished.
func (r *role) all(ctx context.Context, from string, n int, count map[string]int, stdout io.Writer) error {
	fmt.Fprintf(stdout, "store %s\n", r.store.URL())
	if err := refill(ctx, r.store, from, n); err != nil {
		return err
	}
	g, err := startGroup(r.store, count, []string{"-lease", r.lease.String(), "-batch", fmt.Sprint(r.batch),
		"-keep", r.keep.String(), fmt.Sprintf("-v=%t", r.verbose)})
	if err != nil {
		return err
	}
	err = cli.Interrupted(ctx, g.watch(ctx, r.store, stdout), "start it again to go on")
	if err := errors.Join(err, g.stop()); err != nil {
		return err
	}
	return summary(ctx, r.store, stdout)
}
