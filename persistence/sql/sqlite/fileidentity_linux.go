package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// isAt reports whether the file at a path is the one that was. It asks for nothing but the number
// of the inode: where the times of a file have been asked for, Linux gives the next write a time of
// its own, and its flush becomes one of the file system's journal too, which made a save a third
// slower.
func isAt(path string, was os.FileInfo) (bool, error) {
	sys, ok := was.Sys().(*syscall.Stat_t)
	if !ok {
		return statAt(path, was)
	}
	var now unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_INO, &now)
	switch {
	case errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINTR) || err == nil && now.Mask&unix.STATX_INO == 0:
		return statAt(path, was)
	case err != nil:
		return false, &fs.PathError{Op: "statx", Path: path, Err: err}
	}
	return now.Ino == sys.Ino && unix.Mkdev(now.Dev_major, now.Dev_minor) == uint64(sys.Dev), nil //nolint:unconvert // of 32 bits elsewhere
}
