package testserver

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"
)

// MariaDB starts a MariaDB server of t's own, or skips t where there is none to start. It is
// stopped and its folder removed when t ends. Its superuser is root, its default database test.
func MariaDB(t testing.TB, opts ...Option) *Server {
	t.Helper()
	return start(t, mariadb, newConfig(opts))
}

// SharedMariaDB returns a MariaDB server that all tests of this process share, started at the first
// use, for tests that do not hurt it. The test binary's TestMain must end with [Main].
func SharedMariaDB(t testing.TB) *Server {
	t.Helper()
	return share(t, mariadb)
}

var mariadb = &mariaEngine{}

type mariaEngine struct {
	find            sync.Once
	server, install string
	tmpl            template
}

func (e *mariaEngine) locate() error {
	if !supported {
		return errUnsupported
	}
	e.find.Do(func() {
		e.server, _ = findBinary("mariadbd", "/usr/local/mysql/bin")
		e.install, _ = findBinary("mariadb-install-db", "/usr/local/mysql/scripts")
	})
	if e.server == "" || e.install == "" {
		return errors.New("no MariaDB server on this machine: install the package mariadb-server")
	}
	return nil
}

func (e *mariaEngine) template() (string, error) { return e.tmpl.get("my-template", e.initialise) }

func (e *mariaEngine) initialise(data string) error {
	return run(filepath.Dir(data), e.install, "--no-defaults", "--auth-root-authentication-method=normal",
		"--skip-test-db", "--skip-name-resolve", "--datadir="+data, "--tmpdir="+filepath.Dir(data), "--innodb-log-file-size=16M")
}

func (e *mariaEngine) prepare(*instance) error { return nil }

func (e *mariaEngine) argv(i *instance) []string {
	argv := []string{
		e.server, "--no-defaults", "--datadir=" + i.data(), "--tmpdir=" + i.dir, "--socket=" + i.socket(),
		"--pid-file=" + filepath.Join(i.dir, "pid"), "--innodb-flush-log-at-trx-commit=2", "--innodb-log-file-size=16M",
		"--character-set-server=utf8mb4", "--skip-log-bin", "--skip-name-resolve", "--max-connections=300",
	}
	if i.port == 0 {
		argv = append(argv, "--skip-networking")
	} else {
		argv = append(argv, "--bind-address=127.0.0.1", "--port="+strconv.Itoa(i.port))
	}
	if i.cfg.tls {
		argv = append(argv, "--ssl-ca="+i.caFile(), "--ssl-cert="+i.certFile(), "--ssl-key="+i.keyFile())
	}
	return append(argv, i.cfg.flags...)
}

func (e *mariaEngine) open(i *instance, db string) (*sql.DB, error) {
	c := mysql.NewConfig()
	c.User, c.Net, c.Addr, c.DBName = "root", "unix", i.socket(), db
	c.Logger = &mysql.NopLogger{} // it would report every server that was killed on purpose
	conn, err := mysql.NewConnector(c)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(conn), nil
}

func (e *mariaEngine) settle(ctx context.Context, db *sql.DB, i *instance) error {
	stmts := []string{"CREATE DATABASE IF NOT EXISTS test"}
	for _, u := range i.cfg.users {
		// A user of any host loses against an anonymous one of this host, so both are named.
		for _, host := range []string{"localhost", "127.0.0.1"} {
			name := sqlText(u.name) + "@" + sqlText(host)
			stmts = append(stmts, "CREATE USER "+name+" IDENTIFIED BY "+sqlText(u.password),
				"GRANT ALL PRIVILEGES ON *.* TO "+name+" WITH GRANT OPTION")
		}
	}
	for _, q := range stmts {
		if _, err := db.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

func sqlText(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(s) + "'"
}

func (e *mariaEngine) createDB(ctx context.Context, db *sql.DB, name string) error {
	_, err := db.ExecContext(ctx, "CREATE DATABASE "+name)
	return err
}

// dropDB ends the connections first: an open transaction would keep its locks on the tables.
func (e *mariaEngine) dropDB(ctx context.Context, db *sql.DB, name string) error {
	rows, err := db.QueryContext(ctx, "SELECT id FROM information_schema.processlist WHERE db = ?", name)
	if err != nil {
		return err
	}
	defer rows.Close()
	var ids []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return err
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, id := range ids {
		_, _ = db.ExecContext(ctx, fmt.Sprintf("KILL %d", id)) // it may have gone by itself
	}
	_, err = db.ExecContext(ctx, "DROP DATABASE IF EXISTS "+name)
	return err
}

func (e *mariaEngine) released(string) {}

func (e *mariaEngine) url(i *instance, db string, tcp bool) string {
	db = cmp.Or(db, "test")
	if tcp {
		return fmt.Sprintf("mysql://root@%s/%s", i.addr(), db)
	}
	return fmt.Sprintf("mysql://root@/%s?socket=%s", db, quoteQuery(i.socket()))
}

func (e *mariaEngine) shutdown() signal { return terminate }
