// Package driver defines the contract between package persistence and the backends that keep
// its records.
//
// A backend never sees an object, only records: an ID, a state, a few library columns, the
// columns of the user's extra fields and a blob. It is one package that registers an [Opener]
// for its URL schemes in an init function, and it is tested with one call of drivertest.Run.
//
// The methods of [Backend] and [Reader] say what a backend must do. The other interfaces of
// this package, such as [Suspender], are optional: package persistence uses a type assertion
// and has a fallback.
package driver

import (
	"context"
	"iter"
	"time"

	"github.com/brine-go/brine/idfactory"
)

// ID identifies a record. See [idfactory.ID].
type ID = idfactory.ID

// MaxIDLen is the maximum length of an ID in bytes.
const MaxIDLen = 191

// Limits of text values, in characters (Unicode code points).
const (
	MaxStateLen       = 128 // of a state
	MaxOwnerLen       = 255 // of the owner of a claim
	MaxIndexedTextLen = 255 // of an indexed extra field of kind Text
)

// Limits of the extra fields of a store. MariaDB's rows and indexes have room for not many more.
const (
	MaxFields        = 128
	MaxIndexedFields = 48
)

// MaxIndexedBytesLen is the maximum length of an indexed extra field of kind Bytes.
const MaxIndexedBytesLen = 255

// A Backend keeps records. Its methods are safe for concurrent use.
//
// Every method honors ctx: a call whose ctx ends returns its error soon, and has then written
// all or nothing.
type Backend interface {
	// Init creates what is missing, or checks what exists. It is called once before any other
	// method except Close. It is idempotent and safe when several processes call it at once. Unless
	// OpenOptions.NoCreate is set it also adds the columns of s.Fields that an existing table
	// lacks. If the schema does not fit the existing data (text IDs in a table of integers) it
	// returns an error that says so.
	Init(ctx context.Context, s Schema) (Meta, error)

	// NextIDs takes n consecutive numbers (n >= 1) from the counter kept with the data and returns
	// the first. The counter starts above the highest number found in the IDs, never below 1. It
	// never returns a number twice, in any process, nor after a restart or a crash. If
	// Meta.NoCounter is true it returns the numbers after the highest existing ID and after those
	// that this Backend has returned.
	NextIDs(ctx context.Context, n int) (first int64, err error)

	// View calls fn with a Reader whose calls of Get, Scan and Count all see ONE state of the
	// store, whatever is written meanwhile. It returns fn's error. The Reader is valid only during
	// fn and for one goroutine at a time.
	View(ctx context.Context, fn func(Reader) error) error

	// Apply makes all the mutations or none, and returns only when they are durable. ms names no
	// record twice. revs[i] is the new revision of ms[i].Rec (0 for Delete, Withdraw and Restore).
	// Apply does not modify ms or anything it points to. Writers do not deadlock: Apply orders the
	// writes itself, by namespace and ID.
	//
	// An [Indexer] judges unique indexes after the whole batch.
	//
	// If several mutations fail, the RecordError concerns the first of them in the order of ms;
	// [Mutation.Check] defines the error. If the outcome cannot be determined the error is
	// ErrUncertain; any other error means that nothing was written.
	Apply(ctx context.Context, ms []Mutation) (revs []int64, err error)

	// Close waits for active calls and releases everything. A second Close does nothing; any other
	// later call returns ErrClosed.
	Close() error
}

// A Suspender is a Backend that can close its connections and files and open them again.
// Package persistence calls it while no other call is active. A backend in private memory keeps
// its data and need not be a Suspender.
type Suspender interface {
	// Suspend closes every connection and file of the backend, so that no other process inherits or
	// shares one.
	Suspend() error
	// Resume lets the backend open them again, at once or at first use. Before anything is read or
	// written, the data that are found must be those that Init has found: if they have another
	// [Meta.Identity], or there are none, calls fail until Suspend and Resume, and so may Resume.
	Resume() error
}

// A SingleReader is a Backend that can make a single read at less cost than a View.
type SingleReader interface {
	// ReadOnce is View for a function that calls Get, Scan, Count or CountBy once. The read sees
	// one state, with two exceptions: a Get of several IDs, and a Scan that is not limited to 4096
	// records or yields more than 8 MiB of data.
	ReadOnce(ctx context.Context, fn func(Reader) error) error
}

// ReadOnce calls b.ReadOnce, or b.View if b is no [SingleReader].
func ReadOnce(ctx context.Context, b Backend, fn func(Reader) error) error {
	if r, ok := b.(SingleReader); ok {
		return r.ReadOnce(ctx, fn)
	}
	return b.View(ctx, fn)
}

// A Pinger is a Backend that can find out at little cost whether its data can be reached.
type Pinger interface {
	// Ping returns nil if the data can be reached and are those that Init has found, and else the
	// error that another call would return.
	Ping(ctx context.Context) error
}

// Ping calls b.Ping, or begins a View that reads nothing if b is no [Pinger].
func Ping(ctx context.Context, b Backend) error {
	if p, ok := b.(Pinger); ok {
		return p.Ping(ctx)
	}
	return b.View(ctx, func(Reader) error { return nil })
}

// A Reader reads one state of a store.
type Reader interface {
	// Get returns the records with the IDs, in no particular order. IDs that are absent, or that
	// the backend could never hold, are left out of the result. ids may have any length and contain
	// duplicates; each record is returned once. Parts not asked for are not read. A record whose
	// bytes are known to be damaged is a RecordError of ErrCorrupt.
	Get(ctx context.Context, ids []ID, parts Parts) ([]Record, error)

	// Scan yields the records that match q in its order. It streams: memory does not grow with the
	// number of matches if q.Order is empty and q.Limit is set. A yielded RecordError of ErrCorrupt
	// concerns that record alone and does not count toward q.Limit; the scan continues. Any other
	// error is the last thing yielded. Breaking out of the iteration releases everything.
	Scan(ctx context.Context, q *Query) iter.Seq2[Record, error]

	// Count returns the number of records that match q. It ignores Order, After, Parts and Limit.
	Count(ctx context.Context, q *Query) (int64, error)
}

// Parts says which parts of a record to read besides its ID.
type Parts uint8

// The parts of a record. A backend may return more than asked for if that costs nothing, but
// never the data.
const (
	Info    Parts = 1 << iota // Type, State, Revision, Size, Created, Modified
	Fields                    // Fields
	Data                      // Data
	Version                   // State, Revision
	// Head is the beginning of Data: its first [HeadLen] bytes, or all of it if it is shorter. The
	// rest is not read where the storage allows that. It has no effect together with Data.
	Head
	SetNumber // ColumnSet, of objects in a [Cataloger]
)

// HeadLen is the number of bytes that [Head] is about.
const HeadLen = 1024

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
	Claim    Claim // read with Info from a [Claimer]; ignored in writes
	Fields   []any // one value for each of Schema.Fields, in that order: see Kind; nil is NULL
	// ColumnSet is the value of [ColColumnSet]: read with SetNumber, else 0; for the evaluation of
	// conditions by [Columns]; and written by Import. Other writes ignore it.
	ColumnSet int64
}

// Kind is the kind of values in a column.
type Kind uint8

// The kinds, and the Go type of their values in Record.Fields and Cond.Values.
const (
	Text  Kind = iota + 1 // string: valid UTF-8 without NUL
	Int                   // int64
	Float                 // float64; never NaN, an infinity or negative zero
	Bool                  // bool; false sorts before true
	Bytes                 // []byte; empty and NULL differ
	Time                  // time.Time in UTC with microseconds; stored as Unix microseconds
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

// KindOf returns the kind that a value of a column is of; 0: none, as of nil.
func KindOf(v any) Kind {
	switch v.(type) {
	case string:
		return Text
	case int64:
		return Int
	case float64:
		return Float
	case bool:
		return Bool
	case []byte:
		return Bytes
	case time.Time:
		return Time
	}
	return 0
}

// A Column describes the column of an extra field.
type Column struct {
	Name    string // [A-Za-z_][A-Za-z0-9_]*, at most 63 bytes; never a library column
	Kind    Kind
	Indexed bool
	// InIndex: values are as short as those of an indexed column, for an [Index] has the column.
	InIndex bool
	// Unique: a unique [Index] of the column alone is wanted. Package persistence asks for it; a
	// backend ignores this.
	Unique bool
	// Types are the names of the types of the records that the column is for: in all others it is
	// NULL. nil means all types.
	Types []string
}

// A Schema describes what a backend has to store.
type Schema struct {
	IntegerIDs bool // every ID is a canonical decimal between -1<<63 and 1<<63-1
	// AnyIDs: IntegerIDs is for new data; data that exist keep their kind of IDs, and Meta.TextIDs
	// says which it is.
	AnyIDs bool
	Fields []Column
	// ReadOnly: from Init on, the Backend is as if OpenOptions.ReadOnly had been set, as far as
	// that is still possible: it creates nothing and writes nothing.
	ReadOnly bool
	// Recognize returns an error if data cannot be what the program stores; nil: there is no such
	// data. Before Init alters a table or directory that has records and no identity, it calls
	// Recognize with the data of the first record, and returns the error, naming both.
	Recognize func(data []byte) error
}

// Meta describes the data of a backend after Init.
type Meta struct {
	// Identity identifies the data. It is made once, at random, is stored with the data and is the
	// same at every opening. With NoCreate, if the data has no identity stored, it is derived from
	// the URL and the table.
	Identity string
	// NoCounter: the data has no counter (NoCreate without Brine's own tables), so another process
	// may take a number of NextIDs before it is used.
	NoCounter bool
	// Missing names the library columns and those of Schema.Fields that the data lacks and that
	// NoCreate forbade to add. Package persistence rejects queries that name one of them. Writes
	// leave them out, and so do reads of Parts that include them.
	Missing []string
	// TextIDs says, if Schema.AnyIDs was set, that the data have text IDs.
	TextIDs bool
	// Catalog is what the data has recorded of its extra columns: see [Cataloger]. nil: nothing.
	Catalog *Catalog
}
