package web_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/web"
)

var day = time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)

// hundred saves 100 tasks.
func hundred(t testing.TB, s *persistence.Store) {
	t.Helper()
	var tasks []any
	for i := range 100 {
		tasks = append(tasks, &Task{
			Name: fmt.Sprintf("task %02d, %%_ of %c", i%40, 'a'+i%5), State: []string{"NEW", "RUNNING", "DONE", "FAILED"}[i%4], Priority: i % 7,
			Due: day.Add(time.Duration(i%10) * time.Hour),
		})
	}
	save(t, s, tasks...)
}

func ids(t testing.TB, s *persistence.Store, q *persistence.Query) []string {
	t.Helper()
	got := []string{}
	for id, err := range s.List(context.Background(), q) {
		check(t, err)
		got = append(got, string(id))
	}
	return got
}

func TestFiltersSelectWhatTheQueryDoes(t *testing.T) {
	backends(t, func(t *testing.T, s *persistence.Store) {
		hundred(t, s)
		h := handler(s)
		for _, c := range []struct {
			parameters []string // j, c, o, v of each condition
			want       []persistence.Cond
		}{
			{[]string{"", "state", "eq", "NEW"}, []persistence.Cond{persistence.Eq("state", "NEW")}},
			{[]string{"", "state", "ne", "NEW"}, []persistence.Cond{persistence.Ne("state", "NEW")}},
			{[]string{"", "priority", "lt", "3"}, []persistence.Cond{persistence.Lt("priority", 3)}},
			{[]string{"", "priority", "le", " 3 "}, []persistence.Cond{persistence.Le("priority", 3)}},
			{[]string{"", "priority", "gt", "5"}, []persistence.Cond{persistence.Gt("priority", 5)}},
			{[]string{"", "priority", "ge", "6"}, []persistence.Cond{persistence.Ge("priority", 6)}},
			{[]string{"", "priority", "in", "1, 5"}, []persistence.Cond{persistence.In("priority", 1, 5)}},
			{[]string{"", "priority", "in", ""}, []persistence.Cond{persistence.In("priority")}},
			{[]string{"", "priority", "notin", "0,1,2,3,4"}, []persistence.Cond{persistence.NotIn("priority", 0, 1, 2, 3, 4)}},
			{[]string{"", "name", "in", `"task 01, %_ of b",x`}, []persistence.Cond{persistence.In("name", "task 01, %_ of b", "x")}},
			{[]string{"", "name", "contains", "%_ of c"}, []persistence.Cond{persistence.Contains("name", "%_ of c")}},
			{[]string{"", "name", "prefix", "task 1"}, []persistence.Cond{persistence.HasPrefix("name", "task 1")}},
			{[]string{"", "name", "suffix", " of e"}, []persistence.Cond{persistence.HasSuffix("name", " of e")}},
			{[]string{"", "name", "null", ""}, []persistence.Cond{persistence.IsNull("name")}},
			{[]string{"", "name", "notnull", ""}, []persistence.Cond{persistence.NotNull("name")}},
			{[]string{"", "due", "ge", "2026-11-27 08:00"}, []persistence.Cond{persistence.Ge("due", day.Add(8*time.Hour))}},
			{[]string{"", "due", "lt", "2026-11-27T03:00:00+02:00"}, []persistence.Cond{persistence.Lt("due", day.Add(time.Hour))}},
			{[]string{"", "due", "eq", "2026-11-27"}, []persistence.Cond{persistence.Eq("due", day)}},
			{[]string{"", "due", "eq", fmt.Sprint(day.Unix())}, []persistence.Cond{persistence.Eq("due", day)}},
			{[]string{"", "created", "gt", "2000-01-01"}, []persistence.Cond{persistence.Gt("created", day.AddDate(-26, 0, 0))}},
			{[]string{"", "id", "in", "5,7,9"}, []persistence.Cond{persistence.In("id", "5", "7", "9")}},
			{[]string{"", "type", "eq", "web.Task"}, []persistence.Cond{persistence.Eq("type", "web.Task")}},
			{[]string{"and", "state", "eq", "NEW", "and", "priority", "eq", "4"}, []persistence.Cond{persistence.Eq("state", "NEW"), persistence.Eq("priority", 4)}},
			{
				[]string{"and", "state", "eq", "NEW", "or", "priority", "eq", "4", "and", "", "eq", "", "and", "name", "suffix", "a", "or", "name", "suffix", "b", "or", "id", "lt", "20"},
				[]persistence.Cond{
					persistence.Or(persistence.Eq("state", "NEW"), persistence.Eq("priority", 4)),
					persistence.Or(persistence.HasSuffix("name", "a"), persistence.HasSuffix("name", "b"), persistence.Lt("id", "20")),
				},
			},
		} {
			var names []string
			for i := 0; i < len(c.parameters); i += 4 {
				for j, name := range []string{"j", "c", "o", "v"} {
					if name != "j" || len(c.parameters) > 4 {
						names = append(names, name, c.parameters[i+j])
					}
				}
			}
			want := ids(t, s, &persistence.Query{Where: c.want})
			body := page(t, h, query("/records", append(names, "n", "200")...))
			if diff := cmp.Diff(want, append([]string{}, rows(body)...)); diff != "" {
				t.Errorf("%q (-want +got):\n%s", c.parameters, diff)
			}
			count := text(page(t, h, query("/count", names...)))
			if n := fmt.Sprintf("%d record", len(want)); !strings.Contains(count, n) {
				t.Errorf("%q: the count is %q, want %s", c.parameters, count, n)
			}
		}
		json := `{"filters":[{"or":[{"field":"state","op":"=","arg":"NEW"},{"field":"name","op":"SUFFIX","arg":"e"}]}],"order_by":[{"field":"priority","direction":"DESC"}]}`
		q, err := persistence.ParseQuery([]byte(json))
		check(t, err)
		if diff := cmp.Diff(ids(t, s, q), rows(page(t, h, query("/records", "q", json, "n", "200")))); diff != "" {
			t.Errorf("JSON (-want +got):\n%s", diff)
		}
	})
}

func TestThePageShowsItsQueryAsJSON(t *testing.T) {
	t.Parallel()
	s := open(t, "mem:", &persistence.Options{ExtraFields: fields()})
	hundred(t, s)
	h := handler(s)
	body := page(t, h, query("/records", "j", "and", "c", "state", "o", "eq", "v", "DONE", "j", "or", "c", "name", "o", "contains", "v", `"<`, "sort", "-priority,name", "n", "100"))
	_, after, _ := strings.Cut(body, `<code class="block">`)
	shown, _, _ := strings.Cut(after, "</code>")
	shown = strings.NewReplacer("&#34;", `"`, "&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(shown)
	q, err := persistence.ParseQuery([]byte(shown))
	check(t, err)
	if diff := cmp.Diff(ids(t, s, q), rows(body)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", shown, diff)
	}
}

func TestWrongAddressesAreExplained(t *testing.T) {
	t.Parallel()
	s := open(t, "mem:", &persistence.Options{ExtraFields: fields()})
	hundred(t, s)
	h := handler(s)
	for path, want := range map[string]string{
		"/records?c=nothing&o=eq&v=1":                             `no column &#34;nothing&#34;`,
		"/records?c=state&o=like&v=1":                             `no condition &#34;like&#34;`,
		"/records?c=priority&o=eq&v=high":                         "no whole number",
		"/records?c=priority&o=contains&v=1":                      "for texts",
		"/records?c=due&o=lt&v=yesterday":                         "no time",
		"/records?c=due&o=in&v=2026-11-27,x":                      "no time",
		"/records?c=name&o=in&v=%22a":                             "the list",
		"/records?c=state&o=eq":                                   "do not belong together",
		"/records?c=id&o=eq&v=one":                                "ID",
		"/records?sort=nothing":                                   `no column &#34;nothing&#34;`,
		"/records?n=0":                                            "1 to 200",
		"/records?n=many":                                         "1 to 200",
		"/records?after=xyz":                                      "token",
		"/records?q=%7B":                                          "JSON",
		"/records?q=%7B%22limit%22:3%7D":                          "limit",
		"/record":                                                 "names no record",
		"/graph":                                                  "names no record",
		"/count?c=nothing&o=eq&v=1":                               "no column",
		"/graph?id=1" + strings.Repeat("&expand=2", 101):          "at most 100",
		"/records?c=state&o=eq&v=NEW&q=%zz":                       "parameters of the address",
		"/records?c=state&o=eq&v=NEW;x":                           "parameters of the address",
		"/records?" + strings.Repeat("c=state&o=eq&v=NEW&", 51):   "at most 50",
		"/records?" + strings.Repeat("c=state&o=eq&v=NEW&", 9999): "parameters of the address",
	} {
		a := ask(t, h, path)
		if a.code != http.StatusBadRequest || !strings.Contains(a.body, want) {
			t.Errorf("%s: %d: %s, want %s", path, a.code, text(a.body), want)
		}
	}
	for _, path := range []string{"/record?id=999", "/record?id=no", "/graph?id=999", "/graph?id=no", "/record.json?id=999", "/nothing", "/records/1", "/static/"} {
		if a := ask(t, h, path); a.code != http.StatusNotFound {
			t.Errorf("%s: %d: %s", path, a.code, text(a.body))
		}
	}
}

func TestPagesOfAListGoForthAndBack(t *testing.T) {
	backends(t, func(t *testing.T, s *persistence.Store) {
		hundred(t, s)
		h := handler(s)
		for _, sort := range []string{"", "-id", "priority", "-name,priority", "due", "-modified"} {
			q := &persistence.Query{}
			for name := range strings.SplitSeq(sort, ",") {
				if column, desc := strings.CutPrefix(name, "-"); desc {
					q.Order = append(q.Order, persistence.Desc(column))
				} else if name != "" {
					q.Order = append(q.Order, persistence.Asc(column))
				}
			}
			want := ids(t, s, q)
			var got []string
			var visited []string
			path := query("/records", "n", "7", "sort", sort)
			for path != "" {
				body := page(t, h, path)
				got = append(got, rows(body)...)
				visited = append(visited, strings.Join(rows(body), " "))
				if first := linkTo(body, "first"); (first == "") != (len(visited) == 1) {
					t.Errorf("sort %q: page %d: the link to the first page is %q", sort, len(visited), first)
				}
				if next := linkTo(body, "next"); next != "" {
					path = next
					continue
				}
				break
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("sort %q (-want +got):\n%s", sort, diff)
			}
			for i := len(visited) - 1; ; i-- {
				body := page(t, h, path)
				if now := strings.Join(rows(body), " "); now != visited[i] {
					t.Errorf("sort %q: back on page %d: %s, want %s", sort, i+1, now, visited[i])
				}
				wants(t, body, fmt.Sprintf("page %d", i+1))
				if path = linkTo(body, "prev"); path == "" {
					if i != 0 {
						t.Errorf("sort %q: the way back ends on page %d", sort, i+1)
					}
					break
				}
			}
		}
	})
}

func TestTheWayBackIsBounded(t *testing.T) {
	t.Parallel()
	s := open(t, "mem:", &persistence.Options{ExtraFields: fields()})
	for i := range 60 {
		save(t, s, &Task{Name: fmt.Sprint(strings.Repeat("long ", 40), i)})
	}
	h := handler(s)
	path, pages := "/records?n=1&sort=name", 0
	for ; path != ""; pages++ {
		if len(path) > 6000 {
			t.Fatalf("the address of page %d has %d bytes", pages, len(path))
		}
		path = linkTo(page(t, h, path), "next")
	}
	if pages != 60 {
		t.Errorf("%d pages", pages)
	}
}

func TestColumnsAreSortedByTheirHeadings(t *testing.T) {
	t.Parallel()
	s := open(t, "mem:", &persistence.Options{ExtraFields: fields()})
	hundred(t, s)
	h := handler(s)
	click := func(body, column string) string {
		_, after, _ := strings.Cut(body, "<thead>")
		for th := range strings.SplitSeq(after, "<th ") {
			if strings.Contains(th, ">"+column+"</a>") {
				_, after, _ := strings.Cut(th, `href="`)
				address, _, _ := strings.Cut(after, `"`)
				return "/" + strings.ReplaceAll(address, "&amp;", "&")
			}
		}
		t.Fatalf("there is no column %s", column)
		return ""
	}
	body := page(t, h, "/records?n=100")
	wants(t, body, `aria-sort="ascending"`)
	body = page(t, h, "/records?n=100&sort=-due"+strings.Repeat(",due,-state", 1000))
	if want := ids(t, s, &persistence.Query{Order: []persistence.Order{persistence.Desc("due"), persistence.Desc("state")}}); !slices.Equal(rows(body), want) {
		t.Errorf("got %v, want %v", rows(body), want)
	}
	if len(body) > 200_000 {
		t.Errorf("a column that is named again and again makes a page of %d bytes", len(body))
	}
	body = page(t, h, "/records?n=100")
	for _, want := range []*persistence.Query{
		{Order: []persistence.Order{persistence.Asc("due")}}, {Order: []persistence.Order{persistence.Desc("due")}}, nil,
	} {
		body = page(t, h, click(body, "due"))
		if !slices.Equal(rows(body), ids(t, s, want)) {
			t.Errorf("got %v", rows(body))
		}
	}
}

func TestCountsEndInTimeAndSaySo(t *testing.T) {
	t.Parallel()
	for _, backend := range []string{"mem", "sqlite"} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			s := open(t, storeURL(t, backend), &persistence.Options{ExtraFields: fields()})
			hundred(t, s)
			h := web.Handler(s, &web.Options{CountLimit: time.Nanosecond})
			wants(t, page(t, h, "/count?c=name&o=contains&v=a"), "more than 0 records (counted for 0.0 s)")
			wants(t, page(t, h, "/"), "more than", "Of the first", "counted for")
		})
	}
}

func TestARequestThatTakesTooLongSaysSo(t *testing.T) {
	t.Parallel()
	s := open(t, storeURL(t, "sqlite"), &persistence.Options{ExtraFields: fields()})
	hundred(t, s)
	h := web.Handler(s, &web.Options{TimeLimit: time.Nanosecond})
	for _, path := range []string{"/", "/records", "/count", "/record?id=1", "/record.json?id=1", "/graph?id=1"} {
		a := ask(t, h, path)
		if a.code != http.StatusServiceUnavailable || !strings.Contains(a.body, "This takes too long") {
			t.Errorf("%s: %d: %s", path, a.code, text(a.body))
		}
	}
}
