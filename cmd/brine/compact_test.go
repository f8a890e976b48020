package main

import (
	"strings"
	"testing"
)

func TestCompact(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		demo(t, url)
		before := done(t, "ls", url)
		got := done(t, "compact", url)
		if isFile := strings.HasPrefix(url, "sqlite:"); isFile != strings.HasPrefix(got, "compacted from ") || !isFile && got != "compacted\n" {
			t.Errorf("%q", got)
		}
		if got := done(t, "compact", url, "--json"); !strings.HasPrefix(got, "{") {
			t.Errorf("%q", got)
		}
		if got := done(t, "ls", url); got != before {
			t.Errorf("%s, and before it was %s", got, before)
		}
		fails(t, exitFailed, []string{"mode=ro"}, "compact", readOnlyURL(url))
	})
}
