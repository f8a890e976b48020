package persistence

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/internal/codec"
)

// Load returns the object with the ID and all it refers to eagerly, as they stood at one moment:
// one record is one object, shared references and cycles are as they were saved. Each Load returns
// fresh objects. A struct comes as a pointer, any other value as itself.
//
// ErrNotFound: there is no such record (GC3Pie's LoadError). ErrUnknownType: its type is not registered;
// the generic [Load] needs no registration. ErrDangling: a record that it refers to is gone; the text names both.
func (s *Store) Load(ctx context.Context, id ID) (any, error) {
	ptrs, err := s.load(ctx, []ID{id}, nil)
	if err != nil {
		return nil, s.fail("load", id, err)
	}
	return natural(ptrs[0]), nil
}

// LoadAll returns the objects with the IDs, in the order asked, as they stood at one moment and in one
// identity scope: what several of them refer to is one object. ErrNotFound names the first absent one.
func (s *Store) LoadAll(ctx context.Context, ids ...ID) ([]any, error) {
	ptrs, err := s.load(ctx, ids, nil)
	if err != nil {
		return nil, s.fail("load", "", err)
	}
	for i, ptr := range ptrs {
		ptrs[i] = natural(ptr)
	}
	return ptrs, nil
}

// natural returns what a user gets for a pointer to a loaded value: the pointer itself to a
// struct, else the value.
func natural(ptr any) any {
	v := reflect.ValueOf(ptr).Elem()
	if v.Kind() == reflect.Struct {
		return ptr
	}
	return v.Interface()
}

// A node is a record of the closure that a load fetches, and the object made of it.
type node struct {
	rec  *driver.Record
	head codec.Header
	from *node
	ptr  any // to a zero value of the record's type until it is decoded
}

// loadParts is what is read of a record to load it.
const loadParts = driver.Version | driver.Fields | driver.Data

// A loader loads objects in one identity scope.
type loader struct {
	s     *Store
	want  reflect.Type // the type that the caller names; nil: none
	met   bool         // roots may be of any type that this process has met, registered or not
	nodes map[ID]*node
	order []*node      // by waves: each node behind the one that refers to it
	room  []node       // for those to come
	last  resolved     // the type of the last node
	known func(ID) any // objects of an earlier load in the scope; nil: none
}

// A resolved name of a type.
type resolved struct {
	name       string
	t          reflect.Type
	registered bool
}

// load returns pointers to the objects with the IDs.
func (s *Store) load(ctx context.Context, ids []ID, want reflect.Type) ([]any, error) {
	for _, id := range ids {
		if idfactory.Validate(id, s.ids.Integral()) != nil {
			return nil, &driver.RecordError{ID: id, Err: ErrNotFound}
		}
	}
	return s.loadWith(ctx, ids, &loader{s: s, want: want})
}

func (s *Store) loadWith(ctx context.Context, ids []ID, ld *loader) ([]any, error) {
	read := s.view
	if len(ids) == 1 {
		read = func(ctx context.Context, fn func(driver.Reader) error) error { return s.sight(ctx, &s.readsOn, fn) }
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

// fetch reads the records with the IDs and all that they refer to eagerly, wave by wave.
func (ld *loader) fetch(ctx context.Context, r driver.Reader, ids []ID) error {
	recs, err := r.Get(ctx, ids, loadParts)
	if err != nil {
		return err
	}
	found := make(map[ID]int, len(recs))
	for i := range recs {
		found[recs[i].ID] = i
	}
	roots := make([]driver.Record, len(ids))
	for i, id := range ids {
		at, ok := found[id]
		if !ok {
			return &driver.RecordError{ID: id, Err: ErrNotFound}
		}
		roots[i] = recs[at]
	}
	return ld.follow(ctx, r, roots)
}

// follow makes the closure: the roots, which it keeps, and all that they refer to eagerly and that is not known yet.
func (ld *loader) follow(ctx context.Context, r driver.Reader, roots []driver.Record) error {
	ld.begin(len(roots))
	for i := range roots {
		rec := &roots[i]
		if ld.nodes[rec.ID] == nil {
			if err := ld.add(rec, nil); err != nil {
				return err
			}
		}
	}
	wave := ld.order
	referrers := make(map[ID]*node)
	for len(wave) > 0 {
		clear(referrers)
		var next []ID
		for _, n := range wave {
			for _, id := range n.head.Eager {
				if ld.nodes[id] != nil || referrers[id] != nil || ld.known != nil && ld.known(id) != nil {
					continue
				}
				referrers[id] = n
				next = append(next, id)
			}
		}
		if len(next) == 0 {
			return nil
		}
		recs, err := r.Get(ctx, next, loadParts)
		if err != nil {
			return err
		}
		ld.room = make([]node, len(recs))
		done := len(ld.order)
		for i := range recs {
			rec := &recs[i]
			if err := ld.add(rec, referrers[rec.ID]); err != nil {
				return err
			}
		}
		wave = ld.order[done:]
		if len(recs) < len(next) {
			for _, id := range next {
				if ld.nodes[id] == nil {
					return &driver.RecordError{ID: referrers[id].rec.ID, Ref: id, Err: ErrDangling}
				}
			}
		}
	}
	return nil
}

// begin makes an empty closure, of n records or so.
func (ld *loader) begin(n int) {
	ld.order, ld.nodes = make([]*node, 0, n), make(map[ID]*node, n)
	ld.room = make([]node, n)
}

func (ld *loader) add(rec *driver.Record, from *node) error {
	head, err := records.Parse(rec.Data, ld.s.limits)
	if err != nil {
		return &driver.RecordError{ID: rec.ID, Err: err}
	}
	if len(ld.room) == 0 {
		ld.room = make([]node, 1)
	}
	n := &ld.room[0]
	ld.room = ld.room[1:]
	*n = node{rec: rec, head: head, from: from}
	ld.nodes[rec.ID] = n
	ld.order = append(ld.order, n)
	return nil
}

// build makes the objects: first an empty one for each record, by its type, then each is
// decoded, and every reference has its pointer already.
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
		Limits: ld.s.limits,
		Lazy:   func(l *codec.Link) { l.Store = ld.s.ident.Value() },
	}
	var n *node
	opts.Target = func(id ID) (any, error) { return ld.target(n, id) }
	opts.Unknown = func(path string) { ld.s.warnUnknown(n, path) }
	for _, n = range ld.order {
		if err := records.Decode(n.head, n.ptr, opts); err != nil {
			if re, ok := errors.AsType[*driver.RecordError](err); ok {
				return re
			}
			return &driver.RecordError{ID: n.rec.ID, Err: err}
		}
	}
	var scratch []byte
	var claimed []*node // whose state was set by a claim and is another than that in their data
	for _, n := range ld.order {
		o, ok := n.ptr.(Object)
		if !ok {
			continue
		}
		refs := n.head.Eager
		if len(n.head.Lazy) > 0 {
			refs = union(n.head.Eager, n.head.Lazy)
		}
		if n.rec.State != "" && n.rec.State != ld.s.readState(n.ptr, n.rec.ID) {
			claimed = append(claimed, n)
		}
		var d digest
		d, scratch = digestOf(scratch, n.rec.State, n.rec.Fields, n.rec.Data)
		ident := o.persistable().identity()
		ident.mu.Lock()
		ident.learn(ident.in(ld.s.ident), n.rec.ID, n.rec.Revision, d, refs)
		ident.mu.Unlock()
	}
	return ld.restate(claimed)
}

// restate makes the states of claimed objects what their columns say. The objects then know the digest of what they
// are now, so that saving one unchanged writes nothing.
func (ld *loader) restate(claimed []*node) error {
	if len(claimed) == 0 {
		return nil
	}
	enc := records.NewEncoder(ld.s.limits, known{ld.s})
	defer enc.Free()
	for _, n := range claimed {
		if !ld.s.setState(n.ptr, n.rec.State) {
			continue
		}
		e, err := enc.Encode(n.ptr)
		if err != nil {
			return &driver.RecordError{ID: n.rec.ID, Err: err}
		}
		d, _ := digestOf(nil, n.rec.State, ld.s.fields(n.ptr, n.rec.ID), e.Data)
		ident := n.ptr.(Object).persistable().identity()
		ident.mu.Lock()
		ident.in(ld.s.ident).digest = d
		ident.mu.Unlock()
	}
	return nil
}

// known gives the IDs of objects that were all loaded from one store.
type known struct{ s *Store }

// Ref implements codec.Resolver.
func (l known) Ref(obj any) (ID, error) {
	ident := obj.(Object).persistable().identity()
	ident.mu.Lock()
	defer ident.mu.Unlock()
	return ident.in(l.s.ident).id, nil
}

// Lazy implements codec.Resolver.
func (l known) Lazy(link *codec.Link) (ID, error) { return link.ID, nil }

// belonging returns what an object that cannot know it itself would know of its record.
func (n *node) belonging() belonging {
	d, _ := digestOf(nil, n.rec.State, n.rec.Fields, n.rec.Data)
	return belonging{id: n.rec.ID, rev: n.rec.Revision, digest: d, refs: union(n.head.Eager, n.head.Lazy)}
}

// allocate makes an empty object of the record's type. Types that are not registered
// are known only where the program names them: as the type asked for, or as that of a field, which the referrer's
// type has made known.
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
	if root && ld.want == nil && !registered && !ld.met {
		return fmt.Errorf("%w %q: Register it, or use the generic Load", ErrUnknownType, n.head.Type)
	}
	n.ptr = reflect.New(t).Interface()
	return nil
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

// warnUnknown says, once for each place, that a record has a field which its type lacks.
func (s *Store) warnUnknown(n *node, path string) {
	if s.warned.first(path) {
		s.logger.Warn("a record has a field that its type lacks: it is skipped",
			"field", path, "type", n.head.Type, "id", string(n.rec.ID))
	}
}

// Remove deletes the records with the IDs, all or none, and just these: what they refer to stays, and
// what refers to them is left dangling. ErrNotFound names the first absent one. (GC3Pie's SqlStore.remove.)
func (s *Store) Remove(ctx context.Context, ids ...ID) error {
	ms := make([]driver.Mutation, 0, len(ids))
	seen := make(map[ID]bool, len(ids))
	for _, id := range ids {
		if idfactory.Validate(id, s.ids.Integral()) != nil {
			return s.removeInvalid(ctx, ms, id)
		}
		if !seen[id] {
			seen[id] = true
			ms = append(ms, driver.Mutation{Op: driver.Delete, Rec: driver.Record{ID: id}})
		}
	}
	if len(ms) == 0 {
		return nil
	}
	_, err := s.apply(ctx, ms)
	return s.fail("remove", "", err)
}

// removeInvalid finds which ID is the first absent one when id can be none of the
// store's and those before it may be.
func (s *Store) removeInvalid(ctx context.Context, before []driver.Mutation, id ID) error {
	ids := make([]ID, 0, len(before))
	for _, m := range before {
		ids = append(ids, m.Rec.ID)
	}
	err := s.readOnce(ctx, func(r driver.Reader) error {
		recs, err := r.Get(ctx, ids, 0)
		for _, want := range ids {
			if !slices.ContainsFunc(recs, func(rec driver.Record) bool { return rec.ID == want }) && err == nil {
				id = want
				break
			}
		}
		return err
	})
	if err == nil {
		err = ErrNotFound
	}
	return s.fail("remove", id, err)
}
