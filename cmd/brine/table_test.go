package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A table of any length keeps few rows, and no line is wider than the terminal.
func TestTablesAreWrittenPageByPage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		width  int
		hidden []string
	}{{60, []string{"EXTRA", "EMPTY"}}, {120, []string{"EMPTY"}}} {
		var out bytes.Buffer
		a := newApp(strings.NewReader(""), &out, &out)
		terminal(c.width, true)(a)
		table := a.table("ID", "NAME", "SIZE", "EXTRA", "EMPTY").alignRight("SIZE").optionalFrom(3)
		const n = 5000
		for i := range n {
			check(t, table.row(fmt.Sprint(i), cell{strings.Repeat("世", i%40), red}, fmt.Sprint(i*i), "é"))
			if len(table.rows) > tableSample {
				t.Fatalf("%d rows are kept", len(table.rows))
			}
		}
		check(t, table.end())
		check(t, a.out.Flush())
		lines := strings.Split(strings.TrimSuffix(sgrCodes.ReplaceAllString(out.String(), ""), "\n"), "\n")
		if len(lines) != n+1 {
			t.Fatalf("%d lines", len(lines))
		}
		if fields := strings.Fields(lines[0]); !cmp.Equal(fields, []string{"ID", "NAME", "SIZE", "EXTRA"}[:5-len(c.hidden)]) {
			t.Errorf("the header is %s", fields)
		}
		for i, line := range lines[1:] {
			// An ID and a number are whole, though those of the first page had fewer digits.
			if textWidth(line) > c.width || !strings.HasPrefix(line, fmt.Sprint(i, " ")) || !strings.Contains(line, fmt.Sprint(" ", i*i)) {
				t.Fatalf("line %d: %q", i, line)
			}
		}
		if diff := cmp.Diff(c.hidden, table.hidden()); diff != "" {
			t.Errorf("left out: %s", diff)
		}
	}
}

func TestIDsAreCutLast(t *testing.T) {
	t.Parallel()
	id := "0190a6f3-7b1c-7e7a-9c1d-5f0e8c0d1a2b"
	for width, want := range map[int]string{60: id + "  engine", 40: id[:23] + "…"} {
		var out bytes.Buffer
		a := newApp(strings.NewReader(""), &out, &out)
		terminal(width, false)(a)
		table := a.table("ID", "TYPE", "STATE")
		check(t, table.row(id, "engine.TaskOfALongName", "SUCCEEDED"))
		check(t, table.end())
		check(t, a.out.Flush())
		if !strings.Contains(out.String(), "\n"+want) {
			t.Errorf("%d columns: %s", width, &out)
		}
	}
}

func TestSizesNumbersAndTexts(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 1234567: "1.2 MB", 999_949: "999.9 kB", 999_950: "1.0 MB", 1 << 62: "4.6 EB",
	} {
		if got := humanSize(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567"} {
		if got := withCommas(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	for text, want := range map[string]string{
		"plain": "plain", "a\tb\n": `a\tb\n`, "\x1b[2J": `\x1b[2J`, "\xff": `\xff`, "\u202e": `\u202e`, "世界 é": "世界 é", "\u00a0": `\u00a0`, "�": `�`,
	} {
		if got := printable(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
