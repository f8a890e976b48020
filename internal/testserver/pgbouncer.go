package testserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lib/pq"
)

// A Pooler is a PgBouncer before a PostgreSQL server.
type Pooler struct{ dir string }

// PgBouncer starts a PgBouncer of t's own before a PostgreSQL server, or skips t where it is not
// installed. It gives its clients sessions of the server by a pool_mode (session, transaction or
// statement), at most so many at once for each database and user. It knows the superuser test, and
// roles. It is stopped when t ends, and then its clients should have gone.
func PgBouncer(t testing.TB, s *Server, mode string, size int, roles ...string) *Pooler {
	t.Helper()
	require(t, pgBouncer{})
	p, err := newPooler(s.inst, mode, size, append(roles, "test"))
	if err != nil {
		t.Fatal(err)
	}
	proc, err := p.start()
	if err != nil {
		t.Fatal(errors.Join(err, os.RemoveAll(p.dir)))
	}
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := os.ReadFile(p.log())
			t.Logf("the end of the pooler's log:\n%s", log[max(0, len(log)-8000):])
		}
		if err := errors.Join(proc.kill(), os.RemoveAll(p.dir)); err != nil {
			t.Error(err)
		}
	})
	return p
}

// URL returns the store URL of a database by way of the pooler: it is [Server.URL] with another
// folder.
func (p *Pooler) URL(db string) string {
	return fmt.Sprintf("postgres://test@/%s?host=%s&sslmode=disable", db, quoteQuery(p.dir))
}

type pgBouncer struct{}

func (pgBouncer) locate() error {
	if !supported {
		return errUnsupported
	}
	if _, ok := findBinary("pgbouncer"); !ok {
		return errors.New("no PgBouncer on this machine: install the package pgbouncer")
	}
	return nil
}

func (p *Pooler) log() string    { return filepath.Join(p.dir, "log") }
func (p *Pooler) config() string { return filepath.Join(p.dir, "pgbouncer.ini") }
func (p *Pooler) users() string  { return filepath.Join(p.dir, "users") }

// newPooler writes what a pooler reads when it starts.
func newPooler(i *instance, mode string, size int, roles []string) (*Pooler, error) {
	dir, err := newDir("b")
	if err != nil {
		return nil, err
	}
	p := &Pooler{dir: dir}
	var users strings.Builder
	for _, name := range roles {
		fmt.Fprintf(&users, "\"%s\" \"\"\n", name)
	}
	config := fmt.Sprintf(`[databases]
* = host=%s port=5432
[pgbouncer]
listen_addr =
listen_port = 5432
unix_socket_dir = %s
auth_type = trust
auth_file = %s
pool_mode = %s
default_pool_size = %d
max_client_conn = 500
`, i.dir, dir, p.users(), mode, size)
	for path, text := range map[string]string{p.config(): config, p.users(): users.String()} {
		err = errors.Join(err, os.WriteFile(path, []byte(text), 0o600), giveAway(path))
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return p, nil
}

// start starts the pooler and waits until a connection leads through it.
func (p *Pooler) start() (*process, error) {
	bin, _ := findBinary("pgbouncer")
	proc, err := spawn(p.dir, p.log(), []string{bin, p.config()})
	if err != nil {
		return nil, err
	}
	c, err := pq.NewConnector(p.URL("postgres"))
	if err != nil {
		return nil, errors.Join(err, proc.kill())
	}
	db := sql.OpenDB(c)
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		if err = db.PingContext(ctx); err == nil {
			return proc, nil
		}
		if proc.ended() || ctx.Err() != nil {
			log, _ := os.ReadFile(p.log())
			return nil, errors.Join(fmt.Errorf("the pooler does not answer: %w\n%s", err, log), proc.kill())
		}
		time.Sleep(5 * time.Millisecond)
	}
}
