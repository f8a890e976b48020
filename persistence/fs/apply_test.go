package fs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/fs/internal/frame"
)

// contents returns every file of a directory but the lock files.
func contents(t testing.TB, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		if e.Name() == lockName || e.Name() == gateName || !e.Type().IsRegular() {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(b)
	}
	return files
}

func TestApplyChecksEachMutation(t *testing.T) {
	t.Parallel()
	with := func(m driver.Mutation, rev int64, refs ...driver.ID) driver.Mutation {
		m.IfRev, m.NewRefs = rev, refs
		return m
	}
	op := func(op driver.Op, id driver.ID) driver.Mutation { return mutations(op, id)[0] }
	const none = driver.ID("")
	// There are: a with revision 1, b with revision 2, and bad, which is damaged.
	for _, c := range []struct {
		name    string
		ms      []driver.Mutation
		want    error
		id, ref driver.ID
	}{
		{"create of one that is there", []driver.Mutation{op(driver.Create, "a")}, driver.ErrExists, "a", none},
		{"create of a damaged one", []driver.Mutation{op(driver.Create, "bad")}, driver.ErrExists, "bad", none},
		{"update of an absent one", []driver.Mutation{op(driver.Update, "x")}, driver.ErrNotFound, "x", none},
		{"update of an absent one by revision", []driver.Mutation{with(op(driver.Update, "x"), 1)}, driver.ErrConflict, "x", none},
		{"update of another revision", []driver.Mutation{with(op(driver.Update, "b"), 1)}, driver.ErrConflict, "b", none},
		{"update of a damaged one", []driver.Mutation{op(driver.Update, "bad")}, driver.ErrCorrupt, "bad", none},
		{"put over a damaged one", []driver.Mutation{op(driver.Put, "bad")}, driver.ErrCorrupt, "bad", none},
		{"delete of an absent one", []driver.Mutation{op(driver.Delete, "x")}, driver.ErrNotFound, "x", none},
		{"delete of an absent one by revision", []driver.Mutation{with(op(driver.Delete, "x"), 1)}, driver.ErrConflict, "x", none},
		{"delete of another revision", []driver.Mutation{with(op(driver.Delete, "b"), 1)}, driver.ErrConflict, "b", none},
		{"delete of a damaged one by revision", []driver.Mutation{with(op(driver.Delete, "bad"), 1)}, driver.ErrCorrupt, "bad", none},
		{"check of an absent one", []driver.Mutation{op(driver.Check, "x")}, driver.ErrConflict, "x", none},
		{"check of another revision", []driver.Mutation{with(op(driver.Check, "b"), 1)}, driver.ErrConflict, "b", none},
		{"check of a damaged one", []driver.Mutation{op(driver.Check, "bad")}, driver.ErrCorrupt, "bad", none},
		{"reference to an absent one", []driver.Mutation{with(op(driver.Create, "y"), 0, "a", "x")}, driver.ErrDangling, "y", "x"},
		{"reference to one that could not be", []driver.Mutation{with(op(driver.Create, "y"), 0, "")}, driver.ErrDangling, "y", none},
		{"reference to one that goes", []driver.Mutation{with(op(driver.Create, "y"), 0, "a"), op(driver.Delete, "a")}, driver.ErrDangling, "y", "a"},
		{"the first of several counts, not the first by ID", []driver.Mutation{op(driver.Update, "z"), op(driver.Create, "a")}, driver.ErrNotFound, "z", none},
		{"sound ones before do not help", []driver.Mutation{op(driver.Create, "y"), op(driver.Delete, "b"), op(driver.Create, "a")}, driver.ErrExists, "a", none},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := scratch(t)
			b := open(t, dir, textSchema)
			apply(t, b, create("a", "b", "bad")...)
			apply(t, b, mutations(driver.Update, "b")...)
			spoil(t, filepath.Join(dir, "bad"), frame.HeadLen+3)
			before := contents(t, dir)
			revs, err := b.Apply(t.Context(), c.ms)
			re, ok := errors.AsType[*driver.RecordError](err)
			if !errors.Is(err, c.want) || !ok || re.ID != c.id || re.Ref != c.ref || revs != nil {
				t.Errorf("got %v, %#v; want %v of %q (%q)", revs, err, c.want, c.id, c.ref)
			}
			if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
				t.Error("something was written:", diff)
			}
		})
	}
}

// spoil alters one byte of a file.
func spoil(t testing.TB, path string, at int) {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file[at] ^= 0x55
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestApplyOfAllOperationsAtOnce(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	b := open(t, dir, textSchema)
	apply(t, b, create("updated", "put", "deleted", "checked", "bad")...)
	spoil(t, filepath.Join(dir, "bad"), frame.HeadLen+3)
	first := rec("new")
	first.Revision = 7
	changed := rec("updated")
	changed.Created, changed.Modified, changed.Data = someTime.AddDate(1, 0, 0), someTime.AddDate(1, 0, 0), []byte("changed")
	ms := []driver.Mutation{
		{Op: driver.Update, Rec: changed, IfRev: 1, NewRefs: []driver.ID{"new", "checked", "updated"}},
		{Op: driver.Put, Rec: rec("put")},
		{Op: driver.Delete, Rec: driver.Record{ID: "bad"}},
		{Op: driver.Check, Rec: driver.Record{ID: "checked"}, IfRev: 1},
		{Op: driver.Delete, Rec: driver.Record{ID: "deleted"}, IfRev: 1},
		{Op: driver.Create, Rec: first},
		{Op: driver.Put, Rec: rec("another")},
	}
	revs := apply(t, b, ms...)
	if want := []int64{2, 2, 0, 0, 0, 7, 1}; !slices.Equal(revs[:3], want[:3]) || !slices.Equal(revs[4:], want[4:]) {
		t.Errorf("revisions %v, want %v", revs, want)
	}
	ids, bad := scan(t, b, driver.Query{})
	if want := []driver.ID{"another", "checked", "new", "put", "updated"}; !slices.Equal(ids, want) || len(bad) > 0 {
		t.Errorf("got %q, %v; want %q", ids, bad, want)
	}
	got := get(t, b, whole, "updated")[0]
	if !got.Created.Equal(someTime) || !got.Modified.Equal(changed.Modified) || string(got.Data) != "changed" || got.Revision != 2 {
		t.Errorf("updated: %+v", got)
	}
	if left := ownFiles(t, dir); len(left) > 0 {
		t.Errorf("left over: %q", left)
	}
}

// A store that knows other fields, or fewer, must not lose those that it does not know.
func TestUpdateKeepsUnknownFields(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	b := open(t, dir, textSchema)
	apply(t, b, driver.Mutation{Op: driver.Create, Rec: fullRecord("x")})
	other := open(t, dir, driver.Schema{Fields: []driver.Column{{Name: "n", Kind: driver.Int}, {Name: "extra", Kind: driver.Text}}})
	r := rec("x")
	r.Fields = []any{nil, "new"}
	apply(t, other, driver.Mutation{Op: driver.Update, Rec: r})
	want := fullRecord("x").Fields
	want[1] = nil
	if diff := cmp.Diff(want, get(t, b, driver.Fields, "x")[0].Fields); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]any{nil, "new"}, get(t, other, driver.Fields, "x")[0].Fields); diff != "" {
		t.Error(diff)
	}
}

func TestSchemaMustFit(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	open(t, dir, textSchema)
	_, err := openWith(t.Context(), dir, intSchema, driver.OpenOptions{})
	if err == nil || !strings.Contains(err.Error(), "text IDs") {
		t.Errorf("integer IDs among texts: %v", err)
	}
	_, err = openWith(t.Context(), dir, driver.Schema{Fields: []driver.Column{{Name: "host", Kind: driver.Int}}}, driver.OpenOptions{})
	if err == nil || !strings.Contains(err.Error(), `"host"`) {
		t.Errorf("a field of another kind: %v", err)
	}
	// Also where the meta file is lost.
	b := open(t, dir, textSchema)
	apply(t, b, create("x")...)
	if err := os.Remove(filepath.Join(dir, metaName)); err != nil {
		t.Fatal(err)
	}
	_, err = openWith(t.Context(), dir, intSchema, driver.OpenOptions{})
	if err == nil || !strings.Contains(err.Error(), `"x"`) {
		t.Errorf("integer IDs among texts without meta file: %v", err)
	}
}

func TestDamagedMetaIsReportedNotReplaced(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	open(t, dir, textSchema)
	meta := filepath.Join(dir, metaName)
	good, err := os.ReadFile(meta)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		spoil(t, meta, i)
		if _, err := openWith(t.Context(), dir, textSchema, driver.OpenOptions{}); !errors.Is(err, driver.ErrCorrupt) {
			t.Errorf("byte %d: %v", i, err)
		}
		spoil(t, meta, i)
	}
	if now, err := os.ReadFile(meta); err != nil || string(now) != string(good) {
		t.Errorf("meta file was changed: %v", err)
	}
}

// Whatever fails before the commit, nothing has changed and nothing is left.
func TestFailureBeforeTheCommitChangesNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		step string
		ms   []driver.Mutation
	}{
		{"write", mutations(driver.Update, "1")},
		{"flushed", mutations(driver.Update, "1")},
		{"begin", mutations(driver.Delete, "1")},
		{"write", mutations(driver.Put, "1", "2", "7", "8", "9", "10")},
		{"temporary", mutations(driver.Put, "1", "2", "7")},
		{"temporary", mutations(driver.Put, "1", "2", "7", "8", "9", "10")},
		{"written", mutations(driver.Put, "1", "2", "7", "8", "9", "10")},
		{"flushed", mutations(driver.Put, "1", "2")},
		{"flushed", append(mutations(driver.Put, "1", "7", "8", "9"), mutations(driver.Delete, "2", "3")...)},
	} {
		t.Run(c.step, func(t *testing.T) {
			t.Parallel()
			dir := scratch(t)
			b := open(t, dir, intSchema)
			apply(t, b, create(numbers(1, 3)...)...)
			before := contents(t, dir)
			for nth := 1; nth <= len(c.ms); nth++ {
				calls := 0
				b.hook = func(step string) error {
					if step == c.step {
						if calls++; calls == nth {
							return syscall.ENOSPC
						}
					}
					return nil
				}
				_, err := b.Apply(t.Context(), c.ms)
				if calls < nth {
					break // that many calls there are not, so it went well
				}
				if !errors.Is(err, syscall.ENOSPC) || errors.Is(err, driver.ErrUncertain) {
					t.Errorf("failure %d: %v", nth, err)
				}
				if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
					t.Fatalf("failure %d: %s", nth, diff)
				}
				if nth == len(c.ms) || !slices.Contains([]string{"write", "temporary"}, c.step) {
					return
				}
			}
		})
	}
}

func TestCancelledApplyChangesNothing(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"temporary", "written", "flushed"} {
		dir := scratch(t)
		b := open(t, dir, intSchema)
		before := contents(t, dir)
		ctx, cancel := context.WithCancel(t.Context())
		b.hook = func(step string) error {
			if step == at {
				cancel()
			}
			return nil
		}
		if _, err := b.Apply(ctx, create(numbers(1, 20)...)); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", at, err)
		}
		if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
			t.Errorf("%s: %s", at, diff)
		}
	}
}

// A failure after the commit: it is made, sooner or later, by whoever comes next.
func TestFailureAfterTheCommit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		step string
		want error
	}{{"marked", driver.ErrUncertain}, {"rename", nil}, {"remove", nil}, {"done", nil}, {"unmarked", nil}} {
		t.Run(c.step, func(t *testing.T) {
			t.Parallel()
			dir := scratch(t)
			b, other := open(t, dir, intSchema), open(t, dir, intSchema)
			apply(t, b, create(numbers(1, 3)...)...)
			b.hook = func(step string) error {
				if step == c.step {
					return syscall.EIO
				}
				return nil
			}
			_, err := b.Apply(t.Context(), append(create(numbers(10, 19)...), mutations(driver.Delete, "1", "3")...))
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			ids, _ := scan(t, other, driver.Query{})
			if want := append([]driver.ID{"2"}, numbers(10, 19)...); !slices.Equal(ids, want) {
				t.Errorf("got %q, want %q", ids, want)
			}
			if left := ownFiles(t, dir); len(left) > 0 {
				t.Errorf("left over: %q", left)
			}
		})
	}
}

func TestFailedFlushOfTheDirectoryIsUncertain(t *testing.T) {
	t.Parallel()
	b := open(t, scratch(t), intSchema)
	for _, ms := range [][]driver.Mutation{create("1"), mutations(driver.Delete, "1")} {
		b.hook = func(step string) error {
			if step == "renamed" {
				return syscall.EIO
			}
			return nil
		}
		if _, err := b.Apply(t.Context(), ms); !errors.Is(err, driver.ErrUncertain) || !errors.Is(err, syscall.EIO) {
			t.Errorf("got %v", err)
		}
	}
}
