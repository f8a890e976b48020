package all_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// A program that imports the library and a backend compiles what these need, and nothing else: not
// what another backend, the command cmd/brine or a test needs.
func TestProgramsCompileNothingElse(t *testing.T) {
	t.Parallel()
	const brine = "github.com/brine-go/brine"
	core := []string{
		brine, "github.com/google/uuid", "github.com/vmihailenco/msgpack/v5", "github.com/vmihailenco/tagparser/v2", "golang.org/x/sync",
	}
	for path, needs := range map[string][]string{
		"persistence":              {},
		"persistence/mem":          {},
		"persistence/jobstore":     {},
		"persistence/fs":           {"golang.org/x/sys"},
		"persistence/sql/postgres": {"github.com/jmoiron/sqlx", "github.com/lib/pq"},
		"persistence/sql/mysql":    {"github.com/jmoiron/sqlx", "github.com/go-sql-driver/mysql", "filippo.io/edwards25519"},
		"persistence/sql/sqlite": {
			"github.com/jmoiron/sqlx", "golang.org/x/sys", "modernc.org/sqlite", "modernc.org/libc", "modernc.org/mathutil", "modernc.org/memory",
			"github.com/dustin/go-humanize", "github.com/mattn/go-isatty", "github.com/ncruces/go-strftime", "github.com/remyoudompheng/bigfft",
		},
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			// What go version -m tells of a program, without the time to build it. A program
			// elsewhere does not see the workspace.
			cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", brine+"/persistence", brine+"/"+path)
			cmd.Env = append(os.Environ(), "GOPROXY=off", "GOWORK=off", "GOFLAGS=-mod=readonly")
			var errs strings.Builder
			cmd.Stderr = &errs
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, &errs)
			}
			modules := strings.Fields(string(out))
			if !slices.Contains(modules, core[1]) {
				t.Errorf("%s is not among %s", core[1], modules)
			}
			for _, m := range modules {
				if !slices.Contains(core, m) && !slices.Contains(needs, m) {
					t.Errorf("it compiles %s", m)
				}
			}
		})
	}
}
