package persistence_test

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence"
)

// collectMeasured collects what the record with the first ID does not reach, and prints by how much
// the live heap grew, and how much was collected.
func collectMeasured(ctx context.Context, s *persistence.Store) error {
	debug.SetGCPercent(10)
	var root persistence.ID
	for id, err := range s.List(ctx, &persistence.Query{Where: []persistence.Cond{persistence.Eq("state", "ROOT")}}) {
		if err != nil {
			return err
		}
		root = id
	}
	began := time.Now()
	var report persistence.GraphReport
	bytes, err := liveHeap(func() (err error) {
		report, err = s.Collect(ctx, []persistence.ID{root}, noGrace)
		return err
	})
	fmt.Println(bytes, report.Removed, report.Kept, time.Since(began).Milliseconds())
	return err
}

// Half of the records are garbage, in groups of a hundred.
func TestCollectNeedsBitsForEachRecord(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("saves 20,000 objects")
	}
	n := 10_000
	if long() {
		n = 1_000_000
	}
	for name, kind := range map[string]struct {
		ids  idfactory.Factory
		each int // bytes of memory for each record
	}{
		"integers": {nil, 2},
		"texts":    {idfactory.UUIDv7(), 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, ctx := storeURL(t, "sqlite"), t.Context()
			s := open(t, url, &persistence.Options{IDs: kind.ids})
			root := &Vertex{Name: "root", State: "ROOT"}
			for i := 0; i < n/100; i += 100 {
				var heads []any
				for j := range 100 {
					head := &Vertex{Name: "head"}
					for range 99 {
						head.Next = append(head.Next, &Vertex{Name: "member", Pad: make([]byte, 50)})
					}
					if heads = append(heads, head); j%2 == 0 {
						root.Next = append(root.Next, head)
					}
				}
				must[[]persistence.ID](t)(s.SaveAll(ctx, heads...))
				for _, head := range heads {
					head.(*Vertex).Next = nil // SaveOnly does not look at it again
				}
			}
			must[[]persistence.ID](t)(s.SaveOnly(ctx, root))
			cmd, lines := start(t, "collect", url)
			var bytes, removed, kept, took int
			for line := range lines {
				if _, err := fmt.Sscan(line, &bytes, &removed, &kept, &took); err != nil {
					t.Fatalf("the child printed %q", line)
				}
			}
			check(t, cmd.Wait())
			t.Logf("%d removed and %d kept in %d ms, with %d KB of memory", removed, kept, took, bytes>>10)
			if removed != n/2 || kept != n/2+1 {
				t.Errorf("%d removed and %d kept, want half of %d", removed, kept, n)
			}
			const page = 80 << 20 // what a page of records and a step of 8192 need
			if most := page + kind.each*n; bytes > most {
				t.Errorf("it took %d KB of memory, want %d at most", bytes>>10, most>>10)
			}
		})
	}
}

// What a package of Debian, or a commit, does not reach is collected, and comes back as it was.
func TestCollectOnRealGraphs(t *testing.T) {
	t.Parallel()
	for name, load := range map[string]func(t *testing.T, url string) (a *Archive, root any){
		"debian": func(t *testing.T, url string) (*Archive, any) {
			a := debian(t, long())
			return a, a.Packages[len(a.Packages)/2]
		},
		"git-commits": func(t *testing.T, url string) (*Archive, any) {
			a := commits(t, long())
			return a, a.Commits[len(a.Commits)/2]
		},
	} {
		t.Run(name, func(t *testing.T) {
			backends(t, func(t *testing.T, url string) {
				s, ctx := open(t, url, nil), t.Context()
				a, root := load(t, url)
				must[persistence.ID](t)(s.Save(ctx, a))
				want := map[persistence.ID]bool{}
				todo := []any{root}
				reach := func(id persistence.ID, next ...any) {
					if !want[id] {
						want[id] = true
						todo = append(todo, next...)
					}
				}
				for len(todo) > 0 {
					obj := todo[len(todo)-1]
					todo = todo[:len(todo)-1]
					switch v := obj.(type) {
					case *Package:
						if v != nil {
							reach(v.PersistentID(), anys(slices.Concat(v.Depends, v.Recommends, v.Suggests))...)
						}
					case *Commit:
						if v != nil {
							reach(v.PersistentID(), anys(v.Parents)...)
						}
					}
				}
				before := everyRecord(t, s)
				id := root.(persistence.Object).PersistentID()
				began := time.Now()
				report := must[persistence.GraphReport](t)(s.Collect(ctx, []persistence.ID{id}, noGrace))
				t.Logf("%d removed and %d kept in %v", report.Removed, report.Kept, time.Since(began).Round(time.Millisecond))
				if d := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(slices.Values(list(t, s, nil)))); d != "" {
					t.Fatalf("what stays (-want +got): %s", d)
				}
				if report.Kept != int64(len(want)) || report.Removed != int64(len(before)-len(want)) {
					t.Errorf("the report says %d and %d, want %d and %d", report.Removed, report.Kept, len(before)-len(want), len(want))
				}
				var away []persistence.ID
				for id := range before {
					if !want[id] {
						away = append(away, id)
					}
				}
				for some := range slices.Chunk(away, 500) {
					check(t, s.Unquarantine(ctx, some...))
				}
				if d := cmp.Diff(before, everyRecord(t, s)); d != "" {
					t.Errorf("what came back is not what was put away: %s", d)
				}
			})
		})
	}
}

// anys returns a slice of values of any type.
func anys[T any](all []T) []any {
	out := make([]any, len(all))
	for i := range all {
		out[i] = all[i]
	}
	return out
}
