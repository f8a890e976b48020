package stress_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brine-go/brine/internal/stress"
	"github.com/brine-go/brine/internal/testserver"
)

// A race is what a racing process is told.
type race struct {
	URL         string
	Racer, Keys int
}

const raceVariable = "BRINE_STRESS_RACER"

// racer runs the racer that the environment names, and reports whether there was one.
func racer() bool {
	text := os.Getenv(raceVariable)
	if text == "" {
		return false
	}
	err := func() error {
		var r race
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			return err
		}
		s, err := stress.OpenKeyed(context.Background(), r.URL)
		if err != nil {
			return err
		}
		defer s.Close()
		won, err := stress.Race(context.Background(), s, r.Racer, r.Keys)
		fmt.Println(won)
		return err
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "racer:", err)
		os.Exit(1)
	}
	return true
}

// TestEachKeyIsStoredOnce has processes insert the same keys, each twice: every key is stored once,
// and every loser is told who has it. BRINE_LONG=1: eight processes, 10,000 keys, and the nodes of
// a Galera cluster.
func TestEachKeyIsStoredOnce(t *testing.T) {
	t.Parallel()
	keys := 200
	switch {
	case long():
		keys = 10_000
	case testing.Short():
		keys = 50
	}
	everywhere(t, func(t *testing.T, url string) { raceFor(t, keys, url) })
	t.Run("mem", func(t *testing.T) { // by goroutines: no other process has it
		t.Parallel()
		s, err := stress.OpenKeyed(t.Context(), "mem:")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		var all sync.WaitGroup
		var won atomic.Int64
		for i := range clients() {
			all.Go(func() {
				n, err := stress.Race(t.Context(), s, i, keys)
				if err != nil {
					t.Error(err)
				}
				won.Add(int64(n))
			})
		}
		all.Wait()
		if won.Load() != int64(keys) {
			t.Errorf("%d of %d keys are stored", won.Load(), keys)
		}
		if err := stress.CheckKeys(t.Context(), s, keys); err != nil {
			t.Error(err)
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
		raceFor(t, keys, urls...)
	})
}

func raceFor(t *testing.T, keys int, urls ...string) {
	t.Helper()
	s, err := stress.OpenKeyed(t.Context(), urls[0])
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	begin := time.Now()
	type result struct {
		won int
		err error
	}
	results := make(chan result, clients())
	for i := range clients() {
		text, err := json.Marshal(race{urls[i%len(urls)], i, keys})
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), raceVariable+"="+string(text))
		var out, complaints bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &complaints
		go func() {
			var r result
			if r.err = cmd.Run(); r.err != nil {
				r.err = fmt.Errorf("%w: %s", r.err, complaints.String())
			} else {
				_, r.err = fmt.Sscan(strings.TrimSpace(out.String()), &r.won)
			}
			results <- r
		}()
	}
	won := 0
	for range clients() {
		r := <-results
		if r.err != nil {
			t.Error(r.err)
		}
		won += r.won
	}
	if won != keys {
		t.Errorf("%d processes have stored %d of %d keys", clients(), won, keys)
	}
	if err := stress.CheckKeys(t.Context(), s, keys); err != nil {
		t.Error(err)
	}
	t.Logf("%d keys by %d processes in %v", keys, clients(), time.Since(begin).Round(time.Millisecond))
}
