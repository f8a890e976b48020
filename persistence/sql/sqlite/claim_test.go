package sqlite_test

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

func init() { children["claimer"] = claimerChild }

var ready = &driver.Query{Where: []driver.Cond{{Column: driver.ColState, Op: driver.Eq, Values: []any{"RUNNING"}}}}

// claimerChild claims in eight goroutines what there is, completes it, and says of each record that
// it has.
func claimerChild() int {
	args := childArgs()
	limit, err := strconv.Atoi(args[1])
	if err != nil {
		return fail(err)
	}
	b, err := openInChild(args[0])
	if err != nil {
		return fail(err)
	}
	defer b.Close()
	ctx := context.Background()
	failed := make(chan error, 8)
	for range 8 {
		go func() { failed <- work(ctx, b, limit) }()
	}
	for range 8 {
		if err := <-failed; err != nil {
			return fail(err)
		}
	}
	return 0
}

func work(ctx context.Context, b driver.Backend, limit int) error {
	for {
		recs, err := b.(driver.Claimer).Claim(ctx, ready, driver.Claiming{Owner: "child", Lease: time.Hour, Limit: limit})
		if err != nil || len(recs) == 0 {
			return err
		}
		var ms []driver.Mutation
		for _, rec := range recs {
			m := driver.Mutation{Op: driver.Update, Rec: rec, IfRev: rec.Revision, Token: rec.Claim.Token, Release: true}
			m.Rec.State = "DONE"
			ms = append(ms, m)
		}
		if _, err := b.Apply(ctx, ms); err != nil {
			return err
		}
		for _, rec := range recs {
			fmt.Println(rec.ID)
		}
	}
}

func TestProcessesShareWorkByClaims(t *testing.T) {
	t.Parallel()
	const n = 600
	for _, limit := range []string{"1", "10"} {
		path := file(t)
		b, _ := open(t, fileURL(path), integers, driver.OpenOptions{})
		var ms []driver.Mutation
		for i := range n {
			ms = append(ms, create(driver.ID(strconv.Itoa(i+1)), "task"))
		}
		apply(t, b, ms...)
		outputs := make([]string, 4)
		var wg sync.WaitGroup
		for i := range outputs {
			cmd, out := child(t, "claimer", path, limit)
			wg.Go(func() { outputs[i] = finish(t, cmd, out) })
		}
		wg.Wait()
		times := map[string]int{}
		for _, output := range outputs {
			for id := range strings.FieldsSeq(output) {
				times[id]++
			}
		}
		for i := range n {
			if k := times[strconv.Itoa(i+1)]; k != 1 {
				t.Errorf("limit %s: record %d was done %d times", limit, i+1, k)
			}
		}
	}
}

// finish returns what a process says until it ends.
func finish(t *testing.T, cmd *exec.Cmd, out io.Reader) string {
	said, err := io.ReadAll(out)
	if ended := cmd.Wait(); err != nil || ended != nil {
		t.Errorf("a process: %v, %v", err, ended)
	}
	return string(said)
}

func TestANamespaceOfPrivateMemoryIsInTheSameMemory(t *testing.T) {
	t.Parallel()
	b, _ := open(t, "sqlite:", integers, driver.OpenOptions{})
	const kv driver.Namespace = "kv"
	if err := driver.InitNamespace(t.Context(), b, kv, driver.Schema{}); err != nil {
		t.Fatal(err)
	}
	pair := create("key", "value")
	pair.Namespace = kv
	apply(t, b, pair, create("1", "record"))
	if err := b.(driver.Suspender).Suspend(); err != nil {
		t.Error(err)
	}
	for _, ns := range []driver.Namespace{driver.Objects, kv} {
		err := b.View(t.Context(), func(r driver.Reader) error {
			in, err := driver.InNamespace(r, ns)
			if err != nil {
				return err
			}
			n, err := in.Count(t.Context(), &driver.Query{})
			if n != 1 {
				t.Errorf("namespace %q: %d records", ns, n)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}
