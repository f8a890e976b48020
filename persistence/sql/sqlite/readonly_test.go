package sqlite_test

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brine-go/brine/persistence/driver"
)

// openForReading opens a database, and returns what was logged.
func openForReading(t *testing.T, path string) (driver.Backend, *strings.Builder, error) {
	t.Helper()
	log := &strings.Builder{}
	b, err := openBackend(fileURL(path), driver.OpenOptions{ReadOnly: true, Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	_, err = b.Init(t.Context(), integers)
	return b, log, err
}

// A content is what a file holds and when it was changed.
type content struct {
	bytes    string
	modified int64
}

func contentOf(t *testing.T, path string) content {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return content{string(data), info.ModTime().UnixNano()}
}

func TestReadOnlySeesTheCommitsOfALiveWriter(t *testing.T) {
	t.Parallel()
	path := file(t)
	w, _ := open(t, fileURL(path), integers, driver.OpenOptions{})
	apply(t, w, create("1", "one"))
	b, log, err := openForReading(t, path)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []driver.ID{"2", "3", "4"} {
		apply(t, w, create(id, "more"))
		if len(get(t, b, everything, id)) != 1 {
			t.Errorf("record %s is not seen", id)
		}
	}
	if log.Len() > 0 {
		t.Errorf("logged: %s", log)
	}
}

func TestReadOnlyReadsTheLogOfACrashedWriter(t *testing.T) {
	t.Parallel()
	path := file(t)
	w, _ := open(t, fileURL(path), integers, driver.OpenOptions{})
	apply(t, w, create("1", "one"))
	apply(t, w, create("2", "two"))
	crashed := file(t)
	copyFile(t, path, crashed, 0o600)
	copyFile(t, path+"-wal", crashed+"-wal", 0o600)
	before, wal := contentOf(t, crashed), contentOf(t, crashed+"-wal")
	if len(wal.bytes) == 0 {
		t.Fatal("the log is empty")
	}
	for range 2 {
		b, _, err := openForReading(t, crashed)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(get(t, b, everything, "1", "2")); n != 2 {
			t.Errorf("%d records", n)
		}
		if _, err := b.Apply(t.Context(), []driver.Mutation{create("3", "x")}); !errors.Is(err, driver.ErrReadOnly) {
			t.Errorf("Apply: %v", err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if now := contentOf(t, crashed); now != before {
			t.Errorf("the file has changed: %d bytes instead of %d, at %d instead of %d", len(now.bytes), len(before.bytes), now.modified, before.modified)
		}
		if now := contentOf(t, crashed+"-wal"); now.bytes != wal.bytes {
			t.Errorf("the log has changed: %d bytes instead of %d", len(now.bytes), len(wal.bytes))
		}
	}
	last, _ := open(t, fileURL(crashed), integers, driver.OpenOptions{})
	if n := len(get(t, last, everything, "1", "2")); n != 2 {
		t.Errorf("a writer finds %d records", n)
	}
}

// Without a log, a writer that crashes leaves half a transaction in the file, and in a journal what
// was there before.
func TestReadOnlyRefusesAJournalThatWaitsToBeRolledBack(t *testing.T) {
	t.Parallel()
	path := file(t)
	db := raw(t, path)
	run(t, db, "PRAGMA journal_mode = DELETE", "CREATE TABLE store (id INTEGER PRIMARY KEY, data BLOB NOT NULL, state VARCHAR(128))",
		"INSERT INTO store VALUES (1, 'one', 'NEW')", "PRAGMA cache_size = 1", "PRAGMA cache_spill = 1")
	b, _, err := openForReading(t, path)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(get(t, b, driver.Data, "1")); n != 1 {
		t.Errorf("%d records", n)
	}
	b.Close()
	run(t, db, "BEGIN IMMEDIATE", "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO store SELECT i, randomblob(1000), 'NEW' FROM n")
	crashed := file(t)
	copyFile(t, path, crashed, 0o600)
	copyFile(t, path+"-journal", crashed+"-journal", 0o600)
	run(t, db, "ROLLBACK")
	before, journal := contentOf(t, crashed), contentOf(t, crashed+"-journal")
	if len(journal.bytes) == 0 {
		t.Fatal("the journal is empty")
	}
	_, _, err = openForReading(t, crashed)
	if err == nil || !strings.Contains(err.Error(), crashed+"-journal") {
		t.Errorf("error %v", err)
	}
	if contentOf(t, crashed) != before || contentOf(t, crashed+"-journal") != journal {
		t.Error("something has changed")
	}
}

func TestReadOnlyMakesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "test.db")
	_, _, err := openForReading(t, path)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "nothing may be created") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(filepath.Dir(path)); err == nil {
		t.Error("the folder was made")
	}
	empty := file(t)
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := openForReading(t, empty); err == nil || !strings.Contains(err.Error(), `"store"`) || !strings.Contains(err.Error(), "nothing may be created") {
		t.Errorf("error %v", err)
	}
	if info, err := os.Stat(empty); err != nil || info.Size() != 0 {
		t.Errorf("the file has %v, %v", info, err)
	}
}
