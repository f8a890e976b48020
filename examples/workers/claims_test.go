package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// lose ends the claim of an engine, as if it had expired and somebody had released it, and returns
// the key of the engine.
func (b *bench) lose() (owner string) {
	b.Helper()
	for c, err := range b.store.Claims(b.Context()) {
		if err == nil {
			err = c.Release(b.Context())
		}
		if err != nil {
			b.Fatal(err)
		}
		owner = c.Owner()
	}
	if !strings.HasPrefix(owner, "engine-") {
		b.Fatalf("the last claim is that of %q, want an engine's", owner)
	}
	return owner
}

func TestTheResultOfAnEngineThatHasLostItsClaimIsRefused(t *testing.T) {
	benches(t, []string{"sqlite", "postgres"}, func(b *bench) {
		b.file("a", "wait", false)
		first, _ := b.launchAll("10m")
		b.until("a runs", func() bool { return b.noted("begin a") == 1 })
		loser := b.lose()
		b.launch("-lease", "10m", "engine")
		b.until("a runs again", func() bool { return b.noted("begin a") == 2 })
		b.open()
		b.until("the first engine is turned away", func() bool { return strings.Contains(first.out.String(), "too late") })
		key := filepath.Base(b.dir) + "/a"
		b.until("a is completed", func() bool { return b.found()[key].State == Completed })
		if j := b.found()[key]; j.EngineKey == loser || j.Attempts != 2 || j.Result != "a "+key {
			b.Errorf("a is %+v, want it run at the second attempt and not by %s", j, loser)
		}
	})
}

func TestAnEngineBreaksOffAJobWhenItCannotExtendItsClaim(t *testing.T) {
	benches(t, []string{"sqlite", "postgres"}, func(b *bench) {
		b.file("a", "wait", false)
		engine, _ := b.launchAll("300ms")
		b.until("a runs", func() bool { return b.noted("begin a") == 1 })
		b.lose()
		b.until("a runs again", func() bool { return b.noted("begin a") == 2 }) // there is no other engine: so the first run is over
		b.open()
		key := filepath.Base(b.dir) + "/a"
		b.until("a is completed", func() bool { return b.found()[key].State == Completed })
		if j := b.found()[key]; j.Attempts != 2 || b.noted("end a") != 1 || !strings.Contains(engine.out.String(), "too late") {
			b.Errorf("a is %+v and has ended %d times, want 2 attempts, the first broken off", j, b.noted("end a"))
		}
	})
}

// drive lets all roles do their rounds in turn, in this process, until all jobs are finished.
func (r *role) drive(b *bench) {
	b.Helper()
	b.until("all jobs are finished", func() bool {
		for name, step := range roles {
			if _, err := r.round(b.Context(), step); err != nil {
				b.Fatalf("%s: %v", name, err)
			}
		}
		_, done, err := progress(b.Context(), b.store)
		if err != nil {
			b.Fatal(err)
		}
		return done
	})
}

func TestFinishedJobsArePurgedWhenTheyAreOld(t *testing.T) {
	benches(t, append([]string{"mem"}, shared...), func(b *bench) {
		r := &role{store: b.store, key: "all", lease: time.Minute, batch: 4, keep: time.Hour}
		if err := refill(b.Context(), b.store, "", 6); err != nil {
			b.Fatal(err)
		}
		r.drive(b)
		young := len(b.found())
		if err := r.purge(b.Context()); err != nil || len(b.found()) != young || young < 7 {
			b.Errorf("%d jobs are left of %d (%v), want all: they are young; and a batch at least", len(b.found()), young, err)
		}
		if _, err := b.store.Save(b.Context(), &Job{Key: "unfinished", State: Batched}); err != nil {
			b.Fatal(err)
		}
		r.keep = -time.Hour // as if an hour had passed
		if err := r.purge(b.Context()); err != nil {
			b.Fatal(err)
		}
		if found := b.found(); len(found) != 1 || found["unfinished"] == nil {
			b.Errorf("%d jobs are left, want the one that is not finished", len(found))
		}
	})
}

func TestAJobThatKillsItsEnginesIsGivenUp(t *testing.T) {
	benches(t, []string{"mem"}, func(b *bench) {
		j := &Job{Key: "killer", State: Pending, Attempts: maxAttempts, JobSpec: JobSpec{Command: []string{os.Args[0], "job", b.dir, "x", "go"}}}
		if _, err := b.store.Save(b.Context(), j); err != nil {
			b.Fatal(err)
		}
		(&role{store: b.store, key: "all", lease: time.Minute, batch: 4, keep: time.Hour}).drive(b)
		if j := b.found()["killer"]; j.State != Failed || !strings.Contains(strings.Join(j.Errors, ""), "given up") || b.noted("begin x") > 0 {
			b.Errorf("the job is %+v, begun %d times; want it given up and not begun", j, b.noted("begin x"))
		}
	})
}

func TestWhilePausedNobodyTakesAnythingNew(t *testing.T) {
	benches(t, shared, func(b *bench) {
		must := func(verb string) {
			if out, err := b.program(verb); err != nil {
				b.Fatalf("%s: %v\n%s", verb, err, out)
			}
		}
		must("pause")
		if out, err := b.program("pause"); err == nil || !strings.Contains(out, "nothing to pause") {
			b.Errorf("pausing twice: %v\n%s", err, out)
		}
		r, called := &role{store: b.store, key: "all"}, 0
		step := func(*role, context.Context) (bool, error) { called++; return true, nil }
		if found, err := r.round(b.Context(), step); found || err != nil || called != 0 {
			b.Errorf("a round while paused: %v, %v, the role did its work %d times", found, err, called)
		}
		if out, err := b.program("status"); err != nil || !strings.Contains(out, "(paused)") {
			b.Errorf("status does not say paused (%v):\n%s", err, out)
		}
		must("resume")
		if found, err := r.round(b.Context(), step); !found || err != nil || called != 1 {
			b.Errorf("a round after that: %v, %v, the role did its work %d times", found, err, called)
		}
	})
}
