//go:build linux || darwin

package testserver

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const supported = true

type signal = syscall.Signal

const (
	interrupt = syscall.SIGINT
	terminate = syscall.SIGTERM
)

// unprivileged is the user who runs the servers: nil for the one who runs the test, unless that is
// root: PostgreSQL refuses to run as root.
var unprivileged = sync.OnceValues(func() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "mysql", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil && uid != 0 {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, fmt.Errorf("no unprivileged user to run servers as: none of postgres, mysql, nobody exists")
})

// giveAway makes a file or folder the unprivileged user's.
func giveAway(path string) error {
	c, err := unprivileged()
	if err != nil || c == nil {
		return err
	}
	return os.Chown(path, int(c.Uid), int(c.Gid))
}

// command prepares a program that runs as the unprivileged user in a process group of its own, with
// an environment that does not depend on who runs the test.
func command(dir, name string, args ...string) (*exec.Cmd, error) {
	c, err := unprivileged()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	path := "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	if filepath.IsAbs(name) {
		path = filepath.Dir(name) + ":" + path
	}
	cmd.Env = []string{"PATH=" + path, "LC_ALL=C", "HOME=" + dir, "TMPDIR=" + dir, "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: c}
	return cmd, nil
}

// run runs a program to its end; what it prints becomes part of the error.
func run(dir, name string, args ...string) error {
	_, err := output(dir, name, args...)
	return err
}

func output(dir, name string, args ...string) ([]byte, error) {
	cmd, err := command(dir, name, args...)
	if err != nil {
		return nil, err
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", filepath.Base(name), err, out)
	}
	return out, nil
}

// A process is a server's first process, and the root of the tree of the others.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// spawn starts a server that logs to a file.
func spawn(dir, log string, argv []string) (*process, error) {
	cmd, err := command(dir, argv[0], argv[1:]...)
	if err != nil {
		return nil, err
	}
	// The test's own output would be held open by a server: go test waits for its end.
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	cmd.Stdout, cmd.Stderr = f, f
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(p.done)
	}()
	return p, nil
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *process) signal(s signal) error { return p.cmd.Process.Signal(s) }

func (p *process) isRoot(q proc) bool { return q.pid == p.cmd.Process.Pid }

// kill ends the tree. PostgreSQL's processes lead sessions of their own, so that a signal to the
// group would reach the first one alone.
func (p *process) kill() error {
	if !p.ended() {
		if err := killTrees(p.isRoot); err != nil {
			return err
		}
	}
	<-p.done
	return nil
}

func (p *process) freeze() error {
	_, err := stopTrees(p.isRoot)
	return err
}

func (p *process) thaw() error {
	tree, err := trees(p.isRoot)
	for _, q := range tree {
		_ = unix.Kill(q.pid, unix.SIGCONT)
	}
	return err
}

// A proc is one row of the table of processes.
type proc struct {
	pid, parent int
	zombie      bool
	args        string
}

// trees lists the living processes that match, and their descendants, parents first.
func trees(match func(proc) bool) ([]proc, error) {
	all, err := processes()
	if err != nil {
		return nil, err
	}
	children := map[int][]proc{}
	var found []proc
	for _, p := range all {
		if p.zombie {
			continue
		}
		if match(p) {
			found = append(found, p)
		}
		children[p.parent] = append(children[p.parent], p)
	}
	seen := map[int]bool{}
	for _, p := range found {
		seen[p.pid] = true
	}
	for k := 0; k < len(found); k++ {
		for _, c := range children[found[k].pid] {
			if !seen[c.pid] {
				seen[c.pid] = true
				found = append(found, c)
			}
		}
	}
	return found, nil
}

// stopTrees stops them all; those started meanwhile too.
func stopTrees(match func(proc) bool) (map[int]bool, error) {
	stopped := map[int]bool{}
	for {
		tree, err := trees(match)
		if err != nil {
			return stopped, err
		}
		before := len(stopped)
		for _, p := range tree {
			if !stopped[p.pid] {
				stopped[p.pid] = true
				_ = unix.Kill(p.pid, unix.SIGSTOP)
			}
		}
		if len(stopped) == before {
			return stopped, nil
		}
	}
}

// killTrees ends them all and waits until they are gone.
func killTrees(match func(proc) bool) error {
	victims, err := stopTrees(match)
	if err != nil {
		return err
	}
	for pid := range victims {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	for {
		all, err := processes()
		if err != nil {
			return err
		}
		left := false
		for _, p := range all {
			left = left || victims[p.pid] && !p.zombie
		}
		if !left {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
}

// removeSegment removes a segment of System V shared memory, if it is still there.
func removeSegment(id int) { _, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil) }
