package exportfile_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/brine-go/brine/cmd/brine/internal/exportfile"
)

// A madeLine is a line of a file that no Writer has written.
type madeLine map[string]any

// taken returns the lines of a file, without the closing one.
func taken(t *testing.T, file []byte) []madeLine {
	t.Helper()
	var lines []madeLine
	for text := range bytes.Lines(file) {
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.UseNumber()
		var l madeLine
		check(t, dec.Decode(&l))
		lines = append(lines, l)
	}
	return lines[:len(lines)-1]
}

// made returns a file of lines, with all its numbers and checksums right.
func made(t *testing.T, lines []madeLine) []byte {
	t.Helper()
	var file bytes.Buffer
	seal := func(l madeLine) {
		delete(l, "crc32c")
		text, err := json.Marshal(l)
		check(t, err)
		text = text[:len(text)-1]
		fmt.Fprintf(&file, `%s,"crc32c":"%08x"}`+"\n", text, crc32.Checksum(text, crc32.MakeTable(crc32.Castagnoli)))
	}
	counts := map[string]int{}
	for i, l := range lines {
		l = maps.Clone(l)
		if i > 0 {
			l["n"] = i + 1
		}
		for _, name := range []string{"id", "key"} {
			if _, ok := l[name]; ok {
				counts[name]++
			}
		}
		seal(l)
	}
	seal(madeLine{
		"n": len(lines) + 1, "end": true, "records": counts["id"], "pairs": counts["key"],
		"sha256": fmt.Sprintf("%x", sha256.Sum256(file.Bytes())),
	})
	return file.Bytes()
}

// A file whose checksums are right may still be none that a store takes: that is found before
// anything is imported.
func TestAFileThatIsMadeUpIsRefused(t *testing.T) {
	t.Parallel()
	lines := taken(t, export(t, filled(t, "mem:", false), false))
	if _, err := verify(made(t, lines)); err != nil {
		t.Fatalf("as it was: %v", err)
	}
	key := slices.IndexFunc(lines, func(l madeLine) bool { return l["key"] != nil })
	with := func(at int, name string, value any) []madeLine {
		changed := slices.Clone(lines)
		changed[at] = maps.Clone(changed[at])
		changed[at][name] = value
		return changed
	}
	insert := func(at int, l madeLine) []madeLine { return slices.Insert(slices.Clone(lines), at, l) }
	reversed := slices.Clone(lines)
	slices.Reverse(reversed[1:key])
	for name, tt := range map[string]struct {
		lines []madeLine
		line  int64
		want  string
	}{
		"an older version than there is":         {with(0, "version", 0), 1, "version 0"},
		"an integer ID that is none":             {with(3, "id", "x"), 4, `"x"`},
		"an integer ID in another form":          {with(3, "id", "007"), 4, `"007"`},
		"a negative revision":                    {with(3, "revision", -5), 4, "revision is -5"},
		"an unknown set of columns":              {with(3, "set", 99), 4, "set of columns 99"},
		"a time that is none":                    {with(3, "created", "yesterday"), 4, "yesterday"},
		"an unknown column":                      {with(3, "columns", madeLine{"nocol": 1}), 4, "nocol"},
		"a value of another kind":                {with(3, "columns", madeLine{"n": "x"}), 4, `column "n"`},
		"a record twice, one after the other":    {insert(4, lines[3]), 5, "earlier line"},
		"a record twice, far from each other":    {insert(key, lines[2]), int64(key) + 1, "earlier line"},
		"a record twice in a file without order": {slices.Insert(slices.Clone(reversed), key, reversed[1]), int64(key) + 1, "earlier line"},
		"a pair twice":                           {append(slices.Clone(lines), lines[key]), int64(len(lines)) + 1, "earlier line"},
		"a pair before a record":                 {insert(2, lines[key]), 4, "wrong place"},
		"a record that is also a pair":           {with(3, "key", "k"), 4, "neither a record nor a pair"},
		"records in no order, each of them once": {lines: reversed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := made(t, tt.lines)
			_, err := verify(file)
			once, onceErr := exportfile.NewReader(bytes.NewBuffer(file))
			if onceErr == nil {
				_, onceErr = once.Finish()
			}
			if tt.want == "" {
				if err != nil || onceErr != nil {
					t.Errorf("%v; through a pipe: %v", err, onceErr)
				}
				return
			}
			damaged, ok := errors.AsType[*exportfile.LineError](err)
			if !ok || damaged.Line != tt.line || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q in line %d", err, tt.want, tt.line)
			}
			if tt.want == "earlier line" && tt.lines[tt.line-2]["n"] != tt.lines[tt.line-1]["n"] {
				return // what came before the order was broken is not kept
			}
			if onceErr == nil || !strings.Contains(onceErr.Error(), tt.want) {
				t.Errorf("through a pipe: %v, want %q", onceErr, tt.want)
			}
		})
	}
}
