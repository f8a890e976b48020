package sqlite_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// children are the main programs of the processes that tests start, by the value of
// BRINE_TEST_CHILD.
var children = map[string]func() int{
	"writer":   writerChild,
	"batches":  batchesChild,
	"readonly": readOnlyChild,
	"refused":  refusedChild,
}

// child starts this test binary as another process. Its standard output is read line by line.
func child(t *testing.T, name string, args ...string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	return start(t, exec.CommandContext(t.Context(), os.Args[0]), name, args...)
}

func start(t *testing.T, cmd *exec.Cmd, name string, args ...string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	cmd.Env = append(os.Environ(), "BRINE_TEST_CHILD="+name, "BRINE_TEST_ARGS="+strings.Join(args, "\n"))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewReader(out)
}

func childArgs() []string { return strings.Split(os.Getenv("BRINE_TEST_ARGS"), "\n") }

func openInChild(path string) (driver.Backend, error) {
	b, err := openBackend(fileURL(path), driver.OpenOptions{})
	if err != nil {
		return nil, err
	}
	_, err = b.Init(context.Background(), integers)
	return b, err
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// writerChild writes for a while: IDs from the counter, and increments of record 0, which all
// writers share.
func writerChild() int {
	args := childArgs()
	span, err := time.ParseDuration(args[1])
	if err != nil {
		return fail(err)
	}
	b, err := openInChild(args[0])
	if err != nil {
		return fail(err)
	}
	defer b.Close()
	ctx := context.Background()
	increments, conflicts := 0, 0
	for end := time.Now().Add(span); time.Now().Before(end); {
		first, err := b.NextIDs(ctx, 3)
		if err != nil {
			return fail(err)
		}
		var ms []driver.Mutation
		for i := range int64(3) {
			ms = append(ms, create(driver.ID(strconv.FormatInt(first+i, 10)), "x"))
		}
		if _, err := b.Apply(ctx, ms); err != nil {
			return fail(err)
		}
		var recs []driver.Record
		err = b.View(ctx, func(r driver.Reader) error {
			recs, err = r.Get(ctx, []driver.ID{"0"}, everything)
			return err
		})
		if err != nil {
			return fail(err)
		}
		n, err := strconv.Atoi(string(recs[0].Data))
		if err != nil {
			return fail(err)
		}
		rec := recs[0]
		rec.Data = []byte(strconv.Itoa(n + 1))
		switch _, err := b.Apply(ctx, []driver.Mutation{{Op: driver.Update, Rec: rec, IfRev: rec.Revision}}); {
		case err == nil:
			increments++
		case errors.Is(err, driver.ErrConflict):
			conflicts++
		default:
			return fail(err)
		}
	}
	fmt.Println(increments, conflicts)
	return 0
}

func TestTwoProcessesWriteToOneFile(t *testing.T) {
	t.Parallel()
	span := "2s"
	switch {
	case os.Getenv("BRINE_LONG") != "":
		span = "20s"
	case testing.Short():
		span = "200ms"
	}
	path := file(t)
	b, _ := open(t, fileURL(path), integers, driver.OpenOptions{})
	apply(t, b, create("0", "0"))
	var cmds []*exec.Cmd
	var outs []*bufio.Reader
	for range 2 {
		cmd, out := child(t, "writer", path, span)
		cmds, outs = append(cmds, cmd), append(outs, out)
	}
	total, created := 0, 0
	for i, out := range outs {
		var increments, conflicts int
		if _, err := fmt.Fscan(out, &increments, &conflicts); err != nil {
			t.Errorf("child %d gave no result: %v", i, err)
		}
		if err := cmds[i].Wait(); err != nil {
			t.Errorf("child %d: %v", i, err)
		}
		total += increments
		created += 3 * (increments + conflicts)
	}
	if got := string(get(t, b, driver.Data, "0")["0"].Data); got != strconv.Itoa(total) {
		t.Errorf("record 0 counts %s, the processes %d", got, total)
	}
	if n := len(scan(t, b, &driver.Query{})); n != created+1 {
		t.Errorf("%d records, want %d", n, created+1)
	}
}

// batchesChild applies batches of several records and says of each when it is done. It goes on
// until it is killed.
func batchesChild() int {
	args := childArgs()
	b, err := openInChild(args[0])
	if err != nil {
		return fail(err)
	}
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return fail(err)
	}
	for ; ; n++ {
		var ms []driver.Mutation
		for i := range batchSize {
			ms = append(ms, create(driver.ID(strconv.Itoa(n*batchSize+i)), strings.Repeat("x", 2000)))
		}
		if _, err := b.Apply(context.Background(), ms); err != nil {
			return fail(err)
		}
		fmt.Println(n)
	}
}

const batchSize = 40

func TestKilledWritersLeaveWholeBatches(t *testing.T) {
	t.Parallel()
	rounds := 10
	switch {
	case os.Getenv("BRINE_LONG") != "":
		rounds = 50
	case testing.Short():
		rounds = 2
	}
	path := file(t)
	acknowledged := -1 // the last batch
	for round := range rounds {
		next := acknowledged + 2 // the one after the last may have been written without a word of it
		first := next
		cmd, out := child(t, "batches", path, strconv.Itoa(next))
		for i := 0; ; i++ {
			line, err := out.ReadString('\n')
			if err != nil {
				break
			}
			if acknowledged, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
				t.Fatal(err)
			}
			if i == round%7 {
				// What the child is doing now, nobody knows.
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_, _ = io.Copy(io.Discard, out)
		if err := cmd.Wait(); err == nil || acknowledged < first {
			t.Fatalf("round %d: the child ended with %v after batch %d", round, err, acknowledged)
		}
		b, _ := open(t, fileURL(path), integers, driver.OpenOptions{})
		sizes := map[int]int{}
		for _, id := range scan(t, b, &driver.Query{}) {
			n, err := strconv.Atoi(string(id))
			if err != nil {
				t.Fatal(err)
			}
			sizes[n/batchSize]++
		}
		for n, size := range sizes {
			if size != batchSize {
				t.Errorf("round %d: batch %d has %d records of %d", round, n, size, batchSize)
			}
		}
		for n := first; n <= acknowledged; n++ {
			if sizes[n] == 0 {
				t.Errorf("round %d: batch %d was acknowledged and is gone", round, n)
			}
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

// readOnlyChild uses a database that it may only read.
// refusedChild prints why a database does not open.
func refusedChild() int {
	b, err := openInChild(childArgs()[0])
	if err == nil {
		return fail(errors.Join(errors.New("opened"), b.Close()))
	}
	fmt.Println(err)
	return 0
}

func readOnlyChild() int {
	ctx := context.Background()
	b, err := openInChild(childArgs()[0])
	if err != nil {
		return fail(err)
	}
	defer b.Close()
	err = b.View(ctx, func(r driver.Reader) error {
		recs, err := r.Get(ctx, []driver.ID{"1"}, everything)
		if err == nil && (len(recs) != 1 || string(recs[0].Data) != "one") {
			err = fmt.Errorf("read %v", recs)
		}
		return err
	})
	if err != nil {
		return fail(err)
	}
	if _, err := b.Apply(ctx, []driver.Mutation{create("2", "x")}); !errors.Is(err, driver.ErrReadOnly) {
		return fail(fmt.Errorf("write of one: %w", err))
	}
	if _, err := b.Apply(ctx, []driver.Mutation{create("2", "x"), create("3", "x")}); !errors.Is(err, driver.ErrReadOnly) {
		return fail(fmt.Errorf("write of two: %w", err))
	}
	if _, err := b.NextIDs(ctx, 1); !errors.Is(err, driver.ErrReadOnly) {
		return fail(fmt.Errorf("number: %w", err))
	}
	other, err := openBackend(fileURL(childArgs()[0]), driver.OpenOptions{Table: "another"})
	if err != nil {
		return fail(err)
	}
	defer other.Close()
	if _, err := other.Init(ctx, integers); !errors.Is(err, driver.ErrReadOnly) {
		return fail(fmt.Errorf("a new table: %w", err))
	}
	missing, err := openBackend(fileURL(filepath.Join(filepath.Dir(childArgs()[0]), "new.db")), driver.OpenOptions{})
	if err != nil {
		return fail(err)
	}
	defer missing.Close()
	if _, err := missing.Init(ctx, integers); childArgs()[1] == "folder too" && !errors.Is(err, driver.ErrReadOnly) {
		return fail(fmt.Errorf("a new file: %w", err))
	}
	asked, err := openBackend(fileURL(childArgs()[0]), driver.OpenOptions{ReadOnly: true})
	if err != nil {
		return fail(err)
	}
	defer asked.Close()
	if _, err := asked.Init(ctx, integers); err != nil {
		return fail(fmt.Errorf("ReadOnly: %w", err))
	}
	n := int64(0)
	err = asked.View(ctx, func(r driver.Reader) (err error) {
		n, err = r.Count(ctx, &driver.Query{})
		return err
	})
	if n != 1 || err != nil {
		return fail(fmt.Errorf("with ReadOnly there are %d records, %w", n, err))
	}
	return 0
}
