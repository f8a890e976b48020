package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence"
)

func TestTheDemonstrationDoesAllItsTasksAndStopsItsDaemon(t *testing.T) {
	backends(t, func(t *testing.T, url, dir string) {
		rounds := 1
		if strings.HasPrefix(url, "sqlite:") {
			rounds = 2 // the second finds what the first has left
		}
		for round := 1; round <= rounds; round++ {
			out, err := program(t, "-store", url, "-log", filepath.Join(dir, "log"), "-takes", "5ms")
			if err != nil {
				t.Fatalf("%v\n%s%s", err, out, logText(t, dir))
			}
			m := regexp.MustCompile(`daemon with pid (\d+)`).FindStringSubmatch(out)
			if m == nil || !strings.Contains(out, "it has ended") {
				t.Fatalf("output lacks the start or the end of the daemon:\n%s", out)
			}
			if pid, _ := strconv.Atoi(m[1]); alive(pid) {
				t.Errorf("process %d is still there", pid)
			}
			store := open(t, url)
			found := tasks(t, store)
			if len(found) != 20*round {
				t.Errorf("round %d: %d tasks are stored, want %d", round, len(found), 20*round)
			}
			for name, task := range found {
				if task.State != Done || task.Attempts != 1 || task.By == nil || task.By.State != Stopped {
					t.Errorf("%s is %s after %d attempts by %+v, want DONE after 1 by a STOPPED daemon", name, task.State, task.Attempts, task.By)
				}
			}
		}
	})
}

func TestEveryTaskSavedWhileDaemonsStartAndWorkIsDoneOnce(t *testing.T) {
	backends(t, func(t *testing.T, url, dir string) {
		store := open(t, url)
		var adders sync.WaitGroup
		for g := range 3 {
			adders.Go(func() {
				for i := range 20 {
					if err := add(t.Context(), store, time.Millisecond, fmt.Sprintf("task-%d-%d", g, i)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		defer adders.Wait()
		daemons := []*child{launch(t, store, dir), launch(t, store, dir)}
		adders.Wait()
		until(t, "all tasks are done", allDone(t, store))
		if err := stop(t.Context(), store, t.Output()); err != nil {
			t.Fatal(err)
		}
		for _, c := range daemons {
			mustEnd(t, c)
		}
		found := tasks(t, store)
		if len(found) != 60 {
			t.Errorf("%d tasks are stored, want 60", len(found))
		}
		for name, task := range found {
			if task.State != Done || task.Attempts != 1 {
				t.Errorf("%s is %s after %d attempts, want DONE after 1", name, task.State, task.Attempts)
			}
		}
	})
}

func TestADaemonThatIsToStopFinishesItsTaskAndLeavesTheRest(t *testing.T) {
	tell := map[string]func(t *testing.T, store *persistence.Store, c *child){
		"by its record": func(t *testing.T, store *persistence.Store, _ *child) {
			if err := stop(t.Context(), store, t.Output()); err != nil {
				t.Fatal(err)
			}
		},
		"by a signal": func(t *testing.T, _ *persistence.Store, c *child) {
			if runtime.GOOS == "windows" {
				kill(t, c)
				t.Skip("no SIGTERM on Windows")
			}
			p, err := os.FindProcess(c.pid)
			if err == nil {
				err = p.Signal(syscall.SIGTERM)
			}
			if err != nil {
				t.Fatal(err)
			}
		},
	}
	backends(t, func(t *testing.T, url, dir string) {
		for _, how := range []string{"by its record", "by a signal"} {
			store := open(t, url)
			var names []string
			for i := range 100 {
				names = append(names, fmt.Sprintf("%s %d", how, i))
			}
			if err := add(t.Context(), store, 200*time.Millisecond, names...); err != nil {
				t.Fatal(err)
			}
			c := launch(t, store, dir)
			until(t, "a task runs", func() bool {
				n, err := count(t.Context(), store, Running)
				return err == nil && n > 0
			})
			tell[how](t, store, c)
			mustEnd(t, c)
			n := map[State]int{}
			for _, task := range tasks(t, store) {
				n[task.State]++
			}
			if n[Running] > 0 || n[Done] == 0 || n[Waiting] == 0 {
				t.Errorf("%s: the tasks are %v, want some DONE, some WAITING and none RUNNING", how, n)
			}
			if ds, err := active(t.Context(), store); err != nil || len(ds) > 0 {
				t.Errorf("%s: %d daemons have not said that they stopped (%v)", how, len(ds), err)
			}
		}
	})
}

func TestTheTaskOfAKilledDaemonIsShownAndTakenUp(t *testing.T) {
	backends(t, func(t *testing.T, url, dir string) {
		store := open(t, url)
		if err := add(t.Context(), store, time.Hour, "long"); err != nil {
			t.Fatal(err)
		}
		first := launch(t, store, dir)
		until(t, "it runs", func() bool { return tasks(t, store)["long"].State == Running })
		kill(t, first)
		var out bytes.Buffer
		if err := status(t.Context(), store, &out); err != nil {
			t.Fatal(err)
		}
		task := tasks(t, store)["long"]
		dead := task.By
		for _, want := range []string{
			fmt.Sprintf("daemon %s DEAD, pid %d on %s", dead.PersistentID(), first.pid, hostname()),
			fmt.Sprintf("daemon %s has long, attempt 1", dead.PersistentID()),
		} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("status lacks %q:\n%s", want, &out)
			}
		}
		task.Takes = 0
		if _, err := store.SaveOnly(t.Context(), task); err != nil {
			t.Fatal(err)
		}
		second := launch(t, store, dir)
		until(t, "all tasks are done", allDone(t, store))
		if err := stop(t.Context(), store, t.Output()); err != nil {
			t.Fatal(err)
		}
		mustEnd(t, second)
		task = tasks(t, store)["long"]
		if task.Attempts != 2 || task.By.Pid != second.pid {
			t.Errorf("%d attempts, the last by pid %d, want 2 and pid %d", task.Attempts, task.By.Pid, second.pid)
		}
		if d, err := persistence.Load[Daemon](t.Context(), store, dead.PersistentID()); err != nil || d.State != Lost {
			t.Errorf("the killed daemon is %+v (%v), want LOST", d, err)
		}
	})
}

func TestADaemonOutlivesTheProgramThatStartedIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	url := "sqlite:" + filepath.ToSlash(dir) + "/tasks.db"
	must := func(args ...string) string {
		out, err := program(t, append([]string{"-store", url, "-log", filepath.Join(dir, "log")}, args...)...)
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return out
	}
	if out := must("status"); !strings.Contains(out, "no daemon runs") {
		t.Errorf("status of an empty store:\n%s", out)
	}
	store := open(t, url)
	t.Cleanup(func() { // before the store is closed
		if err := stop(context.Background(), store, t.Output()); err != nil {
			t.Error(err)
		}
	})
	m := regexp.MustCompile(`pid (\d+)`).FindStringSubmatch(must("start"))
	if m == nil {
		t.Fatal("start names no pid")
	}
	must("-takes", "1ms", "add", "red", "green", "blue")
	until(t, "all tasks are done", allDone(t, store))
	if out, want := must("status"), "RUNNING, pid "+m[1]; !strings.Contains(out, want) || !strings.Contains(out, "3 DONE") {
		t.Errorf("status lacks %q or three tasks done:\n%s", want, out)
	}
	must("stop")
	pid, _ := strconv.Atoi(m[1])
	until(t, "its process is gone", func() bool { return !listed(pid) })
	if found := tasks(t, store); len(found) != 3 {
		t.Errorf("%d tasks are stored, want 3", len(found))
	}
	if ds, err := active(t.Context(), store); err != nil || len(ds) > 0 {
		t.Errorf("%d daemons have not said that they stopped (%v)", len(ds), err)
	}
}
