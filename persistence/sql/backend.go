package sql

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/brine-go/brine/persistence/driver"
)

var (
	_ driver.Backend      = (*Backend)(nil)
	_ driver.Suspender    = (*Backend)(nil)
	_ driver.Statser      = (*Backend)(nil)
	_ driver.SingleReader = (*Backend)(nil)
	_ driver.Claimer      = (*Backend)(nil)
)

// A Backend keeps records in a SQL database, those of each namespace in a table of their own.
//
// View and Apply hold one connection each, and where there is one for
// everything (private memory) an Apply inside a View's function waits for ever: until ctx ends.
type Backend struct {
	dialect  Dialect
	traits   *traits
	options  driver.OpenOptions
	retryFor time.Duration // how long a call is tried again
	engine   engine
	counters *counters
	logged   driver.Logged // damaged records that were logged

	calls   sync.WaitGroup      // calls that have begun and not ended
	opening *semaphore.Weighted // of weight 1: held by the call that opens the pools

	mu     sync.Mutex // guards what follows
	closed bool
	open   *open   // nil: not open, or suspended
	tables *tables // never nil
	limit  int     // connections at once, of the pools that are or were open
	files  bool    // the database that is or was open is in files, which may be moved

	dropped string // a column of the schema of the objects that this Backend has dropped

	numbers struct {
		sync.Mutex
		given int64 // the highest number given out without a counter
	}
}

// OpenEmbedded returns the Backend of the table o.Table in a database that runs inside this
// process. It does no I/O: the database is opened by Init. Where another process has locked the
// database, a call is tried again for the time of retryFor.
func OpenEmbedded(d Dialect, t EmbeddedTraits, o driver.OpenOptions, retryFor time.Duration) *Backend {
	b := newBackend(d, &t, &ServerTraits{}, o, retryFor)
	b.engine = embedded{b}
	return b
}

// OpenServer is OpenEmbedded for a database on a server. A call is tried again also where a
// connection is lost.
func OpenServer(d Dialect, t *ServerTraits, o driver.OpenOptions, retryFor time.Duration) *Backend {
	b := newBackend(d, &EmbeddedTraits{}, t, o, retryFor)
	b.engine = server{b}
	return b
}

func newBackend(d Dialect, e *EmbeddedTraits, s *ServerTraits, o driver.OpenOptions, retryFor time.Duration) *Backend {
	o.NoCreate = o.NoCreate || o.ReadOnly
	return &Backend{
		dialect: d, traits: &traits{d.Traits(), e, s, d.Express}, options: o, retryFor: retryFor,
		counters: &counters{}, opening: semaphore.NewWeighted(1), tables: &tables{},
	}
}

// enter begins a call: it opens the database if need be, and says no once the backend is closed.
// leave ends the call.
func (b *Backend) enter(ctx context.Context) (*open, *tables, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil, nil, driver.ErrClosed
	}
	b.calls.Add(1)
	o, ts := b.open, b.tables
	b.mu.Unlock()
	var err error
	if o == nil {
		o, err = b.connect(ctx)
	} else if away := o.watch.Err(); away != nil {
		err = b.named(away)
	}
	if err != nil {
		b.calls.Done()
		return nil, nil, err
	}
	return o, ts, nil
}

func (b *Backend) leave() { b.calls.Done() }

// ready is enter for the methods that need an Init before them.
func (b *Backend) ready(ctx context.Context) (*open, *tables, error) {
	o, ts, err := b.enter(ctx)
	if err == nil && ts.objects == nil {
		b.leave()
		return nil, nil, fmt.Errorf("%s: used before Init", b.dialect.Location())
	}
	return o, ts, err
}

// readyToWrite is ready for the methods that write.
func (b *Backend) readyToWrite(ctx context.Context) (*open, *tables, error) {
	if b.options.ReadOnly {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.closed {
			return nil, nil, driver.ErrClosed
		}
		return nil, nil, driver.ErrOpenedReadOnly
	}
	return b.ready(ctx)
}

// connect opens the pools. One call at a time does so; the others wait and use what it opened.
func (b *Backend) connect(ctx context.Context) (*open, error) {
	if err := b.opening.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer b.opening.Release(1)
	b.mu.Lock()
	o := b.open
	b.mu.Unlock()
	if o != nil {
		return o, nil
	}
	err := b.engine.retry(ctx, func() error {
		var err error
		if o, err = b.openDatabase(ctx); err != nil {
			return err
		}
		if err = b.probe(ctx, o); err != nil {
			_ = o.close()
		}
		return err
	})
	if err != nil {
		return nil, b.translate(b.engine.failed(ctx, nil, err))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open, b.limit, b.files = o, 0, o.CheckFiles != nil
	for _, p := range o.pools() {
		b.limit += p.keep.Size
	}
	return o, nil
}

// openDatabase lets the dialect open the database, and create it unless a store was opened in it
// before.
func (b *Backend) openDatabase(ctx context.Context) (*open, error) {
	if b.opened() != nil {
		return b.reopen(ctx)
	}
	pools, err := b.dialect.Open(ctx, !b.options.NoCreate)
	if err != nil {
		return nil, err
	}
	return b.openPools(pools), nil
}

// openPools opens what the dialect has opened.
func (b *Backend) openPools(pools *Pools) *open {
	if b.options.ReadOnly { // whatever the medium
		pools.ReadOnly = driver.ErrOpenedReadOnly
	}
	return b.engine.open(pools)
}

// probe lets the dialect look at the server.
func (b *Backend) probe(ctx context.Context, o *open) error {
	if o.Probe == nil {
		return nil
	}
	c, err := o.writer.get(ctx)
	if err != nil {
		return err
	}
	defer o.writer.put(c)
	within, cancel := context.WithTimeout(ctx, o.Keep.ConnectTimeout)
	defer cancel()
	defer c.watch(within, 0)()
	err = o.Probe(within, c.Conn)
	c.broken = err != nil
	if err != nil && within.Err() != nil && ctx.Err() == nil {
		return &notConnected{err: fmt.Errorf("no answer within %v", o.Keep.ConnectTimeout), late: true}
	}
	return err
}

// Close implements [driver.Backend].
func (b *Backend) Close() error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	b.mu.Unlock()
	return b.disconnect()
}

// Suspend implements [driver.Suspender]. Where the connection is the data (private memory) it does
// nothing.
func (b *Backend) Suspend() error {
	b.mu.Lock()
	o, closed := b.open, b.closed
	b.mu.Unlock()
	switch {
	case closed:
		return driver.ErrClosed
	case o == nil || o.Pinned:
		return nil
	}
	return b.disconnect()
}

// Resume implements [driver.Suspender]: the next call connects to the server again. A file is
// opened at once, since that can tell whether it is still the store that was opened; that another
// process has locked it is left for the next call.
func (b *Backend) Resume() error {
	b.mu.Lock()
	closed, resume := b.closed, b.open == nil && b.files
	b.mu.Unlock()
	switch {
	case closed:
		return driver.ErrClosed
	case !resume || b.opened() == nil:
		return nil
	}
	if _, err := b.connect(context.Background()); err != nil && b.classify(err) != Busy {
		return err
	}
	return nil
}

func (b *Backend) disconnect() error {
	b.calls.Wait()
	b.mu.Lock()
	o := b.open
	b.open = nil
	b.mu.Unlock()
	if o == nil {
		return nil
	}
	return o.close()
}
