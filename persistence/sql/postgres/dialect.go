package postgres

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/sql"
)

// dialect is what the engine has to know of PostgreSQL.
type dialect struct {
	location string
	schema   string
	choosy   bool // a server that cannot be written is the wrong one
	pool     driver.Pool
	sessions *sessions
	// One of the two:
	connector *connector
	db        *sqlx.DB    // the caller's
	checked   atomic.Bool // the schema is there
}

var _ sql.Dialect = (*dialect)(nil)

// maxValue is below the 1 GB that a message to the server may have.
const maxValue = 1<<30 - 1<<20

const beginWrite = "BEGIN ISOLATION LEVEL READ COMMITTED"

var traits = sql.Traits{
	Name:       "postgres",
	Quote:      '"',
	BindType:   sqlx.DOLLAR,
	BeginWrite: []string{beginWrite},
	BeginRead:  "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
	// The lock is that of the objects alone. Writers that come meanwhile queue up, so it waits no
	// longer than a second at a time for those that are there.
	BeginExclusive: func(tables []string) []string {
		return []string{beginWrite, "SET LOCAL lock_timeout = '1s'; LOCK TABLE " + tables[0] + " IN EXCLUSIVE MODE"}
	},
	PartialIndexes: true,
	Returning:      true,
	InsertShapes:   []int{1, 8, 64, 512},
	MaxParams:      65535,
	MaxValue:       maxValue,
	Compact:        []string{"VACUUM (ANALYZE) %s"},
}

var serverTraits = sql.ServerTraits{
	Array:       func(keys any) any { return pq.Array(keys) },
	Now:         "CAST(extract(epoch FROM statement_timestamp()) * 1000000 AS BIGINT)",
	SkipLocked:  "FOR UPDATE SKIP LOCKED",
	InitLock:    "SELECT 1 FROM pg_catalog.pg_advisory_xact_lock(7020893141217768302)", // a number of Brine's
	CancelTells: true,
	Stale:       stalePlan,
	Advice:      advice,
}

func (d *dialect) Traits() *sql.Traits { return &traits }

func (d *dialect) Location() string { return d.location }

func (d *dialect) Type(t sql.ColumnType) string {
	switch t {
	case sql.TextID, sql.ShortText, sql.Text:
		return `TEXT COLLATE "C"`
	case sql.State:
		return fmt.Sprintf(`VARCHAR(%d) COLLATE "C"`, driver.MaxStateLen)
	case sql.Blob, sql.FieldBlob, sql.FieldIndex:
		return "BYTEA"
	case sql.Float:
		return "DOUBLE PRECISION"
	case sql.Bool:
		return "BOOLEAN"
	}
	return "BIGINT"
}

// Express implements [sql.Dialect].
func (d *dialect) Express(f sql.Function, expr string) string {
	switch f {
	case sql.AsText, sql.Binary:
		return "CAST(" + expr + ` AS TEXT) COLLATE "C"`
	case sql.Contains:
		return "strpos(" + expr + ", ?) > 0"
	case sql.CharLength:
		return "length(" + expr + ")"
	case sql.OpaqueText:
		// If the planner sees the text, it finds plans that seem so much cheaper than one for any
		// text that it makes a new one each time.
		return "(SELECT CAST(" + expr + " AS TEXT))"
	}
	return expr
}

// classes are the SQLSTATEs that mean something to the engine; two letters stand for a whole class.
var classes = map[string]sql.Class{
	"23505": sql.Unique, // unique_violation

	"40001": sql.Busy, // serialization_failure
	"40P01": sql.Busy, // deadlock_detected
	"55P03": sql.Busy, // lock_not_available
	"57P03": sql.Busy, // cannot_connect_now: starting up, or shutting down
	"53300": sql.Busy, // too_many_connections
	"42P07": sql.Busy, // duplicate_table, and the next: another program made it at the same moment
	"42701": sql.Busy, // duplicate_column

	"25006": sql.ReadOnly, // read_only_sql_transaction
	"42501": sql.ReadOnly, // insufficient_privilege

	"22001": sql.TooLarge, // string_data_right_truncation, of a column made by hand
	"54000": sql.TooLarge, // program_limit_exceeded

	"08":    sql.Lost, // connection_exception
	"57P01": sql.Lost, // admin_shutdown
	"57P02": sql.Lost, // crash_shutdown
	"57P05": sql.Lost, // idle_session_timeout
	"25P03": sql.Lost, // idle_in_transaction_session_timeout

	"28":    sql.Failing, // invalid_authorization_specification
	"3D":    sql.Failing, // invalid_catalog_name
	"42P01": sql.NoTable, // undefined_table
	"53":    sql.Failing, // insufficient_resources
	"58":    sql.Failing, // system_error
	"XX":    sql.Failing, // internal_error
}

// state returns the SQLSTATE of an error; "": it is none of the server's.
func state(err error) string {
	var e interface{ SQLState() string }
	if errors.As(err, &e) {
		return e.SQLState()
	}
	return ""
}

// Classify implements [sql.Dialect].
func (d *dialect) Classify(err error) sql.Class {
	if code := state(err); len(code) == 5 {
		switch {
		case stalePlan(err):
			return sql.Busy
		case rowSecurity(err):
			return sql.Failing
		case d.choosy && code == "25006":
			return sql.Gone // the server has become a standby
		case code == "XX000" && strings.Contains(err.Error(), "invalid memory alloc request size"):
			return sql.TooLarge
		}
		if class, ok := classes[code]; ok {
			return class
		}
		return classes[code[:2]]
	}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return sql.Other
	case errors.Is(err, errUnsuitable):
		return sql.Gone
	}
	// The driver says ErrBadConn of connections that break in the middle of a statement too.
	for _, lost := range [...]error{sqldriver.ErrBadConn, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, os.ErrDeadlineExceeded, syscall.EPIPE, syscall.ECONNRESET} {
		if errors.Is(err, lost) {
			return sql.Lost
		}
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return sql.Lost
	}
	if err != nil && strings.Contains(err.Error(), "unexpected message") {
		return sql.Lost // the driver has lost the thread
	}
	return sql.Other
}

// stalePlan: a table has changed since the statement was prepared.
func stalePlan(err error) bool {
	switch state(err) {
	case "0A000": // feature_not_supported
		return routine(err) == "RevalidateCachedQuery"
	case "26000": // invalid_sql_statement_name: something between us and the server has forgotten it
		return true
	}
	return false
}

// rowSecurity: a policy would hide rows.
func rowSecurity(err error) bool { return state(err) == "42501" && routine(err) == "check_enable_rls" }

// noPolicies says what to do about policies that would hide rows.
const noPolicies = "give the role BYPASSRLS, or let it own the table without FORCE ROW LEVEL SECURITY"

// advice says what to do about an error where the server does not say so.
func advice(err error) string {
	switch {
	case state(err) == "25006":
		return "default_transaction_read_only is on for the role, the database or the server, or the server is a standby"
	case rowSecurity(err):
		return noPolicies
	}
	return ""
}

// routine returns the function of the server that an error comes from: texts are in the language
// that lc_messages says.
func routine(err error) string {
	if e, ok := errors.AsType[*pq.Error](err); ok {
		return e.Routine
	}
	return ""
}
