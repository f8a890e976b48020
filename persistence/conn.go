package persistence

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"

	"github.com/brine-go/brine/persistence/driver"
)

// A conn is how verbs reach the records of one namespace. All that they read and write, the numbers
// that they take from the counter, and what objects learn of their records pass through its methods,
// and nothing else enters the gate. A [Store] is a conn whose every call is committed at once.
type conn struct {
	s         *Store
	namespace driver.Namespace
	prepared  atomic.Bool // the namespace, by this handle
}

// self is what makes a *Store a [Reader].
func (c *conn) self() *conn { return c }

// call runs fn with the backend. PreFork, Reset and Close wait for it.
func (c *conn) call(ctx context.Context, fn func(driver.Backend) error) error {
	if err := c.s.gate.enter(ctx); err != nil {
		return err
	}
	defer c.s.gate.leave()
	if c.namespace != driver.Objects && !c.prepared.Load() {
		if err := driver.InitNamespace(ctx, c.s.backend, c.namespace, driver.Schema{}); err != nil {
			return err
		}
		c.prepared.Store(true)
	}
	return fn(c.s.backend)
}

// view runs fn on one state of the records.
func (c *conn) view(ctx context.Context, fn func(driver.Reader) error) error {
	return c.call(ctx, func(b driver.Backend) error { return b.View(ctx, c.inNamespace(fn)) })
}

// readOnce is view for a function that reads a single time.
func (c *conn) readOnce(ctx context.Context, fn func(driver.Reader) error) error {
	return c.call(ctx, func(b driver.Backend) error { return driver.ReadOnce(ctx, b, c.inNamespace(fn)) })
}

// inNamespace returns fn for a Reader of the objects.
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

// apply makes the mutations, all or none.
func (c *conn) apply(ctx context.Context, ms []driver.Mutation) (revs []int64, err error) {
	if c.namespace != driver.Objects {
		for i := range ms {
			ms[i].Namespace = c.namespace
		}
	}
	err = c.call(ctx, func(b driver.Backend) error {
		revs, err = b.Apply(ctx, ms)
		return err
	})
	return revs, err
}

// nextIDs takes n numbers in a row from the counter of the store.
func (c *conn) nextIDs(ctx context.Context, n int) (first int64, err error) {
	err = c.call(ctx, func(b driver.Backend) error {
		first, err = b.NextIDs(ctx, n)
		return err
	})
	return first, err
}

// entry returns what an object knows of its record here. ident.mu is held.
func (c *conn) entry(ident *identity) *entry { return ident.in(c.s.ident) }

// learn makes a record the last known one of an object.
func (c *conn) learn(ident *identity, id ID, rev int64, d digest, refs []ID) {
	ident.mu.Lock()
	defer ident.mu.Unlock()
	ident.learn(c.entry(ident), id, rev, d, refs)
}

// read is view for a function that often reads a single time. It begins without a transaction, which
// saves two round trips on a server, unless the last read that shares hint went on to a second Get.
// Should fn read on after all, it is called again, from its beginning, in a transaction.
func (c *conn) read(ctx context.Context, hint *readHint, fn func(driver.Reader) error) error {
	if _, ok := c.s.backend.(driver.SingleReader); !ok || hint.readsOn.Load() {
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
	r.n++ // always the first
	return r.Reader.Scan(ctx, q)
}
