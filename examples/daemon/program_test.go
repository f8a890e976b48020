package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/brine-go/brine/examples/internal/cli"
	"github.com/brine-go/brine/examples/internal/clitest"
)

func TestWhatCannotWorkIsRefusedBeforeAStoreIsCreated(t *testing.T) {
	t.Parallel()
	clitest.Refused(t, app, run, []clitest.Refusal{
		{Args: "-store mem: start", Code: cli.ExitFailed, Text: "memory of one process"},
		{Args: "-store sqlite::memory:", Code: cli.ExitFailed, Text: "memory of one process"},
		{Args: "sing", Code: cli.ExitUsage, Text: `unknown command "sing"`},
		{Args: "add", Code: cli.ExitUsage, Text: "add: NAME is missing"},
		{Args: "stop now", Code: cli.ExitUsage, Text: `stop: unexpected argument "now"`},
		{Args: "-tape stop", Code: cli.ExitUsage, Text: "not defined: -tape"},
		{Args: "-takes long add red", Code: cli.ExitUsage, Text: `invalid value "long"`},
	})
}

func TestHelpDoesNotShowThePasswordOfTheStore(t *testing.T) {
	clitest.HelpHidesTheStore(t, app, run, storeEnv)
}

func TestAnInterruptedDemonstrationSaysWhatIsLeft(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no SIGINT for one process on Windows")
	}
	t.Parallel()
	dir := t.TempDir()
	store := open(t, "sqlite:"+filepath.ToSlash(dir)+"/tasks.db")
	t.Cleanup(func() { // before the store is closed
		if err := stop(context.Background(), store, t.Output()); err != nil {
			t.Error(err)
		}
	})
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-store", store.URL().DSN(), "-takes", "200ms")
	var stderr bytes.Buffer
	cmd.Stderr, cmd.WaitDelay = &stderr, 10*time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "a task is done", func() bool {
		n, err := count(t.Context(), store, Done)
		return err == nil && n > 0
	})
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // its exit code says how it ended
	want := "daemon: interrupted: " + whatIsLeft + "\n"
	if code := cmd.ProcessState.ExitCode(); code != cli.ExitInterrupted || stderr.String() != want {
		t.Errorf("exit code %d, want %d; printed %q, want %q", code, cli.ExitInterrupted, &stderr, want)
	}
}
