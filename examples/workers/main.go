// Workers is a batch system of three roles, as jobman is: the manager takes jobs from a source and, when they have ended, completes and
// purges them; workers make jobs ready and put small ones together into batches; engines run them. Each role is a process of its
// own, of most there are several, and nothing but the store is between them. They pass each other the jobs by claims.
//
//	go run ./examples/workers
//	go run ./examples/workers -from FOLDER
//
// makes jobs, or takes those of a folder with files such as {"command": ["go", "version"], "batchable": true}, runs all
// roles until the jobs are done, and shows how many are in each state. Kill any of the processes with kill -9, or all of
// them, and start again: what a dead one had claimed lapses after the -lease and others go on. By hand, with
// the store on a server (-store postgres://…) also on several machines:
//
//	go build -o w ./examples/workers
//	./w manager & ./w worker & ./w engine & ./w engine &
//	./w status
//	./w pause
//
// Read model.go first (what a job is), then manager.go, worker.go and engine.go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	neturl "net/url"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence"
	_ "github.com/brine-go/brine/persistence/all"
	"github.com/brine-go/brine/url"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, cancel) // the second signal kills
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "workers:", err)
		}
		os.Exit(1)
	}
}

// run is the program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("workers", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: workers [flags] [manager | worker | engine | status | pause | resume]; without a word it runs all roles")
		flags.PrintDefaults()
	}
	storeURL := flags.String("store", os.Getenv(storeEnv), "`URL` of the store (default: $"+storeEnv+", or else an SQLite file in the user's cache folder)")
	n := flags.Int("jobs", 200, "how many jobs to make, if the last run has finished its own")
	from := flags.String("from", "", "take the jobs from the files of that `FOLDER` instead")
	workers := flags.Int("workers", 2, "how many workers")
	engines := flags.Int("engines", max(2, runtime.NumCPU()), "how many engines")
	r := &role{}
	flags.DurationVar(&r.lease, "lease", 10*time.Second, "how long a dead process keeps its jobs")
	flags.IntVar(&r.batch, "batch", 8, "how many jobs a worker puts into a batch at most")
	flags.DurationVar(&r.keep, "keep", time.Hour, "how long finished jobs are kept")
	flags.BoolVar(&r.verbose, "v", false, "say what each process does")
	if err := flags.Parse(args); err != nil {
		return err
	}
	verb := flags.Arg(0)
	switch {
	case flags.NArg() > 1:
		return fmt.Errorf("unexpected argument %q", flags.Arg(1))
	case min(*n, *workers, *engines, r.batch) < 1 || r.lease < time.Millisecond:
		return errors.New("-jobs, -workers, -engines and -batch are 1 or more, -lease is 1ms or more")
	}
	if *storeURL == "" {
		*storeURL = defaultStore()
	}
	ctx, cancel := leash(ctx)
	defer cancel()
	// UUIDs of version 7, so that jobs stand in the order of their making and a source can have an ID of its own.
	r.store, err = persistence.MakeStore(ctx, *storeURL, &persistence.Options{ExtraFields: columns, IDs: idfactory.UUIDv7()})
	if r.store == nil && ctx.Err() != nil && roles[verb] != nil {
		return nil // it was told to end before it could begin
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.store.Close()) }()
	if private(r.store.URL()) {
		return fmt.Errorf("%s is the memory of one process: the roles need a store that others can open", r.store.URL())
	}

	switch {
	case roles[verb] != nil:
		return r.work(ctx, verb)
	case verb == "status":
		return status(ctx, r.store, stdout)
	case verb == "pause" || verb == "resume":
		changed, err := pause(ctx, r.store, verb == "pause")
		if err == nil && !changed {
			err = fmt.Errorf("nothing to %s", verb)
		}
		return err
	case verb != "":
		flags.Usage()
		return fmt.Errorf("cannot do %q", verb)
	}
	return r.all(ctx, *from, *n, map[string]int{"manager": 1, "worker": *workers, "engine": *engines}, stdout)
}

// all runs all roles, each as often as count says, until all jobs are finished.
func (r *role) all(ctx context.Context, from string, n int, count map[string]int, stdout io.Writer) error {
	fmt.Fprintf(stdout, "store %s\n", r.store.URL())
	if err := refill(ctx, r.store, from, n); err != nil {
		return err
	}
	c, err := hire(r.store, count, []string{"-lease", r.lease.String(), "-batch", fmt.Sprint(r.batch),
		"-keep", r.keep.String(), fmt.Sprintf("-v=%t", r.verbose)})
	if err != nil {
		return err
	}
	err = c.watch(ctx, r.store, stdout)
	if err := errors.Join(err, c.dismiss()); err != nil {
		return err
	}
	return summary(ctx, r.store, stdout)
}

// private reports whether a store is nobody else's.
func private(u url.URL) bool {
	return u.Scheme() == "mem" || u.Scheme() == "sqlite" && (u.Path() == "" || u.Path() == ":memory:")
}

func defaultStore() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	path := filepath.ToSlash(filepath.Join(dir, "brine", "workers.db"))
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/…
	}
	return (&neturl.URL{Scheme: "sqlite", Path: path}).String()
}
