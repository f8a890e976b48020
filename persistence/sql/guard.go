package sql

import (
	"context"

	"github.com/jmoiron/sqlx"
)

// The savepoint by which a transaction is known to be still the one that was begun.
const (
	setGuard   = "SAVEPOINT brine_guard"
	checkGuard = "RELEASE SAVEPOINT brine_guard"
)

// guarded calls f, which has a statement prepared and writes nothing. Where a server may roll the
// transaction back meanwhile and not say so (see [ServerTraits.ForgetsAborts]), it makes sure that
// the transaction is still there: what follows would be outside of it, and be committed statement
// by statement.
func (c *conn) guarded(ctx context.Context, f func() error) error {
	if !c.within || !c.traits.ForgetsAborts {
		return f()
	}
	if err := c.send(ctx, setGuard); err != nil {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	return c.send(ctx, checkGuard)
}

// prepare prepares a statement.
func (c *conn) prepare(ctx context.Context, text string) (s *sqlx.Stmt, err error) {
	err = c.guarded(ctx, func() error {
		s, err = c.PreparexContext(ctx, sqlx.Rebind(c.traits.BindType, text)) //nolint:sqlclosecheck // kept
		return err
	})
	if err != nil && s != nil {
		_ = s.Close()
		s = nil
	}
	return s, err
}

// inspect is [Dialect.Inspect], which may have statements prepared.
func (b *Backend) inspect(ctx context.Context, c *conn, table string) (tab *Table, err error) {
	err = c.guarded(ctx, func() error {
		tab, err = b.dialect.Inspect(ctx, c, table)
		return err
	})
	return tab, err
}
