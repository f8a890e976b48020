package fs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/fs/internal/frame"
)

// Whatever a query asks, by pages of any size and with any window, the result is that of a plain
// sort of all records.
func TestScanAgreesWithASortOfAllRecords(t *testing.T) {
	t.Parallel()
	for _, integers := range []bool{false, true} {
		t.Run(fmt.Sprint("integers ", integers), func(t *testing.T) {
			t.Parallel()
			schema := driver.Schema{IntegerIDs: integers, Fields: []driver.Column{{Name: "n", Kind: driver.Int}, {Name: "host", Kind: driver.Text}}}
			b := open(t, scratch(t), schema)
			var all []driver.Record
			var ms []driver.Mutation
			for i := range 60 {
				id := driver.ID(fmt.Sprint((i*37)%60 - 20))
				if !integers {
					id = driver.ID(fmt.Sprintf("T%s/%d", strings.Repeat("é", i%9/8*60), i*37%60))
				}
				r := rec(id)
				r.State = fmt.Sprint("S", i%4)
				r.Fields = []any{int64(i % 7), nil}
				if i%3 > 0 {
					r.Fields[1] = fmt.Sprint("host", i%5)
				}
				ms = append(ms, driver.Mutation{Op: driver.Create, Rec: r})
				r.Revision, r.Size = 1, int64(len(r.Data))
				all = append(all, r)
			}
			apply(t, b, ms...)
			columns := driver.NewColumns(schema)
			rapid.Check(t, func(rt *rapid.T) {
				q := driver.Query{Limit: rapid.SampledFrom([]int{0, 9, 20, 100}).Draw(rt, "limit"), Parts: whole}
				conds := []driver.Cond{
					{Column: driver.ColState, Op: driver.In, Values: []any{"S1", "S3"}},
					{Column: "n", Op: driver.Lt, Values: []any{int64(4)}},
					{Column: "host", Op: driver.Ne, Values: []any{"host2"}},
					{Column: driver.ColID, Op: driver.Gt, Values: []any{all[30].ID}},
				}
				for _, c := range conds {
					if rapid.Bool().Draw(rt, c.Column) {
						q.Where = append(q.Where, c)
					}
				}
				for _, column := range rapid.Permutation([]string{"n", "host", driver.ColState, driver.ColID}).Draw(rt, "columns")[:rapid.IntRange(0, 2).Draw(rt, "order")] {
					q.Order = append(q.Order, driver.Order{Column: column, Desc: rapid.Bool().Draw(rt, "desc")})
				}
				var want []driver.Record
				for i := range all {
					if columns.Match(&q, &all[i]) {
						want = append(want, all[i])
					}
				}
				slices.SortFunc(want, func(x, y driver.Record) int {
					return columns.Compare(&q, columns.Cursor(&q, &x), columns.Cursor(&q, &y))
				})
				b.window = rapid.SampledFrom([]int{7, 20, 1000}).Draw(rt, "window")
				b.dir.ahead = nil
				var got []driver.Record
				err := b.View(context.Background(), func(r driver.Reader) error {
					n, err := r.Count(context.Background(), &q)
					if err != nil || n != int64(len(want)) {
						rt.Errorf("counted %d, %v, want %d", n, err, len(want))
					}
					return nil
				})
				if err != nil {
					rt.Fatal(err)
				}
				for { // each page in a View of its own
					n := len(got)
					err := b.View(context.Background(), func(r driver.Reader) error {
						for rec, err := range r.Scan(context.Background(), &q) {
							if err != nil {
								return err
							}
							got = append(got, rec)
						}
						return nil
					})
					if err != nil {
						rt.Fatal(err)
					}
					if q.Limit > 0 && len(got)-n > q.Limit {
						rt.Fatalf("page of %d, limit %d", len(got)-n, q.Limit)
					}
					if q.Limit == 0 || len(got) == n {
						break
					}
					q.After = columns.Cursor(&q, &got[len(got)-1])
				}
				if !reflect.DeepEqual(want, got) { // far quicker than cmp, which then says more
					rt.Error(cmp.Diff(want, got))
				}
			})
		})
	}
}

// A page must not come from what an earlier page has seen ahead, if someone has written since.
func TestScanSeesWhatWasWrittenSinceThePageBefore(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	b, other := open(t, dir, intSchema), open(t, dir, intSchema)
	apply(t, b, create(numbers(1, 9)...)...)
	next := 20
	for _, writer := range []*Backend{b, other} {
		for range 20 {
			first, _ := scan(t, b, driver.Query{Limit: 3})
			apply(t, writer, create(numbers(next, next)...)...)
			rest, _ := scan(t, b, driver.Query{After: &driver.Cursor{ID: first[2]}})
			if last := rest[len(rest)-1]; last != numbers(next, next)[0] {
				t.Fatalf("%d is missing: %q", next, rest)
			}
			next++
		}
	}
	if b.dir.ahead == nil {
		t.Error("nothing was kept for the next page")
	}
}

func TestScanReportsDamagedRecordsAndGoesOn(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	b := open(t, dir, textSchema)
	long := driver.ID(strings.Repeat("é", 95))
	apply(t, b, create("a", "b", "c", "d", "e", "f", "g", long)...)
	spoil(t, filepath.Join(dir, "b"), frame.HeadLen+5) // header
	spoil(t, filepath.Join(dir, "e"), 2)               // mark
	spoil(t, filepath.Join(dir, fileName(long)), frame.HeadLen+5)
	if err := os.Truncate(filepath.Join(dir, "c"), 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "d"), 20); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(filepath.Join(dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "f"), file, 0o600); err != nil { // another's record
		t.Fatal(err)
	}
	spoil(t, filepath.Join(dir, "g"), len(file)-7) // data
	before := contents(t, dir)
	want := []driver.ID{driver.ID(fileName(long)), "b", "c", "d", "e", "f"}
	for _, q := range []driver.Query{{}, {Limit: 5}, {Order: []driver.Order{{Column: driver.ColState}}}} {
		ids, bad := scan(t, b, q)
		if !slices.Equal(ids, []driver.ID{"a", "g"}) {
			t.Errorf("%+v: got %q", q, ids)
		}
		var names []driver.ID
		for _, err := range bad {
			re, ok := errors.AsType[*driver.RecordError](err)
			if !ok || !errors.Is(err, driver.ErrCorrupt) {
				t.Fatalf("%v", err)
			}
			names = append(names, re.ID)
		}
		if !slices.Equal(names, want) {
			t.Errorf("%+v: damaged are %q, want %q", q, names, want)
		}
	}
	if _, bad := scan(t, b, driver.Query{Parts: driver.Data}); len(bad) != 7 {
		t.Errorf("with data: %v", bad)
	}
	err = b.View(t.Context(), func(r driver.Reader) error {
		if n, err := r.Count(t.Context(), &driver.Query{}); err != nil || n != 8 {
			t.Errorf("counted %d, %v", n, err)
		}
		where := []driver.Cond{{Column: driver.ColState, Op: driver.Eq, Values: []any{"RUNNING"}}}
		_, err := r.Count(t.Context(), &driver.Query{Where: where})
		return err
	})
	if !errors.Is(err, driver.ErrCorrupt) {
		t.Errorf("count by a damaged column: %v", err)
	}
	if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
		t.Error(diff)
	}
}

func TestGetOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	b := open(t, scratch(t), intSchema)
	apply(t, b, create("7", "8")...)
	recs := get(t, b, driver.Info, "9", "", "07", "+7", "x", "../7", driver.ID(strings.Repeat("1", 300)), "a\x00b", "7", "7")
	if len(recs) != 1 || recs[0].ID != "7" {
		t.Errorf("got %v", recs)
	}
}

func TestReadingHonoursTheContext(t *testing.T) {
	t.Parallel()
	b := open(t, scratch(t), intSchema)
	apply(t, b, create("1", "2")...)
	ctx, cancel := context.WithCancel(t.Context())
	err := b.View(ctx, func(r driver.Reader) error {
		n := 0
		for _, err := range r.Scan(ctx, &driver.Query{}) {
			if n++; n == 2 {
				if !errors.Is(err, context.Canceled) {
					t.Errorf("scan goes on with %v", err)
				}
			}
			cancel()
		}
		if n != 2 {
			t.Errorf("%d yielded", n)
		}
		_, err := r.Get(ctx, []driver.ID{"1"}, driver.Info)
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
