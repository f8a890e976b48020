package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// program runs the program to its end and returns what it prints.
func (b *bench) program(args ...string) (string, error) {
	b.Helper()
	p := b.launch(args...)
	late := time.AfterFunc(2*time.Minute, func() { _ = p.cmd.Process.Kill() }) // should it hang, to see what it prints
	defer late.Stop()
	p.role = false // whatever it is, it shall end by itself
	err := p.end(false)
	return p.out.String(), err
}

// A process is one of the program, which the test has to end.
type process struct {
	cmd   *exec.Cmd
	role  bool      // it ends only when it is told to
	stdin io.Closer // how it is told
	out   lockedBuffer
	once  sync.Once
	err   error
}

func (b *bench) launch(args ...string) *process {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	p := &process{cmd: exec.Command(self, args...), role: len(args) > 0 && roles[args[len(args)-1]] != nil}
	p.cmd.Env = append(os.Environ(), storeEnv+"="+b.url, stdinEnv+"=1") // should this process be killed, nothing stays
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		b.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	p.cmd.WaitDelay = time.Second // what it has started may still hold its output
	if err := p.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = p.end(true)
		if b.Failed() {
			b.Logf("%v printed:\n%s", args, p.out.String())
		}
	})
	return p
}

// end ends the process, by SIGKILL or by what it obeys, or waits for its end where it ends by
// itself.
func (p *process) end(kill bool) error {
	p.once.Do(func() {
		if kill {
			_ = p.cmd.Process.Kill()
		} else if p.role {
			_ = p.stdin.Close()
		}
		p.err = p.cmd.Wait()
	})
	return p.err
}

// A lockedBuffer is written by one goroutine and read by another.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
