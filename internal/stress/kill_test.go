package stress_test

import (
	"math/rand/v2"
	"testing"
	"time"
)

// kills is how often something is killed.
func kills() int {
	switch {
	case long():
		return 20
	case testing.Short():
		return 2
	}
	return 3
}

// randomPause waits for a moment of load, of random length: a kill may come anywhere in an
// operation.
func randomPause() {
	pause := 300*time.Millisecond + rand.N(700*time.Millisecond)
	if testing.Short() {
		pause /= 3
	}
	time.Sleep(pause)
}

func TestNothingIsLostWhenClientsAreKilled(t *testing.T) {
	t.Parallel()
	embedded(t, func(t *testing.T, url string) {
		c := newCrew(t, url)
		for range clients() {
			c.start(url)
		}
		for range kills() {
			randomPause()
			for range len(c.clients) / 2 {
				c.kill(rand.IntN(len(c.clients)), url)
			}
		}
		c.finish()
		if r := c.check(url); r.Uncertain+r.Lost > 0 {
			t.Errorf("%d attempts uncertain, %d connections lost, where there is no server", r.Uncertain, r.Lost)
		}
	})
}

func TestNothingIsLostWhenTheServerIsKilled(t *testing.T) {
	t.Parallel()
	servers(t, func(t *testing.T, kind kindOf) {
		srv := kind.start(t)
		url := srv.URL(srv.NewDB(t))
		c := newCrew(t, url)
		for range clients() {
			c.start(url)
		}
		for range kills() {
			c.progress()
			randomPause()
			srv.Kill()
			time.Sleep(rand.N(300 * time.Millisecond))
			srv.Restart()
		}
		c.progress()
		c.finish()
		c.check(url)
	})
}
