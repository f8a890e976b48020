package fs

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/fs/internal/claimindex"
)

// A list that is gone, damaged or another one costs a new index, no more.
func TestLostAndDamagedLists(t *testing.T) {
	t.Parallel()
	begin := func(t *testing.T) (b, other *Backend, list string, size int) {
		dir := scratch(t)
		b, other = open(t, dir, intSchema), open(t, dir, intSchema)
		apply(t, b, create(numbers(1, 5)...)...)
		lend(t, b, driver.Query{}, driver.Claiming{Limit: 1})
		list = filepath.Join(dir, changesName)
		info, err := os.Stat(list)
		if err != nil {
			t.Fatal(err)
		}
		apply(t, other, append(mutations(driver.Delete, "2"), create("6")...)...)
		return b, other, list, int(info.Size())
	}
	check := func(t *testing.T, b *Backend, list string, wantKept bool) {
		t.Helper()
		if kept := agree(t, b); kept != wantKept {
			t.Errorf("kept: %v", kept)
		}
		if got := lent(t, b, driver.Query{}, driver.Claiming{Limit: 9}); got != "3/2 4/2 5/2 6/2" {
			t.Errorf("got %q", got)
		}
		if !agree(t, b) {
			t.Error("the list was not mended")
		}
	}
	t.Run("whole", func(t *testing.T) {
		t.Parallel()
		b, _, list, _ := begin(t)
		check(t, b, list, true)
	})
	t.Run("gone", func(t *testing.T) {
		t.Parallel()
		b, other, list, _ := begin(t)
		must(os.Remove(list))
		apply(t, other, mutations(driver.Put, "1")...)
		check(t, b, list, false)
	})
	t.Run("gone and begun anew by another", func(t *testing.T) {
		t.Parallel()
		b, other, list, _ := begin(t)
		must(os.Remove(list))
		agree(t, other)
		check(t, b, list, false)
	})
	t.Run("cut", func(t *testing.T) {
		t.Parallel()
		for size := range 20 {
			b, _, list, start := begin(t)
			must(os.Truncate(list, int64(start+size)))
			check(t, b, list, false)
		}
	})
	t.Run("flipped", func(t *testing.T) {
		t.Parallel()
		_, _, list, start := begin(t)
		info, err := os.Stat(list)
		must(err)
		for i := range int(info.Size()) {
			b, _, list, _ := begin(t)
			spoil(t, list, i)
			head := headSizeOfChanges(t)
			check(t, b, list, i >= head && i < start) // what has been read does not matter any more
		}
	})
	t.Run("something else", func(t *testing.T) {
		t.Parallel()
		b, other, list, _ := begin(t)
		must(os.Remove(list))
		must(os.Symlink("1", list))
		before, err := os.ReadFile(filepath.Join(b.path, "1"))
		must(err)
		if _, err := b.ReleaseExpired(t.Context()); err == nil {
			t.Error("no error")
		}
		if _, err := other.Apply(t.Context(), mutations(driver.Put, "3")); err == nil {
			t.Error("no error")
		}
		if after, err := os.ReadFile(filepath.Join(b.path, "1")); err != nil || !slices.Equal(before, after) {
			t.Error("written through a link", err)
		}
		must(os.Remove(list))
		check(t, b, list, false)
	})
}

func headSizeOfChanges(t *testing.T) int {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "list"))
	must(err)
	list, err := claimindex.NewList(f)
	must(err)
	defer list.Close()
	must(list.Begin())
	return int(list.Size())
}

func TestListIsBegunAnewWhenItIsLong(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	b, other, writer := open(t, dir, intSchema), open(t, dir, intSchema), open(t, dir, intSchema)
	apply(t, b, create(numbers(1, 5)...)...)
	for _, b := range []*Backend{b, other, writer} {
		b.maxListed = 500
	}
	agree(t, b)
	agree(t, other)
	generations := map[string]bool{}
	for i := range 100 {
		apply(t, b, mutations(driver.Update, "1")...)
		if i%10 == 0 && !agree(t, b) {
			t.Error("who begins the list anew need not make an index")
		}
		generations[b.index.Generation] = true
	}
	if n := len(generations); n < 3 {
		t.Errorf("%d generations", n)
	}
	if agree(t, other) {
		t.Error("the index of another generation was kept")
	}
	// One without an index only drops it.
	for range 100 {
		apply(t, writer, mutations(driver.Update, "2")...)
	}
	if info, err := os.Stat(filepath.Join(dir, changesName)); err != nil || info.Size() != 0 {
		t.Errorf("the list is %d bytes, %v", info.Size(), err)
	}
	apply(t, b, mutations(driver.Update, "3")...)
	for _, b := range []*Backend{b, other} {
		if agree(t, b) {
			t.Error("the index was kept though the list was dropped")
		}
	}
}

// Nobody pays for claims where nobody claims.
func TestThereIsNoListBeforeTheFirstClaim(t *testing.T) {
	t.Parallel()
	b := open(t, scratch(t), intSchema)
	apply(t, b, create("1", "2")...)
	apply(t, b, mutations(driver.Update, "1")...)
	if _, err := b.Extend(t.Context(), "1", 1, time.Hour); !errors.Is(err, driver.ErrConflict) {
		t.Error(err)
	}
	if _, err := os.Lstat(filepath.Join(b.path, changesName)); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
