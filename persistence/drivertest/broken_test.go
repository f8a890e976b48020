package drivertest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/url"
)

// brokenEnv names the bug that a child process runs the suite on.
const brokenEnv = "BRINE_BROKEN"

// TestBrokenChild runs the suite on a broken backend, in a process of its own.
func TestBrokenChild(t *testing.T) {
	name, ok := os.LookupEnv(brokenEnv)
	if !ok {
		t.Skip("only run by TestBroken")
	}
	for _, bug := range bugs {
		if bug.name != name {
			continue
		}
		driver.Register("broken", func(_ context.Context, u url.URL, o driver.OpenOptions) (driver.Backend, error) {
			open := openShared
			if bug.open != nil {
				open = bug.open
			}
			b, err := open(u, o)
			if err != nil {
				return nil, err
			}
			if bug.inject != nil {
				bug.inject(b)
			}
			return b, nil
		})
		Run(t, Harness{URL: newURL("broken")})
	}
}

// TestBroken checks that the suite fails for every bug, in the test that is meant to find it.
func TestBroken(t *testing.T) {
	if _, child := os.LookupEnv(brokenEnv); child {
		t.Skip("a child")
	}
	found := map[string]bool{}
	for i, bug := range bugs {
		subject, _, _ := strings.Cut(bug.test, "/")
		if testing.Short() && found[subject] && i%4 != 0 {
			continue // one bug of each subject, and a sample of the others
		}
		found[subject] = true
		t.Run(bug.name, func(t *testing.T) {
			t.Parallel()
			exe, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			path, run := "subjects/"+bug.test, "subjects/"+bug.test
			if bug.test == "leaks" { // it needs a leaked goroutine
				path, run = "leaks", "(subjects|leaks)/fork reset/a handle may be suspended before its first use"
			}
			cmd := exec.CommandContext(t.Context(), exe, "-test.run="+pattern("TestBrokenChild/"+run), "-test.timeout=100s")
			cmd.Env = append(os.Environ(), brokenEnv+"="+bug.name, "RAPID_NOFAILFILE=1", "RAPID_SHRINKTIME=10ms")
			out, err := cmd.CombinedOutput()
			if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) {
				t.Fatalf("the suite must fail with %q, not end with %v:\n%s", bug.name, err, out)
			}
			want := "--- FAIL: TestBrokenChild/" + strings.ReplaceAll(path, " ", "_")
			if !strings.Contains(string(out), want) {
				t.Errorf("the test that finds %q must be %s:\n%s", bug.name, path, out)
			}
			if strings.Contains(string(out), "panic: ") {
				t.Errorf("the suite must find %q without a panic:\n%s", bug.name, out)
			}
		})
	}
	for _, sub := range subjects {
		if !found[sub.name] {
			t.Errorf("the subject %q has no bug to find", sub.name)
		}
	}
}

// pattern returns the -test.run argument for the tests with this path.
func pattern(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if part = strings.ReplaceAll(part, " ", "_"); !strings.HasPrefix(part, "(") {
			part = regexp.QuoteMeta(part)
		}
		parts[i] = "^" + part + "$"
	}
	return strings.Join(parts, "/")
}
