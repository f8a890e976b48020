package persistence_test

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/brine-go/brine/persistence"
)

// copyOfMany copies the store beside s to s, and prints how much memory that needs at most.
func copyOfMany(ctx context.Context, s *persistence.Store) error {
	debug.SetGCPercent(10)
	src, err := persistence.MakeStore(ctx, besideURL(s.URL().Path()), nil)
	if err != nil {
		return err
	}
	bytes, err := liveHeap(func() error {
		_, err := persistence.Copy(ctx, s, src, nil)
		return err
	})
	fmt.Println(bytes)
	return errors.Join(err, src.Close())
}

func TestMemoryOfCopyDoesNotGrowWithTheRecords(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("copies 50,000 records")
	}
	few, many := 10_000, 40_000
	if long() {
		few, many = 100_000, 1_000_000
	}
	memory := func(n int) int64 {
		url := storeURL(t, "sqlite")
		path := strings.TrimPrefix(url, "sqlite:")
		src := open(t, besideURL(path), nil)
		for at := 0; at < n; at += 10_000 {
			objs := make([]any, 10_000)
			for i := range objs {
				objs[i] = &leaf{Text: strings.Repeat("t", 70)}
			}
			must[[]persistence.ID](t)(src.SaveAll(t.Context(), objs...))
		}
		cmd, lines := start(t, "copymany", url)
		var bytes int64
		for line := range lines {
			var err error
			if bytes, err = strconv.ParseInt(line, 10, 64); err != nil {
				t.Errorf("the child printed %q", line)
			}
		}
		check(t, cmd.Wait())
		if got := must[int64](t)(open(t, url, nil).Count(t.Context(), nil)); got != int64(n) {
			t.Errorf("%d records were copied of %d", got, n)
		}
		return bytes
	}
	less, more := memory(few), memory(many)
	t.Logf("%d records: %d KB, %d records: %d KB", few, less>>10, many, more>>10)
	if more > less+less/2+8<<20 {
		t.Errorf("%d records take %d bytes of memory, and %d take %d", many, more, few, less)
	}
	if more > 64<<20 {
		t.Errorf("%d records take %d bytes of memory", many, more)
	}
}
