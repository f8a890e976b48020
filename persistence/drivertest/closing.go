package drivertest

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// testClosing checks that Close waits for active calls and rejects later ones.
func testClosing(t *testing.T, s *suite) {
	s.forText(t, "calls after close return ErrClosed", testCallsAfterCloseReturnErrClosed)
	s.forText(t, "a backend may be closed without init", testABackendMayBeClosedWithoutInit)
	s.forText(t, "close waits for an active view", testCloseWaitsForAnActiveView)
	s.forText(t, "calls during close succeed or return ErrClosed", testCallsDuringCloseSucceedOrReturnErrClosed)
}

func testCallsAfterCloseReturnErrClosed(t *testing.T, k *kit) {
	st := k.fresh(t)
	st.mustApply(t, create(k.plain(1)))
	for range 2 {
		if err := st.Close(); err != nil {
			t.Fatalf("Close must work, and do nothing when called again: %v", err)
		}
	}
	for name, call := range map[string]func() error{
		"Init":    func() error { _, err := st.Init(t.Context(), st.schema); return err },
		"NextIDs": func() error { _, err := st.NextIDs(t.Context(), 1); return err },
		"View":    func() error { return st.View(t.Context(), func(driver.Reader) error { return nil }) },
		"Ping":    func() error { return driver.Ping(t.Context(), st.Backend) },
		"Apply":   func() error { _, err := st.Apply(t.Context(), []driver.Mutation{put(k.plain(1))}); return err },
	} {
		if err := call(); !errors.Is(err, driver.ErrClosed) {
			t.Errorf("%s after Close must be ErrClosed, not %v", name, err)
		}
	}
}

func testABackendMayBeClosedWithoutInit(t *testing.T, k *kit) {
	b, err := openRaw(t.Context(), k.URL(t), driver.OpenOptions{})
	if err != nil {
		t.Fatalf("opening must work: %v", err)
	}
	for range 2 {
		if err := b.Close(); err != nil {
			t.Fatalf("Close must work before Init: %v", err)
		}
	}
	if _, err := b.Init(t.Context(), k.schema()); !errors.Is(err, driver.ErrClosed) {
		t.Errorf("Init after Close must be ErrClosed, not %v", err)
	}
}

func testCloseWaitsForAnActiveView(t *testing.T, k *kit) {
	st := k.fresh(t)
	st.mustApply(t, create(k.plain(1)))
	var left atomic.Bool
	closed := make(chan error, 1)
	err := st.View(t.Context(), func(r driver.Reader) error {
		started := make(chan struct{})
		go func() {
			close(started)
			err := st.Close()
			if !left.Load() {
				err = errors.Join(err, errors.New("Close must wait for an active View"))
			}
			closed <- err
		}()
		<-started
		time.Sleep(30 * time.Millisecond) // time to go wrong
		recs, err := r.Get(t.Context(), k.ids(1, 2), everything)
		if err != nil || len(recs) != 1 {
			t.Errorf("an active View must go on while Close waits, and find its record: %v, %v", recs, err)
		}
		left.Store(true)
		return nil
	})
	if err != nil {
		t.Errorf("an active View must succeed while Close waits: %v", err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

func testCallsDuringCloseSucceedOrReturnErrClosed(t *testing.T, k *kit) {
	for range 5 {
		st := k.fresh(t)
		var acknowledged atomic.Int64
		begun := make(chan struct{}, 5)
		parallel(t, 5, func(g int) error {
			if g == 4 {
				<-begun
				return st.Close()
			}
			defer func() { begun <- struct{}{} }() // Close is called in any case
			for n := g; ; n += 4 {
				if n == 8 {
					begun <- struct{}{}
				}
				_, err := st.Apply(bg, []driver.Mutation{create(k.plain(n))})
				if err == nil {
					err = st.View(bg, func(r driver.Reader) error { _, err := r.Count(bg, &driver.Query{}); return err })
					acknowledged.Add(1)
				}
				if errors.Is(err, driver.ErrClosed) {
					return nil
				}
				if err != nil {
					return err
				}
			}
		})
		if k.Private {
			continue
		}
		if n := len(k.open(t, st.url).all(t)); int64(n) != acknowledged.Load() {
			t.Errorf("%d Applies succeeded before Close, and that many records must be there, not %d", acknowledged.Load(), n)
		}
	}
}
