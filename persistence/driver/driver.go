// Package driver is the contract between package persistence and the backends
// that keep its records.
//
// A backend never sees an object, only records: an ID, a state, a few library
// columns, the columns of the user's extra fields and a blob. It is one package
// that registers an [Opener] for its URL schemes in an init function, and it
// proves itself with one call of drivertest.Run.
//
// What a backend must do stands at each method of [Backend] and [Reader]. What
// it may do besides are the optional interfaces of this package, of which
// [Suspender] is one: package persistence asks by type assertion and falls back.
package driver

import (
	"context"
	"iter"
	"time"

	"github.com/brine-go/brine/idfactory"
)

// ID names a record. See [idfactory.ID].
type ID = idfactory.ID

// MaxIDLen is the greatest length of an ID in bytes.
const MaxIDLen = 191

// Limits of text values, in characters (Unicode code points).
const (
	MaxStateLen       = 128 // of a state
	MaxIndexedTextLen = 255 // of an indexed extra field of kind Text
)

// A Backend keeps records. Its methods are safe for concurrent use.
//
// Every method honours ctx: a call whose ctx ends returns its error soon, and
// has then written all or nothing.
type Backend interface {
	// Init creates what is missing, or checks what is there, and is called once
	// before any other method but Close. It is idempotent and safe when several
	// processes do it at once. Unless OpenOptions.NoCreate was given it also adds
	// the columns of s.Fields that an existing table lacks. A schema that does not
	// fit what is there (text IDs on a table of integers) is an error that says so.
	Init(ctx context.Context, s Schema) (Meta, error)

	// NextIDs takes n numbers (n >= 1) in a row from the counter kept with the
	// data and returns the first. The counter starts above the highest number found in
	// the IDs, never below 1, and no number is ever given out twice, by any process, nor
	// after a restart or a crash. Where Meta.NoCounter is true it gives the numbers
	// after the highest ID there is and after those that this Backend has given out.
	NextIDs(ctx context.Context, n int) (first int64, err error)

	// View calls fn with a Reader of which every Get, Scan and Count sees ONE
	// state of the store, whatever is written meanwhile. It returns fn's error.
	// The Reader is for fn alone and for one goroutine.
	View(ctx context.Context, fn func(Reader) error) error

	// Apply makes all the mutations or none, and returns only when they are durable. ms names no
	// record twice. revs[i] is the new revision of ms[i].Rec (0 for Delete). ms and what it points
	// to are only read. Writers do not deadlock: Apply orders the writes itself, by namespace and ID.
	//
	// Where several mutations fail, the RecordError concerns the first of them in the order of ms;
	// [Mutation.Check] says what the error is. An outcome that cannot be learnt is ErrUncertain; any
	// other error means that nothing was written.
	Apply(ctx context.Context, ms []Mutation) (revs []int64, err error)

	// Close waits for the calls in flight and releases everything. A second
	// Close does nothing; every other later call returns ErrClosed.
	Close() error
}

// A Suspender is a Backend that can let go of its connections and files and
// take them up again. Package persistence calls it with no other call in flight.
// A backend of private memory keeps its data, and so need not be one.
type Suspender interface {
	// Suspend closes every connection and file that the backend holds, so that
	// none is inherited or shared by another process.
	Suspend() error
	// Resume lets the backend open them again, at once or at first use.
	Resume() error
}

// A SingleReader is a Backend that reads a single time more cheaply than a View does.
type SingleReader interface {
	// ReadOnce is View for a function that calls Get, Scan, Count or CountBy a single time. What
	// it reads is one state, but for a Get of several IDs, and for a Scan that is not limited to
	// 4096 records or yields more than 8 MiB of data.
	ReadOnce(ctx context.Context, fn func(Reader) error) error
}

// ReadOnce reads a single time from b, in a View where b is no [SingleReader].
func ReadOnce(ctx context.Context, b Backend, fn func(Reader) error) error {
	if r, ok := b.(SingleReader); ok {
		return r.ReadOnce(ctx, fn)
	}
	return b.View(ctx, fn)
}

// A Reader reads one state of a store.
type Reader interface {
	// Get returns the records with the IDs, in no particular order; absent IDs are
	// absent from the result, as are IDs that the backend could never hold. ids may be of any
	// length and hold duplicates; each record is returned once. What parts does not ask for is not read.
	// A record whose bytes are known to be damaged is a RecordError of ErrCorrupt.
	Get(ctx context.Context, ids []ID, parts Parts) ([]Record, error)

	// Scan yields the records that match q in its order, streaming: memory does
	// not grow with the number of matches where q.Order is empty and q.Limit is set.
	// A yielded error that is a RecordError of ErrCorrupt concerns that record alone, does not count against
	// q.Limit, and the scan goes on; any other error is the last thing yielded. Breaking off
	// the iteration releases everything.
	Scan(ctx context.Context, q *Query) iter.Seq2[Record, error]

	// Count returns the number of records that match q, of which Order,
	// After, Parts and Limit are ignored.
	Count(ctx context.Context, q *Query) (int64, error)
}

// Parts says what to read of a record besides its ID.
type Parts uint8

// The parts of a record. A bit may bring more than it says, where that costs nothing,
// but never the data.
const (
	Info    Parts = 1 << iota // Type, State, Revision, Size, Created, Modified
	Fields                    // Fields
	Data                      // Data
	Version                   // State, Revision
)

// A Record is what a store keeps of one object.
type Record struct {
	ID       ID
	Type     string // registered type name; "" in a table without a type column
	State    string
	Revision int64     // 1 or more; 0 in a table without a revision column
	Size     int64     // of Data, in bytes
	Created  time.Time // UTC, microseconds; the zero time where unknown
	Modified time.Time // UTC, microseconds; the zero time where unknown
	Data     []byte
	Claim    Claim // only read, with Info, from a [Claimer]
	Fields   []any // one value per Schema.Fields, in that order: see Kind; nil is NULL
}

// Kind is the kind of a column's values.
type Kind uint8

// The kinds, and the Go type of their values in Record.Fields and Cond.Values.
const (
	Text  Kind = iota + 1 // string: valid UTF-8 without NUL
	Int                   // int64
	Float                 // float64; never NaN, an infinity or negative zero
	Bool                  // bool; false stands before true
	Bytes                 // []byte; empty and NULL are different
	Time                  // time.Time in UTC with microseconds; kept as Unix microseconds
)

// String returns the name of the kind in lower case.
func (k Kind) String() string {
	switch k {
	case Text:
		return "text"
	case Int:
		return "int"
	case Float:
		return "float"
	case Bool:
		return "bool"
	case Bytes:
		return "bytes"
	case Time:
		return "time"
	}
	return "invalid kind"
}

// A Column is a column of an extra field.
type Column struct {
	Name    string // [A-Za-z_][A-Za-z0-9_]*, at most 63 bytes; never a library column
	Kind    Kind
	Indexed bool
}

// A Schema is what a store wants its backend to keep.
type Schema struct {
	IntegerIDs bool // every ID is a canonical decimal between -1<<63 and 1<<63-1
	Fields     []Column
}

// Meta is what a backend says of its data after Init.
type Meta struct {
	// Identity names the data: it is made once, at random, kept with the data
	// and the same at every opening. With NoCreate and nothing of Brine's to keep it, it is derived from
	// the URL and the table.
	Identity string
	// NoCounter: there is no counter kept with the data (NoCreate without Brine's own tables), so a
	// number of NextIDs may be taken by another process before it is used.
	NoCounter bool
	// Missing names the library columns and those of Schema.Fields that the data lacks and
	// that NoCreate forbade to add. A query on one of them, or with Parts that need one, simply lacks it: persistence
	// refuses such queries before they come here. Writes leave them out.
	Missing []string
}
