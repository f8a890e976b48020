package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence"
)

// queryFlags are the flags by which commands select records.
type queryFlags struct {
	typ    string
	states []string
	where  []string
	order  []string
	limit  int
	after  string
}

const whereHelp = "only records for which `CONDITION` holds: COLUMN=VALUE, also with\n" +
	"!= < <= > >=, ^= (begins with), $= (ends with), ~= (contains); or JSON:\n" +
	`{"field":"priority","op":">","arg":3}; repeatable`

// addSelection gives a command the flags that select records.
func (f *queryFlags) addSelection(a *app, cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.typ, "type", "t", "", "only records of this `TYPE`")
	flags.StringSliceVarP(&f.states, "state", "s", nil, "only records in this `STATE`, or in one of several with commas")
	flags.StringArrayVarP(&f.where, "where", "w", nil, whereHelp)
	a.completeFlags(cmd)
}

// addOrder gives a command the flags that order and limit records.
func (f *queryFlags) addOrder(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVarP(&f.order, "order", "o", nil, "sort by this `COLUMN`, or several with commas; -COLUMN descends (default: id)")
	flags.IntVarP(&f.limit, "limit", "l", 0, "at most `N` records (default: all)")
	flags.StringVar(&f.after, "after", "", "only records after this `ID`, where they are sorted by ID")
}

// query returns the query that the flags describe, for a store that was opened with its columns.
func (f *queryFlags) query(ctx context.Context, a *app, s *persistence.Store) (*persistence.Query, error) {
	q := &persistence.Query{Type: f.typ, State: f.states, Limit: f.limit, After: persistence.ID(f.after)}
	if f.limit < 0 {
		return nil, usagef("--limit %d: a limit is not negative", f.limit)
	}
	if f.after != "" && len(f.order) > 0 {
		return nil, usagef("--after goes with the order of IDs, not with --order")
	}
	if f.after != "" {
		integers, err := integerIDs(ctx, s)
		if err != nil {
			return nil, err
		}
		if err := idfactory.Validate(q.After, integers); err != nil {
			return nil, fmt.Errorf("--after: %w", badID(f.after, integers, err))
		}
	}
	kinds := columnKinds(a.columns[s])
	for _, text := range f.where {
		if strings.HasPrefix(strings.TrimSpace(text), "{") || strings.HasPrefix(strings.TrimSpace(text), "[") {
			if err := addJSON(q, text); err != nil {
				return nil, usagef("%w", err)
			}
			continue
		}
		c, column, err := condition(kinds, text, a.now())
		if err != nil {
			return nil, usagef("--where %q: %w", text, err)
		}
		q.Where = append(q.Where, c)
		a.warnIncomplete(s, column)
	}
	for _, column := range f.order {
		name, desc := strings.CutPrefix(column, "-")
		if desc {
			q.Order = append(q.Order, persistence.Desc(name))
		} else {
			q.Order = append(q.Order, persistence.Asc(name))
		}
		a.warnIncomplete(s, name)
	}
	return q, checkQuery(ctx, s, q)
}

// checkQuery returns a usage error if the store refuses the query for its form, before any I/O: an
// unknown column, say.
func checkQuery(ctx context.Context, s *persistence.Store, q *persistence.Query) error {
	ended, cancel := context.WithCancel(ctx)
	cancel()
	for _, err := range s.List(ended, q) {
		if err == nil || errors.Is(err, context.Canceled) || ctx.Err() != nil {
			break
		}
		if text, ok := queryMistake(err); ok {
			return usagef("%s", text)
		}
		break // the command will meet it again
	}
	return nil
}

// queryMistake returns what is wrong with a query, if that is what an error is about.
func queryMistake(err error) (string, bool) {
	e, ok := errors.AsType[*persistence.Error](err)
	if !ok {
		return "", false
	}
	text, ok := strings.CutPrefix(e.Err.Error(), "query: ")
	return strings.TrimSuffix(text, "; Options.ExtraFields adds more"), ok
}

// addJSON adds a query, a filter or a list of filters in the form of persistence.ParseQuery.
func addJSON(q *persistence.Query, text string) error {
	text = strings.TrimSpace(text)
	var probe struct {
		Field *string          `json:"field"`
		Or    *json.RawMessage `json:"or"`
	}
	switch {
	case strings.HasPrefix(text, "["):
		text = `{"filters":` + text + `}`
	case json.Unmarshal([]byte(text), &probe) == nil && (probe.Field != nil || probe.Or != nil):
		text = `{"filters":[` + text + `]}`
	}
	parsed, err := persistence.ParseQuery([]byte(text))
	if err != nil {
		return err
	}
	q.Where = append(q.Where, parsed.Where...)
	q.Order = append(q.Order, parsed.Order...)
	if parsed.Limit != 0 {
		q.Limit = parsed.Limit
	}
	if parsed.After != "" {
		q.After = parsed.After
	}
	return nil
}

// warnIncomplete warns that a query uses a column that some records lack.
func (a *app) warnIncomplete(s *persistence.Store, column string) {
	for _, c := range a.columns[s] {
		if c.Name == column && !c.Complete {
			a.warn("column %s is not filled in all records, so some may be missing: a program that declares it fills it by Reindex", column)
		}
	}
}

// columnKinds returns the kinds of the columns that conditions may name.
func columnKinds(columns []persistence.ColumnInfo) map[string]extrafields.Kind {
	kinds := map[string]extrafields.Kind{
		"id": extrafields.Text, "type": extrafields.Text, "state": extrafields.Text, "revision": extrafields.Int,
		"created": extrafields.Time, "modified": extrafields.Time,
		"claim_owner": extrafields.Text, "claim_until": extrafields.Time, "claim_token": extrafields.Int,
	}
	for _, c := range columns {
		kinds[c.Name] = c.Kind
	}
	return kinds
}

var conditionForm = regexp.MustCompile(`(?s)^\s*([A-Za-z_][A-Za-z0-9_]*)\s*(!=|<>|<=|>=|\^=|\$=|~=|==|=|<|>)\s?(.*)$`)

// condition reads a condition such as priority>=5. The value null stands for a missing one.
func condition(kinds map[string]extrafields.Kind, text string, now time.Time) (c persistence.Cond, column string, err error) {
	m := conditionForm.FindStringSubmatch(text)
	if m == nil {
		return c, "", errors.New("it is not of the form COLUMN=VALUE")
	}
	column, op, value := m[1], m[2], m[3]
	if same, ok := map[string]string{"==": "=", "<>": "!="}[op]; ok { // as other languages write it
		op = same
	}
	kind, known := kinds[column]
	switch {
	case !known: // the store says it better
		kind = extrafields.Text
	case op == "^=":
		return persistence.HasPrefix(column, value), column, nil
	case op == "$=":
		return persistence.HasSuffix(column, value), column, nil
	case op == "~=":
		return persistence.Contains(column, value), column, nil
	case value == "null" && op == "=":
		return persistence.IsNull(column), column, nil
	case value == "null" && op == "!=":
		return persistence.NotNull(column), column, nil
	}
	v, err := valueOf(kind, value, now)
	if err != nil {
		return c, column, err
	}
	compare := map[string]func(string, any) persistence.Cond{
		"=": persistence.Eq, "!=": persistence.Ne, "<": persistence.Lt, "<=": persistence.Le, ">": persistence.Gt, ">=": persistence.Ge,
	}[op]
	if compare == nil { // of an unknown column
		compare = persistence.Eq
	}
	return compare(column, v), column, nil
}

// valueOf reads a value of a column.
func valueOf(kind extrafields.Kind, text string, now time.Time) (v any, err error) {
	switch kind {
	case extrafields.Int:
		if v, err = strconv.ParseInt(text, 10, 64); err != nil {
			err = fmt.Errorf("%q is not a whole number", text)
		}
	case extrafields.Float:
		if v, err = strconv.ParseFloat(text, 64); err != nil {
			err = fmt.Errorf("%q is not a number", text)
		}
	case extrafields.Bool:
		if v, err = strconv.ParseBool(text); err != nil {
			err = fmt.Errorf("%q is neither true nor false", text)
		}
	case extrafields.Bytes:
		v = []byte(text)
	case extrafields.Time:
		return timeOf(text, now)
	default:
		v = text
	}
	return v, err
}

// timeLayouts are how times may be written, beside a duration before now.
var timeLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05", time.DateTime, "2006-01-02 15:04", time.DateOnly}

// timeOf reads a time, of this machine's zone where it names none, or a time before now, as 90m or
// 7d.
func timeOf(text string, now time.Time) (time.Time, error) {
	for _, layout := range timeLayouts {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("%q is not a time: write 2026-05-01, 2026-05-01T12:00:00Z, or 90m, 12h or 7d for a time before now", text)
}
