package fs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/fs/internal/frame"
)

// openBoth returns a Backend with the namespace of pairs prepared.
func openBoth(t testing.TB, dir string) *Backend {
	t.Helper()
	b := open(t, dir, intSchema)
	initPairs(t, b)
	return b
}

func initPairs(t testing.TB, b *Backend) {
	t.Helper()
	if err := b.InitNamespace(context.Background(), driver.Pairs, driver.Schema{}); err != nil {
		t.Fatal(err)
	}
}

// pairs moves mutations to the namespace of pairs.
func pairs(ms ...driver.Mutation) []driver.Mutation {
	ms = slices.Clone(ms)
	for i := range ms {
		ms[i].Namespace = driver.Pairs
	}
	return ms
}

// bothStates is state for the objects and the pairs, in one View.
func bothStates(t testing.TB, b *Backend) map[string]string {
	t.Helper()
	m := map[string]string{}
	err := b.View(context.Background(), func(r driver.Reader) error {
		for _, ns := range []driver.Namespace{driver.Objects, driver.Pairs} {
			in, err := driver.InNamespace(r, ns)
			if err != nil {
				return err
			}
			for rec, err := range in.Scan(context.Background(), &driver.Query{Parts: whole}) {
				if err != nil {
					return err
				}
				m[fmt.Sprint(ns, "/", rec.ID)] = fmt.Sprint(rec.Revision, " ", string(rec.Data))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func pairsDir(dir string) string { return filepath.Join(dir, ".brine.kv") }

// leftInBoth returns what writers have left in the folders of both namespaces.
func leftInBoth(t testing.TB, dir string) []string {
	t.Helper()
	left := slices.DeleteFunc(ownFiles(t, dir), func(name string) bool { return name == ".brine.kv" })
	return append(left, ownFiles(t, pairsDir(dir))...)
}

// acrossBoth is a batch that writes to both namespaces and removes from both.
func acrossBoth() []driver.Mutation {
	return slices.Concat(
		pairs(of(driver.Create, "new", "pair")), mutations(driver.Update, "1"), pairs(of(driver.Update, "a", "changed")),
		create("10"), pairs(mutations(driver.Delete, "b")...), mutations(driver.Delete, "2"),
	)
}

// A writer may die at any step of a commit across two namespaces, and the next one at any step of
// finishing it. Who finishes it may never have heard of the second namespace.
func TestCrashAtEveryStepOfACommitAcrossNamespaces(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		batches [][]driver.Mutation
	}{
		{"one batch", [][]driver.Mutation{acrossBoth()}},
		{"one of each", [][]driver.Mutation{slices.Concat(create("10"), pairs(create("new")...))}},
		{"pairs alone", [][]driver.Mutation{pairs(append(create("new"), mutations(driver.Delete, "a")...)...)}},
		{"a group", [][]driver.Mutation{create("11"), acrossBoth(), pairs(of(driver.Update, "new", "again"))}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			begin := func() *Backend {
				b := openBoth(t, scratch(t))
				apply(t, b, slices.Concat(create("1", "2", "3"), pairs(create("a", "b", "c")...))...)
				return b
			}
			write := func(b *Backend) {
				if len(c.batches) == 1 {
					b.Apply(context.Background(), c.batches[0])
				} else {
					together(b, nil, c.batches...)
				}
			}
			b := begin()
			before := bothStates(t, b)
			write(b)
			after := bothStates(t, b)
			steps := map[string]bool{}
			for first := 1; ; first++ {
				var died bool
				for second := 1; ; second++ {
					b := begin()
					stranger := open(t, b.path, intSchema)
					var step, again string
					died, step = crash(b, first, func() { write(b) })
					if !died {
						break
					}
					steps[step] = true
					want := before
					if slices.Contains([]string{"marked", "rename", "remove", "done", "unmarked"}, step) {
						want = after
					}
					var recovering bool
					recovering, again = crash(stranger, second, func() { state(t, stranger) })
					steps[again+" again"] = true
					last := openBoth(t, stranger.path)
					if diff := cmp.Diff(want, bothStates(t, last)); diff != "" {
						t.Errorf("died at %q, then at %q: %s", step, again, diff)
					}
					if left := leftInBoth(t, last.path); len(left) > 0 {
						t.Errorf("died at %q, then at %q: left over %q", step, again, left)
					}
					apply(t, last, slices.Concat(create("99"), pairs(create("99")...))...)
					for _, b := range []*Backend{b, stranger, last} {
						if err := b.Close(); err != nil {
							t.Error(err)
						}
					}
					if !recovering {
						break
					}
				}
				if !died {
					break
				}
			}
			for _, step := range []string{"write", "temporary", "written", "flushed", "marked", "rename", "done", "unmarked", "recover again", "rename again", "done again", "unmarked again"} {
				if !steps[step] {
					t.Errorf("never died at %q", step)
				}
			}
		})
	}
}

// The commit file must be gone for good before anyone writes to a folder whose flush does not flush
// its removal.
func TestTheRemovalOfACommitFileIsFlushedWhereItNamesOtherFolders(t *testing.T) {
	t.Parallel()
	b := openBoth(t, scratch(t))
	apply(t, b, pairs(create("a", "b")...)...)
	l, err := b.exclusive(t.Context())
	must(err)
	defer l.release()
	kv, err := l.in(driver.Pairs)
	must(err)
	for _, c := range []struct {
		f    *folder
		want bool
	}{{l.folder, false}, {kv, true}} {
		must(os.WriteFile(filepath.Join(b.path, commitName), nil, 0o600))
		gone, whole := []file{{c.f, "gone"}}, l.file
		b.hook = func(step string) error {
			if step == "unmarked" { // from here on a flush of the directory fails
				closed, err := os.Open(b.path)
				must(err)
				must(closed.Close())
				l.file = closed
			}
			return nil
		}
		err := l.finish(l.folder, &redo{removes: gone}, true)
		l.file, b.hook = whole, nil
		if errors.Is(err, os.ErrClosed) != c.want || !c.want && err != nil {
			t.Errorf("folder %q: %v", c.f.prefix, err)
		}
	}
}

// What an older version, in which pairs had commits of their own, has left is finished when the
// pairs are opened.
func TestACommitOfPairsByAnOlderVersionIsFinished(t *testing.T) {
	t.Parallel()
	before := map[string]string{"kv/a": "1 data of a", "kv/b": "1 data of b", "kv/c": "1 data of c"}
	after := map[string]string{"kv/a": "2 data of a", "kv/c": "1 data of c", "kv/new": "1 data of new"}
	ms := slices.Concat(mutations(driver.Update, "a"), mutations(driver.Delete, "b"), create("new"))
	for _, noCreate := range []bool{false, true} {
		finished := 0
		for nth := 1; ; nth++ {
			dir := scratch(t)
			open(t, dir, intSchema)
			// The folder of the pairs was the directory of a Backend.
			old := open(t, pairsDir(dir), driver.Schema{})
			apply(t, old, create("a", "b", "c")...)
			died, step := crash(old, nth, func() { old.Apply(context.Background(), ms) })
			must(old.Close())
			want := before
			if slices.Contains([]string{"", "marked", "rename", "remove", "done", "unmarked"}, step) {
				want = after
				finished++
			}
			b, err := openWith(t.Context(), dir, intSchema, driver.OpenOptions{NoCreate: noCreate})
			must(err)
			initPairs(t, b)
			if diff := cmp.Diff(want, bothStates(t, b)); diff != "" {
				t.Errorf("died at %q: %s", step, diff)
			}
			if left := leftInBoth(t, dir); !noCreate && len(left) > 0 {
				t.Errorf("died at %q: left over %q", step, left)
			}
			must(b.Close())
			if !died {
				break
			}
		}
		if finished < 5 {
			t.Errorf("%d commits finished", finished)
		}
	}
}

// An older version, which finishes every commit before it reads, refuses one that it cannot finish.
func TestACommitFileWithNamesOfAnUnknownFormStopsEverything(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	b := open(t, dir, intSchema)
	d, err := b.directory()
	must(err)
	for _, name := range []string{
		"../1", ".brine.meta", ".brine.kv", ".brine.kv/", ".brine.kv/.brine.meta", ".brine.kv/../1", ".brine.meta/1", ".brine./1",
		"kv/1", ".brine.kv/.brine.kv/1", "/1", "",
	} {
		e := frame.NewEncoder()
		list, err := e.Frame(commitMark, func(e *frame.Encoder) {
			e.MapLen(1)
			e.Text("removes")
			e.ArrayLen(1)
			e.Text(name)
		})
		must(err)
		must(os.WriteFile(filepath.Join(dir, commitName), list, 0o600))
		e.Free()
		if _, err := tryGet(b, driver.Info, "1"); !errors.Is(err, driver.ErrCorrupt) && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v", name, err)
		}
	}
	must(os.Remove(filepath.Join(dir, commitName)))
	if _, err := d.folder.resolve(".brine.kv/1"); err == nil {
		t.Error("the commit file of a namespace must not name other folders")
	}
}

func TestNamesOfNamespaces(t *testing.T) {
	t.Parallel()
	b := open(t, scratch(t), intSchema)
	for _, ns := range []driver.Namespace{"", "lock", "gate", "meta", "commit", "changes", "a/b", "..", "tmp.0", "9"} {
		if err := b.InitNamespace(t.Context(), ns, driver.Schema{}); err == nil {
			t.Errorf("namespace %q", ns)
		}
	}
	none, err := New(scratch(t), driver.OpenOptions{})
	must(err)
	defer none.Close()
	if err := none.InitNamespace(t.Context(), "kv", driver.Schema{}); err == nil || !strings.Contains(err.Error(), "Init first") {
		t.Error(err)
	}
}

func TestNoCreateMakesNoNamespace(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	open(t, dir, intSchema)
	b, err := openWith(t.Context(), dir, intSchema, driver.OpenOptions{NoCreate: true})
	must(err)
	defer b.Close()
	if err := b.InitNamespace(t.Context(), driver.Pairs, driver.Schema{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(pairsDir(dir)); err == nil {
		t.Error("the folder was made")
	}
	openBoth(t, dir)
	initPairs(t, b)
	apply(t, b, slices.Concat(create("1"), pairs(create("a")...))...)
}

// Members that write to different namespaces share a commit, and see each other's records where
// they should.
func TestAGroupAcrossNamespacesFaresAsIfItsMembersCameOneByOne(t *testing.T) {
	t.Parallel()
	group, alone := openBoth(t, scratch(t)), openBoth(t, scratch(t))
	inPairs := func(m driver.Mutation) driver.Mutation { m.Namespace = driver.Pairs; return m }
	batches := [][]driver.Mutation{
		{of(driver.Create, "1", "object")},
		{inPairs(of(driver.Create, "1", "pair"))},                                         // the same ID is another record
		{of(driver.Create, "1", "")},                                                      // exists
		{inPairs(of(driver.Create, "2", "", "1"))},                                        // refers to the object
		{inPairs(of(driver.Create, "3", "", "2"))},                                        // dangling: 2 is a pair alone
		{inPairs(of(driver.Create, "4", "")), of(driver.Create, "4", "")},                 // both
		{inPairs(of(driver.Create, "5", "half")), ifRev(of(driver.Update, "1", "x"), 9)},  // conflict
		{inPairs(ifRev(of(driver.Update, "1", "pair 2"), 1)), of(driver.Delete, "1", "")}, // both
		{inPairs(of(driver.Create, "6", "", "1"))},                                        // dangling
	}
	revs, errs, byThemselves, members := inGroup(group, nil, batches...)
	if byThemselves > 0 || members != len(batches) {
		t.Errorf("%d members in the commit, %d by themselves", members, byThemselves)
	}
	failed := 0
	for i, ms := range batches {
		rev, err := alone.Apply(t.Context(), ms)
		if got, want := outcome(revs[i], errs[i]), outcome(rev, err); got != want {
			t.Errorf("member %d: %s, but by itself %s", i, got, want)
		}
		if err != nil {
			failed++
		}
	}
	if failed != 4 {
		t.Errorf("%d failed", failed)
	}
	if diff := cmp.Diff(bothStates(t, alone), bothStates(t, group)); diff != "" {
		t.Error(diff)
	}
}

// Independent singles in two folders need no list: their temporaries do not get into each other's
// way.
func TestSinglesOfTwoNamespacesShareACommitWithoutAList(t *testing.T) {
	t.Parallel()
	b := openBoth(t, scratch(t))
	apply(t, b, slices.Concat(create("1"), pairs(create("1")...))...)
	var steps []string
	b.hook = func(step string) error { steps = append(steps, step); return nil }
	_, errs, _, _ := inGroup(b, nil, create("2"), pairs(create("2")...), create("3"), pairs(create("3")...), create("4"),
		pairs(mutations(driver.Delete, "1")...))
	b.hook = nil
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	if slices.Contains(steps, "marked") {
		t.Errorf("steps %q", steps)
	}
	want := []string{"/1", "/2", "/3", "/4", "kv/2", "kv/3"}
	var got []string
	for id := range bothStates(t, b) {
		got = append(got, id)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if left := leftInBoth(t, b.path); len(left) > 0 {
		t.Errorf("left over %q", left)
	}
}

// Pairs are no business of claims, but their commits are counted by the list of changes.
func TestPairsLeaveTheIndexOfClaimsAsItIs(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	b, other := openBoth(t, dir), open(t, dir, intSchema)
	apply(t, b, create("1", "2")...)
	agree(t, b)
	agree(t, other)
	initPairs(t, other)
	apply(t, b, pairs(create("7")...)...)
	apply(t, other, slices.Concat(create("3"), pairs(create("8", "9")...))...)
	together(b, nil, pairs(create("10")...), create("4"), pairs(mutations(driver.Delete, "8")...))
	if !agree(t, b) || !agree(t, other) {
		t.Error("an index was made anew")
	}
	if err := b.InitNamespace(t.Context(), "more", driver.Schema{}); err != nil { // makes a folder
		t.Fatal(err)
	}
	if !agree(t, b) || !agree(t, other) {
		t.Error("an index was made anew for a new folder")
	}
	if got := lent(t, b, driver.Query{}, driver.Claiming{Limit: 9, Lease: time.Hour}); got != "1/2 2/2 3/2 4/2" {
		t.Errorf("got %q", got)
	}
}
