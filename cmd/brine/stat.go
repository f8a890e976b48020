package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/brine-go/brine/persistence"
)

func newStat(a *app) *cobra.Command {
	var fast bool
	cmd := &cobra.Command{
		Use:   "stat URL",
		Short: "tell about a store on one page: counts, size, columns, indexes",
		Long: `Stat tells about a store on one page: how many records of which type and in which state it has, their
size, its IDs, extra columns and indexes, key-value pairs, claims, and what is in quarantine.

Sizes and times are summed over all records, which takes seconds for millions; --fast leaves them out.

With --json it is one object with url, ids ("integer" or "text"), records, bytes, first_created,
last_modified, types (type, records, bytes, states), columns (name, kind, types, indexed, unique,
complete), pairs, claims, expired_claims and quarantined. What --fast leaves out is null, and so is what
a table of another program does not keep.`,
		Example: `  brine stat tasks.db
  brine stat postgres://user@host/db#table=jobs --fast
  brine stat tasks.db --json | jq .records`,
		Args:              arguments,
		ValidArgsFunction: a.completeURL,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			s, err := a.open(ctx, args[0], readOnly)
			if err != nil {
				return err
			}
			defer s.Close()
			st, err := a.survey(ctx, s, fast)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(st)
			}
			return st.print(a)
		},
	}
	cmd.Flags().BoolVar(&fast, "fast", false, "leave out sizes and times")
	return cmd
}

// A survey is what stat tells of a store.
type survey struct {
	URL         string         `json:"url"`
	IDs         string         `json:"ids"`
	FirstID     persistence.ID `json:"first_id"`
	LastID      persistence.ID `json:"last_id"`
	Records     int64          `json:"records"`
	Bytes       *int64         `json:"bytes"`
	Created     *time.Time     `json:"first_created"`
	Modified    *time.Time     `json:"last_modified"`
	Types       []typeSurvey   `json:"types"`
	Columns     []columnJSON   `json:"columns"`
	Pairs       int64          `json:"pairs"`
	Claims      int64          `json:"claims"`
	Expired     int64          `json:"expired_claims"`
	Quarantined int64          `json:"quarantined"`
}

// A typeSurvey counts the records of a type.
type typeSurvey struct {
	Type    string       `json:"type"`
	Records int64        `json:"records"`
	Bytes   *int64       `json:"bytes"`
	States  []stateCount `json:"states"`
}

type stateCount struct {
	State   string `json:"state"`
	Records int64  `json:"records"`
}

type columnJSON struct {
	Name     string   `json:"name"`
	Kind     string   `json:"kind"`
	Types    []string `json:"types"` // null: of all types
	Indexed  bool     `json:"indexed"`
	Unique   bool     `json:"unique"`
	Complete bool     `json:"complete"`
}

// survey looks at a store.
func (a *app) survey(ctx context.Context, s *persistence.Store, fast bool) (*survey, error) {
	st := &survey{URL: s.URL().String(), Types: []typeSurvey{}, Columns: []columnJSON{}}
	for _, c := range a.columns[s] {
		st.Columns = append(st.Columns, columnJSON{c.Name, c.Kind.String(), c.Types, c.Indexed, c.Unique, c.Complete})
	}
	integers, err := integerIDs(ctx, s)
	if err != nil {
		return nil, err
	}
	st.IDs = "text"
	if integers {
		st.IDs = "integer"
	}
	for _, step := range []func(context.Context, *persistence.Store) error{st.ends, st.count, st.beside} {
		if err := step(ctx, s); err != nil {
			return nil, err
		}
	}
	if !fast {
		err = st.measure(ctx, a, s)
	}
	return st, err
}

// ends finds the first and the last ID.
func (st *survey) ends(ctx context.Context, s *persistence.Store) error {
	for id, err := range s.List(ctx, &persistence.Query{Limit: 1}) {
		if err != nil {
			return err
		}
		st.FirstID = id
	}
	for id, err := range s.List(ctx, &persistence.Query{Limit: 1, Order: []persistence.Order{persistence.Desc("id")}}) {
		if err != nil {
			return err
		}
		st.LastID = id
	}
	return nil
}

// count counts the records by type and state.
func (st *survey) count(ctx context.Context, s *persistence.Store) error {
	types, err := s.CountBy(ctx, "type", nil)
	byHand := errors.Is(err, errors.ErrUnsupported) // there is no such column
	if byHand {
		var n int64
		if n, err = s.Count(ctx, nil); n > 0 {
			types = []persistence.Group{{Count: n}}
		}
	}
	if err != nil {
		return err
	}
	for _, g := range types {
		name, _ := g.Value.(string)
		var q *persistence.Query
		if !byHand {
			q = &persistence.Query{Where: []persistence.Cond{persistence.Eq("type", name)}}
		}
		states, err := s.CountBy(ctx, "state", q)
		if err != nil {
			return err
		}
		t := typeSurvey{Type: name, Records: g.Count, States: []stateCount{}}
		for _, g := range states {
			state, _ := g.Value.(string)
			t.States = append(t.States, stateCount{state, g.Count})
		}
		st.Records += g.Count
		st.Types = append(st.Types, t)
	}
	return nil
}

// beside counts what a store has beside its records.
func (st *survey) beside(ctx context.Context, s *persistence.Store) error {
	now := time.Now()
	for c, err := range s.Claims(ctx) {
		if err != nil {
			if err := uncounted(err); err != nil {
				return err
			}
			continue
		}
		st.Claims++
		if c.Until().Before(now) {
			st.Expired++
		}
	}
	for _, err := range s.KV().Range(ctx, "") {
		if err := uncounted(err); err != nil {
			return err
		}
		if _, one := recordOf(err); err == nil || one {
			st.Pairs++
		}
	}
	for _, err := range s.Quarantined(ctx) {
		if err := uncounted(err); err != nil && !errors.Is(err, persistence.ErrCorrupt) {
			return err
		}
		if err == nil || errors.Is(err, persistence.ErrCorrupt) {
			st.Quarantined++
		}
	}
	return nil
}

// uncounted returns an error that ends a count. What a backend does not have is none, and one
// record or pair that cannot be read does not end it.
func uncounted(err error) error {
	if _, one := recordOf(err); one || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// measure adds up the sizes, and finds the first and last times.
func (st *survey) measure(ctx context.Context, a *app, s *persistence.Store) error {
	p := a.progress("measuring", st.Records)
	defer p.end()
	var done, total int64
	var created, modified time.Time
	sizes := map[string]int64{}
	for info, err := range s.StatAll(ctx, nil) {
		if done++; done%1000 == 0 {
			p.set(done, st.Records)
		}
		if err != nil {
			if _, one := recordOf(err); !one {
				return err
			}
			continue // check tells of it
		}
		total += info.Size
		sizes[info.Type] += info.Size
		if created.IsZero() || info.Created.Before(created) {
			created = info.Created
		}
		if info.Modified.After(modified) {
			modified = info.Modified
		}
	}
	if total > 0 || done == 0 { // a table made by hand keeps no sizes
		st.Bytes = &total
	}
	if !created.IsZero() {
		st.Created, st.Modified = &created, &modified
	}
	for i := range st.Types {
		size := sizes[st.Types[i].Type]
		st.Types[i].Bytes = &size
	}
	return nil
}

// print prints the page.
func (st *survey) print(a *app) error {
	line := func(name, text string) { a.printf("%s %s\n", a.paint(bold, fmt.Sprintf("%-11s", name)), text) }
	line("store", printable(st.URL))
	ids := map[string]string{"integer": "whole numbers", "text": "texts"}[st.IDs]
	if st.Records > 0 {
		ids += ", from " + printable(string(st.FirstID)) + " to " + printable(string(st.LastID))
	}
	line("IDs", ids)
	records := a.number(st.Records)
	if st.Bytes != nil && st.Records > 0 {
		records += ", " + humanSize(*st.Bytes) + ", " + humanSize(*st.Bytes/st.Records) + " on average"
	}
	line("records", records)
	if st.Created != nil {
		line("created", "first "+a.longTime(*st.Created))
		line("modified", "last  "+a.longTime(*st.Modified))
	}
	line("pairs", a.number(st.Pairs))
	claims := a.number(st.Claims)
	if st.Expired > 0 {
		claims += ", " + withCommas(st.Expired) + " of them expired"
	}
	line("claims", claims)
	line("quarantine", a.number(st.Quarantined))
	for _, section := range []func(*app) error{st.printTypes, st.printColumns} {
		if err := section(a); err != nil {
			return err
		}
	}
	return nil
}

func (st *survey) printTypes(a *app) error {
	if len(st.Types) == 0 {
		return nil
	}
	a.printf("\n")
	t := a.table("TYPE", "RECORDS", "SIZE", "STATE", "COUNT").alignRight("RECORDS", "SIZE", "COUNT")
	for _, typ := range st.Types {
		size := ""
		if typ.Bytes != nil {
			size = a.size(*typ.Bytes)
		}
		for i, state := range typ.States {
			cells := []any{"", "", ""}
			if i == 0 || !a.isTerminal {
				cells = []any{typ.Type, a.number(typ.Records), size}
			}
			cells = append(cells, cell{state.State, stateStyle(state.State)}, a.number(state.Records))
			if err := t.row(cells...); err != nil {
				return err
			}
		}
	}
	return t.end()
}

func (st *survey) printColumns(a *app) error {
	if len(st.Columns) == 0 {
		return nil
	}
	a.printf("\n")
	t := a.table("COLUMN", "KIND", "INDEX", "COMPLETE", "TYPES")
	for _, c := range st.Columns {
		index, complete, types := "", cell{"yes", plain}, "all"
		if c.Indexed {
			index = "yes"
		}
		if c.Unique {
			index = "unique"
		}
		if !c.Complete {
			complete = cell{"no", yellow}
		}
		if c.Types != nil {
			types = strings.Join(slices.Sorted(slices.Values(c.Types)), ", ")
		}
		if err := t.row(c.Name, c.Kind, index, complete, types); err != nil {
			return err
		}
	}
	return t.end()
}
