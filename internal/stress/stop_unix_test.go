//go:build unix

package stress_test

import (
	"os"
	"syscall"
)

// stopProcess makes a process stand still, and go on.
func stopProcess(p *os.Process) error     { return p.Signal(syscall.SIGSTOP) }
func continueProcess(p *os.Process) error { return p.Signal(syscall.SIGCONT) }
