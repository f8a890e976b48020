package persistence

import (
	"context"
	"fmt"

	"github.com/brine-go/brine/persistence/internal/codec"
)

// A Ref is a lazy reference to a persistable object: loading the object that holds the Ref does
// not load the object it refers to. A plain *T field is an eager reference.
//
// The zero Ref refers to nothing. Refs are values and may be copied.
type Ref[T any] struct {
	link codec.Link // the codec reads and writes it in place
	_    [0]*T
}

// RefTo returns a reference to p. It holds the pointer, so saving the object that holds the Ref
// reaches *p too, until that object is loaded again. RefTo(nil) is the zero Ref.
func RefTo[T any, P interface {
	*T
	Object
}](p P) Ref[T] {
	if p == nil {
		return Ref[T]{}
	}
	return Ref[T]{link: codec.Link{Obj: p}}
}

// ID returns the ID referred to, or "" for the zero Ref and for an object that was never saved.
func (r Ref[T]) ID() ID {
	if o, ok := r.link.Obj.(Object); ok {
		return o.PersistentID()
	}
	return r.link.ID
}

// Get returns the object referred to. A Ref made by [RefTo] returns its pointer; a loaded Ref
// loads the object from rd, a new one at each call. The zero Ref returns nil, nil. Get returns
// ErrNotFound if the record does not exist, and ErrDangling if rd is not of the store that the
// Ref was loaded from.
func (r Ref[T]) Get(ctx context.Context, rd Reader) (*T, error) {
	if r.link.Obj != nil {
		return r.link.Obj.(*T), nil
	}
	if r.link.ID == "" {
		return nil, nil
	}
	if s := rd.self().s; s.ident.Value() != r.link.Store {
		return nil, s.fail("get", r.link.ID, fmt.Errorf("the reference was loaded from another store: %w", ErrDangling))
	}
	return Load[T](ctx, rd, r.link.ID)
}
