package persistence

import (
	"context"
	"fmt"
	"iter"
	"reflect"
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
		sc := &scope{weak: make(map[ID]weakObject)}
		var ld *loader
		var fetched error        // concerns a record that the page reaches
		var recs []driver.Record // of the page
		row := func(rec *driver.Record) { recs = append(recs, *rec) }
		fetch := func(r driver.Reader) error {
			sc.turn()
			ld = s.newLoader(sc, want, met)
			fetched = ld.follow(ctx, r, sc.unknown(recs))
			if fetched != nil && !concernsOneRecord(fetched) {
				return fetched
			}
			return nil
		}
		for err := range s.pages(ctx, dq, driver.Info|driver.Fields|driver.Data, dataPage, row, fetch) {
			if err != nil {
				if !yield(loaded{}, s.fail("all", "", err)) {
					return
				}
				continue
			}
			if fetched == nil {
				fetched = ld.build()
			}
			if fetched == nil {
				sc.keep(ld)
			}
			for i := range recs {
				rec := &recs[i]
				ptr, err := sc.object(rec.ID), error(nil)
				if ptr == nil {
					// Something that the page reaches is damaged: find out which objects it concerns.
					ptr, err = s.loadInto(ctx, sc, rec, want, met)
				} else if want != nil && reflect.TypeOf(ptr).Elem() != want {
					err = fmt.Errorf("it is a %v, not a %v: %w", reflect.TypeOf(ptr).Elem(), want, ErrType)
				}
				if err != nil {
					ptr, err = nil, s.fail("all", rec.ID, err)
				}
				if !yield(loaded{ptr, rec}, err) || err != nil && !concernsOneRecord(err) {
					return
				}
			}
			recs = recs[:0]
		}
	}
}

func (s *Store) newLoader(sc *scope, want reflect.Type, met bool) *loader {
	return &loader{s: s, want: want, met: met, nodes: make(map[ID]*node), known: sc.hold}
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
	weak       map[ID]weakObject
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
	for _, n := range ld.order {
		sc.young[n.rec.ID] = n.ptr
		o, ok := n.ptr.(Object)
		if !ok {
			continue
		}
		p := o.persistable()
		sc.weak[n.rec.ID] = weakObject{
			p: weak.Make(p), typ: reflect.TypeOf(n.ptr).Elem(),
			offset: uintptr(unsafe.Pointer(p)) - uintptr(reflect.ValueOf(n.ptr).UnsafePointer()),
		}
	}
}
