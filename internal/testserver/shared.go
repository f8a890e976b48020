package testserver

import (
	"fmt"
	"os"
	"sync"
	"testing"
)

// shared are the servers that all tests of the process use, by kind.
var shared struct {
	mu      sync.Mutex
	servers map[engine]*sharedServer
}

type sharedServer struct {
	once sync.Once
	inst *instance
	err  error
}

// share gives t its view of the shared server, starting it if t is the first.
func share(t testing.TB, e engine) *Server {
	t.Helper()
	require(t, e)
	shared.mu.Lock()
	s := shared.servers[e]
	if s == nil {
		s = &sharedServer{}
		if shared.servers == nil {
			shared.servers = map[engine]*sharedServer{}
		}
		shared.servers[e] = s
	}
	shared.mu.Unlock()
	s.once.Do(func() { s.inst, s.err = launch(e, config{}) })
	if s.err != nil {
		t.Fatal(s.err)
	}
	return &Server{inst: s.inst, t: t, shared: true}
}

// Main runs the tests, stops the shared servers, removes every folder, calls after in turn (a check
// for leaked goroutines, say, which may end the process itself) and ends the process with the
// tests' code.
func Main(m *testing.M, after ...func()) {
	code := m.Run()
	if err := cleanUp(); err != nil {
		fmt.Fprintln(os.Stderr, "testserver:", err)
		code = max(code, 1)
	}
	for _, f := range after {
		f()
	}
	os.Exit(code)
}

// cleanUp stops the shared servers and removes the folder of this process.
func cleanUp() error {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	var first error
	for _, s := range shared.servers {
		if s.inst == nil {
			continue
		}
		if err := s.inst.remove(); err != nil && first == nil {
			first = err
		}
	}
	shared.servers = nil
	if err := removeRoot(); err != nil && first == nil {
		first = err
	}
	return first
}
