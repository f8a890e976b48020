package sqlite_test

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/brine-go/brine/persistence/driver"
)

func TestPathsAreTakenAsTheyAre(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows allows few of these names")
	}
	for _, name := range []string{"a b", "what?mode=memory", "#1", "100%", "%41", "é", "a'b\"c", "x&_pragma=query_only(1)", "semi;colon"} {
		path := filepath.Join(t.TempDir(), "new", name, name+".db")
		b, meta := open(t, fileURL(path), integers, driver.OpenOptions{})
		apply(t, b, create("1", "x"))
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		for p, want := range map[string]fs.FileMode{path: 0o600, filepath.Dir(path): 0o700 | fs.ModeDir} {
			if info, err := os.Stat(p); err != nil || info.Mode() != want {
				t.Errorf("%s: %v, %v", p, info, err)
			}
		}
		again, meta2 := open(t, fileURL(path), integers, driver.OpenOptions{NoCreate: true})
		if got := get(t, again, driver.Data, "1"); string(got["1"].Data) != "x" || meta.Identity != meta2.Identity {
			t.Errorf("%s: opened again: %v, %+v", path, got, meta2)
		}
		if files, _ := os.ReadDir(filepath.Dir(path)); len(files) == 0 || files[0].Name() != name+".db" {
			t.Errorf("%s: files %v", path, files)
		}
	}
}

func TestARelativePathStaysWhereItWas(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	b, meta := open(t, "sqlite:sub/rel.db", integers, driver.OpenOptions{})
	suspend, ok := b.(driver.Suspender)
	if !ok {
		t.Fatal("no Suspender")
	}
	if err := suspend.Suspend(); err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := suspend.Resume(); err != nil {
		t.Fatal(err)
	}
	apply(t, b, create("1", "x"))
	other, meta2 := open(t, fileURL(filepath.Join(dir, "sub", "rel.db")), integers, driver.OpenOptions{NoCreate: true})
	if got := get(t, other, driver.Data, "1"); len(got) != 1 || meta.Identity != meta2.Identity {
		t.Errorf("%v, identities %q and %q", got, meta.Identity, meta2.Identity)
	}
}

func TestURLsThatAreRefused(t *testing.T) {
	t.Parallel()
	for u, want := range map[string]string{
		"sqlite:x.db?busy_timeuot=3s":            `"busy_timeout"`,
		"sqlite:x.db?busy_timeout=3":             "busy_timeout",
		"sqlite:x.db?busy_timeout=-3s":           "busy_timeout",
		"sqlite:x.db?synchronous=off":            "synchronous",
		"sqlite:x.db?readers=0":                  "readers",
		"sqlite:x.db?networkfs=yes":              "networkfs",
		"sqlite:x.db?_pragma=foreign_keys(1)":    "_pragma",
		"sqlite::memory:?mode=rwc":               "mode",
		"sqlite:x.db?readers=1&readers=2":        "twice",
		"sqlite://user:secret@host.example/x.db": "",
	} {
		_, err := openBackend(u, driver.OpenOptions{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: error %v, want one that says %s", u, err, want)
		}
	}
}

func TestWhatIsNoDatabaseIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "text.db")
	if err := os.WriteFile(text, []byte(strings.Repeat("not a database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	under := filepath.Join(text, "below.db")
	missing := filepath.Join(dir, "no", "such.db")
	for path, tt := range map[string]struct {
		o    driver.OpenOptions
		want string
	}{
		text:    {driver.OpenOptions{}, "not a SQLite database"},
		dir:     {driver.OpenOptions{}, "folder"},
		under:   {driver.OpenOptions{}, text},
		missing: {driver.OpenOptions{NoCreate: true}, "nothing may be created"},
	} {
		b, err := openBackend(fileURL(path), tt.o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = b.Init(t.Context(), integers); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), filepath.Base(path)) && path != under {
			t.Errorf("%s: error %v", path, err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Dir(missing)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("NoCreate made a folder: %v", err)
	}
	if got, err := os.ReadFile(text); err != nil || !strings.HasPrefix(string(got), "not a database") {
		t.Errorf("the file that is no database was changed: %v", err)
	}
	empty, err := openBackend("sqlite::memory:", driver.OpenOptions{NoCreate: true})
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	if _, err := empty.Init(t.Context(), integers); err == nil || !strings.Contains(err.Error(), `"store"`) {
		t.Errorf("a table that is not there: %v", err)
	}
}

func TestPrivateMemorySurvivesSuspend(t *testing.T) {
	t.Parallel()
	for _, u := range []string{"sqlite:", "sqlite://", "sqlite::memory:"} {
		b, _ := open(t, u, integers, driver.OpenOptions{})
		other, _ := open(t, u, integers, driver.OpenOptions{})
		apply(t, b, create("1", "x"))
		s := b.(driver.Suspender)
		if err := errors.Join(s.Suspend(), s.Resume()); err != nil {
			t.Error(err)
		}
		if got := get(t, b, 0, "1"); len(got) != 1 {
			t.Errorf("%s: the record is gone", u)
		}
		if got := get(t, other, 0, "1"); len(got) != 0 {
			t.Errorf("%s is shared", u)
		}
	}
}

func TestSuspendLetsGoOfEveryFile(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("looks at /proc/self/fd")
	}
	path := file(t)
	b, _ := open(t, fileURL(path), integers, driver.OpenOptions{})
	held := func() int {
		n := 0
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range fds {
			if target, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(target, path) {
				n++
			}
		}
		return n
	}
	s := b.(driver.Suspender)
	for i := range 3 {
		apply(t, b, create(driver.ID('1'+byte(i)), "x"))
		if held() == 0 {
			t.Error("no file is open, the test sees nothing")
		}
		if err := s.Suspend(); err != nil {
			t.Fatal(err)
		}
		if n := held(); n != 0 {
			t.Errorf("%d files are open", n)
		}
		if err := s.Resume(); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(scan(t, b, &driver.Query{})); n != 3 {
		t.Errorf("%d records", n)
	}
}

func TestCloseWaitsAndIsFinal(t *testing.T) {
	t.Parallel()
	for kind, u := range urls(t) {
		b, _ := open(t, u, integers, driver.OpenOptions{})
		apply(t, b, create("1", "x"))
		inside, closed := make(chan struct{}), make(chan error, 1)
		go func() {
			<-inside
			closed <- b.Close()
		}()
		err := b.View(t.Context(), func(r driver.Reader) error {
			close(inside)
			for { // until Close has begun: it must not pull the view's connection away
				if _, err := b.NextIDs(t.Context(), 0); errors.Is(err, driver.ErrClosed) {
					break
				}
				if kind == "a file" {
					if err := b.View(t.Context(), func(driver.Reader) error { return nil }); errors.Is(err, driver.ErrClosed) {
						break
					}
				} else {
					break
				}
			}
			recs, err := r.Get(t.Context(), []driver.ID{"1"}, everything)
			if len(recs) != 1 {
				t.Errorf("%s: %d records", kind, len(recs))
			}
			return err
		})
		if err := errors.Join(err, <-closed, b.Close()); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if _, err := b.Apply(t.Context(), nil); !errors.Is(err, driver.ErrClosed) {
			t.Errorf("%s: Apply: %v", kind, err)
		}
		if _, err := b.Init(t.Context(), integers); !errors.Is(err, driver.ErrClosed) {
			t.Errorf("%s: Init: %v", kind, err)
		}
		if err := b.View(t.Context(), nil); !errors.Is(err, driver.ErrClosed) {
			t.Errorf("%s: View: %v", kind, err)
		}
	}
}

func TestAPanicInAViewReleasesEverything(t *testing.T) {
	t.Parallel()
	for kind, u := range urls(t) {
		b, _ := open(t, u, integers, driver.OpenOptions{})
		apply(t, b, create("1", "x"), create("2", "x"))
		for range 10 {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s: the panic was swallowed", kind)
					}
				}()
				_ = b.View(t.Context(), func(r driver.Reader) error {
					for range r.Scan(t.Context(), &driver.Query{}) {
						panic("in the loop")
					}
					return nil
				})
			}()
		}
		apply(t, b, create("3", "x"))
		if n := len(scan(t, b, &driver.Query{})); n != 3 {
			t.Errorf("%s: %d records", kind, n)
		}
		if err := b.Close(); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestManyInitsAtOnce(t *testing.T) {
	t.Parallel()
	u := fileURL(filepath.Join(t.TempDir(), "a", "b", "c.db"))
	var mu sync.Mutex
	var metas []driver.Meta
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			b, err := openBackend(u, driver.OpenOptions{})
			if err != nil {
				t.Error(err)
				return
			}
			defer b.Close()
			s := driver.Schema{IntegerIDs: true, Fields: []driver.Column{{Name: "c" + string(rune('a'+i%3)), Kind: driver.Int, Indexed: true}}}
			meta, err := b.Init(t.Context(), s)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			metas = append(metas, meta)
		})
	}
	wg.Wait()
	for _, m := range metas {
		if m.Identity == "" || m.Identity != metas[0].Identity || m.NoCounter {
			t.Errorf("meta %+v and %+v", m, metas[0])
		}
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		schema driver.Schema
		ids    []driver.ID
		want   int64
	}{
		"begin at 1":                          {integers, nil, 1},
		"begin at 1 above negative ones":      {integers, []driver.ID{"-5"}, 1},
		"begin above the highest":             {integers, []driver.ID{"3", "100"}, 101},
		"begin above the highest in any text": {driver.Schema{}, []driver.ID{"Task.9", "Job.40", "12", "x.007", "z", "q.-3"}, 41},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := fileURL(file(t))
			a, _ := open(t, u, tt.schema, driver.OpenOptions{})
			b, _ := open(t, u, tt.schema, driver.OpenOptions{Table: "STORE"})
			other, _ := open(t, u, tt.schema, driver.OpenOptions{Table: "other"})
			for _, id := range tt.ids {
				apply(t, a, create(id, "x"))
			}
			var mu sync.Mutex
			var got []int64
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					for range 10 {
						first, err := []driver.Backend{a, b}[i%2].NextIDs(t.Context(), 3)
						if err != nil {
							t.Error(err)
						}
						mu.Lock()
						got = append(got, first)
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			slices.Sort(got)
			for i, n := range got {
				if n != tt.want+int64(3*i) {
					t.Fatalf("numbers %v, want %d and every third from there", got, tt.want)
				}
			}
			if first, err := other.NextIDs(t.Context(), 1); err != nil || first != 1 {
				t.Errorf("another table gives %d, %v", first, err)
			}
		})
	}
}

func TestNumbersEnd(t *testing.T) {
	t.Parallel()
	b, _ := open(t, "sqlite:", integers, driver.OpenOptions{})
	apply(t, b, create("9223372036854775800", "x"))
	if first, err := b.NextIDs(t.Context(), 5); err != nil || first != 9223372036854775801 {
		t.Errorf("number %d, %v", first, err)
	}
	if first, err := b.NextIDs(t.Context(), 5); err == nil {
		t.Errorf("number %d where there are none", first)
	}
}

// TestNetworkFileSystemsAreRefused needs a mounted one: any FUSE file system will do.
func TestNetworkFileSystemsAreRefused(t *testing.T) {
	t.Parallel()
	f, err := os.Open("/proc/self/mounts")
	if err != nil {
		t.Skip("no list of mounted file systems")
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		words := strings.Fields(lines.Text())
		kind := words[2]
		if kind != "9p" && !strings.HasPrefix(kind, "fuse") && !strings.HasPrefix(kind, "nfs") && kind != "cifs" || kind == "fusectl" {
			continue
		}
		b, err := openBackend(fileURL(filepath.Join(words[1], "no", "such", "place.db")), driver.OpenOptions{NoCreate: true})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		if _, err := b.Init(t.Context(), integers); err == nil || !strings.Contains(err.Error(), "networkfs=allow") {
			t.Errorf("%s on %s: %v", kind, words[1], err)
		}
		return
	}
	t.Skip("no network file system is mounted")
}
