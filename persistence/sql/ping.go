package sql

import (
	"context"

	"github.com/brine-go/brine/persistence/driver"
)

var _ driver.Pinger = (*Backend)(nil)

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
	if away := o.checkPlace(true); away != nil {
		err = away
	}
	return b.translate(err)
}
