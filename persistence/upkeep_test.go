package persistence_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence"
)

func TestStoresOfAURL(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		ctx := t.Context()
		if strings.HasPrefix(url, "sqlite:") || strings.HasPrefix(url, "file:") {
			if got, err := persistence.Stores(ctx, url); err == nil {
				t.Errorf("where there is nothing: %q", got)
			}
		}
		s := open(t, url, nil)
		fill(t, s, false)
		check(t, s.Quarantine(ctx, "test", "1"))
		var want []string
		switch {
		case url == "mem:":
		case strings.HasPrefix(url, "file:"):
			want = []string{strings.TrimPrefix(url, "file:")}
		default:
			open(t, url, &persistence.Options{Table: "other"})
			want = []string{"other", "store"}
		}
		if d := cmp.Diff(want, must[[]string](t)(persistence.Stores(ctx, url))); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
}

func TestCompactLosesNothing(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		ctx := t.Context()
		s := open(t, url, nil)
		fill(t, s, false)
		for i := range 200 {
			must[persistence.ID](t)(s.Save(ctx, &Task{Name: strings.Repeat("x", 10_000), Prio: i}))
		}
		must[int64](t)(s.RemoveAll(ctx, &persistence.Query{Where: []persistence.Cond{persistence.Gt("id", 150)}}))
		want, before := everyRecord(t, s), int64(0)
		path, isFile := strings.CutPrefix(url, "sqlite:")
		if isFile {
			before = must[os.FileInfo](t)(os.Stat(path)).Size()
		}
		check(t, s.Compact(ctx))
		if d := cmp.Diff(want, everyRecord(t, s)); d != "" {
			t.Errorf("after Compact:\n%s", d)
		}
		if isFile {
			if after := must[os.FileInfo](t)(os.Stat(path)).Size(); after >= before-500_000 {
				t.Errorf("the file has %d bytes after Compact, and had %d", after, before)
			}
		}
		if url != "mem:" {
			wantIs(t, open(t, url, &persistence.Options{ReadOnly: true}).Compact(ctx), persistence.ErrReadOnly)
		}
	})
}

func TestSaveWarnsOfALoopThatCopies(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	var log bytes.Buffer
	src := open(t, "mem:", nil)
	dst := open(t, "mem:", &persistence.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for i := range 250 {
		must[persistence.ID](t)(src.Save(ctx, &Task{Name: fmt.Sprint(i)}))
		must[persistence.ID](t)(dst.Save(ctx, &Task{Name: "of this store alone"}))
	}
	n := 0
	for obj, err := range src.All(ctx, nil) {
		check(t, err)
		if n++; n == 101 && log.Len() > 0 {
			t.Errorf("after 100 objects: %s", &log)
		}
		must[persistence.ID](t)(dst.Save(ctx, obj))
	}
	if got := strings.Count(log.String(), "persistence.Copy"); got != 1 {
		t.Errorf("%d warnings name Copy:\n%s", got, &log)
	}
}
