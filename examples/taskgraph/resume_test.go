package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/examples/internal/cli"
)

// A kill says when to stop the program.
type kill struct {
	name  string
	lines int           // after so many tasks were reported done
	delay time.Duration // if lines is negative
}

func (k kill) wait(t *testing.T, stderr *bufio.Scanner) (reported []string) {
	t.Helper()
	if k.lines < 0 {
		time.Sleep(k.delay)
		return nil
	}
	ready := false
	for !ready || len(reported) < k.lines {
		if !stderr.Scan() {
			t.Fatalf("the program ended early, after %d tasks", len(reported))
		}
		line := stderr.Text()
		ready = ready || strings.HasPrefix(line, "stored")
		if fields := strings.Fields(line); len(fields) > 2 && fields[1] == string(Done) {
			reported = append(reported, fields[len(fields)-1])
		}
	}
	return reported
}

const shortTasks, longTasks = 40, 20

// startWorkflow starts the program on a workflow that it cannot finish, for the last tasks take an
// hour.
func startWorkflow(t *testing.T, file, url string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := program(t, "-store", url, "-workflow", file, "-scale", "1", "-workers", "3")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(stderr)
}

func countRunning(w *Workflow) (n int) {
	if w == nil {
		return 0
	}
	for _, t := range w.Tasks {
		if t.State == Running {
			n++
		}
	}
	return n
}

func TestAKilledRunIsResumed(t *testing.T) {
	t.Parallel()
	file := writeWorkflow(t, shortTasks, longTasks)
	for _, k := range []kill{
		{"at once", -1, 0},
		{"while it starts", -1, 20 * time.Millisecond},
		{"a little later", -1, 60 * time.Millisecond},
		{"before the first task is done", 0, 0},
		{"in the middle", 11, 0},
		{"when long tasks run", shortTasks, 0},
	} {
		for backend, url := range stores(t) {
			t.Run(k.name+" on "+backend, func(t *testing.T) {
				t.Parallel()
				cmd, stderr := startWorkflow(t, file, url)
				reported := k.wait(t, stderr)
				for k.lines == shortTasks && countRunning(stored(t, url)) == 0 {
					time.Sleep(10 * time.Millisecond) // a long task is about to begin
				}
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				_ = cmd.Wait() // it says that the program was killed
				before := make(map[string]State)
				w := stored(t, url)
				running := countRunning(w)
				if w != nil {
					for name, task := range byName(w) {
						before[name] = task.State
					}
					if len(before) != shortTasks+longTasks {
						t.Errorf("%d tasks are stored, want all %d or none", len(before), shortTasks+longTasks)
					}
				}
				for _, name := range reported {
					if before[name] != Done {
						t.Errorf("%s was reported done and is %q after the kill", name, before[name])
					}
				}
				if k.lines == shortTasks && running == 0 {
					t.Error("no task was running when the program was killed")
				}

				r := execute(t, program(t, "-store", url, "-workflow", file, "-scale", "0")).must(t, cli.ExitOK)
				if want := fmt.Sprintf("%d running when the last run was killed", running); running > 0 && !strings.Contains(r.stderr, want) {
					t.Errorf("output lacks %q:\n%s", want, r.stderr)
				}
				for name, task := range byName(stored(t, url)) {
					want := 1
					if before[name] == Running {
						want = 2
					}
					if task.State != Done || task.Attempts != want {
						t.Errorf("%s is %s after %d attempts, want DONE after %d: it was %q before", name, task.State, task.Attempts, want, before[name])
					}
				}
			})
		}
	}
}

func TestAnInterruptedRunIsResumed(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows cannot send an interrupt to one process")
	}
	file := writeWorkflow(t, shortTasks, longTasks)
	for backend, url := range stores(t) {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			cmd, stderr := startWorkflow(t, file, url)
			kill{lines: 7}.wait(t, stderr)
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			var rest strings.Builder
			for stderr.Scan() {
				fmt.Fprintln(&rest, stderr.Text())
			}
			_ = cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != cli.ExitInterrupted {
				t.Errorf("exit code is %d, want %d", code, cli.ExitInterrupted)
			}
			if want := "resume by running it again"; !strings.Contains(rest.String(), want) {
				t.Errorf("output lacks %q:\n%s", want, &rest)
			}
			attempts := make(map[string]int)
			for name, task := range byName(stored(t, url)) {
				if task.State != Done && task.State != Submitted {
					t.Errorf("%s is %s after the interrupt", name, task.State)
				}
				if attempts[name] = task.Attempts; task.State != Done {
					attempts[name]++
				}
			}
			execute(t, program(t, "-store", url, "-workflow", file, "-scale", "0")).must(t, cli.ExitOK)
			for name, task := range byName(stored(t, url)) {
				if task.State != Done || task.Attempts != attempts[name] {
					t.Errorf("%s is %s after %d attempts, want DONE after %d", name, task.State, task.Attempts, attempts[name])
				}
			}
		})
	}
}
