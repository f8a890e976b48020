package main

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// detached gives a process no console, whose end or Ctrl-C would end it.
func detached() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: windows.DETACHED_PROCESS | windows.CREATE_NEW_PROCESS_GROUP}
}
