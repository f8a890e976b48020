package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/brine-go/brine/cmd/brine/internal/exportfile"
	"github.com/brine-go/brine/persistence"
)

func newImport(a *app) *cobra.Command {
	var c copyFlags
	cmd := &cobra.Command{
		Use:   "import URL [FILE]",
		Short: "read a file that export has written into a store",
		Long: `Import reads what "brine export" has written into a store of any backend, which is made if it does not
exist. Without FILE, or with "-", it reads the input.

A file is verified whole before anything is imported: a line that is damaged, missing, doubled or moved
is named by its number, and so is a file that was cut off. What comes through a pipe can be read only
once: each line is verified before it is imported, and the end at the end.

It goes on as "brine cp" does: what the store has already and is equal is left alone, so an import that
was interrupted is finished by the same command; --existing says what happens to what the store has
otherwise.`,
		Example: `  brine import postgres://brine@db/jobs tasks.jsonl
  gunzip < jobs.jsonl.gz | brine import restored.db
  brine import tasks.db tasks.jsonl --existing skip --dry-run`,
		Args: arguments,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return a.completeURL(cmd, args, toComplete)
			}
			return nil, cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			file := "-"
			if len(args) > 1 {
				file = args[1]
			}
			return a.importFile(cmd.Context(), args[0], file, &c)
		},
	}
	c.add(a, cmd)
	return cmd
}

func (a *app) importFile(ctx context.Context, rawURL, file string, c *copyFlags) (err error) {
	in, size := a.in, int64(0)
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil {
			size = info.Size()
		}
		in = f
	}
	r, err := exportfile.NewReader(in)
	if err != nil {
		return notImported(err)
	}
	if r.Once() {
		a.tell("the input can be read only once: each line is verified before it is imported, and the end at the end")
	} else if err := a.verifyFile(ctx, r, size); err != nil {
		return notImported(err)
	}
	src, err := persistence.New(ctx, r, &persistence.Options{ReadOnly: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer src.Close()
	c.snapshot = true
	o, err := c.options(ctx, a, src, nil)
	if err != nil {
		return err
	}
	dst, err := a.openDestination(ctx, rawURL, !r.TextIDs())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	p := a.progress("importing", 0)
	o.Progress = func(done, total int64) {
		if r.Once() {
			total = 0
		}
		p.set(done, total)
	}
	report, err := persistence.Copy(ctx, dst, src, o)
	p.end()
	var counts exportfile.Counts
	if err == nil {
		counts, err = r.Finish()
	}
	if counts.Unreadable > 0 {
		a.warn("the export could not read %s of its store, which are not in it", plural(counts.Unreadable, "record"))
	}
	if _, damaged := errors.AsType[*exportfile.LineError](err); damaged {
		return errors.Join(a.reportCopy(report), withHint(err,
			"What came before it was imported. Make the export anew, and run the same command with it: it goes on."))
	}
	return a.copied(ctx, report, err)
}

// verifyFile reads a whole file before anything is imported.
func (a *app) verifyFile(ctx context.Context, r *exportfile.Reader, size int64) error {
	p := a.progress("verifying", size)
	defer p.end()
	_, err := r.Verify(ctx, func(bytes int64) { p.set(bytes, size) })
	return err
}

// notImported says that nothing was done about a file that is damaged.
func notImported(err error) error {
	if _, damaged := errors.AsType[*exportfile.LineError](err); damaged || errors.Is(err, io.EOF) {
		return withHint(err, "Nothing was imported.")
	}
	return err
}

// tell tells a person something on the error output.
func (a *app) tell(text string) {
	if !a.json {
		_ = a.out.Flush()
		_, _ = io.WriteString(a.errOut, "brine: "+text+"\n")
	}
}
