// Daemon starts itself again in the background, and works on tasks there while the process that started it goes on
// saving tasks in the same store. Nothing but the store is between the two.
//
//	go run ./examples/daemon
//
// shows it all: it saves tasks, starts the daemon, saves more while the daemon works, and stops it. By hand:
//
//	go build -o d ./examples/daemon
//	./d start
//	./d -takes 10s add red green blue
//	./d status
//	./d stop
//
// A daemon takes a task by saving it as its own. Revisions make that safe: of two that try, one gets ErrConflict. So
// there may be several, on several machines if the store is on a server (-store postgres://…). To stop, a
// daemon finishes its task. Kill one with kill -9, see what status says, and start another: it takes over
// what was left.
//
// Read model.go first (the objects, and who is dead), then spawn.go (the start) and serve.go (the daemon).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	neturl "net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/brine-go/brine/persistence"
	_ "github.com/brine-go/brine/persistence/all"
	"github.com/brine-go/brine/url"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, cancel) // the second signal kills
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "daemon:", err)
		}
		os.Exit(1)
	}
}

// run is the program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("daemon", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: daemon [flags] [start | add NAME... | status | stop]; without a word it shows it all")
		flags.PrintDefaults()
	}
	storeURL := flags.String("store", os.Getenv(storeEnv), "`URL` of the store (default: $"+storeEnv+", or else an SQLite file in the user's cache folder)")
	logFile := flags.String("log", "", "`FILE` that the daemon writes to (default: one beside the store, or in the cache folder)")
	takes := flags.Duration("takes", 100*time.Millisecond, "how long each of the tasks takes that are added")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *storeURL == "" {
		*storeURL = defaultStore()
	}
	store, err := persistence.MakeStore(ctx, *storeURL, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if private(store.URL()) {
		return fmt.Errorf("%s is the memory of one process: a daemon needs a store that others can open", store.URL())
	}
	if *logFile == "" {
		*logFile = defaultLog(store.URL())
	}

	switch verb := flags.Arg(0); {
	case verb == "add" && flags.NArg() > 1:
		return add(ctx, store, *takes, flags.Args()[1:]...)
	case flags.NArg() > 1:
		flags.Usage()
		return fmt.Errorf("unexpected argument %q", flags.Arg(1))
	case verb == "":
		return demo(ctx, store, *logFile, *takes, stdout)
	case verb == "start":
		c, err := spawn(ctx, store, *logFile)
		if err == nil {
			fmt.Fprintf(stdout, "pid %d, its log is %s\n", c.pid, *logFile)
		}
		return err
	case verb == "serve": // how start starts it
		return serve(ctx, store)
	case verb == "status":
		return status(ctx, store, stdout)
	case verb == "stop":
		return stop(ctx, store, stdout)
	default:
		flags.Usage()
		return fmt.Errorf("cannot do %q", verb)
	}
}

// private reports whether a store is nobody else's.
func private(u url.URL) bool {
	return u.Scheme() == "mem" || u.Scheme() == "sqlite" && (u.Path() == "" || u.Path() == ":memory:")
}

func defaultStore() string {
	path := filepath.ToSlash(filepath.Join(cacheDir(), "daemon.db"))
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/…
	}
	return (&neturl.URL{Scheme: "sqlite", Path: path}).String()
}

func defaultLog(u url.URL) string {
	if u.Scheme() == "sqlite" || u.Scheme() == "file" {
		return filepath.Clean(filepath.FromSlash(u.Path())) + ".log"
	}
	return filepath.Join(cacheDir(), "daemon.log")
}

func cacheDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "brine")
}
