// Package battery makes every kind of call on a store, and compares each answer with that of a
// store in memory. The tests of the servers run it under settings that change what SQL means.
package battery

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence"
	_ "github.com/brine-go/brine/persistence/mem" // the store that the others are compared with
)

// Run opens a store at url, runs the battery on it and closes it. It fails t where a call fails,
// or where a store in memory answers otherwise. A store that exists must be empty.
func Run(t testing.TB, url string) {
	t.Helper()
	want, err := inMemory()
	if err != nil {
		t.Fatalf("in memory: %v", err)
	}
	got, err := transcribe(t.Context(), url)
	if wrong := compare(want, got, err); wrong != "" {
		t.Error(wrong)
	}
}

// compare says how answers, which end with err, differ from those wanted.
func compare(want, got []string, err error) string {
	var wrong strings.Builder
	if diff := cmp.Diff(want[:min(len(got), len(want))], got); diff != "" {
		fmt.Fprintf(&wrong, "not as in memory (-memory +here):\n%s", diff)
	}
	if err != nil {
		fmt.Fprintf(&wrong, "after %d of %d answers: %v", len(got), len(want), err)
	} else if len(got) < len(want) {
		fmt.Fprintf(&wrong, "%d of %d answers", len(got), len(want))
	}
	return wrong.String()
}

// inMemory is what a store in memory answers.
var inMemory = sync.OnceValues(func() ([]string, error) { return transcribe(context.Background(), "mem:") })

// A part is some calls on one store, whose answers it notes.
type part struct {
	name string
	run  func(ctx context.Context, s *persistence.Store, n *notes) error
}

// parts are run one after the other on one store: each finds what those before it left.
var parts = []part{
	{"save", save},
	{"list", list},
	{"pages", pages},
	{"select", selectSome},
	{"groups", groups},
	{"graph", graph},
	{"update", update},
	{"claims", claims},
	{"pairs", pairs},
	{"remove", remove},
}

// transcribe returns the answers up to the first error.
func transcribe(ctx context.Context, url string) (answers []string, err error) {
	s, err := persistence.MakeStore(ctx, url, &persistence.Options{
		ExtraFields: fields, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if closed := s.Close(); err == nil {
			err = closed
		}
	}()
	n := &notes{}
	for _, p := range parts {
		n.about = p.name
		if err := p.run(ctx, s, n); err != nil {
			return n.lines, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return n.lines, nil
}

// notes are the answers of a store, a line each.
type notes struct {
	about string
	lines []string
}

func (n *notes) add(format string, args ...any) {
	n.lines = append(n.lines, n.about+": "+fmt.Sprintf(format, args...))
}

// many notes the names of records, which would be long lines.
func (n *notes) many(what string, names []string) {
	n.add("%s: %d", what, len(names))
	for len(names) > 0 {
		k := min(len(names), 20)
		n.add("  %s", strings.Join(names[:k], " "))
		names = names[k:]
	}
}
