package stress

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brine-go/brine/persistence"
	_ "github.com/brine-go/brine/persistence/mem"
)

// scene is a store and its journal after a little work. Every operation was acknowledged.
type scene struct {
	t     *testing.T
	s     *persistence.Store
	j     *Journal
	path  string
	w     *worker
	note  *owned // raised once, replaced once
	graph *owned // raised twice
	gone  *owned // removed
}

func newScene(t *testing.T) *scene {
	t.Helper()
	ctx := t.Context()
	s, err := persistence.MakeStore(ctx, "mem:", &persistence.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	path := filepath.Join(t.TempDir(), "journal")
	j, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	w := newWorker(s, j, Config{Name: "w", Strict: true}, 0)
	sc := &scene{t: t, s: s, j: j, path: path, w: w}
	sc.note, sc.graph, sc.gone = w.create(ctx, note), w.create(ctx, graph), w.create(ctx, note)
	w.raise(ctx, sc.note.id, sc.note)
	w.replace(ctx, sc.note)
	w.raise(ctx, sc.graph.id, sc.graph)
	w.raise(ctx, sc.graph.id, sc.graph)
	w.reload(ctx, sc.graph)
	w.remove(ctx, sc.gone)
	return sc
}

func (sc *scene) load(o *owned) *Node {
	sc.t.Helper()
	n, err := persistence.Load[Node](sc.t.Context(), sc.s, o.id)
	if err != nil {
		sc.t.Fatal(err)
	}
	return n
}

func (sc *scene) must(err error) {
	sc.t.Helper()
	if err != nil {
		sc.t.Fatal(err)
	}
}

func TestCheckFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		do   func(ctx context.Context, sc *scene)
		want string // in one of the findings; "": there is none
	}{
		"nothing is wrong": {func(context.Context, *scene) {}, ""},
		"an acknowledged object is not there": {func(ctx context.Context, sc *scene) {
			sc.must(sc.s.Remove(ctx, sc.note.id))
		}, "is not there"},
		"an object that nobody stored": {func(ctx context.Context, sc *scene) {
			_, err := sc.s.Save(ctx, newNode("stranger", note))
			sc.must(err)
		}, "nobody stored it"},
		"an object that is no node": {func(ctx context.Context, sc *scene) {
			_, err := sc.s.Save(ctx, "hello")
			sc.must(err)
		}, "a string is there"},
		"a removed object is back": {func(ctx context.Context, sc *scene) {
			sc.must(sc.s.Insert(ctx, sc.gone.id, newNode(sc.gone.key, note)))
		}, "somebody removed it"},
		"an object is there twice": {func(ctx context.Context, sc *scene) {
			n := sc.load(sc.note)
			_, err := sc.s.Save(ctx, &Node{Key: n.Key, Kind: n.Kind, N: n.N, By: n.By, Pad: n.Pad})
			sc.must(err)
		}, "is there twice"},
		"an object is there under another ID": {func(ctx context.Context, sc *scene) {
			n := sc.load(sc.note)
			sc.must(sc.s.Remove(ctx, sc.note.id))
			sc.must(sc.s.Insert(ctx, "4711", n))
		}, "was acknowledged as"},
		"a lost update": {func(ctx context.Context, sc *scene) {
			n := newNode(sc.note.key, note)
			n.raise(sc.w.name)
			sc.must(sc.s.Replace(ctx, sc.note.id, n))
		}, "lost update"},
		"an update made twice": {func(ctx context.Context, sc *scene) {
			n := sc.load(sc.graph)
			n.raise(sc.w.name)
			_, err := sc.s.Save(ctx, n)
			sc.must(err)
		}, "raised by w.0 3 times, and acknowledged were 2, begun 2"},
		"an update of a stranger": {func(ctx context.Context, sc *scene) {
			n := sc.load(sc.graph)
			n.raise("stranger")
			_, err := sc.s.Save(ctx, n)
			sc.must(err)
		}, "by stranger, who says nothing of it"},
		"two updates that began from one value": {func(_ context.Context, sc *scene) {
			sc.j.write(Entry{Worker: "v.0", Op: 1, What: Begin, Verb: Raise, Key: sc.graph.key, Value: 1})
			sc.j.write(Entry{Worker: "v.0", Op: 1, What: Ack, Verb: Raise, Key: sc.graph.key, Value: 1, Total: 2})
		}, "both raised it to 2"},
		"a record written once too often": {func(ctx context.Context, sc *scene) {
			n := sc.load(sc.graph)
			sc.must(sc.s.Replace(ctx, sc.graph.id, n))
		}, "and its revision is"},
		"a graph half saved": {func(ctx context.Context, sc *scene) {
			part := sc.load(sc.graph).Peers[2]
			part.N--
			part.Pad = padding(part.Key, part.Part, part.N)
			_, err := sc.s.SaveOnly(ctx, part)
			sc.must(err)
		}, "half saved"},
		"a graph half removed": {func(ctx context.Context, sc *scene) {
			sc.must(sc.s.Remove(ctx, sc.load(sc.graph).Peers[0].PersistentID()))
		}, "half a graph"},
		"a graph without its root, for good reasons": {func(ctx context.Context, sc *scene) {
			parts := sc.load(sc.graph).all()
			for i, n := range parts[1:] { // each by itself: no reference leads to what is gone
				_, err := sc.s.Save(ctx, &Node{Key: n.Key, Kind: n.Kind, Part: i + 1, N: n.N, Pad: n.Pad})
				sc.must(err)
			}
			for _, n := range parts {
				sc.must(sc.s.Remove(ctx, n.PersistentID()))
			}
		}, "4 of the 5 nodes"},
		"a record with another's bytes": {func(ctx context.Context, sc *scene) {
			n := sc.load(sc.note)
			n.Pad = padding("other", 0, 1)
			_, err := sc.s.Save(ctx, n)
			sc.must(err)
		}, "the bytes of something else"},
		"an ID given twice": {func(_ context.Context, sc *scene) {
			sc.j.write(Entry{Worker: "v.0", Op: 1, What: Begin, Verb: Create, Key: "v.0#1", Kind: note})
			sc.j.write(Entry{Worker: "v.0", Op: 1, What: Ack, Verb: Create, Key: "v.0#1", Kind: note, IDs: []persistence.ID{sc.gone.id}})
		}, "was given twice"},
		"an object removed twice": {func(_ context.Context, sc *scene) {
			sc.j.write(Entry{Worker: "v.0", Op: 1, What: Begin, Verb: Remove, Key: sc.gone.key, Kind: note})
			sc.j.write(Entry{Worker: "v.0", Op: 1, What: Ack, Verb: Remove, Key: sc.gone.key, Kind: note})
		}, "was removed 2 times"},
		"an object that was not found and that nobody had removed": {func(_ context.Context, sc *scene) {
			sc.j.write(Entry{Worker: "v.0", What: Missed, Key: sc.note.key})
		}, "nobody had removed it"},
		"what a client saw": {func(ctx context.Context, sc *scene) {
			sc.w.raised[sc.graph.key]++
			sc.w.reload(ctx, sc.graph)
		}, "w.0 saw: w.0#2: lost update"},
		"an operation cut off that happened": {func(ctx context.Context, sc *scene) {
			n := sc.load(sc.graph)
			n.raise("v.0")
			_, err := sc.s.Save(ctx, n)
			sc.must(err)
			sc.j.write(Entry{Worker: "v.0", Op: 1, What: Begin, Verb: Raise, Key: sc.graph.key, Value: 1})
		}, ""},
		"an operation cut off that did not happen, and half a line": {func(_ context.Context, sc *scene) {
			sc.j.write(Entry{Worker: "v.0", Op: 1, What: Begin, Verb: Raise, Key: sc.graph.key, Value: 1})
			_, err := sc.j.f.WriteString(`{"w":"v.0","o":1,"x":"ack","v":"ra`)
			sc.must(err)
		}, ""},
		"an operation in doubt that happened": {func(ctx context.Context, sc *scene) {
			sc.must(sc.s.Remove(ctx, sc.note.id))
			sc.j.write(Entry{Worker: "v.0", Op: 1, What: Begin, Verb: Remove, Key: sc.note.key})
			sc.j.write(Entry{Worker: "v.0", Op: 1, What: Doubt, Verb: Remove, Key: sc.note.key, Uncertain: 1})
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sc := newScene(t)
			test.do(t.Context(), sc)
			r, err := Check(t.Context(), sc.s, sc.path)
			if err != nil {
				t.Fatal(err)
			}
			all := strings.Join(r.Findings, "\n")
			if test.want == "" && all != "" || !strings.Contains(all, test.want) {
				t.Errorf("findings:\n%s\nwant one with %q", all, test.want)
			}
		})
	}
}

func TestReportCountsWhatTheJournalsSay(t *testing.T) {
	t.Parallel()
	sc := newScene(t)
	r, err := Check(t.Context(), sc.s, sc.path)
	if err != nil {
		t.Fatal(err)
	}
	if r.Acked[Create] != 3 || r.Acked[Raise] != 3 || r.Acked[Replace] != 1 || r.Acked[Remove] != 1 || r.Acknowledged() != 8 || r.Records != 6 {
		t.Errorf("the report says: %s", r)
	}
}

func TestDamagedJournalIsAnError(t *testing.T) {
	t.Parallel()
	sc := newScene(t)
	if err := os.WriteFile(sc.path, []byte("{\"w\":1}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Check(t.Context(), sc.s, sc.path); err == nil {
		t.Error("a journal that cannot be read was checked")
	}
	if _, err := Check(t.Context(), sc.s, sc.path+"x"); err == nil {
		t.Error("a journal that is not there was checked")
	}
}
