package persistence_test

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/mem"
)

// A gapFinder counts how often it is asked for records that lack a column.
type gapFinder struct {
	*mem.Backend
	asked *atomic.Int64
}

func (b gapFinder) InGap(context.Context, driver.Gap) (bool, error) {
	b.asked.Add(1)
	return false, nil
}

// Records that lack a column are looked for only if there is somebody to warn: a program that lists
// a large store would read all of it for each page.
func TestIncompleteColumnsAreLookedForToWarnOfThem(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		log   slog.Handler
		looks bool
	}{
		"a logger of warnings": {slog.NewTextHandler(io.Discard, nil), true},
		"a logger of errors":   {slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError}), false},
		"no logger":            {slog.DiscardHandler, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			data := mem.New(driver.OpenOptions{})
			first := must[*persistence.Store](t)(persistence.New(ctx, data, nil))
			defer first.Close()
			must[persistence.ID](t)(first.Save(ctx, "a record without the column"))

			b := gapFinder{data.Handle(), new(atomic.Int64)}
			field := extrafields.Func("length", extrafields.Int, func(any) (any, error) { return 1, nil })
			s := must[*persistence.Store](t)(persistence.New(ctx, b, &persistence.Options{
				ExtraFields: []extrafields.Field{field}, Logger: slog.New(c.log),
			}))
			defer s.Close()
			opened := b.asked.Load()
			must[int64](t)(s.Count(ctx, &persistence.Query{Where: []persistence.Cond{persistence.IsNull("length")}}))
			queried := b.asked.Load()
			if (opened > 0) != c.looks || (queried > opened) != c.looks {
				t.Errorf("asked %d times at opening, %d times after a query", opened, queried)
			}
			must[[]persistence.ColumnInfo](t)(s.Columns(ctx))
			if b.asked.Load() == queried {
				t.Error("Columns does not ask")
			}
		})
	}
}
