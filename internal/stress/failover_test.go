package stress_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/brine-go/brine/internal/testserver"
)

func TestClientsFollowAPrimaryToItsStandbyAndLoseNothing(t *testing.T) {
	t.Parallel()
	rounds := 1
	if long() {
		rounds = 4
	}
	for round := range rounds {
		t.Run(fmt.Sprint("round ", round+1), func(t *testing.T) {
			primary, standby := testserver.Standby(t, true)
			url := fmt.Sprintf("postgres://test@%s,%s/postgres?sslmode=disable&target_session_attrs=read-write",
				primary.TCP(), standby.TCP())
			c := newCrew(t, url)
			for range clients() {
				c.start(url)
			}
			c.progress()
			randomPause()
			primary.Kill()
			time.Sleep(rand.N(300 * time.Millisecond))
			standby.Promote()
			c.progress()
			randomPause()
			c.finish()
			c.check(url)
		})
	}
}

// TestGaleraNodesShareAStoreAndLoseNothing takes one cluster for all, which is slow to start.
func TestGaleraNodesShareAStoreAndLoseNothing(t *testing.T) {
	t.Parallel()
	nodes := testserver.Galera(t)
	// crowd starts clients on all three nodes, and some that may go to any of them. A client sees
	// at once what a client of another node has done.
	crowd := func(t *testing.T) (c *crew, anywhere []*process, url string) {
		t.Helper()
		db := nodes[0].NewDB(t)
		url = nodes[0].URL(db) + "&wsrep_sync_wait=1"
		c = newCrew(t, url)
		for i := range 6 {
			c.start(nodes[i%3].URL(db) + "&wsrep_sync_wait=1")
		}
		for i := range 3 {
			anywhere = append(anywhere, c.start(fmt.Sprintf("mysql://root@%s,%s,%s/%s?wsrep_sync_wait=1",
				nodes[i].TCP(), nodes[(i+1)%3].TCP(), nodes[(i+2)%3].TCP(), db)))
		}
		return c, anywhere, url
	}
	t.Run("commits that conflict with another node's are repeated", func(t *testing.T) {
		before := lostCommits(t, nodes)
		c, _, url := crowd(t)
		time.Sleep(loadTime())
		for end := time.Now().Add(stuck); lostCommits(t, nodes) == before; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("no commit ever conflicts with another node's")
			}
		}
		c.finish()
		c.check(url)
		t.Logf("%d commits lost against another node's", lostCommits(t, nodes)-before)
	})
	t.Run("numbers are given once, whatever is aborted", func(t *testing.T) { numbersAreGivenOnce(t, nodes) })
	t.Run("a node that is killed rejoins", func(t *testing.T) {
		c, anywhere, url := crowd(t)
		for range max(1, kills()/4) {
			c.progress()
			randomPause()
			node := nodes[1+rand.IntN(2)] // the check asks the first
			node.Kill()
			c.progress(anywhere...) // while the node is away
			node.Restart()
		}
		c.progress()
		c.finish()
		c.check(url)
	})
}

// lostCommits counts the transactions that lost against one of another node: each was given up by
// error 1213.
func lostCommits(t *testing.T, nodes [3]*testserver.Server) (n int) {
	t.Helper()
	for _, node := range nodes {
		db := node.Open(t, "")
		for _, variable := range []string{"wsrep_local_cert_failures", "wsrep_local_bf_aborts"} {
			var name string
			var count int
			if err := db.QueryRowContext(t.Context(), "SHOW GLOBAL STATUS LIKE '"+variable+"'").Scan(&name, &count); err != nil {
				t.Fatal(err)
			}
			n += count
		}
		db.Close()
	}
	return n
}
