//go:build unix

package main

import "syscall"

// detached makes a process the leader of a session of its own: it has no terminal, whose end or
// Ctrl-C would end it.
func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
