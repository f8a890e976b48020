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

// everyFile returns what is in a directory and below it, with the times at which it changed.
func everyFile(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		all[path] = fmt.Sprint(info.Mode(), info.ModTime())
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			all[path] += string(data)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// allRead returns what the objects and the pairs of a directory say, whole and by a scan of the
// headers, and its strays.
func allRead(t testing.TB, b *Backend) map[string]string {
	t.Helper()
	ctx, all := context.Background(), map[string]string{}
	err := b.View(ctx, func(r driver.Reader) error {
		pairs, err := driver.InNamespace(r, driver.Pairs)
		if err != nil {
			return err
		}
		for what, r := range map[string]driver.Reader{"object ": r, "pair ": pairs} {
			var ids []driver.ID
			for rec, err := range r.Scan(ctx, &driver.Query{Parts: driver.Info}) {
				if err != nil && !errors.Is(err, driver.ErrCorrupt) {
					return err
				}
				ids = append(ids, rec.ID)
				all[what+string(rec.ID)] = fmt.Sprint(rec.Revision, err)
			}
			n, err := r.Count(ctx, &driver.Query{})
			all[what] = fmt.Sprint(n, err)
			for _, id := range append(ids, "1", "2", "3", "10", "kept") {
				recs, err := r.Get(ctx, []driver.ID{id}, whole)
				all[what+"of "+string(id)] = fmt.Sprint(err)
				for _, rec := range recs {
					all[what+"of "+string(id)] += fmt.Sprint(rec.Revision, " ", string(rec.Data))
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for s, err := range b.Strays(ctx, nil) {
		if err != nil {
			t.Fatal(err)
		}
		all["stray "+s.Key] = s.Detail
	}
	stored, err := b.Stored(ctx, driver.Objects, []driver.ID{"1", "2", "10"}, []string{"not a name"})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stored {
		all["stored "+string(s.ID)+s.Key] = string(s.Data)
	}
	return all
}

// openForReading opens a directory with its pairs, which are there.
func openForReading(t testing.TB, dir string) *Backend {
	t.Helper()
	b, err := openWith(context.Background(), dir, intSchema, driver.OpenOptions{ReadOnly: true})
	if err == nil {
		err = b.InitNamespace(context.Background(), driver.Pairs, driver.Schema{})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// What a writer leaves that dies at any step of a commit, or at any step of finishing it, is read
// as the next writer finds it, and is left as it is.
func TestReadOnlyReadsThroughWhatCrashedWritersLeft(t *testing.T) {
	t.Parallel()
	moved := func(op driver.Op) driver.Mutation {
		return driver.Mutation{Op: op, Rec: driver.Record{Data: []byte("something")}, Stray: "not a name"}
	}
	for name, ms := range map[string][]driver.Mutation{
		"many":               crashBatch(),
		"one":                mutations(driver.Update, "1"),
		"objects and pairs":  slices.Concat(crashBatch(), pairs(create("new", "newer")...), pairs(mutations(driver.Delete, "kept")...)),
		"a stray goes away":  slices.Concat([]driver.Mutation{moved(driver.Withdraw)}, pairs(mutations(driver.Update, "kept")...)),
		"a stray comes back": slices.Concat([]driver.Mutation{moved(driver.Restore)}, pairs(mutations(driver.Update, "kept")...)),
	} {
		if testing.Short() && len(ms) > 2 {
			continue // the others have two files in one commit, of two namespaces
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			through := map[string]bool{}
			for first := 1; ; first++ {
				var died bool
				for second := 1; ; second++ {
					dir := scratch(t)
					b := openBoth(t, dir)
					apply(t, b, slices.Concat(create(numbers(1, 4)...), pairs(create("kept")...))...)
					if name == "a stray goes away" {
						if err := os.WriteFile(filepath.Join(dir, "not a name"), []byte("something"), 0o600); err != nil {
							t.Fatal(err)
						}
					}
					early := openForReading(t, dir)
					allRead(t, early)
					var step, again string
					recovering := false
					died, step = crash(b, first, func() { b.Apply(context.Background(), ms) })
					if died {
						recovering, again = crash(b, second, func() { state(t, b) })
					}
					before := everyFile(t, dir)
					got := allRead(t, openForReading(t, dir))
					if d := cmp.Diff(got, allRead(t, early)); d != "" {
						t.Errorf("died at %q, then at %q: one that was open before reads something else: %s", step, again, d)
					}
					if d := cmp.Diff(before, everyFile(t, dir)); d != "" {
						t.Fatalf("died at %q, then at %q: something has changed: %s", step, again, d)
					}
					_, err := os.Lstat(filepath.Join(dir, commitName))
					through[step+" "+again] = err == nil
					last := openBoth(t, dir) // its Init has recovered
					if d := cmp.Diff(allRead(t, last), got); d != "" {
						t.Errorf("died at %q, then at %q: read-only and recovered differ: %s", step, again, d)
					}
					if d := cmp.Diff(got, allRead(t, early)); d != "" {
						t.Errorf("died at %q, then at %q: one that was open before reads something else in the end: %s", step, again, d)
					}
					for _, x := range []*Backend{b, early, last} {
						x.Close()
					}
					if !recovering {
						break
					}
				}
				if !died {
					break
				}
			}
			n := 0
			for _, marked := range through {
				if marked {
					n++
				}
			}
			if n < 3 && name != "one" {
				t.Errorf("an unfinished commit was read through %d times", n)
			}
		})
	}
}

// An older version of this package left its lists in the folders of the namespaces.
func TestReadOnlyReadsThroughTheCommitOfANamespace(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	b := openBoth(t, dir)
	apply(t, b, slices.Concat(create("1"), pairs(create("a", "b")...))...)
	for nth := 1; ; nth++ {
		died, step := crash(b, nth, func() {
			b.Apply(context.Background(), pairs(slices.Concat(create("c"), mutations(driver.Update, "a"), mutations(driver.Delete, "b"))...))
		})
		if !died {
			t.Fatal("never at the mark")
		}
		if step == "marked" {
			break
		}
	}
	// There its names are those of the folder.
	list, err := os.ReadFile(filepath.Join(dir, commitName))
	if err != nil {
		t.Fatal(err)
	}
	d, err := b.directory()
	if err != nil {
		t.Fatal(err)
	}
	redo, err := decodeRedo(list, func(name string) (file, error) { return d.resolve(name) })
	if err != nil {
		t.Fatal(err)
	}
	if len(redo.renames) != 2 || len(redo.removes) != 1 {
		t.Fatalf("the list is %v", redo)
	}
	for i := range redo.renames {
		redo.renames[i].folder = d.folder // without the prefix of the namespace
	}
	for i := range redo.removes {
		redo.removes[i].folder = d.folder
	}
	writeList(t, filepath.Join(pairsDir(dir), commitName), redo)
	if err := os.Remove(filepath.Join(dir, commitName)); err != nil {
		t.Fatal(err)
	}
	b.Close()
	before := everyFile(t, dir)
	got := allRead(t, openForReading(t, dir))
	if d := cmp.Diff(before, everyFile(t, dir)); d != "" {
		t.Fatalf("something has changed: %s", d)
	}
	if got["pair c"] == "" || got["pair b"] != "" || !strings.HasPrefix(got["pair a"], "2") {
		t.Errorf("read: %v", got)
	}
	if d := cmp.Diff(allRead(t, openBoth(t, dir)), got); d != "" {
		t.Errorf("read-only and recovered differ: %s", d)
	}
}

func TestReadOnlyRefusesADamagedCommit(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	apply(t, open(t, dir, intSchema), create("1")...)
	if err := os.WriteFile(filepath.Join(dir, commitName), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openWith(t.Context(), dir, intSchema, driver.OpenOptions{ReadOnly: true}); !errors.Is(err, driver.ErrCorrupt) || !strings.Contains(err.Error(), commitName) {
		t.Errorf("error %v", err)
	}
}

// A reader has the lock as any other: it sees a batch whole or not at all.
func TestReadOnlySeesWholeCommits(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	b := open(t, dir, intSchema)
	ids := numbers(1, 6)
	apply(t, b, create(ids...)...)
	reader, err := openWith(t.Context(), dir, intSchema, driver.OpenOptions{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	done := make(chan error)
	go func() {
		var err error
		for range 100 {
			if _, err = b.Apply(context.Background(), mutations(driver.Update, ids...)); err != nil {
				break
			}
		}
		done <- err
	}()
	for {
		recs := get(t, reader, driver.Info, ids...)
		for _, rec := range recs {
			if rec.Revision != recs[0].Revision {
				t.Fatalf("revisions %d and %d", rec.Revision, recs[0].Revision)
			}
		}
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			if rev := get(t, reader, driver.Info, "1")[0].Revision; rev != 101 {
				t.Errorf("the last revision is %d", rev)
			}
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// writeList writes a list of what is left of a commit.
func writeList(t testing.TB, path string, redo *redo) {
	t.Helper()
	e := frame.NewEncoder()
	defer e.Free()
	list, err := e.Frame(commitMark, redo.encode)
	if err == nil {
		err = os.WriteFile(path, list, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
