package sql

import (
	"context"

	"github.com/brine-go/brine/persistence/driver"
)

// View implements [driver.Backend]: one read transaction on one connection, which it has while fn
// runs. Views inside Views take one each: as many of them as there are connections wait for each
// other until ctx ends.
//
// On a server, a connection that is lost before fn has been given anything is replaced, and fn does
// not notice.
func (b *Backend) View(ctx context.Context, fn func(driver.Reader) error) error {
	return b.reading(ctx, false, fn)
}

// ReadOnce implements [driver.SingleReader]: there is no transaction around the statement, unless
// the connection is shared.
func (b *Backend) ReadOnce(ctx context.Context, fn func(driver.Reader) error) error {
	return b.reading(ctx, true, fn)
}

func (b *Backend) reading(ctx context.Context, bare bool, fn func(driver.Reader) error) error {
	o, ts, err := b.ready(ctx)
	if err != nil {
		return err
	}
	defer b.leave()
	s := &session{b: b, tables: ts, o: o, bare: bare}
	defer s.end(ctx)
	if err := s.read(ctx, func() error { return nil }); err != nil {
		if away := o.checkPlace(false); away != nil {
			err = away
		}
		return b.translate(err)
	}
	if err = fn(&reader{session: s, l: ts.objects}); err != nil && s.c != nil {
		_ = b.engine.failed(ctx, s.c, err)
	}
	// After reading: a connection that was made for this read may lead elsewhere.
	if away := o.checkPlaceNowAndThen(); away != nil {
		return b.translate(away)
	}
	return err
}

// view calls f with a connection in a read transaction; on a server, as often as the connection is
// lost. f must then keep nothing of what it did before.
func (b *Backend) view(ctx context.Context, o *open, f func(c *conn) error) error {
	s := &session{b: b, o: o}
	defer s.end(ctx)
	return s.read(ctx, func() error { return f(s.c) })
}

// A session is the state that one View reads.
type session struct {
	b      *Backend
	tables *tables
	o      *open
	bare   bool  // without a transaction
	begun  bool  // there has been a connection
	c      *conn // nil: not begun, or the connection was lost and no other could be had
	given  bool  // the View's function has got something of what there is to read
	lent   bool  // c is that of a transaction that writes, and stays with it
}

// A reader reads the records of one namespace in a session.
type reader struct {
	*session
	l *layout
}

// read calls f, which reads through s.c.
func (s *session) read(ctx context.Context, f func() error) error { return s.b.engine.read(ctx, s, f) }

// begin takes a connection, if there is none, and begins a read transaction on it.
func (s *session) begin(ctx context.Context) error {
	if s.c != nil {
		return nil
	}
	c, err := s.o.reader.get(ctx)
	if err != nil {
		return err
	}
	s.bare = s.bare && !c.shared
	if !s.bare {
		if err := s.b.engine.begin(ctx, c, s.b.traits.BeginRead); err != nil {
			s.o.reader.put(c)
			return err
		}
	}
	s.c, s.begun = c, true
	return nil
}

// end gives the connection back.
func (s *session) end(ctx context.Context) {
	if s.c == nil || s.lent {
		return
	}
	if !s.bare {
		s.b.rollback(ctx, s.c)
	}
	s.o.reader.put(s.c)
	s.c = nil
}

// whole makes what is read from now on one state: in a transaction, if there is none yet.
func (s *session) whole(ctx context.Context) error {
	if !s.bare {
		return nil
	}
	s.end(ctx)
	s.bare, s.begun = false, false
	return s.read(ctx, func() error { return nil })
}
