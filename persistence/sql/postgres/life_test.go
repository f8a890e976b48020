package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/sql/postgres"
)

// occupy makes b hold n connections at once.
func occupy(t testing.TB, b driver.Backend, n int) {
	t.Helper()
	var all, ready sync.WaitGroup
	ready.Add(n)
	for range n {
		all.Go(func() {
			err := b.View(t.Context(), func(r driver.Reader) error {
				ready.Done()
				ready.Wait()
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// calls are the ways to use a backend. Each must go on after the server was away.
var calls = map[string]func(ctx context.Context, b driver.Backend) error{
	"a lone write": func(ctx context.Context, b driver.Backend) error {
		_, err := b.Apply(ctx, []driver.Mutation{{Op: driver.Put, Rec: record("1", "new")}})
		return err
	},
	"a batch": func(ctx context.Context, b driver.Backend) error {
		_, err := b.Apply(ctx, []driver.Mutation{{Op: driver.Put, Rec: record("1", "new")}, {Op: driver.Put, Rec: record("2", "new")}})
		return err
	},
	"a view": func(ctx context.Context, b driver.Backend) error {
		got, err := get(ctx, b, "1")
		if err == nil && len(got) != 1 {
			err = fmt.Errorf("%d records", len(got))
		}
		return err
	},
	"a scan": func(ctx context.Context, b driver.Backend) error {
		return b.View(ctx, func(r driver.Reader) error {
			for _, err := range r.Scan(ctx, &driver.Query{}) {
				if err != nil {
					return err
				}
			}
			return nil
		})
	},
	"numbers": func(ctx context.Context, b driver.Backend) error {
		_, err := b.NextIDs(ctx, 3)
		return err
	},
}

func TestTheNextCallAfterARestart(t *testing.T) {
	t.Parallel()
	for how, again := range map[string]func(*testserver.Server){
		"in good order": func(s *testserver.Server) { s.Stop(); s.Restart() },
		"after a kill":  func(s *testserver.Server) { s.Kill(); s.Restart() },
		"still on its way": func(s *testserver.Server) {
			s.Kill()
			go func() {
				time.Sleep(300 * time.Millisecond)
				s.Restart()
			}()
		},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			for name, call := range calls {
				t.Run(name, func(t *testing.T) {
					s := testserver.Postgres(t, testserver.TCP())
					for _, url := range []string{s.URL(""), s.TCPURL("") + "#table=other"} {
						o := driver.OpenOptions{}
						if strings.HasSuffix(url, "other") {
							o.Table = "other"
						}
						b := open(t, url, integers, o)
						apply(t, b, create("1", "old"))
						occupy(t, b, 4)
						again(s)
						if err := call(t.Context(), b); err != nil {
							t.Errorf("%s: %v", url, err)
						}
						s.Restart() // which waits for the one on its way
					}
				})
			}
		})
	}
}

func TestAViewGoesOnUnlessItHasRead(t *testing.T) {
	t.Parallel()
	s := testserver.Postgres(t)
	b := open(t, s.URL(""), integers, driver.OpenOptions{})
	apply(t, b, create("1", "x"), create("2", "x"))
	read := func(r driver.Reader) error {
		_, err := r.Get(t.Context(), []driver.ID{"1", "2"}, driver.Data)
		return err
	}
	err := b.View(t.Context(), func(r driver.Reader) error {
		s.Kill()
		s.Restart()
		return read(r)
	})
	if err != nil {
		t.Errorf("before anything was read: %v", err)
	}
	err = b.View(t.Context(), func(r driver.Reader) error {
		if err := read(r); err != nil {
			return err
		}
		s.Kill()
		s.Restart()
		return read(r)
	})
	if err == nil {
		t.Error("a View has seen two states")
	}
	if err := b.View(t.Context(), read); err != nil {
		t.Errorf("the next View: %v", err)
	}
}

func TestAServerThatFallsSilent(t *testing.T) {
	t.Parallel()
	s := testserver.Postgres(t)
	b := open(t, s.URL(""), integers, driver.OpenOptions{})
	apply(t, b, create("1", "old"))
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			s.Pause()
			defer s.Resume()
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			begin := time.Now()
			err := call(ctx, b)
			if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, driver.ErrUncertain) {
				t.Errorf("error %v", err)
			}
			if took := time.Since(begin); took > 8*time.Second {
				t.Errorf("it took %v", took)
			}
			s.Resume()
			if err := call(t.Context(), b); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

func TestACancelledWriteTellsTheTruth(t *testing.T) {
	t.Parallel()
	s := testserver.SharedPostgres(t)
	url := s.URL(s.NewDB(t))
	b := open(t, url, integers, driver.OpenOptions{})
	apply(t, b, create("1", "old"), create("2", "old"))
	other := raw(t, url)
	for name, ms := range map[string][]driver.Mutation{
		"alone":   {{Op: driver.Put, Rec: record("1", "new")}},
		"a batch": {{Op: driver.Put, Rec: record("1", "new")}, {Op: driver.Put, Rec: record("2", "new")}},
	} {
		t.Run(name, func(t *testing.T) {
			tx, err := other.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback()
			if _, err := tx.Exec("SELECT 1 FROM store WHERE id = 1 FOR UPDATE"); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if _, err := b.Apply(ctx, ms); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, driver.ErrUncertain) {
				t.Errorf("error %v", err)
			}
			if err := tx.Rollback(); err != nil {
				t.Fatal(err)
			}
			got, err := get(t.Context(), b, "1", "2")
			if err != nil || string(got["1"].Data) != "old" || string(got["2"].Data) != "old" {
				t.Errorf("%v, error %v", got, err)
			}
		})
	}
}

// busiest looks again and again how many connections a database has besides the looker's.
func busiest(t *testing.T, s *testserver.Server, name string) (most func() int) {
	t.Helper()
	db := raw(t, s.URL(""))
	var found atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	var looking sync.WaitGroup
	looking.Go(func() {
		for ctx.Err() == nil {
			var n int64
			err := db.QueryRowContext(ctx, "SELECT count(*) FROM pg_stat_activity WHERE datname = $1", name).Scan(&n)
			if err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
			found.Store(max(found.Load(), n))
		}
	})
	return func() int {
		cancel()
		looking.Wait()
		return int(found.Load())
	}
}

func TestThePoolsLimit(t *testing.T) {
	t.Parallel()
	s := testserver.SharedPostgres(t)
	name := s.NewDB(t)
	b := open(t, s.URL(name)+"&pool_size=3&pool_idle=2", integers, driver.OpenOptions{})
	most := busiest(t, s, name)
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for j := range 20 {
				id := driver.ID(strconv.Itoa(i*100 + j + 1))
				if _, err := b.Apply(t.Context(), []driver.Mutation{create(id, "x")}); err != nil {
					t.Error(err)
				}
				if got, err := get(t.Context(), b, id); err != nil || len(got) != 1 {
					t.Errorf("%d records, error %v", len(got), err)
				}
			}
		})
	}
	all.Wait()
	if n := most(); n > 3 {
		t.Errorf("%d connections where 3 are allowed", n)
	}
	stats := b.(driver.Statser).Stats()
	if stats.Limit != 3 || stats.InUse != 0 || stats.Idle < 1 || stats.Idle > 2 || stats.Waits == 0 || stats.WaitTime <= 0 ||
		stats.Opened-stats.Closed != int64(stats.Idle) {
		t.Errorf("%+v", stats)
	}
}

func TestConnectionsAreReplaced(t *testing.T) {
	t.Parallel()
	s := testserver.SharedPostgres(t)
	for name, param := range map[string]string{
		"those too old": "&pool_lifetime=1ns", "none is kept": "&pool_idle=0", "those unused too long": "&pool_idle_time=1ns",
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, s.URL(s.NewDB(t))+param, integers, driver.OpenOptions{})
			before := b.(driver.Statser).Stats().Opened
			for range 3 {
				if _, err := get(t.Context(), b, "1"); err != nil {
					t.Fatal(err)
				}
			}
			if after := b.(driver.Statser).Stats().Opened; after != before+3 {
				t.Errorf("%d connections were made in 3 calls", after-before)
			}
		})
	}
	b := open(t, s.URL(s.NewDB(t))+"&pool_pre_ping=true", integers, driver.OpenOptions{})
	occupy(t, b, 2)
	if stats := b.(driver.Statser).Stats(); stats.Idle != 2 || stats.Opened != 2 {
		t.Errorf("with pre-ping: %+v", stats)
	}
}

func TestResetInTraffic(t *testing.T) {
	t.Parallel()
	s := testserver.SharedPostgres(t)
	name := s.NewDB(t)
	store, err := persistence.MakeStore(t.Context(), s.URL(name)+"&pool_size=4", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	most := busiest(t, s, name)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for ctx.Err() == nil {
				id, err := store.Save(t.Context(), map[string]int{"a": 1})
				if err == nil {
					_, err = store.Load(t.Context(), id)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 30 {
		time.Sleep(5 * time.Millisecond)
		if err := store.Reset(); err != nil {
			t.Error(err)
		}
	}
	cancel()
	all.Wait()
	// A server's process is still there for a moment when its client has gone.
	if n := most(); n > 8 {
		t.Errorf("%d connections where 4 are allowed, and 4 may be on their way out", n)
	}
}

func TestACallersDB(t *testing.T) {
	t.Parallel()
	s := testserver.SharedPostgres(t)
	db := sqlx.NewDb(raw(t, s.URL(s.NewDB(t))), "postgres")
	db.SetMaxOpenConns(5)
	b, err := postgres.New(db, driver.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	store, err := persistence.New(t.Context(), b, nil)
	if err != nil {
		t.Fatal(err)
	}
	id, err := store.Save(t.Context(), map[string][]byte{"bytes": {0, 1, 255}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if limit := store.Stats().Limit; limit != 4 {
			t.Errorf("%d connections, and none is left for the caller", limit)
		}
		occupy(t, b, 4)
		if err := store.PreFork(); err != nil {
			t.Fatal(err)
		}
		if n := db.Stats().InUse; n != 0 {
			t.Errorf("%d connections kept", n)
		}
		if err := db.PingContext(t.Context()); err != nil {
			t.Errorf("after PreFork: %v", err)
		}
		if err := store.PostFork(); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Load(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
	var n int
	if err := db.Get(&n, "SELECT count(*) FROM store"); err != nil || n != 1 || db.Stats().InUse != 0 {
		t.Errorf("%d records, error %v, %+v", n, err, db.Stats())
	}
	if _, err := postgres.New(nil, driver.OpenOptions{}); err == nil {
		t.Error("no database is accepted")
	}
}

func TestATableThatOthersChange(t *testing.T) {
	t.Parallel()
	s := testserver.SharedPostgres(t)
	url := s.URL(s.NewDB(t))
	schema := driver.Schema{IntegerIDs: true, Fields: []driver.Column{{Name: "host", Kind: driver.Text}}}
	b := open(t, url+"&pool_size=1", schema, driver.OpenOptions{})
	apply(t, b, create("1", "x", "a"))
	other := raw(t, url)
	for _, change := range []string{
		"ALTER TABLE store ADD COLUMN more TEXT DEFAULT 'm' NOT NULL",
		"ALTER TABLE store ALTER COLUMN host TYPE VARCHAR(99)",
		"ALTER TABLE store ALTER COLUMN state TYPE TEXT",
		"ALTER TABLE store DROP COLUMN more",
	} {
		if got, err := get(t.Context(), b, "1"); err != nil || len(got) != 1 { // prepares it
			t.Fatalf("%d records, error %v", len(got), err)
		}
		apply(t, b, driver.Mutation{Op: driver.Put, Rec: record("1", "x", "a")})
		run(t, other, change)
		if got, err := get(t.Context(), b, "1"); err != nil || got["1"].State != "RUNNING" || got["1"].Fields[0] != "a" {
			t.Errorf("%s: %v, error %v", change, got, err)
		}
		apply(t, b, driver.Mutation{Op: driver.Put, Rec: record("1", "x", "a")}, driver.Mutation{Op: driver.Put, Rec: record("2", "x", nil)})
	}
}
