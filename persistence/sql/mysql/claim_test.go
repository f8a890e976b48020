package mysql_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence/driver"
)

// Nodes do not see each other's locks: who claims the same record as another one learns so at its
// commit, and claims another.
func TestClaimsOnAllNodesOfACluster(t *testing.T) {
	if testing.Short() {
		t.Skip("a cluster takes long to start")
	}
	const n = 400
	nodes := testserver.Galera(t)
	name := nodes[0].NewDB(t)
	var stores []driver.Backend
	for _, node := range nodes {
		b, _ := open(t, node.URL(name), integers, driver.OpenOptions{})
		stores = append(stores, b)
	}
	var ms []driver.Mutation
	for i := range n {
		ms = append(ms, create(driver.ID(fmt.Sprint(i+1)), "task"))
	}
	apply(t, stores[0], ms...)
	q := &driver.Query{Where: []driver.Cond{{Column: driver.ColState, Op: driver.Eq, Values: []any{"RUNNING"}}}}
	var mu sync.Mutex
	times := map[driver.ID]int{}
	deadline := time.Now().Add(2 * time.Minute)
	var wg sync.WaitGroup
	for w := range 2 * len(stores) {
		b := stores[w/2]
		wg.Go(func() {
			for {
				mu.Lock()
				all := len(times) == n
				mu.Unlock()
				if all || time.Now().After(deadline) {
					return
				}
				recs, err := b.(driver.Claimer).Claim(t.Context(), q, driver.Claiming{Owner: fmt.Sprint(w), Lease: time.Hour, Limit: 1 + w%2*9})
				if err != nil {
					t.Error(err)
					return
				}
				var done []driver.Mutation
				for _, rec := range recs {
					m := driver.Mutation{Op: driver.Update, Rec: rec, IfRev: rec.Revision, Token: rec.Claim.Token, Release: true}
					m.Rec.State = "DONE"
					done = append(done, m)
				}
				if _, err := b.Apply(t.Context(), done); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for _, rec := range recs {
					times[rec.ID]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(times) != n {
		t.Errorf("%d of %d done", len(times), n)
	}
	for id, k := range times {
		if k != 1 {
			t.Errorf("%q was done %d times", id, k)
		}
	}
}
