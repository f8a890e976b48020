package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/brine-go/brine/persistence"
)

const (
	storeEnv = "WORKERS_STORE"          // names the store where -store does not: unlike arguments, not everybody can read it
	stdinEnv = "WORKERS_END_WITH_STDIN" // says that the process is to end at the end of its standard input
)

// A member is a process of the group.
type member struct {
	role  string
	cmd   *exec.Cmd
	stdin io.Closer // its standard input: it ends when this is closed, or when this process has died
}

// A group is the processes that this one has started, for all roles.
type group struct {
	members []*member
	ended   chan *member // gets each once
}

// startGroup starts this program once more for each member, with the role as its argument.
func startGroup(store *persistence.Store, count map[string]int, args []string) (*group, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	g := &group{}
	for _, role := range []string{"manager", "worker", "engine"} {
		for range count[role] {
			cmd := exec.Command(self, append(args[:len(args):len(args)], role)...)
			cmd.Env = append(os.Environ(), storeEnv+"="+store.URL().DSN(), stdinEnv+"=1")
			cmd.Stderr = os.Stderr // a file, so it can be shared
			g.members = append(g.members, &member{role: role, cmd: cmd})
		}
	}
	g.ended = make(chan *member, len(g.members))
	// From here to PostFork this process holds no connection, file or lock of the store.
	err = store.PreFork()
	for _, m := range g.members {
		if err == nil {
			err = m.start(g.ended)
		}
	}
	if err := errors.Join(err, store.PostFork()); err != nil {
		return nil, errors.Join(err, g.stop())
	}
	return g, nil
}

func (m *member) start(ended chan<- *member) (err error) {
	if m.stdin, err = m.cmd.StdinPipe(); err != nil {
		return err
	}
	if err := m.cmd.Start(); err != nil {
		return err
	}
	go func() {
		_ = m.cmd.Wait() // how it ended is in its ProcessState
		ended <- m
	}()
	return nil
}

// remove removes a member that has ended, and returns an error if it was the last one of its role.
func (g *group) remove(gone *member) error {
	left := 0
	kept := g.members[:0]
	for _, m := range g.members {
		if m != gone {
			kept = append(kept, m)
			if m.role == gone.role {
				left++
			}
		}
	}
	if g.members = kept; left == 0 {
		return fmt.Errorf("there is no %s any more: the last one has ended (%s)", gone.role, gone.cmd.ProcessState)
	}
	return nil
}

// stop ends all that are left, and waits for that.
func (g *group) stop() error {
	left := 0
	for _, m := range g.members {
		if m.stdin != nil {
			_ = m.stdin.Close()
		}
		if m.cmd.Process != nil {
			left++
		}
	}
	var errs []error
	late := time.After(20 * time.Second)
	for left > 0 {
		select {
		case m := <-g.ended:
			left--
			if !m.cmd.ProcessState.Success() {
				errs = append(errs, fmt.Errorf("%s with pid %d: %s", m.role, m.cmd.Process.Pid, m.cmd.ProcessState))
			}
		case <-late:
			for _, m := range g.members {
				if m.cmd.Process != nil {
					_ = m.cmd.Process.Kill() // of no effect where it has ended
				}
			}
			late = nil
		}
	}
	return errors.Join(errs...)
}

// watch prints how far the jobs are, until all are finished.
func (g *group) watch(ctx context.Context, store *persistence.Store, out io.Writer) error {
	last := ""
	for {
		line, done, err := progress(ctx, store)
		if err != nil {
			return err
		}
		if line != last {
			fmt.Fprintln(out, line)
		}
		if last = line; done {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m := <-g.ended:
			fmt.Fprintf(out, "%s with pid %d has ended (%s)\n", m.role, m.cmd.Process.Pid, m.cmd.ProcessState)
			if err := g.remove(m); err != nil {
				return err
			}
		case <-time.After(3 * poll):
		}
	}
}

// endWithStdin ends ctx when this process was started by startGroup and its standard input ends.
func endWithStdin(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if strings.TrimSpace(os.Getenv(stdinEnv)) != "" {
		_ = os.Unsetenv(stdinEnv) // not for what this process starts
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			cancel()
		}()
	}
	return ctx, cancel
}
