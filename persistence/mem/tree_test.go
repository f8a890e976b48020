package mem

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/brine-go/brine/persistence/driver"
	"pgregory.net/rapid"
)

func compareText(a, b driver.ID) int { return strings.Compare(string(a), string(b)) }

func idsOf(n *node) (ids []driver.ID) {
	n.ascend(func(r *driver.Record) bool {
		ids = append(ids, r.ID)
		return true
	})
	return ids
}

// depth returns the depth of a tree, and whether it has the heap property.
func depth(n *node) (int, bool) {
	if n == nil {
		return 0, true
	}
	l, lok := depth(n.left)
	r, rok := depth(n.right)
	ok := lok && rok && (n.left == nil || n.left.prio <= n.prio) && (n.right == nil || n.right.prio <= n.prio)
	return 1 + max(l, r), ok
}

// TestTree runs random batches on a tree and on a map, and keeps every root to check that none
// changes later.
func TestTree(t *testing.T) {
	t.Parallel()
	ids := rapid.Map(rapid.StringMatching("[a-d]{1,2}"), func(s string) driver.ID { return driver.ID(s) })
	rapid.Check(t, func(t *rapid.T) {
		var root *node
		have := map[driver.ID]*driver.Record{}
		var roots []*node
		var states []map[driver.ID]*driver.Record
		for batch := range rapid.IntRange(1, 6).Draw(t, "batches") {
			w := writer{batch: uint64(batch + 1), compare: compareText}
			for range rapid.IntRange(0, 12).Draw(t, "writes") {
				id := ids.Draw(t, "id")
				if rapid.Bool().Draw(t, "remove") {
					root = w.remove(root, id)
					delete(have, id)
				} else {
					rec := &driver.Record{ID: id}
					root = w.put(root, rec)
					have[id] = rec
				}
			}
			roots, states = append(roots, root), append(states, maps.Clone(have))
		}
		after := ids.Draw(t, "after")
		for i, root := range roots {
			want := slices.Sorted(maps.Keys(states[i]))
			if got := idsOf(root); !slices.Equal(want, got) {
				t.Fatalf("batch %d left %q, not %q", i, want, got)
			}
			for id, rec := range states[i] {
				if root.get(id, compareText) != rec {
					t.Fatalf("batch %d left another record %q", i, id)
				}
			}
			var tail []driver.ID
			root.ascendAfter(after, compareText, func(r *driver.Record) bool {
				tail = append(tail, r.ID)
				return len(tail) < 3
			})
			want = slices.DeleteFunc(want, func(id driver.ID) bool { return id <= after })
			if want = want[:min(3, len(want))]; !slices.Equal(want, tail) {
				t.Fatalf("three after %q are %q, not %q", after, want, tail)
			}
			if _, ok := depth(root); !ok {
				t.Fatal("a child has a greater priority than its parent")
			}
		}
	})
}

func TestTreeStaysFlat(t *testing.T) {
	t.Parallel()
	const n = 100_000
	var root *node
	w := writer{batch: 1, compare: driver.NewColumns(driver.Schema{IntegerIDs: true}).CompareIDs}
	for _, r := range records(n) { // in order: the worst case of an unbalanced tree
		root = w.put(root, &r)
	}
	// The expected depth is about 40; 100 is impossible in practice.
	if d, _ := depth(root); d > 100 {
		t.Errorf("%d records in order make a tree of depth %d", n, d)
	}
}
