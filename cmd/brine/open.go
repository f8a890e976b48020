package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	neturl "net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
)

// A mode says how a store is opened.
type mode int

const (
	// readOnly: the store must exist. Its extra columns are declared, so that queries may use them.
	readOnly mode = iota
	// readWrite: the store must exist.
	readWrite
	// create: the store is made if it does not exist.
	create
)

// open opens the store that the URL names. The caller closes it.
func (a *app) open(ctx context.Context, rawURL string, m mode) (*persistence.Store, error) {
	return a.openWith(ctx, rawURL, m, persistence.Options{})
}

// openWith is open with further options.
func (a *app) openWith(ctx context.Context, rawURL string, m mode, o persistence.Options) (*persistence.Store, error) {
	rawURL = storeURL(rawURL)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler) // of types and columns, of which this program declares none
		if m != readOnly {
			o.Logger = slog.New(slog.NewTextHandler(warningWriter{a}, &slog.HandlerOptions{Level: slog.LevelWarn}))
		}
	}
	switch m {
	case readOnly:
		return a.openToRead(ctx, rawURL, o)
	case readWrite:
		s, err := openExisting(ctx, rawURL, persistence.Options{Table: o.Table, ReadOnly: true, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return nil, err
		}
		if err := s.Close(); err != nil {
			return nil, err
		}
	}
	return persistence.MakeStore(ctx, rawURL, &o)
}

// openToRead opens a store for reading, with the extra columns that it has.
func (a *app) openToRead(ctx context.Context, rawURL string, o persistence.Options) (*persistence.Store, error) {
	o.ReadOnly = true
	s, err := openExisting(ctx, rawURL, o)
	if err != nil || o.ExtraFields != nil {
		return s, err
	}
	columns, err := s.Columns(ctx)
	if err == nil && len(columns) == 0 {
		return s, nil
	}
	if err = errors.Join(err, s.Close()); err != nil {
		return nil, err
	}
	for _, c := range columns {
		o.ExtraFields = append(o.ExtraFields, extrafields.Func(c.Name, c.Kind, noValue))
	}
	if s, err = persistence.MakeStore(ctx, rawURL, &o); err != nil {
		return nil, err
	}
	if a.columns == nil {
		a.columns = map[*persistence.Store][]persistence.ColumnInfo{}
	}
	a.columns[s] = columns
	return s, nil
}

// isMadeByHand reports whether a store that was opened for reading is a table of another program,
// which has no column for the type. It is not to be altered for what needs no more columns.
func isMadeByHand(ctx context.Context, s *persistence.Store) bool {
	_, err := s.Count(ctx, &persistence.Query{Where: []persistence.Cond{persistence.IsNull("type")}})
	return errors.Is(err, errors.ErrUnsupported)
}

// openExisting opens a store for reading. The library takes a directory that is no store for an
// empty one; here it is none.
func openExisting(ctx context.Context, rawURL string, o persistence.Options) (*persistence.Store, error) {
	s, err := persistence.MakeStore(ctx, rawURL, &o)
	if err != nil {
		return nil, noDatabase(rawURL, err)
	}
	if s.URL().Scheme() != "file" {
		return s, nil
	}
	stores, err := persistence.Stores(ctx, rawURL)
	if err == nil && len(stores) == 0 {
		err = &persistence.Error{Op: "open", URL: s.URL(), Err: fmt.Errorf("the directory is no store: %w", fs.ErrNotExist)}
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// noDatabase replaces the error of the library for a bare path of a file, which asks for a URL, if
// a URL would not help.
func noDatabase(path string, err error) error {
	if info, statErr := os.Stat(path); statErr != nil || !info.Mode().IsRegular() || isSQLite(path) {
		return err
	}
	return withHint(fmt.Errorf("%s is a file, and no SQLite database", path),
		`"brine import URL FILE" reads what "brine export" has written.`)
}

// noValue is the function of a column that is read and never computed.
func noValue(any) (any, error) { return nil, errors.New("this program computes no columns") }

// storeURL returns the URL of a store as the library takes it. It leaves the library's own forms
// alone; a bare path of a SQLite file, there or not, which the library refuses, becomes a URL, also
// with #table= or ?mode= after it.
func storeURL(raw string) string {
	if isSQLite(raw) || isNewDatabase(raw) {
		return sqliteURL(raw, "")
	}
	for _, mark := range []string{"#table=", "?mode="} {
		if path, rest, ok := strings.Cut(raw, mark); ok && isSQLite(path) {
			return sqliteURL(path, mark+rest)
		}
	}
	return raw
}

// sqliteURL returns the URL of the SQLite file of a path.
func sqliteURL(path, rest string) string {
	path = (&neturl.URL{Path: filepath.ToSlash(path)}).EscapedPath()
	return "sqlite:" + path + rest
}

// sqliteMagic is what the file of a SQLite database begins with.
const sqliteMagic = "SQLite format 3\x00"

func isSQLite(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, len(sqliteMagic))
	_, err = io.ReadFull(f, head)
	if info, statErr := f.Stat(); errors.Is(err, io.EOF) && statErr == nil {
		return info.Mode().IsRegular() // SQLite takes an empty file for an empty database
	}
	return err == nil && string(head) == sqliteMagic
}

// isNewDatabase reports whether a bare path, where there is nothing yet, is surely meant to be a
// SQLite file.
func isNewDatabase(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(path, ":?#") &&
		slices.Contains([]string{".db", ".sqlite", ".sqlite3"}, filepath.Ext(path))
}

// A warningWriter shows what a store logs.
type warningWriter struct{ a *app }

func (w warningWriter) Write(p []byte) (int, error) {
	line := strings.TrimSpace(string(p))
	if _, message, ok := strings.Cut(line, "msg="); ok {
		line = message
	}
	w.a.warn("%s", printable(line))
	return len(p), nil
}
