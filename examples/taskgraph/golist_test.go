package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/brine-go/brine/url"

	"github.com/brine-go/brine/examples/internal/cli"
)

// writeModule writes a Go module of three packages: c imports b, which imports a.
func writeModule(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("the go command is not there")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":      "module example.org/chain\n\ngo 1.26\n",
		"a/a.go":      "package a\n\nimport \"fmt\"\n\nfunc A() { fmt.Println() }\n",
		"a/a_test.go": "package a\n",
		"b/b.go":      "package b\n\nimport \"example.org/chain/a\"\n\nfunc B() { a.A() }\n",
		"c/c.go":      "package c\n\nimport \"example.org/chain/b\"\n\nfunc C() { b.B() }\n",
	} {
		writeFile(t, filepath.Join(dir, name), text)
	}
	return dir
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// in makes the program start in a folder, and every tool of Go stay with the module there.
func in(dir string, cmd *exec.Cmd) *exec.Cmd {
	cmd.Dir = dir
	cmd.Env = append(cmd.Env, "GOWORK=off", "GOFLAGS=-mod=mod")
	return cmd
}

func TestThePackagesOfAModuleAreVetted(t *testing.T) {
	t.Parallel()
	dir, store := writeModule(t), stores(t)["sqlite"]
	bad := "package b\n\nimport (\n\t\"fmt\"\n\n\t\"example.org/chain/a\"\n)\n\nfunc B() { a.A(); fmt.Printf(\"%d\", \"text\") }\n"
	writeFile(t, filepath.Join(dir, "b", "b.go"), bad)

	r := execute(t, in(dir, program(t, "-store", store))).must(t, cli.ExitFailed)
	for _, want := range []string{"workflow example.org/chain\n", "FAILED example.org/chain/b", "wrong type"} {
		if !strings.Contains(r.stderr, want) {
			t.Errorf("output lacks %q:\n%s", want, r.stderr)
		}
	}
	for _, want := range []string{"tasks 3, files 4, machines 1", "1  DONE", "1  FAILED", "1  BLOCKED"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("summary lacks %q:\n%s", want, r.stdout)
		}
	}
	checkTasks(t, store, map[string]Task{
		"example.org/chain/a": {State: Done, Attempts: 1},
		"example.org/chain/b": {State: Failed, Attempts: 1},
		"example.org/chain/c": {State: Blocked, Attempts: 0},
	})

	writeFile(t, filepath.Join(dir, "b", "b.go"), strings.Replace(bad, "%d", "%s", 1))
	r = execute(t, in(dir, program(t, "-store", store))).must(t, cli.ExitOK)
	if want := "1 failed in the last run: tried again, and 1 that waited"; !strings.Contains(r.stderr, want) {
		t.Errorf("output lacks %q:\n%s", want, r.stderr)
	}
	checkTasks(t, store, map[string]Task{
		"example.org/chain/a": {State: Done, Attempts: 1},
		"example.org/chain/b": {State: Done, Attempts: 2},
		"example.org/chain/c": {State: Done, Attempts: 1},
	})
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	w := stored(t, store)
	a := byName(w)["example.org/chain/a"]
	if a.Machine == nil || a.Machine.Name != host || a.Machine != w.Machines[0] {
		t.Errorf("a ran on %+v, want this machine, %s", a.Machine, host)
	}
	var files []string
	for _, f := range a.Inputs {
		files = append(files, f.Name)
	}
	if want := []string{"a/a.go", "a/a_test.go"}; !slices.Equal(files, want) || a.Inputs[1].Size != int64(len("package a\n")) {
		t.Errorf("the files of a are %v, want %v", files, want)
	}

	writeFile(t, filepath.Join(dir, "d", "d.go"), "package d\n")
	r = execute(t, in(dir, program(t, "-store", store))).must(t, cli.ExitFailed)
	if want := "1 new, such as example.org/chain/d"; !strings.Contains(r.stderr, want) || !strings.Contains(r.stderr, "-reset") {
		t.Errorf("output lacks %q or -reset:\n%s", want, r.stderr)
	}
}

// checkTasks compares the states and attempts of the tasks in a store.
func checkTasks(t *testing.T, url string, want map[string]Task) {
	t.Helper()
	got := byName(stored(t, url))
	if len(got) != len(want) {
		t.Errorf("the store has %d tasks, want %d", len(got), len(want))
	}
	for name, w := range want {
		if g := got[name]; g == nil || g.State != w.State || g.Attempts != w.Attempts {
			t.Errorf("%s is %+v, want %s after %d attempts", name, g, w.State, w.Attempts)
		}
	}
}

func TestAPackageThatDoesNotCompileIsAFailedTask(t *testing.T) {
	t.Parallel()
	dir, store := writeModule(t), stores(t)["file"]
	writeFile(t, filepath.Join(dir, "c", "c.go"), "package c\n\nfunc {\n")
	r := execute(t, in(dir, program(t, "-store", store))).must(t, cli.ExitFailed)
	if !strings.Contains(r.stdout, "2  DONE") || !strings.Contains(r.stderr, "c.go:3") {
		t.Errorf("output lacks two tasks done or the place of the mistake:\n%s%s", r.stderr, r.stdout)
	}
}

func TestAFolderOutsideOfModulesIsRefused(t *testing.T) {
	t.Parallel()
	writeModule(t) // skips without the go command
	cmd := program(t, "-store", "mem:")
	cmd.Dir = t.TempDir()
	cmd.Env = append(cmd.Env, "GOWORK=off", "GO111MODULE=on")
	if r := execute(t, cmd).must(t, cli.ExitFailed); !strings.Contains(r.stderr, "in no Go module") {
		t.Errorf("output does not say so:\n%s", r.stderr)
	}
}

func TestTheDefaultStoreIsOnePerSource(t *testing.T) {
	t.Parallel()
	a, b := defaultStore(filepath.FromSlash("/home/me/brine")), defaultStore(filepath.FromSlash("/tmp/50% #1?/brine"))
	if a == b || a != defaultStore(filepath.FromSlash("/home/me/brine")) {
		t.Errorf("the default stores of two folders are %s and %s", a, b)
	}
	u, err := url.Parse(defaultStore("50% #1?"))
	if err != nil {
		t.Fatal(err)
	}
	if name := filepath.Base(u.Path()); u.Scheme() != "sqlite" || !strings.HasPrefix(name, "taskgraph-50% #1?-") || u.Table() != "" {
		t.Errorf("the path in %s is %q", u, u.Path())
	}
}
