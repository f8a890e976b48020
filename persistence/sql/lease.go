package sql

import (
	"context"
	"errors"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// Extend implements [driver.Claimer]. Where the answer of the database is lost it asks once more:
// extending it twice does no harm.
func (b *Backend) Extend(ctx context.Context, id driver.ID, token int64, lease time.Duration) (time.Time, error) {
	o, ts, err := b.readyToWrite(ctx)
	if err != nil {
		return time.Time{}, err
	}
	defer b.leave()
	l := ts.objects
	if err := l.claimable(); err != nil {
		return time.Time{}, err
	}
	var until int64
	extended := false
	if key, ok := l.key(id); ok {
		for range 3 {
			err = b.autocommit(ctx, o, func(ctx context.Context, c *conn) error {
				until, extended, err = l.extend(ctx, c, b.now(), lease, key, token)
				return err
			})
			if !errors.Is(err, driver.ErrUncertain) {
				break
			}
		}
	}
	switch {
	case err != nil:
		return time.Time{}, b.translate(err)
	case !extended:
		return time.Time{}, &driver.RecordError{ID: id, Err: driver.ErrClaimLost}
	}
	return time.UnixMicro(until).UTC(), nil
}

// extend makes a claim last until lease after now, and returns when that is.
func (l *layout) extend(ctx context.Context, c *conn, now clause, lease time.Duration, key any, token int64) (until int64, extended bool, err error) {
	end := now
	end.add(" + ?", lease.Microseconds())
	if !l.traits.Returning {
		end.text = l.traits.express(AsLastInsertID, end.text)
	}
	text := "UPDATE " + l.table + " SET " + l.claimUntil.quoted + " = " + end.text + " WHERE " + l.id.expr + " = ? AND " + l.claimToken.quoted + " = ?"
	return c.changing(ctx, text, append(end.args, key, token), l.claimUntil)
}

// ReleaseExpired implements [driver.Claimer]. Claims that someone is just about to extend, or to
// write, may stay.
func (b *Backend) ReleaseExpired(ctx context.Context) (int64, error) {
	o, ts, err := b.readyToWrite(ctx)
	if err != nil {
		return 0, err
	}
	defer b.leave()
	l := ts.objects
	if err := l.claimable(); err != nil {
		return 0, err
	}
	var n int64
	err = b.autocommit(ctx, o, func(ctx context.Context, c *conn) error {
		lapsed := clause{text: l.claimUntil.quoted + " <= "}
		now := b.now()
		lapsed.add(now.text, now.args...)
		text := "UPDATE " + l.table + " SET " + l.unclaim()
		if t := b.traits; t.SkipLocked != "" && t.LockRows == nil {
			text = "WITH c AS MATERIALIZED (SELECT " + l.id.quoted + " AS " + claimedID + " FROM " + l.table + lapsed.conjunction() + " " + t.SkipLocked + ") " +
				text + " FROM c WHERE " + l.table + "." + l.id.quoted + " = " + claimedID
		} else {
			text += lapsed.conjunction()
		}
		var err error
		n, err = c.exec(ctx, text, lapsed.args...)
		return err
	})
	return n, b.translate(err)
}

// unclaim returns the assignments that end a claim.
func (l *layout) unclaim() string {
	return l.claimOwner.quoted + " = NULL, " + l.claimUntil.quoted + " = NULL, " + l.claimToken.quoted + " = NULL"
}
