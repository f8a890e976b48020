package persistence

import (
	"context"
	"fmt"
	"iter"
	"reflect"
	"slices"

	"github.com/brine-go/brine/persistence/driver"
)

// All streams the objects that q selects, each with all it refers to eagerly; nil: all. One ID is one
// pointer for as long as the caller keeps it alive, and at least until the next object is given.
// Memory does not grow with their number.
//
// It reads page by page, as [Store.List] does. An error of ErrCorrupt, ErrUnknownType, ErrDangling
// or ErrType concerns one record, and the iteration goes on; any other ends it.
func (c *conn) All(ctx context.Context, q *Query) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		for l, err := range c.all(ctx, q, nil, false) {
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
	c, want := r.self(), reflect.TypeFor[T]()
	return func(yield func(*T, error) bool) {
		name, err := records.TypeName(want)
		if err != nil {
			yield(nil, c.s.fail("all", "", err))
			return
		}
		typed := Query{}
		if q != nil {
			typed = *q
		}
		if typed.Type == "" {
			typed.Type = name
		}
		for l, err := range c.all(ctx, &typed, want, false) {
			obj, _ := l.ptr.(*T)
			if !yield(obj, err) {
				return
			}
		}
	}
}

// A loaded object, and the record that the iteration found it by.
type loaded struct {
	ptr any // to the value
	rec *driver.Record
}

// all streams the objects: those of type want, or of any registered type, or, with
// unregistered, of any type that the process knows.
func (c *conn) all(ctx context.Context, q *Query, want reflect.Type, unregistered bool) iter.Seq2[loaded, error] {
	dq, err := c.s.compile(q)
	return func(yield func(loaded, error) bool) {
		if err != nil {
			yield(loaded{}, c.s.fail("all", "", err))
			return
		}
		it := &iteration{c: c, ctx: ctx, sc: &scope{young: make(map[ID]any)}, want: want, unregistered: unregistered}
		dq.Parts = loadParts
		p := c.newPager(dq, dataPage, it, it.fetch)
		for more := true; more; it.sc.nextPage() {
			var err error
			if more, err = p.read(ctx); err != nil {
				yield(loaded{}, c.s.fail("all", "", err))
				return
			}
			for _, err := range p.bad {
				if !yield(loaded{}, c.s.fail("all", "", err)) {
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
	c            *conn
	ctx          context.Context
	sc           *scope
	want         reflect.Type
	unregistered bool

	// Of the page:
	recs    []driver.Record
	ld      *loader
	fetched error // concerns a record that the page reaches
}

func (it *iteration) begin(most int) { it.recs = slices.Grow(it.recs[:0], min(most, 32)) }

func (it *iteration) row(rec *driver.Record) { it.recs = append(it.recs, *rec) }

// fetch reads what the page refers to.
func (it *iteration) fetch(r driver.Reader) error {
	it.ld = it.c.newLoader(it.sc, it.want, it.unregistered)
	it.fetched = it.ld.follow(it.ctx, r, it.sc.missing(it.recs))
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
			ptr, err = it.c.loadInto(it.ctx, it.sc, rec, it.want, it.unregistered)
		} else if it.want != nil && reflect.TypeOf(ptr).Elem() != it.want {
			err = fmt.Errorf("it is a %v, not a %v: %w", reflect.TypeOf(ptr).Elem(), it.want, ErrType)
		}
		if err != nil {
			ptr, err = nil, it.c.s.fail("all", rec.ID, err)
		}
		if !yield(loaded{ptr, rec}, err) || err != nil && !concernsOneRecord(err) {
			return false
		}
	}
	return true
}

func (c *conn) newLoader(sc *scope, want reflect.Type, unregistered bool) *loader {
	return &loader{c: c, want: want, unregistered: unregistered, known: sc.keepForPage}
}

// loadInto loads the object of one record into a scope.
func (c *conn) loadInto(ctx context.Context, sc *scope, rec *driver.Record, want reflect.Type, unregistered bool) (any, error) {
	ld := c.newLoader(sc, want, unregistered)
	err := c.view(ctx, func(r driver.Reader) error { return ld.follow(ctx, r, []driver.Record{*rec}) })
	if err == nil {
		err = ld.build()
	}
	if err != nil {
		return nil, err
	}
	sc.keep(ld)
	return sc.object(rec.ID), nil
}
