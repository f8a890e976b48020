//go:build linux || darwin

package testserver

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// watchdogEnv makes a test binary the watchdog of the folder that it names.
const watchdogEnv = "BRINE_TESTSERVER_WATCHDOG"

// init, not TestMain: a test binary that forgot to call Main is guarded too.
func init() {
	if dir := os.Getenv(watchdogEnv); dir != "" {
		_, _ = io.Copy(io.Discard, os.Stdin) // until the test process is gone
		sweep(dir)
		os.Exit(0)
	}
}

// sweep ends every process whose command line names dir, and removes dir. Under a new name nothing
// can be started in it any more.
func sweep(dir string) {
	gone := dir + ".gone"
	if os.Rename(dir, gone) != nil {
		return // the test process has done it
	}
	self := os.Getpid()
	named := func(p proc) bool { return p.pid != self && strings.Contains(p.args, dir) }
	for {
		left, err := trees(named)
		if err != nil || len(left) == 0 || killTrees(named) != nil {
			break
		}
	}
	data, _ := filepath.Glob(filepath.Join(gone, "*", "data"))
	for _, d := range data {
		postgres.released(d)
	}
	_ = os.RemoveAll(gone)
}

// A watchdog is the process that cleans up after this one, should it be unable to.
type watchdog struct {
	cmd  *exec.Cmd
	pipe *os.File
}

// watch starts the watchdog of a folder.
func watch(dir string) (*watchdog, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd := exec.Command(exe)
	cmd.Stdin = r // and no output: go test would wait for its end
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), watchdogEnv+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // an interrupt from the terminal is not for it
	if err := cmd.Start(); err != nil {
		_ = w.Close()
		return nil, err
	}
	return &watchdog{cmd: cmd, pipe: w}, nil
}

// dismiss lets it go and waits for its end.
func (w *watchdog) dismiss() {
	_ = w.pipe.Close()
	_ = w.cmd.Wait()
}
