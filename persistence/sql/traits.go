package sql

import (
	"slices"

	"github.com/brine-go/brine/persistence/driver"
)

// Traits are the constants of a dialect.
type Traits struct {
	Name     string // for error texts: "sqlite"
	Quote    byte   // around names: '"' or '`'
	BindType int    // the placeholders, as sqlx has them: sqlx.QUESTION, sqlx.DOLLAR

	// BeginWrite are the statements that begin a transaction that writes, one after the other.
	BeginWrite []string
	BeginRead  string
	// BeginExclusive returns those of a transaction during which nobody else writes to some
	// tables, whose quoted names are given, that of the objects first. nil: nothing keeps others
	// out.
	BeginExclusive func(tables []string) []string

	TableOptions string // the end of CREATE TABLE
	// KeysInIndexes are the types of key, IntegerID and TextID, that every index on a column also
	// has, in ascending order, so that (column, id) needs no id of its own.
	KeysInIndexes []ColumnType
	// PartialIndexes: CREATE INDEX may end in WHERE.
	PartialIndexes bool
	// IndexesOfTables: the name of an index is that of its table alone, so DROP INDEX names the
	// table too.
	IndexesOfTables bool

	// Returning: UPDATE may end in RETURNING, and INSERT in ON CONFLICT … DO UPDATE … RETURNING.
	// Where they may not, AsLastInsertID is asked for, and a Put is an UPDATE, and an INSERT where
	// nothing was updated.
	Returning bool
	// HasSuffix makes the condition that a text, compared by bytes, ends in another one, which is
	// not empty, and the values of its parameters. nil: LIKE does.
	HasSuffix func(expr, suffix string) (cond string, args []any)

	// GetShapes are the numbers of IDs that one SELECT asks for, in ascending order from 1; lesser
	// numbers of IDs repeat the last one. nil: 1, 8, 64, 512.
	GetShapes []int
	// InsertShapes are the numbers of rows that one INSERT makes, in ascending order from 1. nil:
	// 1, 8, 64.
	InsertShapes []int
	MaxParams    int   // of one statement
	MaxValue     int64 // bytes of one value

	// Compact are the statements that give space back and take the statistics from which the
	// database makes its plans, each outside of a transaction; %s stands for the name of each
	// table.
	Compact []string
}

// EmbeddedTraits are the constants of a database in this process besides.
type EmbeddedTraits struct {
	// FreshBytes: the driver allocates every []byte that it gives, so it need not be copied.
	FreshBytes bool
	// DenseRun is the number of successive integers from which on a SELECT of the range is quicker
	// than one of a list; 0: it never is.
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

// ServerTraits are the constants of a database on a server besides. SkipLocked and ForgetsAborts
// may be set by the Probe of Pools.
type ServerTraits struct {
	// Array makes one parameter of keys ([]int64 or []string) for "= ANY(?)"; nil: a list of
	// parameters is needed.
	Array func(keys any) any
	// Now is the database's clock in Unix microseconds, the same throughout a statement.
	Now string
	// SkipLocked ends a SELECT that locks what it gives, and passes over what others have locked:
	// "FOR UPDATE SKIP LOCKED".
	SkipLocked string
	// LockRows returns a SELECT, without its LIMIT and SkipLocked, that locks no more rows than it
	// gives; nil: any SELECT does so. The values of its parameters are those of Columns, of Where,
	// of OrderBy, and those of Where again.
	LockRows func(s *LockingSelect) string
	// InitLock keeps other processes from creating tables at the same time: a SELECT of one value
	// that Init runs at the beginning of its transaction until the value is 1. InitUnlock, run at
	// the end, releases it; "": the end of the transaction does.
	InitLock, InitUnlock string
	// ExclusiveOnce: what BeginExclusive has set lasts beyond the transaction, so the connection is
	// closed then.
	ExclusiveOnce bool

	// SharedBegin follows the statement that begins a transaction on a shared connection (see
	// Pools.Ready), the first one, in one text with it.
	SharedBegin string
	// ResetChecks: the driver's ResetSession finds out whether the server has hung up.
	ResetChecks bool
	// CancelTells: a statement whose context ends is cancelled by the server, which says whether it
	// was in time.
	CancelTells bool
	// ForgetsAborts: the server may roll a transaction back for the sake of another while it
	// prepares one of its statements, and report no error: the statements that follow then run
	// outside of a transaction, and COMMIT succeeds. Savepoints tell.
	ForgetsAborts bool
	// Stale reports whether a prepared statement that gave the error must be prepared anew; nil:
	// none ever.
	Stale func(err error) bool
	// Advice is what follows an error of the database in parentheses, or ""; nil: nothing ever.
	Advice func(err error) string
}

// A LockingSelect is what a SELECT that locks rows is made of.
type LockingSelect struct {
	Columns string
	Table   string // quoted, as is what follows
	ID      string // the column
	IDIndex string // the unique index on it
	// Where and OrderBy are clauses with their keywords and a space before them, or "".
	Where, OrderBy string
	// Candidates is how many rows are read first, without a lock.
	Candidates int
}

// traits are the constants of a dialect with those of its kind of engine. Those of the other kind
// are zero.
type traits struct {
	*Traits
	*EmbeddedTraits
	*ServerTraits
	express func(f Function, expr string) string // Dialect.Express
}

var (
	defaultGetShapes    = []int{1, 8, 64, 512}
	defaultInsertShapes = []int{1, 8, 64}
)

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

func (t *Traits) hasSuffix(expr, suffix string) (cond string, args []any) {
	if t.HasSuffix != nil {
		return t.HasSuffix(expr, suffix)
	}
	return likeSuffix(expr, suffix)
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
