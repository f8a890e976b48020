package main

import (
	"bytes"
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence"
)

// commandsOf are a call of each command that opens a store at URL.
var commandsOf = []string{
	"ls URL", "show URL 1", "query URL {}", "count URL", "stat URL", "stores URL", "kv URL", "kv URL key", "kv get URL key",
	"kv list URL", "kv set URL key value", "kv delete URL key --yes", "claims URL", "claims URL --release-expired --yes",
	"rm URL 1 --yes", "rm URL 1 --graph --yes", "refs URL 1", "graph URL 1", "check URL", "gc URL 1 --yes", "gc URL --root 1 --dry-run",
	"quarantine URL", "quarantine list URL", "quarantine add URL 1 --yes", "quarantine add URL 1 --dry-run", "quarantine restore URL 1",
	"quarantine restore URL 1 --dry-run", "quarantine purge URL --yes", "compact URL",
}

func call(text, url string) []string {
	args := strings.Fields(text)
	for i := range args {
		if args[i] == "URL" {
			args[i] = url
		}
	}
	return args
}

func TestAMissingStoreIsNotMade(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		for _, text := range commandsOf {
			o := brine(t, call(text, url)...)
			if strings.HasPrefix(text, "stores") && !strings.HasPrefix(url, "file:") && !strings.HasPrefix(url, "sqlite:") {
				if o.code != exitDone || o.out != "" {
					t.Errorf("stores of an empty database: %+v", o)
				}
				continue
			}
			failed(t, o, exitFailed, []string{"There is no store at this URL.", "brine stores URL"}, text)
		}
		if path, ok := strings.CutPrefix(strings.TrimPrefix(url, "sqlite:"), "file:"); ok || strings.HasPrefix(url, "sqlite:") {
			if _, err := os.Lstat(path); err == nil {
				t.Error("it was made")
			}
			return
		}
		if s, err := persistence.MakeStore(t.Context(), url, &persistence.Options{ReadOnly: true}); err == nil {
			s.Close()
			t.Error("it was made")
		}
	})
}

func TestEveryCommandTakesAStoreInMemory(t *testing.T) {
	t.Parallel()
	for _, text := range commandsOf {
		o := brine(t, call(text, "mem:")...)
		want := exitDone
		for _, needs := range []string{"show", "kv URL key", "kv get", "kv delete", "rm", "refs", "graph", "gc", "quarantine add", "quarantine restore"} {
			if strings.HasPrefix(text, needs) {
				want = exitFailed // there is nothing
			}
		}
		if o.code != want {
			t.Errorf("%s: exit code %d, want %d: %s", text, o.code, want, o.err)
		}
	}
}

func TestNoPasswordIsPrinted(t *testing.T) {
	t.Parallel()
	const password = "s3cr3t-Pa55"
	for _, url := range []string{
		"postgres://user:" + password + "@127.0.0.1:1/db", "mysql://user:" + password + "@127.0.0.1:1/db?timeout=1s",
		"postgres://user:" + password + "@127.0.0.1:notaport/db", "postgres://127.0.0.1:1/db?password=" + password,
		"postgres//user:" + password + "@host/db", "postgress://user:" + password + "@host/db",
		"postgres://user:" + password + "@127.0.0.1:1/db#table=no-name", "postgres://user:" + password + "@127.0.0.1:1/db?no=1",
	} {
		for _, args := range [][]string{
			{"ls", url}, {"stores", url}, {url}, {"ls", url, url}, {"show", url}, {"rm", url, "7", "--yes"}, {"ls", "--where", url, url},
			{"ls", "mem:", "--type", url, "--columns", url}, {"show", "mem:", url}, {"completion", url}, {"ls", "--limit", url, url},
			{"query", "mem:", url}, {"kv", "set", url, "k", "v"}, {"ls", "--" + url, "mem:"},
		} {
			o := brine(t, args...)
			if o.code == exitDone {
				t.Errorf("%v: done", args)
			}
			if strings.Contains(o.out+o.err, password) {
				t.Errorf("%v prints the password: %s%s", args, o.out, o.err)
			}
		}
	}
}

func TestHowCommandsAreFound(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tasks.db")
	check(t, os.WriteFile(path, nil, 0o600))
	fails(t, exitUsage, []string{`unknown command "lss"`, `Did you mean "brine ls"?`}, "lss")
	fails(t, exitUsage, []string{"unknown command", `A command comes before the URL of a store: "brine ls ` + path + `".`}, path)
	fails(t, exitUsage, []string{"unknown command", `"brine ls mem:"`}, "mem:")
	fails(t, exitUsage, []string{"unknown command", `"brine help" lists the commands.`}, "frobnicate")
	fails(t, exitUsage, []string{`unknown command "lss"`, `Did you mean "brine ls"?`}, "help", "lss")
	fails(t, exitUsage, []string{`kv has no command "gett"`, `"brine kv --help"`}, "help", "kv", "gett")
	for _, args := range [][]string{{"help"}, {"help", "ls"}, {"help", "kv", "set"}} {
		done(t, args...)
	}
	fails(t, exitUsage, []string{"kv set: KEY is missing", "Usage:   brine kv set URL KEY VALUE"}, "kv", "set", "mem:")
	fails(t, exitUsage, []string{"--limit -1", `"brine ls --help" tells how it is used.`}, "ls", "mem:", "--limit", "-1")
	fails(t, exitUsage, []string{`--after: "x" is no ID of this store`, "whole numbers"}, "ls", "mem:", "--after", "x")
}

// An ID or a value may begin with "-".
func TestArgumentsThatBeginWithAHyphen(t *testing.T) {
	t.Parallel()
	url := place(t, "sqlite")
	s := open(t, url, texts(func(any) persistence.ID { return "-5" }))
	_, err := s.Save(t.Context(), "a text")
	check(t, err)
	check(t, s.Close())
	fails(t, exitUsage, []string{"-5", `after "--"`, `"brine show --help"`}, "show", url, "-5")
	fails(t, exitUsage, []string{"-5", `after "--"`}, "kv", "set", url, "key", "-5")
	if got := done(t, "show", url, "--json", "--", "-5"); !strings.Contains(got, `"id":"-5"`) {
		t.Errorf("%q", got)
	}
	if got := brineWith(t, "-5\n", func(*app) {}, "rm", url, "-", "--yes"); got.code != exitDone || got.out != "removed 1 record\n" {
		t.Errorf("%+v", got)
	}
}

func TestAServerThatCannotBeReached(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"postgres://user@127.0.0.1:1/db", "mysql://user@127.0.0.1:1/db"} {
		for _, command := range []string{"ls", "stores", "stat"} {
			fails(t, exitFailed, []string{"connecting", "Look whether the server answers"}, command, url)
		}
	}
	s := testserver.SharedPostgres(t)
	fails(t, exitFailed, []string{"no-such-db", "Look whether the server answers"}, "ls", s.URL("no-such-db"))
}

// The path of a SQLite file needs no scheme, whatever is in it.
func TestABarePathOfASQLiteFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"tasks.db", "tasks", "a b%20?#é.db", "x:y.db"} {
		path := filepath.Join(dir, name)
		made := sqliteURL(path, "")
		demo(t, made)
		other := open(t, made+"#table=jobs", &persistence.Options{})
		_, err := other.Save(t.Context(), "a text")
		check(t, err)
		check(t, other.Close())
		for suffix, want := range map[string]string{"": "5\n", "#table=jobs": "1\n", "?mode=ro": "5\n"} {
			if got := done(t, "count", path+suffix); got != want {
				t.Errorf("%s%s: %q, want %q", name, suffix, got, want)
			}
		}
	}
	plain := filepath.Join(dir, "plain.txt")
	check(t, os.WriteFile(plain, []byte("no database"), 0o600))
	for _, args := range [][]string{{"ls", plain}, {"kv", "set", plain, "a", "b"}, {"cp", plain, "mem:"}} {
		fails(t, exitFailed, []string{"is a file, and no SQLite database"}, args...)
	}
	absent := filepath.Join(dir, "absent.db")
	for _, args := range [][]string{{"ls", absent}, {"kv", "set", absent, "a", "b"}, {"stores", absent}, {"cp", absent, "mem:"}} {
		fails(t, exitFailed, []string{"there is no file " + absent, "There is no store at this URL."}, args...)
	}
	empty := filepath.Join(dir, "empty")
	check(t, os.WriteFile(empty, nil, 0o600))
	fails(t, exitFailed, []string{"There is no store at this URL."}, "ls", empty)
	done(t, "cp", filepath.Join(dir, "tasks.db"), empty)
	if got := done(t, "count", empty); got != "5\n" {
		t.Errorf("in the file that was empty: %q", got)
	}
}

// A directory of other files is not taken for an empty store, and nothing is made in it.
func TestADirectoryThatIsNoStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("mine"), 0o600))
	for _, url := range []string{dir, "file:" + dir, "file:" + dir + "?mode=ro"} {
		for _, text := range commandsOf {
			if !strings.HasPrefix(text, "stores") {
				fails(t, exitFailed, []string{"is no store", "There is no store at this URL."}, call(text, url)...)
			}
		}
		fails(t, exitFailed, []string{"is no store"}, "cp", url, "mem:")
		fails(t, exitFailed, []string{"is no store"}, "diff", "mem:", url)
		fails(t, exitFailed, []string{"is no store"}, "export", url)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("%v: %v", err, files)
	}
	src, empty := place(t, "sqlite"), t.TempDir()
	s := open(t, src, texts(func(any) persistence.ID { return "a" }))
	_, err := s.Save(t.Context(), "a text")
	check(t, err)
	check(t, s.Close())
	done(t, "cp", src, empty)
	if got := done(t, "ls", empty, "--ids"); got != "a\n" {
		t.Errorf("the copy has %q", got)
	}
}

// What only looks opens every store for reading only, and what writes respects mode=ro.
func TestReadOnlyStores(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		demo(t, url)
		sep := "?"
		if strings.Contains(url, "?") {
			sep = "&"
		}
		ro := url + sep + "mode=ro"
		if got := done(t, "count", ro); got != "5\n" {
			t.Errorf("%q", got)
		}
		fails(t, exitFailed, []string{"mode=ro"}, "rm", ro, "1", "--yes")
		fails(t, exitFailed, []string{"mode=ro"}, "kv", "set", ro, "a", "b")
		fails(t, exitFailed, []string{"mode=ro"}, "claims", ro, "--release-expired", "--yes")
		fails(t, exitFailed, []string{"mode=ro"}, "gc", ro, "1", "--yes")
		fails(t, exitFailed, []string{"mode=ro"}, "quarantine", "add", ro, "1", "--yes")
		fails(t, exitFailed, []string{"mode=ro"}, "quarantine", "restore", ro, "1")
		fails(t, exitFailed, []string{"mode=ro"}, "compact", ro)
	})
}

func TestUnreadableRecordsAreSkippedAndTold(t *testing.T) {
	t.Parallel()
	url := place(t, "fs")
	demo(t, url)
	file := filepath.Join(strings.TrimPrefix(url, "file:"), "3")
	b, err := os.ReadFile(file)
	check(t, err)
	b[len(b)/4] ^= 0x55
	check(t, os.WriteFile(file, b, 0o600))
	for _, args := range [][]string{{"ls", url}, {"ls", url, "--json"}, {"query", url, "{}", "--full", "--json"}} {
		o := brine(t, args...)
		failed(t, o, exitFailed, []string{"warning: ", `"3"`, "1 record could not be read", "brine check URL"}, args...)
		if n := strings.Count(o.out, "\n"); n < 4 {
			t.Errorf("%v: %d lines: %s", args, n, o.out)
		}
	}
	fails(t, exitFailed, []string{`"brine check URL" lists all that is damaged`}, "show", url, "3")
}

// A table with an ID, data and a state alone, of another program, is shown and not altered.
func TestATableMadeByHand(t *testing.T) {
	t.Parallel()
	url := place(t, "sqlite")
	demo(t, url)
	path := strings.TrimPrefix(url, "sqlite:")
	db, err := sql.Open("sqlite", path)
	check(t, err)
	defer db.Close()
	for _, text := range []string{
		"CREATE TABLE hand (id INTEGER PRIMARY KEY, data BLOB, state VARCHAR(128))",
		"INSERT INTO hand SELECT id, data, state FROM store",
	} {
		_, err := db.ExecContext(t.Context(), text)
		check(t, err)
	}
	schema := func() (text string) {
		t.Helper()
		row := db.QueryRowContext(t.Context(), "SELECT group_concat(name || coalesce(sql, '')) FROM sqlite_schema")
		check(t, row.Scan(&text))
		return text
	}
	before := schema()
	hand := url + "#table=hand"
	golden(t, "hand-ls.txt", hand, brineWith(t, "", terminal(80, false), "ls", hand).out)
	golden(t, "hand-show.txt", hand, done(t, "show", hand, "4"))
	golden(t, "hand-stat.txt", hand, done(t, "stat", hand))
	if got := done(t, "ls", hand, "--state", "DONE", "--ids"); got != "2\n3\n" {
		t.Errorf("by state: %q", got)
	}
	if got := done(t, "kv", hand); got != "" {
		t.Errorf("pairs: %q", got)
	}
	fails(t, exitFailed, []string{"claim_owner"}, "claims", hand)
	fails(t, exitUsage, []string{`no column "type"`}, "ls", hand, "--type", "demo.Task")
	if got := done(t, "rm", hand, "4", "--yes"); got != "removed 1 record\n" {
		t.Errorf("rm: %q", got)
	}
	if got := done(t, "count", hand); got != "4\n" {
		t.Errorf("left: %q", got)
	}
	if diff := cmp.Diff(before, schema()); diff != "" {
		t.Errorf("the database was altered (-before +after):\n%s", diff)
	}
}

func TestWhatIsInterruptedSaysSo(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		demo(t, url)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for _, text := range commandsOf {
			var out, errOut bytes.Buffer
			code := newApp(strings.NewReader(""), &out, &errOut).run(ended, call(text, url))
			if first, _, _ := strings.Cut(errOut.String(), "\n"); code != exitFailed || first != "brine: interrupted" {
				t.Errorf("%s: exit code %d: %s%s", text, code, &out, &errOut)
			}
		}
		if got := done(t, "count", url); got != "5\n" {
			t.Errorf("left: %s", got)
		}
	})
}

func TestADatabaseThatSQLiteCannotRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tasks.db")
	demo(t, sqliteURL(path, ""))
	b, err := os.ReadFile(path)
	check(t, err)
	check(t, os.WriteFile(path, b[:len(b)/8], 0o600))
	for _, args := range [][]string{{"ls", path}, {"check", path}, {"cp", path, "mem:"}, {"kv", "set", path, "a", "b"}} {
		fails(t, exitFailed, []string{"malformed", "Take a backup", ".recover"}, args...)
	}
}
