package stress_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/brine-go/brine/internal/stress"
	"github.com/brine-go/brine/internal/testserver"
)

// newClaimants stores tasks, and returns a crew of those who are to claim them.
func newClaimants(t *testing.T, url string, tasks int, cfg stress.ClaimConfig) *crew {
	t.Helper()
	s := openStore(t, url)
	if err := stress.PrepareTasks(t.Context(), s, tasks); err != nil {
		t.Fatal(err)
	}
	return &crew{t: t, dir: t.TempDir(), claims: &cfg}
}

// settle waits until the claimants have done all tasks, and checks what they leave.
func (c *crew) settle(url string, tasks int) *stress.ClaimReport {
	c.t.Helper()
	for _, p := range c.clients {
		c.wait(p)
	}
	r, err := stress.CheckClaims(c.t.Context(), openStore(c.t, url), tasks, c.journals...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Log(r)
	for _, finding := range r.Findings {
		c.t.Error(finding)
	}
	return r
}

// tasks is how many there are.
func tasks() int {
	switch {
	case long():
		return 10_000
	case testing.Short():
		return 120
	}
	return 300
}

func TestClaimantsDoEachTaskOnce(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, url string) {
		c := newClaimants(t, url, tasks(), stress.ClaimConfig{Lease: time.Hour})
		for range clients() {
			c.start(url)
		}
		if r := c.settle(url, tasks()); r.Late+r.Away > 0 || r.Acked != int64(tasks()) {
			t.Errorf("nobody was disturbed, and %d came late, %d met no server, %d of %d are acknowledged", r.Late, r.Away, r.Acked, tasks())
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
		c := newClaimants(t, urls[0], tasks(), stress.ClaimConfig{Lease: time.Hour})
		for i := range clients() {
			c.start(urls[i%len(urls)])
		}
		c.settle(urls[0], tasks())
	})
}

// TestClaimsOfTheDeadAndTheSleepingLapse kills claimants, and stops others for longer than their
// leases.
func TestClaimsOfTheDeadAndTheSleepingLapse(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, url string) {
		lease, work := 400*time.Millisecond, 2*time.Millisecond
		switch {
		case long():
			lease = 2 * time.Second // enough for a hundred tasks at a time, on any backend
		case testing.Short():
			work = 5 * time.Millisecond // fewer tasks still last longer than what is done to the claimants
		}
		c := newClaimants(t, url, tasks(), stress.ClaimConfig{Lease: lease, Work: work})
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
			if err := continueProcess(sleeper.cmd.Process); errors.Is(err, os.ErrProcessDone) {
				t.Log("was ending when it was stopped")
			} else if err != nil {
				t.Error(err)
			}
		}
		c.settle(url, tasks())
	})
}
