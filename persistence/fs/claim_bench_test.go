package fs

import (
	"strconv"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/fs/internal/claimindex"
)

// BenchmarkClaim claims from 10,000 records of 1 KB, and completes in the second case what it
// claimed. What the first claim takes, which makes the index, is reported apart.
func BenchmarkClaim(b *testing.B) {
	for _, c := range []struct {
		name     string
		limit    int
		complete bool
	}{{"limit 1", 1, false}, {"limit 10", 10, false}, {"limit 10 and complete", 10, true}} {
		b.Run(c.name, func(b *testing.B) {
			records := scaled(10_000)
			store := open(b, b.TempDir(), intSchema)
			var ms []driver.Mutation
			for n := range records {
				ms = append(ms, driver.Mutation{Op: driver.Create, Rec: kbRecord(n + 1)})
			}
			apply(b, store, ms...)
			start := time.Now()
			lend(b, store, running, driver.Claiming{Limit: 1, Lease: time.Microsecond})
			first := time.Since(start)
			claims := 0
			// A lease that lapses at once keeps the number of records to choose from.
			for b.Loop() {
				recs := lend(b, store, running, driver.Claiming{Limit: c.limit, Lease: time.Microsecond})
				claims += len(recs)
				if c.complete {
					var done []driver.Mutation
					for _, r := range recs {
						r.Data = kilobyte
						done = append(done, token(driver.Mutation{Op: driver.Update, Rec: r}, r.Claim.Token, true))
					}
					apply(b, store, done...)
				}
			}
			b.ReportMetric(float64(claims)/b.Elapsed().Seconds(), "claims/s")
			b.ReportMetric(float64(first.Milliseconds()), "ms/first")
		})
	}
}

// BenchmarkPick chooses among 10,000 records in memory.
func BenchmarkPick(b *testing.B) {
	x := claimindex.New(driver.NewColumns(textSchema))
	for _, id := range numbers(1, 10_000) {
		r := rec(id)
		n, err := strconv.ParseInt(string(id), 10, 64)
		must(err)
		r.Fields = []any{"host", n % 100, nil, nil, nil, nil}
		x.Put(fileName(id), r)
	}
	ordered := where(driver.ColState, driver.Eq, "RUNNING")
	ordered.Order = []driver.Order{{Column: "n"}}
	for name, q := range map[string]driver.Query{
		"by ID": {}, "in a state by a field": ordered, "under a condition": where("n", driver.Lt, int64(50)),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				x.Pick(&q, nil, 16, func(e *claimindex.Entry) bool { return free(&e.Claim, someTime) })
			}
		})
	}
}
