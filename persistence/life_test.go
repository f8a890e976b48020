package persistence_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/mem"
)

func TestNoCallFailsWhileAnotherGoroutineResets(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		rounds := 20
		if testing.Short() {
			rounds = 5
		}
		var wg sync.WaitGroup
		var busy atomic.Int32
		for g := range 32 {
			busy.Add(1)
			wg.Go(func() {
				defer busy.Add(-1)
				task := &Task{Name: fmt.Sprint(g), Deps: []*Task{{}}}
				for i := range rounds {
					task.Prio = i
					id, err := s.Save(ctx, task)
					if err != nil {
						t.Errorf("save: %v", err)
						return
					}
					got, err := persistence.Load[Task](ctx, s, id)
					if err != nil || got.Prio != i {
						t.Errorf("load: %+v, %v", got, err)
						return
					}
				}
			})
		}
		resets := 0
		for ; busy.Load() > 0; resets++ {
			if err := s.Reset(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		wg.Wait()
		if resets == 0 {
			t.Error("nothing was reset")
		}
		if n := must[int64](t)(s.Count(ctx, nil)); n != 64 {
			t.Errorf("%d records, want 64", n)
		}
	})
}

func TestCallsWaitBetweenPreForkAndPostFork(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		id := must[persistence.ID](t)(s.Save(ctx, "v"))
		for range 2 { // the second time does nothing
			if err := s.PreFork(); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Reset(); err != nil { // does nothing
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		_, err := s.Load(short, id)
		wantIs(t, err, context.DeadlineExceeded)
		done := make(chan error)
		go func() {
			_, err := s.Load(ctx, id)
			done <- err
		}()
		select {
		case err := <-done:
			t.Fatalf("a call went through while the store was held: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
		for range 2 {
			if err := s.PostFork(); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

func TestPingWaitsForPostForkAndFailsAfterClose(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s := open(t, url, nil)
		if err := errors.Join(s.Ping(t.Context()), s.PreFork()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		wantIs(t, s.Ping(ctx), context.DeadlineExceeded, "ping", "PostFork")
		if err := errors.Join(s.PostFork(), s.Ping(t.Context()), s.Reset(), s.Ping(t.Context()), s.Close()); err != nil {
			t.Error(err)
		}
		wantIs(t, s.Ping(t.Context()), persistence.ErrClosed)
	})
}

func TestCloseEndsLaterCallsAndRunningIterators(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		var objs []any
		for i := range 1000 {
			objs = append(objs, i)
		}
		must[[]persistence.ID](t)(s.SaveAll(ctx, objs...))
		var last error
		n := 0
		for _, err := range s.List(ctx, nil) {
			if last = err; err != nil {
				break
			}
			if n++; n == 1 {
				for range 2 {
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		wantIs(t, last, persistence.ErrClosed)
		if n == 1000 {
			t.Error("the iterator went on to the end")
		}
		_, err := s.Save(ctx, 1)
		wantIs(t, err, persistence.ErrClosed)
		_, err = s.Count(ctx, nil)
		wantIs(t, err, persistence.ErrClosed)
		wantIs(t, s.Reserve(ctx, 5), persistence.ErrClosed)
		if err := errors.Join(s.PreFork(), s.PostFork(), s.Reset()); err != nil {
			t.Error(err)
		}
	})
}

func TestCloseEndsCallsThatPreForkHolds(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		if err := s.PreFork(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() {
			_, err := s.Save(ctx, 1)
			done <- err
		}()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		wantIs(t, <-done, persistence.ErrClosed)
	})
}

func TestOverlappingSavesOfOneGraphNeverConflict(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		shared := make([]*Task, 50)
		for i := range shared {
			shared[i] = &Task{Name: fmt.Sprint(i)}
		}
		for i, task := range shared {
			task.Deps = []*Task{shared[(i+1)%len(shared)], shared[(i*7)%len(shared)]}
		}
		var wg sync.WaitGroup
		roots := make([]*Task, 16)
		for g := range roots {
			roots[g] = &Task{Name: "root", Deps: []*Task{shared[g]}}
			wg.Go(func() {
				for i := range 10 {
					var err error
					roots[g].Prio = i
					if g%2 == 0 {
						_, err = s.Save(ctx, roots[g])
					} else {
						_, err = s.SaveOnly(ctx, roots[g], shared[(g*3)%50])
					}
					if err != nil {
						t.Errorf("save: %v", err)
						return
					}
				}
			})
		}
		wg.Wait()
		if n := must[int64](t)(s.Count(ctx, nil)); n != 66 {
			t.Fatalf("%d records, want 66: an object got two IDs or none", n)
		}
		for _, task := range shared {
			if info := must[persistence.Info](t)(s.Stat(ctx, task.PersistentID())); info.Revision != 1 {
				t.Errorf("%s was written %d times", task.PersistentID(), info.Revision)
			}
		}
		for _, root := range roots {
			if got := must[*Task](t)(persistence.Load[Task](ctx, s, root.PersistentID())); got.Prio != 9 {
				t.Errorf("got %+v", got)
			}
		}
	})
}

// The saves begin at different objects of a ring and reach the same changed objects in
// different orders.
func TestOverlappingSavesDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	s, ctx := open(t, "mem:", nil), t.Context()
	ring := make([]*Task, 200)
	for i := range ring {
		ring[i] = &Task{Name: fmt.Sprint(i)}
	}
	for i, task := range ring {
		task.Deps = []*Task{ring[(i+1)%len(ring)]}
	}
	rounds := 100
	if long() {
		rounds = 300
	}
	for round := range rounds {
		for _, task := range ring {
			task.Prio = round
		}
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				if _, err := s.Save(ctx, ring[g*len(ring)/4]); err != nil {
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		done := make(chan struct{})
		go func() { wg.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(time.Minute):
			t.Fatalf("round %d: the saves wait for each other", round)
		}
	}
	if info := must[persistence.Info](t)(s.Stat(ctx, ring[7].PersistentID())); info.Revision != int64(rounds) {
		t.Errorf("%d changes made %d writes", rounds, info.Revision)
	}
}

// unsure is a backend with one Apply that ends without an answer, whether or not the mutations
// were made.
type unsure struct {
	driver.Backend
	armed, made bool
}

func (u *unsure) Apply(ctx context.Context, ms []driver.Mutation) ([]int64, error) {
	if !u.armed {
		return u.Backend.Apply(ctx, ms)
	}
	u.armed = false
	if u.made {
		if _, err := u.Backend.Apply(ctx, ms); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("connection died: %w", driver.ErrUncertain)
}

func TestSaveAfterAnUncertainOneFindsOutHowItEnded(t *testing.T) {
	t.Parallel()
	for _, made := range []bool{true, false} {
		t.Run(fmt.Sprintf("written %v", made), func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			b := &unsure{Backend: mem.New(driver.OpenOptions{Table: "store", Logger: slog.New(slog.DiscardHandler)}), made: made}
			s, err := persistence.New(ctx, b, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			a := &Task{Name: "a", Deps: []*Task{{Name: "b"}}}
			b.armed = true
			_, err = s.Save(ctx, a)
			wantIs(t, err, persistence.ErrUncertain)
			if a.PersistentID() != "" {
				t.Error("the object took an ID from a save that may have failed")
			}
			must[persistence.ID](t)(s.Save(ctx, a))
			if n := must[int64](t)(s.Count(ctx, nil)); n != 2 {
				t.Fatalf("%d records, want 2", n)
			}
			rev := must[persistence.Info](t)(s.Stat(ctx, a.PersistentID())).Revision
			if rev != 1 {
				t.Errorf("revision %d after a create", rev)
			}
			a.Name, b.armed = "a2", true
			_, err = s.Save(ctx, a)
			wantIs(t, err, persistence.ErrUncertain)
			a.Prio = 7
			must[persistence.ID](t)(s.Save(ctx, a))
			if got := must[*Task](t)(persistence.Load[Task](ctx, s, a.PersistentID())); got.Name != "a2" || got.Prio != 7 {
				t.Errorf("got %+v", got)
			}
			b.armed = true
			fresh := &Task{Name: "fresh"}
			wantIs(t, s.Insert(ctx, "500", fresh), persistence.ErrUncertain)
			if err := s.Insert(ctx, "500", fresh); err != nil {
				t.Errorf("insert again: %v", err)
			}
			wantIs(t, s.Insert(ctx, "500", fresh), persistence.ErrExists)
		})
	}
}

func TestUncertainUpdateThatSomeoneElseOverwroteIsAConflict(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b := &unsure{Backend: mem.New(driver.OpenOptions{Table: "store", Logger: slog.New(slog.DiscardHandler)}), made: true}
	s, err := persistence.New(ctx, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a := &Task{Name: "a"}
	id := must[persistence.ID](t)(s.Save(ctx, a))
	a.Name, b.armed = "mine", true
	_, err = s.Save(ctx, a)
	wantIs(t, err, persistence.ErrUncertain)
	other := must[*Task](t)(persistence.Load[Task](ctx, s, id))
	other.Name = "theirs"
	must[persistence.ID](t)(s.Save(ctx, other))
	_, err = s.Save(ctx, a)
	wantIs(t, err, persistence.ErrConflict, string(id))
}

func TestUncertainCreateThatSomeoneElseOverwroteIsNotStoredTwice(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b := &unsure{Backend: mem.New(driver.OpenOptions{Table: "store", Logger: slog.New(slog.DiscardHandler)}), made: true, armed: true}
	s, err := persistence.New(ctx, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a := &Task{Name: "mine"}
	_, err = s.Save(ctx, a)
	wantIs(t, err, persistence.ErrUncertain)
	id := list(t, s, nil)[0]
	other := must[*Task](t)(persistence.Load[Task](ctx, s, id))
	other.Name = "theirs"
	must[persistence.ID](t)(s.Save(ctx, other))

	if got := must[persistence.ID](t)(s.Save(ctx, a)); got != id {
		t.Errorf("the object that was stored as %s became %s", id, got)
	}
	a.Name = "mine again"
	_, err = s.Save(ctx, a)
	wantIs(t, err, persistence.ErrConflict, string(id))
	if ids := list(t, s, nil); len(ids) != 1 {
		t.Errorf("one object became the records %v", ids)
	}
}

func TestReservedNumbersAreUsed(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, &persistence.Options{IDs: idfactory.Sequence("job")}), t.Context()
		if err := s.Reserve(ctx, 1000); err != nil {
			t.Fatal(err)
		}
		if err := s.Reserve(ctx, 0); err == nil {
			t.Error("a reservation of nothing is accepted")
		}
		var wg sync.WaitGroup
		var seen sync.Map
		for range 10 {
			wg.Go(func() {
				for range 10 {
					id, err := s.Save(ctx, 1)
					if _, dup := seen.LoadOrStore(id, true); dup || err != nil {
						t.Errorf("id %q, err %v", id, err)
					}
					if n, ok := id.Seq(); !ok || n > 1000 || id.Prefix() != "job" {
						t.Errorf("id %q is not of the reserved ones", id)
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestCancelledContextsWriteNothing(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s := open(t, url, nil)
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("no longer wanted"))
		_, err := s.Save(ctx, &Task{})
		wantIs(t, err, context.Canceled)
		if n := must[int64](t)(s.Count(t.Context(), nil)); n != 0 {
			t.Errorf("%d records", n)
		}
	})
}
