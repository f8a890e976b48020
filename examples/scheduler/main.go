// Scheduler runs jobs at the times of cron expressions. Any number of processes, on any number of
// machines, share the jobs of one store: each due time of a job is run by one of them, and if one
// is killed, the others go on.
//
//	go build -o s ./examples/scheduler
//	./s add tick '* * * * * *' 'a second has passed'
//	./s -zone Europe/Berlin add report '30 6 * * MON-FRI' 'the report is due'
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
// The times of a job are those of the zone in which it was added, also when the clocks change
// there, and whatever the zone of the process that runs it. Without -zone that is the zone of this
// machine, whose name Go does not know: then run the job on machines of the same zone.
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
	_ "time/tzdata" // a job of a zone runs on a machine without a zone database too

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
	zone := flags.String("zone", "Local", "`ZONE` of the times of a job that is added, such as America/New_York")
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
	in, err := time.LoadLocation(*zone)
	if err != nil {
		return cli.UsageErrorf("-zone: %v", err)
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
		return add(ctx, s.store, time.Now().In(in), &Job{Name: command[1], Spec: command[2], Text: strings.Join(command[3:], " ")})
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

// add adds a job whose times are those of the location of now.
func add(ctx context.Context, store *jobstore.Store[Job], now time.Time, job *Job) (err error) {
	if job.Next, err = job.after(now); err != nil {
		return err
	}
	err = store.Add(ctx, job)
	if errors.Is(err, jobstore.ErrConflictingID) {
		return fmt.Errorf("there is a job named %q already", job.Name)
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
