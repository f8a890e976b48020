package sql

import (
	"context"
	stdsql "database/sql"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/internal/moved"
)

// compareEvery is the time after which the identity is read once more through a connection that
// stays open: a database that is dropped and made anew does not end the connections everywhere.
const compareEvery = 30 * time.Second

// checkPlace returns an error if the database is no longer where it was opened; written says that
// something was committed.
func (o *open) checkPlace(written bool) error {
	if err := o.watch.Err(); err != nil || o.CheckFiles == nil {
		return err
	}
	if err := o.CheckFiles(written); err != nil {
		return o.watch.Set(err)
	}
	return nil
}

// checkPlaceNowAndThen is checkPlace after a read. It returns nil if the last check was a moment
// ago.
func (o *open) checkPlaceNowAndThen() error {
	if o.CheckFiles != nil && o.watch.Err() == nil && !o.watch.Due() {
		return nil
	}
	return o.checkPlace(false)
}

// committed returns the error of a call that wrote and ended with err.
func (b *Backend) committed(o *open, err error) error {
	if away := o.checkPlace(true); away != nil {
		if err = moved.Outcome(err, away); errors.Is(err, driver.ErrUncertain) {
			return fmt.Errorf("%s: %w", b.dialect.Location(), err)
		}
	}
	return err
}

// opened returns the table of the objects as it was found when the store was opened; nil: it has
// not been yet, or no identity is kept with it.
func (b *Backend) opened() *layout {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l := b.tables.objects; l != nil && l.counter {
		return l
	}
	return nil
}

// compare returns an error if the database that c leads to is not the one that was opened.
func (b *Backend) compare(ctx context.Context, o *open, c *conn) error {
	l := b.opened()
	if l == nil {
		return nil
	}
	c.compared = time.Now()
	if !c.shared {
		return b.identify(ctx, o, c, l, "")
	}
	// Outside a transaction another client's search_path counts.
	if err := b.engine.begin(ctx, c, b.traits.BeginRead); err != nil {
		return err
	}
	err := b.identify(ctx, o, c, l, "")
	b.rollback(ctx, c)
	return err
}

// identify is compare with a condition that the statement has besides. The statement is not
// prepared, which would be a round trip of its own; the name is a valid one, so it needs no
// escapes.
func (b *Backend) identify(ctx context.Context, o *open, c *conn, l *layout, and string) error {
	var identity string
	err := c.QueryRowContext(ctx, "SELECT identity FROM "+storesTable+" WHERE name = '"+l.name+"'"+and).Scan(&identity)
	switch {
	case err == nil && identity == l.identity:
		return nil
	case err == nil:
		return o.watch.Set(b.otherStore(l, identity))
	case errors.Is(err, stdsql.ErrNoRows):
		return o.watch.Set(b.named(noStore(l)))
	}
	if class := b.classify(err); class == Lost || class == Gone || class == Busy || ctx.Err() != nil {
		return err
	}
	if c.shared { // the error has ended the transaction
		b.rollback(ctx, c)
		if b.engine.begin(ctx, c, b.traits.BeginRead) != nil {
			return err
		}
	}
	if tab, failed := b.dialect.Inspect(ctx, c, storesTable); failed == nil && tab == nil {
		return o.watch.Set(b.named(noStore(l)))
	}
	return err
}

// otherStore is the error of a table that has another identity than l.
func (b *Backend) otherStore(l *layout, identity string) error {
	return b.named(fmt.Errorf("another store is in table %q now, whose identity is %s: the one that was opened has %s. Nothing was created or written: put that one back and call Reset, or open this one with MakeStore",
		l.name, identity, l.identity))
}

func noStore(l *layout) error {
	return fmt.Errorf("the store that was opened, with the identity %s in table %q, is not here any more: it was dropped, or the database is another one. Nothing was created or written: put it back and call Reset, or make a new one with MakeStore",
		l.identity, l.name)
}

// reopen opens the database once more for a store that was opened before. It makes nothing: what is
// found must be the same store.
func (b *Backend) reopen(ctx context.Context) (*open, error) {
	pools, err := b.dialect.Open(ctx, false)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = moved.NewError(b.named(fmt.Errorf("the store that was opened is not here any more: put it back and call Reset: %w", err)))
		}
		return nil, err
	}
	o := b.openPools(pools)
	if o.CheckFiles == nil && !o.Preview {
		return o, nil // on a server each connection is compared when it is made
	}
	err = b.view(ctx, o, func(c *conn) error { return b.compare(ctx, o, c) })
	if err == nil && o.Preview && b.options.ReadOnly {
		err = moved.NewError(b.named(errors.New("another copy of the store is here now, beside the log of the one that was opened, which a store for reading only does not put away: open it with one that may write")))
	}
	if err == nil && (o.Preview || o.Adopt != nil && !b.options.NoCreate && o.ReadOnly == nil) {
		err = o.Adopt(ctx)
	}
	if err != nil || o.Preview {
		_ = o.close()
	}
	switch {
	case err != nil:
		return nil, err
	case o.Preview:
		return b.reopen(ctx)
	}
	return o, nil
}
