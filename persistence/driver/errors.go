package driver

import (
	"errors"
	"fmt"
)

// Sentinel errors. A backend returns them, wrapped with [RecordError] where a
// record is concerned; every other error it returns raw. Package persistence
// exports the same values.
var (
	// ErrNotFound: no record has the ID.
	ErrNotFound = errors.New("record not found")
	// ErrExists: a record with the ID is already there.
	ErrExists = errors.New("record exists already")
	// ErrConflict: the record was changed or removed since it was read.
	ErrConflict = errors.New("record changed or removed since it was read")
	// ErrDangling: a reference points to a record that is not there.
	ErrDangling = errors.New("dangling reference")
	// ErrUncertain: the outcome of a commit could not be learnt.
	ErrUncertain = errors.New("outcome of the commit is uncertain")
	// ErrCorrupt: stored bytes are not what was written.
	ErrCorrupt = errors.New("corrupt record")
	// ErrTooLarge: a value is over a limit.
	ErrTooLarge = errors.New("too large")
	// ErrClosed: the store or backend is closed.
	ErrClosed = errors.New("store is closed")
	// ErrReadOnly: the medium cannot be written.
	ErrReadOnly = errors.New("store is read-only")

	// The rest come from above the backends, which never return them.

	// ErrInvalidID: an ID that no record of the store can have.
	ErrInvalidID = errors.New("invalid ID")
	// ErrType: an object is of another type than the one asked for.
	ErrType = errors.New("type mismatch")
	// ErrUnknownType: no type is registered under the name of a record's type.
	ErrUnknownType = errors.New("unknown type")
	// ErrUnstorable: a value that no record can hold.
	ErrUnstorable = errors.New("unstorable value")
)

// RecordError says which record a sentinel error concerns.
type RecordError struct {
	ID  ID    // the record concerned; of ErrDangling the referrer
	Ref ID    // of ErrDangling: the absent record referred to; else ""
	Err error // the sentinel, possibly wrapped with details
}

func (e *RecordError) Error() string {
	if e.Ref != "" {
		return fmt.Sprintf("record %q refers to %q: %v", e.ID, e.Ref, e.Err)
	}
	return fmt.Sprintf("record %q: %v", e.ID, e.Err)
}

func (e *RecordError) Unwrap() error { return e.Err }
