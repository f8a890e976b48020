package fs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/fs/internal/frame"
)

// numbered is a schema with a column of a kind.
func numbered(kind driver.Kind) driver.Schema {
	return driver.Schema{IntegerIDs: true, Fields: []driver.Column{{Name: "n", Kind: kind}, {Name: "host", Kind: driver.Text}}}
}

func filled(n int) []driver.Mutation {
	var ms []driver.Mutation
	for i := range n {
		m := create(driver.ID(fmt.Sprint(i + 1)))[0]
		m.Rec.Fields = []any{int64(i), "h"}
		ms = append(ms, m)
	}
	return ms
}

// Wherever dropping a column is cut off, the next Init finishes it.
func TestDroppingAColumnIsFinished(t *testing.T) {
	t.Parallel()
	fault := errors.New("cut off")
	for cut := 1; ; cut++ {
		dir := filepath.Join(t.TempDir(), "store")
		b := open(t, dir, numbered(driver.Int))
		apply(t, b, filled(maxSwept+5)...)
		steps, at := 0, ""
		b.hook = func(step string) error {
			if steps++; steps == cut {
				at = step
				return fault
			}
			return nil
		}
		err := b.DropColumn(t.Context(), "n")
		b.hook = nil
		if cerr := b.Close(); cerr != nil {
			t.Fatal(cerr)
		}
		done := at == ""
		if done && err != nil {
			t.Fatal(err)
		}
		again, err := openWith(t.Context(), dir, numbered(driver.Text), driver.OpenOptions{})
		if err != nil && strings.Contains(err.Error(), "DropField") {
			// It was cut off before it began: the column is as it was.
			again = open(t, dir, numbered(driver.Int))
			if recs := get(t, again, whole, "5"); recs[0].Fields[0] != int64(4) {
				t.Errorf("cut off at %s (%d): %v", at, cut, recs[0].Fields)
			}
			if err := again.Close(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("cut off at %s (%d): %v", at, cut, err)
		}
		recs, err := tryGet(again, whole, numbers(1, maxSwept+5)...)
		if err != nil {
			t.Fatalf("cut off at %s (%d): %v", at, cut, err)
		}
		if len(recs) != maxSwept+5 {
			t.Fatalf("cut off at %s (%d): %d records", at, cut, len(recs))
		}
		for _, rec := range recs {
			if rec.Fields[0] != nil || rec.Fields[1] != "h" || rec.Revision != 1 {
				t.Fatalf("cut off at %s (%d): %s has %v", at, cut, rec.ID, rec.Fields)
			}
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
		if done {
			break
		}
		cut += cut / 3 // there are many alike
	}
}

func TestWhoDeclaresAColumnThatWasDroppedCannotWriteNorReadIt(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	b := open(t, dir, numbered(driver.Int))
	apply(t, b, filled(3)...)
	other := open(t, dir, driver.Schema{IntegerIDs: true, Fields: []driver.Column{{Name: "host", Kind: driver.Text}}})
	if err := other.DropColumn(t.Context(), "n"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		m := filled(4)[3:]
		if _, err := b.Apply(t.Context(), m); err == nil || !strings.Contains(err.Error(), `"n" was dropped`) {
			t.Errorf("a write that would bring the values back: %v", err)
		}
	}
	m := create("9")
	m[0].Rec.Fields = []any{"h"}
	apply(t, other, m...)
	read := func(q driver.Query) error {
		return b.View(t.Context(), func(r driver.Reader) error {
			for _, err := range r.Scan(t.Context(), &q) {
				if err != nil {
					return err
				}
			}
			if _, err := r.Get(t.Context(), []driver.ID{"1"}, q.Parts); err != nil {
				return err
			}
			_, err := r.Count(t.Context(), &q)
			return err
		})
	}
	n := driver.Cond{Column: "n", Op: driver.IsNull}
	for name, q := range map[string]driver.Query{
		"whole records":         {Parts: whole},
		"a condition":           {Where: []driver.Cond{n}},
		"an alternative":        {Where: []driver.Cond{{Op: driver.Or, Any: []driver.Cond{{Column: driver.ColState, Op: driver.IsNull}, n}}}},
		"an order":              {Order: []driver.Order{{Column: "n"}}},
		"the column by name":    {Parts: driver.Fields, Columns: []string{"n"}},
		"a condition and state": {Where: []driver.Cond{n}, Parts: driver.Info},
	} {
		if err := read(q); err == nil || !strings.Contains(err.Error(), `"n" was dropped`) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := read(driver.Query{Parts: driver.Info | driver.Data}); err != nil {
		t.Errorf("what does not use the column: %v", err)
	}
}

func TestAMetaFileOfANewerVersionIsNotDamaged(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	open(t, dir, numbered(driver.Int))
	path := filepath.Join(dir, metaName)
	m, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write := func() {
		t.Helper()
		if err := os.WriteFile(path, m, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	copy(m, "\xa7brinem4")
	m = m[:len(m)-frame.Uint32Len]
	m = frame.AppendUint32(m, frame.Checksum(m))
	write()
	if _, err := openWith(t.Context(), dir, numbered(driver.Int), driver.OpenOptions{}); !errors.Is(err, errors.ErrUnsupported) ||
		errors.Is(err, driver.ErrCorrupt) || !strings.Contains(err.Error(), "format 4") || !strings.Contains(err.Error(), "up to 3") {
		t.Errorf("a newer version: %v", err)
	}
	m[len(m)-1] ^= 1
	write()
	if _, err := openWith(t.Context(), dir, numbered(driver.Int), driver.OpenOptions{}); !errors.Is(err, driver.ErrCorrupt) {
		t.Errorf("damaged too: %v", err)
	}
}
