package persistence

import (
	"context"
	"fmt"
	"iter"
	"reflect"
	"slices"

	"github.com/brine-go/brine/persistence/driver"
)

// All streams the objects that q selects, or all if q is nil, each with everything it refers to
// eagerly. An ID has one pointer for as long as the caller keeps it alive, and at least until
// the next object is yielded. Memory use does not grow with the number of objects.
//
// It reads page by page, as [Store.List] does. An error of ErrCorrupt, ErrUnknownType,
// ErrDangling or ErrType concerns one record, and the iteration continues; any other error ends
// it. Do not copy a store by saving in another one what All yields: [Copy] does that, and keeps an
// object one that several refer to.
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

// All streams the records as T's, registered or not. If q.Type is empty, it selects those of
// type T. A record of another type is reported as ErrType, and the iteration continues. See
// [Store.All].
func All[T any](ctx context.Context, r Reader, q *Query) iter.Seq2[*T, error] {
	c, want := r.self(), reflect.TypeFor[T]()
	return func(yield func(*T, error) bool) {
		typed, err := queryOf(q, want)
		if err != nil {
			yield(nil, c.s.fail("all", "", err))
			return
		}
		for l, err := range c.all(ctx, typed, want, false) {
			obj, _ := l.ptr.(*T)
			if !yield(obj, err) {
				return
			}
		}
	}
}

// A loaded is a loaded object with the record that the iteration found it by.
type loaded struct {
	ptr any // a pointer to the value
	rec *driver.Record
}

// all streams the objects of type want, or of any registered type if want is nil, or of any
// type that the process knows if unregistered is true.
func (c *conn) all(ctx context.Context, q *Query, want reflect.Type, unregistered bool) iter.Seq2[loaded, error] {
	dq, err := c.s.compile(q)
	return c.allOf(ctx, dq, err, want, unregistered)
}

// allOf is all for a compiled query. If err is not nil, it yields err and nothing else.
func (c *conn) allOf(ctx context.Context, dq *driver.Query, err error, want reflect.Type, unregistered bool) iter.Seq2[loaded, error] {
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

// An iteration is the state of one All.
type iteration struct {
	c            *conn
	ctx          context.Context
	sc           *scope
	want         reflect.Type
	unregistered bool

	// The current page:
	recs    []driver.Record
	ld      *loader
	fetched error // concerns a record that an object of the page refers to
}

func (it *iteration) begin(most int) { it.recs = slices.Grow(it.recs[:0], min(most, 32)) }

func (it *iteration) row(rec *driver.Record) { it.recs = append(it.recs, *rec) }

// fetch reads everything that the page refers to.
func (it *iteration) fetch(r driver.Reader) error {
	it.ld = it.c.newLoader(it.sc, it.want, it.unregistered)
	it.fetched = it.ld.follow(it.ctx, r, it.sc.missing(it.recs))
	if it.fetched != nil && !concernsOneRecord(it.fetched) {
		return it.fetched
	}
	return nil
}

// give builds and yields the objects of the page, and reports whether to continue.
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
			// A record that the page refers to is damaged: find out which objects it concerns.
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
