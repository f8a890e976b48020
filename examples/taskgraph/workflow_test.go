package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/examples/internal/cli"
	"github.com/brine-go/brine/persistence"
)

func TestAWorkflowRunsOnceOnEveryBackend(t *testing.T) {
	t.Parallel()
	for backend, url := range stores(t) {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			r := start(t, "-store", url, "-workflow", small, "-scale", "0").must(t, cli.ExitOK)
			for _, want := range []string{"stored: 6 tasks", "SIMULATED", "6/6  DONE", "to look at the store: brine web "} {
				if !strings.Contains(r.stderr, want) {
					t.Errorf("progress lacks %q:\n%s", want, r.stderr)
				}
			}
			for _, want := range []string{"soup: tasks 6, files 5, machines 2\n", "6  DONE", "2 of 2  knife", "1 of 1  heat"} {
				if !strings.Contains(r.stdout, want) {
					t.Errorf("summary lacks %q:\n%s", want, r.stdout)
				}
			}
			r = start(t, "-store", url, "-workflow", small, "-scale", "0").must(t, cli.ExitOK)
			if want := "finished already: all 6 tasks are done"; !strings.Contains(r.stderr, want) {
				t.Errorf("second run lacks %q:\n%s", want, r.stderr)
			}
			w := stored(t, url)
			checkGraph(t, w)
			for _, task := range w.Tasks {
				if task.State != Done || task.Attempts != 1 || task.Started.IsZero() {
					t.Errorf("%s is %s after %d attempts, started %v", task.Name, task.State, task.Attempts, task.Started)
				}
			}
		})
	}
}

// checkGraph checks that the objects of small.json came back as they were tied together.
func checkGraph(t *testing.T, w *Workflow) {
	t.Helper()
	want := map[string][]string{
		"shop": {}, "peel": {"shop"}, "chop": {"shop"}, "boil": {"chop", "peel"}, `lay "table"`: {}, "serve": {"boil", `lay "table"`},
	}
	if diff := cmp.Diff(want, shape(w)); diff != "" {
		t.Errorf("dependencies (-want +got):\n%s", diff)
	}
	for _, task := range w.Tasks {
		for _, d := range task.Deps {
			if !slices.Contains(w.Tasks, d) || !slices.Contains(d.Dependents, task) {
				t.Errorf("%s and %s are not tied both ways", task.Name, d.Name)
			}
		}
		for _, f := range task.Inputs {
			if !slices.Contains(f.UsedBy, task) {
				t.Errorf("file %s does not know that %s reads it", f.Name, task.Name)
			}
		}
		for _, f := range task.Outputs {
			if f.MadeBy != task {
				t.Errorf("file %s does not know that %s makes it", f.Name, task.Name)
			}
		}
		if task.Machine != nil && !slices.Contains(w.Machines, task.Machine) {
			t.Errorf("the machine of %s is none of the workflow's", task.Name)
		}
	}
	if m := byName(w)["boil"].Machine; m == nil || m.Name != "kitchen" || m.CPUs != 4 {
		t.Errorf("boil ran on %+v", m)
	}
	if fs := byName(w)["chop"].Inputs; len(fs) != 2 || fs[1].Name != "knife" || fs[1].Size != 12 {
		t.Errorf("chop reads %d files, and not the knife last", len(fs))
	}
}

func TestMemoryCannotBeResumed(t *testing.T) {
	t.Parallel()
	r := start(t, "-store", "mem:", "-workflow", small, "-scale", "0").must(t, cli.ExitOK)
	if want := "nothing can be resumed"; !strings.Contains(r.stderr, want) {
		t.Errorf("output lacks %q:\n%s", want, r.stderr)
	}
	if strings.Contains(r.stderr, "to look at the store") {
		t.Errorf("what has ended with the program is to be looked at:\n%s", r.stderr)
	}
}

func TestResetForgetsTheWorkflowAlone(t *testing.T) {
	t.Parallel()
	for backend, url := range stores(t) {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			store, err := persistence.MakeStore(t.Context(), url, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := store.Save(t.Context(), "somebody else's"); err != nil {
				t.Fatal(err)
			}
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
			start(t, "-store", url, "-workflow", small, "-scale", "0").must(t, cli.ExitOK)
			r := start(t, "-store", url, "-workflow", small, "-scale", "0", "-reset").must(t, cli.ExitOK)
			for _, want := range []string{"reset: 14 objects removed", "stored: 6 tasks", "6/6  DONE"} {
				if !strings.Contains(r.stderr, want) {
					t.Errorf("output lacks %q:\n%s", want, r.stderr)
				}
			}
			if store, err = openStore(t.Context(), url); err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			if n, err := store.Count(t.Context(), nil); n != 14+1 || err != nil {
				t.Errorf("the store has %d records, %v; want 15", n, err)
			}
			for v, err := range store.All(t.Context(), &persistence.Query{Type: "string"}) {
				if v != "somebody else's" || err != nil {
					t.Errorf("what was there before is %v, %v", v, err)
				}
			}
		})
	}
}

func TestAStoreOfAnotherWorkflowIsRefused(t *testing.T) {
	t.Parallel()
	url := stores(t)["sqlite"]
	start(t, "-store", url, "-workflow", small, "-scale", "0").must(t, cli.ExitOK)
	text, err := os.ReadFile(small)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, old, new, want string }{
		{"another name", `"name": "soup"`, `"name": "stew"`, "another workflow, soup"},
		{"a task more", `{"name": "lay"`, `{"name": "n", "id": "napkin"}, {"name": "lay"`, "1 new, such as napkin"},
		{"another dependency", `"parents": ["boil"]`, `"parents": ["boil", "chop"]`, "1 waiting for other tasks than before, such as serve"},
	} {
		t.Run(c.name, func(t *testing.T) {
			changed := strings.Replace(string(text), c.old, c.new, 1)
			if changed == string(text) {
				t.Fatal("nothing was changed")
			}
			file := filepath.Join(t.TempDir(), "changed.json")
			if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
				t.Fatal(err)
			}
			r := start(t, "-store", url, "-workflow", file).must(t, cli.ExitFailed)
			if !strings.Contains(r.stderr, c.want) || !strings.Contains(r.stderr, "-reset") {
				t.Errorf("output lacks %q or -reset:\n%s", c.want, r.stderr)
			}
			checkGraph(t, stored(t, url))
			start(t, "-store", url, "-workflow", small).must(t, cli.ExitOK)
		})
	}
}

func TestBadWorkflowFilesAreRefused(t *testing.T) {
	t.Parallel()
	doc := func(version, tasks, runs string) string {
		return fmt.Sprintf(`{"name": "bad", "schemaVersion": %q, "workflow": {"specification": {"tasks": [%s]}, "execution": {"tasks": [%s]}}}`,
			version, tasks, runs)
	}
	for _, c := range []struct{ name, text, want string }{
		{"an empty file", "", "no WfFormat"},
		{"no JSON", "workflow: soup", "no WfFormat"},
		{"cut off", doc("1.5", `{"id": "a"}`, "")[:80], "no WfFormat"},
		{"cut off gzip", "\x1f\x8b\x08\x00", "EOF"},
		{"another version", doc("1.3", `{"id": "a"}`, ""), `schemaVersion is "1.3"`},
		{"no tasks", doc("1.5", "", ""), "no tasks"},
		{"an ID twice", doc("1.5", `{"id": "a"}, {"id": "a"}`, ""), `task ID "a"`},
		{"no ID", doc("1.5", `{"name": "a"}`, ""), `task ID ""`},
		{"an unknown parent", doc("1.5", `{"id": "a", "parents": ["b"]}`, ""), `parent "b"`},
		{"an unknown child", doc("1.5", `{"id": "a", "children": ["b"]}`, ""), `child "b"`},
		{"a circle", doc("1.5", `{"id": "a", "parents": ["c"]}, {"id": "b", "parents": ["a"]}, {"id": "c", "parents": ["b"]}, {"id": "d"}`, ""), "circle: a, b, c"},
		{"its own parent", doc("1.5", `{"id": "a", "parents": ["a"]}`, ""), "circle: a"},
		{"an unknown task ran", doc("1.5", `{"id": "a"}`, `{"id": "b"}`), `task "b" was run`},
		{"a negative runtime", doc("1.5", `{"id": "a"}`, `{"id": "a", "runtimeInSeconds": -1}`), "runtime of -1 s"},
		{"an endless runtime", doc("1.5", `{"id": "a"}`, `{"id": "a", "runtimeInSeconds": 1e300}`), "runtime of 1e+300 s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "bad.json")
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			r := start(t, "-store", "mem:", "-workflow", file).must(t, cli.ExitFailed)
			if !strings.Contains(r.stderr, c.want) || !strings.Contains(r.stderr, "bad.json") {
				t.Errorf("output lacks %q or the file's name:\n%s", c.want, r.stderr)
			}
		})
	}
	r := start(t, "-store", "mem:", "-workflow", filepath.Join(t.TempDir(), "none.json")).must(t, cli.ExitFailed)
	if !strings.Contains(r.stderr, "none.json") {
		t.Errorf("output lacks the name of the missing file:\n%s", r.stderr)
	}
}

func TestACompressedWorkflowIsTheSame(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(small)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "small.json.gz")
	if err := os.WriteFile(file, buf.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := readWorkflow(file)
	if err != nil {
		t.Fatal(err)
	}
	checkGraph(t, w)
}

func TestDotDrawsTheGraph(t *testing.T) {
	t.Parallel()
	r := start(t, "-dot", "-workflow", small).must(t, cli.ExitOK)
	want := `digraph "soup" {
	rankdir=LR
	node [shape=box]
	"shop" [label="shop"]
	"peel" [label="peel"]
	"chop" [label="chop"]
	"boil" [label="boil"]
	"lay \"table\"" [label="lay \"table\""]
	"serve" [label="serve"]
	"shop" -> "peel"
	"shop" -> "chop"
	"peel" -> "boil"
	"chop" -> "boil"
	"boil" -> "serve"
	"lay \"table\"" -> "serve"
}
`
	if diff := cmp.Diff(want, r.stdout); diff != "" {
		t.Errorf("graph (-want +got):\n%s", diff)
	}
}

func TestBadArgumentsAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"an argument", []string{"run"}, `unexpected argument "run"`},
		{"a negative scale", []string{"-scale", "-1"}, "-scale is -1"},
		{"no number as scale", []string{"-scale", "NaN"}, "-scale is NaN"},
		{"no workers", []string{"-workers", "0"}, "-workers is 0"},
		{"an unknown flag", []string{"-quick"}, "not defined: -quick"},
	} {
		if r := start(t, c.args...).must(t, cli.ExitUsage); !strings.Contains(r.stderr, c.want) || strings.Contains(r.stderr, "-store") {
			t.Errorf("%s: output is not %q alone:\n%s", c.name, c.want, r.stderr)
		}
	}
	if r := start(t, "-store", "tape:/dev/st0", "-workflow", small).must(t, cli.ExitFailed); !strings.Contains(r.stderr, "sqlite") {
		t.Errorf("an unknown scheme does not name the known ones:\n%s", r.stderr)
	}
}
