package mysql

import (
	"cmp"
	"context"
	"crypto/tls"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/sql"
)

// dialect is what the engine has to know of MySQL and MariaDB.
type dialect struct {
	traits   sql.Traits
	ofServer sql.ServerTraits
	location string // "": known when the server has been asked
	open     func() *sqlx.DB
	pool     driver.Pool
	readOnly bool                   // as OpenOptions says
	borrowed bool                   // open returns a DB that the caller made
	server   atomic.Pointer[server] // the one found at the last Open
}

var _ sql.Dialect = (*dialect)(nil)

// Connections are at REPEATABLE READ: a consistent snapshot wants it. Writers would lock gaps
// there, so their transactions have a level of their own. But a server that logs statements refuses
// to write at that level, and only a privileged user may have a session log rows instead.
var (
	beginWrite       = []string{"SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "START TRANSACTION"}
	beginLoggedWrite = []string{"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION"}
)

// beginExclusive locks every table that the transaction uses, as LOCK TABLES wants it. A
// transaction under such locks begins by itself; START TRANSACTION would release them. Others queue
// up while it waits, readers too, so it waits no longer than a second at a time.
func beginExclusive(tables []string) []string {
	return []string{"SET autocommit = 0, lock_wait_timeout = 1", "LOCK TABLES " + strings.Join(tables, " WRITE, ") + " WRITE"}
}

func newTraits() sql.Traits {
	return sql.Traits{
		Name:           "mysql",
		Quote:          '`',
		BindType:       sqlx.QUESTION,
		BeginWrite:     beginWrite, // until the server has been asked, as for BeginExclusive: see examine
		BeginRead:      "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
		BeginExclusive: beginExclusive,

		TableOptions:    " ENGINE=InnoDB ROW_FORMAT=DYNAMIC",
		IndexesOfTables: true,
		KeysInIndexes:   []sql.ColumnType{sql.IntegerID, sql.TextID}, // every index of InnoDB has the primary key

		GetShapes: []int{1, 8, 64, 512, 2048, 10000}, // longer lists are slower, and looked up without the index in the end
		MaxParams: 65535,
		MaxValue:  16 << 20, // until the server has been asked
		Compact:   []string{"OPTIMIZE TABLE %s"},
	}
}

func newServerTraits() sql.ServerTraits {
	return sql.ServerTraits{
		Now:           "TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', UTC_TIMESTAMP(6))",
		SkipLocked:    "FOR UPDATE SKIP LOCKED", // until the server has been asked
		LockRows:      lockRows,
		InitLock:      "SELECT GET_LOCK('brine_init', 1)",
		InitUnlock:    "SELECT RELEASE_LOCK('brine_init')",
		ExclusiveOnce: true,
		Stale:         stale,
		ResetChecks:   true,
	}
}

// stale reports whether a statement that gave an error is prepared anew. A Galera node that refuses
// to execute one (1213, 1047) keeps the long values that were sent for it, and adds those of the
// next execution to them.
func stale(err error) bool {
	var e *mysql.MySQLError
	return !errors.As(err, &e) || classes[e.Number] != sql.Unique
}

// claimedID names the IDs of the subquery, unlike any column.
const claimedID = "brine_claimed_id"

// lockRows returns a SELECT that sorts candidates without a lock, and then reads them one after
// the other: InnoDB locks every row that it reads for a statement that locks. The hints keep the
// planner from another way.
func lockRows(s *sql.LockingSelect) string {
	return fmt.Sprintf("SELECT %[1]s FROM (SELECT %[3]s AS %[8]s FROM %[2]s%[5]s%[6]s LIMIT %[7]d) AS c"+
		" STRAIGHT_JOIN %[2]s FORCE INDEX (%[4]s) ON %[2]s.%[3]s = %[8]s%[5]s",
		s.Columns, s.Table, s.ID, s.IDIndex, s.Where, s.OrderBy, s.Candidates, claimedID)
}

func (d *dialect) Traits() *sql.Traits { return &d.traits }

func (d *dialect) Location() string {
	if s := d.server.Load(); d.location == "" && s != nil {
		return s.location()
	}
	return cmp.Or(d.location, "mysql")
}

// Type implements [sql.Dialect]. It is asked after the probe alone, which finds out the name of the
// collation.
func (d *dialect) Type(t sql.ColumnType) string {
	text := func(typ string) string { return typ + " CHARACTER SET utf8mb4 COLLATE " + d.server.Load().collation }
	switch t {
	case sql.TextID:
		return text(fmt.Sprintf("VARCHAR(%d)", driver.MaxIDLen))
	case sql.State:
		return text(fmt.Sprintf("VARCHAR(%d)", driver.MaxStateLen))
	case sql.ShortText:
		return text(fmt.Sprintf("VARCHAR(%d)", driver.MaxIndexedTextLen))
	case sql.Text:
		return text("LONGTEXT")
	case sql.Blob, sql.FieldBlob, sql.FieldIndex:
		return "LONGBLOB"
	case sql.Float:
		return "DOUBLE"
	case sql.Bool:
		return "TINYINT(1)"
	}
	return "BIGINT"
}

// Express implements [sql.Dialect].
func (d *dialect) Express(f sql.Function, expr string) string {
	switch f {
	case sql.AsText:
		return "CAST(" + expr + " AS BINARY)"
	case sql.Binary:
		// Not COLLATE: the one that compares by bytes has two names, and fits one character set.
		return "CAST(CONVERT(" + expr + " USING utf8mb4) AS BINARY)"
	case sql.Contains:
		return "instr(" + expr + ", ?) > 0"
	case sql.CharLength:
		return "char_length(" + expr + ")"
	case sql.GroupKey:
		// Where groups are made by sorting, only the first max_sort_length bytes of a value count.
		return "sha2(" + expr + ", 256)"
	case sql.AsLastInsertID:
		return "LAST_INSERT_ID(" + expr + ")"
	}
	return expr
}

// classes are the errors of the server that mean something to the engine.
var classes = map[uint16]sql.Class{
	1022: sql.Unique, // ER_DUP_KEY
	1062: sql.Unique, // ER_DUP_ENTRY
	1586: sql.Unique, // ER_DUP_ENTRY_WITH_KEY_NAME

	1205: sql.Busy, // ER_LOCK_WAIT_TIMEOUT
	1213: sql.Busy, // ER_LOCK_DEADLOCK; also of COMMIT where another Galera node was quicker
	1305: sql.Busy, // ER_SP_DOES_NOT_EXIST: the transaction is gone, and the engine's savepoint with it
	1020: sql.Busy, // ER_CHECKREAD: innodb_snapshot_isolation
	1412: sql.Busy, // ER_TABLE_DEF_CHANGED since the snapshot
	1615: sql.Busy, // ER_NEED_REPREPARE
	1047: sql.Busy, // ER_UNKNOWN_COM_ERROR: a Galera node that is not ready
	1040: sql.Busy, // ER_CON_COUNT_ERROR
	1203: sql.Busy, // ER_TOO_MANY_USER_CONNECTIONS
	1226: sql.Busy, // ER_USER_LIMIT_REACHED
	1050: sql.Busy, // ER_TABLE_EXISTS_ERROR: another process made it just now; so the next two
	1060: sql.Busy, // ER_DUP_FIELDNAME
	1061: sql.Busy, // ER_DUP_KEYNAME

	1792: sql.ReadOnly, // ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION
	1836: sql.ReadOnly, // ER_READ_ONLY_MODE

	1153: sql.TooLarge, // ER_NET_PACKET_TOO_LARGE
	1406: sql.TooLarge, // ER_DATA_TOO_LONG, of a column made by hand
	1264: sql.TooLarge, // ER_WARN_DATA_OUT_OF_RANGE, likewise
	1118: sql.TooLarge, // ER_TOO_BIG_ROWSIZE
	1301: sql.TooLarge, // ER_WARN_ALLOWED_PACKET_OVERFLOWED

	1053: sql.Lost, // ER_SERVER_SHUTDOWN
	1079: sql.Lost, // ER_SHUTDOWN_COMPLETE
	1152: sql.Lost, // ER_ABORTING_CONNECTION
	1158: sql.Lost, // ER_NET_READ_ERROR
	1159: sql.Lost, // ER_NET_READ_INTERRUPTED
	1160: sql.Lost, // ER_NET_ERROR_ON_WRITE
	1161: sql.Lost, // ER_NET_WRITE_INTERRUPTED
	1180: sql.Lost, // ER_ERROR_DURING_COMMIT
	1184: sql.Lost, // ER_NEW_ABORTING_CONNECTION
	1927: sql.Lost, // ER_CONNECTION_KILLED, of MariaDB
	4031: sql.Lost, // ER_CLIENT_INTERACTION_TIMEOUT, of MySQL

	1021: sql.Failing, // ER_DISK_FULL
	1030: sql.Failing, // ER_GET_ERRNO
	1044: sql.Failing, // ER_DBACCESS_DENIED_ERROR
	1045: sql.Failing, // ER_ACCESS_DENIED_ERROR
	1049: sql.Failing, // ER_BAD_DB_ERROR
	1114: sql.Failing, // ER_RECORD_FILE_FULL
	1129: sql.Failing, // ER_HOST_IS_BLOCKED
	1130: sql.Failing, // ER_HOST_NOT_PRIVILEGED
	1146: sql.NoTable, // ER_NO_SUCH_TABLE
	1193: sql.Failing, // ER_UNKNOWN_SYSTEM_VARIABLE
	1665: sql.Failing, // ER_BINLOG_STMT_MODE_AND_ROW_ENGINE: binlog_format was set since the store was opened
	1698: sql.Failing, // ER_ACCESS_DENIED_NO_PASSWORD_ERROR
	3159: sql.Failing, // ER_SECURE_TRANSPORT_REQUIRED
}

// Classify implements [sql.Dialect].
func (d *dialect) Classify(err error) sql.Class {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		switch {
		case e.Number == 1105 && (strings.Contains(e.Message, "max_allowed_packet") || strings.Contains(e.Message, "max_long_data_size")):
			return sql.TooLarge // ER_UNKNOWN_ERROR, of a parameter sent in pieces
		case e.Number == 1142: // ER_TABLEACCESS_DENIED_ERROR
			if strings.HasPrefix(e.Message, "SELECT ") {
				return sql.Failing
			}
			return sql.ReadOnly
		case e.Number == 1290: // ER_OPTION_PREVENTS_STATEMENT, which names the option
			if strings.Contains(e.Message, "read-only") || strings.Contains(e.Message, "read_only") {
				return sql.ReadOnly
			}
			return sql.Failing
		}
		return classes[e.Number]
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return sql.Other
	}
	var silent *silentError
	switch {
	case errors.As(err, &silent), errors.Is(err, errNotWritable), errors.Is(err, sqldriver.ErrBadConn):
		return sql.Gone // nothing was sent
	case errors.Is(err, mysql.ErrPktTooLarge):
		return sql.TooLarge
	}
	for _, lost := range [...]error{mysql.ErrInvalidConn, mysql.ErrMalformPkt, mysql.ErrPktSync, mysql.ErrPktSyncMul, mysql.ErrBusyBuffer, io.EOF, io.ErrUnexpectedEOF, io.ErrShortWrite} {
		if errors.Is(err, lost) {
			return sql.Lost
		}
	}
	var ne net.Error
	if errors.As(err, &ne) {
		return sql.Lost
	}
	var cert *tls.CertificateVerificationError
	var alert tls.AlertError
	if errors.As(err, &cert) || errors.As(err, &alert) || errors.Is(err, mysql.ErrNoTLS) || errors.Is(err, mysql.ErrUnknownPlugin) ||
		errors.Is(err, mysql.ErrCleartextPassword) || errors.Is(err, mysql.ErrNativePassword) || errors.Is(err, mysql.ErrOldPassword) || errors.Is(err, mysql.ErrOldProtocol) {
		return sql.Failing
	}
	return sql.Other
}
