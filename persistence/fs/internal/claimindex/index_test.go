package claimindex

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/brine-go/brine/persistence/driver"
)

// Whatever is put in and removed, each entry stands once under its name and once among those of its
// state.
func TestAnIndexSaysWhatWasPutInLast(t *testing.T) {
	columns := driver.NewColumns(driver.Schema{})
	rapid.Check(t, func(t *rapid.T) {
		x, want := New(columns), map[string]driver.Record{}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			name := fmt.Sprint(rapid.IntRange(1, 9).Draw(t, "name"))
			if rapid.IntRange(0, 2).Draw(t, "remove") == 0 {
				x.Remove(name)
				delete(want, name)
				continue
			}
			r := driver.Record{ID: driver.ID(name), State: rapid.SampledFrom([]string{"A", "B", "C"}).Draw(t, "state"), Revision: rapid.Int64().Draw(t, "revision")}
			x.Put(name, r)
			want[name] = r
		}
		got, n := map[string]driver.Record{}, 0
		for e := range x.All() {
			got[e.Name] = e.Record
		}
		for state, same := range x.states {
			n += len(same)
			for i, e := range same {
				if e.State != state || e.pos != i || x.entries[e.Name] != e {
					t.Errorf("%+v stands at %d of state %q", e, i, state)
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" || n != len(want) || x.Len() != n {
			t.Errorf("%d of %d records by state: %s", n, len(want), diff)
		}
	})
}

func TestPickAgreesWithASortOfAll(t *testing.T) {
	columns := driver.NewColumns(driver.Schema{})
	rapid.Check(t, func(t *rapid.T) {
		x := New(columns)
		var all []driver.Record
		for i := range rapid.IntRange(0, 30).Draw(t, "records") {
			r := driver.Record{ID: driver.ID(fmt.Sprint("T", i)), Type: rapid.SampledFrom([]string{"t", "u"}).Draw(t, "type"),
				State: rapid.SampledFrom([]string{"A", "B", "C"}).Draw(t, "state"), Revision: rapid.Int64Range(1, 4).Draw(t, "revision")}
			x.Put(string(r.ID), r)
			all = append(all, r)
		}
		q := &driver.Query{}
		for _, c := range []driver.Cond{
			{Column: driver.ColState, Op: driver.In, Values: []any{"A", "C", "A"}}, {Column: driver.ColType, Op: driver.Eq, Values: []any{"u"}},
		} {
			if rapid.Bool().Draw(t, c.Column) {
				q.Where = append(q.Where, c)
			}
		}
		if rapid.Bool().Draw(t, "order") {
			q.Order = []driver.Order{{Column: driver.ColRevision, Desc: rapid.Bool().Draw(t, "desc")}}
		}
		odd := func(r *driver.Record) bool { return len(r.ID) > 2 }
		var want []driver.ID
		slices.SortFunc(all, func(a, b driver.Record) int {
			return columns.Compare(q, columns.Cursor(q, &a), columns.Cursor(q, &b))
		})
		for i := range all {
			if columns.Match(q, &all[i]) && odd(&all[i]) {
				want = append(want, all[i].ID)
			}
		}
		n := rapid.IntRange(1, 8).Draw(t, "n")
		var got []driver.ID
		var after *driver.Cursor
		for {
			page := x.Pick(q, after, n, func(e *Entry) bool { return odd(&e.Record) })
			for _, c := range page {
				got = append(got, c.ID)
			}
			if len(page) < n {
				break
			}
			after = &page[n-1].Cursor
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestAListSaysWhatChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list")
	open := func() *List {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		l, err := NewList(f)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	l := open()
	if l.Size() != 0 || l.Generation() != "" {
		t.Errorf("a new list: %+v", l)
	}
	if err := l.Begin(); err != nil {
		t.Fatal(err)
	}
	start := l.Size()
	for _, names := range [][]string{{"a", "b"}, nil, {"b", "c"}} {
		e, err := EncodeEntry(names)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	other := open()
	if other.Generation() != l.Generation() || other.Size() != l.Size() {
		t.Errorf("found again as %+v, was %+v", other, l)
	}
	valid := func(name string) bool { return name != "" }
	names, frames, err := other.Since(start, valid)
	if diff := cmp.Diff(map[string]struct{}{"a": {}, "b": {}, "c": {}}, names); diff != "" || frames != 3 || err != nil {
		t.Errorf("%d frames, %v: %s", frames, err, diff)
	}
	if names, frames, err := other.Since(other.Size(), valid); len(names) > 0 || frames != 0 || err != nil {
		t.Errorf("nothing since the end: %v, %d, %v", names, frames, err)
	}
	if _, _, err := other.Since(start, func(name string) bool { return name != "c" }); err == nil || !strings.Contains(err.Error(), `"c"`) {
		t.Errorf("a name that is not valid: %v", err)
	}
	if _, _, err := other.Since(start+1, valid); err == nil {
		t.Error("an offset within an entry")
	}
	before := l.Generation()
	if err := l.Begin(); err != nil || l.Generation() == before || open().Size() != l.Size() {
		t.Errorf("begun anew: %+v, %v", l, err)
	}
	if err := l.Drop(); err != nil || open().Generation() != "" {
		t.Error("dropped", err)
	}
}
