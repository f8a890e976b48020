// Package clitest is what the tests of the example programs share.
package clitest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brine-go/brine/examples/internal/cli"
)

const mainEnv = "EXAMPLES_TEST_MAIN"

// Reexec makes the test binary, started again by a test, the program itself: in such a process it
// runs main and exits. TestMain calls it first.
func Reexec(main func()) {
	if os.Getenv(mainEnv) != "" {
		main()
		os.Exit(0)
	}
	for name, value := range map[string]string{
		mainEnv:  "1",
		"GORACE": "atexit_sleep_ms=0 " + os.Getenv("GORACE"), // else every process would take a second to end
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
}

// A Run is the function that a program gives to its Main.
type Run = func(ctx context.Context, args []string, stdout, stderr io.Writer) error

// A Refusal is a command line that cannot work.
type Refusal struct {
	Args string // separated by spaces; -store, for a store that does not exist, is put before them
	Code int    // the exit code
	Text string // what the program prints contains it, once
}

// Refused checks that the program refuses each command line, prints the error without the usage,
// and creates no store.
func Refused(t *testing.T, app cli.Program, run Run, refusals []Refusal) {
	t.Helper()
	for _, r := range refusals {
		file := filepath.Join(t.TempDir(), "store.db")
		args := append([]string{"-store", "sqlite:" + filepath.ToSlash(file)}, strings.Fields(r.Args)...)
		var out bytes.Buffer
		code := app.Exit(t.Context(), run(t.Context(), args, &out, &out), &out)
		if code != r.Code || strings.Count(out.String(), r.Text) != 1 || strings.Contains(out.String(), "usage:") {
			t.Errorf("%s: exit code %d, want %d; printed %q, want %q once and no usage", r.Args, code, r.Code, &out, r.Text)
		}
		if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a store was created (%v)", r.Args, err)
		}
	}
}

// HelpHidesTheStore checks that -h prints the usage and succeeds, and does not print the password
// in the URL that the environment variable storeEnv holds.
func HelpHidesTheStore(t *testing.T, app cli.Program, run Run, storeEnv string) {
	t.Helper()
	t.Setenv(storeEnv, "postgres://ann:secret@host/jobs")
	var out, errs bytes.Buffer
	code := app.Exit(t.Context(), run(t.Context(), []string{"-h"}, &out, &errs), &errs)
	if s := out.String(); code != cli.ExitOK || !strings.Contains(s, "usage: "+app.Name) || !strings.Contains(s, "-store URL") ||
		strings.Contains(s+errs.String(), "secret") || errs.Len() > 0 {
		t.Errorf("-h: exit code %d, printed %s%s", code, s, &errs)
	}
}
