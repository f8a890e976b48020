package fs

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/url"
)

func TestOpenURL(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, url, bad string }{
		{"an absolute path", "file:///var/lib/x", ""},
		{"a relative path", "file:data/x", ""},
		{"no path", "file:", "no path"},
		{"a host", "file://host/x", "host"},
		{"a user", "file://me:secret@host/x", "host"},
		{"an unknown parameter", "file:///x?mode=ro", `"mode"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var b driver.Backend
			u, err := url.Parse(c.url)
			if err == nil {
				b, err = Open(t.Context(), u, driver.OpenOptions{})
			}
			switch {
			case c.bad == "" && err != nil:
				t.Error(err)
			case c.bad == "":
				if _, err := os.Stat(b.(*Backend).path); err == nil {
					t.Error("Open made the directory")
				}
				if !filepath.IsAbs(b.(*Backend).path) {
					t.Errorf("path %q", b.(*Backend).path)
				}
				b.Close()
			case err == nil || !strings.Contains(err.Error(), c.bad) || strings.Contains(err.Error(), "secret"):
				t.Errorf("got %v", err)
			}
		})
	}
	if o, ok := driver.Lookup("file"); !ok || o == nil {
		t.Error("the scheme is not registered")
	}
}

func TestInitMakesPrivateFoldersAndFiles(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("permissions are of another kind here")
	}
	dir := filepath.Join(t.TempDir(), "a", "b", "c")
	b := open(t, dir, intSchema)
	apply(t, b, create("1", "2")...)
	if _, err := b.NextIDs(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(filepath.Dir(filepath.Dir(dir)), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(filePerm)
		if e.IsDir() {
			want = dirPerm
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s: %v", path, got)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestIdentityStays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	identity := func(dir string, o driver.OpenOptions) driver.Meta {
		t.Helper()
		b, err := New(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		m, err := b.Init(t.Context(), textSchema)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	first := identity(dir, driver.OpenOptions{})
	if first.Identity == "" || first.NoCounter || len(first.Missing) > 0 {
		t.Errorf("%+v", first)
	}
	for _, o := range []driver.OpenOptions{{}, {NoCreate: true}} {
		if diff := cmp.Diff(first, identity(dir, o)); diff != "" {
			t.Error(diff)
		}
	}
	if other := identity(t.TempDir(), driver.OpenOptions{}); other.Identity == first.Identity {
		t.Error("two directories have one identity")
	}
}

// link plants a symbolic link in a directory and returns what it leads to, outside.
func link(t *testing.T, dir, name string) (outside string) {
	t.Helper()
	outside = filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, name)); err != nil {
		t.Skip(err)
	}
	return outside
}

func TestLinksLeadNowhere(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"x", tempName(0), commitTemp, metaTemp, lockName, gateName, metaName, commitName} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			outside := link(t, dir, name)
			b, err := openWith(t.Context(), dir, textSchema, driver.OpenOptions{})
			if err == nil {
				defer b.Close()
				recs, err := tryGet(b, whole, "x")
				if err != nil || len(recs) > 0 {
					t.Errorf("Get: %v, %v", recs, err)
				}
				if ids, bad := scan(t, b, driver.Query{}); len(ids)+len(bad) > 0 {
					t.Errorf("Scan: %q, %v", ids, bad)
				}
				apply(t, b, create("1", "2")...)
				apply(t, b, mutations(driver.Update, "1")...)
				if _, err := b.NextIDs(t.Context(), 1); err != nil {
					t.Error(err)
				}
				for op, want := range map[driver.Op]error{
					driver.Create: driver.ErrExists, driver.Put: driver.ErrExists,
					driver.Update: driver.ErrNotFound, driver.Delete: driver.ErrNotFound,
				} {
					_, err := b.Apply(t.Context(), mutations(op, "x"))
					if name == "x" && !errors.Is(err, want) {
						t.Errorf("operation %d: %v, want %v", op, err, want)
					}
				}
			} else if !slices.Contains([]string{lockName, gateName, metaName, commitName}, name) {
				t.Errorf("Init: %v", err)
			}
			if got, err := os.ReadFile(outside); err != nil || string(got) != "precious" {
				t.Errorf("outside: %q, %v", got, err)
			}
			if entries, err := os.ReadDir(filepath.Dir(outside)); err != nil || len(entries) != 1 {
				t.Errorf("outside: %v, %v", entries, err)
			}
		})
	}
}

func TestForeignFilesAreLeftAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	foreign := map[string]string{
		"README.txt": "hello", "5": "not a record", "007": recordMark, ".hidden": "x", ".gitignore": "*", "a b": "x", "%zz": "y", "x~y": "z", "7.tmp": recordMark,
	}
	for name, text := range foreign {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "8"), 0o755); err != nil {
		t.Fatal(err)
	}
	b := open(t, dir, intSchema)
	apply(t, b, create("1", "2", "3")...)
	apply(t, b, mutations(driver.Delete, "2")...)
	if ids, bad := scan(t, b, driver.Query{Parts: whole}); !slices.Equal(ids, []driver.ID{"1", "3"}) || len(bad) > 0 {
		t.Errorf("got %q, %v", ids, bad)
	}
	for _, id := range []driver.ID{"5", "8"} {
		if recs := get(t, b, whole, id); len(recs) > 0 {
			t.Errorf("got %v", recs)
		}
		for op, want := range map[driver.Op]error{
			driver.Create: driver.ErrExists, driver.Put: driver.ErrExists, driver.Update: driver.ErrNotFound,
			driver.Delete: driver.ErrNotFound, driver.Check: driver.ErrConflict,
		} {
			if _, err := b.Apply(t.Context(), append(create("50", "51"), mutations(op, id)...)); !errors.Is(err, want) {
				t.Errorf("operation %d on %q: %v, want %v", op, id, err, want)
			}
		}
	}
	ref := create("60")
	ref[0].NewRefs = []driver.ID{"5"}
	if _, err := b.Apply(t.Context(), ref); !errors.Is(err, driver.ErrDangling) {
		t.Errorf("reference to a foreign file: %v", err)
	}
	files := contents(t, dir)
	for name, text := range foreign {
		if files[name] != text {
			t.Errorf("%s: %q", name, files[name])
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "8")); err != nil {
		t.Error(err)
	}
}

// What a case-folding file system does with two names is done here with a file under another's
// name.
func TestLetterCaseClash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir, textSchema)
	apply(t, b, create("task")...)
	if !b.folds {
		file := contents(t, dir)["task"]
		if err := os.Rename(filepath.Join(dir, "task"), filepath.Join(dir, "TASK")); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if got := contents(t, dir)["TASK"]; got != file {
				t.Errorf("the other record is now %q", got)
			}
		}()
	}
	if recs := get(t, b, whole, "TASK"); len(recs) > 0 {
		t.Errorf("got %v", recs)
	}
	for op, want := range map[driver.Op]error{
		driver.Create: errors.ErrUnsupported, driver.Put: errors.ErrUnsupported,
		driver.Update: driver.ErrNotFound, driver.Delete: driver.ErrNotFound, driver.Check: driver.ErrConflict,
	} {
		if _, err := b.Apply(t.Context(), mutations(op, "TASK")); !errors.Is(err, want) {
			t.Errorf("operation %d: %v, want %v", op, err, want)
		}
	}
	b.folds = true
	if _, err := b.Apply(t.Context(), create("new", "New")); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("two of one name in a batch: %v", err)
	}
}

func TestNoCreate(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "none")
	if _, err := openWith(t.Context(), missing, textSchema, driver.OpenOptions{NoCreate: true}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing directory: %v", err)
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("the directory was made")
	}

	dir := t.TempDir()
	b, err := New(dir, driver.OpenOptions{NoCreate: true})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	schema := driver.Schema{IntegerIDs: true, Fields: []driver.Column{{Name: "n", Kind: driver.Int}}}
	m, err := b.Init(t.Context(), schema)
	if err != nil || m.Identity == "" || !m.NoCounter || !slices.Equal(m.Missing, []string{"n"}) {
		t.Errorf("%+v, %v", m, err)
	}
	if m2, err := b.Init(t.Context(), schema); err != nil || m2.Identity != m.Identity {
		t.Errorf("%+v, %v", m2, err)
	}
	names := func() (names []string) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	r := rec("5")
	r.Fields = []any{int64(1)}
	apply(t, b, driver.Mutation{Op: driver.Create, Rec: r})
	apply(t, b, driver.Mutation{Op: driver.Put, Rec: r}, driver.Mutation{Op: driver.Put, Rec: rec("6")})
	if got := get(t, b, whole, "5"); len(got) != 1 || got[0].Fields[0] != nil {
		t.Errorf("got %v", got)
	}
	for _, want := range []int64{7, 10} {
		if got, err := b.NextIDs(t.Context(), 3); err != nil || got != want {
			t.Errorf("got %d, %v, want %d", got, err, want)
		}
	}
	if got := names(); !slices.Equal(got, []string{"5", "6"}) {
		t.Errorf("there are %q", got)
	}
}

// Who may not make lock files and who makes them exclude each other nonetheless.
func TestNoCreateAndCreateExcludeEachOther(t *testing.T) {
	t.Parallel()
	if !lockDirs {
		t.Skip("directories cannot be locked here")
	}
	dir := t.TempDir()
	b, err := openWith(t.Context(), dir, intSchema, driver.OpenOptions{NoCreate: true})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ctx, cancel := context.WithCancel(t.Context())
	err = b.View(t.Context(), func(driver.Reader) error {
		cancel()
		_, err := openWith(ctx, dir, intSchema, driver.OpenOptions{})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("made the lock files in the midst of a view: %v", err)
		}
		if l, err := b.acquireFiles(t.Context(), false); err != nil {
			t.Error(err)
		} else {
			l.h.close()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	creator := open(t, dir, intSchema)
	err = creator.View(t.Context(), func(driver.Reader) error {
		l, err := b.acquireFiles(t.Context(), false)
		if err != nil {
			return err
		}
		if l.h.gate == nil {
			t.Error("the lock files are there but not used")
		}
		l.h.close()
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
