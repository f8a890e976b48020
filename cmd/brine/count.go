package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/brine-go/brine/persistence"
)

func newCount(a *app) *cobra.Command {
	var q queryFlags
	var by string
	cmd := &cobra.Command{
		Use:   "count URL",
		Short: "count records, also by state, type or another column",
		Long: `Count counts the records of a store, or those that the flags select. With --by it counts them by the
value of a column: state, type, or an extra column.

With --json it prints {"count": N}, and with --by one object for each value: {"value": V, "count": N},
where null is a value that is not there.`,
		Example: `  brine count tasks.db
  brine count tasks.db --by state
  brine count tasks.db --type taskgraph.Task --where 'attempts>1' --by machine`,
		Args:              arguments,
		ValidArgsFunction: a.completeURL,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			s, err := a.open(ctx, args[0], readOnly)
			if err != nil {
				return err
			}
			defer s.Close()
			query, err := q.query(ctx, a, s)
			if err != nil {
				return err
			}
			if by != "" {
				return a.countBy(cmd, s, by, query)
			}
			n, err := s.Count(ctx, query)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]any{"count": n})
			}
			a.printf("%s\n", a.number(n))
			return nil
		},
	}
	q.addSelection(a, cmd)
	cmd.Flags().StringVar(&by, "by", "", "count by the value of this `COLUMN`")
	return cmd
}

// countBy prints the numbers of records by the value of a column.
func (a *app) countBy(cmd *cobra.Command, s *persistence.Store, by string, q *persistence.Query) error {
	a.warnIncomplete(s, by)
	groups, err := s.CountBy(cmd.Context(), by, q)
	if err != nil {
		return unknownColumn("--by", err)
	}
	if a.json {
		for _, g := range groups {
			if err := a.printJSON(map[string]any{"value": jsonValue(g.Value), "count": g.Count}); err != nil {
				return err
			}
		}
		return nil
	}
	name := strings.ToUpper(by)
	t := a.table(name, "RECORDS").alignRight("RECORDS")
	if kind, ok := columnKinds(a.columns[s])[by]; ok && isNumber(kind) {
		t.alignRight(name)
	}
	for _, g := range groups {
		if err := t.row(a.groupValue(by, g.Value), a.number(g.Count)); err != nil {
			return err
		}
	}
	return t.end()
}

// groupValue returns a value of a column that records are counted by.
func (a *app) groupValue(column string, v any) cell {
	switch id, isID := v.(persistence.ID); {
	case v == nil && a.isTerminal:
		return cell{"(none)", dim}
	case isID:
		return cell{string(id), plain}
	case column == "state":
		return cell{fmt.Sprint(v), stateStyle(fmt.Sprint(v))}
	}
	return cell{a.value(v), plain}
}

// unknownColumn makes a usage error of the error for a column that the store does not have.
func unknownColumn(flag string, err error) error {
	if text, ok := queryMistake(err); ok {
		return usagef("%s: %s", flag, text)
	}
	return err
}
