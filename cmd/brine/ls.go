package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
)

func newLs(a *app) *cobra.Command {
	var q queryFlags
	var l listing
	cmd := &cobra.Command{
		Use:   "ls URL",
		Short: "list the records: ID, type, state, size, time, extra columns",
		Long: `Ls lists the records of a store: their IDs, types, states, sizes, when they were last modified, and
the extra columns that the store keeps beside them. It never reads the objects themselves.

On a terminal the columns that fit are shown. A list of any length streams.

With --json each record is an object with id, type, state, revision, size, created, modified and
fields, which has the extra columns by name; null is a value that is not there.`,
		Example: `  brine ls tasks.db
  brine ls tasks.db --state FAILED --order -modified --limit 20
  brine ls tasks.db --where 'attempts>=3' --where 'modified>2h' --columns name,attempts
  brine ls tasks.db --type taskgraph.Task --ids | brine show tasks.db -
  brine ls postgres://user@host/db#table=jobs --json | jq .fields`,
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
			return l.run(ctx, a, s, query)
		},
	}
	q.addSelection(a, cmd)
	q.addOrder(cmd)
	l.addFlags(cmd)
	return cmd
}

// A listing is how records are listed.
type listing struct {
	columns []string
	ids     bool
}

func (l *listing) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringSliceVarP(&l.columns, "columns", "c", nil, "the columns, such as `id,state,name` (default: all that fit)")
	cmd.Flags().BoolVar(&l.ids, "ids", false, "only the IDs, one a line")
}

// run lists the records that q selects.
func (l *listing) run(ctx context.Context, a *app, s *persistence.Store, q *persistence.Query) error {
	switch {
	case l.ids:
		return listIDs(ctx, a, s, q)
	case a.json:
		return listJSON(ctx, a, s, q)
	}
	columns, optional, err := l.choose(a.columns[s])
	if err != nil {
		return err
	}
	var names []string
	for _, c := range columns {
		names = append(names, strings.ToUpper(c.name))
	}
	t := a.table(names...).optionalFrom(optional)
	for _, c := range columns {
		if c.number {
			t.alignRight(strings.ToUpper(c.name))
		}
	}
	n, skip := int64(0), skipped{a: a}
	for info, err := range s.StatAll(ctx, q) {
		if err != nil {
			if err := skip.record(err); err != nil {
				return err
			}
			continue
		}
		cells := make([]any, len(columns))
		for i, c := range columns {
			cells[i] = c.cell(a, &info)
		}
		if err := t.row(cells...); err != nil {
			return err
		}
		n++
	}
	if err := t.end(); err != nil {
		return err
	}
	l.summary(a, n, t.hidden())
	return skip.err()
}

// summary tells a person how many records there are, and what was left out.
func (l *listing) summary(a *app, n int64, hidden []string) {
	if n == 0 {
		a.note("no records")
		return
	}
	text := plural(n, "record")
	if len(hidden) > 0 {
		text += "; also: " + strings.ToLower(strings.Join(hidden, ", ")) + " (--columns)"
	}
	a.note("%s", cut(text, a.width))
}

// A column is one of a list.
type column struct {
	name   string
	number bool // aligned to the right
	cell   func(a *app, info *persistence.Info) any
}

// standardColumns are those of every store.
var standardColumns = []column{
	{"id", false, func(_ *app, info *persistence.Info) any { return string(info.ID) }},
	{"type", false, func(_ *app, info *persistence.Info) any { return info.Type }},
	{"state", false, func(_ *app, info *persistence.Info) any { return cell{info.State, stateStyle(info.State)} }},
	{"size", true, func(a *app, info *persistence.Info) any { return a.size(info.Size) }},
	{"modified", true, func(a *app, info *persistence.Info) any { return cell{a.time(info.Modified), dim} }},
	{"created", true, func(a *app, info *persistence.Info) any { return cell{a.time(info.Created), dim} }},
	{"revision", true, func(_ *app, info *persistence.Info) any { return strconv.FormatInt(info.Revision, 10) }},
}

const defaultColumns = 5 // of standardColumns

// choose returns the columns to list, and how many of them must be shown.
func (l *listing) choose(extra []persistence.ColumnInfo) (columns []column, optional int, err error) {
	all := slices.Clone(standardColumns)
	for _, c := range namesFirst(extra) {
		all = append(all, column{c.Name, isNumber(c.Kind), func(a *app, info *persistence.Info) any { return a.value(info.Fields[c.Name]) }})
	}
	if len(l.columns) == 0 {
		chosen := append(slices.Clone(all[:defaultColumns]), all[len(standardColumns):]...)
		return chosen, defaultColumns, nil
	}
	for _, name := range l.columns {
		i := slices.IndexFunc(all, func(c column) bool { return strings.EqualFold(c.name, name) })
		if i < 0 {
			var names []string
			for _, c := range all {
				names = append(names, c.name)
			}
			return nil, 0, usagef("--columns: there is no column %q: there are %s", name, strings.Join(names, ", "))
		}
		columns = append(columns, all[i])
	}
	return columns, len(columns), nil
}

// namesFirst returns columns with those in front that tell a person what a record is.
func namesFirst(columns []persistence.ColumnInfo) []persistence.ColumnInfo {
	sorted := slices.Clone(columns)
	rank := func(c persistence.ColumnInfo) int {
		if i := slices.Index([]string{"name", "title", "label"}, strings.ToLower(c.Name)); i >= 0 {
			return i
		}
		return 3
	}
	slices.SortStableFunc(sorted, func(a, b persistence.ColumnInfo) int { return cmp.Compare(rank(a), rank(b)) })
	return sorted
}

// value returns the value of an extra column as it is shown.
func (a *app) value(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return a.float(v)
	case bool:
		return strconv.FormatBool(v)
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	case time.Time:
		return a.time(v)
	}
	return fmt.Sprint(v)
}

// float returns a number of at most six digits on a terminal, whole elsewhere.
func (a *app) float(v float64) string {
	if a.isTerminal && math.Abs(v) < 1e6 {
		return strconv.FormatFloat(v, 'g', 6, 64)
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

func listIDs(ctx context.Context, a *app, s *persistence.Store, q *persistence.Query) error {
	skip := skipped{a: a}
	for id, err := range s.List(ctx, q) {
		if err != nil {
			if err := skip.record(err); err != nil {
				return err
			}
			continue
		}
		if err := a.printID(id); err != nil {
			return err
		}
	}
	return skip.err()
}

func (a *app) printID(id persistence.ID) error {
	if a.json {
		return a.printJSON(map[string]any{"id": id})
	}
	text := string(id)
	if a.isTerminal {
		text = printable(text)
	}
	a.printf("%s\n", text)
	return a.written()
}

func listJSON(ctx context.Context, a *app, s *persistence.Store, q *persistence.Query) error {
	skip := skipped{a: a}
	for info, err := range s.StatAll(ctx, q) {
		if err != nil {
			if err := skip.record(err); err != nil {
				return err
			}
			continue
		}
		if err := a.printJSON(jsonInfo(&info)); err != nil {
			return err
		}
	}
	return skip.err()
}

func isNumber(kind extrafields.Kind) bool {
	return kind == extrafields.Int || kind == extrafields.Float
}
