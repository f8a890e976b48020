package persistence_test

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence"
	_ "github.com/brine-go/brine/persistence/all"
)

func TestMain(m *testing.M) {
	if child() {
		return
	}
	testserver.Main(m, func() {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	})
}

// backends runs a test on every backend. url names an empty store; except for mem, opening it
// again opens the same data.
func backends(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	t.Parallel()
	for _, name := range []string{"mem", "fs", "sqlite", "postgres", "mariadb"} {
		if !sampled(t, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, storeURL(t, name))
		})
	}
}

// sampled reports whether a test runs on a backend. Of the two that keep stores in files, the short
// form takes one, by the name of the test.
func sampled(t *testing.T, backend string) bool {
	if !testing.Short() || backend != "fs" && backend != "sqlite" {
		return true
	}
	return (backend == "fs") == (crc32.ChecksumIEEE([]byte(t.Name()))%2 == 0)
}

func storeURL(t testing.TB, backend string) string {
	switch backend {
	case "mem":
		return "mem:"
	case "fs":
		return "file:" + filepath.Join(t.TempDir(), "store")
	case "sqlite":
		return "sqlite:" + filepath.Join(t.TempDir(), "store.db")
	case "postgres":
		s := testserver.SharedPostgres(t)
		return s.URL(s.NewDB(t))
	case "mariadb":
		s := testserver.SharedMariaDB(t)
		return s.URL(s.NewDB(t))
	}
	t.Fatalf("no backend %q", backend)
	return ""
}

func open(t testing.TB, url string, opts *persistence.Options) *persistence.Store {
	t.Helper()
	if opts == nil {
		opts = &persistence.Options{}
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	s, err := persistence.MakeStore(t.Context(), url, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantIs(t testing.TB, err, target error, words ...string) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("got error %v, want %v", err, target)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not mention %q", err, w)
		}
	}
}

func list(t testing.TB, s *persistence.Store, q *persistence.Query) []persistence.ID {
	t.Helper()
	var ids []persistence.ID
	for id, err := range s.List(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

// Task is the type of the objects in most tests.
type Task struct {
	persistence.Persistable
	Name  string
	State string
	Prio  int
	Deps  []*Task
	Files map[string]*File
	Meta  map[string]string
	Any   any
	Later persistence.Ref[File]
}

type File struct {
	persistence.Persistable
	Path string
	By   *Task
}

type Plain struct {
	Name string
	Task *Task
}

func init() {
	persistence.Register[Task]("test.Task")
	persistence.Register[File]("test.File")
	persistence.Register[Plain]("test.Plain")
}

func TestSavedGraphComesBackWithSharedReferencesAndCycles(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		f := &File{Path: "/x"}
		a := &Task{Name: "a", State: "NEW", Files: map[string]*File{"out": f}, Meta: map[string]string{"k": "v"}}
		b := &Task{Name: "b", Deps: []*Task{a}, Any: f}
		f.By, a.Deps = a, []*Task{b, b}
		id := must[persistence.ID](t)(s.Save(ctx, b))
		if id != b.PersistentID() || a.PersistentID() == "" || f.PersistentID() == "" {
			t.Fatalf("ids: %q, b %q, a %q, f %q", id, b.PersistentID(), a.PersistentID(), f.PersistentID())
		}
		if n := must[int64](t)(s.Count(ctx, nil)); n != 3 {
			t.Fatalf("%d records, want 3", n)
		}
		got := must[*Task](t)(persistence.Load[Task](ctx, s, id))
		ga := got.Deps[0]
		if got.Name != "b" || ga.Name != "a" || ga.State != "NEW" || ga.Meta["k"] != "v" {
			t.Fatalf("got %+v, %+v", got, ga)
		}
		if ga.Deps[0] != got || ga.Deps[1] != got || got.Any != ga.Files["out"] || ga.Files["out"].By != ga {
			t.Fatal("references are not shared as they were saved")
		}
		if got == b || got.PersistentID() != id || !persistence.Same(got, b) {
			t.Fatal("a load returns a fresh object of the same identity")
		}
		again := must[any](t)(s.Load(ctx, id)).(*Task)
		if again == got {
			t.Fatal("two loads returned one pointer")
		}
		if err := s.Remove(ctx, a.PersistentID()); err != nil {
			t.Fatal(err)
		}
		_, err := s.Load(ctx, id)
		wantIs(t, err, persistence.ErrDangling, string(id), string(a.PersistentID()))
	})
}

func TestSaveWritesOnlyWhatChanged(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		a, b := &Task{Name: "a"}, &Task{Name: "b"}
		a.Deps, b.Deps = []*Task{b}, []*Task{a}
		must[persistence.ID](t)(s.Save(ctx, a))
		rev := func(o persistence.Object) int64 {
			return must[persistence.Info](t)(s.Stat(ctx, o.PersistentID())).Revision
		}
		if rev(a) != 1 || rev(b) != 1 {
			t.Fatalf("revisions %d, %d, want 1, 1", rev(a), rev(b))
		}
		must[persistence.ID](t)(s.Save(ctx, a))
		b.Name = "b2"
		must[persistence.ID](t)(s.Save(ctx, a))
		if rev(a) != 1 || rev(b) != 2 {
			t.Fatalf("revisions %d, %d, want 1, 2", rev(a), rev(b))
		}
		la := must[*Task](t)(persistence.Load[Task](ctx, s, a.PersistentID()))
		must[persistence.ID](t)(s.Save(ctx, la))
		if rev(a) != 1 || rev(b) != 2 {
			t.Fatalf("saving what was loaded wrote: revisions %d, %d", rev(a), rev(b))
		}
		la.Name, la.Deps[0].Name = "a3", "b3"
		must[[]persistence.ID](t)(s.SaveOnly(ctx, la))
		if rev(a) != 2 || rev(b) != 2 {
			t.Fatalf("SaveOnly: revisions %d, %d, want 2, 2", rev(a), rev(b))
		}
	})
}

func TestStaleWriterGetsErrConflictAndNothingIsWritten(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		id := must[persistence.ID](t)(s.Save(ctx, &Task{Name: "old"}))
		one := must[*Task](t)(persistence.Load[Task](ctx, s, id))
		two := must[*Task](t)(persistence.Load[Task](ctx, s, id))
		one.Name = "one"
		must[persistence.ID](t)(s.Save(ctx, one))
		two.Name, two.Deps = "two", []*Task{{Name: "new"}}
		_, err := s.Save(ctx, two)
		wantIs(t, err, persistence.ErrConflict, string(id))
		if two.Deps[0].PersistentID() != "" {
			t.Error("a failed save gave out an ID")
		}
		if n := must[int64](t)(s.Count(ctx, nil)); n != 1 {
			t.Errorf("%d records, want 1", n)
		}
		if err := s.Replace(ctx, id, two); err != nil {
			t.Fatal(err)
		}
		if got := must[*Task](t)(persistence.Load[Task](ctx, s, id)); got.Name != "two" || got.Deps[0].Name != "new" {
			t.Errorf("Replace stored %+v", got)
		}
		if err := s.Remove(ctx, id); err != nil {
			t.Fatal(err)
		}
		_, err = s.Save(ctx, two)
		wantIs(t, err, persistence.ErrConflict, string(id))
		if err := s.Insert(ctx, id, two); err != nil {
			t.Fatal(err)
		}
		one.Name = "stale"
		_, err = s.Save(ctx, one)
		wantIs(t, err, persistence.ErrConflict)
		err = s.Insert(ctx, id, &Task{})
		wantIs(t, err, persistence.ErrExists, string(id))
		wantIs(t, s.Replace(ctx, "999", &Task{}), persistence.ErrNotFound, "999")
	})
}

func TestNewReferencesToRemovedRecordsAreRefused(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		gone := &Task{Name: "gone"}
		goneID := must[persistence.ID](t)(s.Save(ctx, gone))
		if err := s.Remove(ctx, goneID); err != nil {
			t.Fatal(err)
		}
		referrer := &Task{Name: "new", Deps: []*Task{gone}}
		_, err := s.SaveOnly(ctx, referrer)
		wantIs(t, err, persistence.ErrDangling, "test.Task", string(goneID))
		referrer.Deps = nil
		id := must[[]persistence.ID](t)(s.SaveOnly(ctx, referrer))[0]
		referrer.Deps = []*Task{gone}
		_, err = s.SaveOnly(ctx, referrer)
		wantIs(t, err, persistence.ErrDangling, string(id), string(goneID))
	})
}

func TestPlainValuesAreNewRecordsAtEachSave(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		task := &Task{Name: "t"}
		values := []any{"text", 42, []int{1, 2}, map[string]any{"a": int8(1)}, 1.5, true, time.Second,
			Plain{Name: "by value", Task: task}, &Plain{Name: "by pointer", Task: task}}
		first := must[[]persistence.ID](t)(s.SaveAll(ctx, values...))
		second := must[[]persistence.ID](t)(s.SaveAll(ctx, values...))
		if len(first) != len(values) || slices.Equal(first, second) {
			t.Fatalf("ids %v and %v", first, second)
		}
		if n := must[int64](t)(s.Count(ctx, nil)); n != int64(2*len(values)+1) {
			t.Fatalf("%d records, want %d", n, 2*len(values)+1)
		}
		got := must[[]any](t)(s.LoadAll(ctx, first...))
		for i := range 7 {
			if diff := cmp.Diff(values[i], got[i]); diff != "" {
				t.Errorf("value %d: %s", i, diff)
			}
		}
		p, q := got[7].(*Plain), got[8].(*Plain)
		if p.Name != "by value" || q.Name != "by pointer" || p.Task != q.Task {
			t.Errorf("got %+v, %+v", p, q)
		}
		_, err := persistence.Load[Task](ctx, s, first[0])
		wantIs(t, err, persistence.ErrType, string(first[0]))
		if m := must[*map[string]any](t)(persistence.Load[map[string]any](ctx, s, first[3])); (*m)["a"] != int8(1) {
			t.Errorf("typed load of a map: %v", m)
		}
	})
}

type Unregistered struct {
	persistence.Persistable
	N    int
	Next *Unregistered
}

type Holder struct{ X any }

func TestUnregisteredTypesLoadOnlyWhereTheProgramNamesThem(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		id := must[persistence.ID](t)(s.Save(ctx, &Unregistered{N: 1, Next: &Unregistered{N: 2}}))
		if info := must[persistence.Info](t)(s.Stat(ctx, id)); info.Type != "persistence_test.Unregistered" {
			t.Errorf("type %q", info.Type)
		}
		_, err := s.Load(ctx, id)
		wantIs(t, err, persistence.ErrUnknownType, "persistence_test.Unregistered", "Register")
		if got := must[*Unregistered](t)(persistence.Load[Unregistered](ctx, s, id)); got.Next.N != 2 {
			t.Errorf("got %+v", got)
		}
		_, err = s.Save(ctx, &Holder{X: &Unregistered{}})
		wantIs(t, err, persistence.ErrUnstorable, "Holder.X")
		n := 0
		for u, err := range persistence.All[Unregistered](ctx, s, nil) {
			if err != nil || u.N == 0 {
				t.Fatal(u, err)
			}
			n++
		}
		if n != 2 {
			t.Errorf("All gave %d objects, want 2", n)
		}
	})
}

func TestUnstorableValuesFailAtSaveWithTheirPath(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		_, err := s.Save(ctx, &Task{Deps: []*Task{{Any: []any{1, func() {}}}}})
		wantIs(t, err, persistence.ErrUnstorable, "Task.Any[1]")
		for _, v := range []any{nil, (*Task)(nil), Task{}, []Task{{}}, make(chan int), uintptr(1)} {
			_, err := s.Save(ctx, v)
			wantIs(t, err, persistence.ErrUnstorable)
		}
		_, err = s.Save(ctx, &Task{State: strings.Repeat("é", 129)})
		wantIs(t, err, persistence.ErrTooLarge, "128")
		if n := must[int64](t)(s.Count(ctx, nil)); n != 0 {
			t.Errorf("%d records were written", n)
		}
	})
}

func TestRemoveAndLookupsOfAbsentAndInvalidIDs(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		ids := must[[]persistence.ID](t)(s.SaveAll(ctx, "a", "b", "c"))
		wantIs(t, s.Remove(ctx, ids[0], "777", "888"), persistence.ErrNotFound, "777")
		wantIs(t, s.Remove(ctx, ids[0], "not a number", "888"), persistence.ErrNotFound, "not a number")
		if n := must[int64](t)(s.Count(ctx, nil)); n != 3 {
			t.Fatalf("a failed Remove removed: %d records", n)
		}
		if err := s.Remove(ctx, ids[0], ids[1], ids[0]); err != nil {
			t.Fatal(err)
		}
		for _, bad := range []persistence.ID{ids[0], "", "x", "007", "1\x00", persistence.ID(strings.Repeat("9", 200))} {
			_, err := s.Load(ctx, bad)
			wantIs(t, err, persistence.ErrNotFound)
			_, err = s.Stat(ctx, bad)
			wantIs(t, err, persistence.ErrNotFound)
			if bad != ids[0] {
				wantIs(t, s.Insert(ctx, bad, "v"), persistence.ErrInvalidID)
			}
		}
		_, err := s.LoadAll(ctx, ids[2], "555", "666")
		wantIs(t, err, persistence.ErrNotFound, "555")
		if got := must[[]any](t)(s.LoadAll(ctx, ids[2], ids[2])); got[0] != "c" || got[1] != "c" {
			t.Errorf("got %v", got)
		}
	})
}

func TestGeneratedIDsThatAreTakenAreReplacedByOthers(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		must[persistence.ID](t)(s.Save(ctx, "takes a block of numbers"))
		for n := 2; n < 300; n++ {
			if err := s.Insert(ctx, persistence.ID(fmt.Sprint(n)), n); err != nil {
				t.Fatal(err)
			}
		}
		tasks := []any{&Task{}, &Task{}, "plain"}
		ids := must[[]persistence.ID](t)(s.SaveAll(ctx, tasks...))
		for i, id := range ids {
			if seq, _ := id.Seq(); seq < 300 {
				t.Errorf("id %d is %q", i, id)
			}
		}
		if ids[0] != tasks[0].(*Task).PersistentID() {
			t.Errorf("the object has %q, Save returned %q", tasks[0].(*Task).PersistentID(), ids[0])
		}
	})
}

func TestFuncFactoryThatRepeatsAnIDGetsErrExists(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		id := persistence.ID("x")
		s := open(t, url, &persistence.Options{IDs: idfactory.Func(func(context.Context, any) (persistence.ID, error) { return id, nil })})
		must[persistence.ID](t)(s.Save(t.Context(), &Task{}))
		_, err := s.Save(t.Context(), &Task{})
		wantIs(t, err, persistence.ErrExists, `"x"`)
		id = ""
		_, err = s.Save(t.Context(), &Task{})
		wantIs(t, err, persistence.ErrInvalidID)
	})
}

func TestCopyOfAnObjectIsANewObject(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		a := &Task{Name: "a"}
		must[persistence.ID](t)(s.Save(ctx, a))
		b := new(Task)
		*b = *a
		if b.PersistentID() != "" || persistence.Same(a, b) {
			t.Fatalf("the copy has the ID %q", b.PersistentID())
		}
		must[persistence.ID](t)(s.Save(ctx, b))
		if a.PersistentID() == b.PersistentID() {
			t.Fatal("the copy was saved as the original")
		}
	})
}

func TestObjectBelongsToEachStoreItWasSavedIn(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		other := open(t, storeURL(t, "sqlite"), &persistence.Options{IDs: idfactory.Sequence("")})
		a := &Task{Name: "a", Deps: []*Task{{Name: "b"}}}
		one := must[persistence.ID](t)(s.Save(ctx, a))
		two := must[persistence.ID](t)(other.Save(ctx, a))
		if !strings.HasPrefix(string(two), "Task.") || a.PersistentID() != two {
			t.Fatalf("id in the other store: %q, PersistentID %q", two, a.PersistentID())
		}
		if got := must[persistence.ID](t)(s.Save(ctx, a)); got != one || a.PersistentID() != one {
			t.Fatalf("saved again: %q, PersistentID %q, want %q", got, a.PersistentID(), one)
		}
		for _, st := range []*persistence.Store{s, other} {
			if n := must[int64](t)(st.Count(ctx, nil)); n != 2 {
				t.Errorf("%v has %d records, want 2", st.URL(), n)
			}
		}
		if url == "mem:" {
			return
		}
		reopened := open(t, url, nil)
		must[persistence.ID](t)(reopened.Save(ctx, a))
		if n := must[int64](t)(reopened.Count(ctx, nil)); n != 2 {
			t.Errorf("saving in the reopened store made %d records of 2", n)
		}
	})
}

func TestLazyReferencesLoadWhenAsked(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		f := &File{Path: "/lazy"}
		task := &Task{Name: "t", Later: persistence.RefTo(f)}
		id := must[persistence.ID](t)(s.Save(ctx, task))
		if task.Later.ID() != f.PersistentID() || f.PersistentID() == "" {
			t.Fatal("RefTo does not count as reached")
		}
		got := must[*Task](t)(persistence.Load[Task](ctx, s, id))
		lazy := must[*File](t)(got.Later.Get(ctx, s))
		if lazy == f || lazy.Path != "/lazy" || got.Later.ID() != f.PersistentID() {
			t.Fatalf("got %+v", lazy)
		}
		must[persistence.ID](t)(s.Save(ctx, got))
		var zero persistence.Ref[File]
		if v, err := zero.Get(ctx, s); v != nil || err != nil || zero.ID() != "" {
			t.Fatalf("zero Ref: %v, %v", v, err)
		}
		if err := s.Remove(ctx, f.PersistentID()); err != nil {
			t.Fatal(err)
		}
		got = must[*Task](t)(persistence.Load[Task](ctx, s, id))
		_, err := got.Later.Get(ctx, s)
		wantIs(t, err, persistence.ErrNotFound)
		other := open(t, "mem:", nil)
		_, err = other.Save(ctx, got)
		wantIs(t, err, persistence.ErrDangling, "another store")
	})
}

func TestExtraFieldsAndQueries(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		ctx := t.Context()
		opts := &persistence.Options{ExtraFields: []extrafields.Field{
			extrafields.Of("name", func(t *Task) string { return t.Name }).Indexed(),
			extrafields.Of("prio", func(t *Task) int { return t.Prio }),
			extrafields.Get("owner", extrafields.Text, `Meta["owner"]`).Only(Task{}),
		}}
		s := open(t, url, opts)
		for i := range 20 {
			task := &Task{Name: fmt.Sprintf("t%02d", i), Prio: i % 4, State: []string{"NEW", "DONE"}[i%2]}
			if i%5 == 0 {
				task.Meta = map[string]string{"owner": "ann"}
			}
			must[persistence.ID](t)(s.Save(ctx, task))
		}
		must[persistence.ID](t)(s.Save(ctx, &File{Path: "/f"}))
		count := func(want int64, q persistence.Query) {
			t.Helper()
			if n := must[int64](t)(s.Count(ctx, &q)); n != want {
				t.Errorf("%+v: %d, want %d", q, n, want)
			}
			if n := len(list(t, s, &q)); q.Limit == 0 && int64(n) != want {
				t.Errorf("%+v lists %d, want %d", q, n, want)
			}
		}
		where := func(c ...persistence.Cond) persistence.Query { return persistence.Query{Where: c} }
		count(21, persistence.Query{})
		count(10, persistence.Query{State: []string{"DONE"}})
		count(0, persistence.Query{State: []string{}})
		count(1, persistence.Query{Type: "test.File"})
		count(5, where(persistence.Eq("prio", 3)))
		count(16, where(persistence.Ne("prio", uint8(3))))
		count(4, where(persistence.Eq("owner", "ann")))
		count(17, where(persistence.IsNull("owner")))
		count(17, where(persistence.NotIn("owner", "ann", "bob")))
		count(10, where(persistence.HasPrefix("name", "t1")))
		count(10, where(persistence.In("prio", 1, 2), persistence.NotNull("name")))
		count(2, where(persistence.Le("id", 2)))
		q := &persistence.Query{Order: []persistence.Order{persistence.Desc("owner"), persistence.Asc("prio"), persistence.Desc("name")}, Limit: 6}
		ids := list(t, s, q)
		want := []persistence.ID{"1", "6", "11", "16", "17", "13"}
		if diff := cmp.Diff(want, ids); diff != "" {
			t.Errorf("ordered: %s", diff)
		}
		for _, bad := range []persistence.Query{
			where(persistence.Eq("nmae", "x")), where(persistence.Eq("prio", "x")), where(persistence.Eq("prio", 1.5)),
			where(persistence.Eq("size", 1)), where(persistence.HasPrefix("prio", "1")), where(persistence.Eq("name", nil)),
			{After: "3", Order: []persistence.Order{persistence.Asc("name")}}, {Limit: -1}, where(persistence.Cond{}),
			{Order: []persistence.Order{persistence.Asc("name; DROP TABLE store")}},
		} {
			if _, err := s.Count(ctx, &bad); err == nil {
				t.Errorf("%+v is accepted", bad)
			}
		}
		info := must[persistence.Info](t)(s.Stat(ctx, "1"))
		if diff := cmp.Diff(map[string]any{"name": "t00", "prio": int64(0), "owner": "ann"}, info.Fields); diff != "" {
			t.Error(diff)
		}
		if info.State != "NEW" || info.Size == 0 || info.Created.IsZero() || !info.Modified.Equal(info.Created) {
			t.Errorf("info %+v", info)
		}
		if ids := list(t, s, &persistence.Query{After: "18"}); !slices.Equal(ids, []persistence.ID{"19", "20", "21"}) {
			t.Errorf("after 18: %v", ids)
		}
	})
}

func TestFieldsAddedLaterAreFilledByReindex(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		if url == "mem:" {
			t.Skip("private memory cannot be opened again")
		}
		ctx := t.Context()
		s := open(t, url, nil)
		tasks := make([]any, 700)
		for i := range tasks {
			tasks[i] = &Task{Name: fmt.Sprint(i)}
		}
		ids := must[[]persistence.ID](t)(s.SaveAll(ctx, tasks...))
		s.Close()
		s = open(t, url, &persistence.Options{ExtraFields: []extrafields.Field{
			extrafields.Of("name", func(t *Task) string { return t.Name }).Indexed()}})
		loaded := must[*Task](t)(persistence.Load[Task](ctx, s, ids[7]))
		if n := must[int64](t)(s.Count(ctx, &persistence.Query{Where: []persistence.Cond{persistence.NotNull("name")}})); n != 0 {
			t.Fatalf("%d names before Reindex", n)
		}
		var last, total int64
		if err := s.Reindex(ctx, func(d, n int64) { last, total = d, n }); err != nil {
			t.Fatal(err)
		}
		if last != 700 || total != 700 {
			t.Errorf("progress ended at %d of %d", last, total)
		}
		if got := list(t, s, &persistence.Query{Where: []persistence.Cond{persistence.Eq("name", "699")}}); !slices.Equal(got, ids[699:]) {
			t.Errorf("found %v, want %v", got, ids[699:])
		}
		loaded.Prio = 1
		must[persistence.ID](t)(s.Save(ctx, loaded)) // Reindex did not raise its revision
	})
}

func TestFailingExtractorsWarnAndMakeNull(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		var mu sync.Mutex
		var log strings.Builder
		h := slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			return log.Write(p)
		}), nil)
		s := open(t, url, &persistence.Options{Logger: slog.New(h), ExtraFields: []extrafields.Field{
			extrafields.Func("boom", extrafields.Int, func(any) (any, error) { panic("boom") }),
			extrafields.Func("kind", extrafields.Int, func(any) (any, error) { return "text", nil }),
		}})
		id := must[persistence.ID](t)(s.Save(t.Context(), &Task{}))
		if f := must[persistence.Info](t)(s.Stat(t.Context(), id)).Fields; f["boom"] != nil || f["kind"] != nil {
			t.Errorf("fields %v", f)
		}
		for _, word := range []string{"column=boom", "column=kind", "Task", "id=" + string(id)} {
			if !strings.Contains(log.String(), word) {
				t.Errorf("the log does not mention %q: %s", word, &log)
			}
		}
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestOptionsThatCannotBeHonouredAreRefused(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	_, err := persistence.MakeStore(ctx, "mem:", &persistence.Options{Identity: true})
	wantIs(t, err, errors.ErrUnsupported, "Identity")
	for _, c := range []struct {
		url  string
		opts persistence.Options
		word string
	}{
		{"nosuch:x", persistence.Options{}, "sqlite"},
		{"mem:", persistence.Options{Table: "a b"}, "a b"},
		{"sqlite:?journal=off", persistence.Options{}, "journal"},
		{"mem:", persistence.Options{ExtraFields: []extrafields.Field{extrafields.Func("state", extrafields.Int, nil)}}, "state"},
		{"mem:", persistence.Options{ExtraFields: []extrafields.Field{
			extrafields.Of("x", func(*Task) int { return 0 }), extrafields.Of("X", func(*Task) int { return 0 })}}, "twice"},
	} {
		s, err := persistence.MakeStore(ctx, c.url, &c.opts)
		if err == nil {
			s.Close()
			t.Errorf("%s %+v is accepted", c.url, c.opts)
		} else if !strings.Contains(err.Error(), c.word) {
			t.Errorf("error %q does not mention %q", err, c.word)
		}
	}
}
