package fs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

var (
	namedSchema = driver.Schema{IntegerIDs: true, Fields: []driver.Column{{Name: "name", Kind: driver.Text, InIndex: true}}}
	byName      = driver.Index{Columns: []string{"name"}, Unique: true}
)

// openNamed opens a directory with a unique index.
func openNamed(t testing.TB, dir string) *Backend {
	t.Helper()
	b := open(t, dir, namedSchema)
	if err := b.MakeIndexes(context.Background(), []driver.Index{byName}); err != nil {
		t.Fatal(err)
	}
	return b
}

// named makes records with these names and the IDs from first on.
func named(op driver.Op, first int, names ...any) []driver.Mutation {
	var ms []driver.Mutation
	for i, name := range names {
		r := rec(driver.ID(fmt.Sprint(first + i)))
		r.Fields = []any{name}
		ms = append(ms, driver.Mutation{Op: op, Rec: r})
	}
	return ms
}

func wantHolder(t testing.TB, b *Backend, name string, holder driver.ID) {
	t.Helper()
	_, err := b.Apply(context.Background(), named(driver.Create, 999_999, name))
	ue, ok := errors.AsType[*driver.UniqueError](err)
	if !ok || ue.Holder != holder {
		t.Errorf("%q is of %q, not as this says: %v", name, holder, err)
	}
}

func tableInfo(t testing.TB, dir string) os.FileInfo {
	t.Helper()
	info, err := os.Lstat(filepath.Join(dir, uniqueName))
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// Whatever Backends do to a directory, the next process trusts the table.
func TestTheTableOfUniqueValuesIsKept(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := scratch(t)
	b := openNamed(t, dir)
	apply(t, b, named(driver.Create, 1, "a", "b", nil, "d")...)
	before := tableInfo(t, dir)
	for name, fn := range map[string]func(b *Backend) error{
		"one record":      func(b *Backend) error { _, err := b.Apply(ctx, named(driver.Create, 5, "e")); return err },
		"several records": func(b *Backend) error { _, err := b.Apply(ctx, named(driver.Create, 6, "f", "g", "h")); return err },
		"an exchange":     func(b *Backend) error { _, err := b.Apply(ctx, named(driver.Update, 1, "b", "a")); return err },
		"a removal":       func(b *Backend) error { _, err := b.Apply(ctx, mutations(driver.Delete, "3")); return err },
		"a clash":         func(b *Backend) error { wantHolder(t, b, "d", "4"); return nil },
		"numbers":         func(b *Backend) error { _, err := b.NextIDs(ctx, 10); return err },
		"a claim": func(b *Backend) error {
			_, err := b.Claim(ctx, &driver.Query{}, driver.Claiming{Owner: "me", Lease: 1 << 40, Limit: 1})
			return err
		},
		"ended claims":      func(b *Backend) error { _, err := b.ReleaseExpired(ctx); return err },
		"another namespace": func(b *Backend) error { return b.InitNamespace(ctx, driver.Pairs, driver.Schema{}) },
		"a set of columns":  func(b *Backend) error { _, err := b.AddColumnSet(ctx, driver.ColumnSet{"name": {"T"}}); return err },
	} {
		other := open(t, dir, namedSchema)
		if err := fn(other); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		apply(t, open(t, dir, namedSchema), named(driver.Put, 100, "x"+name)...)
		if !os.SameFile(before, tableInfo(t, dir)) {
			t.Errorf("after %s the table is made anew", name)
			before = tableInfo(t, dir)
		}
	}
	wantHolder(t, open(t, dir, namedSchema), "a", "2")
	if err := b.DropIndex(ctx, byName); err != nil {
		t.Fatal(err)
	}
	apply(t, open(t, dir, namedSchema), named(driver.Create, 200, "a", "a")...)
}

// A table that is not of the directory as it is now is made anew.
func TestTheTableOfUniqueValuesIsMadeAnew(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(dir string) error{
		"it is gone":    func(dir string) error { return os.Remove(filepath.Join(dir, uniqueName)) },
		"it is damaged": func(dir string) error { return os.WriteFile(filepath.Join(dir, uniqueName), []byte("no table"), 0o600) },
		"it is empty":   func(dir string) error { return os.Truncate(filepath.Join(dir, uniqueName), 0) },
		"a record is put in by hand": func(dir string) error {
			other := scratch(t)
			apply(t, open(t, other, namedSchema), named(driver.Create, 7, "by hand")...)
			b, err := os.ReadFile(filepath.Join(other, "7"))
			if err != nil {
				return err
			}
			time.Sleep(20 * time.Millisecond) // the clock of the file system goes in steps
			return os.WriteFile(filepath.Join(dir, "7"), b, 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := scratch(t)
			apply(t, openNamed(t, dir), named(driver.Create, 1, "a", "b")...)
			if err := change(dir); err != nil {
				t.Fatal(err)
			}
			b := open(t, dir, namedSchema)
			wantHolder(t, b, "a", "1")
			if _, err := os.Lstat(filepath.Join(dir, "7")); err == nil {
				wantHolder(t, b, "by hand", "7")
			}
			apply(t, b, named(driver.Create, 10, "c")...)
			wantHolder(t, open(t, dir, namedSchema), "c", "10")
		})
	}
}

// A writer may die at any step: what was committed is unique, and what was not is free.
func TestUniqueAfterAWriterDiedAtAnyStep(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		ms   []driver.Mutation
	}{
		{"one", named(driver.Create, 5, "new")},
		{"an exchange", append(named(driver.Update, 1, "b", "a"), named(driver.Create, 5, "new")...)},
		{"a removal", append(mutations(driver.Delete, "2"), named(driver.Create, 5, "b", "new")...)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for nth := 1; ; nth++ {
				dir := scratch(t)
				b := openNamed(t, dir)
				apply(t, b, named(driver.Create, 1, "a", "b", "c")...)
				calls, died := 0, false
				b.hook = func(step string) error {
					calls++
					died = died || calls == nth
					switch {
					case died && (calls > nth || step == "seal"): // on the way out: the lock goes all the same
						return errors.New("dead")
					case died:
						runtime.Goexit()
					}
					return nil
				}
				done := make(chan struct{})
				go func() {
					defer close(done)
					_, _ = b.Apply(context.Background(), c.ms)
				}()
				<-done
				b.hook = nil
				next := open(t, dir, namedSchema)
				q := driver.Query{Parts: driver.Fields}
				holders := map[any]driver.ID{}
				err := next.View(context.Background(), func(r driver.Reader) error {
					for rec, err := range r.Scan(context.Background(), &q) {
						if err != nil {
							return err
						}
						if other, held := holders[rec.Fields[0]]; held {
							t.Errorf("died at %d: %v is of %q and %q", nth, rec.Fields[0], other, rec.ID)
						}
						holders[rec.Fields[0]] = rec.ID
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				for name, id := range holders {
					wantHolder(t, next, name.(string), id)
				}
				if _, held := holders["new"]; !held {
					apply(t, next, named(driver.Create, 50, "new")...)
				}
				if !died {
					break
				}
			}
		})
	}
}

// Values that come and go do not make the table grow without end, and one that is full is copied.
func TestTheTableOfUniqueValuesGrows(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	b := openNamed(t, dir)
	for n := range 40 {
		var ms []driver.Mutation
		for i := range 100 {
			ms = append(ms, named(driver.Put, i, fmt.Sprintf("%d of %d", n, i))...)
		}
		apply(t, b, ms...)
	}
	small := tableInfo(t, dir).Size()
	if most := int64(100 << 10); small > most {
		t.Errorf("100 values in %d bytes", small)
	}
	for i := range 100 {
		wantHolder(t, b, fmt.Sprintf("39 of %d", i), driver.ID(fmt.Sprint(i)))
	}
	var many []driver.Mutation
	for i := range 3000 {
		many = append(many, named(driver.Create, 1000+i, fmt.Sprint("many ", i))...)
	}
	apply(t, b, many...)
	for _, i := range []int{0, 1500, 2999} {
		wantHolder(t, b, fmt.Sprint("many ", i), driver.ID(fmt.Sprint(1000+i)))
		wantHolder(t, b, fmt.Sprintf("39 of %d", i/30), driver.ID(fmt.Sprint(i/30)))
	}
	apply(t, b, named(driver.Create, 9000, "39 of 100", "0 of 0")...)
}

func TestMembersOfAGroupDoNotCollide(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	b := openNamed(t, dir)
	const goroutines, keys = 16, 30
	errs := make(chan error, goroutines)
	won := make([]int, goroutines)
	for g := range goroutines {
		go func() {
			for n := range keys {
				_, err := b.Apply(context.Background(), named(driver.Create, 1000*(g+1)+n, fmt.Sprint(n)))
				if err == nil {
					won[g]++
				} else if !errors.Is(err, driver.ErrUnique) {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	total := 0
	for range goroutines {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	for _, n := range won {
		total += n
	}
	if total != keys {
		t.Errorf("%d of %d", total, keys)
	}
}

// A save of a fresh process in a directory with 10,000 records.
func BenchmarkUniqueInAFreshProcess(b *testing.B) {
	for _, unique := range []bool{false, true} {
		b.Run(fmt.Sprintf("unique %v", unique), func(b *testing.B) {
			dir := b.TempDir()
			first := open(b, dir, namedSchema)
			if unique {
				first = openNamed(b, dir)
			}
			var ms []driver.Mutation
			for i := range 10_000 {
				ms = append(ms, named(driver.Create, i, fmt.Sprint("name ", i))...)
			}
			apply(b, first, ms...)
			n := 10_000
			for b.Loop() {
				fresh, err := openWith(context.Background(), dir, namedSchema, driver.OpenOptions{})
				if err != nil {
					b.Fatal(err)
				}
				apply(b, fresh, named(driver.Create, n, fmt.Sprint("name ", n))...)
				n++
				fresh.Close()
			}
		})
	}
}
