package stress_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/brine-go/brine/internal/stress"
	"github.com/brine-go/brine/persistence"
)

// traffic keeps 32 goroutines of this process busy on the store while disturb runs, and checks what
// they leave: no call may fail. cancel: some calls get a context that ends in the middle of them.
func traffic(t *testing.T, s *persistence.Store, cancel bool, disturb func(stop <-chan struct{})) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal")
	j, err := stress.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	hot, err := stress.Prepare(t.Context(), s, j, 6, 4)
	if err != nil {
		t.Fatal(err)
	}
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- stress.Run(context.Background(), s, j,
			stress.Config{Name: "c", Goroutines: 32, Hot: hot, Strict: true, Cancel: cancel}, stop)
	}()
	disturbed := make(chan struct{})
	go func() {
		defer close(disturbed)
		disturb(stop)
	}()
	time.Sleep(loadTime() / 2)
	close(stop)
	<-disturbed
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	r, err := stress.Check(t.Context(), s, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(r)
	for _, finding := range r.Findings {
		t.Error(finding)
	}
	if r.Uncertain+r.Lost > 0 || r.Acknowledged() == 0 {
		t.Errorf("%d attempts uncertain, %d lost, %d acknowledged", r.Uncertain, r.Lost, r.Acknowledged())
	}
}

// every calls fn every 10 ms until stop is closed, and returns how often it has done so.
func every(stop <-chan struct{}, fn func(n int)) int {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-stop:
			return n
		case <-tick.C:
			fn(n)
		}
	}
}

func TestNoCallFailsBecauseOfReset(t *testing.T) {
	t.Parallel()
	embedded(t, func(t *testing.T, url string) {
		s := openStore(t, url)
		traffic(t, s, true, func(stop <-chan struct{}) {
			n := every(stop, func(int) {
				if err := s.Reset(); err != nil {
					t.Errorf("reset: %v", err)
				}
			})
			t.Logf("%d resets", n)
		})
	})
	servers(t, func(t *testing.T, kind kindOf) {
		const limit = 8
		srv := kind.shared(t)
		name := srv.NewDB(t)
		url := srv.URL(name)
		s, err := persistence.MakeStore(t.Context(), url, &persistence.Options{Logger: quiet(), Pool: persistence.Pool{Size: limit}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		watch := &watcher{kind: kind, db: srv.Open(t, name), s: s, limit: limit}
		// Of a call that is cancelled the connection is closed, which the server notices when it
		// comes to it: no call is, so that the limit can be held against what the server has.
		traffic(t, s, false, func(stop <-chan struct{}) {
			n := every(stop, func(n int) {
				var err error
				if n%2 == 0 {
					err = s.Reset()
				} else {
					err = watch.reset(context.Background())
				}
				if err != nil {
					t.Errorf("reset: %v", err)
				}
			})
			t.Logf("%d resets; connections at once: up to %d in use of a limit of %d, %d on the server with those being drained; opened %d, closed %d",
				n, watch.most, limit, watch.total, s.Stats().Opened, s.Stats().Closed)
		})
		if watch.most == 0 {
			t.Error("no connection was ever seen")
		}
	})
}

// A watcher resets a store as Reset does, and counts connections.
type watcher struct {
	kind        kindOf
	db          *sql.DB
	s           *persistence.Store
	limit       int
	most, total int
}

// reset does what Reset does, in its two parts. While all connections are closed it takes a marker,
// so that what is newer was opened after them, and is all that the pool has: that is counted while
// the traffic goes on.
func (w *watcher) reset(ctx context.Context) error {
	if err := w.s.PreFork(); err != nil {
		return err
	}
	conn, marker, err := w.mark(ctx)
	if conn != nil {
		defer conn.Close()
	}
	if open := w.s.Stats().InUse + w.s.Stats().Idle; err == nil && open != 0 {
		err = fmt.Errorf("%d connections are open after PreFork", open)
	}
	if perr := w.s.PostFork(); perr != nil || err != nil {
		return errors.Join(err, perr)
	}
	for range 3 {
		var newer, all int
		if err := conn.QueryRowContext(ctx, w.kind.newer, marker).Scan(&newer); err != nil {
			return err
		}
		if err := conn.QueryRowContext(ctx, w.kind.all).Scan(&all); err != nil {
			return err
		}
		w.most, w.total = max(w.most, newer), max(w.total, all)
		stats := w.s.Stats()
		if newer > w.limit || stats.InUse+stats.Idle > w.limit || stats.Limit != w.limit {
			return fmt.Errorf("%d connections on the server, %+v, where %d is the limit", newer, stats, w.limit)
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// mark opens a connection that is newer than all others.
func (w *watcher) mark(ctx context.Context) (*sql.Conn, string, error) {
	w.db.SetMaxIdleConns(0)
	conn, err := w.db.Conn(ctx)
	if err != nil {
		return nil, "", err
	}
	var marker string
	err = conn.QueryRowContext(ctx, w.kind.marker).Scan(&marker)
	return conn, marker, err
}
