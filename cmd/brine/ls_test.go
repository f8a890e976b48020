package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/brine-go/brine/persistence"
)

func TestLs(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		demo(t, url)
		golden(t, "ls.txt", url, done(t, "ls", url))
		golden(t, "ls.json", url, done(t, "ls", url, "--json"))
		for _, width := range []int{40, 80, 200} {
			o := brineWith(t, "", terminal(width, false), "ls", url)
			golden(t, fmt.Sprintf("ls-%d.txt", width), url, o.out)
			for line := range strings.Lines(o.out) {
				if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > width {
					t.Errorf("a line of %d columns: %s", n, line)
				}
			}
		}
		golden(t, "ls-color.txt", url, brineWith(t, "", terminal(80, true), "ls", url).out)
	})
}

func TestLsSelects(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		demo(t, url)
		for _, c := range []struct {
			flags, want string
		}{
			{"", "1 2 3 4 5"},
			{"--type demo.Task", "2 3 4 5"},
			{"--type demo.Nothing", ""},
			{"--state DONE", "2 3"},
			{"--state DONE,NEW", "2 3 5"},
			{"--state DONE --state FAILED", "2 3 4"},
			{"--limit 2", "1 2"},
			{"--after 3", "4 5"},
			{"--order -id", "5 4 3 2 1"},
			{"--order -priority,load", "5 4 3 2 1"},
			{"--where priority=5", "3 4"},
			{"--where priority!=5", "1 2 5"},
			{"--where priority==5", "3 4"},
			{"--where state==FAILED", "4"},
			{"--where priority<>5", "1 2 5"},
			{"--where priority>=5 --where priority<9", "3 4"},
			{"--where load>1", "3 4"},
			{"--where load=null", "1"},
			{"--where load!=null --where name=test", "4"},
			{"--where name^=b", "3"},
			{"--where name$=st", "4"},
			{"--where name~=i", "1 3 5"},
			{"--where modified>12h --type demo.Flow", "1"},
			{"--where modified<30d", "4"},
			{"--where created<2020-01-01", ""},
			{`--where {"field":"priority","op":"IN","arg":[1,9]}`, "2 5"},
			{`--where [{"field":"priority","op":">","arg":1},{"field":"state","op":"=","arg":"DONE"}]`, "3"},
			{`--where {"or":[{"field":"id","op":"=","arg":1},{"field":"id","op":"=","arg":"5"}]}`, "1 5"},
			{`--where {"filters":[{"field":"id","op":">","arg":2}],"limit":1}`, "3"},
		} {
			got := strings.Join(strings.Fields(done(t, append([]string{"ls", url, "--ids"}, strings.Fields(c.flags)...)...)), " ")
			if got != c.want {
				t.Errorf("ls %s: %q, want %q", c.flags, got, c.want)
			}
		}
		out := done(t, "ls", url, "--columns", "name,Revision,id", "--limit", "1")
		if out != "NAME\tREVISION\tID\nnightly\t1\t1\n" {
			t.Errorf("chosen columns: %q", out)
		}
	})
}

func TestLsRefuses(t *testing.T) {
	t.Parallel()
	url := place(t, "sqlite")
	demo(t, url)
	for _, c := range []struct {
		flags string
		want  string
	}{
		{"--where priorty=5", `unknown column "priorty": did you mean "priority"?`},
		{"--where prio^=5", `unknown column "prio"`},
		{"--where priority=high", `"high" is not a whole number`},
		{"--where load=high", `"high" is not a number`},
		{"--where modified>yesterday", `"yesterday" is not a time: write 2026-05-01`},
		{"--where priority", "it is not of the form COLUMN=VALUE"},
		{"--where priority^=1", `column "priority" is of kind`},
		{`--where {"field":"id"}`, "unknown operator"},
		{"--order size", `unknown column "size"`},
		{"--order id --after 3", "--after goes with the order of IDs"},
		{"--after Task.1", "whose IDs are whole numbers"},
		{"--limit -1", "a limit is not negative"},
		{"--limit many", `invalid argument "many"`},
		{"--columns name,nmae", `there is no column "nmae": there are id, type, state, size, modified, created, revision, name, load, priority`},
		{"--colour", "unknown flag: --colour"},
		{"7", `one argument too many: "7"`},
	} {
		fails(t, exitUsage, []string{"brine: ", c.want}, append([]string{"ls", url}, strings.Fields(c.flags)...)...)
	}
	fails(t, exitUsage, []string{"ls: URL is missing", "Usage:   brine ls URL", "Example: brine ls tasks.db"}, "ls")
}

// A list of many records comes while it is read.
func TestLongListsStream(t *testing.T) {
	t.Parallel()
	url := place(t, "sqlite")
	const n = 3000
	fill(t, url, &persistence.Options{}, func(s *persistence.Store) {
		var objs []any
		for i := range n {
			objs = append(objs, map[string]any{"n": i})
		}
		_, err := s.SaveAll(t.Context(), objs...)
		check(t, err)
	})
	out := brineWith(t, "", terminal(80, false), "ls", url).out
	if lines := strings.Count(out, "\n"); lines != n+2 {
		t.Errorf("%d lines", lines)
	}
	if !strings.HasSuffix(out, "\n3,000 records\n") {
		t.Errorf("the end is %q", out[len(out)-100:])
	}
	ids := 0
	for line := range strings.Lines(done(t, "ls", url, "--json")) {
		var info infoJSON
		check(t, json.Unmarshal([]byte(line), &info))
		if ids++; info.ID != persistence.ID(fmt.Sprint(ids)) {
			t.Fatalf("line %d: %s", ids, line)
		}
	}
	if ids != n {
		t.Errorf("%d objects", ids)
	}
}
