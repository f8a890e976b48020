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
