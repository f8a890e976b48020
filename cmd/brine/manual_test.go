package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestTheManual(t *testing.T) {
	t.Parallel()
	manual := done(t, "help")
	for _, args := range [][]string{{}, {"--help"}, {"-h"}} {
		if got := done(t, args...); got != manual {
			t.Errorf("brine %v prints something else", args)
		}
	}
	if n := strings.Count(manual, "\n"); n > 60 {
		t.Errorf("the manual has %d lines: it is to be a page", n)
	}
	for line := range strings.Lines(manual) {
		if n := len([]rune(line)); n > 101 {
			t.Errorf("a line of %d columns: %s", n, line)
		}
	}
	for _, cmd := range newRoot(newApp(nil, nil, nil)).Commands() {
		if !strings.Contains(manual, "\n  "+cmd.Name()+" ") {
			t.Errorf("%s is not in it", cmd.Name())
		}
	}
	if got, want := done(t, "help", "ls"), done(t, "ls", "--help"); got != want {
		t.Errorf("help ls: %s", got)
	}
	golden(t, "ls-help.txt", "", done(t, "ls", "--help"))
}

// On a terminal nothing of the manual is wider than it, but for examples.
func TestTheManualFitsIntoTheTerminal(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"help"}, {"help", "ls"}, {"cp", "--help"}, {"help", "kv", "set"}, {"gc", "-h"}} {
		for _, width := range []int{80, 60} {
			o := brineWith(t, "", terminal(width, false), args...)
			if o.code != exitDone {
				t.Errorf("%v: %+v", args, o)
			}
			for line := range strings.Lines(o.out) {
				line = strings.TrimSuffix(line, "\n")
				if n := len([]rune(line)); n > width && (!strings.HasPrefix(line, " ") || args[0] == "help" && len(args) == 1 && n > 80) {
					t.Errorf("%v: a line of %d columns on a terminal of %d: %s", args, n, width, line)
				}
			}
		}
		whole, wide := done(t, args...), brineWith(t, "", terminal(1000, false), args...)
		if got, want := strings.Fields(wide.out), strings.Fields(whole); strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%v: other words on a wide terminal: %s", args, wide.out)
		}
	}
}

func TestEachCommandIsExplained(t *testing.T) {
	t.Parallel()
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		for _, c := range cmd.Commands() {
			if c.Hidden || c.Name() == "help" {
				continue
			}
			if c.Short == "" || c.Long == "" || c.Args == nil || !strings.HasPrefix(strings.TrimSpace(c.Example), "brine ") && !strings.Contains(c.Example, "(brine ") {
				t.Errorf("%s: the text, the example or the check of its arguments is missing", c.CommandPath())
			}
			for line := range strings.Lines(c.Long + "\n" + c.Example) {
				if len(line) > 110 {
					t.Errorf("%s: a line of %d columns: %s", c.CommandPath(), len(line), line)
				}
			}
			visit(c)
		}
	}
	visit(newRoot(newApp(nil, nil, nil)))
}
