package persistence_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence"
)

// A leaf is an object of about 100 bytes.
type leaf struct {
	persistence.Persistable
	Text        string
	Left, Right *leaf
}

// leaves returns the root of a tree of n objects.
func leaves(n int) *leaf {
	all := make([]*leaf, n)
	for i := range all {
		all[i] = &leaf{Text: strings.Repeat("t", 70)}
	}
	at := func(i int) *leaf {
		if i < n {
			return all[i]
		}
		return nil
	}
	for i, l := range all {
		l.Left, l.Right = at(2*i+1), at(2*i+2)
	}
	return all[0]
}

func treeSize() int {
	if long() {
		return 1_000_000
	}
	return 50_000
}

// saveTree saves a tree of new objects, then all of them changed, and prints how many bytes of
// memory each save needs at most for each object, besides the objects.
func saveTree(ctx context.Context, s *persistence.Store) error {
	debug.SetGCPercent(10)
	n := treeSize()
	root := leaves(n)
	save := func(what string) error {
		var id persistence.ID
		bytes, err := liveHeap(func() (err error) {
			id, err = s.Save(ctx, root)
			return err
		})
		fmt.Println(what, bytes/int64(n))
		return errors.Join(err, same(id, root))
	}
	if err := save("created"); err != nil {
		return err
	}
	for _, l := range preorder(root, nil) {
		l.Text = strings.Replace(l.Text, "t", "u", 1)
	}
	return save("updated")
}

func same(id persistence.ID, l *leaf) error {
	if id == "" || id != l.PersistentID() {
		return fmt.Errorf("saved as %q, and has the ID %q", id, l.PersistentID())
	}
	return nil
}

func preorder(l *leaf, all []*leaf) []*leaf {
	if l == nil {
		return all
	}
	return preorder(l.Right, preorder(l.Left, append(all, l)))
}

// liveHeap runs fn and returns by how much the live heap grows meanwhile.
func liveHeap(fn func() error) (int64, error) {
	live := func() int64 {
		sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(sample)
		return int64(sample[0].Value.Uint64())
	}
	runtime.GC()
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
	err := fn()
	close(stop)
	<-stopped
	return most - before, err
}

// The objects of the tree take about 110 bytes each by themselves.
func TestSavingAGraphNeedsLittleMemoryBesidesIt(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("saves 50,000 objects twice")
	}
	cmd, lines := start(t, "tree", storeURL(t, "sqlite"))
	bounds := map[string]int{"created": 950, "updated": 950}
	for line := range lines {
		what, figure, _ := strings.Cut(line, " ")
		bytes, err := strconv.Atoi(figure)
		bound, ok := bounds[what]
		if err != nil || !ok {
			t.Errorf("the child printed %q", line)
			continue
		}
		t.Logf("%s: %d bytes of memory for each object", what, bytes)
		if bytes > bound {
			t.Errorf("%s: %d bytes of memory for each object besides it, want %d at most", what, bytes, bound)
		}
		delete(bounds, what)
	}
	if err := cmd.Wait(); err != nil || len(bounds) > 0 {
		t.Errorf("%v, nothing printed for %v", err, bounds)
	}
}
