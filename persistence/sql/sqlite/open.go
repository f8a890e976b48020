package sqlite

import (
	"context"
	stdsql "database/sql"
	"errors"
	"fmt"
	"io/fs"
	neturl "net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/sql"
)

var errNoRows = stdsql.ErrNoRows

// How connections are tuned; measured. While large batches are written, the log may grow to some 40
// MB before it is folded into the file, which spares them most of that work. For single records it
// stays small: while a file grows, each flush of it is one of the file system's journal too.
const (
	walPages      = 1_000
	bulkPages     = 10_000
	walLimit      = 64 << 20
	readerMmap    = 256 << 20
	cacheKiB      = 16 << 10
	readerTimeout = 10 * time.Second // of a reader, which waits only for recovery after a crash
)

// Open implements [sql.Dialect].
func (d *dialect) Open(ctx context.Context, create bool) (*sql.Pools, error) {
	if d.path == "" {
		db, err := connect("file::memory:", 1, "temp_store(MEMORY)")
		if err != nil {
			return nil, err
		}
		return &sql.Pools{Writer: db, Reader: db, Readers: 1, Pinned: true}, nil
	}
	if !d.networkOK {
		if err := refuseNetwork(d.path); err != nil {
			return nil, err
		}
	}
	readOnly, err := d.prepareFile(create)
	if err != nil {
		return nil, err
	}
	before, err := os.Stat(d.path)
	if err != nil {
		return nil, err
	}
	if d.last.leftLog(before) {
		return d.preview(ctx)
	}
	pools, err := d.openFile(ctx, create, readOnly)
	if err != nil {
		return nil, err
	}
	opened, err := newFileIdentity(d.path, before)
	if err != nil {
		_ = pools.Reader.Close()
		if pools.Writer != pools.Reader {
			_ = pools.Writer.Close()
		}
		return nil, fmt.Errorf("%s: %w", d.Location(), err)
	}
	d.last = opened
	pools.CheckFiles = opened.check
	pools.Adopt = func(ctx context.Context) error {
		defer opened.findLog()
		_, err := pools.Writer.ExecContext(ctx, "PRAGMA journal_mode = WAL")
		return err
	}
	return pools, nil
}

// preview opens a file that has taken the place of the one that was opened before, and has that
// one's log beside it. SQLite would take the log for its own and mix the two: another store would
// look like this one, and would be damaged. So the file is read without the log, and Adopt puts the
// log aside.
func (d *dialect) preview(ctx context.Context) (*sql.Pools, error) {
	reader, err := d.reader("mode=ro&immutable=1")
	if err != nil {
		return nil, err
	}
	if err := probe(ctx, reader); err != nil {
		return nil, errors.Join(d.explain(err), reader.Close())
	}
	return &sql.Pools{
		Writer: reader, Reader: reader, Readers: 1, Preview: true, Adopt: func(context.Context) error {
			aside, err := d.last.putLogAside()
			if err == nil {
				d.logger.Warn("a SQLite database was replaced by another copy of the same store while it was open: what was written after that copy was made is in the old log alone, which is kept",
					"path", d.path, "log", aside)
			}
			return err
		},
	}, nil
}

// openFile opens the file, for reading only where readOnly says why it cannot be written.
func (d *dialect) openFile(ctx context.Context, create bool, readOnly error) (*sql.Pools, error) {
	if readOnly == nil {
		pools, err := d.openWritable(ctx, create)
		if err == nil {
			return pools, nil
		}
		// The file can be written and its folder cannot: then SQLite cannot keep its log there.
		if class := d.Classify(err); class != sql.ReadOnly && primaryCode(err) != sqlite3.SQLITE_CANTOPEN {
			return nil, d.explain(err)
		}
		readOnly = err
	}
	return d.openReadOnly(ctx, readOnly)
}

// prepareFile makes the file and its parent folders where they are missing and create says so. It
// returns in readOnly why the file cannot be written.
func (d *dialect) prepareFile(create bool) (readOnly, err error) {
	info, err := os.Stat(d.path)
	switch {
	case err == nil && info.IsDir():
		return nil, fmt.Errorf("%s is a folder, not a SQLite database: write file: for a store in a folder", d.path)
	case err == nil && !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file", d.path)
	case errors.Is(err, fs.ErrNotExist) && !create:
		return nil, fmt.Errorf("there is no file %s, and nothing may be created: %w", d.path, fs.ErrNotExist)
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(filepath.Dir(d.path), 0o700); err != nil {
			return nil, unwritable(err)
		}
	case err != nil:
		return nil, err
	}
	if d.forReading {
		return driver.ErrOpenedReadOnly, nil
	}
	if info == nil {
		// SQLite's own creation would go by the umask alone.
		var f *os.File
		if f, err = os.OpenFile(d.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err == nil {
			return nil, f.Close()
		}
	}
	if info != nil || errors.Is(err, fs.ErrExist) { // another process has just made it
		if err = writable(d.path); err == nil {
			return nil, nil
		}
	}
	if err = unwritable(err); errors.Is(err, driver.ErrReadOnly) && info != nil {
		return err, nil
	}
	return nil, err
}

// unwritable adds ErrReadOnly to the errors that mean it.
func unwritable(err error) error {
	if errors.Is(err, fs.ErrPermission) || isReadOnlyFS(err) {
		return fmt.Errorf("%w: %w", driver.ErrReadOnly, err)
	}
	return err
}

func (d *dialect) openWritable(ctx context.Context, create bool) (*sql.Pools, error) {
	pragmas := []string{
		"busy_timeout(0)", // the engine waits, so that ctx counts
		fmt.Sprintf("synchronous(%s)", strings.ToUpper(d.synchronous)),
		fmt.Sprintf("cache_size(-%d)", cacheKiB),
		fmt.Sprintf("wal_autocheckpoint(%d)", walPages),
		fmt.Sprintf("journal_size_limit(%d)", walLimit),
	}
	if create {
		pragmas = append(pragmas, "journal_mode(WAL)")
	}
	writer, err := connect(d.dsn("mode=rw"), 1, pragmas...)
	if err != nil {
		return nil, err
	}
	if err := probe(ctx, writer); err != nil {
		return nil, errors.Join(err, writer.Close())
	}
	reader, err := d.reader("mode=rw")
	if err != nil {
		return nil, errors.Join(err, writer.Close())
	}
	return &sql.Pools{Writer: writer, Reader: reader, Readers: d.readers}, nil
}

// openReadOnly opens for reading what cannot be written. Where there is no log and none can be
// made, the file alone is the database, and is read as one that does not change.
func (d *dialect) openReadOnly(ctx context.Context, why error) (*sql.Pools, error) {
	modes := []string{"mode=ro"}
	if d.isEmpty("-wal") && d.isEmpty("-journal") {
		modes = append(modes, "mode=ro&immutable=1")
	}
	var failed error
	for _, mode := range modes {
		reader, err := d.reader(mode)
		if err != nil {
			return nil, err
		}
		if err = probe(ctx, reader); err == nil {
			if (!d.forReading || mode != modes[0]) && d.logged.First(mode) { // not again after each Reset
				d.logger.Warn("a SQLite database is opened for reading only, and every write will fail: to write, this user needs the right to write the file and its folder",
					"path", d.path, "as", mode, "why", why)
			}
			return &sql.Pools{Writer: reader, Reader: reader, Readers: d.readers, ReadOnly: d.readOnly(why)}, nil
		}
		failed = errors.Join(err, reader.Close())
		if d.Classify(err) == sql.Busy {
			break
		}
	}
	return nil, d.explain(failed)
}

// isEmpty reports whether a side file of the database is absent or empty.
func (d *dialect) isEmpty(suffix string) bool {
	info, err := os.Stat(d.path + suffix)
	return errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0
}

func (d *dialect) readOnly(why error) error {
	if errors.Is(why, driver.ErrReadOnly) {
		return why
	}
	return fmt.Errorf("%s: %w: %w", d.Location(), driver.ErrReadOnly, why)
}

func (d *dialect) reader(mode string) (*sqlx.DB, error) {
	return connect(d.dsn(mode), d.readers,
		fmt.Sprintf("busy_timeout(%d)", min(d.busyTimeout, readerTimeout).Milliseconds()),
		"query_only(1)", fmt.Sprintf("mmap_size(%d)", readerMmap), fmt.Sprintf("cache_size(-%d)", cacheKiB))
}

// dsn returns the file as SQLite's URI, in which '?', '#' and '%' of the path are escaped.
func (d *dialect) dsn(query string) string {
	path := filepath.ToSlash(d.path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/…
	}
	return "file://" + (&neturl.URL{Path: path}).EscapedPath() + "?" + query
}

func connect(dsn string, limit int, pragmas ...string) (*sqlx.DB, error) {
	sep := "?"
	if strings.Contains(dsn, "?") {
		sep = "&"
	}
	// Mistyped names must not turn into strings, and errors have the extended codes.
	dsn += sep + "_dqs=0&_error_rc=1"
	for _, p := range pragmas {
		dsn += "&_pragma=" + neturl.QueryEscape(p)
	}
	db, err := sqlx.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(limit)
	db.SetMaxIdleConns(limit)
	return db, nil
}

// probe reads from the database for the first time: SQLite opens the file only then.
func probe(ctx context.Context, db *sqlx.DB) error {
	var n int
	return db.GetContext(ctx, &n, "SELECT count(*) FROM sqlite_schema")
}

func primaryCode(err error) int {
	var e interface{ Code() int }
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

// explain names the file in what SQLite says of it.
func (d *dialect) explain(err error) error {
	if primaryCode(err) == sqlite3.SQLITE_NOTADB {
		return fmt.Errorf("%s is not a SQLite database: %w", d.path, err)
	}
	if primaryCode(err) == sqlite3.SQLITE_READONLY && !d.isEmpty("-journal") {
		return fmt.Errorf("%s-journal is what a writer left that did not end its transaction: the file cannot be read until a program that may write it has opened it: %w", d.path, err)
	}
	if primaryCode(err) == sqlite3.SQLITE_CANTOPEN { // SQLite does not say why
		f, why := os.Open(d.path)
		if why != nil {
			return fmt.Errorf("%w: %w", why, err)
		}
		_ = f.Close()
	}
	return err
}
