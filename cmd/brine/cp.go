package main

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence"
)

func newCp(a *app) *cobra.Command {
	var c copyFlags
	var q queryFlags
	cmd := &cobra.Command{
		Use:   "cp SRC DST",
		Short: "copy a store to another one, of any backend",
		Long: `Cp copies the records and the key-value pairs of one store to another, which is made if it does not exist.
A path that ends in .db or .sqlite is then a SQLite file, any other one a directory. Records keep their
IDs, revisions, times and extra columns. Claims and the quarantine are not copied.
Each batch is read back and compared before it counts.

What DST has already and is equal is left alone, so a copy that was interrupted goes on when the same
command is run again. --existing says what happens to a record or pair that DST has otherwise:

  fail        the copy ends there, and names it (the default)
  skip        it stays as it is in DST
  overwrite   it is replaced; one that is damaged in DST goes to its quarantine

Nothing is removed from DST. Programs may go on with SRC meanwhile; with --snapshot the copy is what SRC
was at one moment, a backup. (A directory makes writers wait for that.)

With --json it prints one object with copied, same, skipped, overwritten, failed, changed, pairs and
dry_run. "changed" counts what was written or removed in SRC meanwhile.`,
		Example: `  brine cp tasks.db postgres://brine@db/jobs
  brine cp tasks.db backup.db --snapshot
  brine cp tasks.db failed.db --state FAILED --no-pairs
  brine cp tasks.db one.db --root 17`,
		Args:              arguments,
		ValidArgsFunction: a.completeURLs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.copy(cmd.Context(), args[0], args[1], &c, &q)
		},
	}
	c.add(a, cmd)
	c.addSource(cmd)
	cmd.Flags().BoolVar(&c.snapshot, "snapshot", false, "copy what SRC is at one moment")
	q.addSelection(a, cmd)
	return cmd
}

// copyFlags are the flags of the commands that copy.
type copyFlags struct {
	existing string
	noPairs  bool
	snapshot bool
	roots    []string
}

var existingWays = []string{"fail", "skip", "overwrite"}

// add adds those flags that say what happens in the destination.
func (c *copyFlags) add(a *app, cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.existing, "existing", existingWays[0], "what the destination has otherwise: "+strings.Join(existingWays, ", "))
	_ = cmd.RegisterFlagCompletionFunc("existing", cobra.FixedCompletions(existingWays, cobra.ShellCompDirectiveNoFileComp))
	cmd.Flags().BoolVar(&c.noPairs, "no-pairs", false, "leave out the key-value pairs")
	a.canDryRun(cmd)
}

// addSource adds those flags that say what is read.
func (c *copyFlags) addSource(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&c.roots, "root", nil, "only the records with these IDs, and all that they reach")
}

// options returns the options of Copy. q may be nil.
func (c *copyFlags) options(ctx context.Context, a *app, src *persistence.Store, q *queryFlags) (*persistence.CopyOptions, error) {
	o := &persistence.CopyOptions{NoPairs: c.noPairs, DryRun: a.dryRun, Snapshot: c.snapshot}
	switch c.existing {
	case "fail", "":
	case "skip":
		o.Existing = persistence.SkipExisting
	case "overwrite":
		o.Existing = persistence.OverwriteExisting
	default:
		return nil, usagef("--existing %s: want one of %s", c.existing, strings.Join(existingWays, ", "))
	}
	var err error
	if len(c.roots) > 0 {
		if q.typ != "" || len(q.states)+len(q.where) > 0 {
			return nil, usagef("--root goes with neither --type, --state nor --where")
		}
		o.Roots, err = a.ids(ctx, src, c.roots)
	} else if q != nil {
		o.Query, err = q.query(ctx, a, src)
	}
	return o, err
}

func (a *app) copy(ctx context.Context, from, to string, c *copyFlags, q *queryFlags) (err error) {
	src, err := a.open(ctx, from, readOnly)
	if err != nil {
		return err
	}
	defer src.Close()
	o, err := c.options(ctx, a, src, q)
	if err != nil {
		return err
	}
	integers, err := integerIDs(ctx, src)
	if err != nil {
		return err
	}
	dst, err := a.openDestination(ctx, to, integers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	p := a.progress("copying", 0)
	o.Progress = p.set
	report, err := persistence.Copy(ctx, dst, src, o)
	p.end()
	return a.copied(ctx, report, err)
}

// openDestination opens a store that records are copied to, and makes one if there is none. A dry
// run makes none: it is as if the store were empty.
func (a *app) openDestination(ctx context.Context, rawURL string, integers bool) (*persistence.Store, error) {
	m := readWrite
	if a.dryRun {
		m = readOnly
	}
	s, err := a.open(ctx, rawURL, m)
	if err == nil || !isMissingStore(err) {
		return s, err
	}
	if a.dryRun {
		rawURL = "mem:"
	}
	var o persistence.Options
	if !integers {
		o.IDs = idfactory.Sequence("")
	}
	return a.openWith(ctx, rawURL, create, o)
}

// copied tells what Copy has done, and what to do about its error.
func (a *app) copied(ctx context.Context, r persistence.CopyReport, err error) error {
	if err == nil || a.json || r != (persistence.CopyReport{}) {
		if printErr := a.reportCopy(r); printErr != nil {
			return errors.Join(err, printErr)
		}
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return withHint(err, "What is counted here is complete in the destination. Run the same command again: it goes on where it was interrupted.")
	case leftOut(r, err):
		return withHint(err, `All others were copied. "brine check" lists what is damaged, "brine quarantine add" puts it away.`)
	case strings.Contains(err.Error(), "both are the same store"):
		return withHint(err, "Name another destination.")
	case errors.Is(err, persistence.ErrExists):
		return withHint(err, "--existing skip leaves such records alone, --existing overwrite replaces them. Without either, the same command ends here again.")
	case errors.Is(err, persistence.ErrUnique):
		return withHint(err, "If the source has the other record no more, remove it from the destination (\"brine rm\"), and run the same command again.")
	case errors.Is(err, persistence.ErrInvalidID):
		return withHint(err, "Name a destination that does not exist yet: it is then made with IDs of the same kind.")
	}
	return withHint(err, "Once that is mended, run the same command again: it goes on where it has ended.")
}

// leftOut reports whether all was copied but for records that could not be read.
func leftOut(r persistence.CopyReport, err error) bool {
	return r.Failed > 0 && strings.Contains(err.Error(), "could not be read and were not copied")
}

// A copyJSON is what Copy has done, for programs.
type copyJSON struct {
	Copied      int64 `json:"copied"`
	Same        int64 `json:"same"`
	Skipped     int64 `json:"skipped"`
	Overwritten int64 `json:"overwritten"`
	Failed      int64 `json:"failed"`
	Changed     int64 `json:"changed"`
	Pairs       int64 `json:"pairs"`
	DryRun      bool  `json:"dry_run"`
}

func (a *app) reportCopy(r persistence.CopyReport) error {
	if a.json {
		return a.printJSON(copyJSON{r.Copied, r.Same, r.Skipped, r.Overwritten, r.Failed, r.Changed, r.Pairs, a.dryRun})
	}
	did := "copied"
	if a.dryRun {
		did = "would copy"
	}
	a.printf("%s %s and %s\n", did, plural(r.Copied, "record"), plural(r.Pairs, "pair"))
	for _, more := range []struct {
		n    int64
		what string
	}{
		{r.Overwritten, "replaced in the destination"},
		{r.Same, "there already, and equal"},
		{r.Skipped, "there otherwise, and left alone"},
		{r.Failed, "not readable, and left out"},
	} {
		if more.n > 0 {
			a.printf("  %s %s\n", plural(more.n, "record"), more.what)
		}
	}
	if r.Changed > 0 {
		a.printf("  %s written or removed in the source meanwhile: run it again with --existing overwrite\n", plural(r.Changed, "record"))
	}
	return a.written()
}
