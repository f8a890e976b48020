package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/examples/internal/cli"
	"github.com/brine-go/brine/persistence"
)

func TestBadArgumentsAreRefusedBeforeAStoreIsCreated(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args, want string
		code       int
	}{
		{"dance", `unknown command "dance"`, cli.ExitUsage},
		{"manager worker", `manager: unexpected argument "worker"`, cli.ExitUsage},
		{"-from nowhere/at/all -lease 1m -engines 1 status extra", `status: unexpected argument "extra"`, cli.ExitUsage},
		{"-tape", "not defined: -tape", cli.ExitUsage},
		{"-engines 0", "1 or more", cli.ExitUsage},
		{"-lease 0s", "1ms or more", cli.ExitUsage},
		{"-from nowhere/at/all", "-from: open nowhere/at/all: ", cli.ExitFailed},
		{"-from kit_test.go", "kit_test.go: ", cli.ExitFailed},
		{"-store mem: worker", "memory of one process", cli.ExitFailed},
	} {
		file := filepath.Join(t.TempDir(), "jobs.db")
		var out strings.Builder
		args := append([]string{"-store", "sqlite:" + filepath.ToSlash(file)}, strings.Fields(c.args)...)
		code := app.Exit(t.Context(), run(t.Context(), args, &out, &out), &out)
		if code != c.code || !strings.Contains(out.String(), c.want) || strings.Contains(out.String(), "usage:") {
			t.Errorf("%s: exit code %d, want %d; printed %q, want %q alone", c.args, code, c.code, &out, c.want)
		}
		if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a store was created (%v)", c.args, err)
		}
	}
}

func TestHelpDoesNotShowThePasswordOfTheStore(t *testing.T) {
	t.Setenv(storeEnv, "postgres://ann:secret@host/jobs")
	var out strings.Builder
	if code := app.Exit(t.Context(), run(t.Context(), []string{"-h"}, &out, &out), io.Discard); code != cli.ExitOK {
		t.Errorf("exit code %d, want 0", code)
	}
	if s := out.String(); !strings.Contains(s, "-store URL") || strings.Contains(s, "secret") {
		t.Errorf("printed %s", s)
	}
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
