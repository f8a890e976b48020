package fs

import "golang.org/x/sys/unix"

// bootID names the time since the machine was started.
func bootID() string {
	s, _ := unix.Sysctl("kern.bootsessionuuid")
	return s
}
