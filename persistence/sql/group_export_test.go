package sql

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/internal/groupcommit"
)

// Together applies batches, each in a goroutine of its own, as if they had come in this order while
// another Apply was committing. It returns how many members each commit had, and how many batches
// were made by themselves.
func Together(b driver.Backend, ctxs []context.Context, batches [][]driver.Mutation) (revs [][]int64, errs []error, commits []int, alone int) {
	be := b.(*Backend)
	o, ts, err := be.ready(context.Background())
	if err != nil {
		panic(err)
	}
	defer be.leave()
	e := be.engine.(embedded)
	var byThemselves atomic.Int64
	first, release := &batch{}, make(chan struct{})
	began := make(chan struct{})
	g := groupcommit.New(
		func(ctx context.Context, t *batch) error {
			if t == first {
				close(began)
				<-release
				return nil
			}
			byThemselves.Add(1)
			return e.alone(ctx, o, t)
		},
		func(ctx context.Context, c *groupcommit.Commit[*batch]) error {
			defer func() { commits = append(commits, len(c.Members())) }()
			return e.together(ctx, o, c)
		})
	var wg sync.WaitGroup
	wg.Go(func() { _ = g.Do(context.Background(), 0, first) })
	<-began
	revs, errs = make([][]int64, len(batches)), make([]error, len(batches))
	for i, ms := range batches {
		t := &batch{b: be, tables: ts, ms: ms}
		t.sort()
		wg.Add(1)
		waiting := g.Waiting()
		var left atomic.Bool
		go func() {
			defer wg.Done() // also where a context ends the goroutine
			defer left.Store(true)
			if errs[i] = g.Do(ctxs[i], t.bytes(), t); errs[i] == nil {
				revs[i] = t.revs
			}
		}()
		// One whose context has ended enters the queue and leaves it by itself.
		for !left.Load() && (g.Waiting() == waiting || ended(ctxs[i])) {
			runtime.Gosched()
		}
	}
	close(release)
	wg.Wait()
	return revs, errs, commits, int(byThemselves.Load())
}

// ended reports whether ctx has ended, without a call of its Err, which tests count.
func ended(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return true
	default:
		return false
	}
}

// Hold keeps every Apply from committing, until release.
func Hold(b driver.Backend) (release func()) {
	ctx := &holding{Context: context.Background(), began: make(chan struct{}), release: make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = b.Apply(ctx, []driver.Mutation{{Op: driver.Delete, Rec: driver.Record{ID: "0"}}})
	}()
	<-ctx.began
	return func() {
		close(ctx.release)
		<-done
	}
}

// A holding context keeps the Apply that asks it, from the second time on, and then has ended.
type holding struct {
	context.Context
	asked          atomic.Int64
	began, release chan struct{}
}

func (h *holding) Err() error {
	switch h.asked.Add(1) {
	case 1: // by Apply itself
		return nil
	case 2:
		close(h.began)
	}
	<-h.release
	return context.Canceled
}

// Waiting returns how many Applys wait for their commit.
func Waiting(b driver.Backend) int { return b.(*Backend).open.group.Waiting() }

// Reclassify makes the backend take errors of one class for those of another.
func Reclassify(b driver.Backend, from, to Class) {
	be := b.(*Backend)
	be.dialect = reclassified{be.dialect, from, to}
}

type reclassified struct {
	Dialect
	from, to Class
}

func (d reclassified) Classify(err error) Class {
	class := d.Dialect.Classify(err)
	if class == d.from {
		return d.to
	}
	return class
}
