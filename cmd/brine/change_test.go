package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence"
)

type secretly struct{ X int }

func TestKV(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		demo(t, url)
		golden(t, "kv.txt", url, done(t, "kv", url))
		golden(t, "kv.json", url, done(t, "kv", "list", url, "limits/", "--json"))
		for _, c := range []struct{ args, want string }{
			{"kv URL limits/parallel", "8\n"},
			{"kv get URL limits/note", "be quick\n"},
			{"kv get URL hosts --json", `{"key":"hosts","value":["a","b"]}` + "\n"},
			{"kv list URL limits/p", "KEY\tVALUE\tMODIFIED\nlimits/parallel\t8\tTIME\n"},
			{"kv set URL limits/parallel 16", "set limits/parallel (int)\n"},
			{"kv URL limits/parallel", "16\n"},
			{"kv set URL limits/parallel 32 --dry-run", "would set limits/parallel (int)\n"},
			{"kv get URL limits/parallel --json", `{"key":"limits/parallel","value":16}` + "\n"},
			{"kv set URL new some", "set new (string)\n"},
			{"kv set URL new 2.5 --as float --json", `{"dry_run":false,"key":"new","type":"float64"}` + "\n"},
			{"kv URL new", "2.5\n"},
			{`kv set URL doc {"a":[1,2.5,null]} --as json`, "set doc (map[string]interface {})\n"},
			{"kv URL doc", `{"a":{"$type":"[]interface {}","value":[1,2.5,null]}}` + "\n"},
			{"kv delete URL new doc --dry-run", "would delete 2 pairs\n"},
			{"kv delete URL new doc new --yes", "deleted 2 pairs\n"},
			{"kv list URL new", ""},
		} {
			args := strings.Fields(c.args)
			for i := range args {
				if args[i] == "URL" {
					args[i] = url
				}
			}
			if got := normal(url, done(t, args...)); got != c.want {
				t.Errorf("%s: %q, want %q", c.args, got, c.want)
			}
		}
		fails(t, exitFailed, []string{`"brine kv URL" lists the keys.`}, "kv", url, "absent")
		fails(t, exitFailed, []string{`"brine kv URL" lists the keys.`}, "kv", "delete", url, "hosts", "absent", "--yes")
		fails(t, exitUsage, []string{"99999999999999999999 is too large for an int"}, "kv", "set", url, "big", "[1,99999999999999999999]", "--as", "json")
		fails(t, exitUsage, []string{"nobody can be asked: Delete 1 pair?"}, "kv", "delete", url, "hosts")
		fails(t, exitUsage, []string{`"many" is no int`, "--as text"}, "kv", "set", url, "limits/parallel", "many")
		fails(t, exitUsage, []string{"--as integer: want one of text, int"}, "kv", "set", url, "x", "1", "--as", "integer")
		if got := done(t, "kv", url, "hosts"); got != `["a","b"]`+"\n" {
			t.Errorf("what was not deleted: %q", got)
		}
	})
}

// A value whose type this program does not know is listed, and not overwritten by mistake.
func TestPairsOfOtherPrograms(t *testing.T) {
	t.Parallel()
	url := place(t, "sqlite")
	s := open(t, url, &persistence.Options{})
	check(t, s.KV().Set(t.Context(), "secret", secretly{7}))
	check(t, s.Close())
	golden(t, "kv-unknown.txt", url, done(t, "kv", url))
	golden(t, "kv-unknown.json", url, done(t, "kv", url, "--json"))
	fails(t, exitFailed, []string{"main.secretly"}, "kv", url, "secret")
	fails(t, exitFailed, []string{"--as replaces it"}, "kv", "set", url, "secret", "8")
	if got := done(t, "kv", "set", url, "secret", "8", "--as", "int"); got != "set secret (int)\n" {
		t.Errorf("%q", got)
	}
}

func TestValuesKeepTheirTypes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		old  any
		want any // nil: an error
	}{
		{"8", 1, 8}, {"-8", int8(1), int8(-8)}, {"300", int8(1), nil}, {"8", uint16(1), uint16(8)}, {"-8", uint16(1), nil},
		{"2.5", 1.0, 2.5}, {"2.5", float32(1), float32(2.5)}, {"x", 1.0, nil}, {"true", false, true}, {"yes", false, nil},
		{"8", "text", "8"}, {"90s", time.Minute, 90 * time.Second}, {"90", time.Minute, nil},
		{"2026-05-01T12:00:00Z", time.Now(), time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)},
		{"YWI=", []byte("x"), []byte("ab")}, {`["a"]`, []string{}, []string{"a"}}, {`[1]`, []string{}, nil},
		{`{"a":1}`, map[string]any{}, map[string]any{"a": 1}}, {`[1]`, map[string]any{}, nil}, {`[1, 1.5]`, []any{}, []any{1, 1.5}},
		{`{"a":1}`, map[string]int{}, map[string]int{"a": 1}}, {"[1] 2", []any{}, nil},
	} {
		got, err := parseValue(c.text, "", c.old)
		if diff := cmp.Diff(c.want, got); (err != nil) != (c.want == nil) || err == nil && diff != "" {
			t.Errorf("%s for a %T: %#v, %v", c.text, c.old, got, err)
		}
	}
}

func TestRm(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		demo(t, url)
		fails(t, exitUsage, []string{"nobody can be asked: Remove 2 records?", "--yes"}, "rm", url, "2", "3")
		fails(t, exitFailed, []string{`"99"`, "brine ls URL"}, "rm", url, "2", "99", "--yes")
		fails(t, exitUsage, []string{"whole numbers"}, "rm", url, "x", "--yes")
		fails(t, exitFailed, []string{`refers to it`, "brine refs URL ID"}, "rm", url, "3", "--graph", "--yes")
		if got := done(t, "rm", url, "2", "3", "2", "--dry-run"); got != "would remove 2 records\n" {
			t.Errorf("%q", got)
		}
		if got := done(t, "rm", url, "1", "--graph", "--dry-run", "--json"); got != `{"dry_run":true,"ids":["1","2","3","4","5"],"kept":0,"removed":5}`+"\n" {
			t.Errorf("%q", got)
		}
		if got := done(t, "count", url); got != "5\n" {
			t.Fatalf("%s records after what did nothing", got)
		}
		if got := done(t, "rm", url, "5", "--yes"); got != "removed 1 record\n" {
			t.Errorf("%q", got)
		}
		if out := done(t, "show", url, "1"); !strings.Contains(out, "→ 5  missing") {
			t.Errorf("what referred to it: %s", out)
		}
		o := brineWith(t, "4\n3\n", func(*app) {}, "rm", url, "-", "--yes", "--json")
		if o.code != exitDone || o.out != `{"dry_run":false,"ids":["3","4"],"kept":0,"removed":2}`+"\n" {
			t.Errorf("IDs from the input: %+v", o)
		}
		if got := strings.Fields(done(t, "ls", url, "--ids")); !cmp.Equal(got, []string{"1", "2"}) {
			t.Errorf("left: %s", got)
		}
	})
}

func TestRmGraph(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		demo(t, url)
		if got := done(t, "rm", url, "1", "--graph", "--yes"); got != "removed 5 records\n" {
			t.Errorf("%q", got)
		}
		if got := done(t, "count", url); got != "0\n" {
			t.Errorf("left: %s", got)
		}
	})
}

func TestRemovalOfManyRecords(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		const n = 2*refsAtOnce + 5
		s := open(t, url, &persistence.Options{})
		objs := make([]any, n)
		for i := range objs {
			objs[i] = &flow{Name: "many"}
		}
		_, err := s.SaveAll(t.Context(), objs...)
		check(t, err)
		check(t, s.Close())
		ids := done(t, "ls", url, "--ids")
		o := brineWith(t, ids+"99999\n", func(*app) {}, "rm", url, "-", "--yes")
		failed(t, o, exitFailed, []string{`"99999"`}, "rm")
		if o = brineWith(t, ids, func(*app) {}, "rm", url, "-", "--yes"); o.out != "removed 805 records\n" {
			t.Errorf("%+v", o)
		}
	})
}

func TestAReportOfARemovalHasNotAllIDs(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	a := newApp(strings.NewReader(""), &out, io.Discard)
	a.json = true
	check(t, a.reportRemoval("removed", persistence.GraphReport{Removed: reportedIDs + 1, IDs: make([]persistence.ID, reportedIDs+1)}))
	check(t, a.out.Flush())
	if n := strings.Count(out.String(), `""`); n != reportedIDs || !strings.Contains(out.String(), `"removed":10001`) {
		t.Errorf("%d IDs: %.100s", n, out.String())
	}
}
