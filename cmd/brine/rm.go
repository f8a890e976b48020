package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence"
)

func newRm(a *app) *cobra.Command {
	var graph bool
	cmd := &cobra.Command{
		Use:   "rm URL ID...",
		Short: "remove records, or whole graphs of them",
		Long: `Rm removes the records with the IDs, all or none, and nothing else: what they refer to stays, and what
refers to them then refers to nothing ("brine refs" lists that).

With --graph it removes what only they reach, too. What something else refers to stays. If something
that would stay refers to one of the IDs, nothing is removed.

It asks before it removes, unless --yes. Nothing brings the records back. The argument "-" stands for
IDs on the input, one a line.

With --json it prints one object with removed, kept, dry_run and ids (the first 10,000).`,
		Example: `  brine rm tasks.db 7 8
  brine rm tasks.db 1 --graph --dry-run
  brine ls tasks.db --state FAILED --ids | brine rm tasks.db - --yes`,
		Args:              arguments,
		ValidArgsFunction: a.completeIDs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.remove(cmd.Context(), args[0], args[1:], graph)
		},
	}
	cmd.Flags().BoolVar(&graph, "graph", false, "what only they reach, too")
	a.destroys(cmd)
	return cmd
}

func (a *app) remove(ctx context.Context, rawURL string, args []string, graph bool) (err error) {
	ids, planned, o, err := a.planRemoval(ctx, rawURL, args, graph)
	if err != nil {
		return err
	}
	if a.dryRun {
		return a.reportRemoval("would remove", planned)
	}
	question := fmt.Sprintf("Remove %s?", plural(planned.Removed, "record"))
	if n := planned.Removed - int64(len(ids)); graph && n > 0 {
		question = fmt.Sprintf("Remove %s, %s of which only %s reach?", plural(planned.Removed, "record"), withCommas(n), plural(int64(len(ids)), "record"))
	}
	if err := a.confirm(question); err != nil {
		return err
	}
	s, err := a.openWith(ctx, rawURL, readWrite, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if graph {
		planned, err = s.RemoveGraph(ctx, persistence.RemoveGraphOptions{}, ids...)
	} else {
		err = s.Remove(ctx, ids...)
	}
	if err != nil {
		return err
	}
	return a.reportRemoval("removed", planned)
}

// planRemoval finds out what would be removed, and how the store is to be opened for it.
func (a *app) planRemoval(ctx context.Context, rawURL string, args []string, graph bool) (
	ids []persistence.ID, planned persistence.GraphReport, o persistence.Options, err error,
) {
	s, err := a.open(ctx, rawURL, readOnly)
	if err != nil {
		return nil, planned, o, err
	}
	defer s.Close()
	o.NoCreate = isMadeByHand(ctx, s)
	if ids, err = a.ids(ctx, s, args); err != nil {
		return nil, planned, o, err
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if graph {
		planned, err = s.RemoveGraph(ctx, persistence.RemoveGraphOptions{DryRun: true}, ids...)
		return ids, planned, o, err
	}
	return ids, persistence.GraphReport{Removed: int64(len(ids)), IDs: ids}, o, allThere(ctx, s, ids)
}

// allThere returns the error of the first record that is not there.
func allThere(ctx context.Context, s *persistence.Store, ids []persistence.ID) error {
	for some := range slices.Chunk(ids, refsAtOnce) {
		there := make(map[persistence.ID]bool, len(some))
		for id, err := range s.List(ctx, withIDs(some)) {
			if err != nil {
				break // asking for each tells more
			}
			there[id] = true
		}
		for _, id := range some {
			if there[id] {
				continue
			}
			if _, err := s.Stat(ctx, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// reportedIDs is how many IDs a report has at most, as persistence.GraphReport.
const reportedIDs = 10_000

// reportRemoval prints what was removed, or would be.
func (a *app) reportRemoval(did string, r persistence.GraphReport) error {
	if a.json {
		ids := append([]persistence.ID{}, r.IDs...)
		slices.SortFunc(ids, idfactory.Compare) // they come as a backend reads them
		ids = ids[:min(len(ids), reportedIDs)]
		return a.printJSON(map[string]any{"removed": r.Removed, "kept": r.Kept, "dry_run": a.dryRun, "ids": ids})
	}
	text := did + " " + plural(r.Removed, "record")
	if r.Kept > 0 {
		text += "; " + plural(r.Kept, "record") + " that others refer to stay"
	}
	a.printf("%s\n", text)
	return nil
}
