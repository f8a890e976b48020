package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brine-go/brine/examples/internal/cli"
)

// TestRecordedWorkflows runs real workflows, whose tasks and files others have counted.
func TestRecordedWorkflows(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(cmp.Or(os.Getenv("BRINE_DATA"), filepath.Join("..", "..", "..", "shared", "data")), "wfinstances")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no recorded workflows: they are looked for in %s, or set BRINE_DATA", dir)
	}
	for i, c := range []struct {
		file                          string
		tasks, edges, files, machines int
		nowhere                       bool // the file does not say which task ran on which machine
	}{
		{"srasearch-chameleon-50a-003.json", 104, 152, 210, 3, false},
		{"blast-chameleon-large-001.json", 103, 300, 307, 4, false},
		{"1000genome-chameleon-8ch-250k-001.json.gz", 328, 424, 352, 4, false},
		{"seismology-chameleon-300p-001.json.gz", 301, 300, 904, 6, false},
		{"viralrecon-dirt02-001.json.gz", 203, 343, 877, 1, true},
		{"cycles-chameleon-1l-2c-9p-001.json.gz", 134, 194, 1037, 2, false},
	} {
		for backend, url := range stores(t) {
			if testing.Short() && (backend == "sqlite") == (i%2 == 0) {
				continue // half of them in a database, half in a directory
			}
			t.Run(c.file+" on "+backend, func(t *testing.T) {
				t.Parallel()
				r := start(t, "-store", url, "-workflow", filepath.Join(dir, c.file), "-scale", "0").must(t, cli.ExitOK)
				for _, want := range []string{
					fmt.Sprintf("tasks %d, files %d, machines %d\n", c.tasks, c.files, c.machines), fmt.Sprintf("%d  DONE\n", c.tasks),
				} {
					if !strings.Contains(r.stdout, want) {
						t.Errorf("summary lacks %q:\n%s", want, r.stdout)
					}
				}
				edges := 0
				for _, task := range stored(t, url).Tasks {
					edges += len(task.Deps)
					if task.State != Done || task.Attempts != 1 || (task.Machine == nil) != c.nowhere {
						t.Errorf("%s is %s after %d attempts on %+v", task.Name, task.State, task.Attempts, task.Machine)
					}
				}
				if edges != c.edges {
					t.Errorf("the tasks wait for %d others, want %d", edges, c.edges)
				}
			})
		}
	}
}
