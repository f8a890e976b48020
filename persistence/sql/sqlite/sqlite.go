// Package sqlite keeps records in an embedded SQLite database. Importing it
// makes the URL scheme "sqlite" known:
//
//	sqlite:///abs/path.db, sqlite:////abs/path.db   a file, by its absolute path
//	sqlite:rel/path.db                              a file, relative to the working directory
//	sqlite:, sqlite://, sqlite::memory:             private memory, gone when the store is closed
//
// The fragment #table=name names the table. The query parameters are
//
//	busy_timeout=10s      how long a call waits for another process that has locked the database;
//	                      0: not at all
//	synchronous=full      full: a commit is on the disk when it returns; normal: power loss may take
//	                      the last commits, never the whole; extra: as full, and the folder is
//	                      flushed too where there is no WAL
//	readers=4             how many reads run at once, 1 to 64
//	networkfs=refuse      allow: open a file on a network file system too
//
// A file is opened in WAL mode, with one connection that writes and a few that read: readers never
// wait for the writer, nor the writer for them. Applys that wait for the writer share a commit;
// each is acknowledged only when it is durable. The file and its parent folders are made where they
// are missing, for their owner alone. SQLite's locks cannot be trusted on network file systems and
// WAL does not work there: such a place is refused unless networkfs=allow says that just one
// machine uses the file.
//
// Private memory is a single connection: a View keeps every other call waiting, an Apply inside it
// for ever.
//
// A file or file system that cannot be written opens for reading. Where not even SQLite's
// side files can be made, the database is read as one that does not change.
//
// With OpenOptions.ReadOnly (mode=ro in the URL of a store) the file is not written, whoever may:
// its log is read, and nothing is moved from there into the file. A -shm and an empty -wal may
// appear beside it. A -journal that a writer without WAL left has to be rolled back by one who may
// write: until then the file does not open.
package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/sql"
	"github.com/brine-go/brine/url"
)

func init() { driver.Register("sqlite", Open) }

// Open implements [driver.Opener]. It checks the URL and does no I/O but to find the working
// directory.
func Open(_ context.Context, u url.URL, o driver.OpenOptions) (driver.Backend, error) {
	s, err := parse(u)
	if err != nil {
		return nil, err
	}
	return sql.OpenEmbedded(&dialect{settings: *s, logger: o.Logger, forReading: o.ReadOnly}, embeddedTraits, o, s.busyTimeout), nil
}

// settings are what a URL says.
type settings struct {
	path        string // absolute; "": private memory
	busyTimeout time.Duration
	synchronous string
	readers     int
	networkOK   bool
}

func parse(u url.URL) (*settings, error) {
	if err := driver.CheckParams(u, "busy_timeout", "networkfs", "readers", "synchronous"); err != nil {
		return nil, err
	}
	if u.Host() != "" || u.Port() != "" || u.User() != "" || u.Password() != "" {
		return nil, fmt.Errorf("a sqlite URL names a file, no host and no user: sqlite:///absolute/path.db or sqlite:relative/path.db")
	}
	s := &settings{busyTimeout: 10 * time.Second, synchronous: "full", readers: 4}
	q := u.Query()
	if q.Has("busy_timeout") {
		d, err := time.ParseDuration(q.Get("busy_timeout"))
		if err != nil || d < 0 || d > 24*time.Hour {
			return nil, fmt.Errorf("busy_timeout %q in a sqlite URL is no duration between 0s and 24h", q.Get("busy_timeout"))
		}
		s.busyTimeout = d
	}
	if q.Has("synchronous") {
		switch s.synchronous = q.Get("synchronous"); s.synchronous {
		case "normal", "full", "extra":
		default:
			return nil, fmt.Errorf("synchronous %q in a sqlite URL is none of normal, full, extra", s.synchronous)
		}
	}
	if q.Has("readers") {
		n, err := strconv.Atoi(q.Get("readers"))
		if err != nil || n < 1 || n > 64 {
			return nil, fmt.Errorf("readers %q in a sqlite URL is no number between 1 and 64", q.Get("readers"))
		}
		s.readers = n
	}
	if q.Has("networkfs") {
		switch q.Get("networkfs") {
		case "allow":
			s.networkOK = true
		case "refuse":
		default:
			return nil, fmt.Errorf("networkfs %q in a sqlite URL is neither allow nor refuse", q.Get("networkfs"))
		}
	}
	path := u.Path()
	if path == "" || path == ":memory:" {
		return s, nil
	}
	if strings.IndexByte(path, 0) >= 0 {
		return nil, fmt.Errorf("the path of a sqlite URL has a NUL in it")
	}
	abs, err := filepath.Abs(filepath.FromSlash(path))
	if err != nil {
		return nil, fmt.Errorf("path %q of a sqlite URL: %w", path, err)
	}
	s.path = abs
	return s, nil
}
