package stress_test

import (
	"hash/crc32"
	"path/filepath"
	"testing"
	"time"
)

// loadTime is how long a load goes on.
func loadTime() time.Duration {
	switch {
	case long():
		return 30 * time.Second
	case testing.Short():
		return 200 * time.Millisecond
	}
	return time.Second
}

// clients is how many processes share a store where the number does not matter: to start one costs
// more than what it does.
func clients() int {
	if long() {
		return 8
	}
	return 4
}

// embedded runs a test on an empty store of each backend that needs no server. The short form takes
// one of the two, by the name of the test.
func embedded(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	for i, name := range []string{"fs", "sqlite"} {
		if testing.Short() && int(crc32.ChecksumIEEE([]byte(t.Name())))%2 != i {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := "file:" + filepath.Join(t.TempDir(), "store")
			if name == "sqlite" {
				url = "sqlite:" + filepath.Join(t.TempDir(), "store.db")
			}
			test(t, url)
		})
	}
}

// load runs clients on the store for a while and checks what they leave.
func load(t *testing.T, urls ...string) {
	t.Helper()
	c := newCrew(t, urls[0])
	processes := 8
	if testing.Short() {
		processes = clients()
	}
	for i := range processes {
		c.start(urls[i%len(urls)])
	}
	time.Sleep(loadTime())
	c.finish()
	if r := c.check(urls[0]); r.Doubt+r.InFlight+r.Uncertain+r.Lost > 0 {
		t.Errorf("nobody was killed, and %d operations are in doubt, %d cut off, %d attempts uncertain, %d connections lost",
			r.Doubt, r.InFlight, r.Uncertain, r.Lost)
	}
}

func TestEightProcessesLoseNothing(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, url string) { load(t, url) })
}
