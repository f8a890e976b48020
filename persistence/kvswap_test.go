package persistence_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/brine-go/brine/persistence"
)

// The types of two versions of a program that swaps pairs.
type (
	swapLevelOld struct{ Level int }
	swapNoteOld  struct {
		Level int
		Note  string
	}
	swapLevel struct{ Level, Extra int }
	swapNote  struct{ Level int }
)

func init() {
	children["swap"] = func(ctx context.Context, s *persistence.Store) error {
		persistence.Register[swapLevelOld]("swap.oldlevel")
		persistence.Register[swapNoteOld]("swap.note")
		if err := s.KV().Set(ctx, "level", swapLevelOld{7}); err != nil {
			return err
		}
		return s.KV().Set(ctx, "note", swapNoteOld{7, "kept"})
	}
}

var registerSwap = sync.OnceFunc(func() {
	persistence.Register[swapLevel]("swap.level")
	persistence.RegisterAlias[swapLevel]("swap.oldlevel")
	persistence.Register[swapNote]("swap.note")
})

// A program can swap what it has read of another version's pair, or is told why not.
func TestPairsOfAnotherVersionAreSwapped(t *testing.T) {
	inShared(t, func(t *testing.T, url string) {
		ctx := t.Context()
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "BRINE_TEST_CHILD=swap", "BRINE_TEST_URL="+url)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("%v\n%s", err, out)
		}
		registerSwap()
		s := open(t, url, nil)
		kv := s.KV()
		level := must[swapLevel](t)(persistence.Value[swapLevel](ctx, kv, "level"))
		if must[bool](t)(kv.CompareAndSwap(ctx, "level", swapLevel{Level: 8}, swapLevel{9, 1})) {
			t.Error("another value was swapped")
		}
		if !must[bool](t)(kv.CompareAndSwap(ctx, "level", level, swapLevel{8, 1})) {
			t.Error("the value that was read was not swapped")
		}
		if got := must[swapLevel](t)(persistence.Value[swapLevel](ctx, kv, "level")); got != (swapLevel{8, 1}) {
			t.Errorf("got %v", got)
		}
		note := must[swapNote](t)(persistence.Value[swapNote](ctx, kv, "note"))
		_, err := kv.CompareAndSwap(ctx, "note", note, swapNote{8})
		wantIs(t, err, persistence.ErrUnstorable)
		if err == nil || !strings.Contains(err.Error(), "swapNote.Note") {
			t.Errorf("the error must name the field: %v", err)
		}
		drop := open(t, url, &persistence.Options{DropUnknown: true}).KV()
		if !must[bool](t)(drop.CompareAndSwap(ctx, "note", note, swapNote{8})) {
			t.Error("DropUnknown must allow it")
		}
		if !must[bool](t)(kv.CompareAndSwap(ctx, "note", swapNote{8}, persistence.Absent)) {
			t.Error("it was not removed")
		}
	})
}
