package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// vet returns the work of a task that is a Go package: go vet of it. dir is the folder of its
// module.
func vet(dir string) func(context.Context, *Task) error {
	return func(ctx context.Context, t *Task) error {
		cmd := exec.CommandContext(ctx, "go", "vet", t.Name)
		cmd.Dir = dir
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // lets it remove its temporary files
		cmd.WaitDelay = 3 * time.Second
		out, err := cmd.CombinedOutput()
		if err == nil {
			return nil
		}
		// Ctrl-C goes to all programs of the terminal: go vet may end before this program has
		// noticed.
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
		if out := lastLines(string(bytes.TrimSpace(out)), 20); out != "" {
			return fmt.Errorf("go vet: %w\n%s", err, out)
		}
		return fmt.Errorf("go vet: %w", err)
	}
}

// simulate returns the work of a task of a recorded workflow: to take the time that it took then,
// times scale.
func simulate(scale float64) func(context.Context, *Task) error {
	return func(ctx context.Context, t *Task) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(float64(t.Recorded) * scale)):
			return nil
		}
	}
}

// lastLines returns the last n lines of s.
func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
