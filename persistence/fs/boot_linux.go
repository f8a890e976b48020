package fs

import "os"

// bootID names the time since the machine was started.
func bootID() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return string(b)
}
