// Scheduler runs jobs at the times of cron expressions. Any number of processes, on any number of machines, share the jobs of
// one store: each due time of a job is run by one of them, and whichever is killed, the others go on.
//
//	go build -o s ./examples/scheduler
//	./s add tick '* * * * * *' 'a second has passed'
//	./s add report 'CRON_TZ=Europe/Berlin 30 6 * * MON-FRI' 'the report is due'
//	./s run & ./s run & ./s run &
//	./s list
//	kill -9 %2
//	./s remove tick
//
// A run is a line of JSON. One that was cut by a kill is run again by another process, once the lease of the killed one has
// passed, and says so: the line has the attempt that it repeats. All other runs happen exactly once, unless a process stands
// still for longer than its lease. Due times that nobody was there to run are run late, none is left out.
//
// With -store the jobs are elsewhere: file:DIR, or postgres://… and mysql://… for several machines.
//
// Read model.go first (the job), then run.go (the scheduler).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	neturl "net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/brine-go/brine/persistence/jobstore"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, cancel) // the second signal kills
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "scheduler:", err)
		}
		os.Exit(1)
	}
}

const usage = "usage: scheduler [flags] add NAME SPEC [TEXT] | list | remove NAME | run"

// run is the program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("scheduler", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, usage)
		flags.PrintDefaults()
	}
	storeURL := flags.String("store", "", "`URL` of the store (default: an SQLite file in the user's cache folder)")
	out := flags.String("out", "", "`FILE` to which run appends a line for each run (default: standard output)")
	s := &scheduler{}
	flags.IntVar(&s.workers, "workers", 8, "how many jobs run at once in one process")
	flags.DurationVar(&s.lease, "lease", 10*time.Second, "after which jobs of a process that was killed are run by others")
	flags.DurationVar(&s.poll, "poll", time.Second, "how often at least to look for new jobs")
	flags.DurationVar(&s.takes, "takes", 0, "how long a run takes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if s.workers < 1 || s.lease < time.Millisecond || s.poll < time.Millisecond {
		return errors.New("-workers, -lease and -poll want to be more than nothing")
	}
	if *storeURL == "" {
		*storeURL = defaultStore()
	}
	if s.store, err = openStore(ctx, *storeURL); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.store.Close()) }()
	switch words := flags.Args(); {
	case len(words) >= 3 && words[0] == "add":
		return add(ctx, s.store, words[1], words[2], strings.Join(words[3:], " "))
	case len(words) == 1 && words[0] == "list":
		return list(ctx, s.store, stdout)
	case len(words) == 2 && words[0] == "remove":
		return s.store.Remove(ctx, words[1])
	case len(words) == 1 && words[0] == "run":
		if *out != "" {
			// Lines of several processes do not mix: each is one write to the end of the file.
			f, err := os.OpenFile(*out, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
			if err != nil {
				return err
			}
			defer f.Close()
			stdout = f
		}
		s.out = slog.New(slog.NewJSONHandler(stdout, nil))
		s.warn = slog.New(slog.NewTextHandler(stderr, nil))
		if err := s.run(ctx); ctx.Err() == nil {
			return err
		}
		return nil // it was told to stop
	}
	flags.Usage()
	return flag.ErrHelp
}

// defaultStore is a file that all runs of the program share.
func defaultStore() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	path := filepath.ToSlash(filepath.Join(dir, "brine", "scheduler.db"))
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/…
	}
	return (&neturl.URL{Scheme: "sqlite", Path: path}).String()
}

func add(ctx context.Context, store *jobstore.Store[Job], name, spec, text string) (err error) {
	job := &Job{Name: name, Spec: spec, Text: text}
	if job.Next, err = job.after(time.Now()); err != nil {
		return err
	}
	return store.Add(ctx, job)
}

// list prints the jobs as a table. Jobs that cannot be read are an error behind it.
func list(ctx context.Context, store *jobstore.Store[Job], stdout io.Writer) error {
	jobs, err := store.All(ctx)
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "JOB\tNEXT\tRUNS\tTIMES\tTEXT")
	for _, job := range jobs {
		next := "never"
		if !job.Next.IsZero() {
			next = job.Next.Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\n", job.Name, next, job.Runs, job.Spec, job.Text)
	}
	return errors.Join(err, w.Flush())
}
