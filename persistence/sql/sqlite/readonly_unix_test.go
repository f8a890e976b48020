//go:build unix

package sqlite_test

import (
	stdsql "database/sql"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/brine-go/brine/persistence/driver"
)

func TestWhatCannotBeWrittenIsRead(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		folder, file os.FileMode
		live         bool            // another process has it open
		fields       []driver.Column // of the program that made it
		older        bool            // it was made before there was a catalog
	}{
		"folder too":                                  {0o555, 0o444, false, nil, false},
		"file only":                                   {0o777, 0o444, false, nil, false},
		"folder only":                                 {0o555, 0o666, false, nil, false},
		"folder too, and live":                        {0o555, 0o444, true, nil, false},
		"set of columns that is not recorded":         {0o777, 0o444, false, []driver.Column{{Name: "host", Kind: driver.Text}}, false},
		"table without the number of a set":           {0o777, 0o444, false, nil, true},
		"table with columns, and without the numbers": {0o555, 0o444, false, []driver.Column{{Name: "host", Kind: driver.Text}}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Neither t.TempDir nor the place of this binary lets other users in.
			dir, err := os.MkdirTemp("", "brine-readonly")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			folder := filepath.Join(dir, "data")
			path := filepath.Join(folder, "test.db")
			b, err := openBackend(fileURL(path), driver.OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { b.Close() })
			schema := integers
			schema.Fields = tt.fields
			if _, err := b.Init(t.Context(), schema); err != nil {
				t.Fatal(err)
			}
			one := create("1", "one")
			one.Rec.Fields = make([]any, len(tt.fields))
			apply(t, b, one)
			if !tt.live {
				if err := b.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if tt.older {
				alter(t, path, "ALTER TABLE store DROP COLUMN brine_columns; ALTER TABLE brine_stores DROP COLUMN extra_columns; UPDATE brine_stores SET format = 1")
			}
			binary := filepath.Join(dir, "child")
			copyFile(t, os.Args[0], binary, 0o755)
			files, err := filepath.Glob(path + "*")
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				chmod(t, f, tt.file)
			}
			chmod(t, dir, 0o755)
			chmod(t, folder, tt.folder)
			t.Cleanup(func() { chmod(t, folder, 0o755) })
			cmd := exec.CommandContext(t.Context(), binary)
			cmd.SysProcAttr, cmd.Dir = nobody(), "/"
			_, out := start(t, cmd, "readonly", path, name)
			_, _ = io.Copy(io.Discard, out)
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
}

// SQLite says of a file that it cannot read no more than that it is unable to open it. The test is
// not parallel: a process that is started meanwhile would keep the copy of the binary open.
func TestWhatCannotBeReadSaysWhy(t *testing.T) {
	for name, tt := range map[string]struct{ folder, file os.FileMode }{
		"file":             {0o777, 0},
		"file, write only": {0o777, 0o222},
		"folder":           {0, 0o666},
		"folder and file":  {0o555, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "brine-unreadable")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			folder := filepath.Join(dir, "data")
			path := filepath.Join(folder, "test.db")
			b, err := openBackend(fileURL(path), driver.OpenOptions{})
			if err == nil {
				_, err = b.Init(t.Context(), integers)
			}
			if err = errors.Join(err, b.Close()); err != nil {
				t.Fatal(err)
			}
			binary := filepath.Join(dir, "child")
			copyFile(t, os.Args[0], binary, 0o755)
			chmod(t, path, tt.file)
			chmod(t, dir, 0o755)
			chmod(t, folder, tt.folder)
			t.Cleanup(func() { chmod(t, folder, 0o755) })
			cmd := exec.CommandContext(t.Context(), binary)
			cmd.SysProcAttr, cmd.Dir = nobody(), "/"
			_, out := start(t, cmd, "refused", path)
			text, err := io.ReadAll(out)
			if err = errors.Join(err, cmd.Wait()); err != nil {
				t.Fatal(err)
			}
			if got := string(text); !strings.Contains(got, "permission denied") || !strings.Contains(got, path) {
				t.Errorf("said: %s", got)
			}
		})
	}
}

func alter(t *testing.T, path, statements string) {
	t.Helper()
	db, err := stdsql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), statements); err != nil {
		t.Fatal(err)
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// nobody is a user without rights; nil where this process is no more than that itself.
func nobody() *syscall.SysProcAttr {
	if os.Getuid() != 0 {
		return nil
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
}
