package persistence

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"

	"github.com/brine-go/brine/persistence/driver"
)

// A conn gives access to the records of one namespace. Every read, every write, every number
// taken from the counter and every change to what objects know of their records goes through
// its methods; nothing else enters the gate or has the backend, but start, which opens it, and
// life.go, which closes it. A [Store] is a conn that commits each call at once.
type conn struct {
	s         *Store
	namespace driver.Namespace
	prepared  atomic.Bool // whether this handle has prepared the namespace
}

// self makes a *Store a [Reader].
func (c *conn) self() *conn { return c }

// self is that of the conn, for functions that take a [Reader] or [Writer]. A nil *Store is a
// mistake that is to be told from others.
func (s *Store) self() *conn {
	if s == nil {
		panic("persistence: the *Store is nil: look at the error of MakeStore or New first")
	}
	return &s.conn
}

// call runs fn with the backend. PreFork, Reset and Close wait for it to return.
func (c *conn) call(ctx context.Context, fn func(driver.Backend) error) error {
	if err := c.s.gate.enter(ctx); err != nil {
		return err
	}
	defer c.s.gate.leave()
	if c.namespace != driver.Objects && !c.prepared.Load() {
		if err := driver.InitNamespace(ctx, c.s.backend, c.namespace, driver.Schema{}); err != nil {
			if c.s.readOnly && errors.Is(err, ErrNotFound) {
				return &neverMadeError{err}
			}
			return err
		}
		c.prepared.Store(true)
	}
	return fn(c.s.backend)
}

// ability returns the backend as a T, one of the optional interfaces of package driver, and whether
// the backend implements it. Call its methods inside call or write, like those of every backend.
func ability[T any](c *conn) (T, bool) {
	b, ok := c.s.backend.(T)
	return b, ok
}

// prepare makes the namespace ready for use, if it is not yet. A call that concerns two namespaces
// goes through the conn of one, and prepares the other.
func (c *conn) prepare(ctx context.Context) error {
	return c.call(ctx, func(driver.Backend) error { return nil })
}

// A neverMadeError says that a store opened for reading only lacks a namespace: it was never made,
// or this user may not read it.
type neverMadeError struct{ error }

func (e *neverMadeError) Unwrap() error { return e.error }

// write is call for a function that changes the data: it is not called in a store opened for
// reading only. The verbs ask mayWrite first, so that they do nothing before; this here is the
// place that no write gets past.
func (c *conn) write(ctx context.Context, fn func(driver.Backend) error) error {
	if c.s.readOnly {
		return driver.ErrOpenedReadOnly
	}
	return c.call(ctx, fn)
}

// mayWrite returns the error of a verb that writes in a store that was opened for reading only.
func (s *Store) mayWrite(op string, id ID) error {
	switch {
	case !s.readOnly:
		return nil
	case s.gate.isClosed():
		return s.fail(op, id, ErrClosed)
	}
	return s.fail(op, id, driver.ErrOpenedReadOnly)
}

// view runs fn on one consistent state of the records.
func (c *conn) view(ctx context.Context, fn func(driver.Reader) error) error {
	return c.orNone(fn, c.call(ctx, func(b driver.Backend) error { return b.View(ctx, c.inNamespace(fn)) }))
}

// readOnce is view for a function that makes a single read.
func (c *conn) readOnce(ctx context.Context, fn func(driver.Reader) error) error {
	return c.orNone(fn, c.call(ctx, func(b driver.Backend) error { return driver.ReadOnce(ctx, b, c.inNamespace(fn)) }))
}

// orNone calls fn with a Reader that finds no records if err says that there is no namespace. Else
// it returns err.
func (c *conn) orNone(fn func(driver.Reader) error, err error) error {
	if none, ok := err.(*neverMadeError); ok && none != nil { //nolint:errorlint // of this call, not of fn
		return fn(noRecords{})
	}
	return err
}

// noRecords is a Reader of a namespace without records.
type noRecords struct{}

func (noRecords) Get(context.Context, []ID, driver.Parts) ([]driver.Record, error) { return nil, nil }

func (noRecords) Scan(context.Context, *driver.Query) iter.Seq2[driver.Record, error] {
	return func(func(driver.Record, error) bool) {}
}

func (noRecords) Count(context.Context, *driver.Query) (int64, error) { return 0, nil }

// inNamespace adapts fn, which reads this namespace, to a Reader of the objects.
func (c *conn) inNamespace(fn func(driver.Reader) error) func(driver.Reader) error {
	if c.namespace == driver.Objects {
		return fn
	}
	return func(r driver.Reader) error {
		in, err := driver.InNamespace(r, c.namespace)
		if err != nil {
			return err
		}
		return fn(in)
	}
}

// apply makes the mutations atomically.
func (c *conn) apply(ctx context.Context, ms []driver.Mutation) (revs []int64, err error) {
	if c.namespace != driver.Objects {
		for i := range ms {
			ms[i].Namespace = c.namespace
		}
	}
	err = c.write(ctx, func(b driver.Backend) error {
		revs, err = b.Apply(ctx, ms)
		return err
	})
	if err == nil && c.namespace == driver.Objects {
		c.s.noteWrites(ms)
	}
	return revs, err
}

// applyExclusive makes the mutations that fn decides on while nobody else writes, and returns the
// mark of the state afterwards. supported is false if the backend cannot keep others out: then fn
// was not called, and err says why.
func (c *conn) applyExclusive(ctx context.Context, since driver.Mark, fn func(driver.Exclusive) ([]driver.Mutation, error)) (mark driver.Mark, supported bool, err error) {
	var ms []driver.Mutation
	called := false
	err = c.write(ctx, func(b driver.Backend) error {
		mark, err = driver.ApplyExclusive(ctx, b, since, func(x driver.Exclusive) ([]driver.Mutation, error) {
			called = true
			var err error
			ms, err = fn(x)
			return ms, err
		})
		return err
	})
	if err == nil {
		c.s.noteWrites(ms)
	}
	return mark, called || !errors.Is(err, errors.ErrUnsupported), err
}

// nextIDs takes n consecutive numbers from the counter of the store.
func (c *conn) nextIDs(ctx context.Context, n int) (first int64, err error) {
	err = c.write(ctx, func(b driver.Backend) error {
		first, err = b.NextIDs(ctx, n)
		return err
	})
	return first, err
}

// entry returns what an object knows of its record in this store. ident.mu must be locked.
func (c *conn) entry(ident *identity) *entry { return ident.in(c.s.ident) }

// learn records the last known state of an object's record.
func (c *conn) learn(ident *identity, id ID, rev int64, d digest, refs []ID) {
	ident.mu.Lock()
	defer ident.mu.Unlock()
	c.learnLocked(ident, id, rev, d, refs)
}

// learnLocked is learn with ident.mu locked.
func (c *conn) learnLocked(ident *identity, id ID, rev int64, d digest, refs []ID) {
	ident.learn(c.entry(ident), id, rev, d, refs)
}

// read is view for a function that often makes a single read. It starts without a transaction,
// which saves two round trips on a server, unless the last read that shared hint needed a
// second Get. If fn reads again, read calls it once more, from its beginning, in a transaction.
func (c *conn) read(ctx context.Context, hint *readHint, fn func(driver.Reader) error) error {
	if _, ok := ability[driver.SingleReader](c); !ok {
		return c.view(ctx, fn)
	}
	if hint.readsOn.Load() {
		counted := countedReader{unlimited: true}
		err := c.view(ctx, counted.wrap(fn))
		if err == nil {
			hint.readsOn.Store(counted.n > 1)
		}
		return err
	}
	var counted countedReader
	err := c.readOnce(ctx, counted.wrap(fn))
	if errors.Is(err, errReadsOn) {
		hint.readsOn.Store(true)
		return c.view(ctx, fn)
	}
	return err
}

// A readHint remembers whether the last read needed a transaction.
type readHint struct{ readsOn atomic.Bool }

// A countedReader counts the reads of a function and fails the second one unless it is unlimited.
type countedReader struct {
	driver.Reader
	n         int
	unlimited bool
}

var errReadsOn = errors.New("there is more to read")

func (r *countedReader) wrap(fn func(driver.Reader) error) func(driver.Reader) error {
	return func(inner driver.Reader) error {
		r.Reader, r.n = inner, 0
		return fn(r)
	}
}

func (r *countedReader) Get(ctx context.Context, ids []ID, parts driver.Parts) ([]driver.Record, error) {
	if r.n++; r.n > 1 && !r.unlimited {
		return nil, errReadsOn
	}
	return r.Reader.Get(ctx, ids, parts)
}

func (r *countedReader) Scan(ctx context.Context, q *driver.Query) iter.Seq2[driver.Record, error] {
	r.n++ // always the first read
	return r.Reader.Scan(ctx, q)
}
