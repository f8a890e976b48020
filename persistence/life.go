package persistence

import (
	"context"
	"errors"

	"github.com/brine-go/brine/persistence/driver"
)

// PreFork waits for active calls, then closes every connection and file, so that a child
// process inherits none. Later calls wait for PostFork. Data in private memory stays. PreFork
// does nothing on a store that is paused already or closed. (GC3Pie's Store.pre_fork.)
func (s *Store) PreFork() error {
	s.life.Lock()
	defer s.life.Unlock()
	return s.fail("prefork", "", s.preFork())
}

func (s *Store) preFork() error {
	if !s.gate.pause() {
		return nil
	}
	if b, ok := ability[driver.Suspender](&s.conn); ok {
		return b.Suspend()
	}
	return nil
}

// Ping returns nil if the next call would reach the data, and else the error that it would return:
// the file or directory is gone or is another one, the server does not answer, the table was
// dropped, the database is another one. On a server it is one round trip. While the store is paused
// by PreFork, Ping waits as other calls do.
func (s *Store) Ping(ctx context.Context) error {
	return s.fail("ping", "", s.call(ctx, func(b driver.Backend) error { return driver.Ping(ctx, b) }))
}

// PostFork lets calls continue; connections are opened again at first use. It does nothing on a
// store that is not paused by PreFork.
func (s *Store) PostFork() error {
	s.life.Lock()
	defer s.life.Unlock()
	return s.fail("postfork", "", s.postFork())
}

func (s *Store) postFork() error {
	var err error
	if s.gate.isPaused() {
		if b, ok := ability[driver.Suspender](&s.conn); ok {
			err = b.Resume()
		}
	}
	s.gate.resume()
	return err
}

// Reset closes every connection and file and lets them open again. Active calls finish first
// and later ones wait: none fails because of it. It does nothing on a store that is paused by
// PreFork.
//
// If the file or directory of the store was removed or replaced while the store was open, or the
// database of a server is another one, all calls fail until Reset. The store goes on if what it
// then finds is the same store: the identity kept with the data is compared. Otherwise nothing is
// made or written, and calls fail until the next Reset. Reset itself returns that error if it is
// about a file or directory; a server is asked at the next call. The same is true of PostFork.
func (s *Store) Reset() error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.gate.isPaused() {
		return nil
	}
	return s.fail("reset", "", errors.Join(s.preFork(), s.postFork()))
}

// InvalidateCache forgets every object in the identity map of Options.Identity. Without that
// option it does nothing.
func (s *Store) InvalidateCache() {}

// Close waits for active calls and releases the backend. Later calls, running iterators and
// calls that wait for PostFork return ErrClosed. A second Close does nothing.
func (s *Store) Close() error {
	if !s.gate.close() {
		return nil
	}
	return s.fail("close", "", s.backend.Close())
}
