package stress_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/brine-go/brine/internal/stress"
	"github.com/brine-go/brine/internal/testserver"
)

// newClaimants stores chores, and returns a crew of those who are to claim them.
func newClaimants(t *testing.T, url string, chores int, cfg stress.ClaimConfig) *crew {
	t.Helper()
	s := openStore(t, url)
	if err := stress.PrepareChores(t.Context(), s, chores); err != nil {
		t.Fatal(err)
	}
	return &crew{t: t, dir: t.TempDir(), claims: &cfg}
}

// settle waits until the claimants have done all chores, and checks what they leave.
func (c *crew) settle(url string, chores int) *stress.ClaimReport {
	c.t.Helper()
	for _, p := range c.clients {
		c.wait(p)
	}
	r, err := stress.CheckClaims(c.t.Context(), openStore(c.t, url), chores, c.journals...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Log(r)
	for _, finding := range r.Findings {
		c.t.Error(finding)
	}
	return r
}

// chores is how many there are.
func chores() int {
	switch {
	case long():
		return 10_000
	case testing.Short():
		return 120
	}
	return 300
}

func TestClaimantsDoEachChoreOnce(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, url string) {
		c := newClaimants(t, url, chores(), stress.ClaimConfig{Lease: time.Hour})
		for range clients() {
			c.start(url)
		}
		if r := c.settle(url, chores()); r.Late+r.Away > 0 || r.Acked != int64(chores()) {
			t.Errorf("nobody was disturbed, and %d came late, %d met no server, %d of %d are acknowledged", r.Late, r.Away, r.Acked, chores())
		}
	})
	t.Run("galera", func(t *testing.T) {
		t.Parallel()
		if !long() {
			t.Skip("starts another cluster: with BRINE_LONG=1")
		}
		nodes := testserver.Galera(t)
		db := nodes[0].NewDB(t)
		urls := make([]string, len(nodes))
		for i, node := range nodes {
			urls[i] = node.URL(db) + "&wsrep_sync_wait=1"
		}
		c := newClaimants(t, urls[0], chores(), stress.ClaimConfig{Lease: time.Hour})
		for i := range clients() {
			c.start(urls[i%len(urls)])
		}
		c.settle(urls[0], chores())
	})
}

// TestClaimsOfTheDeadAndTheSleepingLapse kills claimants, and stops others for longer than their leases.
func TestClaimsOfTheDeadAndTheSleepingLapse(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, url string) {
		lease := 400 * time.Millisecond
		if long() {
			lease = 2 * time.Second // enough for a hundred chores at a time, on any backend
		}
		c := newClaimants(t, url, chores(), stress.ClaimConfig{Lease: lease, Work: 2 * time.Millisecond})
		for range clients() {
			c.start(url)
		}
		for round := range kills() {
			time.Sleep(rand.N(200 * time.Millisecond))
			if round%2 == 0 {
				c.kill(rand.IntN(len(c.clients)), url)
				continue
			}
			sleeper := c.clients[rand.IntN(len(c.clients))]
			if err := stopProcess(sleeper.cmd.Process); err != nil {
				t.Log("not stopped:", err) // it has done its work, mostly
				continue
			}
			time.Sleep(lease + rand.N(lease))
			if err := continueProcess(sleeper.cmd.Process); err != nil {
				t.Error(err)
			}
		}
		c.settle(url, chores())
	})
}
