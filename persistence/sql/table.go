package sql

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
