// Package moved remembers that the storage of an open store is no longer where it was opened: a
// file or directory was removed, renamed or replaced, or a database is another one. The backends fs
// and sql share it; each checks its own kind of storage.
package moved

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// An Error says that the storage is no longer where it was opened, or is that of another store.
type Error struct{ err error }

// NewError returns an Error with the text of err, which it wraps.
func NewError(err error) *Error { return &Error{err} }

func (e *Error) Error() string { return e.err.Error() }

// Unwrap returns the error that NewError or Set was given.
func (e *Error) Unwrap() error { return e.err }

// A Watch is what is known about the place of open storage. The zero value says that it has not
// moved. It is safe for concurrent use.
type Watch struct {
	moved   atomic.Pointer[Error]
	checked atomic.Int64 // the last time that Due returned true, since epoch
}

// Err returns the [*Error] of the storage, or nil if it is not known to have moved.
func (w *Watch) Err() error {
	if e := w.moved.Load(); e != nil {
		return e
	}
	return nil
}

// Set notes that the storage has moved, and why, and returns the [*Error] of all calls from now
// on: that of the first Set.
func (w *Watch) Set(why error) error {
	w.moved.CompareAndSwap(nil, &Error{why})
	return w.moved.Load()
}

// interval is the least time between two checks by reads. A check takes 1.3 to 3 µs, so that reads
// that follow each other as fast as they can spend 3 % on it at most.
const interval = 100 * time.Microsecond

var epoch = time.Now()

// Due reports whether a read has to check the place of the storage: none has done so for 100 µs.
func (w *Watch) Due() bool {
	now, last := int64(time.Since(epoch)), w.checked.Load()
	return now-last >= int64(interval) && w.checked.CompareAndSwap(last, now)
}

// Outcome returns the error of a commit that ended with err, where a check after it returned moved,
// which may be nil. What was written into storage that nobody finds may be lost, so its outcome is
// uncertain.
func Outcome(err, moved error) error {
	switch {
	case moved == nil:
		return err
	case err == nil || errors.Is(err, driver.ErrUncertain):
		return fmt.Errorf("%w: %w", driver.ErrUncertain, moved)
	}
	return moved
}
