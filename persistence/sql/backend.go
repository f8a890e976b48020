package sql

import (
	"context"
	stdsql "database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
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

var errBadConn = sqldriver.ErrBadConn

// A Backend keeps records in a SQL database, those of each namespace in a table of their own.
//
// View and Apply hold one connection each, and where there is one for
// everything (private memory) an Apply inside a View's function waits for ever: until ctx ends.
type Backend struct {
	dialect  Dialect
	traits   *Traits
	options  driver.OpenOptions
	patience time.Duration
	counters *counters

	calls   sync.WaitGroup      // calls that have begun and not ended
	opening *semaphore.Weighted // of weight 1: held by the call that opens the pools

	mu     sync.Mutex // guards what follows
	closed bool
	open   *open   // nil: not open, or suspended
	tables *tables // never nil
	limit  int     // connections at once, of the pools that are or were open

	numbers struct {
		sync.Mutex
		given int64 // the highest number given out without a counter
	}
}

// open is what a Backend holds while it is not suspended.
type open struct {
	*Pools
	writer, reader *pool
	group          *group // nil: every Apply commits by itself
}

// Open returns the Backend of the table o.Table. It does no I/O: the database is opened by Init. Where another
// process is in the way of a write, the write is tried again for the time of patience.
func Open(d Dialect, o driver.OpenOptions, patience time.Duration) *Backend {
	return &Backend{
		dialect: d, traits: d.Traits(), options: o, patience: patience,
		counters: &counters{}, opening: semaphore.NewWeighted(1), tables: &tables{},
	}
}

// enter begins a call: it opens the database if need be, and says no once the backend is closed. leave ends the call.
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
	if o != nil {
		return o, ts, nil
	}
	o, err := b.connect(ctx)
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
	err := b.retry(ctx, func() error {
		pools, err := b.dialect.Open(ctx, !b.options.NoCreate)
		if err != nil {
			return err
		}
		o = b.lend(pools)
		if err = b.probe(ctx, o); err != nil {
			_ = o.close()
		}
		return err
	})
	if err != nil {
		return nil, b.translate(b.ended(ctx, err))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open, b.limit = o, 0
	for _, p := range o.pools() {
		b.limit += cap(p.slots)
	}
	return o, nil
}

// lend makes the engine's pools of a dialect's.
func (b *Backend) lend(pools *Pools) *open {
	o := &open{Pools: pools}
	keep := pools.Keep
	if b.traits.Embedded {
		keep = unlimited(pools.Readers)
	}
	o.reader = newPool(pools.Reader, pools, keep, b.traits, b.counters)
	if o.writer = o.reader; pools.Reader != pools.Writer {
		o.writer = newPool(pools.Writer, pools, unlimited(1), b.traits, b.counters)
		if b.traits.Embedded {
			o.group = newGroup(b)
		}
	}
	return o
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

// pools returns the writer and the reader, or the one that is both.
func (o *open) pools() []*pool {
	if o.reader == o.writer {
		return []*pool{o.writer}
	}
	return []*pool{o.reader, o.writer}
}

func (o *open) close() error {
	var err error
	if o.reader != o.writer {
		err = o.reader.close()
	}
	// The writer goes last: in SQLite the last connection tidies up, and a reader cannot.
	return errors.Join(err, o.writer.close())
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

// Suspend implements [driver.Suspender]. Where the connection is the data (private memory) it does nothing.
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

// Resume implements [driver.Suspender]: the next call opens the database again.
func (b *Backend) Resume() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return driver.ErrClosed
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

// short returns the context for a short statement of a call with ctx.
func (b *Backend) short(ctx context.Context) context.Context { return b.traits.short(ctx) }

func (t *Traits) short(ctx context.Context) context.Context {
	if t.Embedded {
		return context.WithoutCancel(ctx)
	}
	return ctx
}

// How long pauses between tries become.
const (
	maxPauseEmbedded = 4 * time.Millisecond
	maxPauseServer   = 64 * time.Millisecond
)

// commitGrace is how long a commit may go on behind the end of its caller's context.
const commitGrace = 5 * time.Second

// classify is Classify, and knows the errors of database/sql.
func (b *Backend) classify(err error) Class {
	var nc *notConnected
	if errors.As(err, &nc) && nc.late {
		return Gone
	}
	if errors.Is(err, stdsql.ErrConnDone) { // what a connection says that was found to be bad
		err = errBadConn
	}
	return b.dialect.Classify(err)
}

// mayRetry reports whether what failed with err has surely not happened and may succeed the next time.
func (b *Backend) mayRetry(err error) bool {
	switch b.classify(err) {
	case Busy:
		return true
	case Lost, Gone:
		// A server that could never be reached is more likely misnamed than on its way.
		return !b.traits.Embedded && !errors.Is(err, driver.ErrUncertain) && b.counters.opened.Load() > 0
	}
	return false
}

// again is retry on servers; f is called once where there is none.
func (b *Backend) again(ctx context.Context, f func() error) error {
	if b.traits.Embedded {
		return f()
	}
	return b.retry(ctx, f)
}

// retry runs f until it does not fail any more in a way that mayRetry, for as long as the backend's patience and ctx last.
// What f does when a connection is lost must be ErrUncertain, or surely undone.
func (b *Backend) retry(ctx context.Context, f func() error) error {
	var deadline time.Time
	pause, longest := 100*time.Microsecond, maxPauseServer
	if b.traits.Embedded {
		longest = maxPauseEmbedded
	}
	for {
		err := f()
		if err == nil || !b.mayRetry(err) {
			return err
		}
		now := time.Now()
		if deadline.IsZero() {
			deadline = now.Add(b.patience)
		} else if now.After(deadline) {
			if b.classify(err) == Busy {
				return fmt.Errorf("%s: another process kept it locked for %v: %w", b.dialect.Location(), b.patience, err)
			}
			return fmt.Errorf("no connection that lasted for %v, and nothing was written: %w", b.patience, err)
		}
		// Short pauses with a random part: who waits must not lose for ever against a
		// process that writes without a break.
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			if b.traits.Embedded {
				return ctx.Err()
			}
			return fmt.Errorf("%w, and nothing was written: %w", ctx.Err(), err)
		}
		pause = min(2*pause, longest)
	}
}

// ended makes an error of the end of ctx, where that is why a statement on a server failed.
func (b *Backend) ended(ctx context.Context, err error) error {
	if err == nil || b.traits.Embedded || ctx.Err() == nil || errors.Is(err, errFailed) || errors.Is(err, driver.ErrUncertain) {
		return err
	}
	if _, about := errors.AsType[*driver.RecordError](err); about {
		return err
	}
	return fmt.Errorf("%s: %w", b.dialect.Location(), ctx.Err())
}

// translate adds the sentinels to what the database says, and the database's name to what does not hold it.
func (b *Backend) translate(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, driver.ErrUncertain) {
		return err // and names the database already
	}
	switch b.classify(err) {
	case ReadOnly:
		if !errors.Is(err, driver.ErrReadOnly) {
			return fmt.Errorf("%s: %w: %w", b.dialect.Location(), driver.ErrReadOnly, err)
		}
	case TooLarge:
		if !errors.Is(err, driver.ErrTooLarge) {
			return fmt.Errorf("%w: %w", driver.ErrTooLarge, err)
		}
	case Failing, Lost, Gone:
		return b.named(err)
	}
	return err
}

// named puts the database's name before an error that lacks it.
func (b *Backend) named(err error) error {
	if name := b.dialect.Location(); !strings.HasPrefix(err.Error(), name) {
		return fmt.Errorf("%s: %w", name, err)
	}
	return err
}

// write calls f with the writer connection in a transaction, and commits. It tries all of it again where another
// process was in the way, and where a server's connection was lost before the commit. f must not keep anything of a
// try that it gave up.
func (b *Backend) write(ctx context.Context, o *open, f func(c *conn) error) error {
	if o.ReadOnly != nil {
		return o.ReadOnly
	}
	return b.retry(ctx, func() error {
		c, err := o.writer.get(ctx)
		if err != nil {
			return err
		}
		defer o.writer.put(c)
		for _, text := range [...]string{b.traits.BeforeWrite, b.traits.BeginWrite} {
			if text == "" {
				continue
			}
			if err := c.control(b.short(ctx), text); err != nil {
				b.inspect(c, err)
				c.broken = c.broken || !b.traits.Embedded // it is not known to be out of a transaction
				return b.ended(ctx, err)
			}
		}
		done := false
		defer func() {
			if !done { // f failed, or panicked
				b.rollback(ctx, c)
			}
		}()
		if err := f(c); err != nil {
			b.inspect(c, err)
			return b.ended(ctx, err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		done = true
		stop := c.watch(ctx, commitGrace)
		err = c.control(context.WithoutCancel(ctx), "COMMIT")
		stop()
		if err == nil {
			return nil
		}
		err = b.committing(context.WithoutCancel(ctx), c, err)
		b.rollback(ctx, c)
		return err
	})
}

// autocommit calls f with the writer connection for one statement, which commits by itself. It tries that again where write
// would. f must not keep anything of a try that it gave up.
func (b *Backend) autocommit(ctx context.Context, o *open, f func(ctx context.Context, c *conn) error) error {
	if o.ReadOnly != nil {
		return o.ReadOnly
	}
	return b.retry(ctx, func() error {
		c, err := o.writer.get(ctx)
		if err != nil {
			return err
		}
		defer o.writer.put(c)
		if err := ctx.Err(); err != nil {
			return err
		}
		// The caller's context counts no more, unless the server can be asked to leave the statement and says what
		// became of it.
		if b.traits.CancelTells {
			c.grace = commitGrace
			err = f(ctx, c)
			c.grace = 0
		} else {
			stop := c.watch(ctx, commitGrace)
			err = f(context.WithoutCancel(ctx), c)
			stop()
		}
		if err == nil || errors.Is(err, errFailed) {
			return err
		}
		return b.committing(ctx, c, err)
	})
}

// committing says what became of a statement that commits, of which all that is known is the error.
func (b *Backend) committing(ctx context.Context, c *conn, err error) error {
	b.inspect(c, err)
	if b.classify(err) != Lost {
		return b.ended(ctx, err)
	}
	if !b.traits.Embedded && c.unsent() {
		return b.ended(ctx, err)
	}
	return fmt.Errorf("%s: %w: %w", b.dialect.Location(), driver.ErrUncertain, err)
}

// rollback leaves a transaction. A connection that cannot is not used again, which ends it too.
func (b *Backend) rollback(ctx context.Context, c *conn) {
	if c.broken {
		return
	}
	// Some failures end the transaction by themselves; ROLLBACK then fails, and closing
	// the connection is the only answer that is right in either case.
	defer c.watch(ctx, commitGrace)()
	if err := c.control(context.WithoutCancel(ctx), "ROLLBACK"); err != nil {
		c.broken = !c.pinned
	}
}

// inspect marks a connection that an error has made useless.
func (b *Backend) inspect(c *conn, err error) {
	class := b.classify(err)
	if class == Lost || class == Gone || errors.Is(err, errBadConn) {
		c.broken = !c.pinned
		if !b.traits.Embedded {
			c.pool.flush()
		}
	}
	if class == TooLarge && !b.traits.Embedded {
		c.broken = true // some servers hang up then, and some drivers have sent half of the statement
	}
}
