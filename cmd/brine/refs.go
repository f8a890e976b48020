package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/brine-go/brine/persistence"
)

func newRefs(a *app) *cobra.Command {
	var idsOnly bool
	cmd := &cobra.Command{
		Use:   "refs URL ID",
		Short: "list the records that refer to a record",
		Long: `Refs lists the records that refer to the record with the ID, eagerly or lazily, in the order of their IDs.
There is no table of references: it reads the beginning of every record, and lists as it goes. What the
record itself refers to is shown by "brine show".

With --json each is an object with id, type and state.`,
		Example: `  brine refs tasks.db 7
  brine refs tasks.db 7 --ids`,
		Args:              arguments,
		ValidArgsFunction: a.completeIDs,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.refs(cmd.Context(), args[0], args[1], idsOnly) },
	}
	cmd.Flags().BoolVar(&idsOnly, "ids", false, "only the IDs, one a line")
	return cmd
}

func (a *app) refs(ctx context.Context, rawURL, arg string, idsOnly bool) error {
	s, err := a.open(ctx, rawURL, readOnly)
	if err != nil {
		return err
	}
	defer s.Close()
	ids, err := a.ids(ctx, s, []string{arg})
	if err != nil {
		return err
	}
	t := a.table("ID", "TYPE", "STATE")
	n, skip := int64(0), skipped{a: a}
	for id, err := range s.Referrers(ctx, ids[0]) {
		if err != nil {
			if err := skip.record(err); err != nil {
				return err
			}
			continue
		}
		n++
		if idsOnly && !a.json {
			if err := a.printID(id); err != nil {
				return err
			}
			continue
		}
		info, err := s.Stat(ctx, id)
		switch {
		case errors.Is(err, persistence.ErrNotFound):
			continue // removed just now
		case err != nil:
			return err
		case a.json:
			err = a.printJSON(map[string]any{"id": id, "type": info.Type, "state": info.State})
		default:
			err = t.row(string(id), info.Type, cell{info.State, stateStyle(info.State)})
		}
		if err != nil {
			return err
		}
	}
	if err := t.end(); err != nil {
		return err
	}
	if n == 0 {
		if _, err := s.Stat(ctx, ids[0]); err != nil && skip.n == 0 {
			return err // nothing refers to a record that there is not: the ID is a mistake
		}
		a.note("nothing refers to it")
	}
	return skip.err()
}
