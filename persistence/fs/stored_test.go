package fs

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/brine-go/brine/persistence/driver"
)

// A damaged file that is moved, or a stray, is in one place or the other, byte for byte, wherever
// the writer dies.
func TestCrashAtEveryStepOfMovingAFileThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"a damaged record", "an empty file", "a stray"} {
		for _, op := range []driver.Op{driver.Withdraw, driver.Restore} {
			t.Run(op.String()+" "+what, func(t *testing.T) {
				t.Parallel()
				steps := map[string]bool{}
				for first := 1; ; first++ {
					dir := scratch(t)
					b := openBoth(t, dir)
					apply(t, b, create("1", "2")...)
					name, s := "2", driver.Stored{ID: "2"}
					switch what {
					case "a damaged record":
						spoil(t, filepath.Join(dir, name), 70)
					case "an empty file":
						if err := os.Truncate(filepath.Join(dir, name), 0); err != nil {
							t.Fatal(err)
						}
					case "a stray":
						name = "not a name"
						s = driver.Stored{Key: name}
						if err := os.WriteFile(filepath.Join(dir, name), []byte("something"), 0o600); err != nil {
							t.Fatal(err)
						}
					}
					content, err := os.ReadFile(filepath.Join(dir, name))
					if err != nil {
						t.Fatal(err)
					}
					s.Data = content
					moved := driver.Mutation{Op: driver.Withdraw, Rec: driver.Record{ID: s.ID, Data: s.Data}, Stray: s.Key}
					away := slices.Concat([]driver.Mutation{moved}, pairs(create("kept")...))
					ms := away
					if op == driver.Restore {
						apply(t, b, away...)
						moved.Op = driver.Restore
						ms = slices.Concat([]driver.Mutation{moved}, pairs(mutations(driver.Delete, "kept")...))
					}
					died, step := crash(b, first, func() { b.Apply(context.Background(), ms) })
					steps[step] = true
					last := openBoth(t, dir)
					got, err := os.ReadFile(filepath.Join(dir, name))
					kept, kerr := os.ReadFile(filepath.Join(pairsDir(dir), "kept"))
					if (err == nil) == (kerr == nil) || err == nil && !bytes.Equal(got, content) || kerr == nil && len(kept) == 0 {
						t.Errorf("died at %q: in its place %v, away %v", step, err, kerr)
					}
					committed := slices.Contains([]string{"", "marked", "rename", "remove", "done", "unmarked"}, step)
					if (err == nil) != (committed == (op == driver.Restore)) {
						t.Errorf("died at %q: in its place %v", step, err)
					}
					if left := leftInBoth(t, dir); len(left) > 0 {
						t.Errorf("died at %q: left over %q", step, left)
					}
					b.Close()
					last.Close()
					if !died {
						break
					}
				}
				for _, step := range []string{"marked", "rename", "remove"} {
					if !steps[step] {
						t.Errorf("no crash at %q", step)
					}
				}
			})
		}
	}
}

func TestStraysOfADirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := openBoth(t, dir)
	apply(t, b, slices.Concat(create("1", "2"), pairs(create("a")...))...)
	for _, name := range []string{"notes.txt", ".hidden", "a b", ".brine.kv/%%", ".brine.unknown"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("something"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	record, err := os.ReadFile(filepath.Join(dir, "1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "copy of 1"), record, 0o600); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for s, err := range b.Strays(t.Context(), func(_ driver.Namespace, id driver.ID) bool { return id == "2" }) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, s.Key)
	}
	slices.Sort(keys)
	if want := []string{".brine.kv/%%", ".hidden", "a b", "copy of 1", "folder", "notes.txt"}; !slices.Equal(keys, want) {
		t.Errorf("strays %q, want %q", keys, want)
	}
	got, err := b.Stored(t.Context(), driver.Objects, nil, append(keys[:4:4], keys[5], "1", "nothing", "../x", ".brine.kv/../1", ".brine.meta"))
	if err != nil || len(got) != 5 {
		t.Errorf("%d stored forms: %v", len(got), err)
	}
	if _, err := b.Stored(t.Context(), driver.Objects, nil, []string{"folder"}); err == nil {
		t.Error("a directory has no stored form")
	}
}
