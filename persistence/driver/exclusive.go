package driver

import (
	"context"
	"errors"
	"fmt"
)

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
	ApplyExclusive(ctx context.Context, fn func(Reader) ([]Mutation, error)) error
}

// ApplyExclusive calls b.ApplyExclusive. It returns errors.ErrUnsupported if b is no
// [ExclusiveApplier].
func ApplyExclusive(ctx context.Context, b Backend, fn func(Reader) ([]Mutation, error)) error {
	e, ok := b.(ExclusiveApplier)
	if !ok {
		return fmt.Errorf("keeping others from writing, in this backend: %w", errors.ErrUnsupported)
	}
	return e.ApplyExclusive(ctx, fn)
}
