package main

import (
	"io"
	"runtime"

	"github.com/brine-go/brine/examples/internal/cli"
)

// config is what the command line says.
type config struct {
	store    string
	workflow string
	scale    float64
	workers  int
	reset    bool
	dot      bool
}

func parseFlags(args []string, stdout io.Writer) (*config, error) {
	c := &config{}
	flags := app.Flags()
	flags.StringVar(&c.store, "store", "", "`URL` of the store: sqlite:FILE, file:FOLDER or mem: (default: an SQLite file in the user's cache folder)")
	flags.StringVar(&c.workflow, "workflow", "", "simulate the recorded workflow in `FILE` (WfFormat 1.5, .json or .json.gz) instead of vetting packages")
	flags.Float64Var(&c.scale, "scale", 0.001, "simulated tasks take their recorded time times this, 0 to 1")
	flags.IntVar(&c.workers, "workers", runtime.NumCPU(), "tasks that run at once")
	flags.BoolVar(&c.reset, "reset", false, "forget the workflow that the store holds and begin anew")
	flags.BoolVar(&c.dot, "dot", false, "print the graph for Graphviz and run nothing")
	if err := app.Parse(flags, args, stdout); err != nil {
		return nil, err
	}
	switch {
	case !(c.scale >= 0 && c.scale <= 1):
		return nil, cli.UsageErrorf("-scale is %g, want 0 to 1", c.scale)
	case c.workers < 1:
		return nil, cli.UsageErrorf("-workers is %d, want 1 or more", c.workers)
	}
	return c, nil
}
