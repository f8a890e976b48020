package persistence_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence"
)

// noGrace are options for tests, whose records are new.
var noGrace = persistence.CollectOptions{Grace: time.Nanosecond}

func collectNow(t *testing.T, s *persistence.Store, roots ...persistence.ID) persistence.GraphReport {
	t.Helper()
	return must[persistence.GraphReport](t)(s.Collect(t.Context(), roots, noGrace))
}

func TestCollectAgainstAModel(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		for seed := range uint64(3) {
			rng := rand.New(rand.NewPCG(seed, 3))
			check(t, errOf(s.RemoveAll(ctx, nil)))
			check(t, errOf(s.Purge(ctx, time.Now().Add(time.Hour))))
			g := randomGraph(t, s, rng, 120)
			id := func(i int) persistence.ID { return g.all[i].PersistentID() }
			// A claimed record, one in quarantine and a dangling reference.
			claimed := must[[]*persistence.Claim](t)(s.Claim(ctx, &persistence.Query{Where: []persistence.Cond{persistence.Eq("id", string(id(5)))}},
				persistence.ClaimOptions{Owner: "me", Lease: time.Microsecond}))
			if len(claimed) != 1 {
				t.Fatalf("%d claims", len(claimed))
			}
			check(t, s.Quarantine(ctx, "why", id(6)))
			check(t, s.Remove(ctx, id(7)))
			gone := map[persistence.ID]bool{id(6): true, id(7): true}
			roots := []persistence.ID{id(1), id(2)}
			stays := g.reach(gone, append(slices.Clone(g.refs[id(6)]), id(1), id(2), id(5))...)
			want := map[persistence.ID]bool{}
			for id := range g.refs {
				if !stays[id] && !gone[id] {
					want[id] = true
				}
			}
			if len(want) == 0 || len(stays) < 10 {
				t.Fatalf("%d of garbage and %d that stay: the graph tests nothing", len(want), len(stays))
			}
			before := list(t, s, nil)
			dry := must[persistence.GraphReport](t)(s.Collect(ctx, roots, persistence.CollectOptions{DryRun: true, Grace: 1}))
			if d := cmp.Diff(before, list(t, s, nil)); d != "" || len(quarantined(t, s)) != 1 {
				t.Fatalf("a dry run changed something: %s", d)
			}
			all := map[persistence.ID]*persistence.Record{}
			for id := range want {
				all[id] = must[*persistence.Record](t)(s.Record(ctx, id))
			}
			var done, total int64
			o := noGrace
			o.Progress = func(d, n int64) { done, total = d, n }
			report := must[persistence.GraphReport](t)(s.Collect(ctx, roots, o))
			if d := cmp.Diff(dry, report); d != "" {
				t.Errorf("a dry run said something else: %s", d)
			}
			if d := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(slices.Values(report.IDs))); d != "" {
				t.Fatalf("seed %d (-want +got): %s", seed, d)
			}
			if report.Removed != int64(len(want)) || report.Kept != int64(len(stays)) {
				t.Errorf("the report says %d and %d, want %d and %d", report.Removed, report.Kept, len(want), len(stays))
			}
			if n := int64(len(before)); done != n || total != n {
				t.Errorf("the progress ended with %d of %d, want %d", done, total, n)
			}
			if d := cmp.Diff(slices.Sorted(maps.Keys(stays)), slices.Sorted(slices.Values(list(t, s, nil)))); d != "" {
				t.Fatalf("seed %d: what stays (-want +got): %s", seed, d)
			}
			if again := collectNow(t, s, roots...); again.Removed != 0 {
				t.Errorf("a second run removed %v", again.IDs)
			}
			// It comes back as it was.
			check(t, s.Unquarantine(ctx, report.IDs...))
			for id, was := range all {
				if d := cmp.Diff(was.Info, must[*persistence.Record](t)(s.Record(ctx, id)).Info); d != "" {
					t.Errorf("%s came back as another: %s", id, d)
				}
			}
		}
	})
}

func errOf[T any](_ T, err error) error { return err }

func TestCollectWantsRoots(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		ids := must[[]persistence.ID](t)(s.SaveAll(ctx, &Vertex{}, &Vertex{}))
		if _, err := s.Collect(ctx, nil, noGrace); err == nil {
			t.Error("no roots are no error")
		}
		for _, absent := range []persistence.ID{"777777", "no integer", ""} {
			_, err := s.Collect(ctx, []persistence.ID{ids[0], absent}, noGrace)
			wantIs(t, err, persistence.ErrNotFound)
		}
		if n := len(list(t, s, nil)); n != 2 {
			t.Errorf("%d records are left", n)
		}
	})
}

func TestCollectSparesWhatIsNew(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		tail := &Vertex{Name: "tail"}
		old := &Vertex{Name: "old"}
		root, young := &Vertex{Name: "root"}, &Vertex{Name: "young", Lazy: []persistence.Ref[Vertex]{persistence.RefTo(tail)}}
		ids := must[[]persistence.ID](t)(s.SaveAll(ctx, root, tail, old))
		for _, o := range []persistence.CollectOptions{{}, {Grace: time.Hour}} {
			if r := must[persistence.GraphReport](t)(s.Collect(ctx, ids[:1], o)); r.Removed != 0 || r.Kept != 3 {
				t.Errorf("what is new must be spared: %+v", r)
			}
		}
		time.Sleep(400 * time.Millisecond)
		must[persistence.ID](t)(s.Save(ctx, young))
		r := must[persistence.GraphReport](t)(s.Collect(ctx, ids[:1], persistence.CollectOptions{Grace: 300 * time.Millisecond}))
		if took := r.IDs; !slices.Equal(took, ids[2:3]) {
			// On a slow machine young may have become old too.
			if age := time.Since(must[persistence.Info](t)(s.Stat(ctx, ids[0])).Created); len(took) < 1 || age < 700*time.Millisecond {
				t.Errorf("collected %v, want %v alone", took, ids[2])
			}
		}
	})
}

func TestCollectPutsNothingAwayBesideWhatCannotBeRead(t *testing.T) {
	damaged(t, 6, []persistence.ID{"2"}, func(t *testing.T, s *persistence.Store, _ int) {
		ctx := t.Context()
		unchanged := func(n int) {
			t.Helper()
			_, err := s.Collect(ctx, []persistence.ID{"1"}, noGrace)
			wantIs(t, err, persistence.ErrCorrupt, `"2"`)
			for id := 3; id <= 6; id++ {
				check(t, errOf(s.Load(ctx, persistence.ID(fmt.Sprint(id)))))
			}
			if got := len(quarantined(t, s)); got != n {
				t.Errorf("%d in quarantine, want %d", got, n)
			}
		}
		unchanged(0)
		check(t, s.Quarantine(ctx, "damaged", "2"))
		unchanged(1)
		check(t, errOf(s.Purge(ctx, time.Now().Add(time.Hour))))
		if r := collectNow(t, s, "1"); r.Removed != 4 {
			t.Errorf("then it collects %v", r.IDs)
		}
	})
}

func TestCollectPutsBackWhatIsReachedAgain(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		tail := &Vertex{Name: "tail"}
		ids := must[[]persistence.ID](t)(s.SaveAll(ctx, &Vertex{Name: "root"}, &Vertex{Name: "a", Next: []*Vertex{{Name: "b", Next: []*Vertex{tail}}}}))
		if r := collectNow(t, s, ids[0]); r.Removed != 3 {
			t.Fatalf("collected %v", r.IDs)
		}
		check(t, s.Unquarantine(ctx, ids[1]))
		dry := must[persistence.GraphReport](t)(s.Collect(ctx, ids, persistence.CollectOptions{DryRun: true, Grace: 1}))
		if n := len(quarantined(t, s)); n != 2 || dry.Removed != 0 {
			t.Errorf("after a dry run %d are in quarantine; %+v", n, dry)
		}
		if r := collectNow(t, s, ids...); r.Removed != 0 || r.Kept != 4 {
			t.Errorf("%+v", r)
		}
		got := must[*Vertex](t)(persistence.Load[Vertex](ctx, s, ids[1]))
		if got.Next[0].Next[0].Name != "tail" || len(quarantined(t, s)) != 0 {
			t.Errorf("%d are in quarantine", len(quarantined(t, s)))
		}
	})
}
