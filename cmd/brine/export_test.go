package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence"
)

func TestExportAndImport(t *testing.T) {
	backends(t, func(t *testing.T, src string) {
		demo(t, src)
		want := done(t, "export", src)
		if n := strings.Count(want, "\n"); n != 10 {
			t.Errorf("%d lines, want a first one, 5 records, 3 pairs and a last one:\n%s", n, want)
		}
		file := filepath.Join(t.TempDir(), "demo.jsonl")
		if got := done(t, "export", src, "-o", file); got != "exported 5 records and 3 pairs to "+file+"\n" {
			t.Errorf("%q", got)
		}
		written, err := os.ReadFile(file)
		check(t, err)
		if d := cmp.Diff(want, string(written)); d != "" {
			t.Errorf("the file and the output (-output +file):\n%s", d)
		}
		if left, err := filepath.Glob(filepath.Join(filepath.Dir(file), ".*")); err != nil || left != nil {
			t.Errorf("left behind: %q, %v", left, err)
		}
		for _, backend := range stored {
			dst := place(t, backend)
			if got := done(t, "import", dst, file, "--dry-run"); got != "would copy 5 records and 3 pairs\n" {
				t.Errorf("a dry run prints %q", got)
			}
			if got := done(t, "import", dst, file); got != "copied 5 records and 3 pairs\n" {
				t.Errorf("into %s: %q", backend, got)
			}
			if d := cmp.Diff(want, done(t, "export", dst)); d != "" {
				t.Errorf("exported from %s again (-want +got):\n%s", backend, d)
			}
			if out := done(t, "diff", src, dst); out != "" {
				t.Errorf("%s differs: %s", backend, out)
			}
			if got := done(t, "import", dst, file); !strings.Contains(got, "5 records there already, and equal") {
				t.Errorf("again: %q", got)
			}
		}
	})
}

func TestExportOfASelection(t *testing.T) {
	t.Parallel()
	src := place(t, "sqlite")
	demo(t, src)
	for _, c := range []struct {
		args  []string
		lines int
	}{
		{[]string{"--state", "DONE"}, 2 + 2 + 3},
		{[]string{"--no-pairs"}, 2 + 5},
		{[]string{"--root", "1", "--no-pairs", "--no-snapshot"}, 2 + 5},
	} {
		file := done(t, append([]string{"export", src}, c.args...)...)
		if n := strings.Count(file, "\n"); n != c.lines {
			t.Errorf("%q: %d lines, want %d", c.args, n, c.lines)
		}
		dst := place(t, "fs")
		o := brineWith(t, file, func(*app) {}, "import", dst)
		if o.code != exitDone {
			t.Errorf("%q: %+v", c.args, o)
		}
	}
}

func TestExportAsksBeforeItReplacesAFile(t *testing.T) {
	t.Parallel()
	src, file := place(t, "sqlite"), filepath.Join(t.TempDir(), "file")
	demo(t, src)
	check(t, os.WriteFile(file, []byte("precious"), 0o600))
	fails(t, exitUsage, []string{"Replace", "--yes"}, "export", src, "-o", file)
	if b, _ := os.ReadFile(file); string(b) != "precious" {
		t.Errorf("the file is %q", b)
	}
	done(t, "export", src, "-o", file, "--yes")
	if b, _ := os.ReadFile(file); len(b) < 1000 {
		t.Errorf("the file is %q", b)
	}
	fails(t, exitUsage, []string{"is no file"}, "export", src, "-o", t.TempDir())
	fails(t, exitFailed, []string{"no such"}, "export", src, "-o", filepath.Join(t.TempDir(), "no", "such"))
}

func TestAnExportThatIsInterruptedLeavesNoFile(t *testing.T) {
	t.Parallel()
	src, dir, n := place(t, "sqlite"), t.TempDir(), int64(1000)
	if os.Getenv("BRINE_LONG") != "" {
		n = 5000
	}
	many(t, src, int(n))
	file := filepath.Join(dir, "file")
	cut := 0
	for moment := time.Millisecond; ; moment += moment / 2 {
		ctx, cancel := context.WithTimeout(t.Context(), moment)
		code := newApp(strings.NewReader(""), io.Discard, io.Discard).run(ctx, []string{"export", src, "-o", file})
		cancel()
		left, err := os.ReadDir(dir)
		check(t, err)
		if code == exitDone {
			if len(left) != 1 || left[0].Name() != "file" {
				t.Errorf("left behind: %v", left)
			}
			break
		}
		if cut++; code != exitFailed || len(left) != 0 {
			t.Fatalf("interrupted after %v: exit code %d, left behind: %v", moment, code, left)
		}
	}
	if cut == 0 {
		t.Error("no export was interrupted")
	}
	if got := done(t, "import", place(t, "sqlite"), file); got != "copied "+plural(n, "record")+" and 0 pairs\n" {
		t.Errorf("%q", got)
	}
}

func TestExportNamesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	src := "file:" + dir
	demo(t, src)
	spoil(t, filepath.Join(dir, "3"))
	o := brine(t, "export", src)
	failed(t, o, exitFailed, []string{`"3"`, "brine check"}, "export")
	if !strings.Contains(o.out, `"records":4,"pairs":3,"unreadable":1`) {
		t.Errorf("the closing line does not tell: %s", o.out)
	}
	file := filepath.Join(t.TempDir(), "file")
	fails(t, exitFailed, []string{`"3"`}, "export", src, "-o", file)
	o = brine(t, "import", place(t, "sqlite"), file)
	failed(t, o, exitDone, []string{"could not read 1 record"}, "import")
	if !strings.HasPrefix(o.out, "copied 4 records and 3 pairs\n") {
		t.Errorf("%q", o.out)
	}
}

func TestImportOfWhatIsDamaged(t *testing.T) {
	t.Parallel()
	src := place(t, "sqlite")
	demo(t, src)
	lines := strings.SplitAfter(strings.TrimSuffix(done(t, "export", src), "\n"), "\n")
	for what, c := range map[string]struct {
		file string
		says string
	}{
		"a line is missing":         {strings.Join(append(append([]string{}, lines[:3]...), lines[4:]...), "") + "\n", "line 4"},
		"a byte is another one":     {strings.Replace(strings.Join(lines, "")+"\n", "FAILED", "FAILeD", 1), "line 5"},
		"it was cut off":            {strings.Join(lines[:6], ""), "cut off"},
		"it was cut off in a line":  {strings.Join(lines[:6], "") + lines[6][:20], "cut off"},
		"it is something else":      {"hello\n", "line 1"},
		"it is empty":               {"", "cut off"},
		"more follows":              {strings.Join(lines, "") + "\n{}\n", "line 11"},
		"it is of a newer version":  {`{"brine":"export"}` + "\n", "line 1"},
		"lines stand the other way": {lines[0] + lines[2] + lines[1] + strings.Join(lines[3:], "") + "\n", "line 2"},
	} {
		dst, file := place(t, "sqlite"), filepath.Join(t.TempDir(), "file")
		check(t, os.WriteFile(file, []byte(c.file), 0o600))
		fails(t, exitFailed, []string{c.says, "Nothing was imported"}, "import", dst, file)
		if o := brine(t, "ls", dst); o.code != exitFailed {
			t.Errorf("%s: a store was made: %+v", what, o)
		}
		o := brineWith(t, c.file, func(*app) {}, "import", dst, "-")
		failed(t, o, exitFailed, []string{c.says}, "import")
	}
}

// Through a pipe, the end is verified at the end.
func TestImportThroughAPipe(t *testing.T) {
	t.Parallel()
	src, dst := place(t, "sqlite"), place(t, "fs")
	demo(t, src)
	file := done(t, "export", src)
	once := func(text string) outcome {
		return brineWith(t, "", func(a *app) { a.in = onlyReader{strings.NewReader(text)} }, "import", dst)
	}
	lines := strings.SplitAfter(file, "\n")
	for _, c := range []struct {
		lines   int // that come through
		records int64
	}{{4, 3}, {7, 5}, {9, 5}} {
		o := once(strings.Join(lines[:c.lines], ""))
		failed(t, o, exitFailed, []string{"read only once", fmt.Sprint("ends with line ", c.lines), "What came before it was imported"}, "import")
		s := open(t, dst, &persistence.Options{ReadOnly: true})
		n, err := s.Count(t.Context(), nil)
		check(t, err)
		check(t, s.Close())
		if n != c.records {
			t.Errorf("of %d lines, %d records were imported", c.lines, n)
		}
	}
	o := once(file)
	if o.code != exitDone || !strings.Contains(o.out, "5 records there already, and equal") {
		t.Errorf("%+v", o)
	}
	if out := done(t, "diff", src, dst); out != "" {
		t.Errorf("they differ: %s", out)
	}
}

type onlyReader struct{ r *strings.Reader }

func (r onlyReader) Read(p []byte) (int, error) { return r.r.Read(p) }

func TestExportWhereNoFileCanBeMade(t *testing.T) {
	t.Parallel()
	url, file := place(t, "sqlite"), filepath.Join(t.TempDir(), "none", "demo.jsonl")
	demo(t, url)
	o := brine(t, "export", url, "-o", file)
	failed(t, o, exitFailed, []string{"open " + file + ": "}, "export")
}
