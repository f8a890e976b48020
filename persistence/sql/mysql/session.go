package mysql

import (
	"context"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"
)

// A pin is a session variable that every connection is set to, whatever the server's configuration,
// its init_connect or the caller of New have made of it.
type pin struct {
	name, value string
	only        string // the beginning of a comment that some servers alone execute; "": all know it
}

// What begins a comment that a server executes from its version on: MySQL passes over those of
// MariaDB, and MariaDB over those of MySQL 5.7 and later.
const (
	mariaDB      = "/*M!100200"
	mariaDB10207 = "/*M!100207"
	mariaDB103   = "/*M!100300"
	mariaDB10307 = "/*M!100307"
	mariaDB10502 = "/*M!100502"
	mySQL8       = "/*!80000"
)

// pins are the variables that could change an answer, end a statement or fail a write. All of them
// may be set by any user. docs/servers.md says of each what it would do, and what is left alone.
// The order counts: max_join_size changes sql_big_selects.
var pins = []pin{
	{name: "sql_mode", value: "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'"},
	{name: "character_set_client", value: "'utf8mb4'"},
	{name: "character_set_results", value: "'utf8mb4'"},
	{name: "collation_connection", value: "'utf8mb4_bin'"},
	{name: "lc_messages", value: "'en_US'"}, // Classify reads some messages

	{name: "autocommit", value: "1"},
	{name: "completion_type", value: "'NO_CHAIN'"},
	{name: "timestamp", value: "DEFAULT"}, // the clock; DEFAULT is no value of the server's
	{name: "foreign_key_checks", value: "1"},
	{name: "unique_checks", value: "1"},
	{name: "check_constraint_checks", value: "1", only: mariaDB},

	{name: "sql_select_limit", value: greatest64},
	{name: "max_join_size", value: greatest64},
	{name: "sql_big_selects", value: "1"},
	{name: "sql_safe_updates", value: "0"},
	{name: "sql_auto_is_null", value: "0"},
	{name: "sql_buffer_result", value: "0"},
	{name: "sql_if_exists", value: "0", only: mariaDB10502},
	{name: "system_versioning_asof", value: "DEFAULT", only: mariaDB10307}, // likewise
	{name: "alter_algorithm", value: "'DEFAULT'", only: mariaDB10307},
	// Claims rely on a join that reads its rows in the order of its first table.
	{name: "join_cache_level", value: "2", only: mariaDB},
	{name: "optimizer_switch", value: "'batched_key_access=off'", only: mySQL8},

	{name: "max_statement_time", value: "0", only: mariaDB},
	{name: "max_execution_time", value: "0", only: mySQL8},
	{name: "max_session_mem_used", value: "9223372036854775807", only: mariaDB},
	{name: "tmp_disk_table_size", value: greatest64, only: mariaDB10207},

	// A wait that is part of a commit is deaf to the caller's context: it must end.
	{name: "innodb_lock_wait_timeout", value: "5"},
	{name: "lock_wait_timeout", value: "5"},
	// A View is idle for as long as its caller takes, but a writer that is has died.
	{name: "wait_timeout", value: "greatest(@@wait_timeout, 28800)"},
	{name: "net_read_timeout", value: "greatest(@@net_read_timeout, 30)"},
	{name: "net_write_timeout", value: "greatest(@@net_write_timeout, 60)"},
	{name: "idle_transaction_timeout", value: "0", only: mariaDB103},
	{name: "idle_readonly_transaction_timeout", value: "0", only: mariaDB103},
	{name: "idle_write_transaction_timeout", value: "60", only: mariaDB103},

	// By default a text is sorted by its first 1,024 bytes, and the rest of a query then compares
	// all of it. A sort needs a buffer of some 15 keys at least.
	{name: "max_sort_length", value: "65536"},
	{name: "sort_buffer_size", value: "4194304"},
}

const greatest64 = "18446744073709551615"

// setup returns the statements that a connection begins with: they set pins, and then more.
// readOnly: the server refuses to write, should this package ever try to.
func setup(readOnly bool, more ...pin) []string {
	access := "READ WRITE"
	if readOnly {
		access = "READ ONLY"
	}
	var set strings.Builder
	for _, list := range [][]pin{pins, more} {
		for _, p := range list {
			text := p.name + " = " + p.value
			switch {
			case p.only != "":
				fmt.Fprintf(&set, " %s , %s */", p.only, text)
			case set.Len() > 0:
				set.WriteString(", " + text)
			default:
				set.WriteString("SET " + text)
			}
		}
	}
	return []string{
		set.String(),
		// As variables these have two names each.
		"SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, " + access,
	}
}

// examined are the session variables that only a privileged user may set.
var examined = []string{"binlog_format", "enforce_storage_engine", "log_bin", "wsrep_on", "wsrep_provider"}

// examine looks at the variables that cannot be pinned.
func (d *dialect) examine(ctx context.Context, c *sqlx.Conn, create bool) error {
	vars, err := variables(ctx, c, "VARIABLES", examined)
	if err != nil {
		return err
	}
	d.traits.BeginWrite = beginWrite
	if vars["log_bin"] == "ON" && vars["binlog_format"] == "STATEMENT" {
		d.traits.BeginWrite = beginLoggedWrite
	}
	d.traits.BeginExclusive, d.ofServer.ForgetsAborts = beginExclusive, false
	if vars["wsrep_on"] == "ON" {
		d.traits.BeginExclusive = nil   // the other nodes would not know of the locks
		d.ofServer.ForgetsAborts = true // of MariaDB 10.11: error 1213 is lost while COM_STMT_PREPARE runs
	}
	if engine := vars["enforce_storage_engine"]; create && engine != "" && !strings.EqualFold(engine, "InnoDB") {
		return fmt.Errorf("%s: enforce_storage_engine is %s on the server, which keeps tables of InnoDB from being made: "+
			"SET GLOBAL enforce_storage_engine = NULL, or make the tables elsewhere and open the store with NoCreate", d.Location(), engine)
	}
	if provider := vars["wsrep_provider"]; vars["wsrep_on"] == "OFF" && provider != "" && provider != "none" {
		status, err := variables(ctx, c, "STATUS", []string{"wsrep_connected"})
		if err != nil {
			return err
		}
		if status["wsrep_connected"] == "ON" {
			return fmt.Errorf("%s: wsrep_on is OFF on a node of a Galera cluster, and no other node would get what is written: SET GLOBAL wsrep_on = ON", d.Location())
		}
	}
	return nil
}

// variables returns the values of those variables that the server has. kind is VARIABLES or STATUS.
func variables(ctx context.Context, c *sqlx.Conn, kind string, names []string) (map[string]string, error) {
	vars := map[string]string{}
	var name, value string
	err := each(ctx, c, "SHOW SESSION "+kind+" WHERE variable_name IN ('"+strings.Join(names, "', '")+"')", nil,
		[]any{&name, &value}, func() { vars[strings.ToLower(name)] = value })
	return vars, err
}
