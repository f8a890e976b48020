//go:build unix

package sqlite_test

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/brine-go/brine/persistence/driver"
)

func init() { children["lock"] = lockChild }

// lockChild fails if it could lock the file of a database as SQLite does before it removes the log.
func lockChild() int {
	f, err := os.OpenFile(childArgs()[0], os.O_RDWR, 0)
	if err != nil {
		return fail(err)
	}
	defer f.Close()
	lock := unix.Flock_t{Type: unix.F_WRLCK, Start: 0x40000000 + 2, Len: 510} // SHARED_FIRST, SHARED_SIZE
	if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &lock); err != nil {
		return fail(err)
	}
	if lock.Type == unix.F_UNLCK {
		return fail(errors.New("nobody has the file locked"))
	}
	return 0
}

// A process that closes any descriptor of a file loses all its locks on it (POSIX).
func TestASecondHandleDoesNotDropTheLocksOfTheFirst(t *testing.T) {
	t.Parallel()
	path := file(t)
	first, _ := open(t, fileURL(path), integers, driver.OpenOptions{})
	apply(t, first, create("1", "one"))
	for range 2 {
		cmd, _ := child(t, "lock", path)
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		second, _ := open(t, fileURL(path), integers, driver.OpenOptions{})
		if err := second.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
