//go:build unix

package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/brine-go/brine/persistence"
)

func TestCpThatIsInterruptedGoesOn(t *testing.T) {
	t.Parallel()
	src, dst := place(t, "sqlite"), place(t, "fs")
	many(t, src, 20_000)
	s := atTerminal(t, 100, program(t, "cp", src, dst))
	s.waitFor(t, "copying")
	check(t, s.cmd.Process.Signal(syscall.SIGINT))
	out, code := s.end(t)
	if code != exitFailed || !strings.Contains(out, "interrupted") || !strings.Contains(out, "Run the same command again") {
		t.Errorf("exit code %d, on the screen: %s", code, out)
	}
	left := open(t, dst, &persistence.Options{ReadOnly: true})
	n, err := left.Count(t.Context(), nil)
	check(t, err)
	check(t, left.Close())
	if n == 0 || n == 20_000 {
		t.Fatalf("%d records were copied before the interrupt", n)
	}
	if got := done(t, "cp", src, dst); !strings.HasPrefix(got, fmt.Sprintf("copied %s and 0 pairs\n", plural(20_000-n, "record"))) {
		t.Errorf("with %d there: %q", n, got)
	}
	if out := done(t, "diff", src, dst); out != "" {
		t.Errorf("they differ: %s", out)
	}
}
