package testserver

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/lib/pq"
)

// Postgres starts a PostgreSQL server of t's own, or skips t where there is none to start. It is
// stopped and its folder removed when t ends. Its superuser is test, its default database postgres.
func Postgres(t testing.TB, opts ...Option) *Server {
	t.Helper()
	return start(t, postgres, newConfig(opts))
}

// SharedPostgres returns a PostgreSQL server that all tests of this process share, started at the
// first use, for tests that do not hurt it. The test binary's TestMain must end with [Main].
func SharedPostgres(t testing.TB) *Server {
	t.Helper()
	return share(t, postgres)
}

var postgres = &pgEngine{}

type pgEngine struct {
	find sync.Once
	bin  string // the folder of the binaries
	tmpl template
}

func (e *pgEngine) locate() error {
	if !supported {
		return errUnsupported
	}
	e.find.Do(func() { e.bin = postgresDir() })
	if e.bin == "" {
		return errors.New("no PostgreSQL server on this machine: install the package postgresql")
	}
	return nil
}

// postgresDir looks for the folder that holds the server with its tools; Debian keeps it out of
// PATH.
func postgresDir() string {
	var dirs []string
	if p, err := exec.LookPath("initdb"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			dirs = append(dirs, filepath.Dir(p))
		}
	}
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.SortFunc(debian, func(a, b string) int { return cmp.Compare(version(b), version(a)) })
	dirs = append(append(dirs, debian...), "/usr/local/pgsql/bin", "/usr/local/bin", "/opt/homebrew/bin")
	for _, d := range dirs {
		complete := true
		for _, name := range []string{"initdb", "postgres", "pg_basebackup"} {
			_, err := exec.LookPath(filepath.Join(d, name))
			complete = complete && err == nil
		}
		if complete && filepath.IsAbs(d) {
			return d
		}
	}
	return ""
}

// version is the 15 of /usr/lib/postgresql/15/bin.
func version(bin string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
	return n
}

func (e *pgEngine) template() (string, error) { return e.tmpl.get("pg-template", e.initialise) }

func (e *pgEngine) initialise(data string) error {
	return run(filepath.Dir(data), filepath.Join(e.bin, "initdb"),
		"-D", data, "-U", "test", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
}

func (e *pgEngine) prepare(i *instance) error {
	if i.port != 0 {
		// The socket's name ends in the port: clients go on finding it under the default one.
		if err := os.Symlink(fmt.Sprintf(".s.PGSQL.%d", i.port), filepath.Join(i.dir, ".s.PGSQL.5432")); err != nil {
			return err
		}
	}
	if len(i.cfg.users) == 0 {
		return nil
	}
	path := filepath.Join(i.data(), "pg_hba.conf")
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, u := range i.cfg.users {
		name := `"` + strings.ReplaceAll(u.name, `"`, `""`) + `"`
		fmt.Fprintf(&b, "local all %[1]s scram-sha-256\nhost all %[1]s all scram-sha-256\n", name)
	}
	b.Write(old)
	return os.WriteFile(path, []byte(b.String()), 0o600)
}

func (e *pgEngine) argv(i *instance) []string {
	argv := []string{
		filepath.Join(e.bin, "postgres"), "-D", i.data(), "-k", i.dir,
		"-c", "fsync=off", "-c", "synchronous_commit=on", "-c", "full_page_writes=off",
		"-c", "max_connections=300",
		// Segments in /dev/shm would outlive a killed server.
		"-c", "dynamic_shared_memory_type=mmap",
	}
	if i.port == 0 {
		argv = append(argv, "-h", "")
	} else {
		argv = append(argv, "-h", "127.0.0.1", "-p", strconv.Itoa(i.port))
	}
	if i.cfg.tls {
		argv = append(argv, "-c", "ssl=on", "-c", "ssl_cert_file="+i.certFile(), "-c", "ssl_key_file="+i.keyFile())
	}
	return append(argv, i.cfg.flags...)
}

func (e *pgEngine) open(i *instance, db string) (*sql.DB, error) {
	c, err := pq.NewConnector(e.url(i, db, false))
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(c), nil
}

func (e *pgEngine) settle(ctx context.Context, db *sql.DB, i *instance) error {
	for _, u := range i.cfg.users {
		q := fmt.Sprintf("CREATE ROLE %s SUPERUSER LOGIN PASSWORD %s", pq.QuoteIdentifier(u.name), pq.QuoteLiteral(u.password))
		if _, err := db.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// createDB copies the files of template1 where the server offers another way too (since version
// 15): for an empty database that takes half the time.
func (e *pgEngine) createDB(ctx context.Context, db *sql.DB, name string) error {
	var version int
	if err := db.QueryRowContext(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		return err
	}
	q := "CREATE DATABASE " + name
	if version >= 150000 {
		q += " STRATEGY FILE_COPY"
	}
	_, err := db.ExecContext(ctx, q)
	return err
}

func (e *pgEngine) dropDB(ctx context.Context, db *sql.DB, name string) error {
	_, err := db.ExecContext(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	return err
}

// released removes the shared memory segment that guards the data folder, and the files that name a
// process which no longer is: its number may be another's by now, and the server would refuse to
// start.
func (e *pgEngine) released(data string) {
	path := filepath.Join(data, "postmaster.pid")
	b, err := os.ReadFile(path)
	if err != nil {
		return
	}
	// The seventh line holds the segment's key and number.
	if lines := strings.Split(string(b), "\n"); len(lines) >= 7 {
		if f := strings.Fields(lines[6]); len(f) == 2 {
			if id, err := strconv.Atoi(f[1]); err == nil {
				removeSegment(id)
			}
		}
	}
	_ = os.Remove(path)
	locks, _ := filepath.Glob(filepath.Join(filepath.Dir(data), ".s.PGSQL.*.lock"))
	for _, l := range locks {
		_ = os.Remove(l)
	}
}

func (e *pgEngine) url(i *instance, db string, tcp bool) string {
	db = cmp.Or(db, "postgres")
	switch {
	case tcp && i.cfg.tls:
		return fmt.Sprintf("postgres://test@%s/%s", i.addr(), db)
	case tcp:
		return fmt.Sprintf("postgres://test@%s/%s?sslmode=disable", i.addr(), db)
	}
	return fmt.Sprintf("postgres://test@/%s?host=%s&sslmode=disable", db, quoteQuery(i.dir))
}

func (e *pgEngine) shutdown() signal { return interrupt }
