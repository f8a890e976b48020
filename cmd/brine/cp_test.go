package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brine-go/brine/persistence"
)

func TestCp(t *testing.T) {
	backends(t, func(t *testing.T, src string) {
		demo(t, src)
		for _, backend := range stored {
			dst := place(t, backend)
			if got, want := done(t, "cp", src, dst, "--dry-run"), "would copy 5 records and 3 pairs\n"; got != want {
				t.Errorf("a dry run prints %q", got)
			}
			fails(t, exitFailed, []string{"There is no store"}, "ls", dst) // a dry run makes none
			if got, want := done(t, "cp", src, dst), "copied 5 records and 3 pairs\n"; got != want {
				t.Errorf("to %s: %q", backend, got)
			}
			if out := done(t, "diff", src, dst); out != "" {
				t.Errorf("to %s: %s", backend, out)
			}
			if got, want := done(t, "cp", src, dst, "--snapshot"), "copied 0 records and 0 pairs\n  5 records there already, and equal\n"; got != want {
				t.Errorf("again: %q", got)
			}
			want := `{"copied":0,"same":5,"skipped":0,"overwritten":0,"failed":0,"changed":0,"pairs":0,"dry_run":false}` + "\n"
			if got := done(t, "cp", src, dst, "--json"); got != want {
				t.Errorf("as JSON: %s", got)
			}
		}
	})
}

func TestCpWithWhatIsThere(t *testing.T) {
	backends(t, func(t *testing.T, dst string) {
		src := place(t, "sqlite")
		demo(t, src)
		done(t, "cp", src, dst)
		s := open(t, dst, &persistence.Options{ExtraFields: demoFields})
		check(t, s.Replace(t.Context(), "2", &task{Name: "changed"}))
		check(t, s.KV().Set(t.Context(), "hosts", "changed"))
		check(t, s.Close())

		o := brine(t, "cp", src, dst)
		failed(t, o, exitFailed, []string{`"2"`, "--existing skip", "--existing overwrite"}, "cp")
		if got := done(t, "cp", src, dst, "--existing", "skip"); !strings.Contains(got, "1 record there otherwise, and left alone") {
			t.Errorf("skipping: %q", got)
		}
		if got := done(t, "cp", src, dst, "--existing", "overwrite"); !strings.Contains(got, "1 record replaced") || !strings.Contains(got, "and 1 pair\n") {
			t.Errorf("overwriting: %q", got)
		}
		if out := done(t, "diff", src, dst); out != "" {
			t.Errorf("after that they differ: %s", out)
		}
		fails(t, exitUsage, []string{"--existing never", "fail, skip, overwrite"}, "cp", src, dst, "--existing", "never")
	})
}

func TestCpOfASelection(t *testing.T) {
	backends(t, func(t *testing.T, src string) {
		demo(t, src)
		for _, c := range []struct {
			args []string
			want string
		}{
			{[]string{"--state", "DONE", "--no-pairs"}, "copied 2 records and 0 pairs\n"},
			{[]string{"--type", "demo.Flow"}, "copied 1 record and 3 pairs\n"},
			{[]string{"--where", "priority>=5", "--no-pairs"}, "copied 3 records and 0 pairs\n"},
			{[]string{"--root", "2", "--no-pairs"}, "copied "},
		} {
			dst := place(t, "sqlite")
			if got := done(t, append([]string{"cp", src, dst}, c.args...)...); !strings.HasPrefix(got, c.want) {
				t.Errorf("%q: %q, want %q", c.args, got, c.want)
			}
		}
		dst := place(t, "sqlite")
		fails(t, exitUsage, []string{"--root goes with neither"}, "cp", src, dst, "--root", "1", "--state", "DONE")
		fails(t, exitFailed, []string{`"77"`}, "cp", src, dst, "--root", "77")
		fails(t, exitUsage, []string{"no ID"}, "cp", src, dst, "--root", "x")
		fails(t, exitUsage, []string{"DST is missing"}, "cp", src)
		fails(t, exitFailed, []string{"There is no store"}, "cp", place(t, "sqlite"), dst)
	})
}

func TestCpToAPath(t *testing.T) {
	t.Parallel()
	src, dir := place(t, "sqlite"), t.TempDir()
	demo(t, src)
	for name, url := range map[string]string{"new.db": "sqlite:", "new": "file:"} {
		path := filepath.Join(dir, name)
		done(t, "cp", src, path, "--dry-run")
		done(t, "cp", src, path)
		if got := done(t, "cp", src, path); !strings.Contains(got, "5 records there already") {
			t.Errorf("to %s, again: %q", name, got)
		}
		if out := done(t, "diff", src, url+path); out != "" {
			t.Errorf("%s differs: %s", url+path, out)
		}
	}
}

func TestCpOfTextIDs(t *testing.T) {
	backends(t, func(t *testing.T, dst string) {
		src := place(t, "fs")
		fill(t, src, texts(func(obj any) persistence.ID { return persistence.ID("task/" + obj.(*task).Name) }), func(s *persistence.Store) {
			_, err := s.Save(t.Context(), &task{Name: "a", Deps: []*task{{Name: "b"}}})
			check(t, err)
		})
		if got := done(t, "cp", src, dst); got != "copied 2 records and 0 pairs\n" {
			t.Errorf("%q", got)
		}
		if out := done(t, "diff", src, dst); out != "" {
			t.Errorf("they differ: %s", out)
		}
		integers := place(t, "sqlite")
		demo(t, integers)
		fails(t, exitFailed, []string{"does not exist yet"}, "cp", src, integers)
	})
}

// many fills a store with tasks of 1 KB.
func many(t testing.TB, url string, n int) {
	t.Helper()
	s := open(t, url, &persistence.Options{ExtraFields: demoFields})
	defer s.Close()
	for at := 0; at < n; at += 5000 {
		objs := make([]any, min(5000, n-at))
		for i := range objs {
			objs[i] = &task{Name: fmt.Sprint("task ", at+i), State: "NEW", Priority: i, Log: []byte(strings.Repeat("x", 900))}
		}
		_, err := s.SaveAll(t.Context(), objs...)
		check(t, err)
	}
}

func TestCpNamesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	dir, dst := filepath.Join(t.TempDir(), "store"), place(t, "sqlite")
	src := "file:" + dir
	demo(t, src)
	spoil(t, filepath.Join(dir, "3"))
	o := brine(t, "cp", src, dst)
	failed(t, o, exitFailed, []string{`"3"`, "brine check"}, "cp")
	if !strings.HasPrefix(o.out, "copied 4 records and 3 pairs\n") || !strings.Contains(o.out, "1 record not readable, and left out\n") {
		t.Errorf("%q", o.out)
	}
	// The same record, damaged in the destination.
	good := place(t, "fs")
	demo(t, good)
	done(t, "cp", good, src+"2")
	spoil(t, filepath.Join(dir+"2", "3"))
	fails(t, exitFailed, []string{`"3"`, "--existing overwrite"}, "cp", good, src+"2")
	if got := done(t, "cp", good, src+"2", "--existing", "overwrite"); !strings.Contains(got, "1 record replaced") {
		t.Errorf("%q", got)
	}
	if out := done(t, "diff", good, src+"2"); out != "" {
		t.Errorf("they differ: %s", out)
	}
}

// spoil damages the file of a record.
func spoil(t testing.TB, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	check(t, err)
	data[len(data)-1] ^= 1
	check(t, os.WriteFile(path, data, 0o600))
}

func TestCpToItself(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		demo(t, url)
		o := brine(t, "cp", url, url)
		failed(t, o, exitFailed, []string{"both are the same store", "Name another destination."}, "cp")
		if o.out != "" {
			t.Errorf("it tells of a copy: %q", o.out)
		}
	})
}
