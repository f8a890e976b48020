package codec

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// benchJob is a struct of about 1 KB without references.
type benchJob struct {
	Name, Queue, Owner, Host, WorkDir string
	Args                              []string
	Env                               map[string]string
	Priority, Tries, ExitCode         int
	MaxMemory                         uint64
	Load                              float64
	Done                              bool
	Created, Started                  time.Time
	Timeout                           time.Duration
	Output                            []byte
	Results                           []benchResult
	Limits                            *benchLimits
}

type benchResult struct {
	Host  string
	Code  int
	Took  float64
	Files []string
}

type benchLimits struct {
	Cores, Nodes int
	Memory       int64
	Exclusive    bool
}

func newBenchJob(i int) *benchJob {
	return &benchJob{
		Name: fmt.Sprintf("align-reads-%d", i), Queue: "long.q", Owner: "bioinformatics", Host: "node-0127.cluster.example.org",
		WorkDir:  "/scratch/projects/alignment/run-2024-11-07/step-04",
		Args:     []string{"bwa", "mem", "-t", "16", "-M", "/data/reference/GRCh38.fa", "reads_1.fastq.gz", "reads_2.fastq.gz"},
		Env:      map[string]string{"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/home/bio", "OMP_NUM_THREADS": "16", "TMPDIR": "/scratch/tmp", "LANG": "C.UTF-8"},
		Priority: 10, Tries: 2 + i, ExitCode: -1, MaxMemory: 64 << 30, Load: 3.75, Done: true,
		Created: time.Unix(1731000000, 123456789).UTC(), Started: time.Unix(1731000100, 0).UTC(), Timeout: 36 * time.Hour,
		Output: []byte("[M::mem_process_seqs] Processed 160000 reads in 45.116 CPU sec, 2.839 real sec\n"),
		Results: []benchResult{
			{"node-0127", 0, 12.25, []string{"out.bam", "out.bam.bai"}},
			{"node-0128", 1, 13.5, []string{"err.log"}},
			{"node-0129", 0, 11.125, nil},
		},
		Limits: &benchLimits{16, 1, 64 << 30, false},
	}
}

const (
	benchRounds = 41
	benchCalls  = 200
)

// interleave runs ours and theirs in turns and reports the median of the ratios of their times, and
// the ratio of their allocations.
func interleave(b *testing.B, ours, theirs func()) {
	b.Helper()
	ours()
	theirs()
	var ratios []float64
	var oursTime time.Duration
	for b.Loop() {
		ratios = ratios[:0]
		for range benchRounds {
			start := time.Now()
			for range benchCalls {
				ours()
			}
			mine := time.Since(start)
			start = time.Now()
			for range benchCalls {
				theirs()
			}
			oursTime += mine
			ratios = append(ratios, float64(mine)/float64(time.Since(start)))
		}
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "ratio")
	b.ReportMetric(testing.AllocsPerRun(100, ours)/testing.AllocsPerRun(100, theirs), "alloc-ratio")
	b.ReportMetric(float64(oursTime.Nanoseconds())/float64(b.N*benchRounds*benchCalls), "ns/call")
	b.ReportMetric(0, "ns/op")
}

var benchSink []byte

func BenchmarkEncode(b *testing.B) {
	e := New(testConfig).NewEncoder(Limits{1 << 30, 10_000}, nil)
	job := newBenchJob(1)
	interleave(b,
		func() {
			enc, err := e.Encode(job, nil)
			if err != nil {
				b.Fatal(err)
			}
			benchSink = slices.Clone(enc.Data) // msgpack's Marshal gives its bytes away as well
		},
		func() {
			plain, err := msgpack.Marshal(job)
			if err != nil {
				b.Fatal(err)
			}
			benchSink = plain
		})
}

func BenchmarkDecode(b *testing.B) {
	c := New(testConfig)
	lim := Limits{1 << 30, 10_000}
	job := newBenchJob(1)
	enc, err := c.NewEncoder(lim, nil).Encode(job, nil)
	if err != nil {
		b.Fatal(err)
	}
	record := slices.Clone(enc.Data)
	plain, err := msgpack.Marshal(job)
	if err != nil {
		b.Fatal(err)
	}
	interleave(b,
		func() {
			h, err := c.Parse(record, lim)
			if err != nil {
				b.Fatal(err)
			}
			var j benchJob
			if _, err := c.Decode(h, &j, DecodeOptions{Limits: lim}); err != nil {
				b.Fatal(err)
			}
		},
		func() {
			var j benchJob
			if err := msgpack.Unmarshal(plain, &j); err != nil {
				b.Fatal(err)
			}
		})
}
