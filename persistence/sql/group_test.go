package sql_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/sql"
	"github.com/brine-go/brine/persistence/sql/sqlite"
	"github.com/brine-go/brine/url"
)

var groupSchema = driver.Schema{IntegerIDs: true, Fields: []driver.Column{{Name: "n", Kind: driver.Int}}}

// mutation makes one with data that tell it from others.
func mutation(op driver.Op, id int, data string) driver.Mutation {
	when := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	return driver.Mutation{Op: op, Rec: driver.Record{
		ID: driver.ID(strconv.Itoa(id)), Type: "T", State: "NEW", Created: when, Modified: when, Data: []byte(data), Fields: []any{int64(id)},
	}}
}

func ifRev(m driver.Mutation, rev int64) driver.Mutation {
	m.IfRev = rev
	return m
}

func refs(m driver.Mutation, ids ...driver.ID) driver.Mutation {
	m.NewRefs = ids
	return m
}

// records returns what is in a store: revision, data and field of each record.
func records(t interface {
	Helper()
	Fatal(args ...any)
}, b driver.Backend) map[driver.ID]string {
	t.Helper()
	all := map[driver.ID]string{}
	err := b.View(context.Background(), func(r driver.Reader) error {
		for rec, err := range r.Scan(context.Background(), &driver.Query{Parts: driver.Info | driver.Fields | driver.Data}) {
			if err != nil {
				return err
			}
			all[rec.ID] = fmt.Sprintf("%d %s %v", rec.Revision, rec.Data, rec.Fields)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// outcome is what an Apply returned, to be compared.
func outcome(revs []int64, err error) string { return fmt.Sprint(revs, " ", err) }

func background(n int) []context.Context {
	return slices.Repeat([]context.Context{context.Background()}, n)
}

func TestMembersOfAGroupFareAsIfTheyCameOneByOne(t *testing.T) {
	t.Parallel()
	group, _ := newStore(t, groupSchema)
	alone, _ := newStore(t, groupSchema)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	var ctxs []context.Context
	var batches [][]driver.Mutation
	var wants []string
	add := func(ctx context.Context, want string, ms ...driver.Mutation) {
		ctxs, batches, wants = append(ctxs, ctx), append(batches, ms), append(wants, want)
	}
	ctx := t.Context()
	add(ctx, "[1] <nil>", mutation(driver.Create, 1, "a"))
	add(ctx, `[] record "1": record exists already`, mutation(driver.Create, 1, "b"))
	add(ctx, "[2] <nil>", ifRev(mutation(driver.Update, 1, "c"), 1))
	add(ctx, `[] record "1": record was changed since it was read: revision 1 was expected, and it has revision 2`, ifRev(mutation(driver.Update, 1, "d"), 1))
	add(ctx, "[3] <nil>", mutation(driver.Put, 1, "e"))
	add(cancelled, "[] context canceled", mutation(driver.Put, 1, "never"))
	add(ctx, `[] record "2" refers to "99": dangling reference`, refs(mutation(driver.Create, 2, "f"), "1", "99"))
	add(ctx, "[1 1] <nil>", refs(mutation(driver.Create, 3, "g"), "1"), refs(mutation(driver.Create, 2, "h"), "3"))
	add(ctx, `[] record "1": record was changed since it was read: revision 2 was expected, and it has revision 3`, mutation(driver.Create, 4, "half"), ifRev(mutation(driver.Update, 1, "half"), 2))
	add(ctx, "[0] <nil>", ifRev(mutation(driver.Delete, 3, ""), 1))
	add(ctx, `[] record "5" refers to "3": dangling reference`, refs(mutation(driver.Create, 5, "i"), "3"))
	add(ctx, `[] record "3": record not found`, mutation(driver.Update, 3, "j"))
	add(ctx, `[] record "3": record was removed since it was read`, mutation(driver.SetFields, 3, ""))
	add(ctx, "[1] <nil>", mutation(driver.SetFields, 2, ""))
	add(ctx, "[3] <nil>", ifRev(mutation(driver.Check, 1, ""), 3))
	add(ctx, "[1] <nil>", mutation(driver.Create, 3, "again"))

	revs, errs, commits, byThemselves := sql.Together(group, ctxs, batches)
	if byThemselves > 0 {
		t.Errorf("%d members were not in the commit", byThemselves)
	}
	for i, ms := range batches {
		got := outcome(revs[i], errs[i])
		if got != wants[i] {
			t.Errorf("member %d: %s, want %s", i, got, wants[i])
		}
		rev, err := alone.Apply(ctxs[i], ms)
		if got != outcome(rev, err) {
			t.Errorf("member %d: %s, but by itself %s", i, got, outcome(rev, err))
		}
	}
	if diff := cmp.Diff(records(t, alone), records(t, group)); diff != "" {
		t.Error(diff)
	}
	if want := []int{len(batches) - 1}; !slices.Equal(commits, want) { // the one that is cancelled does not wait
		t.Errorf("commits of %v members, want %v", commits, want)
	}
}

func TestGroupsOfAnythingFareAsIfTheyCameOneByOne(t *testing.T) {
	t.Parallel()
	group, _ := newStore(t, groupSchema)
	alone, _ := newStore(t, groupSchema)
	version := 0
	batch := rapid.Custom(func(t *rapid.T) []driver.Mutation {
		ids := rapid.SliceOfNDistinct(rapid.IntRange(1, 6), 1, 3, rapid.ID).Draw(t, "ids")
		var ms []driver.Mutation
		for _, id := range ids {
			m := mutation(rapid.SampledFrom([]driver.Op{
				driver.Create, driver.Update, driver.Put, driver.Delete, driver.Check, driver.SetFields,
			}).Draw(t, "op"), id, "")
			m.IfRev = int64(rapid.IntRange(0, 3).Draw(t, "revision"))
			for _, ref := range rapid.SliceOfN(rapid.IntRange(1, 8), 0, 2).Draw(t, "references") {
				m.NewRefs = append(m.NewRefs, driver.ID(strconv.Itoa(ref)))
			}
			ms = append(ms, m)
		}
		return ms
	})
	rapid.Check(t, func(t *rapid.T) {
		batches := rapid.SliceOfN(batch, 2, 12).Draw(t, "batches")
		for _, ms := range batches {
			for i := range ms {
				version++
				ms[i].Rec.Data = []byte(strconv.Itoa(version))
			}
		}
		revs, errs, _, byThemselves := sql.Together(group, background(len(batches)), batches)
		if byThemselves > 0 {
			t.Fatalf("%d members were not in the commit", byThemselves)
		}
		for i, ms := range batches {
			rev, err := alone.Apply(context.Background(), ms)
			if got, want := outcome(revs[i], errs[i]), outcome(rev, err); got != want {
				t.Fatalf("batch %d: %s, but by itself %s", i, got, want)
			}
		}
		if diff := cmp.Diff(records(t, alone), records(t, group)); diff != "" {
			t.Fatal(diff)
		}
	})
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

func TestAMemberThatPanicsDoesSoByItself(t *testing.T) {
	t.Parallel()
	for _, nth := range []int64{1, 2} {
		b, _ := newStore(t, groupSchema)
		release := sql.Hold(b)
		var wg sync.WaitGroup
		var panics, good atomic.Int64
		for i := range 8 {
			wg.Go(func() {
				ctx := context.Background()
				if i%4 == 3 {
					defer func() {
						if recover() == "oh" {
							panics.Add(1)
						}
					}()
					// It is asked once before it comes here.
					ctx = &contextThat{Context: ctx, nth: 1 + nth, what: func() { panic("oh") }}
				}
				if _, err := b.Apply(ctx, []driver.Mutation{mutation(driver.Create, i, ""), mutation(driver.Create, 100+i, "")}); err == nil {
					good.Add(1)
				}
			})
		}
		waitFor(func() bool { return sql.Waiting(b) == 8 })
		release()
		wg.Wait()
		if panics.Load() != 2 || good.Load() != 6 || len(records(t, b)) != 12 {
			t.Errorf("%d panics, %d good ones, %d records", panics.Load(), good.Load(), len(records(t, b)))
		}
	}
}

// waitFor waits until something has come to be.
func waitFor(done func() bool) {
	for !done() {
		runtime.Gosched()
	}
}

func TestALeaderThatGoesAwayLeavesTheOthersToThemselves(t *testing.T) {
	t.Parallel()
	for nth := int64(1); nth <= 4; nth++ {
		b, _ := newStore(t, groupSchema)
		gone := &contextThat{Context: t.Context(), nth: nth, what: runtime.Goexit}
		ctxs := background(4)
		ctxs[2] = gone // asked by the leader while it works for this one
		batches := [][]driver.Mutation{
			{mutation(driver.Create, 1, "a")}, {mutation(driver.Create, 2, "b")}, {mutation(driver.Put, 3, "c")}, {mutation(driver.Create, 4, "d")},
		}
		_, errs, _, alone := sql.Together(b, ctxs, batches)
		want, made := map[driver.ID]string{"1": "1 a [1]", "2": "1 b [2]", "3": "1 c [3]", "4": "1 d [4]"}, 0
		if nth <= 2 { // the leader's goroutine has ended, and so does that of the one that it worked for
			delete(want, "1")
			delete(want, "3")
			made = 3
		}
		if diff := cmp.Diff(want, records(t, b)); diff != "" || alone != made || errors.Join(errs...) != nil {
			t.Errorf("%d: %v, %d by themselves\n%s", nth, errs, alone, diff)
		}
		if _, err := b.Apply(t.Context(), []driver.Mutation{mutation(driver.Create, 9, "")}); err != nil {
			t.Errorf("%d: the next one: %v", nth, err)
		}
	}
}

func TestWhoseContextEndsWhileWaitingLeaves(t *testing.T) {
	t.Parallel()
	b, _ := newStore(t, groupSchema)
	release := sql.Hold(b)
	ctx, cancel := context.WithCancel(t.Context())
	impatient, patient := make(chan error, 8), make(chan error, 8)
	for i := range 8 {
		go func() {
			_, err := b.Apply(ctx, []driver.Mutation{mutation(driver.Create, i, "")})
			impatient <- err
		}()
		go func() {
			_, err := b.Apply(t.Context(), []driver.Mutation{mutation(driver.Create, 10+i, "")})
			patient <- err
		}()
	}
	waitFor(func() bool { return sql.Waiting(b) == 16 })
	cancel()
	for range 8 {
		if err := <-impatient; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	release()
	for range 8 {
		if err := <-patient; err != nil {
			t.Error(err)
		}
	}
	if n := len(records(t, b)); n != 8 {
		t.Errorf("%d records", n)
	}
}

// Many goroutines write few records, many of them in vain: every outcome can be
// explained by an order in which they came one by one.
func TestConcurrentApplysHaveASerialOrder(t *testing.T) {
	t.Parallel()
	const nRecords, goroutines, each = 5, 16, 60
	b, _ := newStore(t, groupSchema)
	for id := range nRecords {
		if _, err := b.Apply(t.Context(), []driver.Mutation{mutation(driver.Create, id, "")}); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	written := map[driver.ID]map[int64]string{} // what each revision held
	for id := range nRecords {
		written[driver.ID(strconv.Itoa(id))] = map[int64]string{1: ""}
	}
	created := 0
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for n := range each {
				data := fmt.Sprintf("%d of %d", n, g)
				one, two := (g+n)%nRecords, (g+2*n+1)%nRecords
				ms := []driver.Mutation{mutation(driver.Update, one, data)}
				if two != one {
					ms = append(ms, mutation(driver.Put, two, data))
				}
				ctx, want := t.Context(), error(nil)
				switch n % 8 {
				case 0:
					ms = ms[:1]
				case 1:
					ms, want = append(ms, mutation(driver.Create, one+100, ""), mutation(driver.Delete, 999, "")), driver.ErrNotFound
				case 2:
					ms[0].NewRefs, want = []driver.ID{"999"}, driver.ErrDangling
				case 3:
					ms[0].IfRev = int64(n) // may be right
				case 4:
					c, cancel := context.WithCancel(ctx)
					ctx = c
					go cancel()
				case 5:
					ctx = &contextThat{Context: ctx, nth: int64(2 + g%4), what: func() { panic("oh") }}
				case 6:
					ms, want = []driver.Mutation{mutation(driver.Create, one, data)}, driver.ErrExists
				case 7:
					ms = []driver.Mutation{mutation(driver.Create, 1000+g*each+n, data)}
				}
				func() {
					if n%8 == 5 {
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
					case err == nil && n%8 == 7:
						created++
					case err == nil:
						for i, m := range ms {
							if old, twice := written[m.Rec.ID][revs[i]]; twice {
								t.Errorf("revision %d of %q written by %q and %q", revs[i], m.Rec.ID, old, data)
							}
							written[m.Rec.ID][revs[i]] = data
						}
					case n%8 == 3 && errors.Is(err, driver.ErrConflict), n%8 == 4 && errors.Is(err, context.Canceled):
					default:
						t.Errorf("kind %d: %v", n%8, err)
					}
				}()
			}
		})
	}
	wg.Wait()
	got := records(t, b)
	for id := range nRecords {
		id := driver.ID(strconv.Itoa(id))
		last := int64(len(written[id]))
		for rev := range last {
			if _, ok := written[id][rev+1]; !ok {
				t.Errorf("nobody wrote revision %d of %q, of %d", rev+1, id, last)
			}
		}
		if want := fmt.Sprintf("%d %s [%s]", last, written[id][last], id); got[id] != want {
			t.Errorf("record %q is %q, want %q", id, got[id], want)
		}
	}
	if want := nRecords + created; len(got) != want || created == 0 {
		t.Errorf("%d records, want %d", len(got), want)
	}
}

// newRollbackStore returns a store in a file without WAL, where readers keep writers from
// committing, and what runs statements on the same file beside it.
func newRollbackStore(t *testing.T, timeout string) (b driver.Backend, do func(statement string)) {
	t.Helper()
	made, db := newStore(t, groupSchema)
	if _, err := made.Apply(t.Context(), []driver.Mutation{mutation(driver.Create, 0, "")}); err != nil {
		t.Fatal(err)
	}
	if err := made.Close(); err != nil {
		t.Fatal(err)
	}
	var seq, name, path, mode string
	if err := db.QueryRow("PRAGMA database_list").Scan(&seq, &name, &path); err != nil {
		t.Fatal(err)
	}
	if err := db.QueryRow("PRAGMA journal_mode = DELETE").Scan(&mode); err != nil || mode != "delete" {
		t.Fatal(mode, err)
	}
	u, err := url.Parse("sqlite://" + filepath.ToSlash(path) + "?busy_timeout=" + timeout)
	if err != nil {
		t.Fatal(err)
	}
	b, err = sqlite.Open(t.Context(), u, driver.OpenOptions{Table: "store", NoCreate: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	if _, err := b.Init(t.Context(), groupSchema); err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	return b, func(statement string) {
		t.Helper()
		if _, err := db.Exec(statement); err != nil {
			t.Error(err)
		}
	}
}

func TestAFailedCommitFailsAllMembers(t *testing.T) {
	t.Parallel()
	batches := [][]driver.Mutation{
		{mutation(driver.Create, 1, "a")}, {mutation(driver.Create, 2, "b"), mutation(driver.Update, 1, "c")}, {mutation(driver.Create, 1, "in vain")},
	}
	b, do := newRollbackStore(t, "50ms")
	do("BEGIN")
	do("SELECT count(*) FROM store")
	_, errs, _, _ := sql.Together(b, background(3), batches)
	for _, err := range errs {
		if err == nil || !strings.Contains(err.Error(), "locked") || errors.Is(err, driver.ErrExists) {
			t.Errorf("got %v", err)
		}
	}
	sql.Reclassify(b, sql.Busy, sql.Lost)
	_, errs, _, _ = sql.Together(b, background(3), batches)
	for i, err := range errs {
		want := driver.ErrUncertain
		if i == 2 { // it surely wrote nothing
			want = driver.ErrExists
		}
		if !errors.Is(err, want) || errors.Is(err, driver.ErrUncertain) != (i < 2) {
			t.Errorf("member %d: %v, want %v", i, err, want)
		}
	}
	do("ROLLBACK")
	if got := records(t, b); len(got) != 1 {
		t.Errorf("written: %v", got)
	}
	revs, errs, _, _ := sql.Together(b, background(3), batches)
	if errs[0] != nil || errs[1] != nil || !errors.Is(errs[2], driver.ErrExists) || revs[1][1] != 2 {
		t.Error("afterwards:", revs, errs)
	}
}

func TestACommitThatHasToWaitIsTriedAgainForAll(t *testing.T) {
	t.Parallel()
	b, do := newRollbackStore(t, "10m")
	do("BEGIN")
	do("SELECT count(*) FROM store")
	ctx, cancel := context.WithCancel(t.Context())
	ctxs := background(4)
	leaving := &contextThat{Context: ctx, nth: 1, what: func() {}}
	ctxs[0], ctxs[2] = ctx, leaving // the leader, too, goes on for the others
	tries := 0
	ctxs[3] = &contextThat{Context: t.Context(), nth: 1, what: func() {
		switch tries++; tries {
		case 10:
			cancel()
		case 30:
			do("ROLLBACK")
		}
	}}
	batches := [][]driver.Mutation{
		{mutation(driver.Create, 1, "never")}, {mutation(driver.Create, 2, "")}, {mutation(driver.Create, 3, "never")}, {mutation(driver.Create, 4, "")},
	}
	_, errs, _, _ := sql.Together(b, ctxs, batches)
	for i, err := range errs {
		if (i%2 == 0) != errors.Is(err, context.Canceled) || i%2 == 1 && err != nil {
			t.Errorf("member %d: %v", i, err)
		}
	}
	if n := leaving.asked.Load(); n > 12 {
		t.Errorf("a member whose context has ended was kept for %d tries", n)
	}
	if diff := cmp.Diff(map[driver.ID]string{"0": "1  [0]", "2": "1  [2]", "4": "1  [4]"}, records(t, b)); diff != "" {
		t.Error(diff)
	}
}

func TestTheTimeoutEndsAllThatWaitForAnotherProcess(t *testing.T) {
	t.Parallel()
	b, do := newRollbackStore(t, "50ms")
	do("BEGIN IMMEDIATE")
	release := sql.Hold(b)
	errs := make(chan error, 8)
	ctx, cancel := context.WithCancel(t.Context())
	for i := range 8 {
		go func() {
			ctx := ctx
			if i > 0 {
				ctx = t.Context()
			}
			_, err := b.Apply(ctx, []driver.Mutation{mutation(driver.Create, i+1, "")})
			errs <- err
		}()
	}
	waitFor(func() bool { return sql.Waiting(b) == 8 })
	release()
	cancel()
	for range 8 {
		if err := <-errs; err == nil || !strings.Contains(err.Error(), "locked") && !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
	do("ROLLBACK")
	if _, err := b.Apply(t.Context(), []driver.Mutation{mutation(driver.Create, 1, "")}); err != nil {
		t.Error("afterwards:", err)
	}
}
