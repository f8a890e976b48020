package persistence_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
	_ "github.com/brine-go/brine/persistence/mem"
	_ "github.com/brine-go/brine/persistence/sql/sqlite"
)

// A Stage is one step of a pipeline.
type Stage struct {
	persistence.Persistable
	Name  string
	State string
	Host  string
	After []*Stage // the stages that must be done first
}

func init() {
	persistence.Register[Stage]("pipeline.Stage")
	children["example"] = saveStage
}

// openExample opens a private store that has a column for the host of a stage.
func openExample(ctx context.Context) *persistence.Store {
	store, err := persistence.MakeStore(ctx, "mem:", &persistence.Options{
		ExtraFields: []extrafields.Field{
			extrafields.Of("host", func(s *Stage) string { return s.Host }).Indexed(),
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	return store
}

func Example() {
	ctx := context.Background()
	store, err := persistence.MakeStore(ctx, "mem:", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	id, err := store.Save(ctx, &Stage{Name: "compile", State: "NEW"})
	if err != nil {
		log.Fatal(err)
	}
	stage, err := persistence.Load[Stage](ctx, store, id)
	if err != nil {
		log.Fatal(err)
	}
	stage.State = "DONE"
	if _, err := store.Save(ctx, stage); err != nil { // the same record: the object knows its ID
		log.Fatal(err)
	}
	info, err := store.Stat(ctx, id)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.Type, stage.Name, info.State)

	_, err = persistence.Load[Stage](ctx, store, "1000")
	fmt.Println(errors.Is(err, persistence.ErrNotFound))
	// Output:
	// pipeline.Stage compile DONE
	// true
}

// Each object that embeds Persistable is a record of its own. Shared objects and cycles come back
// as they were.
func Example_graph() {
	ctx := context.Background()
	store := openExample(ctx)
	defer store.Close()

	compile := &Stage{Name: "compile"}
	test := &Stage{Name: "test", After: []*Stage{compile}}
	lint := &Stage{Name: "lint", After: []*Stage{compile}}
	release := &Stage{Name: "release", After: []*Stage{test, lint}}
	id, err := store.Save(ctx, release) // four records in one atomic write
	if err != nil {
		log.Fatal(err)
	}

	loaded, err := persistence.Load[Stage](ctx, store, id)
	if err != nil {
		log.Fatal(err)
	}
	a, b := loaded.After[0], loaded.After[1]
	fmt.Println(a.Name, "and", b.Name, "wait for", a.After[0].Name)
	fmt.Println("one object:", a.After[0] == b.After[0])

	compile.Host = "red"
	if _, err := store.Save(ctx, release); err != nil { // writes the one record that differs
		log.Fatal(err)
	}
	for _, s := range []*Stage{compile, release} {
		info, err := store.Stat(ctx, s.PersistentID())
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(s.Name, "revision", info.Revision)
	}
	// Output:
	// test and lint wait for compile
	// one object: true
	// compile revision 2
	// release revision 1
}

// Extra fields are columns that functions derive from the objects. Queries select, sort and count
// by them without reading an object.
func ExampleQuery() {
	ctx := context.Background()
	store := openExample(ctx)
	defer store.Close()
	_, err := store.SaveAll(ctx,
		&Stage{Name: "compile", State: "DONE", Host: "red"},
		&Stage{Name: "test", State: "FAILED", Host: "red"},
		&Stage{Name: "lint", State: "DONE", Host: "blue"},
		&Stage{Name: "release", State: "NEW"},
	)
	if err != nil {
		log.Fatal(err)
	}

	onRed := &persistence.Query{
		Where: []persistence.Cond{persistence.Eq("host", "red")},
		Order: []persistence.Order{persistence.Desc("state")},
	}
	for stage, err := range persistence.All[Stage](ctx, store, onRed) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(stage.Name, stage.State)
	}
	groups, err := store.CountBy(ctx, "state", nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, g := range groups {
		fmt.Println(g.Value, g.Count)
	}
	// Output:
	// test FAILED
	// compile DONE
	// DONE 2
	// FAILED 1
	// NEW 1
}

func ExampleStore_Update() {
	ctx := context.Background()
	store := openExample(ctx)
	defer store.Close()
	_, err := store.SaveAll(ctx,
		&Stage{Name: "compile", State: "FAILED"},
		&Stage{Name: "test", State: "FAILED"},
		&Stage{Name: "lint", State: "DONE"},
	)
	if err != nil {
		log.Fatal(err)
	}

	failed := &persistence.Query{State: []string{"FAILED"}}
	n, err := store.Update(ctx, failed, func(obj any) error {
		obj.(*Stage).State = "NEW"
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	left, err := store.Count(ctx, failed)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(n, "updated,", left, "failed")
	// Output:
	// 2 updated, 0 failed
}

// A claim lends an object to one worker at a time, in any number of processes.
func ExampleStore_Claim() {
	ctx := context.Background()
	store := openExample(ctx)
	defer store.Close()
	if _, err := store.Save(ctx, &Stage{Name: "compile", State: "NEW"}); err != nil {
		log.Fatal(err)
	}

	ready := &persistence.Query{State: []string{"NEW"}}
	options := persistence.ClaimOptions{Owner: "worker 7", Lease: time.Minute, State: "RUNNING"}
	claims, err := store.Claim(ctx, ready, options)
	if err != nil {
		log.Fatal(err)
	}
	for _, claim := range claims {
		stage, err := persistence.LoadClaimed[Stage](ctx, claim)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(claim.Owner(), "runs", stage.Name, stage.State)
		stage.State = "DONE"
		if err := claim.Complete(ctx, stage); err != nil { // saves the stage and ends the claim
			log.Fatal(err)
		}
	}
	claims, err = store.Claim(ctx, ready, options)
	fmt.Println(len(claims), "left,", err)
	// Output:
	// worker 7 runs compile RUNNING
	// 0 left, <nil>
}

func ExampleStore_KV() {
	ctx := context.Background()
	store := openExample(ctx)
	defer store.Close()
	kv := store.KV()

	if err := kv.Set(ctx, "pipeline/limit", 4); err != nil {
		log.Fatal(err)
	}
	swapped, err := kv.CompareAndSwap(ctx, "pipeline/limit", 4, 8)
	fmt.Println(swapped, err)
	swapped, err = kv.CompareAndSwap(ctx, "pipeline/limit", 4, 16) // it is 8 by now
	fmt.Println(swapped, err)
	swapped, err = kv.CompareAndSwap(ctx, "pipeline/leader", persistence.Absent, "red")
	fmt.Println(swapped, err)

	for pair, err := range kv.Range(ctx, "pipeline/") {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(pair.Key, pair.Value)
	}
	// Output:
	// true <nil>
	// false <nil>
	// true <nil>
	// pipeline/leader red
	// pipeline/limit 8
}

// saveStage is what the child process of ExampleStore_PreFork does in the store.
func saveStage(ctx context.Context, store *persistence.Store) error {
	_, err := store.Save(ctx, &Stage{Name: "of the child"})
	return err
}

// Between PreFork and PostFork the process has no connection, file or lock of the store open, so a
// child process inherits none. Calls of other goroutines wait meanwhile; none fails.
func ExampleStore_PreFork() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	url := "sqlite:" + filepath.ToSlash(filepath.Join(dir, "pipeline.db"))
	store, err := persistence.MakeStore(ctx, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	if _, err := store.Save(ctx, &Stage{Name: "of the parent"}); err != nil {
		log.Fatal(err)
	}

	child := exec.Command(os.Args[0]) // any program; this one opens the store and saves a stage
	child.Env = append(os.Environ(), "BRINE_TEST_CHILD=example", "BRINE_TEST_URL="+url)
	if err := store.PreFork(); err != nil {
		log.Fatal(err)
	}
	err = child.Start()
	if err := errors.Join(err, store.PostFork()); err != nil {
		log.Fatal(err)
	}
	if err := child.Wait(); err != nil {
		log.Fatal(err)
	}
	for stage, err := range persistence.All[Stage](ctx, store, nil) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(stage.Name)
	}
	// Output:
	// of the parent
	// of the child
}

// Reset does both in one: it closes every connection and file, and lets them open anew.
func ExampleStore_Reset() {
	ctx := context.Background()
	store := openExample(ctx)
	defer store.Close()
	id, err := store.Save(ctx, &Stage{Name: "compile"})
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Reset(); err != nil {
		log.Fatal(err)
	}
	stage, err := persistence.Load[Stage](ctx, store, id)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(stage.Name)
	// Output:
	// compile
}

// Ping is for the health check of a service: it reads no record.
func ExampleStore_Ping() {
	ctx := context.Background()
	store := openExample(ctx)
	fmt.Println(store.Ping(ctx))
	if err := store.Close(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(errors.Is(store.Ping(ctx), persistence.ErrClosed))
	// Output:
	// <nil>
	// true
}

// A Report refers to its stage lazily.
type Report struct {
	persistence.Persistable
	Text  string
	Stage persistence.Ref[Stage]
}

func ExampleRef() {
	ctx := context.Background()
	store := openExample(ctx)
	defer store.Close()
	id, err := store.Save(ctx, &Report{
		Text:  "no warnings",
		Stage: persistence.RefTo(&Stage{Name: "lint"}),
	})
	if err != nil {
		log.Fatal(err)
	}
	report, err := persistence.Load[Report](ctx, store, id) // reads one record, not two
	if err != nil {
		log.Fatal(err)
	}
	stage, err := report.Stage.Get(ctx, store) // reads the other
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(stage.Name+":", report.Text)
	// Output:
	// lint: no warnings
}

// SaveOnly is for the program that knows what it changed: it reads and writes these objects alone.
func ExampleStore_SaveOnly() {
	ctx := context.Background()
	store := openExample(ctx)
	defer store.Close()
	compile := &Stage{Name: "compile"}
	test := &Stage{Name: "test", After: []*Stage{compile}}
	if _, err := store.Save(ctx, test); err != nil {
		log.Fatal(err)
	}
	compile.State, test.State = "DONE", "RUNNING"
	if _, err := store.SaveOnly(ctx, test); err != nil { // leaves the record of compile alone
		log.Fatal(err)
	}
	loaded, err := persistence.Load[Stage](ctx, store, test.PersistentID())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s %q, %s %q\n", loaded.Name, loaded.State, loaded.After[0].Name, loaded.After[0].State)
	// Output:
	// test "RUNNING", compile ""
}

func ExampleStore_StatPage() {
	ctx := context.Background()
	store := openExample(ctx)
	defer store.Close()
	for i := range 5 {
		if _, err := store.Save(ctx, &Stage{Name: fmt.Sprint("task ", i), State: []string{"NEW", "DONE"}[i%2]}); err != nil {
			log.Fatal(err)
		}
	}
	q := &persistence.Query{Order: []persistence.Order{persistence.Desc("state")}, Limit: 2}
	for token := ""; ; {
		page, next, err := store.StatPage(ctx, q, token)
		if err != nil {
			log.Fatal(err)
		}
		for _, info := range page {
			fmt.Printf("%s %s;", info.ID, info.State)
		}
		fmt.Println()
		if token = next; token == "" {
			break
		}
	}
	// Output:
	// 1 NEW;3 NEW;
	// 5 NEW;2 DONE;
	// 4 DONE;
}
