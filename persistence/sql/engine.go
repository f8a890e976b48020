package sql

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/internal/moved"
)

// An engine runs statements on databases of one kind: [embedded] in this process, or those of a
// [server].
type engine interface {
	// open makes pools of the connections to a database that the dialect has opened.
	open(p *Pools) *open
	// apply makes a batch, which is durable when it returns.
	apply(ctx context.Context, o *open, t *batch) error
	// retry calls f again where its error says that nothing has happened and that the next time
	// may succeed, for as long as Backend.retryFor and ctx last.
	retry(ctx context.Context, f func() error) error
	// read calls f, which reads through s.c. f may be called again, and then keeps nothing of what
	// it did before.
	read(ctx context.Context, s *session, f func() error) error
	// scan yields the records that match q: see [driver.Reader]. Its error is none where yield
	// returned false, or else the last thing to yield.
	scan(ctx context.Context, r *reader, q *driver.Query, yield func(driver.Record, error) bool) error
	// begin runs the statements that begin a transaction. Its error is that of the call.
	begin(ctx context.Context, c *conn, texts ...string) error
	// end runs the statement that ends a transaction, even if ctx has ended.
	end(ctx context.Context, c *conn, text string) error
	// failed decides from an error whether c, which may be nil, is used again, and returns the
	// error of the call.
	failed(ctx context.Context, c *conn, err error) error
}

// open is what a Backend has open while it is not suspended.
type open struct {
	*Pools
	writer, reader *pool
	group          *group      // nil: every Apply commits by itself
	watch          moved.Watch // whether the database is still the one that was opened
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

// repeat calls f until its error is not one that may asks for, with pauses in between. ended: ctx
// did not last as long.
func (b *Backend) repeat(ctx context.Context, longest time.Duration, may func(error) bool, f func() error) (ended bool, err error) {
	var deadline time.Time
	pause := 100 * time.Microsecond
	for {
		err := f()
		if err == nil || !may(err) {
			return false, err
		}
		now := time.Now()
		if deadline.IsZero() {
			deadline = now.Add(b.retryFor)
		} else if now.After(deadline) {
			if b.classify(err) == Busy {
				return false, fmt.Errorf("%s: another process kept it locked for %v: %w", b.dialect.Location(), b.retryFor, err)
			}
			return false, fmt.Errorf("no connection that lasted for %v, and nothing was written: %w", b.retryFor, err)
		}
		// Short pauses with a random part: a process that writes without a break must not keep
		// this one out for ever.
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return true, err
		}
		pause = min(2*pause, longest)
	}
}
