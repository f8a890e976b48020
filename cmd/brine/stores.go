package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/url"
)

func newStores(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "stores URL",
		Short: "list the stores of a database: the tables that are stores",
		Long: `Stores lists the tables of a database that are stores, each with the number of its records and the URL
that opens it. Of a directory it tells whether it is a store.

With --json each store is an object with name, records and url.`,
		Example: `  brine stores postgres://user@host/db
  brine stores tasks.db`,
		Args:              arguments,
		ValidArgsFunction: a.completeURL,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			raw := storeURL(args[0])
			names, err := persistence.Stores(ctx, raw)
			if err != nil {
				return err
			}
			t := a.table("NAME", "RECORDS", "URL").alignRight("RECORDS")
			for _, name := range names {
				at, n, err := a.countStore(ctx, raw, name)
				if err != nil {
					return err
				}
				if a.json {
					err = a.printJSON(map[string]any{"name": name, "records": n, "url": at})
				} else {
					err = t.row(name, a.number(n), at)
				}
				if err != nil {
					return err
				}
			}
			if len(names) == 0 {
				a.note("no stores")
			}
			return t.end()
		},
	}
}

// countStore returns the URL of one of the stores of a database, without its password, and the
// number of its records.
func (a *app) countStore(ctx context.Context, raw, name string) (at string, n int64, err error) {
	o := persistence.Options{ExtraFields: []extrafields.Field{}}
	u, err := url.Parse(raw)
	if err != nil {
		return "", 0, err
	}
	at = u.String()
	if u.Scheme() != "file" && u.Scheme() != "mem" {
		o.Table = name
		at, _, _ = strings.Cut(at, "#")
		at += "#table=" + name
	}
	s, err := a.openWith(ctx, raw, readOnly, o)
	if err != nil {
		return "", 0, err
	}
	defer s.Close()
	n, err = s.Count(ctx, nil)
	return at, n, err
}
