package golden

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"database/sql"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence"
	_ "github.com/brine-go/brine/persistence/all"
)

// A copied store is a copy of golden data that a test may write to.
type copied struct {
	name         string
	store, texts string // URLs of the two stores
}

// everywhere runs a test on a copy of the golden data of each backend.
func everywhere(t *testing.T, test func(t *testing.T, c copied)) {
	for name, copy := range map[string]func(*testing.T) (store, texts string){
		"sqlite": copySQLite, "fs": copyFS, "postgres": copyPostgres, "mariadb": copyMariaDB,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, texts := copy(t)
			test(t, copied{name, store, texts})
		})
	}
}

func copySQLite(t *testing.T) (store, texts string) {
	url := restoreSQLite(t, "store.db")
	return url, url
}

// restoreSQLite returns the URL of a copy of a file.
func restoreSQLite(t *testing.T, name string) string {
	path := filepath.Join(t.TempDir(), "store.db")
	if err := os.WriteFile(path, read(t, name), 0o600); err != nil {
		t.Fatal(err)
	}
	return "sqlite:" + path
}

func copyFS(t *testing.T) (store, texts string) {
	dir := unpack(t, "fs.tar.gz")
	return "file:" + filepath.Join(dir, "store"), "file:" + filepath.Join(dir, "texts")
}

func copyPostgres(t *testing.T) (store, texts string) {
	url := restorePostgres(t, "postgres.sql")
	return url, url
}

// restorePostgres returns the URL of a database with what a dump has.
func restorePostgres(t *testing.T, name string) string {
	s := testserver.SharedPostgres(t)
	db := s.NewDB(t)
	run(t, s.Open(t, db), string(read(t, name))) // the driver sends several statements in one
	return s.URL(db)
}

func copyMariaDB(t *testing.T) (store, texts string) {
	url := restoreMariaDB(t, "mariadb.sql")
	return url, url
}

// restoreMariaDB is restorePostgres for a dump of MariaDB.
func restoreMariaDB(t *testing.T, name string) string {
	s := testserver.SharedMariaDB(t)
	db := s.NewDB(t)
	run(t, s.Open(t, db), strings.SplitAfter(strings.TrimSpace(string(read(t, name))), ";\n")...)
	return s.URL(db)
}

// run runs statements on one connection, and closes it with what they have set.
func run(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	defer db.Close()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, st := range statements {
		if _, err := conn.ExecContext(t.Context(), st); err != nil {
			t.Fatalf("%.200s: %v", st, err)
		}
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// unpack unpacks an archive and returns the directory.
func unpack(t *testing.T, archive string) string {
	t.Helper()
	dir := t.TempDir()
	f, err := os.Open(filepath.Join("testdata", archive))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.FromSlash(strings.TrimSuffix(h.Name, "/"))
		if h.Typeflag == tar.TypeDir {
			err = root.Mkdir(name, 0o700)
		} else {
			var b []byte
			if b, err = io.ReadAll(r); err == nil {
				err = root.WriteFile(name, b, 0o600)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// open opens a store, closed at the end of the test.
func open(t *testing.T, url string, o persistence.Options) *persistence.Store {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s, err := persistence.MakeStore(context.Background(), url, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
