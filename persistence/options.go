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
	// State gives the state of an object, for the state column. Default: the object's method
	// State() string; else its field State, else Execution.State, of a string kind or
	// with a String() method; else "UNKNOWN".
	State func(obj any) string
	// NoCreate: never create or alter a file, directory, table or column.
	NoCreate bool
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
