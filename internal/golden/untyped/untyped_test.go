// Package untyped_test reads the golden data in a program that has none of the types that wrote it.
package untyped_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence"
	_ "github.com/brine-go/brine/persistence/sql/sqlite"
)

func read(t *testing.T, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Each record of records.txt is the JSON that stands in records.jsonl, which was read through by
// hand against kinds_test.go.
func TestRecordsOfEveryKindOfValueAsJSON(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	for line := range strings.Lines(string(read(t, "..", "testdata", "records.txt"))) {
		parts := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		data, err := hex.DecodeString(parts[2])
		if packed, ok := strings.CutPrefix(parts[2], "gzip:"); ok {
			var z *gzip.Reader
			if z, err = gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(packed))); err == nil {
				data, err = io.ReadAll(z)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		rec := persistence.Record{Bytes: data}
		rec.ID = persistence.ID(parts[0])
		if err := json.NewEncoder(&got).Encode(rec); err != nil {
			t.Errorf("%s, %s: %v", parts[0], parts[1], err)
		}
	}
	compare(t, "records.jsonl", got.String())
}

// compare compares lines with the lines of a file. Very long lines are cut off first.
func compare(t *testing.T, name, got string) {
	t.Helper()
	var lines []string
	for line := range strings.Lines(got) {
		if line = strings.TrimSuffix(line, "\n"); len(line) > 4000 {
			line = line[:4000]
		}
		lines = append(lines, line)
	}
	want := strings.Split(strings.TrimSuffix(string(read(t, "testdata", name)), "\n"), "\n")
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
}

// The store is listed and printed, the damaged record reported.
func TestStoreAsJSON(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	if err := os.WriteFile(path, read(t, "..", "testdata", "store.db"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := persistence.MakeStore(t.Context(), "sqlite:"+path, &persistence.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var got bytes.Buffer
	for rec, err := range s.Records(t.Context(), nil) {
		var e *persistence.Error
		if errors.As(err, &e) && errors.Is(err, persistence.ErrCorrupt) && e.ID == "32" {
			got.WriteString("32 is damaged\n")
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := json.NewEncoder(&got).Encode(rec); err != nil {
			t.Errorf("%s: %v", rec.ID, err)
		}
	}
	compare(t, "store.jsonl", got.String())
}
