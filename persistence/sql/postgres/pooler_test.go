package postgres_test

import (
	"bytes"
	"context"
	stdsql "database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/brine-go/brine/internal/battery"
	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/sql/postgres"
)

// A Piece says in which store it is, who made it, and which version it is.
type Piece struct {
	persistence.Persistable
	Store       string
	Worker, Num int
	Version     int
	Payload     string
}

func init() { persistence.Register[Piece]("pooler.Piece") }

// busy is how long the stores are used behind a pooler.
func busy() time.Duration {
	if os.Getenv("BRINE_LONG") == "1" {
		return 30 * time.Second
	}
	return 500 * time.Millisecond
}

// A worker saves pieces into one store, changes, loads and removes them.
type worker struct {
	store  *persistence.Store
	name   string
	number int

	pieces map[persistence.ID]*Piece // as they were saved last
	ids    []persistence.ID
	saves  int
}

func (w *worker) check(id persistence.ID, got *Piece) error {
	want := w.pieces[id]
	if got.Store != want.Store || got.Worker != want.Worker || got.Num != want.Num || got.Version != want.Version || got.Payload != want.Payload {
		return fmt.Errorf("piece %s of %s is %+v, want %+v", id, w.name, got, want)
	}
	return nil
}

// step does one thing.
func (w *worker) step(ctx context.Context) error {
	if len(w.ids) == 0 || rand.IntN(3) == 0 {
		p := &Piece{Store: w.name, Worker: w.number, Num: len(w.ids), Payload: strings.Repeat(w.name, rand.IntN(50))}
		id, err := w.store.Save(ctx, p)
		if err != nil {
			return err
		}
		kept := *p
		w.pieces[id], w.ids, w.saves = &kept, append(w.ids, id), w.saves+1
	}
	id := w.ids[rand.IntN(len(w.ids))]
	got, err := persistence.Load[Piece](ctx, w.store, id)
	if err != nil {
		return err
	}
	if err := w.check(id, got); err != nil {
		return err
	}
	switch rand.IntN(10) {
	case 0: // the last one goes
		last := w.ids[len(w.ids)-1]
		if err := w.store.Remove(ctx, last); err != nil {
			return err
		}
		delete(w.pieces, last)
		w.ids = w.ids[:len(w.ids)-1]
	case 1: // what others in this store have saved
		for p, err := range persistence.All[Piece](ctx, w.store, &persistence.Query{Limit: 20, Order: []persistence.Order{persistence.Desc("id")}}) {
			if err != nil {
				return err
			}
			if p.Store != w.name {
				return fmt.Errorf("a piece of %s in %s", p.Store, w.name)
			}
		}
	case 2:
		key := fmt.Sprintf("worker %d", w.number)
		if err := w.store.KV().Set(ctx, key, w.name); err != nil {
			return err
		}
		if v, err := w.store.KV().Get(ctx, key); err != nil || v != w.name {
			return fmt.Errorf("a pair of %s is %v, error %w", w.name, v, err)
		}
	case 3, 4, 5, 6:
		got.Version++
		got.Payload += "."
		if _, err := w.store.Save(ctx, got); err != nil {
			return err
		}
		kept := *got
		w.pieces[id] = &kept
		w.saves++
	}
	return nil
}

// A setup is a pooler, and what the URLs of the stores say.
type setup struct {
	mode   string
	size   int
	params string
}

func (s setup) name() string { return fmt.Sprintf("%s mode, pool of %d%s", s.mode, s.size, s.params) }

// setups are two without a pooler, to compare with, and those in which no client waits for ever: in
// session mode a session is the client's until it disconnects.
func setups() (all []setup) {
	all = append(all, setup{"no", 0, "&pool_size=8"}, setup{"no", 0, "&pooler=transaction&pool_size=8"})
	for _, size := range []int{1, 3, 20} {
		for _, said := range []string{"", "&pooler=transaction"} {
			all = append(all, setup{"transaction", size, said})
		}
		for _, said := range []string{"", "&pooler=session"} {
			few := "&pool_size=8"
			if size < 20 {
				few = "&pool_idle=0"
			}
			all = append(all, setup{"session", size, said + few})
		}
	}
	return all
}

func TestTwoStoresBehindAPooler(t *testing.T) {
	s := testserver.Postgres(t)
	for _, c := range setups() {
		t.Run(c.name(), func(t *testing.T) {
			db := s.NewDB(t)
			url := s.URL(db) + c.params
			if c.mode != "no" {
				url = testserver.PgBouncer(t, s, c.mode, c.size).URL(db) + c.params
			}
			var workers []*worker
			for _, name := range []string{"one", "two"} {
				store, err := persistence.MakeStore(t.Context(), url, &persistence.Options{Table: name, Logger: slog.New(slog.DiscardHandler)})
				if err != nil {
					t.Fatal(err)
				}
				defer store.Close()
				for i := range 4 {
					w := &worker{store: store, name: name, number: i, pieces: map[persistence.ID]*Piece{}}
					if err := w.step(t.Context()); err != nil { // while nobody else is there
						t.Fatal(err)
					}
					workers = append(workers, w)
				}
			}
			begin := time.Now()
			var all sync.WaitGroup
			for _, w := range workers {
				all.Go(func() {
					for time.Since(begin) < busy() {
						if err := w.step(t.Context()); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			took := time.Since(begin)
			saves := inspect(t, workers)
			t.Logf("%s: %.0f saves/s", c.name(), float64(saves)/took.Seconds())
		})
	}
}

// inspect reads all that there is in the stores of workers, and returns how many saves they made.
func inspect(t *testing.T, workers []*worker) (saves int) {
	t.Helper()
	stores, want := map[*persistence.Store]string{}, map[*persistence.Store]map[persistence.ID]*Piece{}
	for _, w := range workers {
		saves += w.saves
		if stores[w.store] = w.name; want[w.store] == nil {
			want[w.store] = map[persistence.ID]*Piece{}
		}
		maps.Copy(want[w.store], w.pieces)
	}
	for store, name := range stores {
		found := 0
		for obj, err := range store.All(t.Context(), nil) {
			if err != nil {
				t.Error(err)
				continue
			}
			p := obj.(*Piece)
			w := &worker{name: name, pieces: want[store]}
			if w.pieces[p.PersistentID()] == nil {
				t.Errorf("%+v in %s was never saved there", p, name)
			} else if err := w.check(p.PersistentID(), p); err != nil {
				t.Error(err)
			}
			found++
		}
		if found != len(want[store]) {
			t.Errorf("%d pieces in %s, want %d", found, name, len(want[store]))
		}
	}
	return saves
}

func TestTheBatteryBehindAPooler(t *testing.T) {
	t.Parallel()
	s := testserver.Postgres(t)
	for name, c := range map[string]struct {
		mode, param string
		size        int
	}{
		"transaction mode":                    {"transaction", "", 1},
		"transaction mode that the URL names": {"transaction", "&pooler=transaction", 3},
		"a schema of its own":                 {"transaction", "&schema=Other", 3},
		"session mode":                        {"session", "&pool_idle=0", 2},
		"session mode that the URL names":     {"session", "&pooler=session", 20},
		"no pooler, and the URL names one":    {"", "&pooler=transaction", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := s.NewDB(t)
			if c.mode == "" {
				battery.Run(t, s.URL(db)+c.param)
				return
			}
			p := testserver.PgBouncer(t, s, c.mode, c.size)
			// Another client leaves in its sessions what it has set, again and again.
			other := raw(t, p.URL(db))
			other.SetMaxIdleConns(0)
			ctx, stop := context.WithCancel(t.Context())
			var all sync.WaitGroup
			var left atomic.Int64
			all.Go(func() {
				for ctx.Err() == nil {
					if _, err := other.ExecContext(ctx, "SET extra_float_digits = -15; SET search_path = pg_catalog; SET lock_timeout = 1; SET row_security = on"); err == nil {
						left.Add(1)
					} else if ctx.Err() == nil {
						t.Error(err)
					}
					time.Sleep(20 * time.Millisecond)
				}
			})
			battery.Run(t, p.URL(db)+c.param)
			stop()
			all.Wait()
			if left.Load() == 0 {
				t.Error("the other client has set nothing")
			}
		})
	}
}

func TestAPoolerInStatementMode(t *testing.T) {
	t.Parallel()
	s := testserver.Postgres(t)
	p := testserver.PgBouncer(t, s, "statement", 3)
	for _, param := range []string{"", "&pooler=transaction"} {
		begin := time.Now()
		_, err := persistence.MakeStore(t.Context(), p.URL("postgres")+param, nil)
		if err == nil || !strings.Contains(err.Error(), "statement mode") || errors.Is(err, persistence.ErrUncertain) {
			t.Errorf("%q: error %v", param, err)
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("%q: the error took %v", param, took)
		}
	}
	if err := openBackendAndInit(t, s.URL("")+"&pooler=statement", driver.OpenOptions{}); err == nil || !strings.Contains(err.Error(), "pooler") {
		t.Errorf("error %v", err)
	}
}

func TestAPoolerIsToldOfOnce(t *testing.T) {
	t.Parallel()
	s := testserver.Postgres(t)
	p := testserver.PgBouncer(t, s, "transaction", 3)
	for url, want := range map[string]int{
		p.URL("postgres"): 1, p.URL("postgres") + "&pooler=transaction": 0, s.URL(""): 0, s.URL("") + "&pooler=session": 0,
	} {
		var log bytes.Buffer
		b := open(t, url, integers, driver.OpenOptions{Logger: slog.New(slog.NewTextHandler(io.Writer(&log), nil))})
		occupy(t, b, 3)
		apply(t, b, driver.Mutation{Op: driver.Put, Rec: record("1", "x")})
		if n := strings.Count(log.String(), "pooler=session"); n != want {
			t.Errorf("%s: told %d times, want %d: %s", url, n, want, &log)
		}
	}
}

// A wrapped connection is what a driver that traces statements, say, gives in place of lib/pq's.
type wrapped struct{ sqldriver.Conn }

func (w wrapped) ExecContext(ctx context.Context, q string, args []sqldriver.NamedValue) (sqldriver.Result, error) {
	return w.Conn.(sqldriver.ExecerContext).ExecContext(ctx, q, args)
}

func (w wrapped) QueryContext(ctx context.Context, q string, args []sqldriver.NamedValue) (sqldriver.Rows, error) {
	return w.Conn.(sqldriver.QueryerContext).QueryContext(ctx, q, args)
}

// A wrapping connector gives wrapped connections.
type wrapping struct{ sqldriver.Connector }

func (w wrapping) Connect(ctx context.Context) (sqldriver.Conn, error) {
	c, err := w.Connector.Connect(ctx)
	return wrapped{c}, err
}

func TestACallersDBIsUsedAsWhatItIs(t *testing.T) {
	t.Parallel()
	s := testserver.Postgres(t)
	p := testserver.PgBouncer(t, s, "transaction", 2)
	for name, c := range map[string]struct {
		url    string
		binary bool
		wrap   bool
		shared bool
	}{
		"behind a pooler":               {p.URL(s.NewDB(t)), true, false, true},
		"without binary parameters":     {p.URL(s.NewDB(t)), false, false, true},
		"wrapped":                       {s.URL(s.NewDB(t)), true, true, true},
		"of the server":                 {s.URL(s.NewDB(t)), true, false, false},
		"of the server, as text":        {s.URL(s.NewDB(t)), false, false, false},
		"wrapped, and behind a pooler":  {p.URL(s.NewDB(t)), true, true, true},
		"wrapped, as text, by a pooler": {p.URL(s.NewDB(t)), false, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := dsn(t, c.url)
			if !c.binary {
				text = strings.Replace(text, "binary_parameters=yes", "binary_parameters=no", 1)
			}
			connector, err := pq.NewConnector(text)
			if err != nil {
				t.Fatal(err)
			}
			inner := stdsql.OpenDB(connector)
			if c.wrap {
				inner = stdsql.OpenDB(wrapping{connector})
			}
			defer inner.Close()
			db := sqlx.NewDb(inner, "postgres")
			var log bytes.Buffer
			var all sync.WaitGroup
			for _, table := range []string{"one", "two"} {
				b, err := postgres.New(db, driver.OpenOptions{Table: table, Logger: slog.New(slog.NewTextHandler(&log, nil))})
				if err != nil {
					t.Fatal(err)
				}
				store, err := persistence.New(t.Context(), b, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer store.Close()
				w := &worker{store: store, name: table, pieces: map[persistence.ID]*Piece{}}
				all.Go(func() {
					for range 100 {
						if err := w.step(t.Context()); err != nil {
							t.Error(err)
							return
						}
					}
					inspect(t, []*worker{w})
				})
			}
			all.Wait()
			if told := strings.Contains(log.String(), "pooler"); told != c.shared {
				t.Errorf("used as if behind a pooler: %v, want %v", told, c.shared)
			}
			var bytea []byte
			var digits string
			if err := inner.QueryRowContext(t.Context(), "SELECT data, current_setting('row_security') FROM one LIMIT 1").Scan(&bytea, &digits); err != nil || digits != "on" {
				t.Errorf("the caller's session has row_security = %s, error %v", digits, err)
			}
		})
	}
}
