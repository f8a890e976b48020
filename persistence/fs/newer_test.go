package fs

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/fs/internal/frame"
)

// A file of a newer version is reported as that, not as damage, and left alone.
func TestAFileOfANewerVersion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir, driver.Schema{})
	for _, id := range []driver.ID{"a", "b", "c"} {
		if _, err := b.Apply(t.Context(), []driver.Mutation{{Op: driver.Create, Rec: driver.Record{ID: id, Data: []byte("data"), Size: 4}}}); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "b")
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file[frame.MarkLen-1] = '9'
	size, err := frame.Len(string(file[:frame.MarkLen]), file)
	if err != nil {
		t.Fatal(err)
	}
	binary.BigEndian.PutUint32(file[size-4:], frame.Checksum(file[:size-frame.Uint32Len]))
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	get := func() error {
		return b.View(t.Context(), func(r driver.Reader) error {
			_, err := r.Get(t.Context(), []driver.ID{"b"}, driver.Data)
			return err
		})
	}
	wantNewer := func(err error) {
		t.Helper()
		re, ok := errors.AsType[*driver.RecordError](err)
		if !ok || re.ID != "b" || !errors.Is(err, errors.ErrUnsupported) || errors.Is(err, driver.ErrCorrupt) || !strings.Contains(err.Error(), "version 9 is newer than 2") {
			t.Errorf("got %v", err)
		}
	}
	wantNewer(get())
	seen := 0
	err = b.View(t.Context(), func(r driver.Reader) error {
		for rec, err := range r.Scan(t.Context(), &driver.Query{Parts: driver.Data}) {
			if seen++; err != nil {
				wantNewer(err)
			} else if rec.ID == "b" {
				t.Error("it was read")
			}
		}
		return nil
	})
	if err != nil || seen != 3 {
		t.Errorf("%d records, %v", seen, err)
	}
	if _, err := b.Apply(t.Context(), []driver.Mutation{{Op: driver.Create, Rec: driver.Record{ID: "b"}}}); !errors.Is(err, driver.ErrExists) {
		t.Errorf("its ID is taken: %v", err)
	}
	if now, err := os.ReadFile(path); err != nil || string(now) != string(file) {
		t.Errorf("the file has changed: %v", err)
	}
	for stray, err := range b.Strays(t.Context(), nil) {
		t.Errorf("a stray %v, %v", stray, err)
	}
	forms, err := b.Stored(t.Context(), driver.Objects, []driver.ID{"b"}, nil)
	if err != nil || len(forms) != 1 {
		t.Fatalf("%d stored forms, %v", len(forms), err)
	}
	if _, err := b.OpenStored(driver.Objects, forms[0]); !errors.Is(err, errors.ErrUnsupported) || errors.Is(err, driver.ErrCorrupt) {
		t.Errorf("its stored form is %v", err)
	}
	file[size-1]++ // a wrong checksum
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := get(); !errors.Is(err, driver.ErrCorrupt) {
		t.Errorf("with a byte changed: %v", err)
	}
}
