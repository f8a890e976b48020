package idfactory

import "context"

// A Factory makes the IDs of new records. The constructors of this package
// make factories; a custom one is made with [Func].
//
// A Factory is safe for concurrent use.
type Factory interface {
	// Integral reports whether every ID is a canonical decimal, so that a store
	// may keep the IDs in an integer column.
	Integral() bool

	// Unique reports whether the factory can make another ID when one turns out
	// to be taken. Where it is false, an ID in use is the caller's error.
	Unique() bool

	// NewID makes an ID for obj. next gives the next number of the store's own
	// counter, which never gives a number twice; a factory that counts uses it.
	NewID(ctx context.Context, obj any, next func(context.Context) (int64, error)) (ID, error)
}
