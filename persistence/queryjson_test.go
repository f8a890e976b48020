package persistence_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
)

var jsonFields = []extrafields.Field{
	extrafields.Of("name", func(t *Task) string { return t.Name }),
	extrafields.Of("prio", prio),
	extrafields.Of("cost", func(t *Task) float64 { return float64(t.Prio) / 2 }),
	extrafields.Of("even", func(t *Task) bool { return t.Prio%2 == 0 }),
	extrafields.Of("raw", func(t *Task) []byte { return []byte{byte(t.Prio)} }),
	extrafields.Of("due", func(t *Task) time.Time { return epoch.Add(time.Duration(t.Prio) * 500 * time.Millisecond) }),
}

var epoch = time.Unix(1_000_000_000, 0).UTC()

// numbered saves ten tasks of prio 0 to 9, alternately DONE and NEW, and a file without any of
// the fields. Their IDs are 1 to 11.
func numbered(t *testing.T, s *persistence.Store) {
	t.Helper()
	for i := range 10 {
		must[persistence.ID](t)(s.Save(t.Context(), &Task{Name: fmt.Sprint("task ", i), Prio: i, State: []string{"DONE", "NEW"}[i%2]}))
	}
	must[persistence.ID](t)(s.Save(t.Context(), &File{Path: "x"}))
}

func TestQueriesFromJSONSelectAsJobmansDo(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s := open(t, url, &persistence.Options{ExtraFields: jsonFields})
		numbered(t, s)
		for text, want := range map[string]string{
			`{}`: "1 2 3 4 5 6 7 8 9 10 11",
			`{"filters": [{"field": "state", "op": "=", "arg": "DONE"}]}`:  "1 3 5 7 9",
			`{"filters": [{"field": "state", "op": "!=", "arg": "DONE"}]}`: "2 4 6 8 10 11",
			// NULL too.
			`{"filters": [{"field": "prio", "op": "!=", "arg": 3}]}`:                                                          "1 2 3 5 6 7 8 9 10 11",
			`{"filters": [{"field": "prio", "op": "! =", "arg": 3}, {"field": "prio", "op": "!in", "arg": [4, 5, 6.0]}]}`:     "1 2 3 8 9 10 11",
			`{"filters": [{"field": "prio", "op": "! IN", "arg": []}]}`:                                                       "1 2 3 4 5 6 7 8 9 10 11",
			`{"filters": [{"field": "prio", "op": "IN", "arg": []}]}`:                                                         "",
			`{"filters": [{"field": "prio", "op": "IN", "arg": [1, 2]}], "order_by": [{"field": "id", "direction":"desc"}]}`:  "3 2",
			`{"filters": [{"field": "prio", "op": "=", "arg": null}]}`:                                                        "11",
			`{"filters": [{"field": "prio", "op": "!=", "arg": null}], "limit": 2}`:                                           "1 2",
			`{"filters": [{"field": "name", "op": "is  null"}]}`:                                                              "11",
			`{"filters": [{"field": "name", "op": "prefix", "arg": "task 1"}]}`:                                               "2",
			`{"filters": [{"field": "name", "op": "SUFFIX", "arg": "k 1"}]}`:                                                  "2",
			`{"filters": [{"field": "name", "op": "Contains", "arg": "k"}], "limit": 2}`:                                      "1 2",
			`{"filters": [{"or": [{"field": "prio", "op": "=", "arg": 3}, {"field": "name", "op": "is null"}]}]}`:             "4 11",
			`{"filters": [{"or": [{"or": [{"field": "prio", "op": "<", "arg": 2}]}, {"field": "id", "op": "=", "arg": 9}]}]}`: "1 2 9",
			`{"filters": [{"or": []}]}`:                             "",
			`{"filters": [{"field": "cost", "op": ">", "arg": 3}]}`: "8 9 10",
			`{"filters": [{"field": "even", "op": "=", "arg": true}, {"field": "prio", "op": "<=", "arg": 4}]}`: "1 3 5",
			`{"filters": [{"field": "raw", "op": "=", "arg": "Aw=="}]}`:                                         "4",
			`{"filters": [{"field": "due", "op": ">=", "arg": 1000000003.5}]}`:                                  "8 9 10",
			`{"filters": [{"field": "due", "op": "<", "arg": "2001-09-09T03:46:41+02:00"}]}`:                    "1 2",
			`{"filters": [{"field": "id", "op": ">", "arg": 9}]}`:                                               "10 11",
			`{"filters": [{"field": "id", "op": "IN", "arg": ["9", 2]}]}`:                                       "2 9",
			`{"order_by": [{"field": "prio", "direction": "DESC"}], "limit": 3}`:                                "10 9 8",
			`{"order_by": [{"field": "state"}, {"field": "prio", "direction": "DESC"}], "limit": 3}`:            "9 7 5",
			`{"after": "9"}`: "10 11",
		} {
			q, err := persistence.ParseQuery([]byte(text))
			if err != nil {
				t.Errorf("%s: %v", text, err)
				continue
			}
			if got := join(list(t, s, q)); got != want {
				t.Errorf("%s selects %q, want %q", text, got, want)
			}
			again, err := persistence.FormatQuery(q)
			if err != nil {
				t.Errorf("%s: %v", text, err)
				continue
			}
			if got := join(list(t, s, must[*persistence.Query](t)(persistence.ParseQuery(again)))); got != want {
				t.Errorf("%s, written as %s, selects %q, want %q", text, again, got, want)
			}
		}
	})
}

func join(ids []persistence.ID) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = string(id)
	}
	return strings.Join(texts, " ")
}

func TestQueriesFromJSONThatAreRefused(t *testing.T) {
	t.Parallel()
	for text, words := range map[string]string{
		``:                                    "query",
		`[]`:                                  "query",
		` null `:                              "no object",
		`{} {}`:                               "after the object",
		`{"filter": []}`:                      `"filter"`,
		`{"limit": -1}`:                       "-1",
		`{"limit": 1.5}`:                      "limit",
		`{"filters": [{"op": "=", "arg":1}]}`: "no field",
		`{"filters": [{"field": "state", "op": "= 'x' OR 1 =", "arg": 1}]}`:  "unknown operator",
		`{"filters": [{"field": "state", "op": "!<", "arg": 1}]}`:            "unknown operator",
		`{"filters": [{"field": "state", "op": "=", "arg": ["x"]}]}`:         "does not go",
		`{"filters": [{"field": "state", "op": "=", "arg": {"a": 1}}]}`:      "does not go",
		`{"filters": [{"field": "state", "op": "IN", "arg": "x"}]}`:          "does not go",
		`{"filters": [{"field": "state", "op": "IN", "arg": [null]}]}`:       "does not go",
		`{"filters": [{"field": "state", "op": "<", "arg": null}]}`:          "does not go",
		`{"filters": [{"field": "state", "op": "IS NULL", "arg": 1}]}`:       "does not go",
		`{"filters": [{"field": "state", "op": "PREFIX", "arg": 1}]}`:        "does not go",
		`{"filters": [{"field": "state", "op": "CONTAINS", "arg": true}]}`:   "does not go",
		`{"filters": [{"field": "state", "op": "SUFFIX"}]}`:                  "does not go",
		`{"filters": [{"or": [{"op": "="}]}]}`:                               "or 1: it names no field",
		`{"filters": [{"or": [], "field": "state"}]}`:                        "stands beside",
		`{"filters": [{"or": {"field": "state"}}]}`:                          "or",
		`{"order_by": [{"direction": "ASC"}]}`:                               "no field",
		`{"order_by": [{"field": "id", "direction": "DESC; DROP TABLE x"}]}`: "direction",
	} {
		_, err := persistence.ParseQuery([]byte(text))
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: got error %v, want one that mentions %s", text, err, words)
		}
	}

	s := open(t, "mem:", &persistence.Options{ExtraFields: jsonFields})
	for text, words := range map[string]string{
		`{"filters": [{"field": "id = 1 OR id", "op": "=", "arg": 1}]}`:           "unknown column",
		`{"filters": [{"field": "prios", "op": "=", "arg": 1}]}`:                  `"prio"`,
		`{"order_by": [{"field": "data"}]}`:                                       "unknown column",
		`{"filters": [{"field": "prio", "op": "=", "arg": "1"}]}`:                 "prio",
		`{"filters": [{"field": "prio", "op": "=", "arg": 1.5}]}`:                 "1.5",
		`{"filters": [{"field": "prio", "op": "=", "arg": 9223372036854775808}]}`: "9223372036854775808",
		`{"filters": [{"field": "name", "op": "=", "arg": 1}]}`:                   "name",
		`{"filters": [{"field": "even", "op": "=", "arg": 1}]}`:                   "even",
		`{"filters": [{"field": "cost", "op": "=", "arg": 1e999}]}`:               "range",
		`{"filters": [{"field": "raw", "op": "=", "arg": "?"}]}`:                  "base64",
		`{"filters": [{"field": "due", "op": "=", "arg": "yesterday"}]}`:          "RFC 3339",
		`{"filters": [{"field": "due", "op": "=", "arg": 1e300}]}`:                "Unix seconds",
		`{"filters": [{"field": "id", "op": "=", "arg": "x"}]}`:                   "id",
		`{"after": "x"}`: "x",
	} {
		q, err := persistence.ParseQuery([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for _, err := range s.List(t.Context(), q) {
			if err == nil || !strings.Contains(err.Error(), words) {
				t.Errorf("%s: got error %v, want one that mentions %s", text, err, words)
			}
		}
	}
	if _, err := persistence.FormatQuery(&persistence.Query{Where: []persistence.Cond{persistence.Eq("x", make(chan int))}}); err == nil {
		t.Error("a channel was formatted")
	}
	if _, err := persistence.FormatQuery(&persistence.Query{Where: []persistence.Cond{{}}}); err == nil {
		t.Error("an empty condition was formatted")
	}
}

// A query made by a program selects the same records after conversion to JSON and back.
func TestQueriesSelectTheSameThroughJSON(t *testing.T) {
	t.Parallel()
	s := open(t, "mem:", &persistence.Options{ExtraFields: jsonFields})
	numbered(t, s)
	values := map[string]*rapid.Generator[any]{
		"name":  rapid.Custom(func(t *rapid.T) any { return fmt.Sprint("task ", rapid.IntRange(0, 10).Draw(t, "n")) }),
		"state": rapid.SampledFrom([]any{"DONE", "NEW", "UNKNOWN", ""}),
		"prio":  rapid.SampledFrom([]any{0, int8(3), uint64(5), time.Duration(7), int64(-1) << 62}),
		"cost":  rapid.SampledFrom([]any{0.0, 0.5, float32(2.5), 3, 1e300}),
		"even":  rapid.SampledFrom([]any{true, false}),
		"raw":   rapid.SampledFrom([]any{[]byte{}, []byte{0}, []byte{3}, []byte("\xff\x00")}),
		"due":   rapid.SampledFrom([]any{epoch, epoch.Add(1500 * time.Millisecond), epoch.Add(time.Microsecond).In(time.FixedZone("x", 3600)), time.Time{}}),
		"id":    rapid.SampledFrom([]any{persistence.ID("3"), "10", 7}),
	}
	columns := []string{"name", "state", "prio", "cost", "even", "raw", "due", "id"}
	compare := []func(string, any) persistence.Cond{persistence.Eq, persistence.Ne, persistence.Lt, persistence.Le, persistence.Gt, persistence.Ge}
	lists := []func(string, ...any) persistence.Cond{persistence.In, persistence.NotIn}
	rapid.Check(t, func(rt *rapid.T) {
		q := &persistence.Query{Limit: rapid.IntRange(0, 5).Draw(rt, "limit")}
		for range rapid.IntRange(0, 3).Draw(rt, "conditions") {
			column := rapid.SampledFrom(columns).Draw(rt, "column")
			v := values[column]
			switch rapid.IntRange(0, 3).Draw(rt, "form") {
			case 0, 1:
				q.Where = append(q.Where, rapid.SampledFrom(compare).Draw(rt, "op")(column, v.Draw(rt, "value")))
			case 2:
				q.Where = append(q.Where, rapid.SampledFrom(lists).Draw(rt, "op")(column, rapid.SliceOfN(v, 0, 3).Draw(rt, "values")...))
			default:
				q.Where = append(q.Where, persistence.Or(persistence.IsNull(column), persistence.HasPrefix("name", "task"),
					persistence.Contains("state", "N"), persistence.Or(), persistence.HasSuffix("name", "1")))
			}
		}
		if rapid.Bool().Draw(rt, "states") {
			q.State = rapid.SliceOfN(rapid.SampledFrom([]string{"DONE", "NEW"}), 0, 2).Draw(rt, "states")
		}
		if rapid.Bool().Draw(rt, "typed") {
			q.Type = "test.Task"
		}
		if rapid.Bool().Draw(rt, "ordered") {
			q.Order = []persistence.Order{persistence.Desc(rapid.SampledFrom(columns).Draw(rt, "order")), persistence.Asc("prio")}
		} else if rapid.Bool().Draw(rt, "after") {
			q.After = "2"
		}
		text, err := persistence.FormatQuery(q)
		if err != nil {
			rt.Fatal(err)
		}
		parsed, err := persistence.ParseQuery(text)
		if err != nil {
			rt.Fatalf("%s: %v", text, err)
		}
		want, got := slices.Clone(list(t, s, q)), list(t, s, parsed)
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("%s: %s", text, diff)
		}
	})
}
