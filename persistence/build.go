package persistence

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/internal/codec"
)

// build makes the objects: it allocates an empty one for each record, by its type, when it first
// comes to a reference to it, and then decodes the record, so that every reference has its pointer
// already. Records that only fields refer to which the program's types lack are not decoded.
func (ld *loader) build() error {
	if ld.want != nil {
		if _, err := records.TypeName(ld.want); err != nil {
			return err
		}
	}
	ld.needed = make([]*node, 0, len(ld.order))
	for _, n := range ld.order {
		if n.from == nil {
			if err := ld.allocate(n); err != nil {
				return &driver.RecordError{ID: n.rec.ID, Err: err}
			}
		}
	}
	store := ld.c.s.ident.Value()
	opts := codec.DecodeOptions{
		Limits: ld.c.s.limits,
		Lazy:   func(l *codec.Link) { l.Store = store },
		Store:  store,
	}
	var n *node
	opts.Target = func(id ID) (any, error) { return ld.target(n, id) }
	for i := 0; i < len(ld.needed); i++ {
		n = ld.needed[i]
		out, err := records.Decode(n.head, n.ptr, opts)
		if err != nil {
			if re, ok := errors.AsType[*driver.RecordError](err); ok {
				return re
			}
			return &driver.RecordError{ID: n.rec.ID, Err: err}
		}
		ld.note(n, out)
	}
	ld.order = ld.needed
	ld.learn()
	return nil
}

// note keeps what was found out when n was decoded, if it matters.
func (ld *loader) note(n *node, out codec.Outcome) {
	if n.head.Type != ld.current(n) {
		out.Old, out.Differs = true, true
	}
	if !out.Differs && out.Kept == nil {
		return
	}
	if ld.outcomes == nil {
		ld.outcomes = make(map[*node]codec.Outcome)
	}
	ld.outcomes[n] = out
	_, object := n.ptr.(Object)
	for _, f := range out.Unknown {
		switch {
		case f.Place == codec.Lost:
			ld.c.s.warnUnknown(n.head.Type, n.rec.ID, f.Path, lostAtSave)
		case f.Place == codec.Aside && !object && !ld.keep:
			ld.c.s.warnUnknown(n.head.Type, n.rec.ID, f.Path, lostAtLoad)
		}
	}
}

// current returns the name under which the object of n is stored now, "" if it can have none.
func (ld *loader) current(n *node) string {
	name, err := records.TypeName(reflect.TypeOf(n.ptr).Elem())
	if err != nil {
		return n.head.Type
	}
	return name
}

// learn tells the objects what is known of their records.
func (ld *loader) learn() {
	var scratch []byte
	var differ []*node // their records are not what saving the objects would write
	for _, n := range ld.order {
		out, noted := ld.outcomes[n]
		if o, ok := n.ptr.(Object); ok {
			refs := n.head.Eager
			if len(n.head.Lazy) > 0 {
				refs = union(n.head.Eager, n.head.Lazy)
			}
			var d digest
			d, scratch = digestOf(scratch, n.rec.State, n.rec.Fields, n.rec.Data)
			ld.c.learn(o.persistable().identity(), n.rec.ID, n.rec.Revision, d, refs)
			if out.Kept != nil {
				o.persistable().identity().keep(out.Kept)
			}
			// Claiming changes the state column, and the data has an older state.
			claimed := n.rec.State != "" && n.rec.State != ld.c.s.readState(n.ptr, n.rec.ID) && ld.c.s.setState(n.ptr, n.rec.State)
			if claimed || noted && out.Differs {
				differ = append(differ, n)
			}
		} else if noted && out.Differs && ld.keep {
			differ = append(differ, n)
		}
	}
	ld.relearn(differ)
}

// relearn gives objects the digests of what saving them unchanged would write, so that it writes
// nothing, unless their columns are stale. One that could not be saved keeps the digest of its
// record: its save says why.
func (ld *loader) relearn(differ []*node) {
	if len(differ) == 0 {
		return
	}
	enc := records.NewEncoder(ld.c.s.limits, known{ld.c})
	defer enc.Free()
	for _, n := range differ {
		out := ld.outcomes[n]
		e, err := enc.Encode(n.ptr, out.Kept)
		if err != nil {
			continue
		}
		d, _ := digestOf(nil, n.rec.State, n.rec.Fields, e.Data)
		o, ok := n.ptr.(Object)
		if !ok {
			if ld.digests == nil {
				ld.digests = make(map[*node]digest)
			}
			ld.digests[n] = d
			continue
		}
		ident := o.persistable().identity()
		ident.mu.Lock()
		ld.c.entry(ident).digest = d
		ident.mu.Unlock()
	}
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
	ld.needed = append(ld.needed, n)
	return nil
}

// unknownType is the error of records whose type this program does not know.
func unknownType(name string) error {
	return fmt.Errorf("%w %q: Register[T](%q), or RegisterAlias, names the T that such records are loaded as", ErrUnknownType, name, name)
}

// target returns the object that n refers to by id.
func (ld *loader) target(n *node, id ID) (any, error) {
	if to := ld.nodes[id]; to != nil {
		if to.ptr == nil {
			err := ld.unreadable[id]
			if err == nil {
				err = ld.allocate(to)
			}
			if err != nil {
				return nil, &driver.RecordError{ID: id, Err: err}
			}
		}
		return to.ptr, nil
	}
	if ld.known != nil {
		if ptr := ld.known(id); ptr != nil {
			return ptr, nil
		}
	}
	return nil, &driver.RecordError{ID: n.rec.ID, Ref: id, Err: ErrDangling}
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

// Kept implements codec.Resolver.
func (l known) Kept(ID, string) error { return nil }

// entry returns what is known of the record of n, whose object has no identity to keep it in.
func (ld *loader) entry(n *node) entry {
	d, ok := ld.digests[n]
	if !ok {
		d, _ = digestOf(nil, n.rec.State, n.rec.Fields, n.rec.Data)
	}
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
