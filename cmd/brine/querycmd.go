package main

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/brine-go/brine/persistence"
)

func newQuery(a *app) *cobra.Command {
	var q queryFlags
	var l listing
	var full bool
	cmd := &cobra.Command{
		Use:   "query URL QUERY",
		Short: "list what a query in JSON selects, or print it whole",
		Long: `Query lists the records that a query in JSON selects. QUERY is the query, or "-" for one on the input:

  {"filters": [{"field": "state", "op": "!IN", "arg": ["DONE", "FAILED"]},
               {"or": [{"field": "host", "op": "PREFIX", "arg": "node"},
                       {"field": "host", "op": "IS NULL"}]}],
   "order_by": [{"field": "priority", "direction": "DESC"}],
   "limit": 100}

The operators are = != < <= > >= IN !IN PREFIX SUFFIX CONTAINS, IS NULL and IS NOT NULL. A list of
filters, or one filter, is a query too. Columns are id, type, state, revision, created, modified and
the extra columns of the store ("brine stat" lists them).

--full prints the objects whole, as "brine show" does; with --json one object a line, in its form.`,
		Example: `  brine query tasks.db '{"field":"attempts","op":">","arg":2}'
  brine query tasks.db '[{"field":"state","op":"IN","arg":["FAILED","BLOCKED"]}]' --columns id,name
  brine query tasks.db --full --json - < failed.json`,
		Args:              arguments,
		ValidArgsFunction: a.completeURL,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			text := args[1]
			if text == "-" {
				b, err := io.ReadAll(a.in)
				if err != nil {
					return err
				}
				text = string(b)
			}
			if t := strings.TrimSpace(text); !strings.HasPrefix(t, "{") && !strings.HasPrefix(t, "[") {
				return withHint(usagef("query: QUERY is not JSON"), `Conditions such as state=FAILED go with "brine ls URL --where".`)
			}
			s, err := a.open(ctx, args[0], readOnly)
			if err != nil {
				return err
			}
			defer s.Close()
			q.where = []string{text}
			query, err := q.query(ctx, a, s)
			if err != nil {
				return err
			}
			if full {
				return a.showAll(ctx, s, query)
			}
			return l.run(ctx, a, s, query)
		},
	}
	l.addFlags(cmd)
	cmd.Flags().BoolVar(&full, "full", false, "print the objects whole")
	return cmd
}

// showAll prints the records that q selects whole.
func (a *app) showAll(ctx context.Context, s *persistence.Store, q *persistence.Query) error {
	skip := skipped{a: a}
	first := true
	for rec, err := range s.Records(ctx, q) {
		if err != nil {
			if err := skip.record(err); err != nil {
				return err
			}
			continue
		}
		if err := a.showRecord(ctx, s, rec, showOptions{}, first); err != nil {
			return err
		}
		first = false
	}
	return skip.err()
}
