package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/examples/internal/cli"
	"github.com/brine-go/brine/examples/internal/clitest"
	"github.com/brine-go/brine/persistence/jobstore"
)

// A load is how hard the processes are tried.
type load struct {
	jobs      int
	kills     int
	killEvery time.Duration
}

const processes = 4

func TestEachDueTimeIsRunOnceThoughProcessesAreKilled(t *testing.T) {
	hard := load{jobs: 20, kills: 4, killEvery: time.Second}
	if os.Getenv("BRINE_LONG") != "" {
		hard = load{jobs: 200, kills: 12, killEvery: 5 * time.Second}
	}
	backends(t, func(t *testing.T, url string) {
		store, out := open(t, url), filepath.Join(t.TempDir(), "runs")
		first := make(map[string]time.Time)
		for i := range hard.jobs {
			job := addJob(t, store, fmt.Sprintf("job %03d", i))
			first[job.Name] = job.Next
		}
		args := []string{"-store", url, "-out", out, "-lease", "2s", "-poll", "200ms", "-takes", "30ms"}
		var running []*process
		for range processes {
			running = append(running, launch(t, args...))
		}
		killed := make(map[int]bool)
		for range hard.kills {
			time.Sleep(hard.killEvery - 500*time.Millisecond + rand.N(time.Second))
			i := rand.IntN(processes)
			running[i].kill(t)
			killed[running[i].pid()] = true
			running[i] = launch(t, args...)
		}
		end := time.Now()
		eventually(t, "all jobs are run up to the last kill", func() bool {
			next, _, err := store.NextRunTime(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return next.After(end)
		})
		for _, p := range running {
			p.kill(t)
		}

		type run struct {
			job string
			due time.Time
		}
		plain, repeated := make(map[run]int), make(map[run]int)
		cut, slow := 0, 0
		for _, l := range readLines(t, out) {
			r := run{l.Job, l.Due.UTC()}
			if l.Due.Before(first[l.Job]) || l.Due.Nanosecond() != 0 {
				t.Errorf("%s was run for %v", l.Job, l.Due)
			}
			if l.Time.Before(l.Due) {
				t.Errorf("%s was run at %v, before it was due", l.Job, l.Time)
			}
			if l.Repeats == nil {
				if plain[r]++; plain[r] > 1 {
					t.Errorf("%s was run %d times for %v", l.Job, plain[r], l.Due)
				}
				continue
			}
			repeated[r]++
			if !l.Repeats.Due.Equal(l.Due) || l.Time.Before(l.Repeats.Until) {
				t.Errorf("%s was repeated at %v, before the lease had passed: %+v", l.Job, l.Time, l.Repeats)
			}
			if killed[l.Repeats.By] {
				cut++
			} else {
				slow++ // the machine was, and the lease passed
			}
		}
		times := 0
		for name, due := range first {
			for due = due.UTC(); !due.After(end); due = due.Add(time.Second) {
				times++
				if r := (run{name, due}); plain[r]+repeated[r] == 0 {
					t.Errorf("%s was not run for %v", name, due)
				}
			}
		}
		t.Logf("%d due times of %d jobs, %d kills; repeated: %d after a kill, %d after a lapse", times, hard.jobs, hard.kills, cut, slow)
	})
}

func TestARunThatWasCutIsRepeatedAfterTheLeaseAndSaysSo(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		store, out := open(t, url), filepath.Join(t.TempDir(), "runs")
		due := addJob(t, store, "blah").Next
		p := launch(t, "-store", url, "-out", out, "-lease", "1s", "-takes", "1h")
		eventually(t, "the run has begun", func() bool { return lookup(t, store, "blah").Last.By == p.pid() })
		until := lookup(t, store, "blah").Last.Until
		p.kill(t)
		launch(t, "-store", url, "-out", out, "-poll", "50ms")
		eventually(t, "the job is run again", func() bool { return len(readLines(t, out)) >= 2 })
		lines := readLines(t, out)
		if l := lines[0]; l.Repeats == nil || !l.Due.Equal(due) || l.Repeats.By != p.pid() || !l.Repeats.Until.Equal(until) || l.Time.Before(until) {
			t.Errorf("got %+v, %+v, want a repetition of %v by %d after %v", l, l.Repeats, due, p.pid(), until)
		}
		if l := lines[1]; l.Repeats != nil || !l.Due.Equal(due.Add(time.Second)) {
			t.Errorf("got %+v, want the next run, and no repetition", l)
		}
	})
}

func TestDueTimesThatNobodyWasThereForAreRunLate(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		store := open(t, url)
		job := addJob(t, store, "blah")
		first := job.Next.Add(-20 * time.Second)
		job.Next = first
		if err := store.Update(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		stop := start(t, quiet(store, &out))
		eventually(t, "20 runs are done", func() bool { return lookup(t, store, "blah").Runs >= 20 })
		stop()
		for i := range 20 {
			if want := `"due":"` + first.Add(time.Duration(i)*time.Second).Format(time.RFC3339Nano) + `"`; strings.Count(out.String(), want) != 1 {
				t.Errorf("want %s once:\n%s", want, &out)
			}
		}
	})
}

// start starts a scheduler within the test, and returns what stops it.
func start(t *testing.T, s *scheduler) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

func TestASchedulerThatIsStoppedFinishesWhatItHasBegun(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		store := open(t, url)
		due := addJob(t, store, "blah").Next
		var out bytes.Buffer
		s := quiet(store, &out)
		s.takes = 200 * time.Millisecond
		stop := start(t, s)
		eventually(t, "the run has begun", func() bool { return lookup(t, store, "blah").Last.Due.Equal(due) })
		stop()
		if job := lookup(t, store, "blah"); job.Runs < 1 || !job.Next.After(due) || strings.Count(out.String(), `"msg":"run"`) != int(job.Runs) {
			t.Errorf("got %+v\n%s", job, &out)
		}
		for c, err := range store.Objects().Claims(t.Context()) {
			t.Errorf("still acquired: %v, %v", c, err)
		}
	})
}

func TestALongRunKeepsItsJob(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		store := open(t, url)
		addJob(t, store, "blah")
		s := quiet(store, &bytes.Buffer{})
		s.lease = 300 * time.Millisecond
		var a *jobstore.Acquired[Job]
		eventually(t, "the job is due", func() bool {
			got, err := store.Acquire(t.Context(), "me", time.Now(), 1, s.lease)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) == 1 {
				a = got[0]
			}
			return a != nil
		})
		until := a.Until()
		stop := s.keep(t.Context(), a)
		defer stop()
		eventually(t, "the lease is extended again and again", func() bool { return a.Until().Sub(until) > 3*s.lease })
	})
}

func TestAJobChangedDuringItsRunKeepsTheChange(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		store, ctx := open(t, url), t.Context()
		var out bytes.Buffer
		s := quiet(store, &out)
		for name, change := range map[string]func(*Job){
			"other text": func(j *Job) { j.Text = "changed" },
			"other time": func(j *Job) { j.Text, j.Next = "changed", j.Next.AddDate(1, 0, 0) },
		} {
			due := addJob(t, store, name).Next
			got, err := store.Acquire(ctx, "me", due, 1, time.Hour)
			if err != nil || len(got) != 1 {
				t.Fatalf("%v, %v", got, err)
			}
			job := lookup(t, store, name)
			change(job)
			if err := store.Update(ctx, job); err != nil {
				t.Fatal(err)
			}
			if err := s.done(ctx, got[0], due); err != nil {
				t.Error(err)
			}
			want := due.Add(time.Second)
			if job.Next.After(want) {
				want = job.Next
			}
			if got := lookup(t, store, name); got.Text != "changed" || !got.Next.Equal(want) {
				t.Errorf("%s: got %+v, want next %v", name, got, want)
			}
			if err := store.Remove(ctx, name); err != nil {
				t.Fatal(err)
			}
		}
		due := addJob(t, store, "removed").Next
		got, err := store.Acquire(ctx, "me", due, 1, time.Hour)
		if err != nil || len(got) != 1 {
			t.Fatal(got, err)
		}
		if err := store.Remove(ctx, "removed"); err != nil {
			t.Fatal(err)
		}
		if err := s.runJob(ctx, got[0]); !errors.Is(err, jobstore.ErrConflict) || out.Len() > 0 {
			t.Errorf("run of a job that was removed: %v\n%s", err, &out)
		}
	})
}

func TestTheProgramAddsListsAndRemovesJobs(t *testing.T) {
	t.Parallel()
	url := "sqlite:" + filepath.ToSlash(t.TempDir()) + "/jobs.db"
	do := func(args ...string) (string, error) {
		var stdout bytes.Buffer
		err := run(t.Context(), append([]string{"-store", url}, args...), &stdout, io.Discard)
		return stdout.String(), err
	}
	for _, test := range []struct {
		args string
		want string // in the output, or in the error
		ok   bool
	}{
		{"add|tick|*/2 * * * * *|every|two", "", true},
		{"add|yearly|@yearly", "", true},
		{"add|never|0 0 30 2 *", "", true},
		{"add|rome|CRON_TZ=Europe/Rome 30 6 * * MON-FRI", "", true},
		{"list", "every two", true},
		{"list", "-01-01T00:00:00", true},
		{"list", "never", true},
		{"add|tick|@hourly", `there is a job named "tick" already`, false},
		{"add|bad|61 * * * * *", "61", false},
		{"add|bad|CRON_TZ=Mars/Olympus * * * * *", "Mars/Olympus", false},
		{"remove|tick", "", true},
		{"remove|tick", `no job is named "tick"`, false},
	} {
		out, err := do(strings.Split(test.args, "|")...)
		if err != nil {
			out = err.Error()
		}
		if (err == nil) != test.ok || !strings.Contains(out, test.want) || strings.Contains(out, "brine:") {
			t.Errorf("%s: got %q, %v, want %q", test.args, out, err, test.want)
		}
	}
	if out, err := do("list"); err != nil || strings.Contains(out, "tick") || strings.Contains(out, "bad") {
		t.Errorf("got %s, %v", out, err)
	}
}

// A job of each kind of expression runs at the same time of day before and after a change of the
// clocks, though each time is computed from one that was stored. The process that added it was of
// another zone.
func TestJobsKeepTheirTimeOfDayWhenTheClocksChange(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{
			{"-zone", "America/New_York", "add", "zone", "0 9 * * *"},
			{"add", "spec", "CRON_TZ=America/New_York 0 9 * * *"},
			{"-zone", "Asia/Tokyo", "add", "both", "CRON_TZ=America/New_York 0 0 9 * * *"},
		} {
			cmd := exec.Command(self, append([]string{"-store", url}, args...)...)
			cmd.Env = append(os.Environ(), "TZ=Asia/Kolkata")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		newYork, err := time.LoadLocation("America/New_York")
		if err != nil {
			t.Fatal(err)
		}
		jobs, err := open(t, url).All(t.Context())
		if err != nil || len(jobs) != 3 {
			t.Fatalf("%d jobs, %v", len(jobs), err)
		}
		if next := jobs[0].Next; next.Before(time.Now()) || next.After(time.Now().AddDate(0, 0, 2)) {
			t.Errorf("the first time is %v", next)
		}
		for _, job := range jobs {
			if h, m, s := job.Next.In(newYork).Clock(); h != 9 || m != 0 || s != 0 {
				t.Errorf("job %s was added for %v", job.Name, job.Next)
			}
			for _, first := range []time.Time{time.Date(2024, 3, 7, 9, 0, 0, 0, newYork), time.Date(2024, 10, 31, 9, 0, 0, 0, newYork)} {
				job.Next = first.In(job.Next.Location())
				for day := range 7 {
					store := open(t, url)
					if err := store.Update(t.Context(), job); err != nil {
						t.Fatal(err)
					}
					if job, err = store.Lookup(t.Context(), job.Name); err != nil {
						t.Fatal(err)
					}
					if want := time.Date(first.Year(), first.Month(), first.Day()+day, 9, 0, 0, 0, newYork); !job.Next.Equal(want) {
						t.Errorf("job %s is due at %v, not %v", job.Name, job.Next, want)
					}
					if job.Next, err = job.after(job.Next); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	})
}

func TestAWrongCommandLineIsRefusedBeforeAStoreIsCreated(t *testing.T) {
	t.Parallel()
	clitest.Refused(t, app, run, []clitest.Refusal{
		{Args: "", Code: cli.ExitUsage, Text: "a command is missing"},
		{Args: "dance", Code: cli.ExitUsage, Text: `unknown command "dance"`},
		{Args: "add", Code: cli.ExitUsage, Text: "add: NAME is missing"},
		{Args: "add x", Code: cli.ExitUsage, Text: "add: SPEC is missing"},
		{Args: "list extra", Code: cli.ExitUsage, Text: `list: unexpected argument "extra"`},
		{Args: "remove", Code: cli.ExitUsage, Text: "remove: NAME is missing"},
		{Args: "-tape run", Code: cli.ExitUsage, Text: "not defined: -tape"},
		{Args: "-workers 0 run", Code: cli.ExitUsage, Text: "-workers is 1 or more"},
		{Args: "-poll 0s run", Code: cli.ExitUsage, Text: "-poll are 1ms or more"},
		{Args: "-zone Mars/Olympus list", Code: cli.ExitUsage, Text: "-zone: unknown time zone Mars/Olympus"},
		{Args: "-store mem: list", Code: cli.ExitFailed, Text: "memory of one process"},
	})
}
