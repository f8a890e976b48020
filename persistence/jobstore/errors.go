package jobstore

import (
	"errors"
	"fmt"
	"strings"

	"github.com/brine-go/brine/persistence"
)

// The errors that callers branch on, with errors.Is, in addition to those of package
// persistence.
var (
	// ErrConflictingID: a job with that ID already exists. (APScheduler's ConflictingIdError.)
	ErrConflictingID = errors.New("there is a job of that ID already")
	// ErrJobLookup: no job has that ID. (APScheduler's JobLookupError.)
	ErrJobLookup = errors.New("there is no job of that ID")
	// ErrConflict: somebody else has acquired the job since, or has changed or removed it.
	ErrConflict = persistence.ErrConflict
)

// An UnreadableError reports the jobs that could not be read. The call returned all the others.
// The unreadable jobs are still stored, unchanged.
type UnreadableError struct {
	// Jobs has one error for each job, in order, with its ID: ErrCorrupt, ErrUnknownType, ErrType
	// or ErrDangling of package persistence.
	Jobs []*persistence.Error
}

// maxNamed is the number of jobs that the text of an error names.
const maxNamed = 5

// Error returns the number of unreadable jobs and the errors of the first few.
func (e *UnreadableError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of the jobs cannot be read: ", len(e.Jobs))
	for i, err := range e.Jobs {
		if i == maxNamed {
			fmt.Fprintf(&b, "; and %d more", len(e.Jobs)-i)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(err.Error())
	}
	return b.String()
}

// Unwrap returns the errors of the jobs.
func (e *UnreadableError) Unwrap() []error {
	errs := make([]error, len(e.Jobs))
	for i, err := range e.Jobs {
		errs[i] = err
	}
	return errs
}

// unreadable collects the jobs that cannot be read.
type unreadable []*persistence.Error

// take keeps err if it concerns one job alone, and reports whether it did.
func (u *unreadable) take(err error) bool {
	if !errors.Is(err, persistence.ErrCorrupt) && !errors.Is(err, persistence.ErrUnknownType) &&
		!errors.Is(err, persistence.ErrDangling) && !errors.Is(err, persistence.ErrType) {
		return false
	}
	e, ok := errors.AsType[*persistence.Error](err)
	if ok {
		*u = append(*u, e)
	}
	return ok
}

// err returns what was collected, nil if nothing was.
func (u unreadable) err() error {
	if len(u) == 0 {
		return nil
	}
	return &UnreadableError{Jobs: u}
}

// lookupError adds ErrJobLookup to err if err is ErrNotFound.
func lookupError(err error) error {
	if errors.Is(err, persistence.ErrNotFound) || errors.Is(err, persistence.ErrInvalidID) {
		return fmt.Errorf("%w: %w", ErrJobLookup, err)
	}
	return err
}
