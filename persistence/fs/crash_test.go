package fs

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence/driver"
)

// scratch returns a directory in memory where there is one: for tests of what
// is written, which need not wait for a disk.
func scratch(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "brine")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// crash runs fn in a goroutine that dies when the hook is called for the nth
// time. What fn would have done after that is not done; only the lock goes, as
// it does when a process dies. It reports whether the goroutine died.
func crash(b *Backend, nth int, fn func()) (died bool, step string) {
	calls := 0
	b.hook = func(name string) error {
		if calls++; calls == nth {
			died, step = true, name
			runtime.Goexit()
		}
		return nil
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn()
	}()
	<-done
	b.hook = nil
	return died, step
}

func crashBatch() []driver.Mutation {
	ms := append(create(numbers(10, 15)...), mutations(driver.Update, "1")...)
	return append(ms, mutations(driver.Delete, "2", "3")...)
}

// state is what the records of a directory say, to be compared.
func state(t testing.TB, b *Backend) map[driver.ID]string {
	t.Helper()
	m := map[driver.ID]string{}
	err := b.View(context.Background(), func(r driver.Reader) error {
		for rec, err := range r.Scan(context.Background(), &driver.Query{Parts: whole}) {
			if err != nil {
				return err
			}
			m[rec.ID] = fmt.Sprint(rec.Revision, " ", string(rec.Data))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A writer may die at any step of a commit, and the next one at any step of finishing
// it: the records are those before or those after, and nothing is left over.
func TestCrashAtEveryStepAndAgainDuringRecovery(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		ms     []driver.Mutation
		listed bool // somebody claims here, so changes are listed
	}{
		{"many", crashBatch(), false},
		{"two", append(mutations(driver.Update, "1"), mutations(driver.Delete, "2")...), false},
		{"one", mutations(driver.Update, "1"), false},
		{"removal", mutations(driver.Delete, "1"), false},
		{"two, listed", append(mutations(driver.Update, "1"), mutations(driver.Delete, "2")...), true},
		{"one, listed", mutations(driver.Update, "1"), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var before, after map[driver.ID]string
			steps := map[string]bool{}
			for first := 1; ; first++ {
				var died bool
				for second := 1; ; second++ {
					dir := scratch(t)
					b := open(t, dir, intSchema)
					apply(t, b, create(numbers(1, 4)...)...)
					watcher := open(t, dir, intSchema)
					if c.listed {
						lend(t, watcher, where(driver.ColID, driver.Eq, driver.ID("4")), driver.Claiming{Limit: 1})
					}
					before = state(t, b)
					var step, again string
					died, step = crash(b, first, func() { b.Apply(context.Background(), c.ms) })
					steps[step] = true
					recovering := false
					if died {
						next := open(t, scratchCopy(t, dir), intSchema) // its Init has recovered
						after = state(t, next)
						if left := ownFiles(t, next.path); len(left) > 0 {
							t.Errorf("died at %q: left over %q", step, left)
						}
						recovering, again = crash(b, second, func() { state(t, b) })
						steps[again+" again"] = true
					}
					last := open(t, dir, intSchema)
					got := state(t, last)
					if !died {
						after = got
					}
					if diff := cmp.Diff(after, got); diff != "" {
						t.Errorf("died at %q, then at %q: %s", step, again, diff)
					}
					changed := cmp.Diff(before, got) != ""
					committed := slices.Contains([]string{"", "marked", "rename", "remove", "done", "unmarked", "renamed"}, step)
					if changed != committed {
						t.Errorf("died at %q: changed is %v", step, changed)
					}
					if left := ownFiles(t, dir); len(left) > 0 {
						t.Errorf("died at %q, then at %q: left over %q", step, again, left)
					}
					apply(t, last, create("99")...)
					if c.listed && !agree(t, watcher) {
						t.Errorf("died at %q, then at %q: the index was made anew", step, again)
					}
					for _, b := range []*Backend{b, last, watcher} {
						if err := b.Close(); err != nil {
							t.Error(err)
						}
					}
					if !recovering {
						break
					}
				}
				if !died {
					break
				}
			}
			if c.name == "many" {
				for _, step := range []string{"write", "temporary", "written", "flushed", "marked", "rename", "remove", "done", "unmarked", "recover again", "rename again", "remove again", "done again", "unmarked again"} {
					if !steps[step] {
						t.Errorf("never died at %q", step)
					}
				}
			}
			if c.listed && (!steps["listed"] || c.name == "two, listed" && !steps["listed again"]) {
				t.Error("never died after the list was written")
			}
		})
	}
}

// What a crashed writer left is also removed by those who have the directory open already.
func TestLeftoversAreRemovedWhenMet(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	b, other := open(t, dir, intSchema), open(t, dir, intSchema)
	for nth := 1; ; nth++ {
		died, step := crash(b, nth, func() { b.Apply(context.Background(), create(numbers(1, 9)...)) })
		if !died {
			t.Fatal("never written")
		}
		if left := ownFiles(t, dir); step == "written" && len(left) == 10 {
			break
		}
	}
	apply(t, other, create("1")...)
	if left := ownFiles(t, dir); len(left) > 0 {
		t.Errorf("left over %q", left)
	}
	if got := state(t, b); len(got) != 1 {
		t.Errorf("got %v", got)
	}
}

func scratchCopy(t testing.TB, dir string) string {
	t.Helper()
	to := scratch(t)
	for name, file := range contents(t, dir) {
		if err := os.WriteFile(filepath.Join(to, name), []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// Once the commit file is on disk, power loss may keep any of the renames and removals that
// followed.
func TestPowerLossKeepsAnySubsetOfTheRenames(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	b := open(t, dir, intSchema)
	apply(t, b, create(numbers(1, 4)...)...)
	ms := crashBatch()
	for nth := 1; ; nth++ {
		if died, step := crash(b, nth, func() { b.Apply(context.Background(), ms) }); !died || step == "marked" {
			if !died {
				t.Fatal("never at the mark")
			}
			break
		}
		open(t, dir, intSchema)
	}
	want := state(t, open(t, scratchCopy(t, dir), intSchema))
	if len(want) != 8 {
		t.Fatalf("after the commit: %v", want)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		lost := scratchCopy(t, dir)
		temp := 0
		for _, m := range ms {
			name := fileName(m.Rec.ID)
			done := rng.IntN(2) == 0
			var err error
			if m.Op == driver.Delete {
				if done {
					err = os.Remove(filepath.Join(lost, name))
				}
			} else {
				if done {
					err = os.Rename(filepath.Join(lost, tempName(temp)), filepath.Join(lost, name))
				}
				temp++
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(want, state(t, open(t, lost, intSchema))); diff != "" {
			t.Fatal(diff)
		}
	}
}

// The removal of the commit file is not flushed. If it comes back, the temporaries of a later
// writer must not be taken for those it names.
func TestCommitFileThatCameBack(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	b := open(t, dir, intSchema)
	apply(t, b, create(numbers(1, 4)...)...)
	var marker []byte
	b.hook = func(step string) error {
		if step == "done" {
			var err error
			marker, err = os.ReadFile(filepath.Join(dir, commitName))
			return err
		}
		return nil
	}
	apply(t, b, crashBatch()...)
	b.hook = nil
	want := state(t, b)
	// Another one has written its temporary and died.
	if died, step := crash(b, 2, func() { b.Apply(context.Background(), mutations(driver.Update, "12")) }); !died || step != "flushed" {
		t.Fatal(died, step)
	}
	if err := os.WriteFile(filepath.Join(dir, commitName), marker, 0o600); err != nil {
		t.Fatal(err)
	}
	last := open(t, dir, intSchema)
	if diff := cmp.Diff(want, state(t, last)); diff != "" {
		t.Error(diff)
	}
	if left := ownFiles(t, dir); len(left) > 0 {
		t.Errorf("left over %q", left)
	}
}

func TestDamagedCommitFileStopsEverything(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	b := open(t, dir, intSchema)
	apply(t, b, create("1")...)
	for nth := 1; ; nth++ {
		if _, step := crash(b, nth, func() { b.Apply(context.Background(), create("2", "3")) }); step == "marked" {
			break
		}
	}
	marker := filepath.Join(dir, commitName)
	good, err := os.ReadFile(marker)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		spoil(t, marker, i)
		if _, err := tryGet(b, driver.Info, "1"); err == nil || !strings.Contains(err.Error(), commitName) {
			t.Fatalf("byte %d: %v", i, err)
		}
		spoil(t, marker, i)
	}
	if got := state(t, b); len(got) != 3 {
		t.Errorf("mended: %v", got)
	}
}

func init() {
	// saves batches until it is killed, and says each one that is acknowledged.
	children["batches"] = func(dir string, args []string) error {
		b, err := openWith(context.Background(), dir, intSchema, driver.OpenOptions{})
		if err != nil {
			return err
		}
		for {
			first, err := b.NextIDs(context.Background(), 8)
			if err != nil {
				return err
			}
			fmt.Println("ids", first)
			tag := []byte(strconv.FormatInt(first, 10))
			var ms []driver.Mutation
			for n := range int64(8) {
				r := rec(driver.ID(strconv.FormatInt(first+n, 10)))
				r.Data = tag
				ms = append(ms, driver.Mutation{Op: driver.Create, Rec: r})
			}
			last := rec("0") // names the last batch
			last.Data = tag
			ms = append(ms, driver.Mutation{Op: driver.Put, Rec: last})
			if _, err := b.Apply(context.Background(), ms); err != nil {
				return err
			}
			fmt.Println("saved", first)
		}
	}
}

// kill -9 at random moments: what was acknowledged is there, nothing is half there, no number comes
// twice.
func TestKilledWriter(t *testing.T) {
	t.Parallel()
	rounds := 10
	switch {
	case os.Getenv("BRINE_LONG") != "":
		rounds = 50
	case testing.Short():
		rounds = 2
	}
	dir := t.TempDir()
	acked, tried := map[int64]bool{}, map[int64]bool{}
	saved := 0
	for round := range rounds {
		cmd := child(t, "batches", dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		killed := false
		for lines.Scan() {
			word, number, _ := strings.Cut(lines.Text(), " ")
			n, err := strconv.ParseInt(number, 10, 64)
			if err != nil {
				t.Fatalf("%q: %v", lines.Text(), err)
			}
			if word == "ids" && tried[n] {
				t.Errorf("number %d twice", n)
			}
			tried[n] = true
			if word == "saved" {
				acked[n] = true
				saved++
			}
			if !killed { // once the child is at work
				killed = true
				time.AfterFunc(time.Duration(rand.IntN(60_000))*time.Microsecond, func() { cmd.Process.Kill() })
			}
		}
		cmd.Wait()
		b := open(t, dir, intSchema)
		count := map[int64]int{}
		var last int64
		for id, s := range state(t, b) {
			_, tag, _ := strings.Cut(s, " ")
			n, err := strconv.ParseInt(tag, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			if id == "0" {
				last = n
				continue
			}
			count[n]++
		}
		var highest int64
		for n, c := range count {
			highest = max(highest, n)
			if c != 8 || !tried[n] {
				t.Errorf("round %d: %d records of batch %d (tried: %v)", round, c, n, tried[n])
			}
		}
		for n := range acked {
			if count[n] != 8 {
				t.Errorf("round %d: acknowledged batch %d has %d records", round, n, count[n])
			}
		}
		if last != highest {
			t.Errorf("round %d: last batch is %d, the record of it says %d", round, highest, last)
		}
		if left := ownFiles(t, dir); len(left) > 0 {
			t.Errorf("round %d: left over %q", round, left)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	if saved == 0 {
		t.Error("no batch was ever acknowledged")
	}
}
