//go:build unix && !solaris && !illumos && !aix

package fs

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// nonblock keeps the opening of a named pipe from waiting for its other end.
const nonblock = unix.O_NONBLOCK

// lockDirs: a directory can be locked like a file.
const lockDirs = true

// tryLock takes the lock of an open file, or reports false if another holds it.
func tryLock(f *os.File, exclusive bool) (bool, error) {
	how := unix.LOCK_SH
	if exclusive {
		how = unix.LOCK_EX
	}
	for {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		default:
			return false, &os.PathError{Op: "flock", Path: f.Name(), Err: err}
		}
	}
}

func unlock(f *os.File) error {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_UN); err != nil {
		return &os.PathError{Op: "unlock", Path: f.Name(), Err: err}
	}
	return nil
}
