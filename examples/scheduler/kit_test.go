package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/brine-go/brine/examples/internal/clitest"
	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence/jobstore"
)

func TestMain(m *testing.M) {
	clitest.Reexec(main)
	testserver.Main(m, func() {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	})
}

// backends runs a test on every kind of store that processes can share.
func backends(t *testing.T, test func(t *testing.T, url string)) {
	t.Parallel()
	for _, name := range []string{"sqlite", "file", "postgres", "mariadb"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.ToSlash(t.TempDir())
			switch name {
			case "sqlite":
				test(t, "sqlite:"+dir+"/jobs.db")
			case "file":
				test(t, "file:"+dir+"/jobs")
			case "postgres":
				s := testserver.SharedPostgres(t)
				test(t, s.URL(s.NewDB(t)))
			case "mariadb":
				s := testserver.SharedMariaDB(t)
				test(t, s.URL(s.NewDB(t)))
			}
		})
	}
}

func open(t *testing.T, url string) *jobstore.Store[Job] {
	t.Helper()
	store, err := openStore(t.Context(), url)
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

// A process is one that runs jobs.
type process struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer
	ended  chan struct{}
}

// launch starts a process that runs jobs. It is killed at the end of the test at the latest.
func launch(t *testing.T, args ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(self, append(args, "run")...), ended: make(chan struct{})}
	p.cmd.Stderr = &p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // it says that the process was killed
		close(p.ended)
	}()
	t.Cleanup(func() {
		select {
		case <-p.ended:
		default:
			p.kill(t)
		}
		if p.stderr.Len() > 0 {
			t.Logf("process %d:\n%s", p.pid(), &p.stderr)
		}
	})
	return p
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// kill kills a process, which must still run.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Errorf("process %d has ended by itself: %v\n%s", p.pid(), err, &p.stderr)
	}
	<-p.ended
}

// A line is what is printed of a run.
type line struct {
	Time    time.Time
	Job     string
	Due     time.Time
	By      int
	Repeats *Attempt
}

func readLines(t *testing.T, file string) []line {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var lines []line
	for sc := bufio.NewScanner(bytes.NewReader(text)); sc.Scan(); {
		var l line
		if err := json.Unmarshal(sc.Bytes(), &l); err != nil {
			t.Fatalf("%q: %v", sc.Text(), err)
		}
		lines = append(lines, l)
	}
	return lines
}

// eventually waits until ok, for as long as the test may last.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in two minutes it has not come to be that %s", what)
		}
	}
}

func lookup(t *testing.T, store *jobstore.Store[Job], name string) *Job {
	t.Helper()
	job, err := store.Lookup(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return job
}

func addJob(t *testing.T, store *jobstore.Store[Job], name string) *Job {
	t.Helper()
	if err := add(t.Context(), store, time.Now(), &Job{Name: name, Spec: "* * * * * *", Text: "hello"}); err != nil {
		t.Fatal(err)
	}
	return lookup(t, store, name)
}

// quiet returns a scheduler that runs within the test.
func quiet(store *jobstore.Store[Job], out *bytes.Buffer) *scheduler {
	return &scheduler{store: store, out: slog.New(slog.NewJSONHandler(out, nil)), warn: slog.New(slog.DiscardHandler),
		workers: 4, lease: time.Hour, poll: time.Second}
}
