package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/brine-go/brine/persistence"
)

// summarize prints how the tasks stand. It asks the store, by its columns: no object is read.
func summarize(ctx context.Context, out io.Writer, store *persistence.Store, w *Workflow) error {
	q := queries{ctx: ctx, store: store}
	fmt.Fprintf(out, "\n%s: tasks %d, files %d, machines %d\n", w.Name,
		q.count(persistence.Query{Type: taskType}),
		q.count(persistence.Query{Type: fileType}),
		q.count(persistence.Query{Type: machineType}))
	for _, s := range states {
		if n := q.count(persistence.Query{Type: taskType, State: []string{string(s)}}); n > 0 {
			fmt.Fprintf(out, "%7d  %s\n", n, s)
		}
	}
	again := q.count(persistence.Query{Type: taskType, Where: []persistence.Cond{persistence.Gt("attempts", 1)}})
	if again > 0 {
		fmt.Fprintf(out, "%d of them started more than once\n", again)
	}

	fmt.Fprintln(out, "\ndone, by kind")
	kinds, rest := commonKinds(w, 8)
	for _, kind := range kinds {
		ofKind := []persistence.Cond{persistence.Eq("kind", kind)}
		fmt.Fprintf(out, "%7d of %d  %s\n",
			q.count(persistence.Query{Type: taskType, State: []string{string(Done)}, Where: ofKind}),
			q.count(persistence.Query{Type: taskType, Where: ofKind}), kind)
	}
	if rest > 0 {
		fmt.Fprintf(out, "         and %d more kinds\n", rest)
	}

	fmt.Fprintln(out, "\nlongest")
	longest := persistence.Query{
		Type:  taskType,
		Where: []persistence.Cond{persistence.Gt("seconds", 0.0)},
		Order: []persistence.Order{persistence.Desc("seconds")},
		Limit: 3,
	}
	for id, err := range store.List(ctx, &longest) {
		if err != nil {
			return err
		}
		info, err := store.Stat(ctx, id)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%7.1fs  %v\n", info.Fields["seconds"], info.Fields["name"])
	}
	return q.err
}

// queries counts, and keeps the first error.
type queries struct {
	ctx   context.Context
	store *persistence.Store
	err   error
}

func (q *queries) count(query persistence.Query) int64 {
	n, err := q.store.Count(q.ctx, &query)
	q.err = cmp.Or(q.err, err)
	return n
}

// commonKinds returns the n most common kinds of task, and how many more there are.
func commonKinds(w *Workflow, n int) (kinds []string, rest int) {
	count := make(map[string]int)
	for _, t := range w.Tasks {
		if count[t.Kind]++; count[t.Kind] == 1 {
			kinds = append(kinds, t.Kind)
		}
	}
	slices.SortFunc(kinds, func(a, b string) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), strings.Compare(a, b))
	})
	n = min(n, len(kinds))
	return kinds[:n], len(kinds) - n
}

// printFailures prints what the failed tasks had to say.
func printFailures(out io.Writer, w *Workflow) {
	for _, t := range w.Tasks {
		if t.State == Failed {
			fmt.Fprintf(out, "\nFAILED %s\n  %s\n", t.Name, strings.ReplaceAll(t.Output, "\n", "\n  "))
		}
	}
}
