package testserver

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// An engine is what differs between the kinds of server.
type engine interface {
	// locate finds the binaries; its error is the reason to skip.
	locate() error
	// initialise makes the data folder that every server starts from.
	initialise(data string) error
	// prepare is called once, before the first start of a server.
	prepare(i *instance) error
	// argv is the command line of a server.
	argv(i *instance) []string
	// open gives a superuser's handle over the socket; "" is the default database.
	open(i *instance, db string) (*sql.DB, error)
	// settle is called once, when the server has answered for the first time.
	settle(ctx context.Context, db *sql.DB, i *instance) error
	// createDB makes an empty database.
	createDB(ctx context.Context, db *sql.DB, name string) error
	// dropDB drops a database, and ends the connections to it.
	dropDB(ctx context.Context, db *sql.DB, name string) error
	// released frees what a killed server leaves outside its folder, and what would keep it from
	// starting again.
	released(data string)
	// url is the URL of a database over the socket, or over TCP.
	url(i *instance, db string, tcp bool) string
	// shutdown is the signal that ends a server in good order.
	shutdown() signal
	// template gives the folder that initialise has made, once per process.
	template() (string, error)
}

// A template initialises a data folder at its first use.
type template struct {
	once sync.Once
	dir  string
	err  error
}

func (t *template) get(name string, initialise func(data string) error) (string, error) {
	t.once.Do(func() {
		var dir string
		if dir, t.err = newDir(name); t.err != nil {
			return
		}
		t.dir = filepath.Join(dir, "data")
		t.err = initialise(t.dir)
	})
	return t.dir, t.err
}

// require skips or fails t unless e can be started here.
func require(t testing.TB, e interface{ locate() error }) {
	t.Helper()
	required := os.Getenv("BRINE_REQUIRE_SERVERS") == "1"
	if os.Getenv("BRINE_SERVERS") == "none" && !required {
		t.Skip("no server is started: BRINE_SERVERS=none")
	}
	switch err := e.locate(); {
	case err == nil:
	case required:
		t.Fatal(err)
	default:
		t.Skipf("%v (BRINE_REQUIRE_SERVERS=1 makes this an error)", err)
	}
}

var errUnsupported = errors.New("private servers are started on Linux and macOS alone")

// findBinary looks for a program in PATH and where servers are installed outside of it.
func findBinary(name string, dirs ...string) (string, bool) {
	if p, err := exec.LookPath(name); err == nil {
		if p, err = filepath.Abs(p); err == nil {
			return p, true
		}
	}
	for _, d := range slices.Concat(dirs, []string{"/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin"}) {
		p := filepath.Join(d, name)
		if _, err := exec.LookPath(p); err == nil {
			return p, true
		}
	}
	return "", false
}

// quoteQuery escapes a query value but for slashes, so that a socket's path stays legible.
func quoteQuery(s string) string {
	return strings.NewReplacer("%", "%25", " ", "%20", "&", "%26", "#", "%23", "+", "%2B", "?", "%3F", ";", "%3B", "@", "%40").Replace(s)
}
