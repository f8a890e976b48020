package sql

import (
	"context"
	stdsql "database/sql"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// How often it is looked whether a database is still the one that was opened.
const (
	// placeEvery is the least time between two looks at the file after reads. A look takes 1.3 to 3
	// µs, so that reads that follow each other as fast as they can spend 3 % on it at most.
	placeEvery = 100 * time.Microsecond
	// compareEvery is the time after which the identity is read once more through a connection that
	// stays open: a database that is dropped and made anew does not end the connections everywhere.
	compareEvery = 30 * time.Second
)

// A movedError says that a database is no longer where it was opened, or is another one. All calls
// return it until the database is opened anew.
type movedError struct{ err error }

func (e *movedError) Error() string { return e.err.Error() }
func (e *movedError) Unwrap() error { return e.err }

// move remembers that the database is no longer the one that was opened, and returns the error of
// all calls from now on.
func (o *open) move(err error) error {
	o.moved.CompareAndSwap(nil, &movedError{err})
	return o.moved.Load()
}

// stays returns an error if the database is no longer where it was opened; written says that
// something was committed.
func (o *open) stays(written bool) error {
	if moved := o.moved.Load(); moved != nil {
		return moved
	}
	if o.Place == nil {
		return nil
	}
	if err := o.Place(written); err != nil {
		return o.move(err)
	}
	return nil
}

// staysNow is stays after a read. It looks only if the last look was some time ago.
func (o *open) staysNow() error {
	if o.Place != nil && o.moved.Load() == nil {
		now, last := int64(time.Since(o.since)), o.looked.Load()
		if now-last < int64(placeEvery) || !o.looked.CompareAndSwap(last, now) {
			return nil
		}
	}
	return o.stays(false)
}

// committed returns the error of a call that wrote and ended with err. What went into a file that
// nobody finds is committed, and may be lost all the same.
func (b *Backend) committed(o *open, err error) error {
	moved := o.stays(true)
	switch {
	case moved == nil:
		return err
	case err == nil || errors.Is(err, driver.ErrUncertain):
		return fmt.Errorf("%s: %w: %w", b.dialect.Location(), driver.ErrUncertain, moved)
	}
	return moved
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
		return o.move(b.otherStore(l, identity))
	case errors.Is(err, stdsql.ErrNoRows):
		return o.move(b.named(noStore(l)))
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
		return o.move(b.named(noStore(l)))
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
			err = &movedError{b.named(fmt.Errorf("the store that was opened is not here any more: put it back and call Reset: %w", err))}
		}
		return nil, err
	}
	o := b.openPools(pools)
	if b.engine.remote() {
		return o, nil // each connection is compared when it is made
	}
	err = b.view(ctx, o, func(c *conn) error { return b.compare(ctx, o, c) })
	if err == nil && o.Preview && b.options.ReadOnly {
		err = &movedError{b.named(errors.New("another copy of the store is here now, beside the log of the one that was opened, which a store for reading only does not put away: open it with one that may write"))}
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

// Ping implements [driver.Pinger]: one statement that finds the table and the identity kept with
// it.
func (b *Backend) Ping(ctx context.Context) error {
	o, ts, err := b.ready(ctx)
	if err != nil {
		return err
	}
	defer b.leave()
	l := ts.objects
	s := &session{b: b, tables: ts, o: o, bare: true}
	defer s.end(ctx)
	err = s.read(ctx, func() error {
		defer s.c.attend(ctx)()
		s.c.begin()
		nothing := "(SELECT count(*) FROM " + l.table + " WHERE 1 = 0) = 0"
		if l.counter {
			return b.identify(ctx, o, s.c, l, " AND "+nothing)
		}
		var yes any
		return s.c.QueryRowContext(ctx, "SELECT "+nothing).Scan(&yes)
	})
	if moved := o.stays(true); moved != nil {
		err = moved
	}
	return b.translate(err)
}
