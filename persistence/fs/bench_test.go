package fs

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

var kilobyte = bytes.Repeat([]byte("0123456789abcdef"), 64)

// scaled returns n, or with -short a hundredth of what is large: it shows that the benchmarks run,
// no more.
func scaled(n int) int {
	if testing.Short() && n > 1000 {
		return n / 100
	}
	return n
}

// ratio runs ours and by hand in turn, at least so many rounds, and reports the
// median of the ratios of their times.
func ratio(b *testing.B, rounds int, ours, byHand func(round int)) {
	if testing.Short() {
		rounds = 1
	}
	var ratios, times []float64
	pair := func() {
		t0 := time.Now()
		ours(len(ratios))
		t1 := time.Now()
		byHand(len(ratios))
		t2 := time.Now()
		ratios = append(ratios, float64(t1.Sub(t0))/float64(t2.Sub(t1)))
		times = append(times, float64(t1.Sub(t0)))
	}
	for b.Loop() {
		pair()
	}
	for len(ratios) < rounds {
		pair()
	}
	slices.Sort(ratios)
	slices.Sort(times)
	b.ReportMetric(ratios[len(ratios)/2], "ratio")
	b.ReportMetric(times[len(times)/2], "ns/ours")
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func kbRecord(id int) driver.Record {
	r := rec(driver.ID(strconv.Itoa(id)))
	r.Data = kilobyte
	return r
}

func writeByHand(name string, sync bool) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	must(err)
	_, err = f.Write(kilobyte)
	must(err)
	if sync {
		must(f.Sync())
	}
	must(f.Close())
}

// BenchmarkApplyOne compares storing one record with a temporary, fsync, rename and fsync of the
// directory.
func BenchmarkApplyOne(b *testing.B) {
	store, dir := open(b, b.TempDir(), intSchema), b.TempDir()
	root, err := os.Open(dir)
	must(err)
	defer root.Close()
	next := 0
	ratio(b, 400, func(int) {
		next++
		_, err := store.Apply(context.Background(), []driver.Mutation{{Op: driver.Create, Rec: kbRecord(next)}})
		must(err)
	}, func(round int) {
		temp := filepath.Join(dir, "tmp")
		writeByHand(temp, true)
		must(os.Rename(temp, filepath.Join(dir, strconv.Itoa(round))))
		must(root.Sync())
	})
}

// BenchmarkApplyMany compares storing many records with all temporaries, one flush and all renames.
func BenchmarkApplyMany(b *testing.B) {
	for _, c := range []struct{ n, rounds int }{{2, 80}, {5, 80}, {10, 80}, {100, 40}, {scaled(10_000), 10}} {
		b.Run(strconv.Itoa(c.n), func(b *testing.B) {
			var dirs [2]string
			for i := range dirs {
				dirs[i] = b.TempDir()
			}
			store := open(b, dirs[0], intSchema)
			next := 0
			ratio(b, c.rounds, func(int) {
				ms := make([]driver.Mutation, c.n)
				for i := range ms {
					next++
					ms[i] = driver.Mutation{Op: driver.Create, Rec: kbRecord(next)}
				}
				_, err := store.Apply(context.Background(), ms)
				must(err)
			}, func(round int) {
				root, err := os.Open(dirs[1])
				must(err)
				defer root.Close()
				temp := func(i int) string { return filepath.Join(dirs[1], fmt.Sprintf("tmp%d", i)) }
				for i := range c.n {
					writeByHand(temp(i), !canFlushAll)
				}
				if canFlushAll {
					must(flushAll(root))
				}
				for i := range c.n {
					must(os.Rename(temp(i), filepath.Join(dirs[1], strconv.Itoa(round*c.n+i))))
				}
			})
		})
	}
}

// BenchmarkGet compares reading records with reading the files.
func BenchmarkGet(b *testing.B) {
	n := scaled(10_000)
	dir := b.TempDir()
	store := open(b, dir, intSchema)
	ms := make([]driver.Mutation, n)
	ids := make([]driver.ID, n)
	for i := range ms {
		ms[i] = driver.Mutation{Op: driver.Create, Rec: kbRecord(i + 1)}
		ids[i] = ms[i].Rec.ID
	}
	apply(b, store, ms...)
	for _, c := range []struct {
		name  string
		parts driver.Parts
	}{{"whole", driver.Info | driver.Fields | driver.Data}, {"info", driver.Info}} {
		b.Run(c.name, func(b *testing.B) {
			ratio(b, 40, func(int) {
				if got := get(b, store, c.parts, ids...); len(got) != n {
					b.Fatal(len(got))
				}
			}, func(int) {
				for _, id := range ids {
					_, err := os.ReadFile(filepath.Join(dir, string(id)))
					must(err)
				}
			})
		})
	}
	b.Run("one", func(b *testing.B) {
		ratio(b, 40, func(i int) {
			get(b, store, driver.Data, ids[i%n])
		}, func(i int) {
			_, err := os.ReadFile(filepath.Join(dir, string(ids[i%n])))
			must(err)
		})
	})
}

// BenchmarkScan lists all IDs by pages of 1,000.
func BenchmarkScan(b *testing.B) {
	for _, n := range []int{scaled(10_000), scaled(100_000)} {
		store := open(b, b.TempDir(), intSchema)
		for from := 1; from <= n; from += n / 10 {
			ms := make([]driver.Mutation, n/10)
			for i := range ms {
				ms[i] = driver.Mutation{Op: driver.Create, Rec: kbRecord(from + i)}
			}
			apply(b, store, ms...)
		}
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			for b.Loop() {
				q, seen := driver.Query{Limit: 1000}, 0
				for {
					ids, _ := scan(b, store, q)
					if len(ids) == 0 {
						break
					}
					seen += len(ids)
					q.After = &driver.Cursor{ID: ids[len(ids)-1]}
				}
				if seen != n {
					b.Fatal(seen)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/record")
		})
	}
}
