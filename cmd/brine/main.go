// Command brine looks after stores of Go objects: it lists, shows, counts, checks, copies and
// removes what is in them, whatever their backend, and needs none of the Go types of the programs
// that wrote them. "brine help" is its manual.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	_ "github.com/brine-go/brine/persistence/all"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is the whole command, and returns its exit code. The first Ctrl-C ends what it does in good
// order; a second one ends the process.
func run(args []string, in io.Reader, out, errOut io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	return newApp(in, out, errOut).run(ctx, args)
}
