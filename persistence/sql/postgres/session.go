package postgres

import (
	"cmp"
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/jmoiron/sqlx"

	"github.com/brine-go/brine/persistence/sql"
)

// The values of the parameter pooler.
const (
	sessionPooler     = "session"
	transactionPooler = "transaction"
)

// pins are the settings that must not depend on what the server, the database, the role or another
// client of a pooler has set, with their values as SQL expressions. Those that a server does not
// know are left out. docs/servers.md says why each is here, and why others are not.
var pins = []struct{ name, value string }{
	// Text and numbers arrive as they are.
	{"client_encoding", "'UTF8'"},
	{"extra_float_digits", "'1'"},
	{"standard_conforming_strings", "'on'"},
	// All rows that the conditions select are given. A policy that would hide some is an error.
	{"row_security", "'off'"},
	{"gin_fuzzy_search_limit", "'0'"},
	// Nothing ends a statement or a connection but the context of the call.
	{"statement_timeout", "'0'"},
	{"lock_timeout", "'0'"},
	{"idle_in_transaction_session_timeout", "'0'"},
	{"idle_session_timeout", "'0'"},
	{"transaction_timeout", "'0'"},
	{"exit_on_error", "'off'"},
	// A single statement is a transaction like those that say so.
	{"default_transaction_isolation", "'read committed'"},
	// Compiling the plans of queries with long lists takes longer than running them.
	{"jit", "'off'"},
}

// durable is a pin too, unless the URL says what synchronous_commit is to be: what has been
// acknowledged survives a crash of the server. What waits for more than its own disk stays.
const durable = "CASE pg_catalog.current_setting('synchronous_commit') WHEN 'off' THEN 'local' ELSE pg_catalog.current_setting('synchronous_commit') END"

// pinned is the FROM and WHERE of a SELECT that has a row for each setting to make: the pins, and
// those of more, which are rows of VALUES.
func (s *sessions) pinned(more ...string) string {
	var rows []string
	add := func(name, value string) { rows = append(rows, "('"+name+"', "+value+")") }
	for _, p := range pins {
		add(p.name, p.value)
	}
	if !strings.Contains(s.options, "synchronous_commit") {
		add("synchronous_commit", durable)
	}
	if s.schema != "" {
		add("search_path", `'"`+s.schema+`"'`)
	}
	rows = append(rows, more...)
	return "FROM (VALUES " + strings.Join(rows, ", ") + ") AS p (name, value) WHERE pg_catalog.current_setting(p.name, true) IS NOT NULL"
}

// sessions makes the connections of one store ready.
//
// A connection is one session of the server, or it leads to a pooler that may run each of its
// transactions in another session, between those of other clients. Such a connection is shared:
// what belongs to a session, as prepared statements and settings, is neither left there nor
// expected. A session of the connection's own is recognized by its process ID: at the beginning of
// a connection the server tells the real one, and a pooler a number of its own making.
type sessions struct {
	location string
	schema   string // "": what the search_path says
	options  string // of the URL, for the server
	pooler   string // as the URL says it; "": not said
	logger   *slog.Logger
	readOnly bool // as OpenOptions.ReadOnly says

	told    sync.Once   // that a connection is shared
	checked atomic.Bool // that a transaction may have several statements
	hasty   atomic.Bool // a connection was lost before its settings were made
}

// traits returns those of servers for these sessions.
func (s *sessions) traits() *sql.ServerTraits {
	t := serverTraits
	t.SharedBegin = s.begun()
	return &t
}

// begun is what follows the statement that begins a transaction on a shared connection. Another
// client may have left any setting in the session of the server, and so the search_path is taken
// from the role and the database.
func (s *sessions) begun() string {
	text := "SET LOCAL statement_timeout = 0; "
	if s.schema == "" {
		text += "SET LOCAL search_path TO DEFAULT; "
	}
	return text + "SELECT pg_catalog.set_config(p.name, p.value, true) " + s.pinned()
}

// ready makes a new connection ready, and reports whether it is shared. On one to a server it takes
// one round trip.
func (s *sessions) ready(ctx context.Context, c *sqlx.Conn) (shared bool, err error) {
	whether := "false"
	switch id, known := processID(c); {
	case s.pooler == sessionPooler:
		whether = "true"
	case s.pooler == "" && known:
		whether = fmt.Sprintf("pg_catalog.pg_backend_pid() = %d", id)
	}
	own, damaged, err := s.set(ctx, c, whether)
	switch {
	case err != nil:
		if code := state(err); ctx.Err() == nil && (code == "" || code == "57014" || code == "57P05") {
			// Perhaps a statement_timeout or idle_session_timeout, which counts until it is set.
			s.hasty.Store(true)
			err = fmt.Errorf("%w: %w", sqldriver.ErrBadConn, err)
		}
		return false, err
	case damaged != "":
		return false, fmt.Errorf("%s: %s is on: the server would leave out damaged records without an error", s.location, damaged)
	case own:
		return false, nil
	}
	if s.pooler == "" {
		s.told.Do(func() {
			cmp.Or(s.logger, slog.Default()).Info("there is a pooler before the server, so no statement is prepared and each runs in a transaction: pooler=session in the URL is faster where each client of the pooler has a session of the server to itself, pooler=transaction is as it is now",
				"database", s.location)
		})
	}
	return true, s.check(ctx, c)
}

// set makes the settings for the whole session if the SQL condition whether holds, which it
// reports. damaged names the settings that make the server pass over damage; "": none.
func (s *sessions) set(ctx context.Context, c *sqlx.Conn, whether string) (done bool, damaged string, err error) {
	var more []string
	if s.readOnly { // the server refuses to write, should this package ever try to
		more = append(more, "('default_transaction_read_only', 'on')")
	}
	err = c.QueryRowxContext(ctx, "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = 0; SELECT "+whether+
		", (SELECT count(pg_catalog.set_config(p.name, p.value, false)) "+s.pinned(more...)+" AND "+whether+") > 0"+
		", concat_ws(' and ', CASE pg_catalog.current_setting('zero_damaged_pages', true) WHEN 'on' THEN 'zero_damaged_pages' END, "+
		"CASE pg_catalog.current_setting('ignore_checksum_failure', true) WHEN 'on' THEN 'ignore_checksum_failure' END); COMMIT").
		Scan(&done, new(bool), &damaged)
	return done, damaged, err
}

// check returns an error if the pooler gives each statement a session: there are no transactions
// then.
func (s *sessions) check(ctx context.Context, c *sqlx.Conn) error {
	if s.checked.Load() {
		return nil
	}
	_, err := c.ExecContext(ctx, "BEGIN; "+s.begun())
	if err == nil {
		_, err = c.ExecContext(ctx, "ROLLBACK")
	}
	if err != nil && ctx.Err() == nil {
		// PgBouncer hangs up, and the driver may not come to read why. To try again is of no use.
		return fmt.Errorf("%s: the pooler refuses a transaction (%s), as it does in statement mode: transaction or session mode is needed", s.location, err.Error())
	}
	s.checked.Store(err == nil)
	return err
}

// processID returns what a connection of lib/pq was told as the process ID of its session.
func processID(c *sqlx.Conn) (id int64, known bool) {
	err := c.Raw(func(dc any) error {
		v := reflect.ValueOf(dc)
		if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct || v.Elem().Type().PkgPath() != "github.com/lib/pq" {
			return errUnknownDriver
		}
		f := v.Elem().FieldByName("pid")
		if !f.CanInt() {
			return errUnknownDriver
		}
		id = f.Int()
		return nil
	})
	return id, err == nil && id != 0
}

var errUnknownDriver = errors.New("not a connection of lib/pq")
