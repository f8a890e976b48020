package testserver

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
)

// A Server is a private server of a test, or a shared one as a test sees it. Its methods fail that
// test on errors. They are safe for concurrent use.
type Server struct {
	inst   *instance
	t      testing.TB
	shared bool
}

// start starts a server of t's own.
func start(t testing.TB, e engine, cfg config) *Server {
	t.Helper()
	require(t, e)
	i, err := launch(e, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return own(t, i)
}

// own ties an instance to the end of t.
func own(t testing.TB, i *instance) *Server {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the server's log:\n%s", i.log(0))
		}
		if err := i.remove(); err != nil {
			t.Error(err)
		}
	})
	return &Server{inst: i, t: t}
}

// NewDB makes an empty database of a unique name, which it returns. It is dropped when t ends,
// whoever uses it then.
func (s *Server) NewDB(t testing.TB) string {
	t.Helper()
	s.inst.mu.Lock()
	s.inst.dbs++
	name := fmt.Sprintf("t%d", s.inst.dbs)
	s.inst.mu.Unlock()
	if err := s.inst.with(func(ctx context.Context, db *sql.DB) error {
		return s.inst.engine.createDB(ctx, db, name)
	}); err != nil {
		t.Fatalf("database %s: %v", name, err)
	}
	t.Cleanup(func() {
		if !s.inst.answers() {
			return // it goes with the folder
		}
		if err := s.inst.with(func(ctx context.Context, db *sql.DB) error {
			return s.inst.engine.dropDB(ctx, db, name)
		}); err != nil && s.shared {
			t.Errorf("database %s: %v", name, err)
		}
	})
	return name
}

// Open gives a handle of the superuser on a database over the socket, "" for the default one,
// closed when t ends: to look at what others did. It does not connect yet.
func (s *Server) Open(t testing.TB, db string) *sql.DB {
	t.Helper()
	h, err := s.inst.engine.open(s.inst, db)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// URL returns the store URL of a database over the socket, "" for the default one:
// postgres://test@/db?host=/folder&sslmode=disable or mysql://root@/db?socket=/folder/s.
func (s *Server) URL(db string) string { return s.inst.engine.url(s.inst, db, false) }

// TCPURL is [Server.URL] over TCP, without a parameter where the server offers TLS. Without [TCP]
// it fails the test.
func (s *Server) TCPURL(db string) string {
	if s.inst.port == 0 {
		s.t.Helper()
		s.t.Fatal("the server does not listen on TCP")
	}
	return s.inst.engine.url(s.inst, db, true)
}

// TCP returns the host and port on which the server listens, "" where it does not.
func (s *Server) TCP() string {
	if s.inst.port == 0 {
		return ""
	}
	return s.inst.addr()
}

// CA returns the path of the certificate of the authority that signed the server's, "" without
// [TLS].
func (s *Server) CA() string {
	if !s.inst.cfg.tls {
		return ""
	}
	return s.inst.caFile()
}

// Dir returns the server's folder. It holds PostgreSQL's socket, and the data in its subfolder
// data.
func (s *Server) Dir() string { return s.inst.dir }

// Log returns the end of what the server has logged, a few thousand bytes.
func (s *Server) Log() string { return s.inst.log(0) }

// Kill ends the server and all its processes with SIGKILL, and returns when they are gone. Nothing
// happens if it does not run.
func (s *Server) Kill() {
	s.t.Helper()
	s.act((*instance).kill)
}

// Restart starts the server again on the same folder, socket and port, and returns when it answers.
// If it still runs, it is shut down in good order before.
func (s *Server) Restart() {
	s.t.Helper()
	s.act((*instance).restart)
}

// Stop shuts the server down in good order. Nothing happens if it does not run.
func (s *Server) Stop() {
	s.t.Helper()
	s.act((*instance).shutdown)
}

// Pause stops all processes of the server (SIGSTOP): it accepts connections and never answers.
func (s *Server) Pause() {
	s.t.Helper()
	s.act((*instance).pause)
}

// Resume lets a paused server go on.
func (s *Server) Resume() {
	s.t.Helper()
	s.act((*instance).resume)
}

// act does what would hurt others if the server were shared.
func (s *Server) act(f func(*instance) error) {
	s.t.Helper()
	if s.shared {
		s.t.Fatal("a shared server is not for tests that stop it: start one of your own")
	}
	if err := f(s.inst); err != nil {
		s.t.Fatalf("%s: %v", strings.TrimSuffix(s.inst.dir, "/"), err)
	}
}
