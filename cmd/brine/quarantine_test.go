package main

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence"
)

func TestQuarantine(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		demo(t, url)
		if got := done(t, "quarantine", url); got != "" {
			t.Errorf("an empty quarantine: %q", got)
		}
		fails(t, exitUsage, []string{"nobody can be asked: Put 2 records away?"}, "quarantine", "add", url, "4", "5")
		fails(t, exitUsage, []string{"no ID is given"}, "quarantine", "add", url, "--yes")
		fails(t, exitUsage, []string{"use two"}, "quarantine", "add", url, "4", "--key", "hosts", "--yes")
		fails(t, exitFailed, []string{`"99"`}, "quarantine", "add", url, "4", "99", "--yes")
		if got := done(t, "quarantine", "add", url, "4", "5", "4", "--dry-run"); got != "would put 2 records away\n" {
			t.Errorf("%q", got)
		}
		if got := done(t, "ls", url, "--ids"); got != "1\n2\n3\n4\n5\n" {
			t.Fatalf("%s after what did nothing", got)
		}
		if got := done(t, "quarantine", "add", url, "4", "5", "--yes", "--reason", "odd"); got != "put 2 records away\n" {
			t.Errorf("%q", got)
		}
		if got := done(t, "quarantine", "add", url, "--key", "hosts", "--yes", "--json"); got != `{"added":1,"dry_run":false}`+"\n" {
			t.Errorf("%q", got)
		}
		golden(t, "quarantine.txt", url, done(t, "quarantine", url))
		golden(t, "quarantine.json", url, done(t, "quarantine", "list", url, "--json"))
		if got := done(t, "quarantine", "list", url, "--reason", "odd", "--ids"); got != "4\n5\n" {
			t.Errorf("%q", got)
		}
		fails(t, exitFailed, []string{"3", "brine quarantine list URL"}, "quarantine", "restore", url, "4", "3")
		fails(t, exitFailed, []string{"3", "brine quarantine list URL"}, "quarantine", "restore", url, "3", "--dry-run")
		if got := done(t, "quarantine", "restore", url, "4", "hosts", "--dry-run"); got != "would put 2 records back\n" {
			t.Errorf("%q", got)
		}
		o := brineWith(t, "4\nhosts\n4\n", func(*app) {}, "quarantine", "restore", url, "-")
		if o.code != exitDone || o.out != "put 2 records back\n" {
			t.Errorf("%+v", o)
		}
		s := open(t, url, &persistence.Options{ExtraFields: demoFields})
		hosts, err := persistence.Value[[]string](t.Context(), s.KV(), "hosts")
		if check(t, errors.Join(err, s.Close())); !slices.Equal(hosts, []string{"a", "b"}) {
			t.Errorf("the pair that came back: %q", hosts)
		}
		fails(t, exitFailed, []string{"mode=ro"}, "quarantine", "add", readOnlyURL(url), "1", "--yes")
		for _, c := range []struct{ age, want string }{
			{"30d", "removed 0 records for good\n"}, {"36h", "removed 0 records for good\n"}, {"0s", "removed 1 record for good\n"},
		} {
			later := func(a *app) { a.now = func() time.Time { return time.Now().Add(time.Second) } }
			if o := brineWith(t, "", later, "quarantine", "purge", url, "--older-than", c.age, "--yes"); o.out != c.want {
				t.Errorf("--older-than %s: %+v", c.age, o)
			}
		}
		fails(t, exitUsage, []string{"30d"}, "quarantine", "purge", url, "--older-than", "long")
		fails(t, exitUsage, []string{"30d"}, "quarantine", "purge", url, "--older-than", "-1h")
		fails(t, exitFailed, []string{"brine quarantine list URL"}, "quarantine", "restore", url, "5")
	})
}

func TestPurgeAsks(t *testing.T) {
	t.Parallel()
	url := place(t, "sqlite")
	demo(t, url)
	done(t, "quarantine", "add", url, "4", "--yes")
	later := func(a *app) { a.now = func() time.Time { return time.Now().Add(time.Hour) } }
	o := brineWith(t, "", later, "quarantine", "purge", url, "--older-than", "1m")
	failed(t, o, exitUsage, []string{"nobody can be asked: Remove 1 record for good?"}, "purge")
	o = brineWith(t, "", later, "quarantine", "purge", url, "--older-than", "1m", "--dry-run", "--json")
	if o.out != `{"dry_run":true,"purged":1}`+"\n" {
		t.Errorf("%+v", o)
	}
	if got := done(t, "quarantine", url); !strings.Contains(got, "by hand") {
		t.Errorf("after what did nothing: %q", got)
	}
}

// A restored record does not replace one that has its ID now.
func TestRestoreOverAnother(t *testing.T) {
	t.Parallel()
	url := place(t, "sqlite")
	demo(t, url)
	done(t, "quarantine", "add", url, "4", "--yes")
	s := open(t, url, &persistence.Options{ExtraFields: demoFields})
	check(t, s.Insert(t.Context(), "4", &task{Name: "another"}))
	check(t, s.Close())
	fails(t, exitFailed, []string{`"4"`, "brine show URL ID"}, "quarantine", "restore", url, "4")
}

// readOnlyURL returns the URL with mode=ro.
func readOnlyURL(url string) string {
	if strings.Contains(url, "?") {
		return url + "&mode=ro"
	}
	return url + "?mode=ro"
}

// What --ids prints in a pipe is what "-" reads.
func TestIDsThatDoNotPrintGoThroughAPipe(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		const odd = "a\x1b[31m\tb"
		s := open(t, url, texts(func(obj any) persistence.ID {
			if f, ok := obj.(*flow); ok {
				return persistence.ID(f.Name)
			}
			return "task"
		}))
		_, err := s.Save(t.Context(), &flow{Name: odd, Tasks: []*task{{Name: "t"}}})
		check(t, err)
		check(t, s.Close())
		if got := done(t, "refs", url, "task", "--ids"); got != odd+"\n" {
			t.Errorf("refs --ids: %q", got)
		}
		done(t, "quarantine", "add", url, odd, "--yes")
		ids := done(t, "quarantine", "list", url, "--ids")
		if o := brineWith(t, ids, func(*app) {}, "quarantine", "restore", url, "-"); o.code != exitDone {
			t.Errorf("restoring %q: %+v", ids, o)
		}
		o := brineWith(t, "", terminal(80, false), "refs", url, "task", "--ids")
		if o.out != `a\x1b[31m\tb`+"\n" {
			t.Errorf("on a terminal: %q", o.out)
		}
	})
}
