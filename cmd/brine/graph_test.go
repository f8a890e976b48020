package main

import (
	"bytes"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brine-go/brine/persistence"
)

func TestRefs(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		demo(t, url)
		golden(t, "refs.txt", url, done(t, "refs", url, "2"))
		golden(t, "refs.json", url, done(t, "refs", url, "2", "--json"))
		if got := done(t, "refs", url, "2", "--ids"); got != "1\n3\n4\n5\n" {
			t.Errorf("%q", got)
		}
		if got := done(t, "refs", url, "1"); !strings.Contains(got, "\n5\t") {
			t.Errorf("a lazy reference counts: %q", got)
		}
		fails(t, exitFailed, []string{`"99"`, "brine ls URL"}, "refs", url, "99")
		fails(t, exitUsage, []string{"whole numbers"}, "refs", url, "x")
		removeRecord(t, url, "5")
		if got := done(t, "refs", url, "5", "--ids"); got != "1\n" {
			t.Errorf("references to what is missing: %q", got)
		}
		o := brineWith(t, "", terminal(80, false), "refs", url, "4", "--ids")
		if o.code != exitDone || o.out != "1\n" {
			t.Errorf("%+v", o)
		}
	})
}

// removeRecord removes a record and leaves what refers to it.
func removeRecord(t *testing.T, url string, id persistence.ID) {
	t.Helper()
	s := open(t, url, &persistence.Options{ExtraFields: demoFields})
	defer s.Close()
	check(t, s.Remove(t.Context(), id))
}

func TestGraph(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		demo(t, url)
		golden(t, "graph.dot", url, done(t, "graph", url, "1"))
		dir := t.TempDir()
		for _, name := range []string{"graph.dot", "graph.svg", "graph.png"} {
			path := filepath.Join(dir, name)
			if got := done(t, "graph", url, "1", "--output", path); got != "" {
				t.Errorf("%s: %q", name, got)
			}
			picture, err := os.ReadFile(path)
			check(t, err)
			switch filepath.Ext(name) {
			case ".dot":
				golden(t, "graph.dot", url, string(picture))
			case ".svg":
				for _, want := range []string{"<svg", "demo.Flow", "FAILED", "</svg>"} {
					if !bytes.Contains(picture, []byte(want)) {
						t.Errorf("%q is not in the SVG", want)
					}
				}
			case ".png":
				if _, err := png.Decode(bytes.NewReader(picture)); err != nil {
					t.Errorf("the PNG: %v", err)
				}
			}
		}
		if got := done(t, "graph", url, "1", "--format", "svg"); !strings.Contains(got, "<svg") {
			t.Errorf("%q", got)
		}
		fails(t, exitUsage, []string{`"pdf"`, "svg, png and dot"}, "graph", url, "1", "-o", filepath.Join(dir, "x.pdf"))
		fails(t, exitUsage, []string{".svg, .png or .dot"}, "graph", url, "1", "-o", filepath.Join(dir, "x"))
		fails(t, exitFailed, []string{`"99"`}, "graph", url, "1", "99")
		fails(t, exitFailed, []string{"no such file"}, "graph", url, "1", "-o", filepath.Join(dir, "absent", "x.svg"))
		o := brineWith(t, "", terminal(80, false), "graph", url, "1", "--format", "png")
		failed(t, o, exitUsage, []string{"--output FILE"}, "graph")
	})
}

func TestALargeGraphIsNotDrawn(t *testing.T) {
	t.Parallel()
	url := place(t, "sqlite")
	s := open(t, url, &persistence.Options{})
	f := &flow{Name: "large"}
	for i := range maxDrawn/2 + 1 {
		f.Tasks = append(f.Tasks, &task{Name: fmt.Sprint(i)})
	}
	_, err := s.Save(t.Context(), f)
	check(t, err)
	check(t, s.Close())
	fails(t, exitFailed, []string{"too large to draw", "--format dot"}, "graph", url, "1", "--format", "svg")
	if got := done(t, "graph", url, "1"); strings.Count(got, "\n") < maxDrawn {
		t.Errorf("%d lines of DOT", strings.Count(got, "\n"))
	}
}

func TestGraphTellsProgramsWhatItWrote(t *testing.T) {
	t.Parallel()
	url, file := place(t, "sqlite"), filepath.Join(t.TempDir(), "g.svg")
	demo(t, url)
	got := done(t, "graph", url, "1", "-o", file, "--json")
	info, err := os.Stat(file)
	check(t, err)
	if want := fmt.Sprintf(`{"bytes":%d,"file":%q,"format":"svg"}`+"\n", info.Size(), file); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
