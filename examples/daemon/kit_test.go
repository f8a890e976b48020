package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/brine-go/brine/examples/internal/clitest"
	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence"
)

func TestMain(m *testing.M) {
	clitest.Reexec(main)
	log.SetOutput(io.Discard)
	testserver.Main(m, func() {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	})
}

// backends runs a test on every kind of store that processes can share. dir is empty, for logs.
func backends(t *testing.T, test func(t *testing.T, url, dir string)) {
	t.Parallel()
	for _, name := range []string{"sqlite", "file", "postgres"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			var url string
			switch name {
			case "sqlite":
				url = "sqlite:" + filepath.ToSlash(dir) + "/tasks.db"
			case "file":
				url = "file:" + filepath.ToSlash(dir) + "/tasks"
			case "postgres":
				s := testserver.SharedPostgres(t)
				url = s.URL(s.NewDB(t))
			}
			test(t, url, dir)
		})
	}
}

func open(t *testing.T, url string) *persistence.Store {
	t.Helper()
	store, err := persistence.MakeStore(t.Context(), url, &persistence.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// launch starts a daemon, which the test has to end; should it not, that is done for it.
func launch(t *testing.T, store *persistence.Store, dir string) *child {
	t.Helper()
	c, err := spawn(t.Context(), store, filepath.Join(dir, "log"))
	if c != nil {
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("the log of the daemons:\n%s", logText(t, dir))
			}
			if c.ended != nil {
				t.Errorf("the daemon with pid %d was not ended", c.pid)
				kill(t, c)
			}
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func kill(t *testing.T, c *child) {
	t.Helper()
	p, err := os.FindProcess(c.pid)
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		t.Error(err)
	}
	<-c.ended
	c.ended = nil
}

// mustEnd waits for the end of a daemon, which must be a clean one.
func mustEnd(t *testing.T, c *child) {
	t.Helper()
	select {
	case how := <-c.ended:
		c.ended = nil
		if !how.Success() {
			t.Errorf("the daemon ended with %s, want exit status 0", how)
		}
	case <-time.After(time.Minute):
		t.Fatal("the daemon does not end")
	}
	if alive(c.pid) {
		t.Errorf("process %d is still there", c.pid)
	}
}

func logText(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "log"))
	if err != nil {
		t.Error(err)
	}
	return string(text)
}

// program runs the program to its end and returns what it prints.
func program(t *testing.T, args ...string) (string, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	return out.String(), err
}

// listed reports whether there is a process of that number, but for a zombie: an orphan may remain
// one for ever where the first process of a container does not care.
func listed(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(stat), ") ")
	return alive(pid) && (err != nil || !strings.HasPrefix(state, "Z"))
}

// until waits for something that must come.
func until(t *testing.T, what string, come func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !come(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain waited until %s", what)
		}
	}
}

// tasks returns all tasks of a store by their names, and fails the test where one has its name
// twice.
func tasks(t *testing.T, store *persistence.Store) map[string]*Task {
	t.Helper()
	found := map[string]*Task{}
	for task, err := range persistence.All[Task](t.Context(), store, nil) {
		if err != nil {
			t.Fatal(err)
		}
		if found[task.Name] != nil {
			t.Fatalf("%s is there twice", task.Name)
		}
		found[task.Name] = task
	}
	return found
}

func allDone(t *testing.T, store *persistence.Store) func() bool {
	return func() bool {
		_, left, err := progress(t.Context(), store)
		if err != nil {
			t.Fatal(err)
		}
		return left == 0
	}
}
