// Scheduler runs jobs at the times of cron expressions. Any number of processes, on any number of
// machines, share the jobs of one store: each due time of a job is run by one of them, and if one
// is killed, the others go on.
//
//	go build -o s ./examples/scheduler
//	./s add tick '* * * * * *' 'a second has passed'
//	./s add report 'CRON_TZ=Europe/Berlin 30 6 * * MON-FRI' 'the report is due'
//	./s run & ./s run & ./s run &
//	./s list
//	kill -9 %2
//	./s remove tick
//
// A run prints a line of JSON. A run that was cut short by a kill is repeated by another process
// when the lease of the killed one has ended; its line names the attempt that it repeats. All other
// runs happen exactly once, unless a process is suspended for longer than its lease. If no process
// runs at a due time, that run happens late; none is left out.
//
// With -store the jobs are elsewhere: file:DIR, or postgres://… and mysql://… for several machines.
//
// Read model.go first (the job), then run.go (the scheduler).
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/brine-go/brine/examples/internal/cli"
	"github.com/brine-go/brine/persistence/jobstore"
)

var app = cli.Program{
	Name:     "scheduler",
	Commands: []string{"add NAME SPEC [TEXT...]", "list", "remove NAME", "run"},
}

func main() { app.Main(run) }

// run is the program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := app.Flags()
	storeURL := flags.String("store", "", "`URL` of the store (default: an SQLite file in the user's cache folder)")
	out := flags.String("out", "", "`FILE` to which run appends a line for each run (default: standard output)")
	s := &scheduler{}
	flags.IntVar(&s.workers, "workers", 8, "how many jobs run at once in one process")
	flags.DurationVar(&s.lease, "lease", 10*time.Second, "after which jobs of a process that was killed are run by others")
	flags.DurationVar(&s.poll, "poll", time.Second, "how often at least to look for new jobs")
	flags.DurationVar(&s.takes, "takes", 0, "how long a run takes")
	if err := app.Parse(flags, args, stdout); err != nil {
		return err
	}
	if s.workers < 1 || s.lease < time.Millisecond || s.poll < time.Millisecond {
		return cli.UsageErrorf("-workers is 1 or more, -lease and -poll are 1ms or more")
	}
	*storeURL = cmp.Or(*storeURL, cli.DefaultStore("scheduler.db"))
	if err := cli.CheckShared(*storeURL); err != nil {
		return err
	}
	if s.store, err = openStore(ctx, *storeURL); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.store.Close()) }()
	switch command := flags.Args(); command[0] {
	case "add":
		return add(ctx, s.store, command[1], command[2], strings.Join(command[3:], " "))
	case "list":
		return list(ctx, s.store, stdout)
	case "remove":
		return remove(ctx, s.store, command[1])
	}
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

func add(ctx context.Context, store *jobstore.Store[Job], name, spec, text string) (err error) {
	job := &Job{Name: name, Spec: spec, Text: text}
	if job.Next, err = job.after(time.Now()); err != nil {
		return err
	}
	err = store.Add(ctx, job)
	if errors.Is(err, jobstore.ErrConflictingID) {
		return fmt.Errorf("there is a job named %q already", name)
	}
	return err
}

func remove(ctx context.Context, store *jobstore.Store[Job], name string) error {
	err := store.Remove(ctx, name)
	if errors.Is(err, jobstore.ErrJobLookup) {
		return fmt.Errorf("no job is named %q", name)
	}
	return err
}

// list prints the jobs as a table, and then returns an error for those that cannot be read.
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
