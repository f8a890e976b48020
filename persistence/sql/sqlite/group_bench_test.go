package sqlite_test

import (
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brine-go/brine/internal/sqlbench"
	"github.com/brine-go/brine/internal/versus"
	"github.com/brine-go/brine/persistence/driver"
)

// BenchmarkConcurrentSaves compares goroutines that save single records of 1 KB with a program by
// hand: one writer connection, each record in its own transaction. "times" is how many times as
// many a second ours are.
func BenchmarkConcurrentSaves(b *testing.B) {
	for _, goroutines := range []int{1, 2, 8, 32} {
		for _, tx := range []string{"transaction", "autocommit"} {
			b.Run(fmt.Sprintf("%d against %s", goroutines, tx), func(b *testing.B) {
				store, hand := newBench(b)
				rec, insert := sqlbench.Records(1)[0], hand.Insert(b)
				var ours, theirs atomic.Int64
				byUs := func() {
					m := driver.Mutation{Op: driver.Create, Rec: rec}
					m.Rec.ID = driver.ID(strconv.FormatInt(ours.Add(1), 10))
					_, err := store.Apply(b.Context(), []driver.Mutation{m})
					must(err)
				}
				byHand := func() {
					_, err := insert.ExecContext(b.Context(), sqlbench.Args(nil, &rec, theirs.Add(1))...)
					must(err)
				}
				if tx == "transaction" {
					byHand = func() {
						t, err := hand.Writer.BeginTx(b.Context(), nil) // IMMEDIATE, says the DSN
						must(err)
						_, err = t.StmtContext(b.Context(), insert).ExecContext(b.Context(), sqlbench.Args(nil, &rec, theirs.Add(1))...) //nolint:sqlclosecheck // the transaction closes it
						must(err)
						must(t.Commit())
					}
				}
				rounds := sqlbench.Rounds()
				for b.Loop() {
					var times, us, them, longest, theirLongest []float64
					for round := range rounds {
						var took, most [2]time.Duration
						for k := range 2 {
							side := (round + k) % 2 // who goes first changes
							took[side], most[side] = versus.AtOnce(goroutines, 200/goroutines, []func(){byUs, byHand}[side])
						}
						times = append(times, float64(took[1])/float64(took[0]))
						n := float64(200 / goroutines * goroutines)
						us, them = append(us, n/took[0].Seconds()), append(them, n/took[1].Seconds())
						longest, theirLongest = append(longest, most[0].Seconds()*1e3), append(theirLongest, most[1].Seconds()*1e3)
					}
					b.ReportMetric(versus.Median(times), "times")
					b.ReportMetric(versus.Median(us), "brine/s")
					b.ReportMetric(versus.Median(them), "hand/s")
					b.ReportMetric(versus.Median(longest), "brine-longest-ms")
					b.ReportMetric(versus.Median(theirLongest), "hand-longest-ms")
					b.ReportMetric(slices.Max(longest), "brine-worst-ms")
					b.ReportMetric(slices.Max(theirLongest), "hand-worst-ms")
				}
			})
		}
	}
}

// must panics on an error: a goroutine cannot end its benchmark.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
