package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence"
)

func TestDiff(t *testing.T) {
	backends(t, func(t *testing.T, b string) {
		ctx := t.Context()
		a := place(t, "sqlite")
		demo(t, a)
		done(t, "cp", a, b)
		s := open(t, b, &persistence.Options{ExtraFields: demoFields})
		tk, err := persistence.Load[task](ctx, s, "3")
		check(t, err)
		tk.Env = map[string]string{"new": "1"}
		_, err = s.SaveOnly(ctx, tk)
		check(t, err)
		check(t, s.Remove(ctx, "5"))
		_, err = s.Save(ctx, &flow{Name: "only in B"})
		check(t, err)
		check(t, s.KV().Delete(ctx, "hosts"))
		check(t, s.KV().Set(ctx, "limits/note", "be slow"))
		check(t, s.KV().Set(ctx, "limits/parallel", "eight"))
		check(t, s.KV().Set(ctx, "zone", "only in B"))
		check(t, s.Close())

		o := brine(t, "diff", a, b)
		want := "KIND\tRECORD\tPATH\n" +
			"differs\t3\tEnv\n" +
			"only in A\t5\t\n" +
			"only in B\t6\t\n" +
			"only in A\tpair hosts\t\n" +
			"differs\tpair limits/note\tvalue\n" +
			"differs\tpair limits/parallel\ttype\n" +
			"only in B\tpair zone\t\n"
		if d := cmp.Diff(want, o.out); d != "" || o.code != exitFound || o.err != "" {
			t.Errorf("exit code %d, %s (-want +got):\n%s", o.code, o.err, d)
		}
		o = brine(t, "diff", a, b, "--json", "--no-pairs", "--type", "demo.Task")
		want = `{"kind":"differs","id":"3","path":"Env"}` + "\n" + `{"kind":"only in A","id":"5"}` + "\n"
		if d := cmp.Diff(want, o.out); d != "" || o.code != exitFound {
			t.Errorf("exit code %d (-want +got):\n%s", o.code, d)
		}
		if out := done(t, "diff", a, a); out != "" {
			t.Errorf("a store and itself: %s", out)
		}
		o = brineWith(t, "", terminal(80, false), "diff", a, a)
		if o.code != exitDone || o.out != "the stores are equal\n" {
			t.Errorf("on a terminal: %+v", o)
		}
		fails(t, exitFailed, []string{"There is no store"}, "diff", a, place(t, "sqlite"))
		fails(t, exitUsage, []string{"column"}, "diff", a, b, "--where", "nothing=1")
	})
}

func TestDiffNamesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	dir, b := filepath.Join(t.TempDir(), "store"), place(t, "sqlite")
	demo(t, "file:"+dir)
	done(t, "cp", "file:"+dir, b)
	spoil(t, filepath.Join(dir, ".brine.kv", "hosts"))
	spoil(t, filepath.Join(dir, "4"))
	for _, stores := range [][]string{{"file:" + dir, b}, {b, "file:" + dir}} {
		o := brine(t, append([]string{"diff", "--json"}, stores...)...)
		failed(t, o, exitFailed, []string{`"4"`}, "diff")
	}
	o := brine(t, "diff", "file:"+dir, b, "--type", "demo.Flow")
	failed(t, o, exitFailed, []string{`"hosts"`, "brine check"}, "diff")
	if strings.Contains(o.out, "hosts") {
		t.Errorf("what cannot be read is told as missing: %q", o.out)
	}
}
