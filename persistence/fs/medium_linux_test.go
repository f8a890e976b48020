package fs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/brine-go/brine/persistence/driver"
)

// mountTmpfs mounts a file system of its own, small and in memory.
func mountTmpfs(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+size); err != nil {
		t.Skipf("a file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		// A process that another test starts has the open files until it executes its program.
		err := unix.Unmount(dir, 0)
		for end := time.Now().Add(10 * time.Second); errors.Is(err, unix.EBUSY) && time.Now().Before(end); {
			time.Sleep(10 * time.Millisecond)
			err = unix.Unmount(dir, 0)
		}
		if err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestFullDiskChangesNothing(t *testing.T) {
	t.Parallel()
	dir := mountTmpfs(t, "256k")
	b := open(t, dir, intSchema)
	apply(t, b, create(numbers(1, 3)...)...)
	before := contents(t, dir)
	big := mutations(driver.Put, numbers(1, 30)...)
	for i := range big {
		big[i].Rec.Data = make([]byte, 20_000)
	}
	huge := create("99")
	huge[0].Rec.Data = make([]byte, 1<<20)
	for _, ms := range [][]driver.Mutation{big, huge, big} {
		if _, err := b.Apply(t.Context(), ms); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("got %v", err)
		}
		if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
			t.Error(diff)
		}
	}
	apply(t, b, big[:4]...)
}

// Where the list of changes finds no room, what frees room goes on all the same.
func TestFullDiskDropsTheListOfChanges(t *testing.T) {
	t.Parallel()
	dir := mountTmpfs(t, "1m")
	store := filepath.Join(dir, "store")
	b, other := open(t, store, intSchema), open(t, store, intSchema)
	apply(t, b, create(numbers(1, 200)...)...)
	agree(t, b)
	agree(t, other)
	filler, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	dropped := false
	for _, id := range numbers(1, 199) {
		for err == nil {
			_, err = filler.Write(make([]byte, 4096))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		err = nil
		apply(t, b, mutations(driver.Delete, id)...)
		info, serr := os.Stat(filepath.Join(store, changesName))
		if serr != nil {
			t.Fatal(serr)
		}
		dropped = dropped || info.Size() == 0
	}
	if !dropped {
		t.Error("the list was never dropped")
	}
	if err := filler.Truncate(0); err != nil {
		t.Fatal(err)
	}
	for _, x := range []*Backend{b, other} {
		if agree(t, x) {
			t.Error("the index was kept without a list")
		}
		if n := x.index.Len(); n != 1 {
			t.Errorf("%d entries", n)
		}
	}
}

func TestReadOnlyFileSystem(t *testing.T) {
	t.Parallel()
	dir := mountTmpfs(t, "1m")
	b := open(t, filepath.Join(dir, "store"), intSchema)
	apply(t, b, create("1", "2")...)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	// A set of columns that is not recorded is nothing that reading needs.
	wide := driver.Schema{IntegerIDs: true, Fields: []driver.Column{{Name: "host", Kind: driver.Text}}}
	b = open(t, filepath.Join(dir, "narrow", "store"), wide)
	full := create("1", "2")
	for i := range full {
		full[i].Rec.Fields = []any{nil}
	}
	apply(t, b, full...)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Skipf("a file system cannot be mounted again: %v", err)
	}
	readOnlyStore(t.Context(), t.Errorf, dir)
	readOnlyStore(t.Context(), t.Errorf, filepath.Join(dir, "narrow"))
}

// readOnlyStore checks what a store does in dir/store, with the records 1 and 2, where nothing can
// be written.
func readOnlyStore(ctx context.Context, errorf func(string, ...any), dir string) {
	store := filepath.Join(dir, "store")
	for _, o := range []driver.OpenOptions{{}, {NoCreate: true}, {ReadOnly: true}} {
		b, err := openWith(ctx, store, intSchema, o)
		if err != nil {
			errorf("Init: %v", err)
			continue
		}
		recs, err := tryGet(b, whole, "1", "2")
		if err != nil || len(recs) != 2 {
			errorf("Get: %v, %v", recs, err)
		}
		for _, ms := range [][]driver.Mutation{create("3"), mutations(driver.Update, "1"), mutations(driver.Delete, "1"), create("3", "4")} {
			if _, err := b.Apply(ctx, ms); !errors.Is(err, driver.ErrReadOnly) {
				errorf("Apply: %v", err)
			}
		}
		if _, err := b.NextIDs(ctx, 1); !errors.Is(err, driver.ErrReadOnly) {
			errorf("NextIDs: %v", err)
		}
		if _, err := b.Claim(ctx, &driver.Query{}, driver.Claiming{Owner: "me", Lease: time.Hour, Limit: 1}); !errors.Is(err, driver.ErrReadOnly) {
			errorf("Claim: %v", err)
		}
		if err := b.Close(); err != nil {
			errorf("Close: %v", err)
		}
	}
	more := driver.Schema{IntegerIDs: true, Fields: []driver.Column{{Name: "n", Kind: driver.Int}}}
	if _, err := openWith(ctx, store, more, driver.OpenOptions{}); !errors.Is(err, driver.ErrReadOnly) {
		errorf("Init with a field to add: %v", err)
	}
	if _, err := openWith(ctx, filepath.Join(dir, "new", "one"), intSchema, driver.OpenOptions{}); !errors.Is(err, driver.ErrReadOnly) {
		errorf("Init with a directory to make: %v", err)
	}
}

func init() {
	children["read-only"] = func(dir string, _ []string) error {
		if os.Getuid() == 0 { // permissions do not apply to it
			if err := errors.Join(unix.Setgroups(nil), syscall.Setgid(65534), syscall.Setuid(65534)); err != nil {
				return err
			}
		}
		var faults []string
		errorf := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
		readOnlyStore(context.Background(), errorf, dir)

		empty := filepath.Join(dir, "empty")
		if _, err := openWith(context.Background(), empty, intSchema, driver.OpenOptions{}); !errors.Is(err, driver.ErrReadOnly) {
			errorf("Init of an empty directory: %v", err)
		}
		b, err := openWith(context.Background(), empty, intSchema, driver.OpenOptions{NoCreate: true})
		if err != nil {
			errorf("NoCreate of an empty directory: %v", err)
		} else if recs, err := tryGet(b, whole, "1"); err != nil || len(recs) > 0 {
			errorf("Get from an empty directory: %v, %v", recs, err)
		}
		// A commit that must be finished before anything can be read.
		if _, err := openWith(context.Background(), filepath.Join(dir, "unfinished"), intSchema, driver.OpenOptions{}); !errors.Is(err, driver.ErrReadOnly) {
			errorf("Init with an unfinished commit: %v", err)
		}
		b, err = openWith(context.Background(), filepath.Join(dir, "unfinished"), intSchema, driver.OpenOptions{ReadOnly: true})
		if err != nil {
			errorf("ReadOnly with an unfinished commit: %v", err)
		} else if recs, err := tryGet(b, whole, "1", "2"); err != nil || len(recs) != 2 {
			errorf("Get from an unfinished commit: %v, %v", recs, err)
		}
		if len(faults) > 0 {
			return errors.New(strings.Join(faults, "\n"))
		}
		return nil
	}
}

func TestReadOnlyPermissions(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "brine")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	store := filepath.Join(dir, "store")
	apply(t, open(t, store, intSchema), create("1", "2")...)
	unfinished := filepath.Join(dir, "unfinished")
	b := open(t, unfinished, intSchema)
	for nth := 1; ; nth++ {
		if _, step := crash(b, nth, func() { b.Apply(context.Background(), create("1", "2")) }); step == "marked" {
			break
		}
	}
	for _, dir := range []string{store, unfinished} {
		for name := range contents(t, dir) {
			chmod(t, filepath.Join(dir, name), 0o444)
		}
		chmod(t, filepath.Join(dir, lockName), 0o444)
		chmod(t, filepath.Join(dir, gateName), 0o444)
	}
	for _, path := range []string{"empty", "store", "unfinished", "."} {
		path = filepath.Join(dir, path)
		chmod(t, path, 0o555)
		t.Cleanup(func() { chmod(t, path, 0o755) })
	}
	if out, err := child(t, "read-only", dir).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Error(err)
	}
}

// A named pipe, which would make a reader wait for ever, is foreign like all else.
func TestNamedPipe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := unix.Mkfifo(filepath.Join(dir, "1"), 0o600); err != nil {
		t.Skip(err)
	}
	b := open(t, dir, intSchema)
	if recs := get(t, b, whole, "1"); len(recs) > 0 {
		t.Errorf("got %v", recs)
	}
	if ids, bad := scan(t, b, driver.Query{}); len(ids)+len(bad) > 0 {
		t.Errorf("got %q, %v", ids, bad)
	}
	if _, err := b.Apply(t.Context(), mutations(driver.Put, "1")); !errors.Is(err, driver.ErrExists) {
		t.Errorf("got %v", err)
	}
}
