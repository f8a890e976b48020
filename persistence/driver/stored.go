package driver

import (
	"context"
	"iter"
)

// A Stray is a file or row in the storage of a store that belongs to nothing: no ID leads to it,
// and it is none of the backend's own.
type Stray struct {
	Key    string // names it: its path in a directory, or the table and the key of a row
	Detail string // what it is, for people
}

// A StrayFinder is a Backend whose storage others can put things into.
type StrayFinder interface {
	// Strays yields the strays of the namespaces that this handle has prepared, in no order. It
	// need not see one state of them, but each was a stray at some moment of the call. An error is
	// the last thing yielded.
	Strays(ctx context.Context) iter.Seq2[Stray, error]
}
