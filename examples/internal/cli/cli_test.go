package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	brineurl "github.com/brine-go/brine/url"
)

var (
	plain    = Program{Name: "plain"}
	required = Program{Name: "cron", Commands: []string{"add NAME SPEC [TEXT...]", "list", "tag NAME...", "show [NAME]"}}
	optional = Program{Name: "daemon", Commands: []string{"start", "stop"}, Default: "it shows both"}
)

func TestACommandLineIsTakenOrTheErrorSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		program Program
		args    string
		want    string // "": it is taken
	}{
		{plain, "", ""},
		{plain, "-n 3", ""},
		{plain, "foo", `unexpected argument "foo"`},
		{plain, "-x", "flag provided but not defined: -x"},
		{plain, "-n three", `invalid value "three" for flag -n: parse error`},
		{required, "", "a command is missing"},
		{required, "foo", `unknown command "foo"`},
		{required, "add", "add: NAME is missing"},
		{required, "add x", "add: SPEC is missing"},
		{required, "add x @daily", ""},
		{required, "add x @daily some text", ""},
		{required, "list", ""},
		{required, "-n 3 list", ""},
		{required, "list extra", `list: unexpected argument "extra"`},
		{required, "tag", "tag: NAME is missing"},
		{required, "tag a b c", ""},
		{required, "show", ""},
		{required, "show a", ""},
		{required, "show a b", `show: unexpected argument "b"`},
		{optional, "", ""},
		{optional, "stop", ""},
		{optional, "stop now", `stop: unexpected argument "now"`},
		{optional, "foo", `unknown command "foo"`},
	} {
		flags, stdout := c.program.Flags(), new(bytes.Buffer)
		flags.Int("n", 1, "a number")
		err := c.program.Parse(flags, strings.Fields(c.args), stdout)
		var stderr bytes.Buffer
		code := c.program.Exit(t.Context(), err, &stderr)
		wantCode, wantText := ExitOK, ""
		if c.want != "" {
			name := c.program.Name
			wantCode, wantText = ExitUsage, fmt.Sprintf("%s: %s\nrun %s -h for usage\n", name, c.want, name)
		}
		if code != wantCode || stderr.String() != wantText || stdout.Len() > 0 {
			t.Errorf("%s %s: exit code %d, want %d; prints %q, want %q; and to stdout %q, want nothing",
				c.program.Name, c.args, code, wantCode, &stderr, wantText, stdout)
		}
	}
}

func TestHelpPrintsTheUsageToStdoutAndIsNoFailure(t *testing.T) {
	t.Parallel()
	for want, program := range map[string]Program{
		"usage: plain [flags]\n": plain,
		"usage: cron [flags] add NAME SPEC [TEXT...] | list | tag NAME... | show [NAME]\n": required,
		"usage: daemon [flags] [start | stop]; without a command it shows both\n":          optional,
	} {
		flags, stdout := program.Flags(), new(bytes.Buffer)
		flags.Int("n", 1, "a number")
		err := program.Parse(flags, []string{"-h"}, stdout)
		want += "  -n int\n    \ta number (default 1)\n"
		if diff := cmp.Diff(want, stdout.String()); diff != "" || !errors.Is(err, flag.ErrHelp) {
			t.Errorf("%s -h: error %v (-want +got):\n%s", program.Name, err, diff)
		}
		var stderr bytes.Buffer
		if code := program.Exit(t.Context(), err, &stderr); code != ExitOK || stderr.Len() > 0 {
			t.Errorf("%s -h: exit code %d, want 0; prints %q, want nothing", program.Name, code, &stderr)
		}
	}
}

func TestTheExitCodeAndTheTextTellHowAProgramEnded(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	loading := fmt.Errorf("load 7: %w", context.Canceled)
	for _, c := range []struct {
		name string
		ctx  context.Context
		err  error
		code int
		text string
	}{
		{"well", t.Context(), nil, ExitOK, ""},
		{"well, though interrupted", ended, nil, ExitOK, ""},
		{"by an error", t.Context(), io.ErrUnexpectedEOF, ExitFailed, "plain: unexpected EOF\n"},
		{"by an error when interrupted", ended, io.ErrUnexpectedEOF, ExitFailed, "plain: unexpected EOF\n"},
		{"by a context of its own", t.Context(), loading, ExitFailed, "plain: load 7: context canceled\n"},
		{"interrupted", ended, loading, ExitInterrupted, "plain: interrupted\n"},
		{"interrupted, with a hint", ended, Interrupted(ended, loading, "start it again"), ExitInterrupted,
			"plain: interrupted: start it again\n"},
		{"interrupted, and badly", ended, errors.Join(Interrupted(ended, loading, ""), io.ErrClosedPipe), ExitInterrupted,
			"plain: interrupted\nio: read/write on closed pipe\n"},
	} {
		var stderr bytes.Buffer
		if code := plain.Exit(c.ctx, c.err, &stderr); code != c.code || stderr.String() != c.text {
			t.Errorf("%s: exit code %d, want %d; prints %q, want %q", c.name, code, c.code, &stderr, c.text)
		}
	}
}

func TestAStoreInMemoryIsNotShared(t *testing.T) {
	t.Parallel()
	for store, want := range map[string]string{
		"mem:":              "memory of one process",
		"sqlite::memory:":   "memory of one process",
		"sqlite:":           "memory of one process",
		"sqlite:jobs.db":    "",
		"file:jobs":         "",
		"postgres://h/jobs": "",
		"://":               "malformed",
	} {
		err := CheckShared(store)
		if got := fmt.Sprint(err); (err == nil) != (want == "") || !strings.Contains(got, want) && want != "" {
			t.Errorf("%s: error is %v, want %q", store, err, want)
		}
	}
}

func TestTheDefaultStoreIsAFileInTheCacheFolder(t *testing.T) {
	t.Parallel()
	store := DefaultStore("a b.db")
	u, err := url.Parse(store)
	if err != nil {
		t.Fatal(err)
	}
	want := filepath.Join(CacheDir(), "a b.db")
	if got := filepath.FromSlash(u.Path); u.Scheme != "sqlite" || !strings.HasSuffix(got, want) {
		t.Errorf("got %s, want sqlite and %s", store, want)
	}
	if err := CheckShared(store); err != nil {
		t.Error(err)
	}
}

func TestTheCommandThatShowsAStore(t *testing.T) {
	t.Parallel()
	clone := t.TempDir()
	if err := os.MkdirAll(filepath.Join(clone, "cmd", "brine"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(clone, "cmd", "brine", "go.mod"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ store, dir, want string }{
		{"sqlite:///var/tasks.db", clone, "go run ./cmd/brine web /var/tasks.db"},
		{"sqlite:///var/tasks.db", t.TempDir(), "brine web /var/tasks.db"},
		{"sqlite:///var/my%20tasks%23.db", clone, "go run ./cmd/brine web '/var/my tasks#.db'"},
		{"sqlite:///var/it's.db", clone, `go run ./cmd/brine web '/var/it'\''s.db'`},
		{"sqlite:///var/tasks.db#table=jobs", clone, "go run ./cmd/brine web 'sqlite:///var/tasks.db#table=jobs'"},
		{"postgres:///jobs?host=/run&user=me", clone, "go run ./cmd/brine web 'postgres:///jobs?host=%2Frun&user=me'"},
		{"mem:", clone, ""},
	} {
		u, err := brineurl.Parse(c.store)
		if err != nil {
			t.Fatal(err)
		}
		if got := Look(u, c.dir); got != c.want {
			t.Errorf("%s: %s, want %s", c.store, got, c.want)
		}
	}
}
