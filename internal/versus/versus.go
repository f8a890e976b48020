// Package versus measures Brine beside its hand-written equivalent, in one run.
package versus

import (
	"math"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

// Rounds is the number of rounds that a benchmark runs, if it has no reason for another.
const Rounds = 50

// Run runs both sides once in each round, in an order that alternates, and reports
//
//   - ratio, the median of the ratios of their times: 1.25 means that Brine takes a quarter more
//     time; ratio-low and ratio-high are the limits of its 95 % interval,
//   - brine-µs and hand-µs, the medians of the times of one call.
//
// A ratio is that of two rounds in a row: a side that ran last, too, is faster, as the caches of
// the processor and of a server are its own. A round calls each side so many times. One more round
// comes first, to warm up, with the number 0. With -short each side is called once, and the figures
// mean nothing.
func Run(b *testing.B, rounds, times int, ours, hand func(round int)) {
	b.Helper()
	if testing.Short() {
		ours(0)
		hand(0)
		return
	}
	for range b.N {
		var ratios, us, them []float64
		var first [2]float64 // of two rounds
		for round := range rounds + 1 {
			if round%4 == 0 {
				runtime.GC() // neither side pays for the other's garbage for long
			}
			var took [2]float64 // µs
			for k := range 2 {
				side := (round + k) % 2
				call := ours
				if side == 1 {
					call = hand
				}
				begin := time.Now()
				for range times {
					call(round)
				}
				took[side] = float64(time.Since(begin).Nanoseconds()) / 1e3 / float64(times)
			}
			if round == 0 {
				continue
			}
			us, them = append(us, took[0]), append(them, took[1])
			if round%2 == 1 {
				first = took
			} else {
				ratios = append(ratios, (first[0]+took[0])/(first[1]+took[1]))
			}
		}
		low, high := interval(ratios)
		b.ReportMetric(Median(ratios), "ratio")
		b.ReportMetric(low, "ratio-low")
		b.ReportMetric(high, "ratio-high")
		b.ReportMetric(Median(us), "brine-µs")
		b.ReportMetric(Median(them), "hand-µs")
		b.ReportMetric(0, "ns/op") // the time of both sides together says nothing
	}
}

// Median returns the median of values, the greater of two. There must be one value at least.
func Median(values []float64) float64 {
	return slices.Sorted(slices.Values(values))[len(values)/2]
}

// interval returns the limits of the 95 % interval of the median: the order statistics between
// which the median of the distribution lies with that probability, whatever the distribution.
func interval(values []float64) (low, high float64) {
	s, n := slices.Sorted(slices.Values(values)), len(values)
	half := 1.96 * math.Sqrt(float64(n)) / 2
	first := max(0, int(math.Floor(float64(n)/2-half)))
	last := min(n-1, int(math.Ceil(float64(n)/2+half)))
	return s[first], s[last]
}

// AtOnce calls save n times in each of some goroutines and returns how long that took, and the
// longest single call.
func AtOnce(goroutines, n int, save func()) (took, longest time.Duration) {
	waits := make([]time.Duration, goroutines)
	begin := time.Now()
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for range n {
				t := time.Now()
				save()
				waits[g] = max(waits[g], time.Since(t))
			}
		})
	}
	wg.Wait()
	return time.Since(begin), slices.Max(waits)
}
