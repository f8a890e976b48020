package driver

import (
	"context"
	"errors"
	"fmt"
)

// A Namespace names a set of records. A Backend keeps several in one storage, each with its own
// IDs. It is [Objects] or a name that [ValidName] accepts.
type Namespace string

// The namespaces that package persistence uses.
const (
	Objects Namespace = ""   // the objects: Init prepares it; NextIDs and claims apply to it
	Pairs   Namespace = "kv" // key-value pairs

	Quarantine Namespace = "quarantine" // what was put away
)

// A Namespacer is a Backend that can keep namespaces besides the objects: in the same database
// or directory, with the same guarantees. One Apply may write to several of them, and the
// [Reader]s that InNamespace returns see one state.
type Namespacer interface {
	// InitNamespace is Init for another namespace. It is called after Init and before ns is first
	// used, is idempotent, and obeys the same OpenOptions. Each handle must call it before it uses
	// ns. If ns is not there and nothing may be created, the error is ErrNotFound. NewRefs of a
	// Mutation always refer to objects, whatever its namespace.
	InitNamespace(ctx context.Context, ns Namespace, s Schema) error
}

// InitNamespace prepares a namespace of b. It returns errors.ErrUnsupported if b is no
// [Namespacer].
func InitNamespace(ctx context.Context, b Backend, ns Namespace, s Schema) error {
	n, ok := b.(Namespacer)
	if !ok {
		return fmt.Errorf("the namespace %q in this backend: %w", string(ns), errors.ErrUnsupported)
	}
	return n.InitNamespace(ctx, ns, s)
}

// A NamespaceReader is the Reader of a [Namespacer].
type NamespaceReader interface {
	Reader
	// InNamespace returns a Reader of another namespace in the same state. It is valid as long as
	// the Reader that it was made from.
	InNamespace(ns Namespace) (Reader, error)
}

// InNamespace returns a Reader of a namespace in the state that r reads. It returns
// errors.ErrUnsupported if r is no [NamespaceReader].
func InNamespace(r Reader, ns Namespace) (Reader, error) {
	if ns == Objects {
		return r, nil
	}
	n, ok := r.(NamespaceReader)
	if !ok {
		return nil, fmt.Errorf("the namespace %q in this backend: %w", string(ns), errors.ErrUnsupported)
	}
	return n.InNamespace(ns)
}
