package testserver

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// kinds are the servers for which the same must hold.
var kinds = map[string]struct {
	start func(testing.TB, ...Option) *Server
	share func(testing.TB) *Server
}{
	"PostgreSQL": {Postgres, SharedPostgres},
	"MariaDB":    {MariaDB, SharedMariaDB},
}

func eachKind(t *testing.T, f func(t *testing.T, start func(testing.TB, ...Option) *Server, share func(testing.TB) *Server)) {
	t.Parallel()
	for name, k := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, k.start, k.share)
		})
	}
}

func execute(t *testing.T, db *sql.DB, stmts ...string) {
	t.Helper()
	for _, q := range stmts {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

func count(t *testing.T, db *sql.DB) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM kept").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestKilledServerKeepsItsRows(t *testing.T) {
	eachKind(t, func(t *testing.T, start func(testing.TB, ...Option) *Server, _ func(testing.TB) *Server) {
		s := start(t)
		db := s.Open(t, s.NewDB(t))
		execute(t, db, "CREATE TABLE kept (id int)", "INSERT INTO kept VALUES (1), (2), (3)")
		for range 2 {
			s.Kill()
			if err := db.PingContext(t.Context()); err == nil {
				t.Fatal("a killed server answers")
			}
			s.Restart()
			if n := count(t, db); n != 3 {
				t.Errorf("%d rows are left of 3", n)
			}
		}
	})
}

func TestRestartOfARunningServerEndsItInGoodOrder(t *testing.T) {
	eachKind(t, func(t *testing.T, start func(testing.TB, ...Option) *Server, _ func(testing.TB) *Server) {
		s := start(t, TCP())
		port := s.TCP()
		db := s.Open(t, s.NewDB(t))
		execute(t, db, "CREATE TABLE kept (id int)", "INSERT INTO kept VALUES (1)")
		s.Restart()
		if n := count(t, db); n != 1 || s.TCP() != port {
			t.Errorf("%d rows, at %s instead of %s", n, s.TCP(), port)
		}
		if log := s.Log(); !strings.Contains(strings.ToLower(log), "shutdown complete") && !strings.Contains(log, "database system is shut down") {
			t.Errorf("no orderly end in the log:\n%s", log)
		}
		conn, err := net.Dial("tcp", s.TCP())
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	})
}

func TestPausedServerAcceptsAndDoesNotAnswer(t *testing.T) {
	eachKind(t, func(t *testing.T, start func(testing.TB, ...Option) *Server, _ func(testing.TB) *Server) {
		s := start(t)
		db := s.Open(t, "")
		conn, err := db.Conn(t.Context()) // whose process must stop too
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		s.Pause()
		answer := make(chan error, 1)
		go func() {
			// Without a deadline: lib/pq waits for the answer in spite of it.
			_, err := conn.ExecContext(context.WithoutCancel(t.Context()), "SELECT 1")
			answer <- err
		}()
		c, err := net.Dial("unix", socketOf(s))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(200 * time.Millisecond))
		_, _ = c.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47}) // PostgreSQL's question for TLS; MariaDB speaks first
		if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a paused server answers a new client: %d bytes, %v", n, err)
		}
		select {
		case err := <-answer:
			t.Errorf("a paused server answers: %v", err)
			answer <- err
		default:
		}
		s.Resume()
		if err := <-answer; err != nil {
			t.Errorf("a resumed server: %v", err)
		}
	})
}

func socketOf(s *Server) string {
	pg := filepath.Join(s.Dir(), ".s.PGSQL.5432")
	if _, err := os.Stat(pg); err == nil {
		return pg
	}
	return s.inst.socket()
}

func TestSharedServerIsOneAndItsDatabasesAreApart(t *testing.T) {
	eachKind(t, func(t *testing.T, _ func(testing.TB, ...Option) *Server, share func(testing.TB) *Server) {
		s := share(t)
		if other := share(t); other.Dir() != s.Dir() {
			t.Errorf("two shared servers: %s and %s", s.Dir(), other.Dir())
		}
		if s.TCP() != "" {
			t.Errorf("it listens on %s", s.TCP())
		}
		var name string
		t.Run("in use", func(t *testing.T) {
			name = s.NewDB(t)
			one, two := s.Open(t, name), s.Open(t, s.NewDB(t))
			execute(t, one, "CREATE TABLE kept (id int)", "INSERT INTO kept VALUES (1)")
			execute(t, two, "CREATE TABLE kept (id int)")
			if a, b := count(t, one), count(t, two); a != 1 || b != 0 {
				t.Errorf("%d and %d rows instead of 1 and 0", a, b)
			}
			tx, err := one.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = tx.Rollback() })
			if _, err := tx.Exec("INSERT INTO kept VALUES (2)"); err != nil { // it holds a lock on the table when the test ends
				t.Fatal(err)
			}
		})
		if err := s.Open(t, name).PingContext(t.Context()); err == nil {
			t.Error("the database of a test that has ended is still there")
		}
	})
}

func TestFlagsWin(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		start func(testing.TB, ...Option) *Server
		flags []string
		query string
	}{
		"PostgreSQL": {Postgres, []string{"-c", "max_connections=17"}, "SHOW max_connections"},
		"MariaDB":    {MariaDB, []string{"--max-connections=17"}, "SELECT @@max_connections"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got string
			if err := c.start(t, Flags(c.flags...)).Open(t, "").QueryRowContext(t.Context(), c.query).Scan(&got); err != nil {
				t.Fatal(err)
			}
			if got != "17" {
				t.Errorf("max_connections is %s", got)
			}
		})
	}
}

func TestFolderIsShortAndPrivate(t *testing.T) {
	eachKind(t, func(t *testing.T, _ func(testing.TB, ...Option) *Server, share func(testing.TB) *Server) {
		dir := share(t).Dir()
		if n := len(filepath.Join(dir, ".s.PGSQL.5432")); n > 103 {
			t.Errorf("a socket in %s has a path of %d bytes", dir, n)
		}
		fi, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if fi.Mode().Perm() != 0o700 {
			t.Errorf("others may enter %s: %v", dir, fi.Mode())
		}
	})
}
