package persistence_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/internal/versus"
	"github.com/brine-go/brine/persistence"
)

// BenchmarkIndexedAmongMany compares what has an index in a store of 100,000 jobs with the same
// in a store of ten times as many (with BRINE_LONG=1; else 10,000 and 1,000): "ratio" is the
// time in the larger one to that in the smaller. Each operation has the same result in both.
func BenchmarkIndexedAmongMany(b *testing.B) {
	n := 1_000
	switch {
	case testing.Short():
		n = 200
	case os.Getenv("BRINE_LONG") != "":
		n = 100_000
	}
	for _, backend := range []string{"sqlite", "postgres", "mariadb"} {
		b.Run(backend, func(b *testing.B) {
			few, many := manyJobs(b, backend, n), manyJobs(b, backend, 10*n)
			for _, op := range indexedOperations {
				b.Run(op.name, func(b *testing.B) {
					versus.Run(b, versus.Rounds, op.times, func(int) { op.run(b, many) }, func(int) { op.run(b, few) })
				})
			}
		})
	}
}

// A jobsTable is a store of n jobs. A hundred of them are ready, and the rest are done.
type jobsTable struct {
	*persistence.Store
	n, next int
}

func manyJobs(b *testing.B, backend string, n int) *jobsTable {
	b.Helper()
	s := open(b, storeURL(b, backend), &persistence.Options{
		ExtraFields: []extrafields.Field{
			extrafields.Of("priority", func(j *Job) int { return j.Priority }),
			extrafields.Of("name", func(j *Job) string { return j.Name }).Indexed(),
			extrafields.Of("key", func(j *Job) string { return j.Command }).Unique(),
		},
		Indexes: []persistence.Index{{Columns: []string{"state", "priority"}}},
	})
	t := &jobsTable{Store: s, n: n}
	for i := 0; i < n; i += 10_000 {
		jobs := make([]any, min(10_000, n-i))
		for k := range jobs {
			jobs[k] = t.job(i + k)
		}
		must[[]persistence.ID](b)(s.SaveAll(b.Context(), jobs...))
	}
	if err := s.Compact(b.Context()); err != nil { // with the statistics of the planner
		b.Fatal(err)
	}
	return t
}

func (t *jobsTable) job(i int) *Job {
	d := jobData(i)
	d.State, d.Priority, d.Command = "DONE", i, fmt.Sprint("run ", i)
	if i%(t.n/100) == 0 {
		d.State = "READY"
	}
	return &Job{JobData: d}
}

var indexedOperations = []struct {
	name  string
	times int // in a round
	run   func(b *testing.B, t *jobsTable)
}{
	{"the ready ones in the order of the priority", 10, func(b *testing.B, t *jobsTable) {
		t.objects(b, 100, &persistence.Query{State: []string{"READY"}, Order: []persistence.Order{persistence.Asc("priority")}})
	}},
	{"one by name", 50, func(b *testing.B, t *jobsTable) {
		t.next = (t.next + 7919) % t.n
		t.objects(b, 1, &persistence.Query{Where: []persistence.Cond{persistence.Eq("name", fmt.Sprintf("job-%06d", t.next))}})
	}},
	{"one by ID", 50, func(b *testing.B, t *jobsTable) {
		t.next = (t.next + 7919) % t.n
		must[*Job](b)(persistence.Load[Job](b.Context(), t.Store, persistence.ID(fmt.Sprint(t.next+1))))
	}},
	{"a page of 100 in the middle of the IDs", 20, func(b *testing.B, t *jobsTable) {
		t.objects(b, 100, &persistence.Query{After: persistence.ID(fmt.Sprint(t.n / 2)), Limit: 100})
	}},
	{"the number of the ready ones", 50, func(b *testing.B, t *jobsTable) {
		if n := must[int64](b)(t.Count(b.Context(), &persistence.Query{State: []string{"READY"}})); n != 100 {
			b.Fatal(n)
		}
	}},
	{"save one, with a unique column, and remove it", 10, func(b *testing.B, t *jobsTable) {
		id := must[persistence.ID](b)(t.Save(b.Context(), t.job(10*t.n+1)))
		if err := t.Remove(b.Context(), id); err != nil {
			b.Fatal(err)
		}
	}},
	{"claim and release one", 10, func(b *testing.B, t *jobsTable) {
		claims := must[[]*persistence.Claim](b)(t.Claim(b.Context(), &persistence.Query{State: []string{"READY"}},
			persistence.ClaimOptions{Owner: "bench", Lease: time.Hour, Limit: 1}))
		if err := claims[0].Release(b.Context()); err != nil {
			b.Fatal(err)
		}
	}},
}

func (t *jobsTable) objects(b *testing.B, want int, q *persistence.Query) {
	b.Helper()
	got := 0
	for _, err := range persistence.All[Job](b.Context(), t.Store, q) {
		if err != nil {
			b.Fatal(err)
		}
		got++
	}
	if got != want {
		b.Fatal(got, "objects, and not", want)
	}
}
