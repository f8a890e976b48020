package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/brine-go/brine/persistence"
)

func newQuarantine(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "quarantine URL",
		Short: "list what was put away; put away, restore, purge",
		Long: `Quarantine lists the records, pairs, files and rows that were put away: by "brine gc", by a program, or by
"brine quarantine add". They are kept byte for byte in a table or directory beside the store, and no
program finds them in it. Its own commands list, add, restore and purge do the same and the rest.

With --json each is an object with id, key (of a pair, file or row), type, state, reason, time, size and
error (why it cannot be read).`,
		Example: `  brine quarantine tasks.db
  brine quarantine add tasks.db 7 --reason "damaged on 3 May"
  brine quarantine restore tasks.db 7`,
		Args:              arguments,
		ValidArgsFunction: a.completeURL,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.quarantineList(cmd.Context(), args[0], "", false)
		},
	}
	cmd.AddCommand(newQuarantineList(a), newQuarantineAdd(a), newQuarantineRestore(a), newQuarantinePurge(a))
	return cmd
}

func newQuarantineList(a *app) *cobra.Command {
	var reason string
	var idsOnly bool
	cmd := &cobra.Command{
		Use:   "list URL",
		Short: "list what was put away, and why",
		Long: `List lists what was put away, and why. With --ids it prints only the IDs, or keys, one a line. With
--json each is an object with id, key, type, state, reason, time, size and error.`,
		Example: `  brine quarantine list tasks.db
  brine quarantine list tasks.db --reason collected --ids | brine quarantine restore tasks.db -`,
		Args:              arguments,
		ValidArgsFunction: a.completeURL,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.quarantineList(cmd.Context(), args[0], reason, idsOnly)
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", `only what was put away for this reason; that of "brine gc" is "collected"`)
	cmd.Flags().BoolVar(&idsOnly, "ids", false, "only the IDs or keys, one a line")
	return cmd
}

func newQuarantineAdd(a *app) *cobra.Command {
	var reason string
	var keys []string
	cmd := &cobra.Command{
		Use:   "add URL [ID...]",
		Short: "put records, pairs, files or rows away",
		Long: `Add puts the records with the IDs into quarantine, readable or not, and with --key what "brine check" names
by a key: pairs, and files or rows that belong to nothing. What refers to them is left alone, and cannot
be loaded until they are restored. The argument "-" stands for IDs on the input, one a line. It asks
before, unless --yes.

With --json it prints one object with added and dry_run.`,
		Example: `  brine quarantine add tasks.db 7 8
  brine quarantine add tasks.db --key store/x --reason "belongs to nothing"`,
		Args:              arguments,
		ValidArgsFunction: a.completeIDs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.quarantineAdd(cmd.Context(), args[0], args[1:], keys, reason)
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "by hand", "why, for people")
	cmd.Flags().StringArrayVar(&keys, "key", nil, "the key of a pair, file or row; repeatable")
	a.destroys(cmd)
	return cmd
}

func newQuarantineRestore(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore URL ID...",
		Short: "put back what was put away",
		Long: `Restore puts back what was put away, the latest of each ID, or of each key of a pair, file or row: all of
them, or none if the place of one is taken. The argument "-" stands for IDs on the input, one a line.

With --json it prints one object with restored and dry_run.`,
		Example:           `  brine quarantine restore tasks.db 7`,
		Args:              arguments,
		ValidArgsFunction: a.completeQuarantined,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.quarantineRestore(cmd.Context(), args[0], args[1:])
		},
	}
	a.canDryRun(cmd)
	return cmd
}

func newQuarantinePurge(a *app) *cobra.Command {
	var older string
	cmd := &cobra.Command{
		Use:   "purge URL",
		Short: "remove for good what was put away long ago",
		Long: `Purge removes for good what has been in quarantine for longer than --older-than, whatever the reason.
Nothing brings it back. It asks before, unless --yes.

What "brine gc" has put away is best purged after a later "brine gc" has succeeded: where others cannot be
kept from writing, as on a Galera cluster, that one brings back what has come to be referred to just then.

With --json it prints one object with purged and dry_run.`,
		Example: `  brine quarantine purge tasks.db --older-than 30d
  brine quarantine purge tasks.db --older-than 0s --dry-run`,
		Args:              arguments,
		ValidArgsFunction: a.completeURL,
		RunE: func(cmd *cobra.Command, args []string) error {
			age, err := ageOf(older)
			if err != nil {
				return usagef("purge: --older-than %q: %w", older, err)
			}
			return a.quarantinePurge(cmd.Context(), args[0], age)
		},
	}
	cmd.Flags().StringVar(&older, "older-than", "30d", "how long it must have been there: 36h, 30d")
	a.destroys(cmd)
	return cmd
}

// ageOf reads a duration, also in days: "30d".
func ageOf(text string) (age time.Duration, err error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("want a time such as 36h or 30d")
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	age, err = time.ParseDuration(text)
	if err != nil || age < 0 {
		return 0, errors.New("want a time such as 36h or 30d")
	}
	return age, nil
}

// A quarantinedJSON is what was put away, for programs.
type quarantinedJSON struct {
	ID     persistence.ID `json:"id"`
	Key    string         `json:"key"`
	Type   string         `json:"type"`
	State  string         `json:"state"`
	Reason string         `json:"reason"`
	Time   time.Time      `json:"time"`
	Size   int64          `json:"size"`
	Error  *string        `json:"error"`
}

// nameOf returns what a command names something in quarantine by.
func nameOf(q *persistence.QuarantinedRecord) string {
	if q.ID == "" {
		return q.Key
	}
	return string(q.ID)
}

func (a *app) quarantineList(ctx context.Context, rawURL, reason string, idsOnly bool) error {
	s, err := a.open(ctx, rawURL, readOnly)
	if err != nil {
		return err
	}
	defer s.Close()
	t := a.table("ID", "TYPE", "STATE", "WHEN", "REASON", "ERROR").alignRight("WHEN").optionalFrom(5)
	n, skip := int64(0), skipped{a: a}
	for q, err := range s.Quarantined(ctx) {
		if err != nil {
			if err := skip.record(err); err != nil {
				return err
			}
			continue
		}
		if reason != "" && q.Reason != reason {
			continue
		}
		n++
		switch {
		case a.json:
			err = a.printJSON(jsonQuarantined(&q))
		case idsOnly:
			err = a.printID(persistence.ID(nameOf(&q)))
		default:
			fault := ""
			if q.Err != nil {
				fault = strings.TrimPrefix(q.Err.Error(), "brine: ")
			}
			err = t.row(nameOf(&q), q.Type, cell{q.State, stateStyle(q.State)}, a.time(q.Time), q.Reason, cell{fault, red})
		}
		if err != nil {
			return err
		}
	}
	if err := t.end(); err != nil {
		return err
	}
	if n == 0 {
		a.note("nothing is in quarantine")
	}
	return skip.err()
}

func jsonQuarantined(q *persistence.QuarantinedRecord) quarantinedJSON {
	out := quarantinedJSON{ID: q.ID, Key: q.Key, Type: q.Type, State: q.State, Reason: q.Reason, Time: q.Time, Size: q.Size}
	if q.Err != nil {
		text := q.Err.Error()
		out.Error = &text
	}
	return out
}

// completeQuarantined completes a store and what was put away.
func (a *app) completeQuarantined(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return completeStore(toComplete)
	}
	return a.complete(cmd, args[0], func(ctx context.Context, s *persistence.Store) (found []cobra.Completion, err error) {
		for q, err := range s.Quarantined(ctx) {
			if err != nil || len(found) == completionMost {
				return found, err
			}
			if name := nameOf(&q); strings.HasPrefix(name, toComplete) && printable(name) == name {
				found = append(found, cobra.CompletionWithDesc(name, printable(q.Type+" "+q.Reason)))
			}
		}
		return found, nil
	})
}
