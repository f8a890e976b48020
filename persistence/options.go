package persistence

import (
	"log/slog"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence/driver"
)

// Options are what a Store may be reported. nil means all defaults. What a backend has no
// use for, it ignores: the same Options serve every backend.
type Options struct {
	// Table is the SQL table; default: the one the URL names by #table=, else "store".
	Table string
	// IDs makes the IDs of new records; default: idfactory.Integers().
	IDs idfactory.Factory
	// ExtraFields are columns derived from the objects, to query by.
	ExtraFields []extrafields.Field
	// State gives the state of an object, for the state column. Default: the object's method
	// State() string; else its field State, else Execution.State, of a string kind or
	// with a String() method; else "UNKNOWN".
	State func(obj any) string
	// NoCreate: never create or alter a file, a directory, a table or a column.
	NoCreate bool
	// Identity keeps a weak identity map on the store. Not supported yet: errors.ErrUnsupported.
	Identity bool
	// Logger gets the warnings; default: slog.Default().
	Logger *slog.Logger
	// Limits bound what one record may be; what Save accepts, Load accepts.
	Limits Limits
	// Pool says how connections to a server are kept. A field that is not zero wins over the
	// URL's parameter. Embedded backends have no use for it.
	Pool Pool
}

// A Pool says how connections to a server are kept. See [driver.Pool].
type Pool = driver.Pool

// Stats are the connections of a store at one moment. See [driver.Stats].
type Stats = driver.Stats

// Limits bound one record. A zero or negative field means its default.
type Limits struct {
	MaxBytes int64 // of the encoded record; default 1 GiB
	MaxDepth int   // of nesting inside the record; default 10,000
}

const (
	defaultMaxBytes = 1 << 30
	defaultMaxDepth = 10_000
	defaultTable    = "store"
)
