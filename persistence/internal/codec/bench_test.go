package codec

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
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

// A benchShape is a value as programs store it, beside one that msgpack is given.
type benchShape struct {
	name        string
	mine, plain any // pointers to structs
}

type benchNine struct {
	ID, Name, State, Owner string
	Created                time.Time
	Timeout                time.Duration
	Priority               int
	Load                   float64
	Done                   bool
}

type benchStrings struct {
	Title string
	Tags  []string
	Steps []benchNine
}

type benchMaps struct {
	Env    map[string]string
	Counts map[string]int
	Hosts  map[string]benchLimits
	ByCode map[int]string
}

type benchNode struct {
	identity
	Name string
}

type benchReferences struct {
	Name          string
	Input, Output *benchNode
	Needs         []*benchNode
}

// benchIDs is benchReferences as one writes it for msgpack alone.
type benchIDs struct {
	Name          string
	Input, Output string
	Needs         []string
}

type BenchBase struct {
	Name, State string
	Created     time.Time
}

type BenchOwner struct{ Owner, Group string }

type benchEmbedding struct {
	BenchBase
	*BenchOwner
	Command  string
	ExitCode int
}

type benchAnything struct {
	Name string
	Meta any
}

type benchOptional struct {
	Name    string        `msgpack:"name"`
	State   string        `msgpack:"state,omitempty"`
	Reason  string        `msgpack:"reason,omitempty"`
	Owner   string        `msgpack:"owner,omitempty"`
	Tries   int           `msgpack:"tries,omitempty"`
	Timeout time.Duration `msgpack:"timeout,omitempty"`
	Args    []string      `msgpack:"args,omitempty"`
}

type benchTree struct {
	Name        string
	Size        int64
	Left, Right *benchTree
}

func newBenchNine(i int) benchNine {
	return benchNine{
		ID: fmt.Sprintf("task-%06d", i), Name: "align", State: "RUNNING", Owner: "bio", Created: time.Unix(1731000000, 123456789).UTC(),
		Timeout: time.Hour, Priority: 300, Load: 3.75, Done: i%2 == 0,
	}
}

func newBenchTree(depth int) *benchTree {
	if depth == 0 {
		return nil
	}
	return &benchTree{Name: fmt.Sprint("node ", depth), Size: 1 << (8 * depth), Left: newBenchTree(depth - 1), Right: newBenchTree(depth - 1)}
}

// benchShapes returns the shapes, and who knows the objects that they refer to.
func benchShapes() ([]benchShape, *world) {
	w := newWorld()
	refs := &benchReferences{Name: "align"}
	ids := &benchIDs{Name: "align"}
	for i := range 6 {
		id, node := fmt.Sprintf("task-%06d", i), &benchNode{Name: "part"}
		w.put(driver.ID(id), node)
		switch i {
		case 0:
			refs.Input, ids.Input = node, id
		case 1:
			refs.Output, ids.Output = node, id
		default:
			refs.Needs, ids.Needs = append(refs.Needs, node), append(ids.Needs, id)
		}
	}
	job, nine := newBenchJob(1), newBenchNine(1)
	list := &benchStrings{Title: "steps of a run", Tags: []string{"bwa", "mem", "reads_1.fastq.gz", "GRCh38"}}
	for i := range 20 {
		list.Steps = append(list.Steps, newBenchNine(i))
	}
	maps := &benchMaps{Env: job.Env, Counts: map[string]int{}, Hosts: map[string]benchLimits{}, ByCode: map[int]string{0: "ok", 1: "failed", 137: "killed"}}
	for i := range 12 {
		maps.Counts[fmt.Sprint("count ", i)] = i * i * 100
		maps.Hosts[fmt.Sprint("node-", i)] = *job.Limits
	}
	embedding := &benchEmbedding{BenchBase{"align", "RUNNING", job.Created}, &BenchOwner{"bio", "research"}, "bwa mem", 1}
	anything := &benchAnything{"align", map[string]any{
		"title": "a run", "tries": 3, "load": 1.5, "done": true, "none": nil, "nested": map[string]any{"host": "node-0127", "code": 7}, "bytes": []byte("abc"),
	}}
	optional := &benchOptional{Name: "align", State: "RUNNING", Tries: 2, Args: []string{"mem", "-t"}}
	tree := newBenchTree(5)
	return []benchShape{
		{"a struct of 1 KB", job, job},
		{"nine fields", &nine, &nine},
		{"strings and structs", list, list},
		{"maps", maps, maps},
		{"six references", refs, ids},
		{"embedded structs", embedding, embedding},
		{"anything", anything, anything},
		{"fields left out", optional, optional},
		{"a tree of pointers", tree, tree},
	}, w
}

func newBenchCodec() *Codec { return New(testConfig) }

func benchEncode(e *Encoder, obj any) (Encoded, error) { return e.Encode(obj, nil) }

func benchDecode(c *Codec, h Header, dst any, w *world) error {
	_, err := c.Decode(h, dst, DecodeOptions{Limits: testLimits, Target: w.target})
	return err
}

var benchSink []byte

func BenchmarkEncode(b *testing.B) {
	shapes, w := benchShapes()
	for _, s := range shapes {
		b.Run(s.name, func(b *testing.B) {
			e := newBenchCodec().NewEncoder(testLimits, w)
			interleave(b,
				func() {
					enc, err := benchEncode(e, s.mine)
					if err != nil {
						b.Fatal(err)
					}
					benchSink = slices.Clone(enc.Data) // msgpack's Marshal gives its bytes away as well
				},
				func() {
					plain, err := msgpack.Marshal(s.plain)
					if err != nil {
						b.Fatal(err)
					}
					benchSink = plain
				})
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	shapes, w := benchShapes()
	for _, s := range shapes {
		b.Run(s.name, func(b *testing.B) {
			c := newBenchCodec()
			enc, err := benchEncode(c.NewEncoder(testLimits, w), s.mine)
			if err != nil {
				b.Fatal(err)
			}
			record := slices.Clone(enc.Data)
			plain, err := msgpack.Marshal(s.plain)
			if err != nil {
				b.Fatal(err)
			}
			mine, theirs := reflect.TypeOf(s.mine).Elem(), reflect.TypeOf(s.plain).Elem()
			interleave(b,
				func() {
					h, err := c.Parse(record, testLimits)
					if err != nil {
						b.Fatal(err)
					}
					if err := benchDecode(c, h, reflect.New(mine).Interface(), w); err != nil {
						b.Fatal(err)
					}
				},
				func() {
					if err := msgpack.Unmarshal(plain, reflect.New(theirs).Interface()); err != nil {
						b.Fatal(err)
					}
				})
		})
	}
}
