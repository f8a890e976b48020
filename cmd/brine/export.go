package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/brine-go/brine/cmd/brine/internal/exportfile"
	"github.com/brine-go/brine/persistence"
)

func newExport(a *app) *cobra.Command {
	var c copyFlags
	var q queryFlags
	var file string
	var noSnapshot bool
	cmd := &cobra.Command{
		Use:   "export URL",
		Short: "write a store to a file of JSON lines",
		Long: `Export writes the records and the key-value pairs of a store as lines of JSON, to the output or to a file:
first a line that describes the store, then one for each record and pair, with its bytes and a checksum,
and a closing line with counts and a checksum of all. "brine import" reads it into any store, of any
backend; equal stores have equal exports. Claims and the quarantine are not exported.

The export is what the store is at one moment; --no-snapshot does without, where programs must not wait
for it (those that write to a directory).

A record that cannot be read is named, and left out; the rest is exported, and the exit code is 3. A
file is written under another name, read again and verified, and then gets its name.`,
		Example: `  brine export tasks.db -o tasks.jsonl
  brine export postgres://brine@db/jobs | gzip > jobs.jsonl.gz
  brine export tasks.db --state FAILED --no-pairs | head`,
		Args:              arguments,
		ValidArgsFunction: a.completeURL,
		RunE: func(cmd *cobra.Command, args []string) error {
			c.snapshot = !noSnapshot
			return a.export(cmd.Context(), args[0], file, &c, &q)
		},
	}
	cmd.Flags().StringVarP(&file, "output", "o", "", "the file (default: the output)")
	cmd.Flags().BoolVar(&c.noPairs, "no-pairs", false, "leave out the key-value pairs")
	cmd.Flags().BoolVar(&noSnapshot, "no-snapshot", false, "read page by page, beside writers")
	cmd.Flags().BoolVarP(&a.yes, "yes", "y", false, "replace the file without asking")
	c.addSource(cmd)
	q.addSelection(a, cmd)
	return cmd
}

func (a *app) export(ctx context.Context, rawURL, file string, c *copyFlags, q *queryFlags) error {
	src, err := a.open(ctx, rawURL, readOnly)
	if err != nil {
		return err
	}
	defer src.Close()
	o, err := c.options(ctx, a, src, q)
	if err != nil {
		return err
	}
	var p *progress
	if file != "" || !a.isTerminal {
		p = a.progress("exporting", 0)
	}
	o.Progress = p.set
	defer p.end()
	if file == "" || file == "-" {
		_, err := export(ctx, a.out, src, o)
		p.end()
		return exported(err)
	}
	return a.exportFile(ctx, file, src, o, p)
}

// exported says what to do about the error of an export.
func exported(err error) error {
	if _, ok := errors.AsType[*unreadableError](err); ok {
		return withHint(err, `All others are in the export. "brine check URL" lists what is damaged.`)
	}
	return err
}

// exportFile writes the export to a file of another name, verifies it, and gives it its name.
func (a *app) exportFile(ctx context.Context, file string, src *persistence.Store, o *persistence.CopyOptions, p *progress) (err error) {
	if info, err := os.Stat(file); err == nil {
		if !info.Mode().IsRegular() {
			return withHint(usagef("%s is no file", file), "Without -o the export goes to the output.")
		}
		if err := a.confirm("Replace " + file + "?"); err != nil {
			return err
		}
	}
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*.part")
	if err != nil {
		if e, ok := errors.AsType[*fs.PathError](err); ok {
			e.Path = file // the user knows no other
		}
		return err
	}
	named := false
	defer func() {
		if err2 := f.Close(); !named {
			err = errors.Join(err, err2, os.Remove(f.Name()))
		}
	}()
	report, err := export(ctx, f, src, o)
	if _, ok := errors.AsType[*unreadableError](err); err != nil && !ok {
		return err
	}
	p.end()
	if err := verifyExport(ctx, f, report); err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), os.Rename(f.Name(), file)); err != nil {
		return err
	}
	named = true
	if a.json {
		return errors.Join(exported(err), a.printJSON(map[string]any{"file": file, "records": report.Copied, "pairs": report.Pairs, "failed": report.Failed}))
	}
	a.printf("exported %s and %s to %s\n", plural(report.Copied, "record"), plural(report.Pairs, "pair"), file)
	return exported(err)
}

// verifyExport reads what was written.
func verifyExport(ctx context.Context, f *os.File, report persistence.CopyReport) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	r, err := exportfile.NewReader(f)
	if err != nil {
		return fmt.Errorf("reading the export again: %w", err)
	}
	counts, err := r.Verify(ctx, nil)
	if err == nil && (counts.Records != report.Copied || counts.Pairs != report.Pairs) {
		err = fmt.Errorf("it has %d records and %d pairs", counts.Records, counts.Pairs)
	}
	if err != nil {
		return fmt.Errorf("reading the export again: %w", err)
	}
	return nil
}

// An unreadableError is the error of an export that is complete but for what could not be read.
type unreadableError struct{ error }

func (e *unreadableError) Unwrap() error { return e.error }

// export writes an export.
func export(ctx context.Context, to io.Writer, src *persistence.Store, o *persistence.CopyOptions) (persistence.CopyReport, error) {
	integers, err := integerIDs(ctx, src)
	if err != nil {
		return persistence.CopyReport{}, err
	}
	w := exportfile.NewWriter(to, !integers)
	dst, err := persistence.New(ctx, w, &persistence.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return persistence.CopyReport{}, err
	}
	defer dst.Close()
	report, err := persistence.Copy(ctx, dst, src, o)
	if err != nil && !leftOut(report, err) {
		return report, err
	}
	if err != nil {
		err = &unreadableError{err}
	}
	if finish := w.Finish(report.Failed); finish != nil {
		return report, finish
	}
	return report, err
}
