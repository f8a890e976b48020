package persistence

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"

	"github.com/brine-go/brine/persistence/driver"
)

// view runs fn on one state of the store.
func (s *Store) view(ctx context.Context, fn func(driver.Reader) error) error {
	if err := s.gate.enter(ctx); err != nil {
		return err
	}
	defer s.gate.leave()
	return s.backend.View(ctx, fn)
}

// readOnce is view for a function that reads a single time.
func (s *Store) readOnce(ctx context.Context, fn func(driver.Reader) error) error {
	if err := s.gate.enter(ctx); err != nil {
		return err
	}
	defer s.gate.leave()
	return driver.ReadOnce(ctx, s.backend, fn)
}

// sight is view for a function that may read a single time, which costs less: it begins so unless the last one, as readsOn remembers, read on.
// fn is called a second time, to begin anew, if it reads on after all.
func (s *Store) sight(ctx context.Context, readsOn *atomic.Bool, fn func(driver.Reader) error) error {
	if _, ok := s.backend.(driver.SingleReader); !ok {
		return s.view(ctx, fn)
	}
	var reads readOnce
	begin := s.readOnce
	if readsOn.Load() {
		begin, reads.more = s.view, true
	}
	err := begin(ctx, func(r driver.Reader) error {
		reads.Reader = r
		return fn(&reads)
	})
	again := errors.Is(err, errReadsOn)
	if err == nil || again {
		readsOn.Store(reads.n > 1)
	}
	if !again {
		return err
	}
	return s.view(ctx, fn)
}

// readOnce fails to read a second time, unless more may be read.
type readOnce struct {
	driver.Reader
	n    int
	more bool
}

var errReadsOn = errors.New("there is more to read")

func (r *readOnce) Get(ctx context.Context, ids []ID, parts driver.Parts) ([]driver.Record, error) {
	if r.n++; r.n > 1 && !r.more {
		return nil, errReadsOn
	}
	return r.Reader.Get(ctx, ids, parts)
}

func (r *readOnce) Scan(ctx context.Context, q *driver.Query) iter.Seq2[driver.Record, error] {
	r.n++ // always the first
	return r.Reader.Scan(ctx, q)
}
