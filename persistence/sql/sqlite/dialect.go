package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"unicode/utf8"

	"github.com/jmoiron/sqlx"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/sql"
)

// dialect is what the engine has to know of SQLite.
type dialect struct {
	settings
	logger *slog.Logger
	logged driver.Logged // what was logged
	last   *fileIdentity // of the last Open; nil: none yet. Open is called by one goroutine at a time

	forReading bool // as OpenOptions.ReadOnly says
}

var _ sql.Dialect = (*dialect)(nil)

var beginWrite = []string{"BEGIN IMMEDIATE"}

var traits = sql.Traits{
	Name:           "sqlite",
	Quote:          '"',
	BindType:       sqlx.QUESTION,
	BeginWrite:     beginWrite,
	BeginRead:      "BEGIN",
	BeginExclusive: func([]string) []string { return beginWrite }, // there is one writer in any case
	KeysInIndexes:  []sql.ColumnType{sql.IntegerID},               // the rowid
	PartialIndexes: true,
	Returning:      true,
	HasSuffix: func(expr, suffix string) (string, []any) { // LIKE ignores the case of letters
		return "substr(" + expr + ", ?) = ?", []any{-utf8.RuneCountInString(suffix), suffix}
	},
	MaxParams: 32766,
	MaxValue:  1_000_000_000,
	Compact:   []string{"VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"},
}

var embeddedTraits = sql.EmbeddedTraits{
	FreshBytes: true, DenseRun: 16, AnyText: true,
	Changes:      "SELECT data_version, total_changes() FROM pragma_data_version",
	BulkWrites:   fmt.Sprintf("PRAGMA wal_autocheckpoint(%d)", bulkPages),
	SingleWrites: fmt.Sprintf("PRAGMA wal_autocheckpoint(%d)", walPages),
}

func (d *dialect) Traits() *sql.Traits { return &traits }

func (d *dialect) Location() string {
	if d.path == "" {
		return "sqlite::memory:"
	}
	return "sqlite:" + d.path
}

func (d *dialect) Type(t sql.ColumnType) string {
	switch t {
	case sql.IntegerID:
		return "INTEGER" // this very word makes it the rowid
	case sql.TextID, sql.ShortText, sql.Text:
		return "TEXT"
	case sql.Blob, sql.FieldBlob, sql.FieldIndex:
		return "BLOB"
	case sql.State:
		return fmt.Sprintf("VARCHAR(%d)", driver.MaxStateLen)
	case sql.Float:
		return "REAL"
	case sql.Bool:
		return "BOOLEAN"
	}
	return "BIGINT"
}

// Express implements [sql.Dialect].
func (d *dialect) Express(f sql.Function, expr string) string {
	switch f {
	case sql.AsText:
		return "CAST(" + expr + " AS TEXT) COLLATE BINARY"
	case sql.Binary:
		return expr + " COLLATE BINARY"
	case sql.Contains:
		return "instr(" + expr + ", ?) > 0"
	case sql.CharLength:
		return "length(" + expr + ")"
	}
	return expr
}

// Inspect implements [sql.Dialect].
func (d *dialect) Inspect(ctx context.Context, q sqlx.QueryerContext, table string) (*sql.Table, error) {
	var entry struct{ Name, Type, SQL string }
	err := sqlx.GetContext(ctx, q, &entry,
		"SELECT name, type, coalesce(sql, '') AS sql FROM sqlite_schema WHERE name = ? COLLATE NOCASE AND type IN ('table', 'view')", table)
	if errors.Is(err, errNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if entry.Type != "table" {
		return nil, fmt.Errorf("%s: %q is a %s, no table", d.Location(), entry.Name, entry.Type)
	}
	if err := d.checkEncoding(ctx, q); err != nil {
		return nil, err
	}
	t := &sql.Table{Name: entry.Name}
	var columns []struct {
		Name    string
		Type    string
		NotNull bool
		PK      int
		Hidden  int
	}
	err = sqlx.SelectContext(ctx, q, &columns, `SELECT name, type, "notnull", pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid`, entry.Name)
	if err != nil {
		return nil, err
	}
	// The catalogue does not tell the collation of a column. BINARY is the default.
	binary := !strings.Contains(strings.ToLower(entry.SQL), "collate")
	var key []string
	for _, c := range columns {
		aff := affinity(c.Type)
		t.Columns = append(t.Columns, sql.Column{
			Name: c.Name, Type: c.Type, Nullable: !c.NotNull && c.PK == 0, Computed: c.Hidden == 2 || c.Hidden == 3,
			Integers: aff != affText && aff != affReal, Texts: aff == affText || aff == affBlob, Binary: binary,
		})
		if c.PK > 0 {
			key = append(key, c.Name)
		}
	}
	if len(key) == 1 {
		// The rowid has no index of its own, and is no text. Another key has, and stands below.
		for _, c := range columns {
			if c.PK > 0 && strings.EqualFold(c.Type, "INTEGER") {
				t.Indexes = append(t.Indexes, sql.Index{Columns: key, Unique: true, Binary: true})
			}
		}
	}
	return t, d.indexes(ctx, q, t)
}

func (d *dialect) indexes(ctx context.Context, q sqlx.QueryerContext, t *sql.Table) error {
	var parts []struct {
		Index   string
		Unique  bool
		Partial bool
		Column  *string // NULL: an expression
		Coll    *string
	}
	err := sqlx.SelectContext(ctx, q, &parts, `SELECT l.name AS "index", l."unique", l.partial, x.name AS "column", x.coll
		FROM pragma_index_list(?) AS l, pragma_index_xinfo(l.name) AS x WHERE x.key ORDER BY l.seq, x.seqno`, t.Name)
	if err != nil {
		return err
	}
	last := ""
	for _, p := range parts {
		if p.Index != last {
			t.Indexes = append(t.Indexes, sql.Index{Name: p.Index, Unique: p.Unique, Binary: true, Partial: p.Partial})
			last = p.Index
		}
		x := &t.Indexes[len(t.Indexes)-1]
		name := ""
		if p.Column != nil {
			name = *p.Column
		}
		x.Columns = append(x.Columns, name)
		x.Binary = x.Binary && p.Coll != nil && strings.EqualFold(*p.Coll, "BINARY")
	}
	return nil
}

// checkEncoding refuses databases whose text is UTF-16: there, bytes do not sort as they do
// elsewhere.
func (d *dialect) checkEncoding(ctx context.Context, q sqlx.QueryerContext) error {
	var encoding string
	if err := sqlx.GetContext(ctx, q, &encoding, "PRAGMA encoding"); err != nil {
		return err
	}
	if encoding != "UTF-8" {
		return fmt.Errorf("%s keeps its text as %s: only UTF-8 sorts by bytes as stores do", d.Location(), encoding)
	}
	return nil
}

// SQLite's column affinities: what a column makes of a value.
type aff int

const (
	affText aff = iota
	affInteger
	affBlob
	affReal
	affNumeric
)

// affinity implements the rules of SQLite's documentation, "Determination Of Column Affinity".
func affinity(declared string) aff {
	s := strings.ToUpper(declared)
	has := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(s, p) {
				return true
			}
		}
		return false
	}
	switch {
	case has("INT"):
		return affInteger
	case has("CHAR", "CLOB", "TEXT"):
		return affText
	case s == "" || has("BLOB"):
		return affBlob
	case has("REAL", "FLOA", "DOUB"):
		return affReal
	}
	return affNumeric
}

// Classify implements [sql.Dialect].
func (d *dialect) Classify(err error) sql.Class {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return sql.Other
	}
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_ROWID:
		return sql.Unique
	case sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC:
		return sql.Lost
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_ERROR:
		if strings.Contains(e.Error(), "no such table: ") {
			return sql.NoTable
		}
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return sql.Busy
	case sqlite3.SQLITE_READONLY:
		return sql.ReadOnly
	case sqlite3.SQLITE_TOOBIG:
		return sql.TooLarge
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN:
		return sql.Failing
	}
	return sql.Other
}
