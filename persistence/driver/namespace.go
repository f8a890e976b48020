package driver

import (
	"context"
	"errors"
	"fmt"
)

// A Namespace names one of the sets of records that a Backend keeps side by side in one storage,
// each with IDs of its own. It is [Objects] or a name that [ValidName] accepts.
type Namespace string

// The namespaces that package persistence uses.
const (
	Objects Namespace = ""   // the objects: what Init prepares, and what NextIDs and claims are for
	Pairs   Namespace = "kv" // key-value pairs
)

// A Namespacer is a Backend that keeps further namespaces beside the objects: in the same database
// or directory, under the same promises. One Apply may write to several of them, and the [Reader]s
// that InNamespace returns see one state.
type Namespacer interface {
	// InitNamespace is Init for a further namespace. It is called after Init and before ns is
	// first used, is idempotent, and obeys the same OpenOptions. A handle that has not called it
	// cannot use ns. NewRefs of a Mutation lead to objects, whatever its namespace.
	InitNamespace(ctx context.Context, ns Namespace, s Schema) error
}

// InitNamespace prepares a namespace of b: errors.ErrUnsupported where b is no [Namespacer].
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
	// InNamespace returns a Reader of another namespace in the same state. It lives as long as the Reader
	// that it comes from.
	InNamespace(ns Namespace) (Reader, error)
}

// InNamespace returns a Reader of a namespace in the state that r reads: errors.ErrUnsupported where r is
// no [NamespaceReader].
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
