package persistence

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/internal/codec"
)

// An item is an object on the worklist of a save, with the results of encoding it.
type item struct {
	obj   any
	ident *identity // nil: a plain value
	root  bool
	op    driver.Op // what to do if it differs: Create, Update
	force bool      // Insert, Replace: write it even if it equals the last known record
	id    ID
	made  bool // id was made by the store's factory, for this or an earlier attempt

	base *entry      // what was known when the item was added; not modified
	kept *codec.Kept // what belongs to the object besides what it holds
	next *codec.Kept // the same once it is written
	save *saver

	digest digest
	refs   []ID    // sorted, distinct
	out    *output // nil: nothing to write
}

// An output is what a save writes of an item. It is let go of once the mutation has been made.
type output struct {
	typ     string
	state   string
	fields  []any
	data    []byte
	newRefs []ID // refs that the last known revision lacked and that this save does not create
}

// neverSaved is what is known of all objects that were never saved.
var neverSaved entry

// enlistRoot adds root i to the worklist.
func (sv *saver) enlistRoot(i int, obj any) error {
	t := typeOf(obj)
	if v := reflect.ValueOf(obj); t == nil {
		return fmt.Errorf("nil is no object: %w", ErrUnstorable)
	} else if v.Kind() == reflect.Pointer && v.IsNil() {
		return fmt.Errorf("a nil %T is no object: %w", obj, ErrUnstorable)
	}
	if _, err := records.TypeName(t); err != nil {
		return err
	}
	o, ok := obj.(Object)
	if !ok {
		it := sv.addRoot(obj, nil)
		if sv.saving.known != nil {
			it.base, it.kept = &sv.saving.known[i], sv.saving.kept[i]
		}
		return sv.identify(it)
	}
	ident := o.persistable().identity()
	if it := sv.reached(ident); it != nil {
		sv.roots = append(sv.roots, it)
		return nil
	}
	return sv.identify(sv.addRoot(obj, ident))
}

func (sv *saver) addRoot(obj any, ident *identity) *item {
	it := sv.add(obj, ident)
	it.root = true
	sv.roots = append(sv.roots, it)
	return it
}

// add adds an object to the worklist.
func (sv *saver) add(obj any, ident *identity) *item {
	if len(sv.slab) == 0 {
		sv.slab = make([]item, min(max(4, 2*len(sv.items)), 256))
	}
	it := &sv.slab[0]
	sv.slab = sv.slab[1:]
	it.obj, it.ident, it.base, it.save = obj, ident, &neverSaved, sv
	sv.items = append(sv.items, it)
	if ident != nil {
		sv.reach(it)
	}
	return it
}

// reached returns the item of an object; nil if this save has not reached it yet. The object itself
// knows, unless another save that is under way has reached it first.
func (sv *saver) reached(ident *identity) *item {
	ident.mu.Lock()
	it := ident.reached
	ident.mu.Unlock()
	if it != nil && it.save == sv {
		return it
	}
	return sv.shared[ident]
}

// reach makes it the item of its object in this save.
func (sv *saver) reach(it *item) {
	it.ident.mu.Lock()
	defer it.ident.mu.Unlock()
	if it.ident.reached == nil {
		it.ident.reached = it
		return
	}
	if sv.shared == nil {
		sv.shared = make(map[*identity]*item)
	}
	sv.shared[it.ident] = it
}

// forgetReached makes the objects forget that this save has reached them.
func (sv *saver) forgetReached() {
	for _, it := range sv.items {
		if it.ident == nil {
			continue
		}
		it.ident.mu.Lock()
		if it.ident.reached == it {
			it.ident.reached = nil
		}
		it.ident.mu.Unlock()
	}
}

// identify copies what is known of the item's record and gives the item an ID.
func (sv *saver) identify(it *item) error {
	var pending ID
	if it.ident != nil {
		it.ident.mu.Lock()
		e := sv.c.entry(it.ident)
		if pending = e.pending; e.id != "" || e.tried != nil {
			base := *e
			it.base = &base
		}
		it.kept = it.ident.kept
		it.ident.mu.Unlock()
		if it.base.tried != nil {
			sv.unsure = append(sv.unsure, it)
		}
	}
	switch {
	case it.root && sv.saving.rootOp != 0:
		it.op, it.id, it.force = sv.saving.rootOp, sv.saving.under, true
		if it.base.id != it.id || it.op == driver.Create {
			base := *it.base
			base.refs = nil // they are of another record, or of one that was removed
			it.base = &base
		}
	case it.base.id != "":
		it.op, it.id = driver.Update, it.base.id
	default:
		it.op, it.made = driver.Create, true
		it.id = pending
		for taken := sv.created.has(it.id); it.id == "" || taken; taken = sv.created.has(it.id) {
			sv.c.forgetPending(it)
			id, err := sv.c.newID(sv.ctx, it)
			if err != nil {
				return err
			}
			if id == it.id && taken {
				return &driver.RecordError{ID: id, Err: ErrExists} // a factory that gives it again
			}
			it.id = id
		}
	}
	if it.op != driver.Update {
		sv.created.add(it.id)
	}
	return nil
}

// Ref implements codec.Resolver: it returns the ID of the object referred to, and adds it to
// the worklist if the save covers it.
func (sv *saver) Ref(obj any) (ID, error) {
	ident := obj.(Object).persistable().identity()
	if !sv.saving.deep && (sv.saving.rootOp == 0 || ident != sv.roots[0].ident) {
		ident.mu.Lock()
		b := sv.c.entry(ident)
		id, sure := b.id, b.tried == nil
		ident.mu.Unlock()
		if id != "" && sure {
			return id, nil
		}
	}
	if it := sv.reached(ident); it != nil {
		return it.id, nil
	}
	it := sv.add(obj, ident)
	if sv.err = sv.identify(it); sv.err != nil {
		return "", sv.err
	}
	return it.id, nil
}

// Lazy implements codec.Resolver.
func (sv *saver) Lazy(l *codec.Link) (ID, error) {
	if l.Obj != nil {
		return sv.Ref(l.Obj)
	}
	if l.Store != sv.s.ident.Value() {
		return "", fmt.Errorf("the lazy reference to %q was loaded from another store and is not copied along: %w", l.ID, ErrDangling)
	}
	return l.ID, nil
}

// Kept implements codec.Resolver.
func (sv *saver) Kept(id ID, store string) error {
	if store != sv.s.ident.Value() {
		return fmt.Errorf("a field that this program does not know refers to %q in another store, and is not copied along: %w", id, ErrDangling)
	}
	return nil
}

// keeps returns an error if writing the item would drop what an older or a newer program stored.
func (sv *saver) keeps(it *item, e *codec.Encoded) error {
	if v := it.kept.Newer(); v > 0 {
		return fmt.Errorf("the record has version %d of %s, and this program has %d: %w", v, e.Type, records.Version(typeOf(it.obj)), ErrUnstorable)
	}
	if path := it.kept.Lost(); path != "" && !sv.s.dropUnknown {
		return fmt.Errorf("%s: the record holds this field, and the save would drop it: embed persistence.Unknown in the struct to keep it, or set Options.DropUnknown: %w", path, ErrUnstorable)
	}
	if path := it.kept.Split(); path != "" && !sv.s.dropUnknown {
		return fmt.Errorf("%s: the record holds this field, which points to what another field points to that is no pointer in this program, and the save would make two of it: make that field a pointer, or set Options.DropUnknown: %w", path, ErrUnstorable)
	}
	if e.Moved != "" && !sv.s.dropUnknown {
		return fmt.Errorf("%s: this struct was in another place when the object was loaded, and what the record holds of it besides would not come along: embed persistence.Unknown in the struct, or set Options.DropUnknown: %w", e.Moved, ErrUnstorable)
	}
	return nil
}

// maxTypeName is the longest name of a type, in bytes, on every backend. Default names of generic
// types may be longer.
const maxTypeName = 255

// encode encodes an item and keeps the bytes if they differ from the last known ones.
func (sv *saver) encode(enc *codec.Encoder, it *item) error {
	e, err := enc.Encode(it.obj, it.kept)
	if err != nil {
		if sv.err != nil {
			return sv.err
		}
		return err
	}
	if len(e.Type) > maxTypeName {
		return fmt.Errorf("%w: the name of its type is %d bytes long, at most %d: Register a shorter one for %.60s…",
			ErrUnstorable, len(e.Type), maxTypeName, e.Type)
	}
	out := output{typ: e.Type}
	if out.state, err = sv.s.state(it.obj, it.id); err != nil {
		return err
	}
	if out.fields, err = sv.s.fields(it.obj, it.id); err != nil {
		return err
	}
	it.digest, sv.scratch = digestOf(sv.scratch, out.state, out.fields, e.Data)
	known := it.base.id == it.id && it.digest == it.base.digest
	if known && (!it.root || !sv.saving.rewrite) && (!it.force || it.op == driver.Create && sv.saving.committed) {
		return nil
	}
	if err := sv.keeps(it, &e); err != nil {
		return err
	}
	it.next = e.Kept
	out.data = sv.clone(e.Data)
	it.out = sv.output(out)
	it.refs = e.Eager
	if len(e.Lazy) > 0 {
		it.refs = union(e.Eager, e.Lazy)
	}
	if slices.Equal(it.refs, it.base.refs) {
		it.refs = it.base.refs
		return nil
	}
	it.refs = slices.Clone(it.refs)
	it.out.newRefs = difference(it.refs, it.base.refs, &sv.created)
	return nil
}

// output returns a copy of out that lasts. Those of many items share an allocation, and last as
// long as any one of them.
func (sv *saver) output(out output) *output {
	if len(sv.outputs) == 0 {
		sv.outputs = make([]output, min(max(1, len(sv.items)/2), 64))
	}
	o := &sv.outputs[0]
	sv.outputs = sv.outputs[1:]
	*o = out
	return o
}

const (
	chunkSize = 64 << 10 // of memory shared by the bytes of many records
	bigRecord = 4 << 10  // bytes of a record, from which on it has memory of its own
	fewItems  = 64       // in a save, up to which each record has memory of its own
)

// clone returns a copy of the bytes of a record.
func (sv *saver) clone(data []byte) []byte {
	if len(data) >= bigRecord || len(sv.items) <= fewItems {
		return slices.Clone(data)
	}
	if len(data) > cap(sv.chunk)-len(sv.chunk) {
		sv.chunk = make([]byte, 0, chunkSize)
	}
	start := len(sv.chunk)
	sv.chunk = append(sv.chunk, data...)
	return sv.chunk[start:len(sv.chunk):len(sv.chunk)]
}

// union returns the elements of two sorted lists of distinct IDs as a new sorted list of
// distinct IDs.
func union(a, b []ID) []ID {
	if len(a)+len(b) == 0 {
		return nil
	}
	all := make([]ID, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch c := strings.Compare(string(a[0]), string(b[0])); {
		case c < 0:
			all, a = append(all, a[0]), a[1:]
		case c > 0:
			all, b = append(all, b[0]), b[1:]
		default:
			all, a, b = append(all, a[0]), a[1:], b[1:]
		}
	}
	return append(append(all, a...), b...)
}

// difference returns the elements of the sorted list a that are neither in the sorted list b nor in
// created.
func difference(a, b []ID, created *createdSet) []ID {
	var diff []ID
	for _, id := range a {
		for len(b) > 0 && b[0] < id {
			b = b[1:]
		}
		if (len(b) == 0 || b[0] != id) && !created.has(id) {
			diff = append(diff, id)
		}
	}
	return diff
}

// newID makes an ID for an object that has none and makes it the object's pending ID, which
// every other save that reaches the object meanwhile uses too.
func (c *conn) newID(ctx context.Context, it *item) (ID, error) {
	id, err := c.s.ids.NewID(ctx, it.obj, c.s.numbers.give)
	if err != nil {
		return "", err
	}
	if err := idfactory.Validate(id, c.s.ids.Integral()); err != nil {
		return "", fmt.Errorf("the ID factory made %q for %T: %w: %w", id, it.obj, ErrInvalidID, err)
	}
	if it.ident == nil {
		return id, nil
	}
	it.ident.mu.Lock()
	defer it.ident.mu.Unlock()
	b := c.entry(it.ident)
	if b.id != "" || b.tried != nil {
		return "", errAgain // another save was faster
	}
	if b.pending == "" {
		b.pending = id
	}
	return b.pending, nil
}

// forgetPending makes the object's next save take a new ID.
func (c *conn) forgetPending(it *item) {
	if it.ident == nil {
		return
	}
	it.ident.mu.Lock()
	defer it.ident.mu.Unlock()
	if b := c.entry(it.ident); b.pending == it.id && b.writer == nil {
		b.pending = ""
	}
}
