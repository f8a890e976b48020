package persistence_test

import (
	"context"
	stdsql "database/sql"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/url"
)

// nothingDangles fails the test if a record refers to one that does not exist.
func nothingDangles(t *testing.T, s *persistence.Store) {
	t.Helper()
	for f, err := range s.Check(t.Context(), persistence.CheckOptions{}) {
		check(t, err)
		if f.Kind == persistence.Dangling {
			t.Errorf("%s: %s", f.ID, f.Detail)
		}
	}
}

// A graphWriter changes some of the vertices of a graph, and makes new ones.
type graphWriter struct {
	s             *persistence.Store
	rng           *rand.Rand
	mine          []*Vertex // those that only this writer changes; the first is a root
	all           []*Vertex // the graph as it was in the beginning
	made          []*Vertex // what this writer has added to it
	saved, failed int
}

// change changes the references of one vertex. One that was removed is never saved again.
func (w *graphWriter) change(ctx context.Context) error {
	i := w.rng.IntN(len(w.mine))
	if w.rng.IntN(3) == 0 {
		i = 0
	}
	v := w.mine[i]
	wasNext, wasLazy := v.Next, v.Lazy
	v.Next, v.Lazy = slices.Clone(v.Next), slices.Clone(v.Lazy)
	if len(v.Next) > 4 {
		v.Next = v.Next[1:]
	}
	if len(v.Lazy) > 4 {
		v.Lazy = v.Lazy[1:]
	}
	var fresh *Vertex
	switch to := w.all[w.rng.IntN(len(w.all))]; w.rng.IntN(4) {
	case 0:
		v.Lazy = append(v.Lazy, persistence.RefTo(to))
	case 1:
		fresh = &Vertex{Name: "new", Next: []*Vertex{to}}
		v.Next = append(v.Next, fresh)
	default:
		v.Next = append(v.Next, to)
	}
	_, err := w.s.SaveOnly(ctx, v)
	switch {
	case err == nil:
		if w.saved++; fresh != nil {
			w.mine, w.made = append(w.mine, fresh), append(w.made, fresh)
		}
		return nil
	case errors.Is(err, persistence.ErrDangling):
	case errors.Is(err, persistence.ErrConflict) && i > 0:
		w.mine = slices.Delete(w.mine, i, i+1)
	default:
		return err
	}
	w.failed++
	v.Next, v.Lazy = wasNext, wasLazy
	return nil
}

// Four writers change a random graph, garbage too, while Collect runs again and again. What is
// reached is never lost and never refers to what is away, and all else is garbage to a last run.
func TestCollectBesideWriters(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s := open(t, url, nil)
		collectBesideWriters(t, s, func() { nothingDangles(t, s) })
	})
}

// Where Collect may not lock tables, a reference may dangle until the next Collect, and no longer.
func TestCollectWhereOthersCannotBeKeptOut(t *testing.T) {
	t.Parallel()
	server := testserver.SharedMariaDB(t)
	name := server.NewDB(t)
	admin := server.Open(t, "")
	execs(t, admin, "CREATE USER no_locks@'%'",
		"GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP ON `"+name+"`.* TO no_locks@'%'")
	s := open(t, strings.Replace(server.URL(name), "//root@", "//no_locks@", 1), nil)
	t.Cleanup(func() {
		if _, err := admin.ExecContext(context.WithoutCancel(t.Context()), "DROP USER no_locks@'%'"); err != nil {
			t.Error(err)
		}
	})
	collectBesideWriters(t, s, func() {})
	ids := must[[]persistence.ID](t)(s.SaveAll(t.Context(), &Vertex{}, &Vertex{}))
	if r := must[persistence.GraphReport](t)(s.RemoveGraph(t.Context(), persistence.RemoveGraphOptions{}, ids...)); r.Removed != 2 {
		t.Errorf("RemoveGraph removed %d records, want 2", r.Removed)
	}
}

func collectBesideWriters(t *testing.T, s *persistence.Store, after func()) {
	ctx := t.Context()
	const writers = 4
	g := randomGraph(t, s, rand.New(rand.NewPCG(4, 4)), 300)
	var all []*graphWriter
	var roots []persistence.ID
	for w := range writers {
		head := &Vertex{Name: fmt.Sprint("head", w), Next: []*Vertex{g.all[w]}}
		roots = append(roots, must[[]persistence.ID](t)(s.SaveOnly(ctx, head))[0])
		gw := &graphWriter{s: s, rng: rand.New(rand.NewPCG(uint64(w), 9)), mine: []*Vertex{head}, all: g.all}
		for i := w; i < len(g.all); i += writers {
			gw.mine = append(gw.mine, g.all[i])
		}
		all = append(all, gw)
	}
	writing, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for _, w := range all {
		wg.Go(func() {
			for writing.Err() == nil {
				if err := w.change(ctx); err != nil {
					t.Errorf("a writer: %v", err)
					return
				}
				time.Sleep(time.Duration(w.rng.IntN(3)) * time.Millisecond)
			}
		})
	}
	duration := 1500 * time.Millisecond
	switch {
	case long():
		duration = time.Minute
	case testing.Short():
		duration = 300 * time.Millisecond
	}
	runs, removed := 0, int64(0)
	for until := time.Now().Add(duration); time.Now().Before(until); runs++ {
		report, err := s.Collect(ctx, roots, noGrace)
		if err != nil {
			t.Errorf("Collect: %v", err)
			break
		}
		removed += report.Removed
	}
	stop()
	wg.Wait()
	after()
	removed += collectNow(t, s, roots...).Removed
	byID := map[persistence.ID]*Vertex{}
	for _, w := range all {
		for _, v := range slices.Concat(w.all, w.made, w.mine[:1]) {
			byID[v.PersistentID()] = v
		}
	}
	want := map[persistence.ID]*Vertex{}
	for _, w := range all {
		for todo := []*Vertex{w.mine[0]}; len(todo) > 0; {
			v := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			if id := v.PersistentID(); want[id] == nil {
				want[id] = v
				todo = append(todo, v.Next...)
				for _, ref := range v.Lazy {
					todo = append(todo, byID[ref.ID()])
				}
			}
		}
	}
	removed += collectNow(t, s, roots...).Removed
	if d := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(slices.Values(list(t, s, nil)))); d != "" {
		t.Errorf("what is left is not what is reached (-want +got): %s", d)
	}
	saved, failed := 0, 0
	for _, w := range all {
		head := w.mine[0]
		got, err := persistence.Load[Vertex](ctx, s, head.PersistentID())
		if err != nil {
			t.Fatalf("something reachable was lost: %v", err)
		}
		if d := cmp.Diff(namesAndRefs(head), namesAndRefs(got)); d != "" {
			t.Errorf("what is reached has changed (-want +got): %s", d)
		}
		saved, failed = saved+w.saved, failed+w.failed
	}
	t.Logf("%d runs removed %d; %d saves, %d refused", runs, removed, saved, failed)
	if removed == 0 || saved == 0 {
		t.Error("nothing happened")
	}
}

// namesAndRefs returns what is reached eagerly in a form that can be compared.
func namesAndRefs(v *Vertex) map[persistence.ID][]string {
	all := map[persistence.ID][]string{}
	for todo := []*Vertex{v}; len(todo) > 0; {
		v := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if all[v.PersistentID()] != nil {
			continue
		}
		words := []string{v.Name}
		for _, to := range v.Next {
			words = append(words, "next "+string(to.PersistentID()))
		}
		for _, to := range v.Lazy {
			words = append(words, "lazy "+string(to.ID()))
		}
		all[v.PersistentID()] = words
		todo = append(todo, v.Next...)
	}
	return all
}

func TestRemoveGraphBesideWriters(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		const writers, targets = 4, 120
		var all []*Vertex
		for i := range targets {
			all = append(all, &Vertex{Name: fmt.Sprint("target", i), Next: []*Vertex{{Name: "below"}}})
		}
		var heads []*Vertex
		for w := range writers {
			heads = append(heads, &Vertex{Name: fmt.Sprint("head", w)})
		}
		objs := []any{}
		for _, v := range slices.Concat(all, heads) {
			objs = append(objs, v)
		}
		must[[]persistence.ID](t)(s.SaveAll(ctx, objs...))
		writing, stop := context.WithCancel(ctx)
		var wg, ready sync.WaitGroup
		ready.Add(writers)
		for w, head := range heads {
			wg.Go(func() {
				first := sync.OnceFunc(ready.Done)
				defer first()
				rng := rand.New(rand.NewPCG(uint64(w), 5))
				for ; writing.Err() == nil; first() {
					was := head.Lazy
					head.Lazy = append(slices.Clone(was[min(len(was), 1)*rng.IntN(2):]), persistence.RefTo(all[rng.IntN(targets)]))
					_, err := s.SaveOnly(ctx, head)
					switch {
					case errors.Is(err, persistence.ErrDangling):
						head.Lazy = was
					case err != nil:
						t.Errorf("a writer: %v", err)
						return
					}
					time.Sleep(time.Duration(rng.IntN(2)) * time.Millisecond)
				}
			})
		}
		ready.Wait() // each refers to something
		removed, referenced := 0, 0
		for range 2 {
			for _, v := range all {
				switch report, err := s.RemoveGraph(ctx, persistence.RemoveGraphOptions{}, v.PersistentID()); {
				case err == nil:
					if removed++; report.Removed != 2 {
						t.Errorf("removed %d records, want 2", report.Removed)
					}
				case errors.Is(err, persistence.ErrReferenced):
					referenced++
				case !errors.Is(err, persistence.ErrNotFound):
					t.Errorf("RemoveGraph: %v", err)
				}
			}
		}
		stop()
		wg.Wait()
		nothingDangles(t, s)
		for _, head := range heads {
			got := must[*Vertex](t)(persistence.Load[Vertex](ctx, s, head.PersistentID()))
			if d := cmp.Diff(namesAndRefs(head), namesAndRefs(got)); d != "" {
				t.Errorf("(-want +got): %s", d)
			}
		}
		t.Logf("%d removed, %d times something referred to it", removed, referenced)
		if removed == 0 || referenced == 0 {
			t.Errorf("%d removed and %d refused: it tests nothing", removed, referenced)
		}
	})
}

// A save on a server that has looked for its new reference, and has not committed, is waited for.
func TestASaveThatHasNotCommittedIsWaitedFor(t *testing.T) {
	t.Parallel()
	type place struct {
		url string
		db  *stdsql.DB
	}
	for engine, makePlace := range map[string]func(*testing.T) place{
		"postgres": func(t *testing.T) place {
			server := testserver.SharedPostgres(t)
			name := server.NewDB(t)
			return place{server.URL(name), server.Open(t, name)}
		},
		"mariadb": func(t *testing.T) place {
			server := testserver.SharedMariaDB(t)
			name := server.NewDB(t)
			return place{server.URL(name), server.Open(t, name)}
		},
	} {
		for verb, do := range map[string]func(ctx context.Context, s *persistence.Store, root, garbage persistence.ID) error{
			"Collect": func(ctx context.Context, s *persistence.Store, root, _ persistence.ID) error {
				return errOf(s.Collect(ctx, []persistence.ID{root}, noGrace))
			},
			"RemoveGraph": func(ctx context.Context, s *persistence.Store, _, garbage persistence.ID) error {
				err := errOf(s.RemoveGraph(ctx, persistence.RemoveGraphOptions{}, garbage))
				if errors.Is(err, persistence.ErrReferenced) {
					return nil
				}
				return fmt.Errorf("want ErrReferenced, got %w", err)
			},
		} {
			t.Run(engine+" "+verb, func(t *testing.T) {
				t.Parallel()
				p, ctx := makePlace(t), t.Context()
				s := open(t, p.url, nil)
				garbage, root := &Vertex{Name: "garbage"}, &Vertex{Name: "root"}
				referrer := &Vertex{Name: "referrer", Next: []*Vertex{garbage}}
				ids := must[[]persistence.ID](t)(s.SaveAll(ctx, root, garbage, referrer))
				check(t, s.Quarantine(ctx, "to make the quarantine", ids[2]))
				check(t, s.Unquarantine(ctx, ids[2]))
				execs(t, p.db, "CREATE TABLE parked AS SELECT * FROM store WHERE id = "+string(ids[2]))
				check(t, s.Remove(ctx, ids[2]))
				execs(t, p.db, fmt.Sprintf("UPDATE parked SET modified = %d", time.Now().UnixMicro()))

				// What a save does, up to its COMMIT.
				tx := must[*stdsql.Tx](t)(p.db.BeginTx(ctx, &stdsql.TxOptions{Isolation: stdsql.LevelReadCommitted}))
				defer func() { _ = tx.Rollback() }()
				check(t, errOf(tx.ExecContext(ctx, "INSERT INTO store SELECT * FROM parked")))
				var found int
				check(t, tx.QueryRowContext(ctx, "SELECT count(*) FROM store WHERE id = "+string(ids[1])).Scan(&found))
				if found != 1 {
					t.Fatal("the reference would be refused")
				}
				done := make(chan error, 1)
				go func() { done <- do(ctx, s, ids[0], ids[1]) }()
				select {
				case err := <-done:
					t.Errorf("%s did not wait: %v", verb, err)
					done <- err
				case <-time.After(400 * time.Millisecond):
				}
				check(t, tx.Commit())
				select {
				case err := <-done:
					check(t, err)
				case <-time.After(30 * time.Second):
					t.Fatalf("%s waits for ever", verb)
				}
				nothingDangles(t, s)
				got := must[*Vertex](t)(persistence.Load[Vertex](ctx, s, ids[2]))
				if got.Next[0].Name != "garbage" {
					t.Errorf("it refers to %q", got.Next[0].Name)
				}
			})
		}
	}
}

// Where nobody else writes, a step does not read again what was modified before the last one.
func TestMarksTellThatNothingWasWritten(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"mem", "fs", "sqlite"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, u := t.Context(), must[url.URL](t)(url.Parse(storeURL(t, name)))
			opener, _ := driver.Lookup(u.Scheme())
			b := must[driver.Backend](t)(opener(ctx, u, driver.OpenOptions{Table: "store", Logger: slog.New(slog.DiscardHandler)}))
			defer b.Close()
			must[driver.Meta](t)(b.Init(ctx, driver.Schema{IntegerIDs: true}))
			var mark driver.Mark
			for i := range 4 {
				mark = must[driver.Mark](t)(driver.ApplyExclusive(ctx, b, mark, func(x driver.Exclusive) ([]driver.Mutation, error) {
					if x.Quiet != (i > 0) {
						t.Errorf("call %d: quiet is %v", i, x.Quiet)
					}
					return []driver.Mutation{{Op: driver.Create, Rec: driver.Record{ID: persistence.ID(fmt.Sprint(i + 1))}}}, nil
				}))
			}
		})
	}
}
