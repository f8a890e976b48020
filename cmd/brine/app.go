package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/brine-go/brine/persistence"
)

// An app is one run of the command: where it reads and writes, and the flags that commands share.
type app struct {
	in     io.Reader
	out    *bufio.Writer // flushed at the end, and before anything is written to errOut
	errOut io.Writer
	args   []string // of the command line: errors quote them, without passwords

	json   bool // --json: one object a line
	yes    bool // --yes: do not ask
	dryRun bool // --dry-run: only say what would be done

	isTerminal    bool // out is a terminal
	errIsTerminal bool // errOut is one: progress is shown
	canAsk        bool // in and errOut are terminals
	color         bool // out takes colours
	width         int  // of the terminal, in columns

	now         func() time.Time
	interrupted <-chan struct{} // closed by Ctrl-C

	columns map[*persistence.Store][]persistence.ColumnInfo // of stores opened to read
}

func newApp(in io.Reader, out, errOut io.Writer) *app {
	a := &app{in: in, out: bufio.NewWriterSize(out, 32<<10), errOut: errOut, now: time.Now}
	a.isTerminal, a.errIsTerminal = isTerminal(out), isTerminal(errOut)
	a.canAsk = isTerminal(in) && a.errIsTerminal
	a.color = a.isTerminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	a.width = widthOf(out)
	return a
}

// run runs the command that args name, and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	a.args, a.interrupted = args, ctx.Done()
	root := newRoot(a)
	root.SetArgs(append([]string{}, args...)) // nil would be those of the process
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.errOut)
	cmd, err := root.ExecuteContextC(ctx)
	if _, ok := errors.AsType[usageError](err); ok && hint(err) == "" {
		err = withHint(err, `"%s --help" tells how it is used.`, cmd.CommandPath())
	}
	err = errors.Join(err, a.out.Flush())
	return a.exit(ctx, err)
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

const defaultWidth = 80

// widthOf returns the width of a terminal.
func widthOf(stream any) int {
	if f, ok := stream.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	if width, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && width > 0 {
		return width
	}
	return defaultWidth
}

// printf writes to the output.
func (a *app) printf(format string, args ...any) { fmt.Fprintf(a.out, format, args...) }

// printJSON writes v as one line of JSON.
func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	return a.written()
}

// written is called after each piece of output. On a terminal it shows at once.
func (a *app) written() error {
	if a.isTerminal {
		return a.out.Flush()
	}
	return nil
}

// note tells a person at a terminal what no program is to read.
func (a *app) note(format string, args ...any) {
	if !a.isTerminal || a.json {
		return
	}
	a.printf("%s\n", a.paint(dim, fmt.Sprintf(format, args...)))
}

// warn writes a warning to the error output.
func (a *app) warn(format string, args ...any) {
	_ = a.out.Flush() // a failure shows at the end too
	fmt.Fprintf(a.errOut, "brine: warning: %s\n", printable(a.redact(fmt.Sprintf(format, args...))))
}

// destroys gives a command that destroys something the flags --yes and --dry-run.
func (a *app) destroys(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&a.yes, "yes", "y", false, "do not ask")
	a.canDryRun(cmd)
}

// canDryRun gives a command the flag --dry-run.
func (a *app) canDryRun(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&a.dryRun, "dry-run", "n", false, "say what would be done, and do nothing")
}
