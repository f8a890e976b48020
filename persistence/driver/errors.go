package driver

import (
	"errors"
	"fmt"
)

// Sentinel errors. A backend returns them, wrapped in a [RecordError] if they concern a record;
// it returns every other error as it is. Package persistence exports the same values.
var (
	// ErrNotFound: no record has the ID.
	ErrNotFound = errors.New("record not found")
	// ErrExists: a record with the ID already exists.
	ErrExists = errors.New("record exists already")
	// ErrUnique: another record has the values that a unique index allows once: see [UniqueError].
	ErrUnique = errors.New("values in use")
	// ErrConflict: the record was changed or removed since it was read.
	ErrConflict = errors.New("record changed or removed since it was read")
	// ErrDangling: a reference leads to a record that does not exist.
	ErrDangling = errors.New("dangling reference")
	// ErrUncertain: the outcome of a commit could not be determined.
	ErrUncertain = errors.New("outcome of the commit is uncertain")
	// ErrCorrupt: stored bytes are not what was written.
	ErrCorrupt = errors.New("corrupt record")
	// ErrMismatch: a record is in the place of another one: its ID is not that of the file or row.
	// It goes with ErrCorrupt.
	ErrMismatch = errors.New("record in the place of another")
	// ErrTooLarge: a value exceeds a limit.
	ErrTooLarge = errors.New("too large")
	// ErrClosed: the store or backend is closed.
	ErrClosed = errors.New("store is closed")
	// ErrReadOnly: the store was opened for reading only, or the medium cannot be written.
	ErrReadOnly = errors.New("store is read-only")

	// ErrOpenedReadOnly is the ErrReadOnly of a store or backend that was opened so.
	ErrOpenedReadOnly = fmt.Errorf("%w: it was opened with Options.ReadOnly or mode=ro", ErrReadOnly)

	// Package persistence returns the following errors; backends never do.

	// ErrReferenced: something that would stay refers to a record that was to be removed.
	ErrReferenced = errors.New("record is referred to")
	// ErrInvalidID: an ID that no record of the store can have.
	ErrInvalidID = errors.New("invalid ID")
	// ErrType: an object has another type than the one asked for.
	ErrType = errors.New("type mismatch")
	// ErrUnknownType: no type is registered under the name of a record's type.
	ErrUnknownType = errors.New("unknown type")
	// ErrUnstorable: a value that no record can hold.
	ErrUnstorable = errors.New("unstorable value")
)

// RecordError says which record a sentinel error concerns.
type RecordError struct {
	ID  ID    // the record concerned; for ErrDangling the referrer
	Ref ID    // for ErrDangling the absent record referred to; else ""
	Err error // the sentinel, possibly wrapped with details
}

func (e *RecordError) Error() string {
	if e.Ref != "" {
		return fmt.Sprintf("record %q refers to %q: %v", e.ID, e.Ref, e.Err)
	}
	return fmt.Sprintf("record %q: %v", e.ID, e.Err)
}

func (e *RecordError) Unwrap() error { return e.Err }
