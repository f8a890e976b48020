package fs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// A lock on a file that is no longer in the directory excludes nobody who opens the directory
// later.
func TestALockFileThatIsRemovedOrReplacedExcludesAllTheSame(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(path string) error{
		"removed": os.Remove,
		"replaced": func(path string) error {
			if err := os.WriteFile(path+".new", make([]byte, 8), filePerm); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, dir := t.Context(), t.TempDir()
			old := open(t, dir, intSchema)
			apply(t, old, create("1")...)
			if err := do(filepath.Join(dir, lockName)); err != nil {
				t.Fatal(err)
			}
			later := open(t, dir, intSchema)
			for _, who := range []struct{ reads, writes *Backend }{{later, old}, {old, later}} {
				err := who.reads.View(ctx, func(driver.Reader) error {
					soon, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
					defer cancel()
					_, err := who.writes.Apply(soon, mutations(driver.Put, "1"))
					return err
				})
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("a write while another handle reads: %v", err)
				}
			}
			apply(t, old, create("2")...)
			apply(t, later, create("3")...)
			n := 0
			for _, b := range []*Backend{old, later} {
				err := b.View(ctx, func(r driver.Reader) error {
					recs, err := r.Get(ctx, numbers(1, 3), 0)
					n += len(recs)
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
			if n != 6 {
				t.Errorf("%d records, want 3 by each handle", n)
			}
		})
	}
}

func TestADirectoryWithoutItsIdentityGivesNoNumbers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir, intSchema)
	if _, err := b.NextIDs(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, metaName)); err != nil {
		t.Fatal(err)
	}
	if n, err := b.NextIDs(t.Context(), 1); err == nil {
		t.Errorf("the number %d, which another process may have", n)
	}
	open(t, dir, intSchema) // makes another store of the records
	if err := errors.Join(b.Suspend(), b.Resume()); err == nil {
		t.Error("another identity was taken for that of the store")
	}
}

func TestADirectoryOpenedByARelativePathIsFoundAfterChdir(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	b := open(t, "store", intSchema)
	apply(t, b, create("1")...)
	t.Chdir(t.TempDir())
	apply(t, b, create("2")...)
	if err := errors.Join(b.Ping(t.Context()), b.Suspend(), b.Resume(), b.Ping(t.Context())); err != nil {
		t.Error(err)
	}
}
