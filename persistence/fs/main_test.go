package fs

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/brine-go/brine/persistence/driver"
)

// childEnv makes the test binary run one of children instead of the tests.
const childEnv = "BRINE_FS_CHILD"

// A child is code that runs in a process of its own, on a directory.
var children = map[string]func(dir string, args []string) error{}

func TestMain(m *testing.M) {
	if spec := os.Getenv(childEnv); spec != "" {
		var argv []string
		if err := json.Unmarshal([]byte(spec), &argv); err != nil {
			panic(err)
		}
		if err := children[argv[0]](argv[1], argv[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// child returns the command that runs a child.
func child(t testing.TB, name, dir string, args ...string) *exec.Cmd {
	t.Helper()
	if children[name] == nil {
		t.Fatalf("no child %q", name)
	}
	spec, err := json.Marshal(append([]string{name, dir}, args...))
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), childEnv+"="+string(spec))
	return cmd
}

var textSchema = driver.Schema{Fields: []driver.Column{
	{Name: "host", Kind: driver.Text}, {Name: "n", Kind: driver.Int},
	{Name: "load", Kind: driver.Float}, {Name: "ok", Kind: driver.Bool},
	{Name: "raw", Kind: driver.Bytes}, {Name: "due", Kind: driver.Time},
}}

var intSchema = driver.Schema{IntegerIDs: true}

// open returns a Backend on a directory, closed at the end of the test.
func open(t testing.TB, dir string, s driver.Schema) *Backend {
	t.Helper()
	b, err := openWith(context.Background(), dir, s, driver.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func openWith(ctx context.Context, dir string, s driver.Schema, o driver.OpenOptions) (*Backend, error) {
	o.Logger = slog.New(slog.DiscardHandler)
	b, err := New(dir, o)
	if err != nil {
		return nil, err
	}
	if _, err := b.Init(ctx, s); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

var someTime = time.Date(2026, 3, 4, 5, 6, 7, 123456000, time.UTC)

// rec makes a record with data that tell its ID.
func rec(id driver.ID) driver.Record {
	return driver.Record{
		ID: id, Type: "engine.Task", State: "RUNNING", Created: someTime, Modified: someTime,
		Data: []byte("data of " + string(id)),
	}
}

func create(ids ...driver.ID) []driver.Mutation {
	return mutations(driver.Create, ids...)
}

func mutations(op driver.Op, ids ...driver.ID) []driver.Mutation {
	ms := make([]driver.Mutation, len(ids))
	for i, id := range ids {
		ms[i] = driver.Mutation{Op: op, Rec: rec(id)}
	}
	return ms
}

func numbers(from, to int) []driver.ID {
	var ids []driver.ID
	for n := from; n <= to; n++ {
		ids = append(ids, driver.ID(strconv.Itoa(n)))
	}
	return ids
}

func apply(t testing.TB, b *Backend, ms ...driver.Mutation) []int64 {
	t.Helper()
	revs, err := b.Apply(context.Background(), ms)
	if err != nil {
		t.Fatal(err)
	}
	return revs
}

func get(t testing.TB, b *Backend, parts driver.Parts, ids ...driver.ID) []driver.Record {
	t.Helper()
	recs, err := tryGet(b, parts, ids...)
	if err != nil {
		t.Fatal(err)
	}
	return recs
}

func tryGet(b *Backend, parts driver.Parts, ids ...driver.ID) (recs []driver.Record, err error) {
	err = b.View(context.Background(), func(r driver.Reader) error {
		recs, err = r.Get(context.Background(), ids, parts)
		return err
	})
	return recs, err
}

// scan returns the IDs that a query yields, and the errors of single records.
func scan(t testing.TB, b *Backend, q driver.Query) (ids []driver.ID, bad []error) {
	t.Helper()
	err := b.View(context.Background(), func(r driver.Reader) error {
		for rec, err := range r.Scan(context.Background(), &q) {
			if err != nil {
				bad = append(bad, err)
				continue
			}
			ids = append(ids, rec.ID)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids, bad
}

// ownFiles returns the names of the package's own files that are no fixture of a directory.
func ownFiles(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		switch name := e.Name(); {
		case name == lockName, name == gateName, name == metaName, name == changesName:
		case strings.HasPrefix(name, ".brine"):
			names = append(names, name)
		}
	}
	return names
}
