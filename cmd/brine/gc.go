package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/brine-go/brine/persistence"
)

// defaultGrace is that of persistence.CollectOptions.
const defaultGrace = time.Hour

func newGC(a *app) *cobra.Command {
	var roots []string
	o := persistence.CollectOptions{}
	cmd := &cobra.Command{
		Use:   "gc URL [ROOT...]",
		Short: "put records that no root reaches into quarantine",
		Long: `Gc puts the records that no root reaches into quarantine, from where "brine quarantine restore" brings
them back and "brine quarantine purge" removes them for good.

Name every record that is to stay for its own sake as a root: with --root, or after the URL; "-" stands
for IDs on the input, one a line. What a root reaches stays, lazy references included. Claimed records
stay, too, and what was written within --grace, for a program may be about to refer to it.

Programs may go on writing meanwhile. Nothing is put away if a record cannot be read, since it might
refer to anything. It first counts what would be put away, and asks, unless --yes.

With --json it prints one object with removed, kept, dry_run and ids (the first 10,000).`,
		Example: `  brine gc tasks.db --root 1 --root 2 --dry-run
  brine gc tasks.db --root 1 --grace 24h --yes
  brine ls tasks.db --type demo.Flow --ids | brine gc tasks.db -`,
		Args:              arguments,
		ValidArgsFunction: a.completeIDs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Grace < 0 {
				return usagef("gc: --grace %v: a time is not negative", o.Grace)
			}
			if o.Grace == 0 {
				o.Grace = time.Nanosecond // 0 stands for the default
			}
			return a.collect(cmd.Context(), args[0], append(roots, args[1:]...), o)
		},
	}
	cmd.Flags().StringArrayVar(&roots, "root", nil, "the ID of a record that stays with all that it reaches; repeatable")
	cmd.Flags().DurationVar(&o.Grace, "grace", defaultGrace, "spare what was written within this time")
	_ = cmd.RegisterFlagCompletionFunc("root", func(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return a.completeIDs(cmd, args[:1], toComplete)
	})
	a.destroys(cmd)
	return cmd
}

func (a *app) collect(ctx context.Context, rawURL string, roots []string, o persistence.CollectOptions) (err error) {
	if len(roots) == 0 {
		return withHint(usagef("gc: no root is given: everything would be garbage"),
			"Name each record that is to stay for its own sake: brine gc URL --root ID")
	}
	if !a.dryRun && !a.yes && !a.canAsk {
		return a.confirm("Put what no root reaches into quarantine?") // before the long work
	}
	ids, planned, err := a.planCollection(ctx, rawURL, roots, o)
	if err != nil {
		return err
	}
	if a.dryRun {
		return a.reportCollection("would put", planned, o.Grace)
	}
	if !a.yes {
		if planned.Removed == 0 {
			return a.reportCollection("put", planned, o.Grace)
		}
		question := fmt.Sprintf("Put %s that no root reaches into quarantine? %s", plural(planned.Removed, "record"), staying(planned.Kept))
		if err := a.confirm(question); err != nil {
			return err
		}
	}
	s, err := a.open(ctx, rawURL, readWrite)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	done, err := a.collectIn(ctx, s, ids, o)
	if err != nil {
		if done.Removed > 0 {
			err = fmt.Errorf("%w; %s had been put into quarantine before", err, plural(done.Removed, "record"))
		}
		return err
	}
	return a.reportCollection("put", done, o.Grace)
}

// planCollection reads the roots and, unless nobody wants to know, finds out what would be put
// away.
func (a *app) planCollection(ctx context.Context, rawURL string, roots []string, o persistence.CollectOptions) (ids []persistence.ID, planned persistence.GraphReport, err error) {
	s, err := a.open(ctx, rawURL, readOnly)
	if err != nil {
		return nil, planned, err
	}
	defer s.Close()
	if ids, err = a.ids(ctx, s, roots); err != nil || a.yes && !a.dryRun {
		return ids, planned, err
	}
	o.DryRun = true
	planned, err = a.collectIn(ctx, s, ids, o)
	return ids, planned, err
}

func (a *app) collectIn(ctx context.Context, s *persistence.Store, ids []persistence.ID, o persistence.CollectOptions) (persistence.GraphReport, error) {
	p := a.progress("reading", 0)
	defer p.end()
	if p != nil {
		o.Progress = p.set
	}
	return s.Collect(ctx, ids, o)
}

func staying(n int64) string {
	if n == 1 {
		return "1 record stays."
	}
	return plural(n, "record") + " stay."
}

// reportCollection prints what was put away, or would be.
func (a *app) reportCollection(did string, r persistence.GraphReport, grace time.Duration) error {
	if a.json {
		ids := r.IDs
		if ids == nil {
			ids = []persistence.ID{}
		}
		return a.printJSON(map[string]any{"removed": r.Removed, "kept": r.Kept, "dry_run": a.dryRun, "ids": ids})
	}
	a.printf("%s %s into quarantine; %s\n", did, plural(r.Removed, "record"), staying(r.Kept))
	if grace >= time.Second {
		within := grace.String()
		if grace%time.Minute == 0 {
			within = strings.TrimSuffix(within, "0s")
		}
		if grace%time.Hour == 0 {
			within = strings.TrimSuffix(within, "0m")
		}
		a.note("What was written within %s is spared: --grace changes that.", within)
	}
	if r.Removed > 0 && !a.dryRun {
		a.note(`"brine quarantine restore URL ID..." brings them back, "brine quarantine purge URL" removes them for good.`)
	}
	return nil
}
