package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/brine-go/brine/persistence"
)

// TestMain makes the test binary the program itself where a test starts it as such.
func TestMain(m *testing.M) {
	if os.Getenv("TASKGRAPH_TEST_MAIN") != "" {
		main() // exits
	}
	os.Exit(m.Run())
}

const small = "testdata/small.json"

// program returns the program, ready to start in a process of its own.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), "TASKGRAPH_TEST_MAIN=1")
	return cmd
}

// A result is how the program ended.
type result struct {
	code           int
	stdout, stderr string
}

// execute runs the program in a process of its own.
func execute(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok && err != nil || ok && !exit.Exited() {
		t.Fatalf("%v: %v\n%s", cmd.Args[1:], err, &stderr)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// start runs the program within the test.
func start(t *testing.T, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := app.Exit(t.Context(), run(t.Context(), args, &stdout, &stderr), &stderr)
	return result{code, stdout.String(), stderr.String()}
}

// must fails the test unless the program ended with the code.
func (r result) must(t *testing.T, code int) result {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit code is %d, want %d\n%s%s", r.code, code, r.stderr, r.stdout)
	}
	return r
}

// stores are the URLs of new stores that survive the program.
func stores(t *testing.T) map[string]string {
	dir := filepath.ToSlash(t.TempDir())
	return map[string]string{"sqlite": "sqlite:" + dir + "/tasks.db", "file": "file:" + dir + "/tasks"}
}

// stored returns the workflow that a store holds, nil if there is none.
func stored(t *testing.T, url string) *Workflow {
	t.Helper()
	ctx := context.Background()
	store, err := openStore(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var found *Workflow
	for w, err := range persistence.All[Workflow](ctx, store, nil) {
		if err != nil {
			t.Fatal(err)
		}
		if found != nil {
			t.Fatal("the store holds two workflows")
		}
		found = w
	}
	return found
}

// byName returns the tasks of a workflow by their names.
func byName(w *Workflow) map[string]*Task {
	m := make(map[string]*Task)
	for _, t := range w.Tasks {
		m[t.Name] = t
	}
	return m
}

// writeWorkflow writes a made-up workflow of short tasks that take no time, and
// after them long ones that would run for an hour.
func writeWorkflow(t *testing.T, short, long int) string {
	t.Helper()
	var tasks, runs []any
	for i := range short + long {
		id, parents, seconds := fmt.Sprintf("task-%03d", i), []string{}, 0
		if i >= 3 {
			parents = append(parents, fmt.Sprintf("task-%03d", i-3))
		}
		if i >= short {
			seconds = 3600
		}
		tasks = append(tasks, map[string]any{"id": id, "name": id, "parents": parents, "outputFiles": []string{id + ".out"}})
		runs = append(runs, map[string]any{"id": id, "runtimeInSeconds": seconds})
	}
	text, err := json.Marshal(map[string]any{"name": "made-up", "schemaVersion": wfVersion, "workflow": map[string]any{
		"specification": map[string]any{"tasks": tasks},
		"execution":     map[string]any{"tasks": runs},
	}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "made-up.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
