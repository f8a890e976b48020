package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"path/filepath"

	"github.com/brine-go/brine/examples/internal/cli"
	"github.com/brine-go/brine/persistence"
	_ "github.com/brine-go/brine/persistence/all" // mem:, file: and sqlite: URLs
)

// openStore opens the store that the URL names, and creates it if it is not there.
func openStore(ctx context.Context, url string) (*persistence.Store, error) {
	return persistence.MakeStore(ctx, url, &persistence.Options{ExtraFields: columns})
}

// defaultStore returns the URL of an SQLite file in the user's cache folder, one for each source of
// tasks.
func defaultStore(source string) string {
	hash := fnv.New32a()
	fmt.Fprint(hash, source)
	return cli.DefaultStore(fmt.Sprintf("taskgraph-%s-%08x.db", filepath.Base(source), hash.Sum32()))
}

// errOther is wrapped by the errors about a store that holds something else than what is to be run.
var errOther = errors.New("give -reset to forget it and begin anew, or another -store")

// restore returns the workflow that the store holds, as the last run left it, or stores fresh and
// returns that.
func restore(ctx context.Context, store *persistence.Store, fresh *Workflow) (w *Workflow, found bool, err error) {
	var ids []persistence.ID
	for id, err := range store.List(ctx, &persistence.Query{Type: workflowType}) {
		if err != nil {
			return nil, false, err
		}
		ids = append(ids, id)
	}
	switch len(ids) {
	case 0:
		// One Save stores the root and all that can be reached from it: all or nothing, whenever
		// the program is killed.
		_, err := store.Save(ctx, fresh)
		return fresh, false, err
	case 1:
	default:
		return nil, false, fmt.Errorf("the store holds %d workflows: %w", len(ids), errOther)
	}
	// Stat reads the columns only, so a large workflow is not loaded just to be refused.
	info, err := store.Stat(ctx, ids[0])
	if err != nil {
		return nil, false, err
	}
	if name := info.Fields["name"]; name != fresh.Name {
		return nil, false, fmt.Errorf("the store holds another workflow, %v: %w", name, errOther)
	}
	// Likewise one Load brings them all back, each object once and every pointer where it was.
	w, err = persistence.Load[Workflow](ctx, store, ids[0])
	if err != nil {
		return nil, false, err
	}
	if diff := difference(w, fresh); diff != "" {
		return nil, false, fmt.Errorf("the tasks have changed since the workflow was stored (%s): %w", diff, errOther)
	}
	if w.Source != fresh.Source { // the folder has moved
		w.Source = fresh.Source
		_, err = store.SaveOnly(ctx, w) // one small record, and not the graph that hangs on it
	}
	return w, true, err
}

// reset removes the objects of this program from the store, and leaves alone what else is there.
func reset(ctx context.Context, store *persistence.Store) (removed int, err error) {
	var ids []persistence.ID
	for id, err := range store.List(ctx, &persistence.Query{
		Where: []persistence.Cond{persistence.HasPrefix("type", typePrefix)},
	}) {
		if err != nil {
			return 0, err
		}
		ids = append(ids, id)
	}
	return len(ids), store.Remove(ctx, ids...)
}

// renew makes the tasks ready that the last run did not finish, saves those, and returns how many
// there were in each state.
func renew(ctx context.Context, store *persistence.Store, w *Workflow) (was map[State]int, err error) {
	was = make(map[State]int)
	var changed []any
	for _, t := range w.Tasks {
		was[t.State]++
		if t.State != Done && t.State != Submitted {
			t.State = Submitted
			changed = append(changed, t)
		}
	}
	_, err = store.SaveOnly(ctx, changed...)
	return was, err
}

// here returns the machine among those of the workflow that the program runs on. One that the
// workflow does not know yet is added and saved.
func here(ctx context.Context, store *persistence.Store, w *Workflow) (*Machine, error) {
	this := thisMachine()
	for _, m := range w.Machines {
		if m.Name == this.Name {
			return m, nil
		}
	}
	w.Machines = append(w.Machines, this)
	_, err := store.SaveOnly(ctx, w) // and the machine with it, since it was never saved
	return this, err
}
