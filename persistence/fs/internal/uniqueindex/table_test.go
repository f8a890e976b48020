package uniqueindex

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// names returns the names under a hash, sorted.
func names(t *rapid.T, table *Table, hash uint64) []string {
	var all []string
	if err := table.Find(hash, func(name string) bool { all = append(all, name); return true }); err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

func TestATableHasWhatWasPutIn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		f, err := os.Create(filepath.Join(dir, fmt.Sprint(n)))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		table, err := Create(f, 0)
		if err != nil {
			t.Fatal(err)
		}
		want := map[uint64][]string{}
		// Few hashes, and those that meet at the end of the slots.
		hashes := rapid.SampledFrom([]uint64{0, 1, minSlots - 1, minSlots, 2*minSlots - 1, 1 << 63, 1<<63 + minSlots - 1})
		for range rapid.IntRange(0, 60).Draw(t, "puts") {
			hash, name := hashes.Draw(t, "hash"), rapid.StringN(1, 20, 255).Draw(t, "name")
			if err := table.Put(hash, name); err != nil {
				t.Fatal(err)
			}
			key := max(hash, 1)
			if !slices.Contains(want[key], name) {
				want[key] = append(want[key], name)
			}
			if rapid.IntRange(0, 9).Draw(t, "reopen") == 0 {
				stamp := Stamp{byte(n), 7}
				if err := table.Seal(stamp); err != nil {
					t.Fatal(err)
				}
				info, err := f.Stat()
				if err != nil {
					t.Fatal(err)
				}
				if table, err = Open(f, info.Size()); err != nil {
					t.Fatal(err)
				}
				if table.Stamp() != stamp {
					t.Fatalf("stamp %v", table.Stamp())
				}
			}
		}
		count := 0
		for hash, list := range want {
			slices.Sort(list)
			if got := names(t, table, hash); !slices.Equal(got, list) {
				t.Fatalf("under %d are %q, want %q", hash, got, list)
			}
			count += len(list)
		}
		if got := names(t, table, 77); len(got) > 0 || table.Len() != int64(count) {
			t.Fatalf("%q under a hash of nobody, %d names of %d", got, table.Len(), count)
		}
		err = table.All(func(hash uint64, name string) error {
			if count--; !slices.Contains(want[hash], name) {
				return fmt.Errorf("%q under %d", name, hash)
			}
			return nil
		})
		if err != nil || count != 0 {
			t.Fatalf("All gives %d too few, %v", count, err)
		}
	})
}

func TestATableTakesNoMoreThanItHasRoomFor(t *testing.T) {
	t.Parallel()
	table, err := Create(new(Memory), 10_000)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; !table.Full(1); n++ {
		if err := table.Put(uint64(n)*0x9e3779b97f4a7c15, fmt.Sprint(n)); err != nil {
			t.Fatal(err)
		}
	}
	if n < 10_000 {
		t.Errorf("full after %d", n)
	}
	if err := table.Put(1, "x"); err == nil {
		t.Error("a name more than fits")
	}
}

func TestWhatIsNoTableIsDamaged(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(b []byte) []byte{
		"empty":               func([]byte) []byte { return nil },
		"another mark":        func(b []byte) []byte { b[6]++; return b },
		"another stamp":       func(b []byte) []byte { b[20]++; return b },
		"a slot short":        func(b []byte) []byte { return b[:headSize+minSlots*slotSize-1] },
		"a name out of reach": func(b []byte) []byte { return b[:len(b)-1] },
		"a slot that is lost": func(b []byte) []byte { b[headSize+5*slotSize+8] = 0xff; return b },
		"all slots taken": func(b []byte) []byte {
			for i := range minSlots {
				b[headSize+i*slotSize] = 1
			}
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := new(Memory)
			table, err := Create(f, 1)
			if err == nil {
				err = errors.Join(table.Put(5, "name"), table.Seal(Stamp{}))
			}
			if err != nil {
				t.Fatal(err)
			}
			f.b = change(f.b)
			table, err = Open(f, int64(len(f.b)))
			if err == nil {
				err = table.Find(5, func(string) bool { return true })
			}
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("got %v", err)
			}
		})
	}
}
