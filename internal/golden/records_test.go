package golden

import (
	"bytes"
	"compress/gzip"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brine-go/brine/persistence"
)

// goldenRecords returns the bytes of the records of records.txt in their order.
func goldenRecords(t *testing.T) [][]byte {
	t.Helper()
	var out [][]byte
	for line := range strings.Lines(string(read(t, "records.txt"))) {
		parts := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		i := len(out)
		if list := records(); len(parts) != 3 || i >= len(list) || parts[0] != fmt.Sprint(i+1) || parts[1] != list[i].name {
			t.Fatalf("line %d is %.60q", i+1, line)
		}
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
		out = append(out, data)
	}
	if len(out) != len(records()) {
		t.Fatalf("%d records, want %d", len(out), len(records()))
	}
	return out
}

// Each record loads as the value that it was made of, and storing that gives the same bytes. The
// records are put into a table made by hand, so that nothing but the bytes tells what they are.
func TestRecordsOfEveryKindOfValue(t *testing.T) {
	t.Parallel()
	golden := goldenRecords(t)
	path := filepath.Join(t.TempDir(), "records.db")
	raw, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if _, err := raw.Exec("CREATE TABLE store (id INTEGER PRIMARY KEY, data BLOB NOT NULL, state VARCHAR(128) NOT NULL DEFAULT '')"); err != nil {
		t.Fatal(err)
	}
	for i, data := range golden {
		if _, err := raw.Exec("INSERT INTO store (id, data) VALUES (?, ?)", i+1, data); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, "sqlite:"+path, persistence.Options{})
	for i, r := range records() {
		t.Run(r.name, func(t *testing.T) {
			id := persistence.ID(fmt.Sprint(i + 1))
			got := r.load(t, s, id)
			if t.Failed() {
				return
			}
			if err := s.Replace(t.Context(), id, got); err != nil {
				t.Fatal(err)
			}
			var data []byte
			if err := raw.QueryRow("SELECT data FROM store WHERE id = ?", i+1).Scan(&data); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(data, golden[i]) {
				t.Errorf("stored again as\n%.400x\nnot\n%.400x", data, golden[i])
			}
		})
	}
}

// The values that programs make today are stored as the same bytes as they were.
func TestValuesAreStoredAsTheyWere(t *testing.T) {
	t.Parallel()
	golden := goldenRecords(t)
	path := filepath.Join(t.TempDir(), "records.db")
	s := open(t, "sqlite:"+path, persistence.Options{})
	if err := insert(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	raw, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	for i, r := range records() {
		var data []byte
		if err := raw.QueryRow("SELECT data FROM store WHERE id = ?", i+1).Scan(&data); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(data, golden[i]) {
			t.Errorf("%s: stored as\n%.400x\nnot\n%.400x", r.name, data, golden[i])
		}
	}
}
