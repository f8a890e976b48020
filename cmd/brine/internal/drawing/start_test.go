package drawing

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// started in the environment makes the test binary print the directory for temporary files.
const started = "BRINE_TEST_STARTED"

func TestMain(m *testing.M) {
	if os.Getenv(started) != "" {
		fmt.Print(os.TempDir())
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestMachineCodeIsKeptWhereOnlyThisUserWrites(t *testing.T) {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		t.Skip("the temporary directory is that of the user, and XDG_CACHE_HOME is not read")
	}
	t.Parallel()
	for name, tt := range map[string]struct {
		mode  os.FileMode // of the user's cache; 0: there is none, nor can it be made
		clean bool        // nothing is kept
	}{
		"in the cache of the user":          {mode: 0o700},
		"not in a cache where others write": {mode: 0o777, clean: true},
		"not where there is no cache":       {clean: true},
	} {
		starts := 2 // the second one with what the first has kept
		if testing.Short() && tt.clean {
			if tt.mode == 0 {
				continue // the other case has nothing kept either
			}
			starts = 1
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			temp, cache := t.TempDir(), filepath.Join(t.TempDir(), "none", "cache")
			if tt.mode != 0 {
				cache = t.TempDir()
				if err := os.Chmod(cache, tt.mode); err != nil { //nolint:gosec // that is the case to test
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			for range starts {
				cmd := exec.CommandContext(ctx, os.Args[0]) //nolint:gosec // this test
				cmd.Env = append(os.Environ(), started+"=1", "TMPDIR="+temp, "XDG_CACHE_HOME="+cache)
				out, err := cmd.CombinedOutput()
				if err != nil || string(out) != temp {
					t.Fatalf("%v: the temporary directory of the program is %q, want %q", err, out, temp)
				}
			}
			if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
				t.Errorf("%v: in the directory for all: %v", err, left)
			}
			kept, err := filepath.Glob(filepath.Join(cache, "brine", "go-graphviz", "*", "*"))
			if err != nil || (len(kept) == 0) != tt.clean {
				t.Errorf("%v: in the cache: %v", err, kept)
			}
		})
	}
}
