package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence/driver"
)

// urls are the kinds of database that the same behaviour is asked of.
func urls(t testing.TB) map[string]string {
	return map[string]string{"a file": fileURL(file(t)), "private memory": "sqlite::memory:"}
}

var allKinds = []driver.Column{
	{Name: "t", Kind: driver.Text}, {Name: "ti", Kind: driver.Text, Indexed: true}, {Name: "i", Kind: driver.Int},
	{Name: "f", Kind: driver.Float}, {Name: "b", Kind: driver.Bool}, {Name: "y", Kind: driver.Bytes}, {Name: "w", Kind: driver.Time},
}

func TestRecordsComeBackAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	for kind, u := range urls(t) {
		for _, integer := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s with integer IDs %v", kind, integer), func(t *testing.T) {
				t.Parallel()
				u := u
				if kind == "a file" {
					u = fileURL(file(t))
				}
				b, _ := open(t, u, driver.Schema{IntegerIDs: integer, Fields: allKinds}, driver.OpenOptions{})
				ids := []driver.ID{"1", "-9223372036854775808", "9223372036854775807", "0"}
				if !integer {
					ids = []driver.ID{"x", "../../etc/passwd", `'"; DROP TABLE store; --`, driver.ID(strings.Repeat("é", 95)), "X", "007", "7"}
				}
				all := make([]byte, 256)
				for i := range all {
					all[i] = byte(i)
				}
				var want []driver.Record
				for i, id := range ids {
					rec := record(id, "", nil, nil, nil, nil, nil, nil, nil)
					switch i {
					case 0:
						rec.Data = all
						rec.Fields = []any{"", "a\u00e9'\"%_", int64(math.MinInt64), math.SmallestNonzeroFloat64, false, []byte{}, when}
					case 1:
						rec.Data = make([]byte, 1<<20+1)
						rec.Fields = []any{strings.Repeat("long ", 1<<18), "x", int64(math.MaxInt64), -math.MaxFloat64, true, all, time.UnixMicro(-1).UTC()}
					case 2:
						rec.Fields = []any{"1", "0x10", int64(0), 3.0, true, []byte("text"), time.Time{}}
						rec.Created, rec.Modified, rec.Type, rec.State = time.Time{}, time.Time{}, "", ""
						rec.Revision = 42
					}
					rec.Size = int64(len(rec.Data))
					want = append(want, rec)
				}
				var ms []driver.Mutation
				for _, rec := range want {
					ms = append(ms, driver.Mutation{Op: driver.Create, Rec: rec})
				}
				apply(t, b, ms...)
				got := get(t, b, everything, slices.Concat(ids, ids, []driver.ID{"no such", ""})...)
				if len(got) != len(want) {
					t.Errorf("%d records, want %d", len(got), len(want))
				}
				for _, w := range want {
					if d := cmp.Diff(w, got[w.ID], cmp.Comparer(bytes.Equal)); d != "" {
						t.Errorf("record %q (-want +got):\n%s", w.ID, d)
					}
				}
				for _, parts := range []driver.Parts{0, driver.Info, driver.Fields} {
					if r := get(t, b, parts, ids[1])[ids[1]]; r.Data != nil {
						t.Errorf("parts %b brought the data", parts)
					}
				}
			})
		}
	}
}

func TestRevisionsAndTimes(t *testing.T) {
	t.Parallel()
	b, _ := open(t, fileURL(file(t)), integers, driver.OpenOptions{})
	if revs := apply(t, b, create("1", "a"), create("2", "b")); !slices.Equal(revs, []int64{1, 1}) {
		t.Errorf("created with revisions %v", revs)
	}
	change := func(op driver.Op, id driver.ID, ifRev int64) driver.Mutation {
		m := driver.Mutation{Op: op, Rec: record(id, "new"), IfRev: ifRev}
		m.Rec.Created = when.Add(time.Hour)
		return m
	}
	if revs := apply(t, b, change(driver.Update, "1", 1)); !slices.Equal(revs, []int64{2}) {
		t.Errorf("updated to revisions %v", revs)
	}
	revs := apply(t, b, change(driver.Put, "3", 0), change(driver.Put, "2", 0), change(driver.Update, "1", 0), change(driver.Check, "2", 0))
	_ = revs
	if got := get(t, b, driver.Info, "1", "2", "3"); got["1"].Revision != 3 || got["2"].Revision != 2 || got["3"].Revision != 1 ||
		!got["1"].Created.Equal(when) || !got["2"].Created.Equal(when) || !got["3"].Created.Equal(when.Add(time.Hour)) {
		t.Errorf("revisions and times of creation: %+v", got)
	}
	if revs := apply(t, b, change(driver.Delete, "1", 3), change(driver.Delete, "2", 0)); !slices.Equal(revs, []int64{0, 0}) {
		t.Errorf("deleted with revisions %v", revs)
	}
	if got := get(t, b, 0, "1", "2", "3"); len(got) != 1 {
		t.Errorf("after deleting: %v", got)
	}
}

func TestAFailingBatchSaysWhyAndWritesNothing(t *testing.T) {
	t.Parallel()
	del := func(id driver.ID, ifRev int64) driver.Mutation {
		return driver.Mutation{Op: driver.Delete, Rec: driver.Record{ID: id}, IfRev: ifRev}
	}
	as := func(op driver.Op, id driver.ID, ifRev int64) driver.Mutation {
		return driver.Mutation{Op: op, Rec: record(id, "changed"), IfRev: ifRev}
	}
	refs := func(m driver.Mutation, to ...driver.ID) driver.Mutation {
		m.NewRefs = to
		return m
	}
	many := func(last ...driver.Mutation) []driver.Mutation {
		var ms []driver.Mutation
		for i := range 200 {
			ms = append(ms, create(driver.ID(strconv.Itoa(1000+i)), "x"))
		}
		return append(ms, last...)
	}
	tests := map[string]struct {
		ms   []driver.Mutation
		want error
		id   driver.ID
		ref  driver.ID
	}{
		"creating what is there":                                {[]driver.Mutation{create("1", "x")}, driver.ErrExists, "1", ""},
		"creating what is there, at the end of many":            {many(create("2", "x")), driver.ErrExists, "2", ""},
		"updating what is not there":                            {[]driver.Mutation{as(driver.Update, "9", 0)}, driver.ErrNotFound, "9", ""},
		"updating what is not there, with a revision":           {[]driver.Mutation{as(driver.Update, "9", 1)}, driver.ErrConflict, "9", ""},
		"updating another revision":                             {[]driver.Mutation{as(driver.Update, "1", 7)}, driver.ErrConflict, "1", ""},
		"updating another revision, at the end of many":         {many(as(driver.Update, "1", 7)), driver.ErrConflict, "1", ""},
		"deleting what is not there":                            {[]driver.Mutation{del("9", 0)}, driver.ErrNotFound, "9", ""},
		"deleting another revision":                             {[]driver.Mutation{del("1", 2)}, driver.ErrConflict, "1", ""},
		"checking what is not there":                            {[]driver.Mutation{as(driver.Check, "9", 0)}, driver.ErrConflict, "9", ""},
		"checking another revision":                             {many(as(driver.Check, "1", 2)), driver.ErrConflict, "1", ""},
		"an ID that no integer table can hold":                  {[]driver.Mutation{del("no number", 0)}, driver.ErrNotFound, "no number", ""},
		"a leading zero is another ID":                          {[]driver.Mutation{as(driver.Update, "01", 0)}, driver.ErrNotFound, "01", ""},
		"a reference to what is not there":                      {[]driver.Mutation{refs(create("5", "x"), "1", "9")}, driver.ErrDangling, "5", "9"},
		"a reference to an ID that cannot be":                   {[]driver.Mutation{refs(create("5", "x"), "x")}, driver.ErrDangling, "5", "x"},
		"a reference to what the same batch deletes":            {[]driver.Mutation{refs(as(driver.Update, "1", 0), "2"), del("2", 0)}, driver.ErrDangling, "1", "2"},
		"a reference of one record alone":                       {[]driver.Mutation{refs(as(driver.Put, "1", 0), "8")}, driver.ErrDangling, "1", "8"},
		"of several failures the first in the caller's order":   {[]driver.Mutation{create("7", "x"), as(driver.Update, "9", 3), create("1", "x"), refs(create("5", "x"), "6")}, driver.ErrConflict, "9", ""},
		"of several failures the first, also when it dangles":   {[]driver.Mutation{refs(create("5", "x"), "6"), create("1", "x")}, driver.ErrDangling, "5", "6"},
		"of several failures the first, in descending ID order": {[]driver.Mutation{create("2", "x"), create("1", "x")}, driver.ErrExists, "2", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for kind, u := range urls(t) {
				b, _ := open(t, u, integers, driver.OpenOptions{})
				apply(t, b, create("1", "one"), create("2", "two"))
				before := get(t, b, everything, scan(t, b, &driver.Query{})...)
				_, err := b.Apply(t.Context(), tt.ms)
				var re *driver.RecordError
				if !errors.Is(err, tt.want) || !errors.As(err, &re) || re.ID != tt.id || re.Ref != tt.ref {
					t.Errorf("%s: error %v, want %v of %q, %q", kind, err, tt.want, tt.id, tt.ref)
				}
				if d := cmp.Diff(before, get(t, b, everything, scan(t, b, &driver.Query{})...)); d != "" {
					t.Errorf("%s: something was written (-before +after):\n%s", kind, d)
				}
			}
		})
	}
}

func TestReferencesInsideABatchHold(t *testing.T) {
	t.Parallel()
	b, _ := open(t, fileURL(file(t)), integers, driver.OpenOptions{})
	apply(t, b, create("1", "there"))
	var ms []driver.Mutation
	for i := range 3000 {
		m := create(driver.ID(strconv.Itoa(i+10)), "x")
		m.NewRefs = []driver.ID{"1", driver.ID(strconv.Itoa((i+1)%3000 + 10)), m.Rec.ID}
		ms = append(ms, m)
	}
	slices.Reverse(ms)
	apply(t, b, ms...)
	if n := len(scan(t, b, &driver.Query{})); n != 3001 {
		t.Errorf("%d records", n)
	}
}

func TestMixedBatch(t *testing.T) {
	t.Parallel()
	b, _ := open(t, fileURL(file(t)), driver.Schema{}, driver.OpenOptions{})
	var first, second []driver.Mutation
	for i := range 300 {
		first = append(first, create(driver.ID(fmt.Sprintf("k%03d", i)), "old"))
		m := driver.Mutation{Op: driver.Op(i%5) + 1, Rec: record(driver.ID(fmt.Sprintf("k%03d", i)), "new")}
		if m.Op == driver.Create {
			m.Rec.ID = driver.ID(fmt.Sprintf("n%03d", i))
		}
		second = append(second, m)
	}
	apply(t, b, first...)
	revs := apply(t, b, second...)
	for i, m := range second {
		want := map[driver.Op]int64{driver.Create: 1, driver.Update: 2, driver.Put: 2, driver.Delete: 0, driver.Check: 1}[m.Op]
		if revs[i] != want {
			t.Fatalf("mutation %d, operation %d: revision %d, want %d", i, m.Op, revs[i], want)
		}
	}
	if n := len(scan(t, b, &driver.Query{})); n != 300 {
		t.Errorf("%d records, want 300", n)
	}
}

// It is not parallel: first of all, a gigabyte is fresh memory, and need not be cleared.
func TestTooLarge(t *testing.T) {
	b, _ := open(t, "sqlite:", integers, driver.OpenOptions{})
	huge := create("2", "")
	huge.Rec.Data = make([]byte, 1_000_000_001) // never touched
	_, err := b.Apply(t.Context(), []driver.Mutation{create("1", "x"), huge})
	var re *driver.RecordError
	if !errors.Is(err, driver.ErrTooLarge) || !errors.As(err, &re) || re.ID != "2" ||
		!strings.Contains(err.Error(), "1000000000") || !strings.Contains(err.Error(), "1000000001") {
		t.Errorf("error %v", err)
	}
}

func TestCancelledCallsWriteNothing(t *testing.T) {
	t.Parallel()
	for kind, u := range urls(t) {
		b, _ := open(t, u, integers, driver.OpenOptions{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := b.Apply(ctx, []driver.Mutation{create("1", "x")}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: Apply: %v", kind, err)
		}
		if err := b.View(ctx, func(driver.Reader) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: View: %v", kind, err)
		}
		if _, err := b.NextIDs(ctx, 1); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: NextIDs: %v", kind, err)
		}
		if ids := scan(t, b, &driver.Query{}); len(ids) != 0 {
			t.Errorf("%s: %v was written", kind, ids)
		}
	}
}

func TestAWriterThatWaitsHonoursItsContext(t *testing.T) {
	t.Parallel()
	path := file(t)
	b, _ := open(t, fileURL(path), integers, driver.OpenOptions{})
	other := raw(t, path)
	run(t, other, "BEGIN IMMEDIATE")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := b.Apply(ctx, []driver.Mutation{create("1", "x"), create("2", "x")})
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	run(t, other, "ROLLBACK")
	apply(t, b, create("1", "x"))
}

func TestBusyTimeoutEnds(t *testing.T) {
	t.Parallel()
	path := file(t)
	b, _ := open(t, fileURL(path)+"?busy_timeout=20ms", integers, driver.OpenOptions{})
	run(t, raw(t, path), "BEGIN IMMEDIATE")
	_, err := b.Apply(t.Context(), []driver.Mutation{create("1", "x")})
	if err == nil || !strings.Contains(err.Error(), "another process") || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v", err)
	}
}

func TestAViewSeesOneState(t *testing.T) {
	t.Parallel()
	b, _ := open(t, fileURL(file(t)), integers, driver.OpenOptions{})
	apply(t, b, create("1", "old"))
	err := b.View(t.Context(), func(r driver.Reader) error {
		if n, err := r.Count(t.Context(), &driver.Query{}); n != 1 {
			t.Errorf("%d records, %v", n, err)
		}
		apply(t, b, driver.Mutation{Op: driver.Update, Rec: record("1", "new")}, create("2", "x"))
		recs, err := r.Get(t.Context(), []driver.ID{"1", "2"}, driver.Data)
		if len(recs) != 1 || string(recs[0].Data) != "old" {
			t.Errorf("the view sees what was written meanwhile: %v", recs)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if got := get(t, b, driver.Data, "1"); string(got["1"].Data) != "new" {
		t.Errorf("afterwards: %q", got["1"].Data)
	}
}

func TestAScanMayBeLeftAndReadInside(t *testing.T) {
	t.Parallel()
	for kind, u := range urls(t) {
		b, _ := open(t, u, integers, driver.OpenOptions{})
		apply(t, b, create("1", "a"), create("2", "b"), create("3", "c"))
		for range 3 {
			err := b.View(t.Context(), func(r driver.Reader) error {
				var seen []string
				for rec, err := range r.Scan(t.Context(), &driver.Query{}) {
					if err != nil {
						return err
					}
					for inner, err := range r.Scan(t.Context(), &driver.Query{}) {
						if err != nil {
							return err
						}
						recs, err := r.Get(t.Context(), []driver.ID{inner.ID}, driver.Data)
						if err != nil {
							return err
						}
						seen = append(seen, string(rec.ID)+string(recs[0].Data))
						if inner.ID == "2" {
							break
						}
					}
				}
				if want := []string{"1a", "1b", "2a", "2b", "3a", "3b"}; !slices.Equal(seen, want) {
					t.Errorf("%s: %v, want %v", kind, seen, want)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		}
	}
}

func TestConcurrentIncrementsAreNotLost(t *testing.T) {
	t.Parallel()
	for kind, u := range urls(t) {
		b, _ := open(t, u, integers, driver.OpenOptions{})
		apply(t, b, create("1", "0"))
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for done := 0; done < 25; {
					var rec driver.Record
					err := b.View(t.Context(), func(r driver.Reader) error {
						recs, err := r.Get(t.Context(), []driver.ID{"1"}, everything)
						if err == nil {
							rec = recs[0]
						}
						return err
					})
					if err != nil {
						t.Error(err)
						return
					}
					n, _ := strconv.Atoi(string(rec.Data))
					rec.Data = []byte(strconv.Itoa(n + 1))
					_, err = b.Apply(t.Context(), []driver.Mutation{{Op: driver.Update, Rec: rec, IfRev: rec.Revision}})
					if err == nil {
						done++
					} else if !errors.Is(err, driver.ErrConflict) {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		if got := string(get(t, b, driver.Data, "1")["1"].Data); got != "200" {
			t.Errorf("%s: %s increments of 200", kind, got)
		}
	}
}
