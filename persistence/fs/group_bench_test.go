package fs

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brine-go/brine/internal/versus"
	"github.com/brine-go/brine/persistence/driver"
)

// BenchmarkConcurrentApplys compares goroutines that store single records with a program by hand,
// which stores one at a time: a temporary, fsync, rename and fsync of the directory. "times" is how
// many times as many a second ours are.
func BenchmarkConcurrentApplys(b *testing.B) {
	for _, goroutines := range []int{1, 2, 4, 8, 32} {
		b.Run(strconv.Itoa(goroutines), func(b *testing.B) {
			store, dir := open(b, b.TempDir(), intSchema), b.TempDir()
			root, err := os.Open(dir)
			must(err)
			defer root.Close()
			var next atomic.Int64
			byUs := func() {
				_, err := store.Apply(context.Background(), []driver.Mutation{{Op: driver.Create, Rec: kbRecord(int(next.Add(1)))}})
				must(err)
			}
			var mu sync.Mutex
			files := 0
			byHand := func() {
				mu.Lock()
				defer mu.Unlock()
				files++
				temp := filepath.Join(dir, "tmp")
				writeByHand(temp, true)
				must(os.Rename(temp, filepath.Join(dir, strconv.Itoa(files))))
				must(root.Sync())
			}
			rounds := 40
			if testing.Short() { // shows that the benchmarks run, no more
				rounds = 1
			}
			for b.Loop() {
				var times, us, them, longest, theirLongest []float64
				for round := range rounds {
					var took, most [2]time.Duration
					for k := range 2 {
						side := (round + k) % 2 // who goes first changes
						took[side], most[side] = versus.AtOnce(goroutines, 96/goroutines, []func(){byUs, byHand}[side])
					}
					times = append(times, float64(took[1])/float64(took[0]))
					us, them = append(us, 96/took[0].Seconds()), append(them, 96/took[1].Seconds())
					longest, theirLongest = append(longest, most[0].Seconds()*1e3), append(theirLongest, most[1].Seconds()*1e3)
				}
				for name, s := range map[string][]float64{
					"times": times, "ours/s": us, "hand/s": them, "ours-longest-ms": longest, "hand-longest-ms": theirLongest,
				} {
					slices.Sort(s)
					b.ReportMetric(s[len(s)/2], name)
				}
				b.ReportMetric(longest[len(longest)-1], "ours-worst-ms")
				b.ReportMetric(theirLongest[len(theirLongest)-1], "hand-worst-ms")
			}
		})
	}
}
