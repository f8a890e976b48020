// Daemon starts itself again in the background, and works on tasks there while the process that
// started it goes on saving tasks in the same store. The two share nothing but the store.
//
//	go run ./examples/daemon
//
// shows it all: it saves tasks, starts the daemon, saves more while the daemon works, and stops it.
// By hand:
//
//	go build -o d ./examples/daemon
//	./d start
//	./d -takes 10s add red green blue
//	./d status
//	./d stop
//
// A daemon takes a task by saving it as its own. Revisions make that safe: if two try, one gets
// ErrConflict. So there may be several, on several machines if the store is on a server
// (-store postgres://…). A daemon that is told to stop finishes its task first. Kill one with
// kill -9, see what status says, and start another: it takes over the task of the killed one.
//
// Read model.go first (the objects, and who is dead), then spawn.go (the start) and serve.go (the
// daemon).
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/brine-go/brine/examples/internal/cli"
	"github.com/brine-go/brine/persistence"
	_ "github.com/brine-go/brine/persistence/all"
	"github.com/brine-go/brine/url"
)

var app = cli.Program{
	Name:     "daemon",
	Commands: []string{"start", "add NAME...", "status", "stop", "serve"},
	Default:  "it shows it all",
}

func main() { app.Main(run) }

// run is the program.
func run(ctx context.Context, args []string, stdout, _ io.Writer) (err error) {
	flags := app.Flags()
	storeURL := flags.String("store", "", "`URL` of the store (default: $"+storeEnv+", or else an SQLite file in the user's cache folder)")
	logFile := flags.String("log", "", "`FILE` that the daemon writes to (default: one beside the store, or in the cache folder)")
	takes := flags.Duration("takes", 100*time.Millisecond, "how long each of the tasks takes that are added")
	if err := app.Parse(flags, args, stdout); err != nil {
		return err
	}
	*storeURL = cmp.Or(*storeURL, os.Getenv(storeEnv), cli.DefaultStore("daemon.db"))
	if err := cli.CheckShared(*storeURL); err != nil {
		return err
	}
	store, err := persistence.MakeStore(ctx, *storeURL, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if *logFile == "" {
		*logFile = defaultLog(store.URL())
	}

	switch flags.Arg(0) {
	case "start":
		c, err := spawn(ctx, store, *logFile)
		if err == nil {
			fmt.Fprintf(stdout, "pid %d, its log is %s\n", c.pid, *logFile)
		}
		return err
	case "add":
		return add(ctx, store, *takes, flags.Args()[1:]...)
	case "status":
		return status(ctx, store, stdout)
	case "stop":
		return stop(ctx, store, stdout)
	case "serve": // how start starts it
		return serve(ctx, store)
	}
	return cli.Interrupted(ctx, demo(ctx, store, *logFile, *takes, stdout), whatIsLeft)
}

func defaultLog(u url.URL) string {
	if u.Scheme() == "sqlite" || u.Scheme() == "file" {
		return filepath.Clean(filepath.FromSlash(u.Path())) + ".log"
	}
	return filepath.Join(cli.CacheDir(), "daemon.log")
}
