package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brine-go/brine/persistence"
)

func TestCheck(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		demo(t, url)
		o := brine(t, "check", url)
		if o.code != exitFound || strings.Count(o.out, "\n") != 2 || !strings.Contains(o.out, "ExpiredClaim\t4\t") {
			t.Errorf("the claim that has expired: %+v", o)
		}
		s := open(t, url, &persistence.Options{ExtraFields: demoFields})
		_, err := s.ReleaseExpired(t.Context())
		check(t, errors.Join(err, s.Close()))
		if got := done(t, "check", url); got != "" {
			t.Errorf("nothing is wrong: %q", got)
		}
		removeRecord(t, url, "5")
		o = brine(t, "check", url, "--json")
		want := `{"kind":"Dangling","id":"1","ref":"5","key":"","detail":`
		if o.code != exitFound || !strings.HasPrefix(o.out, want) || strings.Count(o.out, "\n") != 1 {
			t.Errorf("%+v, want %s", o, want)
		}
		if got := done(t, "check", url, "--type", "demo.Task"); got != "" {
			t.Errorf("the tasks are sound: %q", got)
		}
		fails(t, exitUsage, []string{"no_such"}, "check", url, "--where", "no_such=1")
		o = brineWith(t, "", terminal(200, false), "check", url)
		for _, want := range []string{"KIND", "Dangling", "1 finding\n", "brine quarantine restore URL ID"} {
			if !strings.Contains(o.out, want) {
				t.Errorf("%q is not in %s", want, o.out)
			}
		}
	})
}

func TestCheckFindsDamage(t *testing.T) {
	t.Parallel()
	url := place(t, "fs")
	demo(t, url)
	dir := strings.TrimPrefix(url, "file:")
	file := filepath.Join(dir, "3")
	b, err := os.ReadFile(file)
	check(t, err)
	b[len(b)-20] ^= 0x55
	check(t, os.WriteFile(file, b, 0o600))
	check(t, os.WriteFile(filepath.Join(dir, "x y"), []byte("mine"), 0o600))
	o := brineWith(t, "", terminal(120, false), "check", url)
	for _, want := range []string{"Corrupt", "Stray", "x y", `"brine quarantine add URL ID..."`} {
		if o.code != exitFound || !strings.Contains(o.out, want) {
			t.Errorf("%q is not in %+v", want, o)
		}
	}
	fails(t, exitFailed, []string{`"3"`, "brine check URL"}, "gc", url, "1", "--yes")
	done(t, "quarantine", "add", url, "3", "--yes")
	done(t, "quarantine", "add", url, "--key", "x y", "--yes")
	o = brine(t, "quarantine", url, "--json")
	if !strings.Contains(o.out, `"key":"x y"`) || !strings.Contains(o.out, `"error":"`) {
		t.Errorf("%s", o.out)
	}
	o = brine(t, "check", url)
	if strings.Contains(o.out, "Corrupt") || strings.Contains(o.out, "Stray") || !strings.Contains(o.out, "Dangling") {
		t.Errorf("then: %s", o.out)
	}
}
