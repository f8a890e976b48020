package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/brine-go/brine/persistence"
)

// storeEnv names the store where -store does not. The daemon is told that way: a URL may hold a
// password, and everybody on the machine can read the arguments of a process.
const storeEnv = "DAEMON_STORE"

// A child is the daemon that this process has started.
type child struct {
	pid   int
	ended <-chan *os.ProcessState // gets how it ended
}

// spawn starts this program once more, as the daemon, and returns when the record of that is in
// the store. Other goroutines may use the store all the while: their calls wait during the start.
//
// The daemon outlives this process. Under go run the file of the program is removed at its end,
// which does not bother a process that runs already.
func spawn(ctx context.Context, store *persistence.Store, logFile string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(logFile), 0o700); err != nil {
		return nil, err
	}
	out, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(self, "serve") // not CommandContext: it shall live on
	cmd.Env = append(os.Environ(), storeEnv+"="+store.URL().DSN())
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = detached()

	// From here to PostFork this process holds no connection, file or lock of the store, so the new
	// one inherits none and waits for none.
	err = store.PreFork()
	if err == nil {
		err = cmd.Start()
	}
	if err := errors.Join(err, store.PostFork()); err != nil {
		return nil, err
	}
	ended := make(chan *os.ProcessState, 1)
	go func() {
		_ = cmd.Wait() // else it would stay as a zombie, and seem to live
		ended <- cmd.ProcessState
	}()
	c := &child{pid: cmd.Process.Pid, ended: ended}
	return c, c.awaitRecord(ctx, store, logFile)
}

func (c *child) awaitRecord(ctx context.Context, store *persistence.Store, logFile string) error {
	for {
		ds, err := active(ctx, store)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(ds, func(d *Daemon) bool { return d.Pid == c.pid && d.Host == hostname() }) {
			return nil
		}
		select {
		case how := <-c.ended:
			return fmt.Errorf("the daemon has ended at once (%s): see %s", how, logFile)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(poll):
		}
	}
}
