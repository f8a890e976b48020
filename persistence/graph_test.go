package persistence_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/brine-go/brine/persistence"
)

// Link is an element of long chains.
type Link struct {
	persistence.Persistable
	N    int
	Next *Link
}

func init() { persistence.Register[Link]("test.Link") }

func TestChainsAndCyclesHaveNoDepth(t *testing.T) {
	old := debug.SetMaxStack(16 << 20)
	t.Cleanup(func() { debug.SetMaxStack(old) })
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		length, round := chainLengths(url)
		links := make([]Link, length)
		for i := range links {
			links[i].N = i
			if i+1 < len(links) {
				links[i].Next = &links[i+1]
			}
		}
		cycle := make([]Link, round)
		for i := range cycle {
			cycle[i].N, cycle[i].Next = i, &cycle[(i+1)%len(cycle)]
		}
		for _, c := range []struct {
			root *Link
			want int
			back bool
		}{{&links[0], length, false}, {&cycle[0], len(cycle), true}} {
			id := must[persistence.ID](t)(s.Save(ctx, c.root))
			first := must[*Link](t)(persistence.Load[Link](ctx, s, id))
			n := 0
			last := first
			for l := first; l != nil; l = l.Next {
				if l.N != n {
					t.Fatalf("link %d has N = %d", n, l.N)
				}
				n++
				if last = l; l.Next == first {
					break
				}
			}
			if n != c.want || (last.Next == first) != c.back {
				t.Fatalf("%d links, back to the first: %v", n, last.Next == first)
			}
		}
	})
}

// chainLengths returns the lengths of a chain and of a cycle. The code that follows references
// is the same on every backend; the short ones are still several batches and pages.
func chainLengths(url string) (chain, cycle int) {
	switch {
	case long():
		return 100_000, 10_000
	case url == "mem:":
		return 25_000, 5000
	default:
		return 1000, 1000
	}
}

func TestOneIDIsOnePointerWithinAnIteration(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		n := 3000 // several pages
		if testing.Short() {
			n = 1000
		}
		objs := make([]any, n)
		shared := &File{Path: "/shared"}
		var prev *Task
		for i := range n {
			task := &Task{Prio: i, Files: map[string]*File{"s": shared}}
			if prev != nil {
				prev.Deps = []*Task{task}
			}
			if i%100 != 0 {
				prev = task
			} else {
				prev = nil
			}
			objs[i] = task
		}
		must[[]persistence.ID](t)(s.SaveAll(ctx, objs...))
		kept := make(map[persistence.ID]*Task)
		var file *File
		for obj, err := range s.All(ctx, nil) {
			if err != nil {
				t.Fatal(err)
			}
			task, ok := obj.(*Task)
			if !ok {
				if file != nil && obj != file {
					t.Fatal("two pointers for the shared file")
				}
				continue
			}
			if file == nil {
				file = task.Files["s"]
			}
			if task.Files["s"] != file {
				t.Fatal("the shared file is another pointer")
			}
			if old := kept[task.PersistentID()]; old != nil && old != task {
				t.Fatalf("two pointers for %s", task.PersistentID())
			}
			kept[task.PersistentID()] = task
			for _, d := range task.Deps {
				if old := kept[d.PersistentID()]; old != nil && old != d {
					t.Fatalf("two pointers for %s", d.PersistentID())
				}
				kept[d.PersistentID()] = d
			}
		}
		if len(kept) != n {
			t.Fatalf("%d tasks, want %d", len(kept), n)
		}
		runtime.KeepAlive(kept)
	})
}

func TestSavingAndRemovingInsideAnIterationWorks(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		var objs []any
		for i := range 500 {
			objs = append(objs, &Task{Prio: i})
		}
		ids := must[[]persistence.ID](t)(s.SaveAll(ctx, objs...))
		seen := make(map[persistence.ID]bool)
		for task, err := range persistence.All[Task](ctx, s, &persistence.Query{After: ids[9]}) {
			if err != nil {
				t.Fatal(err)
			}
			if seen[task.PersistentID()] {
				t.Fatalf("%s appears twice", task.PersistentID())
			}
			seen[task.PersistentID()] = true
			if task.Prio%2 == 0 {
				task.State = "EVEN"
				must[persistence.ID](t)(s.Save(ctx, task))
			} else if err := s.Remove(ctx, task.PersistentID()); err != nil {
				t.Fatal(err)
			}
		}
		if n := must[int64](t)(s.Count(ctx, &persistence.Query{State: []string{"EVEN"}})); n != 245 || len(seen) != 490 {
			t.Errorf("%d even ones of %d", n, len(seen))
		}
	})
}

func TestOneBadRecordDoesNotHideTheOthers(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	s, ctx := open(t, "file:"+dir, nil), t.Context()
	var objs []any
	for i := range 40 {
		objs = append(objs, &Task{Prio: i})
	}
	objs[5].(*Task).Deps = []*Task{objs[20].(*Task)} // refers to the damaged one
	ids := must[[]persistence.ID](t)(s.SaveAll(ctx, objs...))
	unreg := must[persistence.ID](t)(s.Save(ctx, &Unregistered{}))
	if err := s.Remove(ctx, ids[30]); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, string(ids[20]))
	data := must[[]byte](t)(os.ReadFile(path))
	data[len(data)-9] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	good := 0
	var bad []error
	for _, err := range s.All(ctx, nil) {
		if err == nil {
			good++
		} else {
			bad = append(bad, err)
		}
	}
	if good != 37 || len(bad) != 3 {
		t.Fatalf("%d good, errors %v", good, bad)
	}
	is := func(target error, id persistence.ID) bool {
		return slices.ContainsFunc(bad, func(err error) bool {
			return wraps(err, target) && wordIn(err, fmt.Sprintf("%q", id))
		})
	}
	if !is(persistence.ErrCorrupt, ids[20]) || !is(persistence.ErrUnknownType, unreg) {
		t.Errorf("errors %v", bad)
	}
	if now := must[[]byte](t)(os.ReadFile(path)); !slices.Equal(now, data) {
		t.Error("the damaged file was touched")
	}
	_, err := s.Load(ctx, ids[5])
	wantIs(t, err, persistence.ErrCorrupt, string(ids[20]))
}

func TestMemoryOfIterationsDoesNotGrowWithTheNumberOfRecords(t *testing.T) {
	if testing.Short() {
		t.Skip("fills stores with 100,000 records")
	}
	names := []string{"fs", "sqlite"}
	if long() {
		names = append(names, "postgres", "mariadb")
	}
	for _, backend := range names { // one by one: the heap is that of the process
		t.Run(backend, func(t *testing.T) {
			s, ctx := open(t, storeURL(t, backend), nil), t.Context()
			peak := func() (list, all uint64) {
				for _, err := range s.List(ctx, nil) {
					if err != nil {
						t.Fatal(err)
					}
				}
				list = peakHeap(func(sample func()) {
					for range s.List(ctx, nil) {
						sample()
					}
				})
				all = peakHeap(func(sample func()) {
					for range s.All(ctx, nil) {
						sample()
					}
				})
				return list, all
			}
			fill := func(upTo int) {
				const batch = 2000
				for n := int(must[int64](t)(s.Count(ctx, nil))); n < upTo; n += batch {
					objs := make([]any, batch)
					for i := range objs {
						objs[i] = &Task{Prio: i, Name: "a name"}
					}
					must[[]persistence.ID](t)(s.SaveAll(ctx, objs...))
				}
			}
			small, large := 2000, 12_000
			if long() { // both are more than the range of IDs that fs keeps
				small, large = 50_000, 100_000
			}
			fill(small)
			list1, all1 := peak()
			fill(large)
			list2, all2 := peak()
			t.Logf("peak heap above the start: List %d KiB at %d, %d KiB at %d; All %d KiB, %d KiB",
				list1>>10, small, list2>>10, large, all1>>10, all2>>10)
			const slack = 1 << 20
			if list2 > list1+slack || all2 > all1+slack {
				t.Error("memory grows with the number of records")
			}
		})
	}
}

// peakHeap runs fn and returns the largest live heap sampled, above that at the start.
func peakHeap(fn func(sample func())) uint64 {
	live := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	start, peak, n := live(), uint64(0), 0
	fn(func() {
		if n++; n%900 == 0 {
			if now := live(); now > start {
				peak = max(peak, now-start)
			}
		}
	})
	return peak
}
