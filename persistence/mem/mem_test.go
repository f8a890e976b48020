package mem

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/url"
	"github.com/google/go-cmp/cmp"
)

func open(t testing.TB, s driver.Schema) *Backend {
	t.Helper()
	b := New(driver.OpenOptions{})
	start(t, b, s)
	return b
}

func start(t testing.TB, b *Backend, s driver.Schema) {
	t.Helper()
	if _, err := b.Init(context.Background(), s); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
}

func apply(t testing.TB, b *Backend, op driver.Op, recs ...driver.Record) {
	t.Helper()
	ms := make([]driver.Mutation, len(recs))
	for i, r := range recs {
		ms[i] = driver.Mutation{Op: op, Rec: r}
	}
	if _, err := b.Apply(context.Background(), ms); err != nil {
		t.Fatal(err)
	}
}

func scan(t testing.TB, b *Backend, q driver.Query) (recs []driver.Record) {
	t.Helper()
	err := b.View(context.Background(), func(r driver.Reader) error {
		for rec, err := range r.Scan(context.Background(), &q) {
			if err != nil {
				return err
			}
			recs = append(recs, rec)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return recs
}

func TestOpen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		url  string
		want string // in the error; "" for none
	}{
		{"mem:", ""},
		{"mem://", ""},
		{"mem://host", "without user, host or path"},
		{"mem://user:s3cret@host", "without user, host or path"},
		{"mem:/path", "without user, host or path"},
		{"mem:path", "without user, host or path"},
		{"mem:?size=1", `unknown parameter "size"`},
	} {
		u, err := url.Parse(c.url)
		if err == nil {
			var b driver.Backend
			if b, err = Open(t.Context(), u, driver.OpenOptions{Table: "store", Logger: slog.New(slog.DiscardHandler)}); err == nil {
				b.Close()
			}
		}
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.url, err)
		case c.want != "" && err == nil:
			t.Errorf("%s must be refused", c.url)
		case err != nil && (!strings.Contains(err.Error(), c.want) && u.Scheme() == "mem" || strings.Contains(err.Error(), "s3cret")):
			t.Errorf("%s: the error must say %q, and no password: %v", c.url, c.want, err)
		}
	}
}

func TestEveryNewIsItsOwn(t *testing.T) {
	t.Parallel()
	a, b := open(t, driver.Schema{}), open(t, driver.Schema{})
	apply(t, a, driver.Create, driver.Record{ID: "x"})
	if n := len(scan(t, b, driver.Query{})); n != 0 {
		t.Errorf("another New sees %d records", n)
	}
}

func TestHandle(t *testing.T) {
	t.Parallel()
	name, n := driver.Column{Name: "name", Kind: driver.Text}, driver.Column{Name: "n", Kind: driver.Int}
	a := open(t, driver.Schema{Fields: []driver.Column{name}})
	apply(t, a, driver.Create, driver.Record{ID: "x", Fields: []any{"one"}})
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}

	b := a.Handle()
	start(t, b, driver.Schema{Fields: []driver.Column{n, name}})
	apply(t, b, driver.Create, driver.Record{ID: "y", Fields: []any{int64(2), "two"}})
	c := b.Handle()
	start(t, c, driver.Schema{Fields: []driver.Column{n}})
	apply(t, c, driver.Update, driver.Record{ID: "x", Fields: []any{int64(1)}})

	got := map[driver.ID][]any{}
	for _, r := range scan(t, b, driver.Query{Parts: driver.Fields}) {
		got[r.ID] = r.Fields
	}
	want := map[driver.ID][]any{"x": {int64(1), "one"}, "y": {int64(2), "two"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("handles see each other's fields by name (-want +got):\n%s", d)
	}
	if _, err := a.Handle().Init(t.Context(), driver.Schema{IntegerIDs: true}); err == nil {
		t.Error("integer IDs on a store of text IDs must be refused")
	}
	if _, err := a.Handle().Init(t.Context(), driver.Schema{Fields: []driver.Column{{Name: "n", Kind: driver.Text}}}); err == nil || !strings.Contains(err.Error(), `"n"`) {
		t.Errorf("a column of another kind must be refused by its name: %v", err)
	}
}

func TestUseBeforeInit(t *testing.T) {
	t.Parallel()
	b := New(driver.OpenOptions{})
	if _, err := b.Apply(t.Context(), nil); err == nil {
		t.Error("Apply before Init must fail")
	}
	if err := b.Close(); err != nil { // and no active call that Close would wait for
		t.Error(err)
	}
}

// TestViewWaitsForNobody checks what this backend guarantees beyond the contract.
func TestViewWaitsForNobody(t *testing.T) {
	t.Parallel()
	b := open(t, driver.Schema{IntegerIDs: true})
	apply(t, b, driver.Create, driver.Record{ID: "1"})
	err := b.View(t.Context(), func(r driver.Reader) error {
		apply(t, b, driver.Create, driver.Record{ID: "2"})
		apply(t, b, driver.Delete, driver.Record{ID: "1"})
		recs, err := r.Get(t.Context(), []driver.ID{"1", "2"}, driver.Info)
		if err == nil && (len(recs) != 1 || recs[0].ID != "1") {
			t.Errorf("a View must see its own state after a write inside it, not %v", recs)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if recs := scan(t, b, driver.Query{}); len(recs) != 1 || recs[0].ID != "2" {
		t.Errorf("the writes must be there: %v", recs)
	}
}

func TestNextIDs(t *testing.T) {
	t.Parallel()
	b := open(t, driver.Schema{})
	apply(t, b, driver.Create, driver.Record{ID: "Task.41"}, driver.Record{ID: "7"}, driver.Record{ID: "Job.x"})
	for _, want := range []int64{42, 45} {
		if got, err := b.NextIDs(t.Context(), 3); got != want || err != nil {
			t.Errorf("got %d (%v), want %d", got, err, want)
		}
	}
	if _, err := b.NextIDs(t.Context(), 0); err == nil {
		t.Error("no IDs at all must be refused")
	}
	almost := open(t, driver.Schema{IntegerIDs: true})
	apply(t, almost, driver.Create, driver.Record{ID: "9223372036854775800"})
	if _, err := almost.NextIDs(t.Context(), math.MaxInt32); err == nil {
		t.Error("more numbers than there are must be refused")
	}
	full := open(t, driver.Schema{IntegerIDs: true})
	apply(t, full, driver.Create, driver.Record{ID: "9223372036854775807"})
	if n, err := full.NextIDs(t.Context(), 1); err == nil {
		t.Errorf("a counter at its end must be refused, not start at %d", n)
	}
}

func records(n int) []driver.Record {
	recs := make([]driver.Record, n)
	data := make([]byte, 1000)
	for i := range recs {
		recs[i] = driver.Record{ID: driver.ID(fmt.Sprint(i)), State: fmt.Sprint("STATE ", i%10), Data: data}
	}
	return recs
}

func BenchmarkApply10000(b *testing.B) {
	recs := records(10_000)
	for b.Loop() {
		apply(b, open(b, driver.Schema{IntegerIDs: true}), driver.Create, recs...)
	}
}

func BenchmarkApplyOneAmong100000(b *testing.B) {
	m := open(b, driver.Schema{IntegerIDs: true})
	recs := records(100_000)
	apply(b, m, driver.Create, recs...)
	i := 0
	for b.Loop() {
		apply(b, m, driver.Update, recs[i%len(recs)])
		i++
	}
}

// BenchmarkPages lists all IDs in pages. The time per record must not grow with their number.
func BenchmarkPages(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m := open(b, driver.Schema{IntegerIDs: true})
			apply(b, m, driver.Create, records(n)...)
			for b.Loop() {
				q, seen := driver.Query{Limit: 4096}, 0
				for {
					page := scan(b, m, q)
					if seen += len(page); len(page) < q.Limit {
						break
					}
					q.After = &driver.Cursor{ID: page[len(page)-1].ID}
				}
				if seen != n {
					b.Fatalf("%d records of %d", seen, n)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/record")
		})
	}
}

func BenchmarkTop10Of100000(b *testing.B) {
	m := open(b, driver.Schema{IntegerIDs: true})
	apply(b, m, driver.Create, records(100_000)...)
	q := driver.Query{Order: []driver.Order{{Column: driver.ColState, Desc: true}}, Limit: 10}
	for b.Loop() {
		if n := len(scan(b, m, q)); n != 10 {
			b.Fatal(n)
		}
	}
}
