package persistence_test

import (
	"bytes"
	"compress/zlib"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"

	"github.com/brine-go/brine/persistence"
)

// foreign is what other programs keep in a column of that name, and what it is said to look like.
func foreign(t *testing.T) map[string]struct{ data, want string } {
	t.Helper()
	var packed bytes.Buffer
	w := zlib.NewWriter(&packed)
	must[int](t)(w.Write([]byte("x")))
	check(t, w.Close())
	return map[string]struct{ data, want string }{
		// pickle.dumps({'a': 1}, protocol) in Python 3.11; GC3Pie pickles with the highest.
		"pickle 0":       {"(dp0\nVa\np1\nI1\ns.", "a Python pickle"},
		"pickle 1":       {"}q\x00X\x01\x00\x00\x00aq\x01K\x01s.", "a Python pickle"},
		"pickle 2":       {"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01K\x01s.", "a Python pickle"},
		"pickle 4":       {"\x80\x04\x95\x0a\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94K\x01s.", "a Python pickle"},
		"pickle 5":       {"\x80\x05\x95\x0a\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94K\x01s.", "a Python pickle"},
		"JSON":           {`{"a": 1}`, "JSON"},
		"a list of JSON": {`[1, 2]`, "JSON"},
		"text":           {"größer\n", "text"},
		"zlib":           {packed.String(), "data compressed by zlib"},
		"nothing":        {"", "it has no bytes"},
		"zero bytes":     {"\x00\x00\x00", "3 zero bytes"},
		"MessagePack":    {"\x81\xa1a\x01\xc0", "does not begin as one"},
		"another array":  {"\x98\xa5brune\x01\xa1a\x01\xc0\xce\x01\x02\x03\x04", "does not begin as one"},
	}
}

// rawSQLite opens a database beside the stores on it.
func rawSQLite(t *testing.T, path string) *sqlx.DB {
	t.Helper()
	db := must[*sqlx.DB](t)(sqlx.Open("sqlite", path))
	t.Cleanup(func() { check(t, db.Close()) })
	return db
}

// A table of another program is not altered, and its records are named for what they look like.
func TestTableOfAnotherProgram(t *testing.T) {
	for name, tt := range foreign(t) {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.db")
			url := "sqlite:" + path
			db := rawSQLite(t, path)
			must[sql.Result](t)(db.Exec("CREATE TABLE store (id INTEGER PRIMARY KEY, data BLOB, state VARCHAR(128))"))
			must[sql.Result](t)(db.Exec("INSERT INTO store VALUES (7, ?, 'NEW')", []byte(tt.data)))
			schema := func() (all []string) {
				check(t, db.Select(&all, "SELECT name || ' ' || coalesce(sql, '') FROM sqlite_schema ORDER BY 1"))
				return all
			}
			before := schema()
			for _, o := range []*persistence.Options{nil, {Reindex: true}} {
				s, err := persistence.MakeStore(t.Context(), url, o)
				if err == nil {
					check(t, s.Close())
					t.Fatal("a table of another program is opened")
				}
				for _, want := range []string{`table "store"`, tt.want, "Options.NoCreate", "#table="} {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%v, want %s", err, want)
					}
				}
			}
			if after := schema(); !slices.Equal(before, after) {
				t.Errorf("altered: %q, before %q", after, before)
			}
			for _, o := range []*persistence.Options{{NoCreate: true}, {ReadOnly: true}} {
				s := open(t, url, o)
				_, err := s.Load(t.Context(), "7")
				if !errors.Is(err, persistence.ErrCorrupt) {
					t.Errorf("a record of another program: %v", err)
				}
				if !strings.Contains(tt.want, "does not begin") && (!strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "checksum")) {
					t.Errorf("a record of another program: %v, want %s", err, tt.want)
				}
				if ids := list(t, s, nil); len(ids) != 1 {
					t.Errorf("listed: %v", ids)
				}
			}
			if after := schema(); !slices.Equal(before, after) {
				t.Errorf("altered: %q, before %q", after, before)
			}
			other := open(t, url+"#table=mine", nil)
			must[persistence.ID](t)(other.Save(t.Context(), &Row{}))
			if after := schema(); !slices.Contains(after, before[0]) {
				t.Errorf("altered by another store: %q", after)
			}
		})
	}
}

// A table that has records of Brine and nothing else of it is adopted, and so is one without rows.
func TestTableThatLostItsEntry(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	s := open(t, "sqlite:"+path, nil)
	id := must[persistence.ID](t)(s.Save(t.Context(), &Row{Columns: map[string]any{"a": 1}}))
	check(t, s.Close())
	db := rawSQLite(t, path)
	must[sql.Result](t)(db.Exec("DROP TABLE brine_stores"))
	must[sql.Result](t)(db.Exec("ALTER TABLE store DROP COLUMN size"))
	must[sql.Result](t)(db.Exec("CREATE TABLE empty (id INTEGER PRIMARY KEY, data BLOB, state TEXT)"))
	must[any](t)(open(t, "sqlite:"+path, nil).Load(t.Context(), id))
	must[persistence.ID](t)(open(t, "sqlite:"+path+"#table=empty", nil).Save(t.Context(), &Row{}))
}

// A directory that has files of another program under the names of records stays as it is.
func TestDirectoryOfAnotherProgram(t *testing.T) {
	for name, tt := range foreign(t) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for i := range 3 {
				check(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(i+1)), []byte(tt.data), 0o600))
			}
			s, err := persistence.MakeStore(t.Context(), "file:"+dir, nil)
			if err == nil {
				check(t, s.Close())
				t.Fatal("a directory of another program is opened")
			}
			if !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("%v, want %s", err, tt.want)
			}
			names := must[[]os.DirEntry](t)(os.ReadDir(dir))
			for _, e := range names {
				if !slices.Contains([]string{".brine.lock", ".brine.gate"}, e.Name()) && strings.HasPrefix(e.Name(), ".") {
					t.Errorf("%s was made", e.Name())
				}
			}
			for _, o := range []*persistence.Options{{NoCreate: true}, {ReadOnly: true}} {
				check(t, open(t, "file:"+dir, o).Close())
			}
		})
	}
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "README"), []byte("text"), 0o600))
	check(t, os.Mkdir(filepath.Join(dir, "1"), 0o700))
	must[persistence.ID](t)(open(t, "file:"+dir, nil).Save(t.Context(), &Row{}))
}
