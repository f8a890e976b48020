package driver

import (
	"context"
	"errors"
	"fmt"
)

// A Mark names a state of the records of a Backend; "": none.
type Mark string

// An Exclusive is what the function of an ApplyExclusive decides on.
type Exclusive struct {
	Reader
	// Quiet says that nothing was written since the Mark that ApplyExclusive was given, by whatever
	// program. If it is false that is not known.
	Quiet bool
}

// An ExclusiveApplier is a Backend that can keep others from writing while it is decided what to
// write.
type ExclusiveApplier interface {
	// ApplyExclusive calls fn with a Reader, and makes the mutations that fn returns as Apply does,
	// in one transaction. The Reader sees all Applys that were committed before. From then on until
	// the transaction ends no other Apply with mutations of objects is committed, by whatever
	// program: it waits, and looks for its NewRefs afterwards. Readers of others may have to wait
	// too.
	//
	// An error of fn is returned, and nothing is written; nor is it if there are no mutations. fn
	// must not call the Backend. It is called again where the transaction has to be repeated. If
	// the storage, or this user, cannot keep others out, fn is not called, and the error is
	// errors.ErrUnsupported.
	//
	// since is a Mark that an ApplyExclusive of this Backend has returned, or "". The Mark returned
	// is that of the state in which the mutations have been made, or "".
	ApplyExclusive(ctx context.Context, since Mark, fn func(Exclusive) ([]Mutation, error)) (Mark, error)
}

// ApplyExclusive calls b.ApplyExclusive. It returns errors.ErrUnsupported if b is no
// [ExclusiveApplier].
func ApplyExclusive(ctx context.Context, b Backend, since Mark, fn func(Exclusive) ([]Mutation, error)) (Mark, error) {
	e, ok := b.(ExclusiveApplier)
	if !ok {
		return "", fmt.Errorf("keeping others from writing, in this backend: %w", errors.ErrUnsupported)
	}
	return e.ApplyExclusive(ctx, since, fn)
}
