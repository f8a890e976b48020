package exportfile_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/cmd/brine/internal/exportfile"
	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence"
	_ "github.com/brine-go/brine/persistence/fs"
	_ "github.com/brine-go/brine/persistence/mem"
	_ "github.com/brine-go/brine/persistence/sql/sqlite"
)

type item struct {
	persistence.Persistable
	Name, State string
	N           int
	Next        *item
}

func init() { persistence.Register[item]("exported.Item") }

var fields = []extrafields.Field{
	extrafields.Of("name", func(i *item) string { return i.Name }).Unique(),
	extrafields.Of("n", func(i *item) int { return i.N }).Indexed(),
	extrafields.Of("load", func(i *item) float64 { return float64(i.N) * 1e21 / 3 }),
	extrafields.Of("even", func(i *item) bool { return i.N%2 == 0 }),
	extrafields.Of("raw", func(i *item) []byte { return []byte{byte(i.N), 0, 255}[:i.N%4] }),
	extrafields.Of("due", func(i *item) time.Time { return time.UnixMicro(int64(i.N) * math.MaxInt32 * 1000) }),
	extrafields.Of("far", func(i *item) time.Time { return time.UnixMicro(math.MaxInt64 - 5_000_000 - int64(i.N)) }),
	extrafields.Func("note", extrafields.Text, func(obj any) (any, error) {
		if i, ok := obj.(*item); ok && i.N%3 != 0 {
			return i.State, nil
		}
		return nil, nil
	}),
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, url string, o persistence.Options) *persistence.Store {
	t.Helper()
	o.Logger = slog.New(slog.DiscardHandler)
	s, err := persistence.MakeStore(t.Context(), url, &o)
	check(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// filled returns a store with records, with and without extra columns, and pairs.
func filled(t testing.TB, url string, texts bool) *persistence.Store {
	t.Helper()
	o := persistence.Options{Indexes: []persistence.Index{{Columns: []string{"state", "modified"}}}}
	if texts {
		o.IDs = idfactory.Sequence("")
	}
	saved := 0
	save := func(s *persistence.Store, n int) {
		var last *item
		for range n {
			saved++
			last = &item{Name: fmt.Sprint("item ", saved), State: "<NEW> & \"ünïcode\" \u2028\n\\", N: saved, Next: last}
			_, err := s.Save(t.Context(), last)
			check(t, err)
		}
	}
	if strings.HasPrefix(url, "mem:") {
		o.ExtraFields = fields
		s := open(t, url, o)
		save(s, 20)
		setPairs(t, s)
		return s
	}
	save(open(t, url, o), 3)
	o.ExtraFields = fields[1:2]
	save(open(t, url, o), 3)
	o.ExtraFields = append([]extrafields.Field{extrafields.Of("name", func(i *item) string { return i.Name })}, fields[1:]...)
	s := open(t, url, o)
	save(s, 20)
	setPairs(t, s)
	return s
}

func setPairs(t testing.TB, s *persistence.Store) {
	t.Helper()
	for i := range 5 {
		check(t, s.KV().Set(t.Context(), fmt.Sprintf("key/%d ü", i), map[string]any{"n": i}))
	}
}

func export(t testing.TB, s *persistence.Store, texts bool) []byte {
	t.Helper()
	var out bytes.Buffer
	report := exportTo(t, &out, s, texts)
	if n, err := s.Count(t.Context(), nil); err != nil || report.Copied != n {
		t.Fatalf("%+v of %d records, %v", report, n, err)
	}
	return out.Bytes()
}

func exportTo(t testing.TB, out io.Writer, s *persistence.Store, texts bool) persistence.CopyReport {
	t.Helper()
	w := exportfile.NewWriter(out, texts)
	dst, err := persistence.New(t.Context(), w, nil)
	check(t, err)
	defer dst.Close()
	report, err := persistence.Copy(t.Context(), dst, s, &persistence.CopyOptions{Snapshot: true})
	check(t, err)
	check(t, w.Finish(0))
	return report
}

func importInto(t testing.TB, dst *persistence.Store, in io.Reader) error {
	t.Helper()
	r, err := exportfile.NewReader(in)
	if err != nil {
		return err
	}
	src, err := persistence.New(t.Context(), r, &persistence.Options{ReadOnly: true})
	check(t, err)
	defer src.Close()
	_, err = persistence.Copy(t.Context(), dst, src, &persistence.CopyOptions{Snapshot: true})
	if err == nil {
		_, err = r.Finish()
	}
	return err
}

func TestExportsOfImportsAreEqual(t *testing.T) {
	t.Parallel()
	for _, texts := range []bool{false, true} {
		for _, from := range []string{"mem", "sqlite", "file"} {
			for _, to := range []string{"mem", "sqlite", "file"} {
				t.Run(fmt.Sprintf("%s to %s, text IDs: %t", from, to, texts), func(t *testing.T) {
					t.Parallel()
					url := func(scheme string) string {
						if scheme == "mem" {
							return "mem:"
						}
						return scheme + ":" + t.TempDir() + "/store"
					}
					src := filled(t, url(from), texts)
					want := export(t, src, texts)
					var o persistence.Options
					if texts {
						o.IDs = idfactory.Sequence("")
					}
					dst := open(t, url(to), o)
					// A pipe: the file is read once.
					check(t, importInto(t, dst, struct{ io.Reader }{bytes.NewReader(want)}))
					for d, err := range persistence.Compare(t.Context(), src, dst, nil) {
						t.Errorf("imported: %v, %v", d, err)
					}
					if d := cmp.Diff(string(want), string(export(t, dst, texts))); d != "" {
						t.Errorf("exported again (-want +got):\n%s", d)
					}
				})
			}
		}
	}
}

// A file of version 1, which is never made anew, is read by every later version, and written again
// byte for byte. Its times, columns and texts are those of filled.
func TestGoldenFile(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile("testdata/v1.jsonl")
	check(t, err)
	counts, err := verify(want)
	if err != nil || counts != (exportfile.Counts{Records: 26, Pairs: 5}) {
		t.Errorf("%+v, %v", counts, err)
	}
	dst := open(t, "sqlite:"+t.TempDir()+"/store", persistence.Options{})
	check(t, importInto(t, dst, bytes.NewReader(want)))
	if d := cmp.Diff(string(want), string(export(t, dst, false))); d != "" {
		t.Errorf("written again (-want +got):\n%s", d)
	}
	n := 0
	for i, err := range persistence.All[item](t.Context(), dst, nil) {
		check(t, err)
		if n++; i.Name != fmt.Sprint("item ", n) || i.N != n || (i.Next != nil) != (n != 1 && n != 4 && n != 7) || i.Next != nil && i.Next.N != n-1 {
			t.Errorf("record %d: %+v", n, i)
		}
	}
	columns, err := dst.Columns(t.Context())
	check(t, err)
	for _, c := range columns {
		if c.Complete {
			t.Errorf("column %q is complete", c.Name)
		}
	}
	if n, err := persistence.Value[map[string]any](t.Context(), dst.KV(), "key/3 ü"); err != nil || n["n"] != 3 {
		t.Errorf("a pair: %v, %v", n, err)
	}
}

func verify(file []byte) (exportfile.Counts, error) {
	r, err := exportfile.NewReader(bytes.NewReader(file))
	if err != nil {
		return exportfile.Counts{}, err
	}
	return r.Verify(context.Background(), nil)
}

// every is how many bytes of a file are between two that a test tries: with BRINE_LONG=1 it tries
// each.
func every() int {
	if os.Getenv("BRINE_LONG") != "" {
		return 1
	}
	if testing.Short() {
		return 31
	}
	return 7
}

func TestEveryFlippedByteIsFound(t *testing.T) {
	t.Parallel()
	file := export(t, filled(t, "sqlite:"+t.TempDir()+"/store", false), false)
	counts, err := verify(file)
	if err != nil || counts != (exportfile.Counts{Records: 26, Pairs: 5}) {
		t.Fatalf("%+v, %v", counts, err)
	}
	flips := []byte{1}
	if os.Getenv("BRINE_LONG") != "" {
		flips = []byte{1, 2, 4, 8, 16, 32, 64, 128}
	}
	number := int64(1)
	for i := range file {
		if i%every() > 0 && file[i] != '\n' {
			continue
		}
		for _, flip := range flips {
			bad := bytes.Clone(file)
			bad[i] ^= flip
			_, err := verify(bad)
			damaged, ok := errors.AsType[*exportfile.LineError](err)
			if !ok || damaged.Line != number {
				t.Fatalf("byte %d of %q, in line %d: %v", i, file[max(0, i-20):min(len(file), i+20)], number, err)
			}
		}
		if file[i] == '\n' {
			number++
		}
	}
}

func TestLinesThatAreMissingDoubledOrMovedAreFound(t *testing.T) {
	t.Parallel()
	file := export(t, filled(t, "mem:", false), false)
	lines := bytes.SplitAfter(bytes.TrimSuffix(file, []byte("\n")), []byte("\n"))
	lines[len(lines)-1] = append(lines[len(lines)-1], '\n')
	found := func(what string, at int, lines ...[]byte) {
		t.Helper()
		_, err := verify(bytes.Join(lines, nil))
		damaged, ok := errors.AsType[*exportfile.LineError](err)
		if !ok || damaged.Line != int64(at) {
			t.Errorf("%s: %v, want it found in line %d", what, err, at)
		}
	}
	cut := func(from ...[]byte) [][]byte { return append([][]byte(nil), from...) }
	for i := range lines {
		at := i + 1
		if i == len(lines)-1 {
			at = i // the file ends with the line before
		}
		found(fmt.Sprintf("line %d is missing", i+1), at, append(cut(lines[:i]...), lines[i+1:]...)...)
		found(fmt.Sprintf("line %d is there twice", i+1), i+2, append(cut(lines[:i+1]...), lines[i:]...)...)
		if i+1 < len(lines) {
			moved := cut(lines...)
			moved[i], moved[i+1] = moved[i+1], moved[i]
			found(fmt.Sprintf("lines %d and %d are exchanged", i+1, i+2), i+1, moved...)
		}
	}
	for end := 1; end < len(file); end += every() {
		if _, err := verify(file[:end]); err == nil {
			t.Fatalf("cut off after %d of %d bytes, nothing is found", end, len(file))
		}
	}
	if _, err := verify(file[:len(file)/2]); !errors.Is(err, exportfile.ErrCut) {
		t.Errorf("cut off: %v", err)
	}
	if _, err := verify(nil); !errors.Is(err, exportfile.ErrCut) {
		t.Errorf("an empty file: %v", err)
	}
	if _, err := verify([]byte("{\"n\":1}\n")); err == nil {
		t.Error("any JSON is taken for an export")
	}
}

func TestWhatIsDamagedOnItsWayThroughAPipeIsNotImported(t *testing.T) {
	t.Parallel()
	file := export(t, filled(t, "mem:", false), false)
	for what, bad := range map[string][]byte{
		"cut off":           file[:len(file)*2/3],
		"without its end":   file[:bytes.LastIndex(file[:len(file)-1], []byte("\n"))+1],
		"a byte is flipped": append(bytes.Clone(file[:len(file)/2]), append([]byte{file[len(file)/2] ^ 1}, file[len(file)/2+1:]...)...),
		"followed by more":  append(bytes.Clone(file), "{}\n"...),
	} {
		dst := open(t, "mem:", persistence.Options{})
		err := importInto(t, dst, struct{ io.Reader }{bytes.NewReader(bad)})
		if _, ok := errors.AsType[*exportfile.LineError](err); !ok {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// The bytes that a million records need for their way, through a pipe.
func TestExportsAndImportsStream(t *testing.T) {
	if testing.Short() {
		t.Skip("exports 50,000 records")
	}
	few, many := 10_000, 40_000
	if os.Getenv("BRINE_LONG") != "" {
		few, many = 100_000, 1_000_000
	}
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	memory := func(n int) int64 {
		src := open(t, "sqlite:"+t.TempDir()+"/src.db", persistence.Options{})
		for at := 0; at < n; at += 10_000 {
			objs := make([]any, 10_000)
			for i := range objs {
				objs[i] = &item{Name: strings.Repeat("x", 70), N: at + i}
			}
			_, err := src.SaveAll(t.Context(), objs...)
			check(t, err)
		}
		dst := open(t, "sqlite:"+t.TempDir()+"/dst.db", persistence.Options{})
		in, out := io.Pipe()
		return heap(func() {
			go func() { _ = out.CloseWithError(exportAll(t, out, src)) }()
			check(t, importInto(t, dst, in))
			if got, err := dst.Count(t.Context(), nil); err != nil || got != int64(n) {
				t.Errorf("%d of %d records, %v", got, n, err)
			}
		})
	}
	less, more := memory(few), memory(many)
	t.Logf("%d records: %d KB, %d records: %d KB", few, less>>10, many, more>>10)
	if more > less+less/2+8<<20 || more > 64<<20 {
		t.Errorf("%d records take %d bytes of memory, and %d take %d", many, more, few, less)
	}
}

func exportAll(t testing.TB, out io.Writer, s *persistence.Store) error {
	w := exportfile.NewWriter(out, false)
	dst, err := persistence.New(t.Context(), w, nil)
	if err != nil {
		return err
	}
	defer dst.Close()
	if _, err := persistence.Copy(t.Context(), dst, s, &persistence.CopyOptions{Snapshot: true}); err != nil {
		return err
	}
	return w.Finish(0)
}

// heap runs fn and returns by how much the live heap grows meanwhile.
func heap(fn func()) int64 {
	live := func() int64 {
		sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(sample)
		return int64(sample[0].Value.Uint64())
	}
	debug.FreeOSMemory()
	before, most := live(), int64(0)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for tick := time.NewTicker(time.Millisecond); ; {
			select {
			case <-tick.C:
				most = max(most, live())
			case <-stop:
				tick.Stop()
				return
			}
		}
	}()
	fn()
	close(stop)
	<-stopped
	return most - before
}

// endless is a file of one line that has no end.
type endless struct{ given int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	e.given += len(p)
	return len(p), nil
}

func TestWhatIsNoExportIsRefusedAtItsBeginning(t *testing.T) {
	t.Parallel()
	var file endless
	if _, err := exportfile.NewReader(&file); err == nil || !strings.Contains(err.Error(), "line 1: it is not that of an export") || file.given > 1<<20 {
		t.Errorf("after %d bytes: %v", file.given, err)
	}
	for start, want := range map[string]string{
		"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03": "gunzip", "{}\n": "not that of an export", "SQLite format 3\x00": "not that of an export",
		"": "empty", `{"br`: "cut off", `{"brine":"export",`: "cut off",
	} {
		if _, err := exportfile.NewReader(strings.NewReader(start)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q in it", start, err, want)
		}
	}
}
