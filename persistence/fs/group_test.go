package fs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/internal/groupcommit"
)

// together applies batches as one group, in this order, all of them in this goroutine. It also
// returns how many were made by themselves after all.
func together(b *Backend, ctxs []context.Context, batches ...[]driver.Mutation) (revs [][]int64, errs []error, alone int) {
	revs, errs, alone, _ = inGroup(b, ctxs, batches...)
	return revs, errs, alone
}

// inGroup is together, which also returns how many members the commit had.
func inGroup(b *Backend, ctxs []context.Context, batches ...[]driver.Mutation) (revs [][]int64, errs []error, alone, members int) {
	s, err := b.ready()
	must(err)
	g := groupcommit.New(func(ctx context.Context, t *batch) error {
		alone++
		return b.applyAlone(ctx, t)
	}, func(ctx context.Context, c *groupcommit.Commit[*batch]) error {
		err := b.applyTogether(ctx, c)
		members += len(c.Members())
		return err
	})
	var calls []groupcommit.Call[*batch]
	for i, ms := range batches {
		ctx := context.Background()
		if ctxs != nil {
			ctx = ctxs[i]
		}
		calls = append(calls, groupcommit.Call[*batch]{Context: ctx, Work: &batch{schemas: s, ms: ms}})
	}
	errs = g.DoAll(calls...)
	for i, c := range calls {
		if errs[i] != nil {
			c.Work.revs = nil
		}
		revs = append(revs, c.Work.revs)
	}
	return revs, errs, alone, members
}

func outcome(revs []int64, err error) string { return fmt.Sprint(revs, " ", err) }

// of returns a mutation with data and references.
func of(op driver.Op, id driver.ID, data string, refs ...driver.ID) driver.Mutation {
	r := rec(id)
	r.Data = []byte(data)
	return driver.Mutation{Op: op, Rec: r, NewRefs: refs}
}

func ifRev(m driver.Mutation, rev int64) driver.Mutation {
	m.IfRev = rev
	return m
}

func TestMembersOfAGroupFareAsIfTheyCameOneByOne(t *testing.T) {
	t.Parallel()
	group, alone := open(t, scratch(t), intSchema), open(t, scratch(t), intSchema)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	var ctxs []context.Context
	var batches [][]driver.Mutation
	var wants []string
	add := func(ctx context.Context, want string, ms ...driver.Mutation) {
		ctxs, batches, wants = append(ctxs, ctx), append(batches, ms), append(wants, want)
	}
	ctx := t.Context()
	add(ctx, "[1] <nil>", of(driver.Create, "1", "a"))
	add(ctx, `[] record "1": record exists already`, of(driver.Create, "1", "b"))
	add(ctx, "[2] <nil>", ifRev(of(driver.Update, "1", "c"), 1))
	add(ctx, `[] record "1": record was changed since it was read: revision 1 was expected, and it has revision 2`, ifRev(of(driver.Update, "1", "d"), 1))
	add(ctx, "[3] <nil>", of(driver.Put, "1", "e"))
	add(cancelled, "[] context canceled", of(driver.Put, "1", "never"))
	add(ctx, `[] record "2" refers to "99": dangling reference`, of(driver.Create, "2", "f", "1", "99"))
	add(ctx, "[1 1] <nil>", of(driver.Create, "3", "g", "1"), of(driver.Create, "2", "h", "3"))
	add(ctx, `[] record "1": record was changed since it was read: revision 2 was expected, and it has revision 3`, of(driver.Create, "4", "half"), ifRev(of(driver.Update, "1", "half"), 2))
	add(ctx, "[0] <nil>", ifRev(of(driver.Delete, "3", ""), 1))
	add(ctx, `[] record "5" refers to "3": dangling reference`, of(driver.Create, "5", "i", "3"))
	add(ctx, `[] record "3": record not found`, of(driver.Update, "3", "j"))
	add(ctx, `[] record "3": record was removed since it was read`, of(driver.SetFields, "3", ""))
	add(ctx, "[1] <nil>", of(driver.SetFields, "2", "not looked at"))
	add(ctx, "[0] <nil>", ifRev(of(driver.Check, "1", ""), 3))
	add(ctx, "[1] <nil>", of(driver.Create, "6", "comes"))
	add(ctx, "[0] <nil>", of(driver.Delete, "6", "and goes"))

	revs, errs, byThemselves, members := inGroup(group, ctxs, batches...)
	if byThemselves > 0 {
		t.Errorf("%d members were not in the commit", byThemselves)
	}
	for i, ms := range batches {
		got := outcome(revs[i], errs[i])
		if got != wants[i] {
			t.Errorf("member %d: %s, want %s", i, got, wants[i])
		}
		if rev, err := alone.Apply(ctxs[i], ms); got != outcome(rev, err) {
			t.Errorf("member %d: %s, but by itself %s", i, got, outcome(rev, err))
		}
	}
	if diff := cmp.Diff(state(t, alone), state(t, group)); diff != "" {
		t.Error(diff)
	}
	if members != len(batches) {
		t.Errorf("%d members in the commit, want %d", members, len(batches))
	}
	if left := ownFiles(t, group.path); len(left) > 0 {
		t.Errorf("left over %q", left)
	}
}

func TestGroupsOfAnythingFareAsIfTheyCameOneByOne(t *testing.T) {
	t.Parallel()
	group, alone := open(t, scratch(t), textSchema), open(t, scratch(t), textSchema)
	version := int64(0)
	batch := rapid.Custom(func(t *rapid.T) []driver.Mutation {
		ids := rapid.SliceOfNDistinct(rapid.IntRange(1, 9), 1, rapid.IntRange(1, 3).Draw(t, "most"), rapid.ID).Draw(t, "ids")
		var ms []driver.Mutation
		for _, id := range ids {
			m := of(rapid.SampledFrom([]driver.Op{
				driver.Create, driver.Update, driver.Put, driver.Delete, driver.Check, driver.SetFields,
			}).Draw(t, "op"), driver.ID(strconv.Itoa(id)), "")
			m.IfRev = int64(rapid.IntRange(0, 3).Draw(t, "revision"))
			for _, ref := range rapid.SliceOfN(rapid.IntRange(1, 12), 0, 1).Draw(t, "references") {
				m.NewRefs = append(m.NewRefs, driver.ID(strconv.Itoa(ref)))
			}
			ms = append(ms, m)
		}
		return ms
	})
	rapid.Check(t, func(rt *rapid.T) {
		batches := rapid.SliceOfN(batch, 2, 8).Draw(rt, "batches")
		for _, ms := range batches {
			for i := range ms {
				version++
				ms[i].Rec.Data = []byte(strconv.FormatInt(version, 10))
				ms[i].Rec.Fields = []any{nil, version, nil, nil, nil, nil}
			}
		}
		revs, errs, byThemselves := together(group, nil, batches...)
		if byThemselves > 0 {
			rt.Fatalf("%d members were not in the commit", byThemselves)
		}
		for i, ms := range batches {
			rev, err := alone.Apply(context.Background(), ms)
			if got, want := outcome(revs[i], errs[i]), outcome(rev, err); got != want {
				rt.Fatalf("batch %d: %s, but by itself %s", i, got, want)
			}
		}
		if diff := cmp.Diff(contents(t, alone.path), contents(t, group.path), cmp.FilterPath(func(p cmp.Path) bool {
			return strings.Contains(p.String()+p.GoString(), metaName) // its identity
		}, cmp.Ignore())); diff != "" {
			rt.Fatal(diff)
		}
	})
}

// A process may die at any step of a group's commit, and power may fail: each member is there or
// not, never half, and none without those whose work it saw.
func TestCrashAtEveryStepOfAGroup(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		batches [][]driver.Mutation
		whole   bool // the members build on each other
	}{
		{"independent", [][]driver.Mutation{
			{of(driver.Create, "10", "x")}, {of(driver.Update, "1", "x")}, {of(driver.Delete, "2", "")}, {of(driver.Create, "11", "x", "3")},
			{of(driver.Check, "4", "")}, {of(driver.Put, "3", "x")}, {of(driver.Create, "12", "x")}, {of(driver.Create, "13", "x")},
		}, false},
		{"one after the other", [][]driver.Mutation{
			{of(driver.Create, "10", "x")}, {of(driver.Create, "11", "x", "10")}, {of(driver.Update, "10", "y")}, {of(driver.Delete, "2", "")},
		}, true},
		{"several changes in one", [][]driver.Mutation{
			{of(driver.Create, "10", "x"), of(driver.Delete, "1", "")}, {of(driver.Create, "11", "x")},
		}, true},
		{"all in one file", [][]driver.Mutation{
			{of(driver.Create, "10", "x")}, {of(driver.Update, "10", "y")}, {of(driver.Update, "10", "z")},
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			seen := map[string]bool{}
			begin := func() *Backend {
				b := open(t, scratch(t), intSchema)
				apply(t, b, create(numbers(1, 4)...)...)
				return b
			}
			b := begin()
			before := state(t, b)
			together(b, nil, c.batches...)
			after := state(t, b)
			for nth := 1; ; nth++ {
				b := begin()
				died, step := crash(b, nth, func() { together(b, nil, c.batches...) })
				if !died {
					break
				}
				seen[step] = true
				next := open(t, b.path, intSchema)
				got := state(t, next)
				if left := ownFiles(t, b.path); len(left) > 0 {
					t.Errorf("died at %q: left over %q", step, left)
				}
				if c.whole && cmp.Diff(before, got) != "" && cmp.Diff(after, got) != "" {
					t.Errorf("died at %q: %v", step, got)
				}
				for _, id := range append(numbers(1, 4), numbers(10, 13)...) {
					if got[id] != before[id] && got[id] != after[id] {
						t.Errorf("died at %q: %q is %q", step, id, got[id])
					}
				}
				apply(t, next, create("99")...)
				if err := b.Close(); err != nil {
					t.Error(err)
				}
			}
			if !c.whole {
				for _, step := range []string{"write", "temporary", "flushed", "rename", "remove", "renamed"} {
					if !seen[step] {
						t.Errorf("never died at %q", step)
					}
				}
			}
		})
	}
}

func TestAGroupThatCannotBeWrittenIsMadeOneByOne(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"write", "temporary", "flushed"} {
		for _, batches := range [][][]driver.Mutation{
			{create("1"), create("2"), create("2"), create("3"), create("4"), create("5"), create("6")},
			{create("1", "2"), create("2"), create("3")},
		} {
			b := open(t, scratch(t), intSchema)
			calls := 0
			b.hook = func(s string) error {
				if s == step {
					if calls++; calls == 1 {
						return syscall.ENOSPC
					}
				}
				return nil
			}
			_, errs, _ := together(b, nil, batches...)
			for i, err := range errs {
				if again := batches[i][0].Rec.ID == "2" && i > 0 && batches[i-1][len(batches[i-1])-1].Rec.ID == "2"; again != errors.Is(err, driver.ErrExists) || !again && err != nil {
					t.Errorf("%s: member %d: %v", step, i, err)
				}
			}
			if left := ownFiles(t, b.path); len(left) > 0 {
				t.Errorf("%s: left over %q", step, left)
			}
		}
	}
}

func TestAGroupWhoseFlushFailsIsUncertain(t *testing.T) {
	t.Parallel()
	for step, batches := range map[string][][]driver.Mutation{
		"renamed": {create("1"), create("2"), create("3")},
		"marked":  {create("1", "2"), create("3")},
	} {
		b := open(t, scratch(t), intSchema)
		b.hook = func(s string) error {
			if s == step {
				return syscall.EIO
			}
			return nil
		}
		_, errs, _ := together(b, nil, batches...)
		for i, err := range errs {
			if !errors.Is(err, driver.ErrUncertain) || !errors.Is(err, syscall.EIO) {
				t.Errorf("%s: member %d: %v", step, i, err)
			}
		}
	}
}

// A contextThat does something when it is asked for its error for the nth time.
type contextThat struct {
	context.Context
	asked atomic.Int64
	nth   int64
	what  func()
}

func (c *contextThat) Err() error {
	if c.asked.Add(1) >= c.nth {
		c.what()
	}
	return c.Context.Err()
}

func waitFor(done func() bool) {
	for !done() {
		runtime.Gosched()
	}
}

func TestWhoseContextEndsWhileWaitingLeaves(t *testing.T) {
	t.Parallel()
	b := open(t, scratch(t), intSchema)
	l, err := b.exclusive(t.Context()) // so that the first one waits for the lock
	must(err)
	first := make(chan error, 1)
	go func() {
		_, err := b.Apply(t.Context(), create("99"))
		first <- err
	}()
	ctx, cancel := context.WithCancel(t.Context())
	impatient, patient := make(chan error, 8), make(chan error, 8)
	waitFor(b.group.Leading)
	for i := range 8 {
		go func() {
			_, err := b.Apply(ctx, create(driver.ID(strconv.Itoa(i))))
			impatient <- err
		}()
		go func() {
			_, err := b.Apply(t.Context(), create(driver.ID(strconv.Itoa(10+i))))
			patient <- err
		}()
	}
	waitFor(func() bool { return b.group.Waiting() == 16 })
	cancel()
	for range 8 {
		if err := <-impatient; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	l.release()
	if err := <-first; err != nil {
		t.Error(err)
	}
	for range 8 {
		if err := <-patient; err != nil {
			t.Error(err)
		}
	}
	if n := len(state(t, b)); n != 9 {
		t.Errorf("%d records", n)
	}
}

// Many goroutines write few records, many of them in vain: every outcome can be
// explained by an order in which they came one by one.
func TestConcurrentApplysHaveASerialOrder(t *testing.T) {
	t.Parallel()
	const ids, goroutines, each = 5, 16, 40
	b := open(t, scratch(t), intSchema)
	name := func(n int) driver.ID { return driver.ID(strconv.Itoa(n)) }
	written := map[driver.ID]map[int64]string{} // what each revision held
	for id := range ids {
		apply(t, b, of(driver.Create, name(id), ""))
		written[name(id)] = map[int64]string{1: ""}
	}
	var mu sync.Mutex
	created := 0
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for n := range each {
				data := fmt.Sprintf("%d of %d", n, g)
				one, two := (g+n)%ids, (g+2*n+1)%ids
				ms := []driver.Mutation{of(driver.Update, name(one), data)}
				if two != one {
					ms = append(ms, of(driver.Put, name(two), data))
				}
				ctx, want := t.Context(), error(nil)
				kind := n % 8
				switch kind {
				case 0:
					ms = ms[:1]
				case 1:
					ms, want = append(ms, of(driver.Create, name(one+100), ""), of(driver.Delete, "999", "")), driver.ErrNotFound
				case 2:
					ms[0].NewRefs, want = []driver.ID{"999"}, driver.ErrDangling
				case 3:
					ms[0].IfRev = int64(n) // may be right
				case 4:
					c, cancel := context.WithCancel(ctx)
					ctx = c
					go cancel()
				case 5: // it panics before anything is written
					ctx = &contextThat{Context: ctx, nth: int64(1 + g%3), what: func() { panic("oh") }}
				case 6:
					ms, want = []driver.Mutation{of(driver.Create, name(one), data)}, driver.ErrExists
				case 7:
					ms = []driver.Mutation{of(driver.Create, name(1000+g*each+n), data)}
				}
				func() {
					if kind == 5 {
						defer func() { _ = recover() }()
					}
					revs, err := b.Apply(ctx, ms)
					mu.Lock()
					defer mu.Unlock()
					switch {
					case want != nil:
						if !errors.Is(err, want) {
							t.Errorf("%v, want %v", err, want)
						}
					case err == nil && kind == 7:
						created++
					case err == nil:
						for i, m := range ms {
							if old, twice := written[m.Rec.ID][revs[i]]; twice {
								t.Errorf("revision %d of %q written by %q and %q", revs[i], m.Rec.ID, old, data)
							}
							written[m.Rec.ID][revs[i]] = data
						}
					case kind == 3 && errors.Is(err, driver.ErrConflict), kind == 4 && errors.Is(err, context.Canceled):
					default:
						t.Errorf("kind %d: %v", kind, err)
					}
				}()
			}
		})
	}
	wg.Wait()
	got := state(t, b)
	for id := range ids {
		id := name(id)
		last := int64(len(written[id]))
		for rev := range last {
			if _, ok := written[id][rev+1]; !ok {
				t.Errorf("nobody wrote revision %d of %q, of %d", rev+1, id, last)
			}
		}
		if want := fmt.Sprintf("%d %s", last, written[id][last]); got[id] != want {
			t.Errorf("record %q is %q, want %q", id, got[id], want)
		}
	}
	if want := ids + created; len(got) != want || created == 0 {
		t.Errorf("%d records, want %d", len(got), want)
	}
	if left := ownFiles(t, b.path); len(left) > 0 {
		t.Errorf("left over %q", left)
	}
}

func init() {
	// saves single records and pairs in eight goroutines until it is killed, and says each one that
	// is acknowledged.
	children["crowd"] = func(dir string, args []string) error {
		b, err := openWith(context.Background(), dir, intSchema, driver.OpenOptions{})
		if err != nil {
			return err
		}
		errs := make(chan error)
		for g := range 8 {
			go func() {
				for n := g; ; n++ {
					first, err := b.NextIDs(context.Background(), 2)
					if err != nil {
						errs <- err
						return
					}
					one, two := driver.ID(strconv.FormatInt(first, 10)), driver.ID(strconv.FormatInt(first+1, 10))
					ms := []driver.Mutation{of(driver.Create, one, "single")}
					if n%4 == 0 {
						ms = []driver.Mutation{of(driver.Create, one, "pair", two), of(driver.Create, two, "pair", one)}
					}
					if _, err := b.Apply(context.Background(), ms); err != nil {
						errs <- err
						return
					}
					fmt.Println(len(ms), first)
				}
			}()
		}
		return <-errs
	}
}

// kill -9 at random moments of many writers: what was acknowledged is there, nothing is half there.
func TestKilledCrowd(t *testing.T) {
	t.Parallel()
	rounds := 8
	switch {
	case os.Getenv("BRINE_LONG") != "":
		rounds = 50
	case testing.Short():
		rounds = 3
	}
	dir := t.TempDir()
	acked := map[driver.ID]string{}
	for round := range rounds {
		cmd := child(t, "crowd", dir)
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
			var n, first int
			if _, err := fmt.Sscan(lines.Text(), &n, &first); err != nil {
				t.Fatalf("%q: %v", lines.Text(), err)
			}
			for i := range n {
				acked[driver.ID(strconv.Itoa(first+i))] = []string{"1 single", "1 pair"}[n-1]
			}
			if !killed { // once the child is at work
				killed = true
				time.AfterFunc(time.Duration(rand.IntN(80_000))*time.Microsecond, func() { cmd.Process.Kill() })
			}
		}
		cmd.Wait()
		b := open(t, dir, intSchema)
		got := state(t, b)
		pairs := 0
		for id, s := range got {
			if s == "1 pair" {
				pairs++
			} else if s != "1 single" {
				t.Errorf("round %d: %q is %q", round, id, s)
			}
		}
		if pairs%2 != 0 {
			t.Errorf("round %d: half a pair", round)
		}
		for id, want := range acked {
			if got[id] != want {
				t.Errorf("round %d: acknowledged record %q is %q, want %q", round, id, got[id], want)
			}
		}
		if left := ownFiles(t, dir); len(left) > 0 {
			t.Errorf("round %d: left over %q", round, left)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	if len(acked) == 0 {
		t.Error("nothing was ever acknowledged")
	}
}

func TestAChangeOfOneFileByManyIsWrittenOnce(t *testing.T) {
	t.Parallel()
	b := open(t, scratch(t), intSchema)
	apply(t, b, create("1")...)
	var steps []string
	b.hook = func(step string) error {
		steps = append(steps, step)
		return nil
	}
	revs, errs, _ := together(b, nil, mutations(driver.Update, "1"), mutations(driver.Update, "1"), mutations(driver.Put, "1"))
	if diff := cmp.Diff([][]int64{{2}, {3}, {4}}, revs); diff != "" {
		t.Error(diff, errs)
	}
	if want := []string{"write", "flushed", "renamed"}; !slices.Equal(steps, want) {
		t.Errorf("steps %q, want %q", steps, want)
	}
}

func TestARecordThatComesAndGoesInOneGroupIsNeverWritten(t *testing.T) {
	t.Parallel()
	b := open(t, scratch(t), intSchema)
	b.hook = func(step string) error {
		t.Errorf("step %q", step)
		return nil
	}
	_, errs, alone := together(b, nil, create("1"), mutations(driver.Update, "1"), mutations(driver.Delete, "1"))
	if !slices.Equal(errs, []error{nil, nil, nil}) || alone > 0 {
		t.Errorf("%v, %d by themselves", errs, alone)
	}
}
