package persistence

import (
	"log/slog"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence/driver"
)

// Options configure a Store. nil means all defaults. A backend ignores the options that do not
// concern it, so the same Options serve every backend.
type Options struct {
	// Table is the SQL table. Default: the one that the URL names with #table=, else "store".
	Table string
	// IDs makes the IDs of new records. Default: idfactory.Integers() in a new store, and else what
	// the store has: in a store with text IDs, saving a new object is then an error.
	IDs idfactory.Factory
	// ExtraFields are columns computed from the objects, for queries.
	ExtraFields []extrafields.Field
	// Indexes are further indexes, over several columns and unique ones. They are made at opening,
	// and every program keeps them from then on: see [Index].
	Indexes []Index
	// State gives the state of an object, for the state column. Default: the object's method
	// State() string; else its field State, else Execution.State, of a string kind or
	// with a String() method; else "UNKNOWN".
	State func(obj any) string
	// NoCreate: never create or alter a file, directory, table or column.
	NoCreate bool
	// ReadOnly opens the store for reading only, as ?mode=ro in the URL does. Every call that
	// writes returns ErrReadOnly, before any I/O and whether or not there would have been something
	// to write: a Save of an object that has not changed, a RemoveAll that would find nothing, a
	// Reserve. No object changes, no ID is taken. What reads does as ever; Migrate with DryRun
	// counts.
	//
	// Nothing is created, altered, cleaned up or finished. A commit that a writer of a directory
	// has not finished before it crashed is read as if it were, and left to the next writer. Of
	// SQLite, which keeps its shared memory in files, a -shm and an empty -wal may appear beside
	// the database; its own file is not written. A server is told to refuse writes too. The right
	// to read is enough: a directory or file without the right to write, a standby, a role that may
	// only SELECT. Other programs may write meanwhile, and what they have committed is seen.
	//
	// A store that does not exist is an error that names it; "mem:" is an empty store. Key-value
	// pairs and a quarantine that were never made, or that this user may not read, are read as
	// none. Extra fields that the data lack are errors.ErrUnsupported in queries, as with NoCreate,
	// and a table of another program is opened as with NoCreate. Together with Reindex it is an
	// error. [New] refuses writes whatever the backend. What a backend does before it is given to
	// New, and how a server or SQLite is told, [driver.OpenOptions].ReadOnly says.
	ReadOnly bool
	// DropUnknown: saves may drop what an older or a newer program stored and this one has no place
	// for, such as fields of the elements of a slice. Without it such a save is ErrUnstorable. What
	// has a place is kept all the same. See [Unknown].
	DropUnknown bool
	// Reindex fills incomplete extra columns while opening, as [Store.Reindex] does. Records that
	// cannot be loaded are reported to the Logger and left alone.
	Reindex bool
	// Identity keeps a weak identity map on the store. Not supported yet: errors.ErrUnsupported.
	Identity bool
	// Logger receives the warnings. Default: slog.Default().
	Logger *slog.Logger
	// Limits bound the size and depth of a record. What Save accepts, Load accepts.
	Limits Limits
	// Pool configures the connections to a server. A field that is not zero overrides the URL's
	// parameter. Embedded backends ignore it.
	Pool Pool
}

// A Pool configures the connections to a server. See [driver.Pool].
type Pool = driver.Pool

// Stats describe the connections of a store at one moment. See [driver.Stats].
type Stats = driver.Stats

// Limits bound one record. A field that is zero or negative means its default.
type Limits struct {
	MaxBytes int64 // of the encoded record; default 1 GiB
	MaxDepth int   // of nesting inside the record; default 10,000
}

const (
	defaultMaxBytes = 1 << 30
	defaultMaxDepth = 10_000
	defaultTable    = "store"
)
