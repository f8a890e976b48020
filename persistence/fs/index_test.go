package fs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/brine-go/brine/persistence/driver"
)

// agree checks that the index of b says what the files say, and reports whether it is the one that
// b had before.
func agree(t testing.TB, b *Backend) (kept bool) {
	t.Helper()
	before := b.index
	s, err := b.ready()
	if err != nil {
		t.Fatal(err)
	}
	l, err := b.exclusive(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer l.release()
	x, err := l.sync(context.Background(), s[driver.Objects])
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]driver.Record{}
	for rec, err := range (&reader{lock: l, folder: l.folder, schema: s[driver.Objects], schemas: s}).Scan(context.Background(), &driver.Query{Parts: driver.Info | driver.Fields}) {
		if err != nil {
			t.Fatal(err)
		}
		want[fileName(rec.ID)] = rec
	}
	got := map[string]driver.Record{}
	for e := range x.All() {
		if e.Name != fileName(e.ID) {
			t.Errorf("%+v stands under %q", e, e.Name)
		}
		got[e.Name] = e.Record
	}
	if diff := cmp.Diff(want, got); diff != "" || x.Len() != len(want) {
		t.Errorf("%d records, %d in the index: %s", len(want), x.Len(), diff)
	}
	return before != nil && x == before
}

// expected returns what a claim is to get, by reading every file.
func expected(t testing.TB, b *Backend, q driver.Query, limit int, refuse func(*driver.Record) error) string {
	t.Helper()
	got := []string{}
	err := b.View(context.Background(), func(r driver.Reader) error {
		at := now()
		for rec, err := range r.Scan(context.Background(), &driver.Query{Where: q.Where, Order: q.Order, Parts: driver.Info | driver.Fields}) {
			if err != nil {
				return err
			}
			if len(got) < limit && free(&rec.Claim, at) && (refuse == nil || refuse(&rec) == nil) {
				got = append(got, fmt.Sprintf("%s/%d", rec.ID, rec.Revision+1))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(got)
}

// Whatever two Backends do in turn, a claim gets what reading all files would find, and the index
// of each says what they say.
func TestIndexAgreesWithTheFilesAfterAnything(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		maxListed int64
	}{{"a long list", defaultListed}, {"a short list", 600}, {"a list too short for anything", 90}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			kept := 0
			rapid.Check(t, func(rt *rapid.T) {
				dir, err := os.MkdirTemp(scratch(t), "")
				must(err)
				backends := []*Backend{open(t, dir, textSchema), open(t, dir, textSchema)}
				for _, b := range backends {
					b.maxListed = c.maxListed
				}
				tokens := map[driver.ID]int64{}
				defer backends[0].Close()
				defer backends[1].Close()
				for range rapid.IntRange(1, 25).Draw(rt, "steps") {
					b := backends[rapid.IntRange(0, 1).Draw(rt, "backend")]
					switch rapid.SampledFrom([]string{"apply", "apply", "group", "claim", "claim", "renew", "releaseExpired", "ids", "suspend"}).Draw(rt, "what") {
					case "apply":
						_, _ = b.Apply(context.Background(), drawBatch(rt, tokens)) // may well fail
					case "group":
						together(b, nil, drawBatch(rt, tokens), drawBatch(rt, tokens), drawBatch(rt, tokens))
					case "claim":
						drawClaim(rt, t, b, tokens)
					case "renew":
						for id, token := range tokens {
							_, _ = b.Extend(context.Background(), id, token, time.Hour)
							break
						}
					case "releaseExpired":
						if _, err := b.ReleaseExpired(context.Background()); err != nil {
							rt.Fatal(err)
						}
					case "ids":
						if _, err := b.NextIDs(context.Background(), 3); err != nil {
							rt.Fatal(err)
						}
					case "suspend":
						if err := b.Suspend(); err != nil {
							rt.Fatal(err)
						}
					}
					if rapid.Bool().Draw(rt, "compare") {
						b := backends[rapid.IntRange(0, 1).Draw(rt, "which")]
						had := b.index != nil
						if agree(t, b) {
							kept++
						} else if had && c.maxListed == defaultListed {
							rt.Fatal("made anew for no reason")
						}
					}
				}
				for _, b := range backends {
					agree(t, b)
					if err := b.Close(); err != nil {
						rt.Fatal(err)
					}
				}
				if info, err := os.Stat(filepath.Join(dir, changesName)); err != nil || info.Size() > c.maxListed {
					rt.Fatalf("the list has %d bytes, %v", info.Size(), err)
				}
			})
			if kept == 0 {
				t.Error("the index was never kept")
			}
		})
	}
}

func drawBatch(rt *rapid.T, tokens map[driver.ID]int64) []driver.Mutation {
	var ms []driver.Mutation
	for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(1, 12), 1, 3, rapid.ID).Draw(rt, "ids") {
		id := driver.ID(fmt.Sprint("T/", n))
		m := of(rapid.SampledFrom([]driver.Op{
			driver.Create, driver.Put, driver.Put, driver.Put, driver.Update, driver.Delete, driver.Check, driver.SetFields,
		}).Draw(rt, "op"), id, fmt.Sprint("data ", n))
		m.Rec.State = rapid.SampledFrom([]string{"NEW", "DONE", "OLD"}).Draw(rt, "state")
		m.Rec.Fields = []any{"host", int64(rapid.IntRange(0, 4).Draw(rt, "n")), nil, true, []byte("raw"), someTime}
		if rapid.Bool().Draw(rt, "null") {
			m.Rec.Fields[1] = nil
		}
		if rapid.Bool().Draw(rt, "token") {
			m.Token = tokens[id]
			m.Release = m.Token != 0 && (m.Op == driver.Update || m.Op == driver.Check) && rapid.Bool().Draw(rt, "release")
		}
		ms = append(ms, m)
	}
	return ms
}

func drawClaim(rt *rapid.T, t *testing.T, b *Backend, tokens map[driver.ID]int64) {
	var q driver.Query
	for _, c := range []driver.Cond{
		{Column: driver.ColState, Op: driver.Eq, Values: []any{"NEW"}},
		{Column: driver.ColState, Op: driver.In, Values: []any{"OLD", "NEW", "NEW"}},
		{Column: driver.ColState, Op: driver.Ne, Values: []any{"DONE"}},
		{Column: "n", Op: driver.Lt, Values: []any{int64(3)}},
		{Column: driver.ColID, Op: driver.Gt, Values: []any{driver.ID("T/3")}},
		{Column: driver.ColClaimOwner, Op: driver.IsNull},
	} {
		if rapid.IntRange(0, 3).Draw(rt, "condition") == 0 {
			q.Where = append(q.Where, c)
		}
	}
	for _, column := range []string{"n", driver.ColRevision, driver.ColState} {
		if rapid.IntRange(0, 2).Draw(rt, "order") == 0 {
			q.Order = append(q.Order, driver.Order{Column: column, Desc: rapid.Bool().Draw(rt, "desc")})
		}
	}
	c := driver.Claiming{Limit: rapid.IntRange(1, 5).Draw(rt, "limit"), Lease: rapid.SampledFrom([]time.Duration{time.Hour, time.Microsecond}).Draw(rt, "lease")}
	var refuse func(*driver.Record) error
	if rapid.Bool().Draw(rt, "edit") {
		refuse = func(r *driver.Record) error {
			if r.Revision%2 == 0 {
				return errors.New("even")
			}
			return nil
		}
		c.Edit = func(r *driver.Record) error {
			if err := refuse(r); err != nil {
				return err
			}
			r.State, r.Data = "EDITED", append(r.Data, " and more"...)
			return nil
		}
	}
	want := expected(t, b, q, c.Limit, refuse)
	got := []string{}
	for _, r := range lend(t, b, q, c) {
		got = append(got, fmt.Sprintf("%s/%d", r.ID, r.Revision))
		tokens[r.ID] = r.Claim.Token
	}
	if fmt.Sprint(got) != want {
		rt.Fatalf("%+v, %+v: got %v, want %v", q, c, got, want)
	}
}

// A writer may die at any step of a commit, a claim's too: those who have an index learn of what it
// did, by the list.
func TestIndexAfterAWriterDiedAtAnyStep(t *testing.T) {
	t.Parallel()
	claimOf := func(limit int) func(b *Backend) {
		return func(b *Backend) {
			b.Claim(context.Background(), &driver.Query{}, driver.Claiming{Owner: "dead", Lease: time.Hour, Limit: limit})
		}
	}
	batch := func(ms ...driver.Mutation) func(b *Backend) {
		return func(b *Backend) { b.Apply(context.Background(), ms) }
	}
	for _, c := range []struct {
		name string
		fn   func(b *Backend)
	}{
		{"many", batch(crashBatch()...)},
		{"one", batch(mutations(driver.Update, "1")...)},
		{"removal", batch(mutations(driver.Delete, "1")...)},
		{"a group of singles", func(b *Backend) {
			together(b, nil, create("10"), mutations(driver.Update, "1"), mutations(driver.Delete, "2"), create("11"))
		}},
		{"a group as a whole", func(b *Backend) {
			together(b, nil, create("10", "11"), mutations(driver.Update, "10"), mutations(driver.Delete, "2"))
		}},
		{"claim of one", claimOf(1)},
		{"claim of three", claimOf(3)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			listed := false
			for nth := 1; ; nth++ {
				dir := scratch(t)
				b, watcher, other := open(t, dir, intSchema), open(t, dir, intSchema), open(t, dir, intSchema)
				apply(t, b, create(numbers(1, 5)...)...)
				before := state(t, b)
				lend(t, watcher, where(driver.ColID, driver.Eq, driver.ID("5")), driver.Claiming{Limit: 1})
				agree(t, other)
				died, step := crash(b, nth, func() { c.fn(b) })
				if !died {
					break
				}
				listed = listed || step == "listed"
				// Another one goes on before the watcher looks.
				apply(t, other, create("50")...)
				after := state(t, other)
				dead, _ := scan(t, other, where(driver.ColClaimOwner, driver.Eq, "dead"))
				if len(dead) != 0 && len(dead) != 1 && len(dead) != 3 {
					t.Errorf("died at %q: claimed %q", step, dead)
				}
				for _, x := range []*Backend{watcher, other} {
					if !agree(t, x) {
						t.Errorf("died at %q: index made anew, before %v, after %v", step, before, after)
					}
				}
				free, _ := scan(t, other, where(driver.ColClaimOwner, driver.IsNull))
				var got []driver.ID
				for _, r := range lend(t, watcher, driver.Query{}, driver.Claiming{Limit: 99}) {
					got = append(got, r.ID)
				}
				if diff := cmp.Diff(free, got); diff != "" {
					t.Errorf("died at %q: %s", step, diff)
				}
				if left := ownFiles(t, dir); len(left) > 0 {
					t.Errorf("died at %q: left over %q", step, left)
				}
			}
			if !listed {
				t.Error("never died after the list was written")
			}
		})
	}
}

func TestIndexIsDroppedWhenTheFilesAreLetGo(t *testing.T) {
	t.Parallel()
	b := open(t, scratch(t), intSchema)
	apply(t, b, create("1", "2")...)
	lend(t, b, driver.Query{}, driver.Claiming{Limit: 1})
	must(b.Suspend())
	if b.index != nil {
		t.Error("kept")
	}
	must(b.Resume())
	if got := lent(t, b, driver.Query{}, driver.Claiming{Limit: 2}); got != "2/2" {
		t.Errorf("got %q", got)
	}
	must(b.Close())
	if b.index != nil {
		t.Error("kept")
	}
}

// Files are the truth, also those that someone copies, changes or removes by hand.
func TestFilesChangedByHand(t *testing.T) {
	t.Parallel()
	b, donor := open(t, scratch(t), intSchema), open(t, scratch(t), intSchema)
	apply(t, b, create(numbers(1, 6)...)...)
	apply(t, donor, create(numbers(3, 9)...)...)
	lend(t, donor, where(driver.ColID, driver.In, driver.ID("3"), driver.ID("7")), driver.Claiming{Limit: 2})
	lend(t, b, driver.Query{}, driver.Claiming{Limit: 1})
	bring := func(ids ...string) {
		for _, id := range ids {
			file, err := os.ReadFile(filepath.Join(donor.path, id))
			must(err)
			must(os.WriteFile(filepath.Join(b.path, id), file, 0o600))
		}
	}
	// In place, which the directory does not show: 3 is claimed now, 4 is that of another name, 2
	// is gone.
	info, err := os.Stat(b.path)
	must(err)
	bring("3")
	must(os.Rename(filepath.Join(b.path, "2"), filepath.Join(b.path, "4")))
	must(os.Chtimes(b.path, info.ModTime(), info.ModTime()))
	if got := lent(t, b, driver.Query{}, driver.Claiming{Limit: 1}); got != "5/2" {
		t.Errorf("got %q", got)
	}
	must(os.Remove(filepath.Join(b.path, "4")))
	// New ones, which it does.
	bring("7", "8", "9")
	must(os.Chtimes(b.path, time.Time{}, info.ModTime().Add(time.Hour)))
	if got := lent(t, b, driver.Query{}, driver.Claiming{Limit: 9}); got != "6/2 8/2 9/2" {
		t.Errorf("got %q", got)
	}
	if n := strconv.Itoa(b.index.Len()); n != "7" {
		t.Errorf("%s entries", n)
	}
}
