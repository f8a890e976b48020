package main

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/examples/internal/cli"
	"github.com/brine-go/brine/examples/internal/clitest"
	"github.com/brine-go/brine/persistence"
)

func TestBadArgumentsAreRefusedBeforeAStoreIsCreated(t *testing.T) {
	t.Parallel()
	clitest.Refused(t, app, run, []clitest.Refusal{
		{Args: "dance", Code: cli.ExitUsage, Text: `unknown command "dance"`},
		{Args: "manager worker", Code: cli.ExitUsage, Text: `manager: unexpected argument "worker"`},
		{Args: "-from nowhere/at/all -lease 1m -engines 1 status extra", Code: cli.ExitUsage, Text: `status: unexpected argument "extra"`},
		{Args: "-tape", Code: cli.ExitUsage, Text: "not defined: -tape"},
		{Args: "-engines 0", Code: cli.ExitUsage, Text: "-engines and -batch are 1 or more"},
		{Args: "-lease 0s", Code: cli.ExitUsage, Text: "1ms or more"},
		{Args: "-from nowhere/at/all", Code: cli.ExitFailed, Text: "-from: open nowhere/at/all: "},
		{Args: "-from kit_test.go", Code: cli.ExitFailed, Text: "kit_test.go: "},
		{Args: "-store mem: worker", Code: cli.ExitFailed, Text: "memory of one process"},
	})
}

func TestHelpDoesNotShowThePasswordOfTheStore(t *testing.T) {
	clitest.HelpHidesTheStore(t, app, run, storeEnv)
}

func TestJobsAndBatchesAreCountedApart(t *testing.T) {
	benches(t, []string{"mem", "sqlite"}, func(b *bench) {
		r := &role{store: b.store, key: "all", lease: time.Minute, batch: 4, keep: time.Hour}
		if err := refill(b.Context(), b.store, "", 25); err != nil {
			b.Fatal(err)
		}
		r.drive(b)
		batches := len(b.found()) - 25
		line, done, err := progress(b.Context(), b.store)
		want := fmt.Sprintf(`COMPLETED 25 .* and %d batches, 0 unfinished$`, batches)
		if err != nil || !done || batches < 1 || !regexp.MustCompile(want).MatchString(line) {
			b.Errorf("got %q, done %t (%v), want %q", line, done, err, want)
		}
		// An unfinished batch alone keeps the run from being done.
		j := &Job{Key: "one", State: Completed, ParentBatchKey: "late"}
		batch := &Job{Key: "late", State: Running, BatchMeta: BatchMeta{SubJobs: []persistence.Ref[Job]{persistence.RefTo(j)}}}
		if _, err := b.store.SaveAll(b.Context(), j, batch); err != nil {
			b.Fatal(err)
		}
		line, done, err = progress(b.Context(), b.store)
		want = fmt.Sprintf(`RUNNING 0 .*COMPLETED 26 .* and %d batches, 1 unfinished$`, batches+1)
		if err != nil || done || !regexp.MustCompile(want).MatchString(line) {
			b.Errorf("got %q, done %t (%v), want %q, not done", line, done, err, want)
		}
	})
}

func TestStatusNamesTheSourceThatAManagerHasClaimed(t *testing.T) {
	benches(t, []string{"mem"}, func(b *bench) {
		if err := refill(b.Context(), b.store, "", 5); err != nil {
			b.Fatal(err)
		}
		r := &role{store: b.store, key: "manager-7", lease: time.Minute}
		if _, err := r.claim(b.Context(), &persistence.Query{Type: sourceType}, 1, ""); err != nil {
			b.Fatal(err)
		}
		var out strings.Builder
		if err := status(b.Context(), b.store, &out); err != nil || !strings.Contains(out.String(), "manager-7 has claimed source.counter, until ") {
			b.Errorf("status prints (%v):\n%s", err, &out)
		}
	})
}

func TestAnInterruptedRunSaysHowToGoOn(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no SIGINT for one process on Windows")
	}
	benches(t, []string{"sqlite"}, func(b *bench) {
		b.file("a", "wait", false)
		p := b.launch("-from", b.dir, "-workers", "1", "-engines", "1")
		b.until("a runs", func() bool { return b.noted("begin a") == 1 })
		if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
			b.Fatal(err)
		}
		err := p.end(false)
		want := "workers: interrupted: start it again to go on\n"
		if code := p.cmd.ProcessState.ExitCode(); code != cli.ExitInterrupted || !strings.HasSuffix(p.out.String(), want) {
			b.Errorf("exit code %d (%v), want %d and at last %q:\n%s", code, err, cli.ExitInterrupted, want, p.out.String())
		}
	})
}
