package sql

import (
	"cmp"
	"context"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/brine-go/brine/persistence/driver"
)

// A Dialect is what the engine has to know of one database system. Its
// methods are safe for concurrent use.
type Dialect interface {
	// Traits returns the constants of the dialect; the engine only reads them. BeginWrite,
	// BeginExclusive, MaxValue and SkipLocked may be set by the Probe of Pools, which asks the
	// server.
	Traits() *Traits

	// Location names the database for people and for identities that are derived
	// from it: the same database, the same text. It has no password in it.
	Location() string

	// Open opens the database: before the first use, and anew after every Suspend.
	// Unless create is true it neither creates nor alters anything, and a database
	// that is not there is an error that names it.
	Open(ctx context.Context, create bool) (*Pools, error)

	// Inspect reads what the catalogue says of a table; nil: there is no such table.
	Inspect(ctx context.Context, q sqlx.QueryerContext, table string) (*Table, error)

	// Type returns the SQL type, with collation, of a column that the engine creates.
	Type(t ColumnType) string

	// Classify says what an error of the database means to the engine.
	Classify(err error) Class
}

// Traits are the constants of a dialect. Those of the groups that it does not need are zero.
type Traits struct {
	// Compact are the statements that give space back and take the statistics from which the
	// database makes its plans, each outside of a transaction; %s stands for the name of each
	// table.
	Compact  []string
	Name     string // for error texts: "sqlite"
	Quote    byte   // around names: '"' or '`'
	BindType int    // the placeholders, as sqlx has them: sqlx.QUESTION, sqlx.DOLLAR

	TransactionTraits
	TableTraits
	StatementTraits
	Expressions
	Limits
	EmbeddedTraits // of a database in this process
	ServerTraits   // of a database on a server
}

// TransactionTraits are the statements that begin a transaction.
type TransactionTraits struct {
	BeginWrite []string // one after the other
	BeginRead  string
	// BeginExclusive returns the statements that begin a transaction during which nobody else
	// writes to some tables, whose quoted names are given, that of the objects first. nil:
	// BeginWrite keeps others out. It returns nil where nothing does.
	BeginExclusive func(tables []string) []string
	// ExclusiveOnce: what BeginExclusive has set lasts beyond the transaction, so the connection is
	// closed then.
	ExclusiveOnce bool
}

// TableTraits are about the definition of tables and indexes.
type TableTraits struct {
	TableOptions string // the end of CREATE TABLE
	// KeysInIndexes are the types of key, IntegerID and TextID, that every index on a column also
	// has, in ascending order, so that (column, id) needs no id of its own.
	KeysInIndexes []ColumnType
	// PartialIndexes: CREATE INDEX may end in WHERE.
	PartialIndexes bool
	// IndexesOfTables: the name of an index is that of its table alone, so DROP INDEX names the
	// table too.
	IndexesOfTables bool
}

// StatementTraits are about reading and changing records.
type StatementTraits struct {
	// Array makes one parameter of keys ([]int64 or []string) for "= ANY(?)"; nil: a list of
	// parameters is needed.
	Array func(keys any) any
	// HiddenText is an operand with the placeholder of a text in it, such that plans do not depend
	// on the text. A server that plans a statement anew for each text spends more on that than on a
	// claim. "": "?" does.
	HiddenText string
	// GetShapes are the numbers of IDs that one SELECT asks for, in ascending order from 1; lesser
	// numbers of IDs repeat the last one. nil: 1, 8, 64, 512.
	GetShapes []int
	// InsertShapes are the numbers of rows that one INSERT makes, in ascending order from 1. nil:
	// 1, 8, 64.
	InsertShapes []int
	// LastInsertID makes UPDATE tell an expression that it assigns as the LastInsertId of its
	// result. A Put is then an UPDATE, and an INSERT where nothing was updated. nil: UPDATE may end
	// in RETURNING, and INSERT in ON CONFLICT … DO UPDATE … RETURNING.
	LastInsertID func(expr string) string
}

// A LockingSelect is what a SELECT that locks rows is made of.
type LockingSelect struct {
	Columns string
	Table   string // quoted, as is what follows
	ID      string // the column
	IDIndex string // the unique index on it
	// Where and OrderBy are clauses with their keywords and a space before them, or "".
	Where, OrderBy string
	// Candidates is how many rows are looked at first, without a lock.
	Candidates int
}

// Expressions make expressions of others.
type Expressions struct {
	// AsText turns an integer expression into its decimal, compared by bytes.
	AsText func(expr string) string
	// Binary makes an expression of a text column that is not compared by bytes (see Column.Binary)
	// compare so.
	Binary func(expr string) string
	// Contains makes the condition that a text, compared by bytes, has another one in it, which is
	// the parameter and not empty.
	Contains func(expr string) string
	// HasSuffix makes the condition that a text, compared by bytes, ends in another one, which is
	// not empty, and the values of its parameters.
	HasSuffix func(expr, suffix string) (cond string, args []any)
	// CharLength is the function that counts the characters of a text; "": length.
	CharLength string
	// GroupKey makes of a long value what tells it from others in GROUP BY; nil: the value does.
	GroupKey func(expr string) string
}

// Limits are how much a statement takes.
type Limits struct {
	MaxParams int   // parameters of one statement
	MaxValue  int64 // bytes of one value
}

// EmbeddedTraits are those of a database in this process.
type EmbeddedTraits struct {
	// FreshBytes: the driver allocates every []byte that it gives, so it need not be copied.
	FreshBytes bool
	// DenseRun is the number of successive integers from which on a SELECT of the range is quicker
	// than one of a list; 0: it never is, as where it costs a round trip.
	DenseRun int
	// Changes is a SELECT of two numbers, in a transaction that writes: the first changes when
	// another connection has committed, the second when this one has changed a row. "": there is
	// none.
	Changes string
	// BulkWrites is run on the connection of the writer before large batches, and SingleWrites when
	// they are over. "": nothing is.
	BulkWrites, SingleWrites string
	// AnyText: a text that is longer than an ID may be, no UTF-8, or has a NUL can be looked up. On
	// others it is an error.
	AnyText bool
}

// ServerTraits are those of a database on a server.
type ServerTraits struct {
	// ResetChecks: the driver's ResetSession finds out whether the server has hung up.
	ResetChecks bool
	// CancelTells: a statement whose context ends is cancelled by the server, which says whether it
	// was in time.
	CancelTells bool
	// Stale reports whether a prepared statement that gave the error must be prepared anew; nil:
	// none ever.
	Stale func(err error) bool
	// Advice is what follows an error of the database in parentheses, or ""; nil: nothing ever.
	Advice func(err error) string
	// InitLock keeps other processes from creating tables at the same time: a SELECT of one value
	// that Init runs at the beginning of its transaction until the value is 1. InitUnlock, run at
	// the end, releases it, or the end of the transaction does. "": BeginWrite keeps them out.
	InitLock, InitUnlock string
	// SharedBegin follows the statement that begins a transaction on a shared connection (see
	// Pools.Ready), the first one, in one text with it.
	SharedBegin string
	// Now is the database's clock in Unix microseconds, the same throughout a statement; "": this
	// process's clock is as good.
	Now string
	// SkipLocked ends a SELECT that locks what it gives, and passes over what others have locked:
	// "FOR UPDATE SKIP LOCKED"; "": BeginWrite keeps the others out.
	SkipLocked string
	// LockRows returns a SELECT, without its LIMIT and SkipLocked, that locks no more rows than it
	// gives; nil: any SELECT does so. The values of its parameters are those of Columns, of Where,
	// of OrderBy, and those of Where again.
	LockRows func(s *LockingSelect) string
}

var (
	defaultGetShapes    = []int{1, 8, 64, 512}
	defaultInsertShapes = []int{1, 8, 64}
)

func (t *Traits) charLength() string { return cmp.Or(t.CharLength, "length") }

func (t *Traits) getShapes() []int {
	if t.GetShapes != nil {
		return t.GetShapes
	}
	return defaultGetShapes
}

func (t *Traits) insertShapes() []int {
	if t.InsertShapes != nil {
		return t.InsertShapes
	}
	return defaultInsertShapes
}

// maxBatchBytes is how many bytes of data one INSERT of several rows has, roughly: a single row may
// have more. A row has more than its data, and MaxValue may be what fits into one statement.
func (t *Traits) maxBatchBytes() int { return int(min(1<<20, t.MaxValue/4)) }

// keyInIndexes reports whether every index also has the key.
func (t *Traits) keyInIndexes(s driver.Schema) bool {
	id := TextID
	if s.IntegerIDs {
		id = IntegerID
	}
	return slices.Contains(t.KeysInIndexes, id)
}

// A ColumnType is the kind of a column that the engine creates.
type ColumnType uint8

// The column types. Those of extra fields are made by [FieldType].
const (
	IntegerID  ColumnType = iota + 1 // int64, primary key
	TextID                           // up to 191 bytes, primary key, compared by bytes
	Blob                             // up to the greatest value there is
	State                            // text of up to 128 characters, compared by bytes
	ShortText                        // text of up to 255 characters, compared by bytes, may be indexed
	Text                             // text of any length, compared by bytes
	Integer                          // int64
	Float                            // float64
	Bool                             // 0 or 1
	FieldBlob                        // []byte of an extra field
	FieldIndex                       // []byte of an extra field, indexed
)

// FieldType returns the type of the column of an extra field.
func FieldType(c driver.Column) ColumnType {
	switch c.Kind {
	case driver.Text:
		if c.Indexed || c.InIndex {
			return ShortText
		}
		return Text
	case driver.Float:
		return Float
	case driver.Bool:
		return Bool
	case driver.Bytes:
		if c.Indexed || c.InIndex {
			return FieldIndex
		}
		return FieldBlob
	}
	return Integer // Int, and Time as Unix microseconds
}

// A Table is what the catalogue says of a table.
type Table struct {
	Name    string // as the catalogue spells it
	Columns []Column
	// Unreadable: this user may read no column of it.
	Unreadable bool
	Indexes    []Index // the primary key included
}

// A Column is one column of a [Table].
type Column struct {
	Name     string
	Type     string // as declared, for error texts
	Nullable bool
	Computed bool // cannot be written
	Integers bool // int64 values come back as they were
	Texts    bool // text comes back as it was
	Binary   bool // text is compared by bytes
	// IndexPart follows the name in CREATE INDEX: how much of a long value is indexed, as "(255)".
	IndexPart string
}

// An Index is one index of a [Table], as far as it concerns the engine: whole columns.
type Index struct {
	Columns []string
	Unique  bool
	Binary  bool // text is compared by bytes
	Partial bool // not of all rows
	Name    string
}

// Pools are the connections to an open database.
type Pools struct {
	Writer  *sqlx.DB
	Reader  *sqlx.DB // the same as Writer on servers, and where there is one connection for everything
	Readers int      // connections that read at once, where there is no server
	// Keep says how connections to a server are kept, as ParsePool returns it. The engine sets the
	// limits of Writer itself.
	Keep driver.Pool
	// Borrowed: Writer is the caller's. It is neither closed nor configured, and gets its
	// connections back.
	Borrowed bool
	// Setup runs on each connection taken from a borrowed Writer. Those connections are then closed
	// instead of given back, so that the caller never gets one with these settings.
	Setup []string
	// Ready makes each new connection to a server ready, and reports whether it is shared: a pooler
	// may run each of its transactions in another session of the server, between those of other
	// clients. On a shared connection no statement is prepared, and each runs in a transaction,
	// which begins with SharedBegin. A borrowed connection that is not shared is closed instead of
	// given back. nil: there is nothing to do, and no connection is shared.
	Ready func(ctx context.Context, c *sqlx.Conn) (shared bool, err error)
	// Probe examines the server, on the first connection and before anything else; nil: there is
	// nothing to find out. An error means that the database could not be opened.
	Probe    func(ctx context.Context, c *sqlx.Conn) error
	ReadOnly error // why the medium cannot be written; nil: it can
	// CheckFiles returns an error if the files of the database are no longer those that were
	// opened; nil: there are none. written says that something was committed: then all files count
	// that a commit needs.
	CheckFiles func(written bool) error
	// Adopt does what Open does besides with create, once the engine knows that the database is the
	// one that a store was opened in before; nil: nothing.
	Adopt func(ctx context.Context) error
	// Preview: this is for finding out whether the database is the one, and is then closed; Open
	// follows Adopt once more.
	Preview bool
	Pinned  bool // closing a connection loses the data: Suspend leaves it open
}

// A Class is what an error of the database means to the engine.
type Class uint8

// The classes.
const (
	Other    Class = iota
	Unique         // a key that is there already: the statement did nothing
	Busy           // someone else is in the way: the transaction did nothing and may be tried again
	ReadOnly       // the medium cannot be written
	TooLarge       // a value or a row is over a limit
	Failing        // the database itself is in trouble: its name belongs in the error
	NoTable        // there is no table of that name
	// Lost: as Failing, and what the statement does may have happened; the connection is not used
	// again.
	Lost
	// Gone: as Lost, but the statement surely did nothing, and may be run on another connection.
	Gone
)
