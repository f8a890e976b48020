package stress_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence/driver"
	brineurl "github.com/brine-go/brine/url"
)

// A block is n numbers that one call has given, from first on.
type block struct{ first, n int64 }

// numbersAreGivenOnce takes numbers on all nodes at once, through connections so young that each
// statement is prepared inside the transaction. A node that aborts a transaction for the sake of
// another node's while it prepares a statement does not say so.
func numbersAreGivenOnce(t *testing.T, nodes [3]*testserver.Server) {
	db := nodes[0].NewDB(t)
	var mu sync.Mutex
	var given []block
	var wg sync.WaitGroup
	end := time.Now().Add(max(2*loadTime(), 4*time.Second))
	for i := range 12 {
		b := openBackend(t, nodes[i%3].URL(db)+"&pool_lifetime=1ms")
		n := i + 1 // different ones, so that a number read outside of the transaction is seen to be wrong
		wg.Go(func() {
			for time.Now().Before(end) {
				first, err := b.NextIDs(context.Background(), n)
				if err != nil {
					continue // others were quicker all the time
				}
				mu.Lock()
				given = append(given, block{first, int64(n)})
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.SortFunc(given, func(a, b block) int { return int(a.first - b.first) })
	for i := 1; i < len(given); i++ {
		if a, b := given[i-1], given[i]; a.first+a.n > b.first {
			t.Errorf("%d numbers from %d on were given, and %d from %d on", a.n, a.first, b.n, b.first)
		}
	}
	if len(given) < 100 {
		t.Errorf("numbers were given %d times alone", len(given))
	}
	t.Logf("numbers were given %d times", len(given))
}

// openBackend opens a store as package persistence does.
func openBackend(t *testing.T, url string) driver.Backend {
	t.Helper()
	u, err := brineurl.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	open, _ := driver.Lookup("mysql")
	b, err := open(t.Context(), u, driver.OpenOptions{Table: "store", Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	if _, err := b.Init(t.Context(), driver.Schema{IntegerIDs: true}); err != nil {
		t.Fatal(err)
	}
	return b
}
