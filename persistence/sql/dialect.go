package sql

import (
	"context"

	"github.com/jmoiron/sqlx"

	"github.com/brine-go/brine/persistence/driver"
)

// A Dialect is what the engine has to know of one database system. Its
// methods are safe for concurrent use.
type Dialect interface {
	// Traits returns the constants of the dialect; the engine only reads them. BeginWrite,
	// BeginExclusive and MaxValue may be set by the Probe of Pools, which asks the server.
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

	// Express returns an expression made of another one.
	Express(f Function, expr string) string

	// Classify says what an error of the database means to the engine.
	Classify(err error) Class
}

// A Function makes an expression of another one.
type Function uint8

// The functions.
const (
	AsText     Function = iota + 1 // the decimal of an integer, compared by bytes
	Binary                         // a text that is not compared by bytes (see Column.Binary), compared so
	Contains                       // whether a text compared by bytes has the parameter in it, which is not empty
	CharLength                     // how many characters a text has
	// GroupKey is what tells a long value from others in GROUP BY. It is asked of columns that
	// have an IndexPart.
	GroupKey
	// OpaqueText is the text parameter that is given, such that plans do not depend on its value: a
	// server that plans a statement anew for each text spends more on that than on a claim.
	OpaqueText
	// AsLastInsertID is the integer that is given. An UPDATE that assigns it returns it as the
	// LastInsertId of its result. It is asked of dialects without Returning.
	AsLastInsertID
)

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
