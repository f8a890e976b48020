package persistence_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence"
)

// long reports whether tests run in their long form, with more rounds and more files.
func long() bool { return os.Getenv("BRINE_LONG") != "" }

func wraps(err, target error) bool { return errors.Is(err, target) }

func wordIn(err error, word string) bool { return strings.Contains(err.Error(), word) }

// children are the parts of tests that run in a process of their own, by name.
var children = map[string]func(ctx context.Context, s *persistence.Store) error{
	"graphs":   saveGraphs,
	"mixed":    saveMixed,
	"keep":     storeFull,
	"matrix":   matrixStep,
	"vet":      storeOld,
	"tree":     saveTree,
	"copy":     copyBeside,
	"copymany": copyOfMany,
	"collect":  collectMeasured,
}

// child runs the child that the environment names, and reports whether there was one.
func child() bool {
	run := children[os.Getenv("BRINE_TEST_CHILD")]
	if run == nil {
		return false
	}
	ctx := context.Background()
	s, err := persistence.MakeStore(ctx, os.Getenv("BRINE_TEST_URL"), &persistence.Options{Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		err = errors.Join(run(ctx, s), s.Close())
	}
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	return true
}

// start starts a child on a store. The channel receives the lines of its output and is closed
// at its end.
func start(t *testing.T, name, url string) (*exec.Cmd, <-chan string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "BRINE_TEST_CHILD="+name, "BRINE_TEST_URL="+url, "BRINE_TEST_TIME="+stressTime().String())
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 1<<16)
	go func() {
		defer close(lines)
		for sc := bufio.NewScanner(out); sc.Scan(); {
			lines <- sc.Text()
		}
	}()
	return cmd, lines
}

const graphSize = 40

// saveGraphs alternately saves new graphs and new versions of the last one. It acknowledges
// each on its output with the ID of the root and the version, which every object of the graph
// has.
func saveGraphs(ctx context.Context, s *persistence.Store) error {
	for {
		tasks := make([]*Task, graphSize)
		for i := range tasks {
			tasks[i] = &Task{Name: strings.Repeat("x", 500)}
		}
		for i, task := range tasks {
			task.Deps = []*Task{tasks[(i+1)%graphSize], tasks[(i*i+3)%graphSize]}
		}
		for version := 1; version <= 3; version++ {
			for _, task := range tasks {
				task.Prio = version
			}
			id, err := s.Save(ctx, tasks[0])
			if err != nil {
				return err
			}
			fmt.Println("saved", id, version)
		}
	}
}

// checkGraph loads a graph and returns the version that all of its objects have.
func checkGraph(t *testing.T, s *persistence.Store, id persistence.ID) int {
	t.Helper()
	root, err := persistence.Load[Task](t.Context(), s, id)
	if err != nil {
		t.Fatalf("graph %s is not whole: %v", id, err)
	}
	seen := map[*Task]bool{}
	for task := root; !seen[task]; task = task.Deps[0] {
		seen[task] = true
		if task.Prio != root.Prio {
			t.Fatalf("graph %s is half saved: versions %d and %d", id, root.Prio, task.Prio)
		}
	}
	if len(seen) != graphSize {
		t.Fatalf("graph %s has %d objects, want %d", id, len(seen), graphSize)
	}
	return root.Prio
}

func TestGraphsSurviveTheKillOfTheirProcessWhole(t *testing.T) {
	t.Parallel()
	for _, backend := range []string{"fs", "sqlite"} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			kills := 5
			switch {
			case long():
				kills = 50
			case testing.Short():
				kills = 2
			}
			url := storeURL(t, backend)
			acked := map[persistence.ID]int{}
			for round := range kills {
				cmd, lines := start(t, "graphs", url)
				if line, ok := <-lines; !ok || !strings.HasPrefix(line, "saved") {
					t.Fatalf("the child said %q", line)
				} else {
					note(t, acked, line)
				}
				time.Sleep(time.Duration(rand.IntN(150_000)) * time.Microsecond)
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				for line := range lines {
					note(t, acked, line)
				}
				_ = cmd.Wait()
				s := open(t, url, nil)
				for id, version := range acked {
					if got := checkGraph(t, s, id); got < version {
						t.Fatalf("round %d: graph %s has version %d, acknowledged was %d", round, id, got, version)
					}
				}
				if n := must[int64](t)(s.Count(t.Context(), nil)); n%graphSize != 0 {
					t.Fatalf("round %d: %d records are not whole graphs of %d", round, n, graphSize)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("%d kills, %d graphs acknowledged, all whole", kills, len(acked))
		})
	}
}

func note(t *testing.T, acked map[persistence.ID]int, line string) {
	t.Helper()
	f := strings.Fields(line)
	if len(f) != 3 || f[0] != "saved" {
		t.Fatalf("the child said %q", line)
	}
	version, err := strconv.Atoi(f[2])
	if err != nil {
		t.Fatal(err)
	}
	acked[persistence.ID(f[1])] = max(acked[persistence.ID(f[1])], version)
}

func stressTime() time.Duration {
	switch {
	case long():
		return 20 * time.Second
	case testing.Short():
		return 200 * time.Millisecond
	}
	return 2 * time.Second
}

// saveMixed saves, loads, replaces and removes in four goroutines. It writes to its output what
// the store holds at the end and every ID it was given.
func saveMixed(ctx context.Context, s *persistence.Store) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var first error
	span, err := time.ParseDuration(os.Getenv("BRINE_TEST_TIME"))
	if err != nil {
		return err
	}
	end := time.Now().Add(span)
	for g := range 4 {
		wg.Go(func() {
			err := func() error {
				mine := map[persistence.ID]int{}
				var order []persistence.ID
				for i := 0; time.Now().Before(end); i++ {
					task := &Task{Prio: i, Deps: []*Task{{Name: "child"}}}
					id, err := s.Save(ctx, task)
					if err != nil {
						return fmt.Errorf("save: %w", err)
					}
					mine[id] = i
					order = append(order, id)
					mu.Lock()
					fmt.Println("given", id)
					fmt.Println("given", task.Deps[0].PersistentID())
					fmt.Println("has", task.Deps[0].PersistentID(), 0)
					mu.Unlock()
					old := order[rand.IntN(len(order))]
					if _, there := mine[old]; !there {
						continue
					}
					got, err := persistence.Load[Task](ctx, s, old)
					if err != nil || got.Prio != mine[old] {
						return fmt.Errorf("load %s: %+v, %w", old, got, err)
					}
					switch i % 3 {
					case 0:
						got.Prio += 1000
						if _, err := s.Save(ctx, got); err != nil {
							return fmt.Errorf("save again: %w", err)
						}
						mine[old] = got.Prio
					case 1:
						if err := s.Replace(ctx, old, &Task{Prio: 7}); err != nil {
							return fmt.Errorf("replace: %w", err)
						}
						mine[old] = 7
					case 2:
						if err := s.Remove(ctx, old); err != nil {
							return fmt.Errorf("remove: %w", err)
						}
						delete(mine, old)
					}
				}
				mu.Lock()
				defer mu.Unlock()
				for id, prio := range mine {
					fmt.Println("has", id, prio)
				}
				return nil
			}()
			mu.Lock()
			defer mu.Unlock()
			if first == nil && err != nil {
				first = fmt.Errorf("goroutine %d: %w", g, err)
			}
		})
	}
	wg.Wait()
	return first
}

func TestTwoProcessesShareAStore(t *testing.T) {
	t.Parallel()
	for _, backend := range []string{"fs", "sqlite"} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			url := storeURL(t, backend)
			s := open(t, url, nil)
			given := map[string]bool{}
			has := map[persistence.ID]int{}
			type running struct {
				cmd   *exec.Cmd
				lines <-chan string
			}
			var procs []running
			for range 2 {
				cmd, lines := start(t, "mixed", url)
				procs = append(procs, running{cmd, lines})
			}
			for _, p := range procs {
				for line := range p.lines {
					switch f := strings.Fields(line); f[0] {
					case "given":
						if given[f[1]] {
							t.Errorf("the ID %s was given twice", f[1])
						}
						given[f[1]] = true
					case "has":
						has[persistence.ID(f[1])], _ = strconv.Atoi(f[2])
					default:
						t.Errorf("a process said %q", line)
					}
				}
				if err := p.cmd.Wait(); err != nil {
					t.Errorf("a process ended with %v", err)
				}
			}
			n := 0
			for id, err := range s.List(t.Context(), nil) {
				if err != nil {
					t.Fatal(err)
				}
				prio, ok := has[id]
				if !ok {
					t.Errorf("%s is there and should not be", id)
					continue
				}
				if got := must[*Task](t)(persistence.Load[Task](t.Context(), s, id)); got.Prio != prio {
					t.Errorf("%s has %d, want %d", id, got.Prio, prio)
				}
				n++
			}
			if n != len(has) || n == 0 {
				t.Errorf("%d objects found, want %d", n, len(has))
			}
			t.Logf("%d IDs given, %d objects at the end", len(given), n)
		})
	}
}

func TestEveryFlippedByteOfAStoredRecordIsCorrupt(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/store.db"
	s, ctx := open(t, "sqlite:"+path, nil), t.Context()
	task := &Task{Name: "flip", Meta: map[string]string{"a": "b"}, Any: []any{1, "x"}, Deps: []*Task{{}}}
	id := must[persistence.ID](t)(s.Save(ctx, task))
	data := record(t, path, id)
	for i := range data {
		for bit := range 8 {
			data[i] ^= 1 << bit
			overwrite(t, path, id, data)
			_, err := s.Load(ctx, id)
			if !wraps(err, persistence.ErrCorrupt) {
				t.Fatalf("byte %d, bit %d flipped: %v", i, bit, err)
			}
			data[i] ^= 1 << bit
			if !long() && bit == i%8 {
				break // some of the bits of each byte
			}
		}
	}
	overwrite(t, path, id, data)
	must[any](t)(s.Load(ctx, id))
}
