package persistence

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/internal/codec"
)

// build makes the objects: it allocates an empty object for each record, by its type, and then
// decodes each record, so that every reference has its pointer already.
func (ld *loader) build() error {
	if ld.want != nil {
		if _, err := records.TypeName(ld.want); err != nil {
			return err
		}
	}
	for _, n := range ld.order {
		if err := ld.allocate(n); err != nil {
			return &driver.RecordError{ID: n.rec.ID, Err: err}
		}
	}
	opts := codec.DecodeOptions{
		Limits: ld.c.s.limits,
		Lazy:   func(l *codec.Link) { l.Store = ld.c.s.ident.Value() },
	}
	var n *node
	opts.Target = func(id ID) (any, error) { return ld.target(n, id) }
	opts.Unknown = func(path string) { ld.c.s.warnUnknown(n, path) }
	for _, n = range ld.order {
		if err := records.Decode(n.head, n.ptr, opts); err != nil {
			if re, ok := errors.AsType[*driver.RecordError](err); ok {
				return re
			}
			return &driver.RecordError{ID: n.rec.ID, Err: err}
		}
	}
	var scratch []byte
	var claimed []*node // var claimed []*node // claiming changed the state column; the encoded data has an older state
	for _, n := range ld.order {
		o, ok := n.ptr.(Object)
		if !ok {
			continue
		}
		refs := n.head.Eager
		if len(n.head.Lazy) > 0 {
			refs = union(n.head.Eager, n.head.Lazy)
		}
		if n.rec.State != "" && n.rec.State != ld.c.s.readState(n.ptr, n.rec.ID) {
			claimed = append(claimed, n)
		}
		var d digest
		d, scratch = digestOf(scratch, n.rec.State, n.rec.Fields, n.rec.Data)
		ld.c.learn(o.persistable().identity(), n.rec.ID, n.rec.Revision, d, refs)
	}
	return ld.applyClaimedState(claimed)
}

// allocate makes an empty object of the record's type. A type that is not registered is known
// only where the program names it: as the type asked for, or as the type of a field of the
// referring object's type.
func (ld *loader) allocate(n *node) error {
	t, registered := ld.last.t, ld.last.registered
	if t == nil || ld.last.name != n.head.Type {
		var err error
		if t, registered, err = records.Resolve(n.head.Type); err != nil {
			return err
		}
		if _, err := records.TypeName(t); err != nil {
			return err
		}
		ld.last = resolved{n.head.Type, t, registered}
	}
	root := n.from == nil
	if root && ld.want != nil && t != ld.want {
		return fmt.Errorf("it is a %s, not a %v: %w", n.head.Type, ld.want, ErrType)
	}
	if root && ld.want == nil && !registered && !ld.unregistered {
		return unknownType(n.head.Type)
	}
	n.ptr = reflect.New(t).Interface()
	return nil
}

// unknownType is the error of records whose type this program does not know.
func unknownType(name string) error {
	return fmt.Errorf("%w %q: Register[T](%q) names the T that such records are loaded as", ErrUnknownType, name, name)
}

// target returns the object that n refers to by id.
func (ld *loader) target(n *node, id ID) (any, error) {
	if to := ld.nodes[id]; to != nil {
		return to.ptr, nil
	}
	if ld.known != nil {
		if ptr := ld.known(id); ptr != nil {
			return ptr, nil
		}
	}
	return nil, &driver.RecordError{ID: n.rec.ID, Ref: id, Err: fmt.Errorf("not among the references of the record: %w", ErrCorrupt)}
}

// applyClaimedState sets the states of claimed objects to what their columns say, and then
// their digests, so that saving an unchanged object writes nothing.
func (ld *loader) applyClaimedState(claimed []*node) error {
	if len(claimed) == 0 {
		return nil
	}
	enc := records.NewEncoder(ld.c.s.limits, known{ld.c})
	defer enc.Free()
	for _, n := range claimed {
		if !ld.c.s.setState(n.ptr, n.rec.State) {
			continue
		}
		e, err := enc.Encode(n.ptr)
		if err != nil {
			return &driver.RecordError{ID: n.rec.ID, Err: err}
		}
		d, _ := digestOf(nil, n.rec.State, ld.c.s.fields(n.ptr, n.rec.ID), e.Data)
		ident := n.ptr.(Object).persistable().identity()
		ident.mu.Lock()
		ld.c.entry(ident).digest = d
		ident.mu.Unlock()
	}
	return nil
}

// known gives the IDs of objects that were all loaded from one store.
type known struct{ c *conn }

// Ref implements codec.Resolver.
func (l known) Ref(obj any) (ID, error) {
	ident := obj.(Object).persistable().identity()
	ident.mu.Lock()
	defer ident.mu.Unlock()
	return l.c.entry(ident).id, nil
}

// Lazy implements codec.Resolver.
func (l known) Lazy(link *codec.Link) (ID, error) { return link.ID, nil }

// entry returns what is known of the record, for an object that has no identity to keep it in.
func (n *node) entry() entry {
	d, _ := digestOf(nil, n.rec.State, n.rec.Fields, n.rec.Data)
	return entry{id: n.rec.ID, rev: n.rec.Revision, digest: d, refs: union(n.head.Eager, n.head.Lazy)}
}

// typeOf returns the type of the records of obj: the struct type if obj is a pointer to a
// struct.
func typeOf(obj any) reflect.Type {
	t := reflect.TypeOf(obj)
	if t != nil && t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
		return t.Elem()
	}
	return t
}
