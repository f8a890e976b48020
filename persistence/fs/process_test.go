package fs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

func number(n int) []byte { return []byte(strconv.Itoa(n)) }

// increment adds one to two records in one batch, and to nothing else.
func increment(ctx context.Context, b *Backend) error {
	for {
		var recs []driver.Record
		err := b.View(ctx, func(r driver.Reader) error {
			var err error
			recs, err = r.Get(ctx, []driver.ID{"left", "right"}, whole)
			return err
		})
		if err != nil {
			return err
		}
		var ms []driver.Mutation
		for _, r := range recs {
			n, err := strconv.Atoi(string(r.Data))
			if err != nil {
				return err
			}
			rev := r.Revision
			r.Data = number(n + 1)
			ms = append(ms, driver.Mutation{Op: driver.Update, Rec: r, IfRev: rev})
		}
		if _, err = b.Apply(ctx, ms); !errors.Is(err, driver.ErrConflict) {
			return err
		}
	}
}

func init() {
	children["increment"] = func(dir string, args []string) error {
		b, err := openWith(context.Background(), dir, driver.Schema{}, driver.OpenOptions{})
		if err != nil {
			return err
		}
		defer b.Close()
		times, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		for range times {
			if err := increment(context.Background(), b); err != nil {
				return err
			}
			first, err := b.NextIDs(context.Background(), 3)
			if err != nil {
				return err
			}
			fmt.Println(first)
		}
		return nil
	}
}

// Several processes and goroutines write to one directory: no update is lost, no view
// sees half a batch, no number comes twice.
func TestProcessesShareADirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir, driver.Schema{})
	ms := create("left", "right")
	ms[0].Rec.Data, ms[1].Rec.Data = number(0), number(0)
	apply(t, b, ms...)
	const processes, times = 2, 25
	var outs [processes]bytes.Buffer
	var wg sync.WaitGroup
	var writing atomic.Int32
	for i := range processes {
		cmd := child(t, "increment", dir, strconv.Itoa(times))
		cmd.Stdout, cmd.Stderr = &outs[i], os.Stderr
		writing.Add(1)
		wg.Go(func() {
			defer writing.Add(-1)
			if err := cmd.Run(); err != nil {
				t.Error(err)
			}
		})
	}
	for range 2 {
		writing.Add(1)
		wg.Go(func() {
			defer writing.Add(-1)
			for range times {
				if err := increment(t.Context(), b); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	views := 0
	for writing.Load() > 0 {
		recs := get(t, b, whole, "left", "right")
		if len(recs) != 2 || !bytes.Equal(recs[0].Data, recs[1].Data) || recs[0].Revision != recs[1].Revision {
			t.Fatalf("half a batch: %v", recs)
		}
		views++
	}
	wg.Wait()
	left := get(t, b, whole, "left")[0]
	if want := (processes + 2) * times; string(left.Data) != strconv.Itoa(want) || left.Revision != int64(want+1) {
		t.Errorf("got %s with revision %d, want %d", left.Data, left.Revision, want)
	}
	var all []int
	for i := range outs {
		for word := range strings.FieldsSeq(outs[i].String()) {
			n, err := strconv.Atoi(word)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, n, n+1, n+2)
		}
	}
	slices.Sort(all)
	if n := len(slices.Compact(slices.Clone(all))); n != len(all) || n != processes*times*3 {
		t.Errorf("%d numbers, %d different", len(all), n)
	}
	if left := ownFiles(t, dir); len(left) > 0 {
		t.Errorf("left over %q", left)
	}
}

func TestCounter(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir, driver.Schema{})
	next := func(b *Backend, n int, want int64) {
		t.Helper()
		if got, err := b.NextIDs(t.Context(), n); err != nil || got != want {
			t.Errorf("got %d, %v, want %d", got, err, want)
		}
	}
	long := driver.ID(strings.Repeat("é", 90) + ".70")
	apply(t, b, create("Task.41", "9", "x", "y.007", "z.-80", long)...)
	next(b, 2, 71)
	apply(t, b, create("Task.1000")...)
	next(b, 1, 73)
	other := open(t, dir, driver.Schema{})
	next(other, 5, 74)
	next(b, 1, 79)
	apply(t, b, mutations(driver.Delete, "Task.1000", "Task.41", long)...)
	next(open(t, dir, driver.Schema{}), 1, 80)

	empty := open(t, t.TempDir(), intSchema)
	apply(t, empty, create("-5", "0")...)
	next(empty, 1, 1)
	full := open(t, t.TempDir(), intSchema)
	apply(t, full, create("9223372036854775807")...)
	if n, err := full.NextIDs(t.Context(), 1); err == nil {
		t.Errorf("after the greatest number comes %d", n)
	}
}

func TestWaitingForTheLockHonoursTheContext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b, other := open(t, dir, intSchema), open(t, dir, intSchema)
	for _, waiting := range []*Backend{b, other} { // in this process, as it were in another one
		err := b.View(t.Context(), func(driver.Reader) error {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
			defer cancel()
			if _, err := waiting.Apply(ctx, create("1")); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Apply: %v", err)
			}
			if _, err := waiting.NextIDs(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("NextIDs: %v", err)
			}
			return other.View(t.Context(), func(driver.Reader) error { return nil })
		})
		if err != nil {
			t.Error(err)
		}
	}
	apply(t, b, create("1")...)
	apply(t, other, create("2")...)
}

// Readers that overlap for ever must not keep a writer out, in the same process or in another.
func TestReadersDoNotStarveAWriter(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	backends := []*Backend{open(t, dir, intSchema), open(t, dir, intSchema)}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				get(t, backends[i%2], driver.Info, "1")
			}
		})
	}
	for i := range 40 {
		apply(t, backends[i%2], mutations(driver.Put, "1")...)
	}
	close(stop)
	wg.Wait()
}

func TestQueueGoesOnWhenOneGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		if err := q.acquire(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := q.acquire(ctx, true); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		synctest.Wait()
		var in atomic.Int32
		for range 3 { // after the writer, though they could go
			wg.Go(func() {
				if err := q.acquire(t.Context(), false); err != nil {
					t.Error(err)
				}
				in.Add(1)
			})
		}
		synctest.Wait()
		if n := in.Load(); n != 0 {
			t.Errorf("%d readers overtook a writer", n)
		}
		cancel()
		wg.Wait()
		for range 4 {
			q.release(false)
		}
		if err := q.acquire(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		q.release(true)
		if !q.weight.TryAcquire(writerWeight) {
			t.Error("the queue is not free")
		}
	})
}

// A write lock lets nobody else in, whoever gives up meanwhile.
func TestQueueExcludes(t *testing.T) {
	t.Parallel()
	q := newQueue()
	var readers, writers atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 500 {
				exclusive := (i+n)%3 == 0
				ctx, cancel := context.WithCancel(t.Context())
				if n%5 == 0 {
					go cancel()
				}
				if q.acquire(ctx, exclusive) == nil {
					if exclusive {
						if writers.Add(1) != 1 || readers.Load() != 0 {
							t.Error("a writer is not alone")
						}
						writers.Add(-1)
					} else {
						readers.Add(1)
						if writers.Load() != 0 {
							t.Error("a reader beside a writer")
						}
						readers.Add(-1)
					}
					q.release(exclusive)
				}
				cancel()
			}
		})
	}
	wg.Wait()
}

func TestCloseWaitsForCallsInFlight(t *testing.T) {
	t.Parallel()
	b, err := openWith(t.Context(), t.TempDir(), intSchema, driver.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var over atomic.Bool
	inside, goOn := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		err := b.View(t.Context(), func(r driver.Reader) error {
			close(inside)
			<-goOn
			_, err := r.Get(t.Context(), []driver.ID{"1"}, whole)
			over.Store(true)
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-inside
	wg.Go(func() {
		for { // until the Backend is closed to others
			if err := b.begin(); err != nil {
				break
			}
			b.calls.Done()
			runtime.Gosched()
		}
		close(goOn)
	})
	if err := b.Close(); err != nil || !over.Load() {
		t.Errorf("Close returned %v, the call in flight is over: %v", err, over.Load())
	}
	wg.Wait()
	if err := b.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	_, applyErr := b.Apply(t.Context(), nil)
	_, idsErr := b.NextIDs(t.Context(), 1)
	_, initErr := b.Init(t.Context(), intSchema)
	viewErr := b.View(t.Context(), func(driver.Reader) error { return nil })
	for _, err := range []error{applyErr, idsErr, initErr, viewErr} {
		if !errors.Is(err, driver.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
}

func TestSuspendLetsGoOfEveryFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir, intSchema)
	openFiles := func() (n int) {
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("no /proc/self/fd here")
		}
		for _, fd := range fds {
			if to, err := os.Readlink(filepath.Join("/proc/self/fd", fd.Name())); err == nil && strings.HasPrefix(to, dir) {
				n++
			}
		}
		return n
	}
	for i := range 3 {
		apply(t, b, create(numbers(i*10+1, i*10+3)...)...)
		get(t, b, whole, "1")
		if openFiles() == 0 {
			t.Error("no file is open though the lock files are kept")
		}
		if err := errors.Join(b.Suspend(), b.Suspend()); err != nil {
			t.Fatal(err)
		}
		if n := openFiles(); n != 0 {
			t.Errorf("%d files open after Suspend", n)
		}
		if err := b.Resume(); err != nil {
			t.Fatal(err)
		}
	}
	if ids, _ := scan(t, b, driver.Query{}); len(ids) != 9 {
		t.Errorf("got %q", ids)
	}
}
