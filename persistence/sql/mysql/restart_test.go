package mysql_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence/driver"
)

func TestAServerThatIsStartedAgainIsMetAgain(t *testing.T) {
	t.Parallel()
	s := testserver.MariaDB(t)
	b, _ := open(t, s.URL(s.NewDB(t)), integers, driver.OpenOptions{})
	n := 0
	for _, call := range []struct {
		name string
		do   func() error
	}{
		{"one mutation", func() error {
			n++
			_, err := b.Apply(t.Context(), []driver.Mutation{create(driver.ID(fmt.Sprint(n)), "x")})
			return err
		}},
		{"several mutations", func() error {
			n += 2
			_, err := b.Apply(t.Context(), []driver.Mutation{create(driver.ID(fmt.Sprint(n-1)), "x"), create(driver.ID(fmt.Sprint(n)), "x")})
			return err
		}},
		{"a view", func() error {
			return b.View(t.Context(), func(r driver.Reader) error {
				found, err := r.Count(t.Context(), &driver.Query{})
				if err == nil && found != int64(n) {
					t.Errorf("%d records, not %d", found, n)
				}
				return err
			})
		}},
		{"numbers", func() error {
			_, err := b.NextIDs(t.Context(), 10)
			return err
		}},
	} {
		if err := call.do(); err != nil { // leaves a connection in the pool
			t.Fatalf("%s: %v", call.name, err)
		}
		s.Kill()
		s.Restart()
		if err := call.do(); err != nil {
			t.Errorf("%s, after the server was killed: %v", call.name, err)
		}
		s.Restart() // in good order
		if err := call.do(); err != nil {
			t.Errorf("%s, after the server was started again: %v", call.name, err)
		}
	}
	if ids := scan(t, b, &driver.Query{}); len(ids) != n {
		t.Errorf("%d records, not %d", len(ids), n)
	}

	s.Kill()
	late := make(chan error, 1)
	go func() { late <- call(b, 100_000) }()
	time.Sleep(50 * time.Millisecond) // likely the call has met the closed door by now; the outcome must be the same if not
	s.Restart()
	if err := <-late; err != nil {
		t.Errorf("a call while the server is down for a moment: %v", err)
	}

	s.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := b.Apply(ctx, []driver.Mutation{create("200000", "x")}); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, driver.ErrUncertain) {
		t.Errorf("a call while the server stays down: %v", err)
	}
}

func call(b driver.Backend, id int) error {
	_, err := b.Apply(context.Background(), []driver.Mutation{create(driver.ID(fmt.Sprint(id)), "x")})
	return err
}

// Writers go on while the server is killed: what was acknowledged is there, what was not may be,
// whole.
func TestKillsUnderLoadLoseNothing(t *testing.T) {
	t.Parallel()
	rounds := 4
	if testing.Short() {
		rounds = 1
	}
	s := testserver.MariaDB(t)
	b, _ := open(t, s.URL(s.NewDB(t)), integers, driver.OpenOptions{})
	const pair = 1_000_000 // each Apply makes two records so far apart
	var stop atomic.Bool
	var next atomic.Int64
	var mu sync.Mutex
	acknowledged, uncertain := map[int64]bool{}, map[int64]bool{}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for !stop.Load() {
				n := next.Add(1)
				_, err := b.Apply(context.Background(), []driver.Mutation{create(driver.ID(fmt.Sprint(n)), "x"), create(driver.ID(fmt.Sprint(n+pair)), "y")})
				mu.Lock()
				switch {
				case err == nil:
					acknowledged[n] = true
				case errors.Is(err, driver.ErrUncertain):
					uncertain[n] = true
				default:
					t.Errorf("pair %d: %v", n, err)
				}
				mu.Unlock()
			}
		})
	}
	for range rounds {
		before := next.Load()
		for next.Load() < before+200 {
			time.Sleep(time.Millisecond)
		}
		s.Kill()
		s.Restart()
	}
	stop.Store(true)
	wg.Wait()
	found := map[driver.ID]bool{}
	for _, id := range scan(t, b, &driver.Query{}) {
		found[id] = true
	}
	for n := range next.Load() + 1 {
		first, second := found[driver.ID(fmt.Sprint(n))], found[driver.ID(fmt.Sprint(n+pair))]
		switch {
		case first != second:
			t.Errorf("pair %d is there by half", n)
		case acknowledged[n] && !first:
			t.Errorf("pair %d was acknowledged and is lost", n)
		case first && !acknowledged[n] && !uncertain[n]:
			t.Errorf("pair %d is there and was refused", n)
		}
	}
	t.Logf("%d acknowledged, %d uncertain", len(acknowledged), len(uncertain))
}

func TestThePoolIsNeverLargerThanItMayBe(t *testing.T) {
	t.Parallel()
	s := testserver.MariaDB(t)
	db := s.NewDB(t)
	b, _ := open(t, s.URL(db)+"&pool_size=3", integers, driver.OpenOptions{})
	admin := s.Open(t, "")
	var done atomic.Bool
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			for j := range 40 {
				if err := call(b, i*1000+j); err != nil {
					t.Error(err)
				}
				err := b.View(context.Background(), func(r driver.Reader) error {
					_, err := r.Get(context.Background(), []driver.ID{"1"}, everything)
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	most := 0
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for !done.Load() {
			var n int
			if err := admin.QueryRow("SELECT count(*) FROM information_schema.processlist WHERE db = ?", db).Scan(&n); err != nil {
				t.Error(err)
				return
			}
			most = max(most, n)
		}
	}()
	wg.Wait()
	done.Store(true)
	<-watched
	if most > 3 || most == 0 {
		t.Errorf("%d connections at once, of 3 allowed", most)
	}
	if st := b.(driver.Statser).Stats(); st.Limit != 3 || st.Opened > 3 || st.Waits == 0 {
		t.Errorf("stats %+v", st)
	}
}

func TestResetUnderLoadFailsNoCall(t *testing.T) {
	t.Parallel()
	rawURL := fresh(t)
	b, _ := open(t, rawURL, integers, driver.OpenOptions{})
	apply(t, b, create("1", "x"))
	for i := range 20 {
		if err := b.(driver.Suspender).Suspend(); err != nil {
			t.Fatal(err)
		}
		if err := b.(driver.Suspender).Resume(); err != nil {
			t.Fatal(err)
		}
		if revs := apply(t, b, driver.Mutation{Op: driver.Update, Rec: record("1", "y"), IfRev: int64(i + 1)}); revs[0] != int64(i+2) {
			t.Fatalf("revisions %v", revs)
		}
	}
}

func TestAStatementOutlivesAChangeOfItsTable(t *testing.T) {
	t.Parallel()
	rawURL := fresh(t)
	b, _ := open(t, rawURL, integers, driver.OpenOptions{Pool: driver.Pool{Size: 1}})
	apply(t, b, create("1", "x"), create("2", "y"))
	get(t, b, everything, "1", "2")
	run(t, raw(t, rawURL), "ALTER TABLE store ADD COLUMN more VARCHAR(10) FIRST", "ALTER TABLE store MODIFY state VARCHAR(200)")
	if got := get(t, b, everything, "1", "2"); string(got["1"].Data) != "x" || string(got["2"].Data) != "y" {
		t.Errorf("records %+v", got)
	}
	apply(t, b, create("3", "z"))
}
