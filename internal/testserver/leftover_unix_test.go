//go:build linux || darwin

package testserver

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestEndOfATestEndsItsServer(t *testing.T) {
	eachKind(t, func(t *testing.T, start func(testing.TB, ...Option) *Server, _ func(testing.TB) *Server) {
		for _, how := range []string{"running", "killed", "paused", "stopped"} {
			var dir string
			t.Run(how, func(t *testing.T) {
				s := start(t)
				dir = s.Dir()
				s.NewDB(t)
				switch how {
				case "killed":
					s.Kill()
				case "paused":
					s.Pause()
				case "stopped":
					s.Stop()
				}
			})
			if dir != "" {
				mustBeGone(t, dir)
			}
		}
	})
}

// mustBeGone fails unless neither the folder nor a process that names it is left.
func mustBeGone(t *testing.T, dir string) {
	t.Helper()
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there (%v)", dir, err)
	}
	all, err := processes()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if strings.Contains(p.args, dir) {
			t.Errorf("process %d is still there: %s", p.pid, p.args)
		}
	}
}

// childEnv makes TestChild do something, in a process that does not live long.
const childEnv = "BRINE_TESTSERVER_CHILD"

// TestChild is no test of its own: it starts servers, says where they are, and comes to a bad end.
func TestChild(t *testing.T) {
	how := os.Getenv(childEnv)
	if how == "" {
		t.Skip("only as a child of another test")
	}
	if how == "in the midst of a start" {
		go func() {
			for n := 0; ; n++ {
				t.Run(fmt.Sprint(n), func(t *testing.T) { Postgres(t) })
			}
		}()
		for { // the folder exists as soon as anything is begun
			root.mu.Lock()
			dir := root.dir
			root.mu.Unlock()
			if dir != "" {
				fmt.Println("folder", dir)
				select {}
			}
			time.Sleep(time.Millisecond)
		}
	}
	pg, shared, maria := Postgres(t), SharedPostgres(t), MariaDB(t)
	for _, s := range []*Server{pg, shared, maria} {
		s.NewDB(t)
	}
	maria.Pause()
	pg.Pause()
	root.mu.Lock()
	fmt.Println("folder", root.dir)
	root.mu.Unlock()
	switch how {
	case "panic":
		panic("as asked for")
	case "os.Exit":
		os.Exit(3)
	case "SIGKILL":
		select {}
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	require(t, postgres)
	require(t, mariadb)
	for _, how := range []string{"panic", "os.Exit", "SIGKILL", "SIGTERM", "in the midst of a start"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$", "-test.timeout=5m")
			cmd.Env = append(os.Environ(), childEnv+"="+how)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var dir string
			var said strings.Builder
			for sc := bufio.NewScanner(io.TeeReader(out, &said)); dir == "" && sc.Scan(); {
				dir, _ = strings.CutPrefix(sc.Text(), "folder ")
				if !strings.HasPrefix(sc.Text(), "folder ") {
					dir = ""
				}
			}
			if dir == "" {
				t.Fatalf("the child (%v) says only:\n%s", cmd.Wait(), said.String())
			}
			switch how {
			case "SIGKILL", "in the midst of a start":
				_ = cmd.Process.Kill()
			case "SIGTERM":
				_ = cmd.Process.Signal(syscall.SIGTERM)
			}
			_, _ = io.Copy(io.Discard, out)
			if err := cmd.Wait(); err == nil {
				t.Error("the child ended well")
			}
			for exists(dir) || exists(dir+".gone") { // until the test is ended for its length
				time.Sleep(5 * time.Millisecond)
			}
			mustBeGone(t, dir)
		})
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
