package persistence

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/internal/codec"
)

// Save stores obj and everything persistable that it reaches, in one atomic write
// of the records that differ from what was last saved or loaded, and returns the ID of obj. A value
// that is not [Persistable] becomes a new record at each Save; an object keeps its ID.
//
// It reads all that obj reaches: none of it may change meanwhile. Nothing is written, and no object changes,
// when it returns an error: ErrConflict (someone else changed or removed a record), ErrUnstorable,
// ErrDangling, ErrTooLarge, … An error that is ErrUncertain leaves that open. (GC3Pie's SqlStore.save.)
func (s *Store) Save(ctx context.Context, obj any) (ID, error) {
	ids, err := s.save(ctx, saving{op: "save", deep: true}, obj)
	if err != nil {
		return "", err
	}
	return ids[0], nil
}

// SaveAll is Save for many roots at once: all of them are written, or none. The IDs
// come in the order of objs. No objects: nothing happens.
func (s *Store) SaveAll(ctx context.Context, objs ...any) ([]ID, error) {
	return s.save(ctx, saving{op: "save", deep: true}, objs...)
}

// SaveOnly stores the records of objs alone, and those objects they refer to that were never saved
// in this store (with what those refer to that was never saved, and so on), in one atomic write. Its cost follows the
// size of objs, not of the graph. It reads only the objects named, those never saved, and the identities
// of the rest; so must their extractors and state functions, where other goroutines change the rest meanwhile.
func (s *Store) SaveOnly(ctx context.Context, objs ...any) ([]ID, error) {
	return s.save(ctx, saving{op: "save"}, objs...)
}

// Insert stores the record of obj, and those objects it refers to that were never saved, under an ID
// of the caller's choice. ErrExists if the ID is taken, ErrInvalidID if no record of this store can have it. A persistable object
// has that ID from then on, whatever it had.
func (s *Store) Insert(ctx context.Context, id ID, obj any) error {
	_, err := s.save(ctx, saving{op: "insert", under: id, rootOp: driver.Create}, obj)
	return err
}

// Replace overwrites the record with obj, and stores those objects it refers to that were never
// saved. It asks for no revision: the last writer wins. ErrNotFound if there is no record with the ID.
// A persistable object has that ID from then on, whatever it had. (GC3Pie's SqlStore.replace.)
func (s *Store) Replace(ctx context.Context, id ID, obj any) error {
	_, err := s.save(ctx, saving{op: "replace", under: id, rootOp: driver.Update}, obj)
	return err
}

// saving says what one call of a verb is to do.
type saving struct {
	op     string
	deep   bool        // every object reached, else the roots and what was never saved
	under  ID          // Insert, Replace: the ID of the root
	rootOp driver.Op   // Insert, Replace: Create, Update; else 0
	held   *Claim      // Claim.Save, Claim.Complete: the claim under which alone to save; else nil
	done   bool        // Claim.Complete: the claim ends with it
	known  []belonging // Update: what is known of those roots that cannot know it themselves
	landed bool        // the root's last save, of uncertain outcome, turned out to have succeeded
}

// An item is an object on the worklist of a save, and what the save found of it.
type item struct {
	obj   any
	ident *identity // nil: a plain value
	root  bool
	op    driver.Op // what to do if it differs: Create, Update
	force bool      // Insert, Replace: do it whatever the object knows of the store
	id    ID
	made  bool // id was made by the store's factory, for this or an earlier attempt

	base belonging // what was known when the item went on the list

	typ     string
	state   string
	fields  []any
	data    []byte // nil: nothing to write
	digest  digest
	refs    []ID // sorted, distinct
	newRefs []ID // those that the last known revision lacked and this save does not create
}

// A saver is one attempt of one save.
type saver struct {
	s       *Store
	ctx     context.Context
	saving  saving
	items   []*item
	roots   []*item // one per root asked for; an object named twice is one item
	slab    []item  // the next items are cut from it
	seen    map[*identity]*item
	created map[ID]struct{}
	unsure  []*item // objects whose last save had an uncertain outcome
	scratch []byte
	err     error // of placing an object referred to, which has nothing to do with the referrer's encoding
}

// maxAttempts bounds how often a save starts anew: after IDs turned out to be taken, after another save of
// the same objects ended otherwise than expected. Each time something else must have gone on meanwhile.
const maxAttempts = 100

func (s *Store) save(ctx context.Context, how saving, objs ...any) ([]ID, error) {
	if how.rootOp != 0 {
		if err := idfactory.Validate(how.under, s.ids.Integral()); err != nil {
			return nil, s.fail(how.op, how.under, fmt.Errorf("%w: %w", ErrInvalidID, err))
		}
	}
	if len(objs) == 0 {
		return nil, nil
	}
	defer s.numbers.forget()
	taken := 0
	for range maxAttempts {
		sv := &saver{s: s, ctx: ctx, saving: how,
			seen: make(map[*identity]*item), created: make(map[ID]struct{})}
		ids, err := sv.attempt(objs)
		switch {
		case err == nil:
			return ids, nil
		case errors.Is(err, errAgain):
			how = sv.saving
			continue
		case errors.Is(err, ErrExists):
			again, rerr := sv.renew(err, 1<<min(taken, 20))
			if rerr != nil {
				return nil, s.fail(how.op, how.under, rerr)
			}
			if again {
				taken++
				continue
			}
		}
		return nil, s.fail(how.op, how.under, err)
	}
	return nil, s.fail(how.op, how.under, fmt.Errorf("gave up after %d attempts: %w", maxAttempts, ErrConflict))
}

// errAgain asks for another attempt; it never leaves this package.
var errAgain = errors.New("start the save anew")

func (sv *saver) attempt(objs []any) ([]ID, error) {
	if err := sv.walk(objs); err != nil {
		return nil, err
	}
	if err := sv.commit(); err != nil {
		return nil, err
	}
	ids := make([]ID, len(sv.roots))
	for i, it := range sv.roots {
		ids[i] = it.id
	}
	return ids, nil
}

// walk encodes the roots and all that goes on the worklist meanwhile.
func (sv *saver) walk(objs []any) error {
	for i, obj := range objs {
		if err := sv.enlistRoot(i, obj); err != nil {
			return err
		}
	}
	enc := records.NewEncoder(sv.s.limits, sv)
	defer enc.Free()
	for i := 0; i < len(sv.items); i++ {
		if i%256 == 0 && sv.ctx.Err() != nil {
			return sv.ctx.Err()
		}
		if err := sv.encode(enc, sv.items[i]); err != nil {
			return err
		}
	}
	if len(sv.unsure) > 0 {
		landed, err := sv.s.settle(sv.ctx, sv.unsure)
		if err != nil {
			return err
		}
		sv.saving.landed = slices.Contains(landed, sv.roots[0])
		return errAgain
	}
	written := 0
	for _, it := range sv.items {
		if it.data == nil {
			continue
		}
		written++
		it.newRefs = slices.DeleteFunc(it.newRefs, func(id ID) bool { _, ok := sv.created[id]; return ok })
	}
	if sv.saving.deep {
		sv.s.shallow.note(sv.s, len(sv.items), written)
	}
	return nil
}

// enlistRoot puts root i on the worklist.
func (sv *saver) enlistRoot(i int, obj any) error {
	t := typeOf(obj)
	if v := reflect.ValueOf(obj); t == nil || v.Kind() == reflect.Pointer && v.IsNil() {
		return fmt.Errorf("nil is no object: %w", ErrUnstorable)
	}
	if _, err := records.TypeName(t); err != nil {
		return err
	}
	o, ok := obj.(Object)
	if !ok {
		it := sv.addRoot(obj, nil)
		if sv.saving.known != nil {
			it.base = sv.saving.known[i]
		}
		return sv.place(it)
	}
	ident := o.persistable().identity()
	if it := sv.seen[ident]; it != nil {
		sv.roots = append(sv.roots, it)
		return nil
	}
	return sv.place(sv.addRoot(obj, ident))
}

func (sv *saver) addRoot(obj any, ident *identity) *item {
	it := sv.add(obj, ident)
	it.root = true
	sv.roots = append(sv.roots, it)
	return it
}

// add puts an object on the worklist.
func (sv *saver) add(obj any, ident *identity) *item {
	if len(sv.slab) == 0 {
		sv.slab = make([]item, min(max(4, 2*len(sv.items)), 256))
	}
	it := &sv.slab[0]
	sv.slab = sv.slab[1:]
	it.obj, it.ident = obj, ident
	sv.items = append(sv.items, it)
	if ident != nil {
		sv.seen[ident] = it
	}
	return it
}

// place finds what is known of the item's record and gives it an ID.
func (sv *saver) place(it *item) error {
	if it.ident != nil {
		it.ident.mu.Lock()
		it.base = *it.ident.in(sv.s.ident)
		it.ident.mu.Unlock()
		if it.base.tried != nil {
			sv.unsure = append(sv.unsure, it)
		}
	}
	switch {
	case it.root && sv.saving.rootOp != 0:
		it.op, it.id, it.force = sv.saving.rootOp, sv.saving.under, true
		if it.base.id != it.id {
			it.base.refs = nil // those of another record
		}
	case it.base.id != "":
		it.op, it.id = driver.Update, it.base.id
	default:
		it.op, it.made = driver.Create, true
		if it.id = it.base.pending; it.id == "" {
			id, err := sv.s.newID(sv.ctx, it)
			if err != nil {
				return err
			}
			it.id = id
		}
	}
	if it.op == driver.Create {
		sv.created[it.id] = struct{}{}
	}
	return nil
}

// newID makes an ID for an object that has none, and makes it the object's pending one: whichever
// save comes across the object meanwhile uses the same.
func (s *Store) newID(ctx context.Context, it *item) (ID, error) {
	id, err := s.ids.NewID(ctx, it.obj, s.numbers.next)
	if err != nil {
		return "", err
	}
	if err := idfactory.Validate(id, s.ids.Integral()); err != nil {
		return "", fmt.Errorf("the ID factory made %q for %T: %w: %w", id, it.obj, ErrInvalidID, err)
	}
	if it.ident == nil {
		return id, nil
	}
	it.ident.mu.Lock()
	defer it.ident.mu.Unlock()
	b := it.ident.in(s.ident)
	if b.id != "" || b.tried != nil {
		return "", errAgain // another save was faster
	}
	if b.pending == "" {
		b.pending = id
	}
	return b.pending, nil
}

// Ref implements codec.Resolver: it puts the object referred to on the worklist, where the save
// wants it, and returns its ID.
func (sv *saver) Ref(obj any) (ID, error) {
	ident := obj.(Object).persistable().identity()
	if !sv.saving.deep && (sv.saving.rootOp == 0 || ident != sv.roots[0].ident) {
		ident.mu.Lock()
		b := ident.in(sv.s.ident)
		id, sure := b.id, b.tried == nil
		ident.mu.Unlock()
		if id != "" && sure {
			return id, nil
		}
	}
	if it := sv.seen[ident]; it != nil {
		return it.id, nil
	}
	it := sv.add(obj, ident)
	if sv.err = sv.place(it); sv.err != nil {
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

// encode encodes an item and keeps the bytes if they differ from the last known ones.
func (sv *saver) encode(enc *codec.Encoder, it *item) error {
	e, err := enc.Encode(it.obj)
	if err != nil {
		if sv.err != nil {
			return sv.err
		}
		return err
	}
	it.typ = e.Type
	if it.state, err = sv.s.state(it.obj, it.id); err != nil {
		return err
	}
	it.fields = sv.s.fields(it.obj, it.id)
	it.digest, sv.scratch = digestOf(sv.scratch, it.state, it.fields, e.Data)
	known := it.base.id == it.id && it.digest == it.base.digest
	if known && (!it.force || it.op == driver.Create && sv.saving.landed) {
		return nil
	}
	it.data = slices.Clone(e.Data)
	it.refs = e.Eager
	if len(e.Lazy) > 0 {
		it.refs = union(e.Eager, e.Lazy)
	}
	if slices.Equal(it.refs, it.base.refs) {
		it.refs = it.base.refs
		return nil
	}
	it.refs = slices.Clone(it.refs)
	it.newRefs = difference(it.refs, it.base.refs)
	return nil
}

// union returns the elements of two sorted lists of distinct IDs, as such a list of its own.
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

// difference returns what stands in the sorted list a and not in the sorted list b.
func difference(a, b []ID) []ID {
	var diff []ID
	for _, id := range a {
		for len(b) > 0 && b[0] < id {
			b = b[1:]
		}
		if len(b) == 0 || b[0] != id {
			diff = append(diff, id)
		}
	}
	return diff
}

// mutation returns what to write of an item.
func (sv *saver) mutation(it *item, now time.Time) driver.Mutation {
	m := driver.Mutation{
		Op: it.op,
		Rec: driver.Record{
			ID: it.id, Type: it.typ, State: it.state, Size: int64(len(it.data)),
			Created: now, Modified: now, Data: it.data, Fields: it.fields,
		},
		NewRefs: it.newRefs,
	}
	if held := sv.saving.held; held != nil && it.id == held.info.ID && it.op == driver.Update {
		m.Token, m.Release = held.token, sv.saving.done
	}
	switch {
	case it.op == driver.Update && !it.force:
		m.IfRev = it.base.rev
	case it.op == driver.Create && (it.force || !sv.s.ids.Unique()):
		// The ID may have been another record's that was removed: what remembers that
		// one's revisions must not take this one for it.
		m.Rec.Revision = now.UnixMicro()
	}
	return m
}
