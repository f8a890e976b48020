package main

import (
	"strings"
	"testing"
)

func TestCompletionScripts(t *testing.T) {
	t.Parallel()
	for shell, want := range map[string]string{"bash": "__start_brine", "zsh": "#compdef brine", "fish": "complete -c brine"} {
		if out := done(t, "completion", shell); !strings.Contains(out, want) {
			t.Errorf("%s: %q is not in it", shell, want)
		}
	}
	fails(t, exitUsage, []string{`unknown shell "csh"`, "bash, zsh and fish"}, "completion", "csh")
}

// Completion works on every backend, opens nothing that is not there and never fails.
func TestCompletionOfWhatIsInAStore(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		complete := func(args ...string) string {
			t.Helper()
			var words []string
			for line := range strings.Lines(brine(t, append([]string{"__complete"}, args...)...).out) {
				word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
				if !strings.HasPrefix(word, ":") {
					words = append(words, word)
				}
			}
			return strings.Join(words, " ")
		}
		if got := complete("show", url, ""); got != "" {
			t.Errorf("of a store that is not there: %s", got)
		}
		demo(t, url)
		for _, c := range []struct{ args, want string }{
			{"show URL ", "1 2 3 4 5"},
			{"rm URL 2 3 ", "1 4 5"},
			{"ls URL --state ", "DONE FAILED NEW UNKNOWN"},
			{"count URL --type demo.F", "demo.Flow"},
			{"kv URL li", "limits/note limits/parallel"},
			{"kv delete URL hosts li", "limits/note limits/parallel"},
			{"ls URL ", ""},
		} {
			args := strings.Split(strings.Replace(c.args, "URL", url, 1), " ")
			if got := complete(args...); got != c.want {
				t.Errorf("%q: %q, want %q", c.args, got, c.want)
			}
		}
	})
}
