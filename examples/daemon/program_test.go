package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/examples/internal/cli"
)

func TestWhatCannotWorkIsRefusedBeforeAStoreIsCreated(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, args, want string
		code             int
	}{
		{"a store in memory", "-store mem: start", "memory of one process", cli.ExitFailed},
		{"a database in memory", "-store sqlite::memory:", "memory of one process", cli.ExitFailed},
		{"an unknown command", "sing", `unknown command "sing"`, cli.ExitUsage},
		{"nothing to add", "add", "add: NAME is missing", cli.ExitUsage},
		{"an argument too many", "stop now", `stop: unexpected argument "now"`, cli.ExitUsage},
		{"an unknown flag", "-tape stop", "not defined: -tape", cli.ExitUsage},
		{"a duration that is none", "-takes long add red", `invalid value "long"`, cli.ExitUsage},
	} {
		file := filepath.Join(t.TempDir(), "tasks.db")
		args := append([]string{"-store", "sqlite:" + filepath.ToSlash(file)}, strings.Fields(c.args)...)
		var out bytes.Buffer
		code := app.Exit(t.Context(), run(t.Context(), args, &out, &out), &out)
		if code != c.code || strings.Count(out.String(), c.want) != 1 || strings.Contains(out.String(), "usage:") {
			t.Errorf("%s: exit code %d, want %d; printed %q, want %q alone", c.name, code, c.code, &out, c.want)
		}
		if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a store was created (%v)", c.name, err)
		}
	}
}

func TestHelpDoesNotShowThePasswordOfTheStore(t *testing.T) {
	t.Setenv(storeEnv, "postgres://ann:secret@host/tasks")
	var out strings.Builder
	if code := app.Exit(t.Context(), run(t.Context(), []string{"-h"}, &out, &out), io.Discard); code != cli.ExitOK {
		t.Errorf("exit code %d, want 0", code)
	}
	if s := out.String(); !strings.Contains(s, "add NAME...") || strings.Contains(s, "secret") {
		t.Errorf("printed %s", s)
	}
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
