package persistence_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence"
)

// A Vertex is an object of a random graph.
type Vertex struct {
	persistence.Persistable
	Name, State string
	Next        []*Vertex
	Lazy        []persistence.Ref[Vertex]
	Pad         []byte
}

func init() { persistence.Register[Vertex]("graphops.Vertex") }

// A modelGraph is a random graph in a store, and what refers to what in it.
type modelGraph struct {
	all  []*Vertex
	refs map[persistence.ID][]persistence.ID
}

// randomGraph saves a graph of n objects: cycles, lazy references, strays, shared tails,
// references of objects to themselves, and one with so many that its header is long.
func randomGraph(t *testing.T, s *persistence.Store, rng *rand.Rand, n int) *modelGraph {
	t.Helper()
	g := &modelGraph{refs: map[persistence.ID][]persistence.ID{}}
	for i := range n {
		g.all = append(g.all, &Vertex{Name: fmt.Sprint("v", i), Pad: make([]byte, rng.IntN(3)*1000)})
	}
	g.save(t, s, g.all...)
	for i, v := range g.all {
		edges := rng.IntN(3)
		if i == n/2 {
			edges = 900
		}
		for range edges {
			to := g.all[rng.IntN(n)]
			if rng.IntN(3) == 0 {
				v.Lazy = append(v.Lazy, persistence.RefTo(to))
			} else {
				v.Next = append(v.Next, to)
			}
		}
	}
	g.save(t, s, g.all...)
	return g
}

func (g *modelGraph) save(t *testing.T, s *persistence.Store, all ...*Vertex) {
	t.Helper()
	objs := make([]any, len(all))
	for i := range all {
		objs[i] = all[i]
	}
	must[[]persistence.ID](t)(s.SaveAll(t.Context(), objs...))
	for _, v := range all {
		var refs []persistence.ID
		for _, to := range v.Next {
			refs = append(refs, to.PersistentID())
		}
		for _, to := range v.Lazy {
			refs = append(refs, to.ID())
		}
		g.refs[v.PersistentID()] = refs
	}
}

// reach returns what some IDs reach, they included, without passing what is in not.
func (g *modelGraph) reach(not map[persistence.ID]bool, ids ...persistence.ID) map[persistence.ID]bool {
	seen := map[persistence.ID]bool{}
	for todo := slices.Clone(ids); len(todo) > 0; {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !seen[id] && !not[id] {
			seen[id] = true
			todo = append(todo, g.refs[id]...)
		}
	}
	return seen
}

func sorted(ids map[persistence.ID]bool) []persistence.ID {
	all := slices.Sorted(maps.Keys(ids))
	slices.SortFunc(all, func(a, b persistence.ID) int { return len(a) - len(b) })
	return all
}

func TestReferrersAgainstAModel(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		g := randomGraph(t, s, rand.New(rand.NewPCG(1, 1)), 60)
		gone := g.all[7].PersistentID()
		check(t, s.Remove(ctx, gone))
		delete(g.refs, gone)
		for _, v := range g.all {
			want := map[persistence.ID]bool{}
			for from, refs := range g.refs {
				if slices.Contains(refs, v.PersistentID()) {
					want[from] = true
				}
			}
			got := collect(t, s.Referrers(ctx, v.PersistentID()))
			if d := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(slices.Values(got))); d != "" {
				t.Errorf("of %s (-want +got):\n%s", v.PersistentID(), d)
			}
			if !slices.Equal(got, sorted(want)) {
				t.Errorf("of %s: %v is in another order than that of the IDs", v.PersistentID(), got)
			}
		}
		for range s.Referrers(ctx, g.all[0].PersistentID()) {
			break // it releases what it reads with
		}
		check(t, s.Close())
		for _, err := range s.Referrers(ctx, "1") {
			wantIs(t, err, persistence.ErrClosed)
		}
	})
}

func TestRemoveGraphAgainstAModel(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		rng := rand.New(rand.NewPCG(2, 2))
		g := randomGraph(t, s, rng, 60)
		removed, refused := 0, 0
		for range 40 {
			left := slices.Sorted(maps.Keys(g.refs))
			if len(left) == 0 {
				break
			}
			ids := []persistence.ID{left[rng.IntN(len(left))], left[rng.IntN(len(left))]}
			reached := g.reach(nil, ids...)
			outside := []persistence.ID{}
			for id := range g.refs {
				if !reached[id] {
					outside = append(outside, id)
				}
			}
			// What is outside reaches stays, and all else of what the IDs reach goes.
			stays := g.reach(nil, outside...)
			wantErr := stays[ids[0]] || stays[ids[1]]
			want := map[persistence.ID]bool{}
			for id := range reached {
				if _, there := g.refs[id]; there && !stays[id] {
					want[id] = true
				}
			}
			before := list(t, s, nil)
			dry, err := s.RemoveGraph(ctx, persistence.RemoveGraphOptions{DryRun: true}, ids...)
			if d := cmp.Diff(before, list(t, s, nil)); d != "" {
				t.Fatalf("a dry run removed something: %s", d)
			}
			report, err2 := s.RemoveGraph(ctx, persistence.RemoveGraphOptions{}, ids...)
			if wantErr {
				refused++
				wantIs(t, err, persistence.ErrReferenced)
				wantIs(t, err2, persistence.ErrReferenced)
				if d := cmp.Diff(before, list(t, s, nil)); d != "" {
					t.Fatalf("RemoveGraph removed something with ErrReferenced: %s", d)
				}
				continue
			}
			check(t, err)
			check(t, err2)
			removed += len(want)
			if d := cmp.Diff(dry, report); d != "" {
				t.Errorf("a dry run said something else: %s", d)
			}
			if d := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(slices.Values(report.IDs))); d != "" {
				t.Fatalf("of %v (-want +got): %s", ids, d)
			}
			if report.Removed != int64(len(want)) {
				t.Errorf("the report says %d, not %d", report.Removed, len(want))
			}
			for id := range want {
				delete(g.refs, id)
			}
			if got, want := list(t, s, nil), slices.Sorted(maps.Keys(g.refs)); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
				t.Fatalf("left are %v, want %v", got, want)
			}
		}
		if removed == 0 || refused == 0 {
			t.Errorf("%d removed and %d refused: the graph tests nothing", removed, refused)
		}
		_, err := s.RemoveGraph(ctx, persistence.RemoveGraphOptions{}, "777777")
		wantIs(t, err, persistence.ErrNotFound, "777777")
	})
}

func TestRemoveGraphNamesWhatStays(t *testing.T) {
	t.Parallel()
	s, ctx := open(t, "mem:", nil), t.Context()
	a, b, c := &Vertex{Name: "a"}, &Vertex{Name: "b"}, &Vertex{Name: "c"}
	a.Next, b.Next, c.Next = []*Vertex{b}, []*Vertex{a}, []*Vertex{b}
	ids := must[[]persistence.ID](t)(s.SaveAll(ctx, a, b, c))
	_, err := s.RemoveGraph(ctx, persistence.RemoveGraphOptions{}, ids[0])
	wantIs(t, err, persistence.ErrReferenced, fmt.Sprintf("%q", ids[0]), fmt.Sprintf("%q", ids[1]))
	report := must[persistence.GraphReport](t)(s.RemoveGraph(ctx, persistence.RemoveGraphOptions{}, ids[0], ids[2]))
	if report.Removed != 3 || report.Kept != 0 {
		t.Errorf("%+v", report)
	}
}

func TestWriteDOT(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		hostile := "\"];\n<b>&amp;\\N\\\x01" // of a state
		gone := &Vertex{Name: "gone"}
		tail := &Vertex{Name: "tail", State: hostile}
		tail.Next = []*Vertex{tail}
		root := &Vertex{Name: "root", State: "NEW", Next: []*Vertex{tail, gone}}
		for i, v := range []*Vertex{tail, root, gone} {
			check(t, s.Insert(ctx, persistence.ID(fmt.Sprint(10*i+9)), v))
		}
		root.Lazy = []persistence.Ref[Vertex]{persistence.RefTo(tail), persistence.RefTo(root)}
		must[persistence.ID](t)(s.Save(ctx, root))
		check(t, s.Remove(ctx, gone.PersistentID()))
		want := strings.Join([]string{
			"digraph brine {",
			"\tnode [shape=box];",
			"\tn1 [label=\"graphops.Vertex\\n9\\n\\\"];\\n&lt;b&gt;&amp;amp;\\\\N\\\\\uFFFD\"];",
			"\tn2 [label=\"graphops.Vertex\\n19\\nNEW\"];",
			"\tn3 [label=\"29\", style=dotted];",
			"\tn1 -> n1;",
			"\tn2 -> n1;",
			"\tn2 -> n3;",
			"\tn2 -> n1 [style=dashed];",
			"\tn2 -> n2 [style=dashed];",
			"}", "",
		}, "\n")
		for range 3 {
			var b bytes.Buffer
			check(t, s.WriteDOT(ctx, &b, "19", "9"))
			if d := cmp.Diff(want, b.String()); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		}
		var b bytes.Buffer
		wantIs(t, s.WriteDOT(ctx, &b, "9", "29"), persistence.ErrNotFound, `"29"`)
		if b.Len() > 0 {
			t.Errorf("written in spite of the error: %q", &b)
		}
		wantIs(t, s.WriteDOT(ctx, failingWriter{}, "9"), errFullDisk)
	})
}

var errFullDisk = fmt.Errorf("the disk is full")

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errFullDisk }

// An object that is inserted again after its record was removed refers to nothing that was removed
// along with it.
func TestInsertAfterRemovalChecksReferences(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		tail := &Vertex{Name: "tail"}
		head := &Vertex{Name: "head", Next: []*Vertex{tail}}
		id := must[persistence.ID](t)(s.Save(ctx, head))
		report := must[persistence.GraphReport](t)(s.RemoveGraph(ctx, persistence.RemoveGraphOptions{}, id))
		if report.Removed != 2 {
			t.Fatalf("%+v", report)
		}
		wantIs(t, errOf(s.Save(ctx, head)), persistence.ErrConflict)
		wantIs(t, s.Insert(ctx, id, head), persistence.ErrDangling, fmt.Sprintf("%q", tail.PersistentID()))
		if n := len(list(t, s, nil)); n != 0 {
			t.Errorf("%d records are there", n)
		}
		check(t, s.Insert(ctx, tail.PersistentID(), tail))
		check(t, s.Insert(ctx, id, head))
		nothingDangles(t, s)
	})
}
