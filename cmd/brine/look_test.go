package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence"
)

func TestShow(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		demo(t, url)
		golden(t, "show.txt", url, done(t, "show", url, "1", "2", "4"))
		golden(t, "show.json", url, done(t, "show", url, "1", "2", "3", "4", "5", "--json"))
		golden(t, "show-80.txt", url, brineWith(t, "", terminal(80, false), "show", url, "1", "4", "5").out)
		golden(t, "show-color.txt", url, brineWith(t, "", terminal(80, true), "show", url, "4").out)
		o := brineWith(t, "3\n\n5\n", func(*app) {}, "show", url, "-", "1")
		if heads := strings.Count(o.out, "\nmodified "); o.code != exitDone || heads != 3 {
			t.Errorf("IDs from the input: exit code %d, %d records: %s", o.code, heads, o.err)
		}
		o = brine(t, "show", url, "99", "2")
		failed(t, o, exitFailed, []string{`"99"`, `"brine ls URL" lists what there is.`})
		if !strings.HasPrefix(o.out, "demo.Task 2  DONE\n") {
			t.Errorf("the record that is there: %q", o.out)
		}
		fails(t, exitUsage, []string{`"007" is no ID of this store`, "Write 7."}, "show", url, "007")
		fails(t, exitUsage, []string{`"Task.7" is no ID of this store, whose IDs are whole numbers`}, "show", url, "Task.7")
		fails(t, exitUsage, []string{"show: ID is missing", "Usage:   brine show URL ID..."}, "show", url)
	})
}

// Objects of every shape show as trees, at once, cut or whole.
func TestShowOfValues(t *testing.T) {
	t.Parallel()
	type node struct {
		Name string
		Next *node
		Any  any
	}
	loop := &node{Name: "loop"}
	loop.Next = loop
	shared := map[string]any{"x": 1}
	long := make([]any, 120)
	for i := range long {
		long[i] = map[string]any{"i": i}
	}
	for name, c := range map[string]struct {
		value       any
		want, whole []string
	}{
		"a text":              {"say \"hi\"\n", []string{`"say \"hi\"\n"`}, nil},
		"a number":            {42, []string{"42"}, nil},
		"a whole float":       {2.0, []string{"2.0"}, nil},
		"an empty list":       {[]any{}, []string{"[]"}, nil},
		"an empty map":        {map[string]any{}, []string{"{}"}, nil},
		"a value with a type": {map[string]any{"n": int8(3)}, []string{"└─ n int8 3"}, nil},
		"keys of all kinds":   {map[any]any{1: "a", true: "b", "": "c"}, []string{`├─ ""`, `├─ 1`, `└─ true "b"`}, nil},
		"a cycle":             {loop, []string{`├─ Name "loop"`, "Next the same as value"}, nil},
		"what is shared":      {map[string]any{"a": shared, "b": shared}, []string{"├─ a\n", "└─ b the same as .a"}, nil},
		"a time":              {time.Date(2026, 5, 1, 12, 0, 0, 1, time.UTC), []string{"2026-05-01T12:00:00.000000001Z"}, nil},
		"many bytes":          {bytes.Repeat([]byte{0xab}, 100), []string{"100 bytes abab", "ab…"}, []string{strings.Repeat("ab", 100)}},
		"a long list":         {long, []string{"├─ [49]", "└─ 70 more (--whole)"}, []string{"└─ [119]"}},
		"a long text":         {strings.Repeat("long ", 100), []string{`long lon…`}, []string{strings.Repeat("long ", 100)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := place(t, "fs")
			s := open(t, url, &persistence.Options{})
			_, err := s.Save(t.Context(), c.value)
			check(t, err)
			check(t, s.Close())
			for flag, want := range map[string][]string{"--whole=false": c.want, "--whole": c.whole} {
				o := brineWith(t, "", terminal(80, false), "show", url, "1", flag)
				if o.code != exitDone {
					t.Errorf("exit code %d: %s", o.code, o.err)
				}
				for _, text := range want {
					if !strings.Contains(o.out, text) {
						t.Errorf("%s: %s\nwant %q in it", flag, o.out, text)
					}
				}
			}
		})
	}
}

func TestQuery(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		demo(t, url)
		const tired = `{"filters":[{"field":"state","op":"!IN","arg":["DONE"]},{"field":"type","op":"=","arg":"demo.Task"}],
			"order_by":[{"field":"priority","direction":"DESC"}]}`
		golden(t, "query.txt", url, done(t, "query", url, tired, "--columns", "id,name,state,priority"))
		golden(t, "query.json", url, done(t, "query", url, tired, "--full", "--json"))
		o := brineWith(t, tired, func(*app) {}, "query", url, "-", "--ids")
		if o.code != exitDone || o.out != "5\n4\n" {
			t.Errorf("a query from the input: %+v", o)
		}
		if out := done(t, "query", url, `[{"field":"id","op":"=","arg":"2"}]`, "--full"); !strings.HasPrefix(out, "demo.Task 2  DONE\n") {
			t.Errorf("whole: %s", out)
		}
		fails(t, exitUsage, []string{"QUERY is not JSON", "--where"}, "query", url, "state=DONE")
		fails(t, exitUsage, []string{`unknown column "prio"`}, "query", url, `{"field":"prio","op":"=","arg":1}`)
		fails(t, exitUsage, []string{`unknown field "filter"`}, "query", url, `{"filter":[]}`)
	})
}

func TestCount(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		demo(t, url)
		for _, c := range []struct{ flags, want string }{
			{"", "5\n"},
			{"--state DONE", "2\n"},
			{"--where priority>=5 --json", `{"count":3}` + "\n"},
			{"--by state", "STATE\tRECORDS\nDONE\t2\nFAILED\t1\nNEW\t1\nUNKNOWN\t1\n"},
			{"--by priority", "PRIORITY\tRECORDS\n1\t1\n5\t2\n9\t1\n\t1\n"},
			{"--by load --json --type demo.Task", `{"count":1,"value":0.0}` + "\n" + `{"count":1,"value":0.5}` + "\n" +
				`{"count":1,"value":1.25}` + "\n" + `{"count":1,"value":12.0}` + "\n"},
			{"--by priority --type demo.Flow --json", `{"count":1,"value":null}` + "\n"},
		} {
			if got := done(t, append([]string{"count", url}, strings.Fields(c.flags)...)...); got != c.want {
				t.Errorf("count %s: %q, want %q", c.flags, got, c.want)
			}
		}
		fails(t, exitUsage, []string{`--by: unknown column "stat": did you mean "state"?`}, "count", url, "--by", "stat")
		golden(t, "count-color.txt", url, brineWith(t, "", terminal(80, true), "count", url, "--by", "priority").out)
	})
}

func TestStat(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		demo(t, url)
		golden(t, "stat.txt", url, done(t, "stat", url))
		golden(t, "stat.json", url, done(t, "stat", url, "--json"))
		golden(t, "stat-80.txt", url, brineWith(t, "", terminal(80, false), "stat", url).out)
		var st survey
		check(t, json.Unmarshal([]byte(done(t, "stat", url, "--json", "--fast")), &st))
		if st.Bytes != nil || st.Records != 5 || st.Types[0].Bytes != nil {
			t.Errorf("fast: %+v", st)
		}
	})
}

func TestStatOfAnEmptyStore(t *testing.T) {
	t.Parallel()
	golden(t, "stat-empty.txt", "mem:", brineWith(t, "", terminal(80, false), "stat", "mem:").out)
}

func TestStores(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		demo(t, url)
		if strings.HasPrefix(url, "file:") {
			dir := strings.TrimPrefix(url, "file:")
			if got, want := done(t, "stores", url), fmt.Sprintf("NAME\tRECORDS\tURL\n%s\t5\t%s\n", dir, printed(url)); got != want {
				t.Errorf("%q, want %q", got, want)
			}
			return
		}
		other := open(t, url, &persistence.Options{Table: "jobs"})
		_, err := other.Save(t.Context(), "a text")
		check(t, err)
		check(t, other.Close())
		want := fmt.Sprintf("NAME\tRECORDS\tURL\njobs\t1\t%s#table=jobs\nstore\t5\t%[1]s#table=store\n", printed(url))
		if got := done(t, "stores", url); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if got := done(t, "count", url+"#table=jobs"); got != "1\n" {
			t.Errorf("the records of the other: %s", got)
		}
	})
}

func TestClaims(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		demo(t, url)
		later := func(a *app) { a.now = func() time.Time { return now.Add(5*time.Hour + 30*time.Minute) } }
		golden(t, "claims.txt", url, brineWith(t, "", later, "claims", url).out)
		golden(t, "claims.json", url, brineWith(t, "", later, "claims", url, "--json").out)
		golden(t, "claims-80.txt", url, brineWith(t, "", func(a *app) { terminal(80, true)(a); later(a) }, "claims", url, "--expired").out)
		fails(t, exitUsage, []string{"nobody can be asked: Release 1 expired claim?", "--yes", "--dry-run"}, "claims", url, "--release-expired")
		if o := brineWith(t, "", later, "claims", url, "--release-expired", "--dry-run"); strings.Count(o.out, "\n") != 2 {
			t.Errorf("what would be released: %q", o.out)
		}
		if got := done(t, "claims", url, "--release-expired", "--yes"); got != "released 1 claim\n" {
			t.Errorf("%q", got)
		}
		if got := done(t, "claims", url, "--release-expired", "--yes", "--json"); got != `{"released":0}`+"\n" {
			t.Errorf("again: %q", got)
		}
		if got := done(t, "claims", url, "--json"); strings.Count(got, "\n") != 1 || !strings.Contains(got, "worker-1") {
			t.Errorf("left: %s", got)
		}
	})
}

func TestWhatDoesNotPrintIsEscaped(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		hostile := "\x1b]0;owned\a\tx\n\u202e"
		fill(t, url, texts(func(any) persistence.ID { return persistence.ID(hostile) }), func(s *persistence.Store) {
			_, err := s.Save(t.Context(), &task{Name: "x", State: hostile})
			check(t, err)
		})
		for _, set := range []func(*app){func(*app) {}, terminal(100, true)} {
			for _, args := range [][]string{{"ls", url}, {"show", url, hostile}, {"count", url, "--by", "state"}, {"stat", url}} {
				o := brineWith(t, "", set, args...)
				if o.code != exitDone {
					t.Errorf("%s: exit code %d: %s", args[0], o.code, o.err)
				}
				for _, bad := range []string{"\x1b]", "\a", "\u202e"} {
					if strings.Contains(o.out, bad) {
						t.Errorf("%s prints %q: %q", args[0], bad, o.out)
					}
				}
				if !strings.Contains(o.out, `\x1b]0;owned`) {
					t.Errorf("%s does not tell what it is: %q", args[0], o.out)
				}
			}
		}
	})
}
