package persistence_test

import (
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence"
)

// TestRoundTripsOfASharedConnection holds what a store sends where the server's session may be
// another one in each transaction.
func TestRoundTripsOfASharedConnection(t *testing.T) {
	t.Parallel()
	srv := testserver.Postgres(t, testserver.TCP())
	var named, trips atomic.Int64
	p := &tap{next: func(r io.Reader, first bool) ([]byte, string, error) {
		message, statement, err := postgresMessage(r, first)
		if err == nil && !first {
			switch message[0] {
			case 'P': // the name of the statement comes first
				if message[5] != 0 {
					named.Add(1)
				}
			case 'Q', 'S':
				trips.Add(1)
			}
		}
		return message, statement, err
	}}
	db := srv.NewDB(t)
	ctx := t.Context()
	for name, c := range map[string]struct {
		param    string
		one, two int64 // round trips of a call with one statement, and with two
		ready    int   // of a new connection
		names    bool
	}{
		"direct": {"", 1, 4, 1, true},
		"shared": {"&pooler=transaction", 3, 4, 3, false},
	} {
		begin := trips.Load()
		var s *persistence.Store
		opened := p.during(func() {
			s = open(t, "postgres://test@"+p.listen(t, srv.TCP())+"/"+db+"?sslmode=disable&pool_size=1"+c.param, nil)
		})
		if n := len(opened); n < c.ready+1 || !strings.Contains(opened[0], "set_config") || c.ready == 1 && strings.Contains(opened[1], "set_config") {
			t.Errorf("%s: %d round trips and %q", name, trips.Load()-begin, opened)
		}
		job := &Job{JobData: jobData(1)}
		must[persistence.ID](t)(s.Save(ctx, job)) // learns its number
		named.Store(0)
		for what, call := range map[string]struct {
			want int64
			do   func()
		}{
			"a save": {c.one, func() { job.Name += "x"; must[persistence.ID](t)(s.Save(ctx, job)) }},
			"a load": {c.one, func() { must[any](t)(s.Load(ctx, job.PersistentID())) }},
			"a save of two": {c.two, func() {
				must[[]persistence.ID](t)(s.SaveAll(ctx, &Job{JobData: jobData(2)}, &Job{JobData: jobData(3)}))
			}},
			"a list":          {c.one, func() { list(t, s, nil) }},
			"a count":         {c.one, func() { must[int64](t)(s.Count(ctx, nil)) }},
			"a pair that set": {c.one, func() { check(t, s.KV().Set(ctx, "key", "value")) }},
		} {
			for range 3 { // direct, the first time prepares
				trips.Store(0)
				call.do()
			}
			if got := trips.Load(); got > call.want {
				t.Errorf("%s, %s: %d round trips, want %d", name, what, got, call.want)
			}
			t.Logf("%s, %s: %d round trips", name, what, trips.Load())
		}
		if got := named.Load() > 0; got != c.names {
			t.Errorf("%s: %d named statements", name, named.Load())
		}
	}
}
