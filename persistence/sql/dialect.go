package sql

import (
	"context"

	"github.com/jmoiron/sqlx"

	"github.com/brine-go/brine/persistence/driver"
)

// A Dialect is what the engine has to know of one database system. Its
// methods are safe for concurrent use.
type Dialect interface {
	// Traits returns the constants of the dialect; the engine only reads them.
	Traits() *Traits

	// Location names the database for people and for identities that are derived
	// from it: the same database, the same text. It holds no password.
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

// Traits are the constants of a dialect.
type Traits struct {
	Name     string // for error texts: "sqlite"
	Quote    byte   // around names: '"' or '`'
	BindType int    // the placeholders, as sqlx has them: sqlx.QUESTION, sqlx.DOLLAR

	// Embedded: statements run inside this process. Short ones then run without a cancellable
	// context, which is cheaper (ctx is looked at between them), and BEGIN and COMMIT are prepared.
	Embedded bool
	// FreshBytes: the driver allocates every []byte that it gives, so it need not be copied.
	FreshBytes bool
	// Returning: UPDATE and INSERT … ON CONFLICT may end in RETURNING.
	Returning bool
	// KeyInIndex: an index on a column also holds the integer (text) key, in ascending order,
	// so that (column, id) needs no id of its own.
	KeyInIndexInteger, KeyInIndexText bool

	BeginWrite, BeginRead string // begin a transaction

	MaxParams     int   // parameters of one statement
	MaxBatchBytes int   // bytes of data in one multi-row INSERT, roughly; a single row may have more
	MaxValue      int64 // bytes of one value

	// Upsert stands between the VALUES of an INSERT and the assignments for a row whose "id" is
	// there: "ON CONFLICT (id) DO UPDATE SET". Excluded is a column of the row that was to be
	// inserted, by its quoted name.
	Upsert   string
	Excluded func(quoted string) string
	// AsText turns an integer expression into its decimal, compared by bytes.
	AsText func(expr string) string
	// Binary makes an expression of a text column that is not compared by bytes (see Column.Binary) compare so.
	Binary func(expr string) string
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
		if c.Indexed {
			return ShortText
		}
		return Text
	case driver.Float:
		return Float
	case driver.Bool:
		return Bool
	case driver.Bytes:
		if c.Indexed {
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
	Indexes []Index // the primary key included
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
}

// An Index is one index of a [Table], as far as it concerns the engine: whole columns
// of the whole table.
type Index struct {
	Columns []string
	Unique  bool
	Binary  bool // text is compared by bytes
}

// Pools are the connections to an open database.
type Pools struct {
	Writer   *sqlx.DB
	Reader   *sqlx.DB // the same as Writer where there is one connection for everything
	Readers  int      // connections that read at once
	ReadOnly error    // why the medium cannot be written; nil: it can
	Pinned   bool     // closing a connection loses the data: Suspend leaves it open
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
	Lost           // the same, and a commit under way may have happened; the connection is not used again
)
