package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/brine-go/brine/persistence"
)

// showOptions are how records are shown.
type showOptions struct {
	whole bool // long values and lists are not cut
}

func newShow(a *app) *cobra.Command {
	var o showOptions
	cmd := &cobra.Command{
		Use:   "show URL ID...",
		Short: "print objects as trees, with type and state of what they refer to",
		Long: `Show prints objects: what the store knows of each, and its value as a tree. Of the type only the name is
needed. A reference is an arrow, with the ID, type and state of what it leads to; a lazy one says so.
Long values and lists are cut on a terminal, unless --whole.

With --json each object is one line with id, type, state, revision, size, created, modified, version,
fields, refs, lazy_refs and value. In value a reference is {"$ref": ID}, a time is a text, bytes are
base64, and a value of a type of its own behind an interface is {"$type": NAME, "value": …}.

The argument "-" stands for IDs on the input, one a line.`,
		Example: `  brine show tasks.db 7
  brine show tasks.db 7 8 9 --json | jq .value
  brine ls tasks.db --state FAILED --ids | brine show tasks.db -`,
		Args:              arguments,
		ValidArgsFunction: a.completeIDs,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			s, err := a.open(ctx, args[0], readOnly)
			if err != nil {
				return err
			}
			defer s.Close()
			ids, err := a.ids(ctx, s, args[1:])
			if err != nil {
				return err
			}
			var failed []error
			shown := 0
			for _, id := range ids {
				rec, err := s.Record(ctx, id)
				if err == nil {
					err = a.showRecord(ctx, s, rec, o, shown == 0)
					shown++
				}
				if err != nil && ctx.Err() != nil {
					return err
				}
				failed = append(failed, err)
			}
			return errors.Join(failed...)
		},
	}
	cmd.Flags().BoolVar(&o.whole, "whole", false, "do not cut long values and lists")
	return cmd
}

// showRecord prints a record. It is the first of several, or not.
func (a *app) showRecord(ctx context.Context, s *persistence.Store, rec *persistence.Record, o showOptions, first bool) error {
	if a.json {
		return a.printJSON(rec)
	}
	value, err := rec.Value()
	if err != nil {
		return err
	}
	known, err := infosOf(ctx, s, rec)
	if err != nil {
		return err
	}
	if !first {
		a.printf("\n")
	}
	a.head(rec)
	t := tree{a: a, known: known, whole: o.whole || !a.isTerminal}
	t.print(value)
	return a.written()
}

// head prints what the store knows of a record.
func (a *app) head(rec *persistence.Record) {
	a.printf("%s %s", a.paint(bold, printable(rec.Type)), a.paint(bold, printable(string(rec.ID))))
	a.printf("  %s\n", a.paint(stateStyle(rec.State), printable(rec.State)))
	line := func(name, text string) { a.printf("%s %s\n", a.paint(dim, fmt.Sprintf("%-9s", name)), text) }
	line("revision", a.number(rec.Revision))
	line("size", a.size(rec.Size))
	if rec.Version != 0 {
		line("version", fmt.Sprint(rec.Version))
	}
	line("created", a.longTime(rec.Created))
	line("modified", a.longTime(rec.Modified))
	if len(rec.Fields) > 0 {
		var fields []string
		for _, name := range slices.Sorted(maps.Keys(rec.Fields)) {
			if v := rec.Fields[name]; v != nil {
				fields = append(fields, name+"="+printable(a.value(v)))
			}
		}
		line("columns", strings.Join(fields, "  "))
	}
}

// longTime returns a time in full, and on a terminal how long ago it was.
func (a *app) longTime(t time.Time) string {
	switch {
	case t.IsZero():
		return "unknown"
	case !a.isTerminal:
		return t.UTC().Format(time.RFC3339Nano)
	}
	text := t.Local().Format("2006-01-02 15:04:05")
	if short := shortTime(t, a.now()); !strings.Contains(short, "-") {
		text += "  " + a.paint(dim, short)
	}
	return text
}

// refsAtOnce is how many records are asked for in one query.
const refsAtOnce = 400

// withIDs returns a query for some records.
func withIDs(ids []persistence.ID) *persistence.Query {
	values := make([]any, len(ids))
	for i, id := range ids {
		values[i] = id
	}
	return &persistence.Query{Where: []persistence.Cond{persistence.In("id", values...)}}
}

// infosOf returns the types and states of the records that a record refers to. What is not there is
// missing from the result.
func infosOf(ctx context.Context, s *persistence.Store, rec *persistence.Record) (map[persistence.ID]persistence.Info, error) {
	known := map[persistence.ID]persistence.Info{}
	for ids := range slices.Chunk(slices.Concat(rec.Refs, rec.LazyRefs), refsAtOnce) {
		for info, err := range s.StatAll(ctx, withIDs(ids)) { // all columns: a table made by hand may lack the type
			if err != nil {
				if _, one := recordOf(err); !one {
					return nil, err
				}
				continue // it is reported when it is shown itself
			}
			known[info.ID] = info
		}
	}
	return known, nil
}
