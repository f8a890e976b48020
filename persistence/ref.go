package persistence

import (
	"context"
	"fmt"

	"github.com/brine-go/brine/persistence/internal/codec"
)

// A Ref is a lazy reference to a persistable object: loading what holds the Ref
// does not load what it refers to. A plain *T field is an eager reference.
//
// The zero Ref refers to nothing. Refs are values: copy and keep them as you like.
type Ref[T any] struct {
	link codec.Link // the codec reads and writes it in place
	_    [0]*T
}

// RefTo returns a reference to p. It holds the pointer, so saving what holds the Ref
// reaches *p too, until it is loaded again. RefTo(nil) is the zero Ref.
func RefTo[T any, P interface {
	*T
	Object
}](p P) Ref[T] {
	if p == nil {
		return Ref[T]{}
	}
	return Ref[T]{link: codec.Link{Obj: p}}
}

// ID returns the ID referred to; "" for the zero Ref and for an object that was never saved.
func (r Ref[T]) ID() ID {
	if o, ok := r.link.Obj.(Object); ok {
		return o.PersistentID()
	}
	return r.link.ID
}

// Get returns the object referred to: a Ref made by [RefTo] returns its pointer, a loaded
// one loads the object from rd, anew at each call. The zero Ref returns nil, nil. A record
// that is gone is ErrNotFound; a reader of another store than the one the Ref came from, ErrDangling.
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
