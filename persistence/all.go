package persistence

import (
	"context"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"unsafe"
	"weak"

	"github.com/brine-go/brine/persistence/driver"
)

// All streams the objects that q selects, each with all it refers to eagerly; nil: all. One ID is one
// pointer for as long as the caller keeps it alive, and at least until the next object is given.
// Memory does not grow with their number.
//
// It reads page by page, as [Store.List] does. An error of ErrCorrupt, ErrUnknownType, ErrDangling
// or ErrType concerns one record, and the iteration goes on; any other ends it.
func (s *Store) All(ctx context.Context, q *Query) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		for l, err := range s.all(ctx, q, nil, false) {
			var obj any
			if err == nil {
				obj = natural(l.ptr)
			}
			if !yield(obj, err) {
				return
			}
		}
	}
}

// All streams the records as T's, registered or not; an empty q.Type asks for those of type T. A record of
// another type is ErrType, and the iteration goes on. See [Store.All].
func All[T any](ctx context.Context, r Reader, q *Query) iter.Seq2[*T, error] {
	s, want := r.store(), reflect.TypeFor[T]()
	return func(yield func(*T, error) bool) {
		name, err := records.TypeName(want)
		if err != nil {
			yield(nil, s.fail("all", "", err))
			return
		}
		typed := Query{}
		if q != nil {
			typed = *q
		}
		if typed.Type == "" {
			typed.Type = name
		}
		for l, err := range s.all(ctx, &typed, want, false) {
			obj, _ := l.ptr.(*T)
			if !yield(obj, err) {
				return
			}
		}
	}
}

// A loaded object, and the record that the iteration met it by.
type loaded struct {
	ptr any // to the value
	rec *driver.Record
}

// all streams the objects: those of type want, or of any registered type, or with met of any type that this process
// has met.
func (s *Store) all(ctx context.Context, q *Query, want reflect.Type, met bool) iter.Seq2[loaded, error] {
	dq, err := s.compile(q)
	return func(yield func(loaded, error) bool) {
		if err != nil {
			yield(loaded{}, s.fail("all", "", err))
			return
		}
		it := &iteration{s: s, ctx: ctx, sc: &scope{young: make(map[ID]any)}, want: want, met: met}
		dq.Parts = loadParts
		p := s.newPager(dq, dataPage, it, it.fetch)
		for more := true; more; it.sc.turn() {
			var err error
			if more, err = p.read(ctx); err != nil {
				yield(loaded{}, s.fail("all", "", err))
				return
			}
			for _, err := range p.bad {
				if !yield(loaded{}, s.fail("all", "", err)) {
					return
				}
			}
			if !it.give(yield) {
				return
			}
		}
	}
}

// An iteration is one All, page by page.
type iteration struct {
	s    *Store
	ctx  context.Context
	sc   *scope
	want reflect.Type
	met  bool

	// Of the page:
	recs    []driver.Record
	ld      *loader
	fetched error // concerns a record that the page reaches
}

func (it *iteration) begin(most int)         { it.recs = slices.Grow(it.recs[:0], min(most, 32)) }
func (it *iteration) row(rec *driver.Record) { it.recs = append(it.recs, *rec) }

// fetch reads what the page refers to.
func (it *iteration) fetch(r driver.Reader) error {
	it.ld = it.s.newLoader(it.sc, it.want, it.met)
	it.fetched = it.ld.follow(it.ctx, r, it.sc.unknown(it.recs))
	if it.fetched != nil && !concernsOneRecord(it.fetched) {
		return it.fetched
	}
	return nil
}

// give makes and yields the objects of the page, and reports whether to go on.
func (it *iteration) give(yield func(loaded, error) bool) bool {
	if len(it.recs) == 0 {
		return true
	}
	if it.fetched == nil {
		it.fetched = it.ld.build()
	}
	if it.fetched == nil {
		it.sc.keep(it.ld)
	}
	for i := range it.recs {
		rec := &it.recs[i]
		ptr, err := it.sc.object(rec.ID), error(nil)
		if ptr == nil {
			// Something that the page reaches is damaged: find out which objects it concerns.
			ptr, err = it.s.loadInto(it.ctx, it.sc, rec, it.want, it.met)
		} else if it.want != nil && reflect.TypeOf(ptr).Elem() != it.want {
			err = fmt.Errorf("it is a %v, not a %v: %w", reflect.TypeOf(ptr).Elem(), it.want, ErrType)
		}
		if err != nil {
			ptr, err = nil, it.s.fail("all", rec.ID, err)
		}
		if !yield(loaded{ptr, rec}, err) || err != nil && !concernsOneRecord(err) {
			return false
		}
	}
	return true
}

func (s *Store) newLoader(sc *scope, want reflect.Type, met bool) *loader {
	return &loader{s: s, want: want, met: met, known: sc.hold}
}

// loadInto loads the object of one record into a scope.
func (s *Store) loadInto(ctx context.Context, sc *scope, rec *driver.Record, want reflect.Type, met bool) (any, error) {
	ld := s.newLoader(sc, want, met)
	err := s.view(ctx, func(r driver.Reader) error { return ld.follow(ctx, r, []driver.Record{*rec}) })
	if err == nil {
		err = ld.build()
	}
	if err != nil {
		return nil, err
	}
	sc.keep(ld)
	return sc.object(rec.ID), nil
}

// A scope keeps one pointer per ID for one iteration. It holds the objects of this page and of the
// one before it; older ones it finds again while the caller keeps them alive.
type scope struct {
	young, old map[ID]any
	weak       map[ID]weakObject // nil while there are no older ones
	sweepAt    int
}

// A weakObject is a weak pointer to a persistable object of any type.
type weakObject struct {
	p      weak.Pointer[Persistable]
	typ    reflect.Type // of the object
	offset uintptr      // of its Persistable
}

// object returns the pointer for an ID, nil if the scope has none.
func (sc *scope) object(id ID) any {
	if ptr := sc.young[id]; ptr != nil {
		return ptr
	}
	if ptr := sc.old[id]; ptr != nil {
		return ptr
	}
	w, ok := sc.weak[id]
	if !ok {
		return nil
	}
	p := w.p.Value()
	if p == nil {
		return nil
	}
	return reflect.NewAt(w.typ, unsafe.Add(unsafe.Pointer(p), -int(w.offset))).Interface()
}

// hold is object, and makes the object last as long as those of this page.
func (sc *scope) hold(id ID) any {
	ptr := sc.object(id)
	if ptr != nil {
		sc.young[id] = ptr
	}
	return ptr
}

// unknown returns the records for which the scope has no object.
func (sc *scope) unknown(recs []driver.Record) []driver.Record {
	if len(sc.young) == 0 && len(sc.old) == 0 && len(sc.weak) == 0 {
		return recs
	}
	rest := make([]driver.Record, 0, len(recs))
	for _, rec := range recs {
		if sc.hold(rec.ID) == nil {
			rest = append(rest, rec)
		}
	}
	return rest
}

// turn begins a new page.
func (sc *scope) turn() {
	for id, ptr := range sc.old {
		if o, ok := ptr.(Object); ok && sc.young[id] == nil {
			sc.weaken(id, o)
		}
	}
	sc.young, sc.old = make(map[ID]any), sc.young
	if len(sc.weak) < sc.sweepAt {
		return
	}
	for id, w := range sc.weak {
		if w.p.Value() == nil {
			delete(sc.weak, id)
		}
	}
	sc.sweepAt = max(4096, 2*len(sc.weak))
}

// keep takes the objects of a finished load into the scope.
func (sc *scope) keep(ld *loader) {
	if len(sc.young) == 0 {
		sc.young = make(map[ID]any, len(ld.order))
	}
	for _, n := range ld.order {
		sc.young[n.rec.ID] = n.ptr
	}
}

// weaken keeps an object no longer than others do.
func (sc *scope) weaken(id ID, o Object) {
	if sc.weak == nil {
		sc.weak = make(map[ID]weakObject)
	}
	p := o.persistable()
	sc.weak[id] = weakObject{
		p: weak.Make(p), typ: reflect.TypeOf(o).Elem(),
		offset: uintptr(unsafe.Pointer(p)) - uintptr(reflect.ValueOf(o).UnsafePointer()),
	}
}
