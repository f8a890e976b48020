package jobstore_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the zones are those of the tests, whatever the machine has

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence/jobstore"
)

// daily are jobs that run each day at one time of the clock, whose first days are before a change
// of the clocks in their zone.
var daily = []struct {
	name, zone string
	first      [6]int // year, month, day, hour, minute, second
}{
	{"spring", "America/New_York", [6]int{2024, 3, 8, 9, 0, 0}},   // to summer time on the 10th
	{"autumn", "America/New_York", [6]int{2024, 11, 1, 9, 0, 0}},  // and back on the 3rd
	{"berlin", "Europe/Berlin", [6]int{2024, 3, 29, 23, 59, 59}},  // to summer time on the 31st
	{"south", "Australia/Sydney", [6]int{2024, 10, 4, 6, 30, 0}},  // to summer time on the 6th
	{"half", "Australia/Lord_Howe", [6]int{2024, 4, 5, 12, 0, 1}}, // back by half an hour on the 7th
	{"none", "UTC", [6]int{2024, 3, 8, 9, 0, 0}},
}

// runs is how often each daily job runs in the tests.
const runs = 6

// wantRuns returns the runs of the daily jobs, the earliest first.
func wantRuns(t *testing.T) map[string][]string {
	t.Helper()
	want := map[string][]string{}
	for _, d := range daily {
		loc := must[*time.Location](t)(time.LoadLocation(d.zone))
		for i := range runs {
			f := d.first
			at := time.Date(f[0], time.Month(f[1]), f[2]+i, f[3], f[4], f[5], 0, loc)
			if h, m, s := at.Clock(); h != f[3] || m != f[4] || s != f[5] {
				t.Fatalf("there is no such time: %v", at)
			}
			want[d.name] = append(want[d.name], at.Format(time.RFC3339))
		}
	}
	return want
}

func addDaily(t *testing.T, s *jobstore.Store[Job]) {
	t.Helper()
	for _, d := range daily {
		loc := must[*time.Location](t)(time.LoadLocation(d.zone))
		f := d.first
		check(t, s.Add(t.Context(), &Job{Name: d.name, Next: time.Date(f[0], time.Month(f[1]), f[2], f[3], f[4], f[5], 0, loc)}))
	}
}

// runDaily runs the jobs of a store, each as soon as the job store says that it is due and not a
// microsecond earlier, and calls ran for each run, with the time of the job.
func runDaily(ctx context.Context, s *jobstore.Store[Job], ran func(name string, due time.Time)) error {
	for range len(daily) * runs {
		next, found, err := s.NextRunTime(ctx)
		if err != nil || !found {
			return fmt.Errorf("next run time: %v, %w", found, err)
		}
		if early, err := s.Acquire(ctx, "early", next.Add(-time.Microsecond), 10, time.Minute); err != nil || len(early) > 0 {
			return fmt.Errorf("%d jobs are due before %v, %w", len(early), next, err)
		}
		due, err := s.Acquire(ctx, "scheduler", next, 1, time.Minute)
		if err != nil || len(due) != 1 {
			return fmt.Errorf("%d jobs are due at %v, %w", len(due), next, err)
		}
		job := due[0].Job()
		if !job.Next.Equal(next) {
			return fmt.Errorf("job %s is of %v, its column of %v", job.Name, job.Next, next)
		}
		ran(job.Name, job.Next)
		job.Next, job.Runs = job.Next.AddDate(0, 0, 1), job.Runs+1
		if job.Runs == runs {
			job.Next = time.Time{}
		}
		if err := due[0].Done(ctx); err != nil {
			return err
		}
	}
	return nil
}

func TestDailyJobsKeepTheirTimeOfDayWhenTheClocksChange(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		addDaily(t, open(t, here, options()))
		got := map[string][]string{}
		check(t, runDaily(t.Context(), open(t, here, options()), func(name string, due time.Time) {
			got[name] = append(got[name], due.Format(time.RFC3339))
		}))
		if diff := cmp.Diff(wantRuns(t), got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

// The same on another machine: in a process whose local zone is another one.
func TestDailyJobsKeepTheirTimeOfDayInAnotherProcess(t *testing.T) {
	backends(t, func(t *testing.T, here site) {
		if here.mem != nil {
			return // processes cannot share it
		}
		for _, local := range []string{"Asia/Kolkata", "America/New_York"} {
			s := open(t, here, options())
			addDaily(t, s)
			cmd := exec.Command(os.Args[0], "-test.run=^TestChildRunsDailyJobs$", "-test.v")
			cmd.Env = append(os.Environ(), "BRINE_TEST_DAILY="+here.url, "TZ="+local)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			got := map[string][]string{}
			for line := range strings.Lines(string(out)) {
				if f := strings.Fields(line); len(f) == 3 && f[0] == "ran" {
					got[f[1]] = append(got[f[1]], f[2])
				}
			}
			if diff := cmp.Diff(wantRuns(t), got); diff != "" {
				t.Errorf("local zone %s: (-want +got)\n%s", local, diff)
			}
			must[int64](t)(s.RemoveAll(t.Context()))
		}
	})
}

func TestChildRunsDailyJobs(t *testing.T) {
	url := os.Getenv("BRINE_TEST_DAILY")
	if url == "" {
		t.Skip("it is the child of another test")
	}
	if got, want := time.Local.String(), os.Getenv("TZ"); got != want {
		t.Fatalf("the local zone is %s, not %s", got, want)
	}
	check(t, runDaily(t.Context(), open(t, site{url: url}, options()), func(name string, due time.Time) {
		fmt.Println("ran", name, due.Format(time.RFC3339))
	}))
}
