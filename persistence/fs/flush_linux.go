package fs

import (
	"os"

	"golang.org/x/sys/unix"
)

// canFlushAll: the whole file system can be flushed at once.
const canFlushAll = true

// flushAll makes everything durable that was written to the file system of f, names included.
func flushAll(f *os.File) error {
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return &os.PathError{Op: "syncfs", Path: f.Name(), Err: err}
	}
	return nil
}

// flushDir makes the names in a directory durable.
func flushDir(f *os.File) error { return f.Sync() }
