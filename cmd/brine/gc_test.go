package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence"
)

// garbage adds three tasks that nothing in a demo refers to, and that refer to each other.
func garbage(t *testing.T, url string) {
	t.Helper()
	s := open(t, url, &persistence.Options{ExtraFields: demoFields})
	defer s.Close()
	_, err := s.Save(t.Context(), &task{Name: "old", State: "DONE", Deps: []*task{{Name: "older", Deps: []*task{{Name: "oldest"}}}}})
	check(t, err)
}

func TestGC(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		demo(t, url)
		garbage(t, url)
		fails(t, exitUsage, []string{"no root is given", "--root ID"}, "gc", url, "--yes")
		fails(t, exitUsage, []string{"nobody can be asked", "--yes", "--dry-run"}, "gc", url, "--root", "1")
		fails(t, exitUsage, []string{"whole numbers"}, "gc", url, "--root", "x", "--yes")
		fails(t, exitUsage, []string{"--grace"}, "gc", url, "1", "--grace", "-1h", "--yes")
		fails(t, exitFailed, []string{`"99"`}, "gc", url, "1", "--root", "99", "--yes")
		if got := done(t, "gc", url, "1", "--dry-run"); got != "would put 0 records into quarantine; 8 records stay.\n" {
			t.Errorf("what was just written is spared: %q", got)
		}
		if got := done(t, "gc", url, "--root", "1", "--grace", "0", "--dry-run"); got != "would put 3 records into quarantine; 5 records stay.\n" {
			t.Errorf("%q", got)
		}
		if got := strings.Fields(done(t, "ls", url, "--ids")); len(got) != 8 {
			t.Fatalf("%s are left after what did nothing", got)
		}
		o := brineWith(t, "1\n", func(*app) {}, "gc", url, "-", "--grace", "0", "--yes", "--json")
		if want := `{"dry_run":false,"ids":["6","7","8"],"kept":5,"removed":3}` + "\n"; o.code != exitDone || o.out != want {
			t.Errorf("%+v, want %s", o, want)
		}
		if got := strings.Fields(done(t, "ls", url, "--ids")); !cmp.Equal(got, []string{"1", "2", "3", "4", "5"}) {
			t.Errorf("left: %s", got)
		}
		if got := done(t, "quarantine", "list", url, "--reason", "collected", "--ids"); got != "6\n7\n8\n" {
			t.Errorf("in quarantine: %q", got)
		}
		if got := done(t, "gc", url, "1", "--grace", "0", "--yes"); got != "put 0 records into quarantine; 5 records stay.\n" {
			t.Errorf("again: %q", got)
		}
	})
}

// At a terminal it says how many, asks, and says how to get things back.
func TestGCAsks(t *testing.T) {
	t.Parallel()
	url := place(t, "sqlite")
	demo(t, url)
	garbage(t, url)
	asked := func(a *app) {
		a.canAsk = true
		terminal(80, false)(a)
	}
	o := brineWith(t, "n\n", asked, "gc", url, "1", "--grace", "0")
	failed(t, o, exitFailed, []string{"Put 3 records that no root reaches into quarantine? 5 records stay. [y/N]", "nothing was done"}, "gc")
	o = brineWith(t, "y\n", asked, "gc", url, "1", "--grace", "0")
	want := "put 3 records into quarantine; 5 records stay.\n" +
		"\"brine quarantine restore URL ID...\" brings them back, \"brine quarantine purge URL\" removes them for good.\n"
	if o.code != exitDone || o.out != want {
		t.Errorf("%+v, want %s", o, want)
	}
}

// A person is told why what is new is not garbage.
func TestGCTellsOfItsGrace(t *testing.T) {
	t.Parallel()
	url := place(t, "sqlite")
	demo(t, url)
	garbage(t, url)
	for flag, want := range map[string]string{"": "within 1h is spared", "90m": "within 1h30m is spared", "45s": "within 45s is spared", "10s": "within 10s is spared", "0s": ""} {
		args := []string{"gc", url, "1", "--dry-run"}
		if flag != "" {
			args = append(args, "--grace", flag)
		}
		o := brineWith(t, "", terminal(100, false), args...)
		if o.code != exitDone || !strings.Contains(o.out, want) || want == "" && strings.Contains(o.out, "spared") {
			t.Errorf("--grace %q: %+v, want %q", flag, o, want)
		}
	}
}
