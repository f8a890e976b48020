package persistence

import (
	"context"
	"reflect"

	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence/driver"
)

// Load returns the object with the ID and everything it refers to eagerly, from one consistent
// state of the store. Each record becomes one object, with shared references and cycles as they
// were saved. Each Load returns new objects. A struct is returned as a pointer, any other value
// as itself.
//
// Fields of a record that its type lacks are kept with the object, for its next save; a value
// without an identity has no place for them, which is logged. See [Unknown] and "Programs that
// change" in the package documentation.
//
// It returns ErrNotFound if the record does not exist (GC3Pie's LoadError); ErrUnknownType if
// its type is not registered, which the generic [Load] does not require; ErrType if a value does
// not convert exactly to the type of its field; ErrDangling if a record that it refers to does not
// exist, with a text that names both.
func (c *conn) Load(ctx context.Context, id ID) (any, error) {
	ptrs, err := c.load(ctx, []ID{id}, nil)
	if err != nil {
		return nil, c.s.fail("load", id, err)
	}
	return natural(ptrs[0]), nil
}

// LoadAll returns the objects with the IDs, in the order given, from one consistent state and
// in one identity scope: an object that several of them refer to is loaded once. ErrNotFound
// names the first absent ID.
func (c *conn) LoadAll(ctx context.Context, ids ...ID) ([]any, error) {
	ptrs, err := c.load(ctx, ids, nil)
	if err != nil {
		return nil, c.s.fail("load", "", err)
	}
	for i, ptr := range ptrs {
		ptrs[i] = natural(ptr)
	}
	return ptrs, nil
}

// A Reader loads objects. *Store is one.
type Reader interface {
	Load(ctx context.Context, id ID) (any, error)
	LoadAll(ctx context.Context, ids ...ID) ([]any, error)
	self() *conn
}

// Load loads the record as a T, registered or not, with everything it refers to eagerly. It
// returns ErrType for a record of another type, and ErrUnknownType for one of a type that this
// program does not know, such as T under a name that it had once: see [RegisterAlias]. See also
// [Store.Load].
func Load[T any](ctx context.Context, r Reader, id ID) (*T, error) {
	c := r.self()
	ptrs, err := c.load(ctx, []ID{id}, reflect.TypeFor[T]())
	if err != nil {
		return nil, c.s.fail("load", id, err)
	}
	return ptrs[0].(*T), nil
}

// natural returns what a user gets for a pointer to a loaded value: the pointer itself if it is
// to a struct, else the value.
func natural(ptr any) any {
	v := reflect.ValueOf(ptr).Elem()
	if v.Kind() == reflect.Struct {
		return ptr
	}
	return v.Interface()
}

// load returns pointers to the objects with the IDs.
func (c *conn) load(ctx context.Context, ids []ID, want reflect.Type) ([]any, error) {
	for _, id := range ids {
		if idfactory.Validate(id, c.s.ids.Integral()) != nil {
			return nil, &driver.RecordError{ID: id, Err: ErrNotFound}
		}
	}
	return c.loadWith(ctx, ids, &loader{c: c, want: want})
}

func (c *conn) loadWith(ctx context.Context, ids []ID, ld *loader) ([]any, error) {
	read := c.view
	if len(ids) == 1 {
		read = func(ctx context.Context, fn func(driver.Reader) error) error { return c.read(ctx, &c.s.loadHint, fn) }
	}
	if err := read(ctx, func(r driver.Reader) error { return ld.fetch(ctx, r, ids) }); err != nil {
		return nil, err
	}
	if err := ld.build(); err != nil {
		return nil, err
	}
	ptrs := make([]any, len(ids))
	for i, id := range ids {
		ptrs[i] = ld.nodes[id].ptr
	}
	return ptrs, nil
}
