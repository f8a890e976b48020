package persistence_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence"
)

// realGraphs are real graphs by what loading them gives.
type realGraphs struct {
	ids  map[string]persistence.ID // of the roots
	want map[string]map[string]any
}

// fillWithRealData saves the Debian graph, a git history, a workflow and many records of 1 KB with
// extra columns, some of them claimed, and pairs.
func fillWithRealData(t *testing.T, s *persistence.Store) realGraphs {
	t.Helper()
	ctx := t.Context()
	packages, history, flow := debian(t, long()), commits(t, long()), workflow(t, "srasearch-chameleon-50a-003.json")
	g := realGraphs{map[string]persistence.ID{}, map[string]map[string]any{
		"debian": flat(t, packages), "git": flat(t, history), "workflow": flatWorkflow(flow),
	}}
	for name, root := range map[string]any{"debian": packages, "git": history, "workflow": flow} {
		g.ids[name] = must[persistence.ID](t)(s.Save(ctx, root))
	}
	n := 300
	if long() {
		n = 100_000
	}
	for at := 0; at < n; at += 5000 {
		tasks := make([]any, min(5000, n-at))
		for i := range tasks {
			tasks[i] = &Task{Name: fmt.Sprint("task ", at+i), State: "NEW", Prio: at + i, Meta: map[string]string{"text": strings.Repeat("x", 900)}}
		}
		must[[]persistence.ID](t)(s.SaveAll(ctx, tasks...))
	}
	for i := range n / 10 {
		check(t, s.KV().Set(ctx, fmt.Sprint("key ", i), map[string]any{"n": i, "text": "täxt"}))
	}
	claims := must[[]*persistence.Claim](t)(s.Claim(ctx, &persistence.Query{Type: "test.Task"},
		persistence.ClaimOptions{Owner: "me", Lease: time.Hour, Limit: 50, State: "RUNNING"}))
	if len(claims) != 50 {
		t.Fatalf("%d claims", len(claims))
	}
	return g
}

func (g *realGraphs) check(t *testing.T, s *persistence.Store) {
	t.Helper()
	for name, id := range g.ids {
		var got map[string]any
		if name == "workflow" {
			got = flatWorkflow(must[*Workflow](t)(persistence.Load[Workflow](t.Context(), s, id)))
		} else {
			got = flat(t, must[*Archive](t)(persistence.Load[Archive](t.Context(), s, id)))
		}
		if d := cmp.Diff(g.want[name], got); d != "" {
			t.Errorf("%s, loaded from the copy, differs: %s", name, d)
		}
	}
}

// Between all backends. In the long form all of the data are copied, 130,000 records.
func TestCopyOfRealData(t *testing.T) {
	t.Parallel()
	for i, from := range backendNames {
		t.Run(from, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			options := &persistence.Options{ExtraFields: jsonFields}
			src := open(t, storeURL(t, from), options)
			graphs := fillWithRealData(t, src)
			n, pairs := must[int64](t)(src.Count(ctx, nil)), keysOf(t, src)
			for j, to := range backendNames {
				if testing.Short() && j != (i+1)%3 && j != (i+1)%len(backendNames) {
					continue // from each and to each, of those that need no server too
				}
				t.Run(to, func(t *testing.T) {
					dst := open(t, storeURL(t, to), options)
					got, err := persistence.Copy(ctx, dst, src, &persistence.CopyOptions{Snapshot: true})
					if want := (persistence.CopyReport{Copied: n, Pairs: int64(len(pairs))}); err != nil || got != want {
						t.Fatalf("%+v, %v, want %+v", got, err, want)
					}
					if d := differences(t, src, dst, nil); d != nil {
						t.Errorf("%d differences: %v …", len(d), d[0])
					}
					graphs.check(t, dst)
					if d := cmp.Diff(pairs, keysOf(t, dst)); d != "" {
						t.Errorf("the pairs differ (-want +got):\n%s", d)
					}
					for c, err := range dst.Claims(ctx) {
						t.Fatalf("a claim was copied: %v, %v", c, err)
					}
					prio := &persistence.Query{Type: "test.Task", Where: []persistence.Cond{persistence.Lt("prio", 100)}}
					if got := must[int64](t)(dst.Count(ctx, prio)); got != 100 {
						t.Errorf("%d records are found by an extra column, want 100", got)
					}
				})
			}
		})
	}
}
