// Queries shows how to find objects without reading them: extra fields become columns of the store,
// and queries select, sort and count by them, alike on every backend.
//
//	go run ./examples/queries
//	go run ./examples/queries -store sqlite:jobs.db
//
// Read job.go first. Each run adds its five jobs to the store.
package main

import (
	"context"
	"fmt"
	"io"

	"github.com/brine-go/brine/examples/internal/cli"
	"github.com/brine-go/brine/persistence"
	_ "github.com/brine-go/brine/persistence/all"
)

var app = cli.Program{Name: "queries"}

func main() { app.Main(run) }

func run(ctx context.Context, args []string, stdout, _ io.Writer) error {
	flags := app.Flags()
	store := flags.String("store", "mem:", "`URL` of the store")
	if err := app.Parse(flags, args, stdout); err != nil {
		return err
	}
	return answer(ctx, *store, stdout)
}

// answer saves five jobs and prints what the queries find.
func answer(ctx context.Context, url string, out io.Writer) error {
	store, err := persistence.MakeStore(ctx, url, &persistence.Options{ExtraFields: columns})
	if err != nil {
		return err
	}
	defer store.Close()
	_, err = store.SaveAll(ctx,
		&Job{Name: "align", Owner: "ann", State: "DONE", Meta: map[string]string{"site": "lab-1"}, Results: []Result{{0, 3.5}, {0, 1}}},
		&Job{Name: "merge", Owner: "ann", State: "FAILED", Meta: map[string]string{"site": "lab-2"}, Results: []Result{{137, 60}}},
		&Job{Name: "plot", Owner: "bob", State: "DONE", Results: []Result{{0, 0.25}}},
		&Job{Name: "index", Owner: "bob", State: "NEW", Meta: map[string]string{"site": "lab-1"}},
		&Job{Name: "clean", Owner: "cid", State: "NEW"},
	)
	if err != nil {
		return err
	}

	for _, q := range []struct {
		title string
		query persistence.Query
	}{
		{"the longest first, those without a result last", persistence.Query{
			Order: []persistence.Order{persistence.Desc("seconds")}}},
		{"failed, by their exit code", persistence.Query{
			Where: []persistence.Cond{persistence.Ne("code", 0), persistence.NotNull("code")}}},
		{"in any lab", persistence.Query{
			Where: []persistence.Cond{persistence.HasPrefix("site", "lab-")}, Order: []persistence.Order{persistence.Asc("site")}}},
		{"the first of ann's or cid's that is new or failed", persistence.Query{State: []string{"NEW", "FAILED"},
			Where: []persistence.Cond{persistence.In("owner", "ann", "cid")}, Limit: 1}},
	} {
		fmt.Fprintf(out, "%s:\n", q.title)
		// All loads the objects as well; List and Stat read columns only, however large they are.
		for id, err := range store.List(ctx, &q.query) {
			if err != nil {
				return err
			}
			info, err := store.Stat(ctx, id)
			if err != nil {
				return err
			}
			f := info.Fields
			fmt.Fprintf(out, "  %-3s %-7s owner=%-4s site=%-6s code=%-5s seconds=%s\n",
				id, info.State, text(f["owner"]), text(f["site"]), text(f["code"]), text(f["seconds"]))
		}
	}

	fmt.Fprintln(out, "how many in each state:")
	for _, state := range []string{"NEW", "DONE", "FAILED"} {
		n, err := store.Count(ctx, &persistence.Query{State: []string{state}})
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "  %-7s %d\n", state, n)
	}

	fmt.Fprintln(out, "one object, loaded:")
	for job, err := range persistence.All[Job](ctx, store, &persistence.Query{
		Where: []persistence.Cond{persistence.Eq("owner", "bob")}, State: []string{"DONE"}}) {
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "  %s took %v s\n", job.Name, job.Results[0].Seconds)
	}
	return nil
}

// text returns the value of a column. A column is NULL, here nil, where an object has no such
// value.
func text(v any) string {
	if v == nil {
		return "NULL"
	}
	return fmt.Sprint(v)
}
