package sql

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// commitGrace is how long a commit may go on after the end of its caller's context.
const commitGrace = 5 * time.Second

// write calls f with a connection in a transaction, and commits. It does all of it again where
// another process was in the way, and where a server's connection was lost before the commit. f
// must then keep nothing of what it did before.
func (b *Backend) write(ctx context.Context, o *open, f func(c *conn) error) error {
	return b.writeAfter(ctx, o, b.traits.BeginWrite, f)
}

// writeAfter is write in a transaction that begins with some statements.
func (b *Backend) writeAfter(ctx context.Context, o *open, begin []string, f func(c *conn) error) error {
	return b.withWriter(ctx, o, func(c *conn) error { return b.transact(ctx, c, begin, f) })
}

// withWriter calls f with a connection for writing, and again where its error says that nothing was
// written.
func (b *Backend) withWriter(ctx context.Context, o *open, f func(c *conn) error) error {
	if o.ReadOnly != nil {
		return o.ReadOnly
	}
	return b.committed(o, b.engine.retry(ctx, func() error {
		c, err := o.writer.get(ctx)
		if err != nil {
			return err
		}
		defer o.writer.put(c)
		if away := o.watch.Err(); away != nil {
			return away
		}
		return f(c)
	}))
}

// transact calls f in a transaction that begins with some statements, and commits.
func (b *Backend) transact(ctx context.Context, c *conn, begin []string, f func(c *conn) error) error {
	if err := b.engine.begin(ctx, c, begin...); err != nil {
		return err
	}
	done := false
	defer func() {
		if !done { // f failed, or panicked
			b.rollback(ctx, c)
		}
	}()
	if err := f(c); err != nil {
		return b.engine.failed(ctx, c, err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	done = true
	err := b.engine.end(ctx, c, "COMMIT")
	if err == nil {
		return nil
	}
	err = b.committing(context.WithoutCancel(ctx), c, err)
	b.rollback(ctx, c)
	return err
}

// autocommit calls f with a connection for one statement, which commits by itself unless the
// connection is shared. It calls f again where write would.
func (b *Backend) autocommit(ctx context.Context, o *open, f func(ctx context.Context, c *conn) error) error {
	return b.withWriter(ctx, o, func(c *conn) error {
		err := ctx.Err()
		if err != nil {
			return err
		}
		if c.shared {
			return b.transact(ctx, c, b.traits.BeginWrite, func(c *conn) error { return f(ctx, c) })
		}
		// The caller's context counts no more, unless the server can be asked to cancel the
		// statement and says whether it did.
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

// committing returns the error of a call whose statement was to commit and failed.
func (b *Backend) committing(ctx context.Context, c *conn, err error) error {
	failed := b.engine.failed(ctx, c, err)
	if b.classify(err) != Lost || c.unsent() {
		return failed
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
	if err := b.engine.end(ctx, c, "ROLLBACK"); err != nil {
		c.broken = !c.pinned
	}
}
