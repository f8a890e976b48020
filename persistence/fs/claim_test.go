package fs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence/driver"
)

// lend claims for "me" and an hour unless c says otherwise.
func lend(t testing.TB, b *Backend, q driver.Query, c driver.Claiming) []driver.Record {
	t.Helper()
	if c.Owner == "" {
		c.Owner = "me"
	}
	if c.Lease == 0 {
		c.Lease = time.Hour
	}
	recs, err := b.Claim(context.Background(), &q, c)
	if err != nil {
		t.Fatal(err)
	}
	return recs
}

// lent returns what it claims as "ID/revision" each.
func lent(t testing.TB, b *Backend, q driver.Query, c driver.Claiming) string {
	t.Helper()
	var words []string
	for _, r := range lend(t, b, q, c) {
		if r.Claim.Token != r.Revision || r.Claim.Owner == "" || r.Data != nil {
			t.Errorf("got %+v", r)
		}
		words = append(words, fmt.Sprintf("%s/%d", r.ID, r.Revision))
	}
	return strings.Join(words, " ")
}

func token(m driver.Mutation, token int64, release bool) driver.Mutation {
	m.Token, m.Release = token, release
	return m
}

func where(column string, op driver.CmpOp, values ...any) driver.Query {
	return driver.Query{Where: []driver.Cond{{Column: column, Op: op, Values: values}}}
}

func wantConflict(t testing.TB, id driver.ID, err error) {
	t.Helper()
	var re *driver.RecordError
	if !errors.Is(err, driver.ErrConflict) || !errors.As(err, &re) || re.ID != id {
		t.Errorf("got %v, want a conflict over %q", err, id)
	}
}

func TestClaimTakesTheFirstOfAQuery(t *testing.T) {
	t.Parallel()
	b := open(t, scratch(t), textSchema)
	var ms []driver.Mutation
	for i, id := range []driver.ID{"a", "b", "c", "d/long" + driver.ID(strings.Repeat("é", 90)), "e", "f"} {
		m := of(driver.Create, id, "data")
		m.Rec.Fields = []any{"host", int64(10 - i), nil, nil, nil, nil}
		if id == "e" {
			m.Rec.Fields[1] = nil
		}
		if id == "b" {
			m.Rec.State = "DONE"
		}
		ms = append(ms, m)
	}
	apply(t, b, ms...)
	running := where(driver.ColState, driver.In, "RUNNING", "RUNNING", "WAITING")
	running.Order = []driver.Order{{Column: "n"}}
	running.Limit, running.After = 1, &driver.Cursor{ID: "z", Values: []any{nil}} // do not count
	if got := lent(t, b, running, driver.Claiming{Limit: 2}); got != "f/2 "+string(ms[3].Rec.ID)+"/2" {
		t.Errorf("by n: %q", got)
	}
	if got := lent(t, b, running, driver.Claiming{Limit: 9}); got != "c/2 a/2 e/2" {
		t.Errorf("the rest: %q", got)
	}
	if got := lent(t, b, running, driver.Claiming{Limit: 9}); got != "" {
		t.Errorf("claimed twice: %q", got)
	}
	if got := lent(t, b, driver.Query{}, driver.Claiming{Limit: 1}); got != "b/2" {
		t.Errorf("of any state: %q", got)
	}
	want := ms[5].Rec
	want.Revision, want.Size = 2, 4
	got := get(t, b, whole, "f")[0]
	if c := got.Claim; c.Owner != "me" || c.Token != 2 || c.Until.Location() != time.UTC || c.Until.Nanosecond()%1000 != 0 {
		t.Errorf("claim is %+v", c)
	}
	got.Claim = driver.Claim{}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("claiming changed more than the revision: %s", diff)
	}
	if left := ownFiles(t, b.path); len(left) > 0 {
		t.Errorf("left over %q", left)
	}
}

func TestLapsedClaims(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	b, other := open(t, dir, intSchema), open(t, dir, intSchema)
	apply(t, b, create(numbers(1, 3)...)...)
	if got := lent(t, b, driver.Query{}, driver.Claiming{Limit: 2, Owner: "late", Lease: time.Microsecond}); got != "1/2 2/2" {
		t.Errorf("got %q", got)
	}
	// As long as nobody else claims, the late holder keeps what he has.
	apply(t, b, token(of(driver.Update, "1", "in time"), 2, false))
	if until, err := b.Extend(t.Context(), "1", 2, time.Microsecond); err != nil || until.IsZero() {
		t.Error(until, err)
	}
	if got := lent(t, other, driver.Query{}, driver.Claiming{Limit: 9, Owner: "other"}); got != "1/4 2/3 3/2" {
		t.Errorf("got %q", got)
	}
	for _, m := range []driver.Mutation{
		token(of(driver.Update, "1", "too late"), 2, false), token(of(driver.Check, "1", ""), 2, true), token(of(driver.Delete, "2", ""), 2, false),
	} {
		_, err := b.Apply(t.Context(), []driver.Mutation{m})
		wantConflict(t, m.Rec.ID, err)
	}
	_, err := b.Extend(t.Context(), "1", 2, time.Hour)
	wantConflict(t, "1", err)
	if r := get(t, b, whole, "1")[0]; r.Claim.Owner != "other" || r.Claim.Token != 4 || string(r.Data) != "in time" {
		t.Errorf("got %+v", r)
	}
}

func TestRenew(t *testing.T) {
	t.Parallel()
	b := open(t, scratch(t), intSchema)
	apply(t, b, create("1", "2")...)
	before := lend(t, b, driver.Query{}, driver.Claiming{Limit: 1})[0]
	until, err := b.Extend(t.Context(), "1", 2, 48*time.Hour)
	if err != nil || until.Sub(before.Claim.Until) < 46*time.Hour {
		t.Errorf("from %v until %v, %v", before.Claim.Until, until, err)
	}
	r := get(t, b, whole, "1")[0]
	if r.Revision != 2 || (r.Claim != driver.Claim{Owner: "me", Until: until, Token: 2}) || string(r.Data) != "data of 1" {
		t.Errorf("got %+v, until %v", r, until)
	}
	for id, token := range map[driver.ID]int64{"1": 1, "2": 1, "3": 1, "not a number": 1} {
		_, err := b.Extend(t.Context(), id, token, time.Hour)
		wantConflict(t, id, err)
	}
	_, err = b.Extend(t.Context(), "1", 0, time.Hour)
	wantConflict(t, "1", err)
	if _, err := b.Extend(t.Context(), "1", 2, 0); err == nil {
		t.Error("renewed for no time")
	}
	agree(t, b)
}

func TestReap(t *testing.T) {
	t.Parallel()
	b := open(t, scratch(t), intSchema)
	const n = 2*maxReaped + 5
	apply(t, b, create(numbers(1, n)...)...)
	if lapsed, err := b.ReleaseExpired(t.Context()); lapsed != 0 || err != nil {
		t.Errorf("%d, %v where nobody claimed", lapsed, err)
	}
	lend(t, b, driver.Query{}, driver.Claiming{Limit: 3})
	if got := lend(t, b, driver.Query{}, driver.Claiming{Limit: n, Lease: time.Microsecond}); len(got) != n-3 {
		t.Fatalf("claimed %d", len(got))
	}
	big := of(driver.Update, "9", strings.Repeat("x", maxReapedBytes/2))
	also := big
	also.Rec.ID = "11"
	apply(t, b, big, of(driver.Update, "10", strings.Repeat("x", maxReapedBytes/2)), also)
	if lapsed, err := b.ReleaseExpired(t.Context()); lapsed != n-3 || err != nil {
		t.Errorf("ended %d, %v", lapsed, err)
	}
	agree(t, b)
	ids, _ := scan(t, b, where(driver.ColClaimOwner, driver.NotNull))
	if diff := cmp.Diff(numbers(1, 3), ids); diff != "" {
		t.Error(diff)
	}
	for id, rev := range map[driver.ID]int64{"8": 2, "9": 3} {
		if r := get(t, b, whole, id)[0]; r.Revision != rev || (r.Claim != driver.Claim{}) || len(r.Data) != int(r.Size) {
			t.Errorf("%s: revision %d, claim %+v", id, r.Revision, r.Claim)
		}
	}
	if lapsed, err := b.ReleaseExpired(t.Context()); lapsed != 0 || err != nil {
		t.Errorf("ended %d, %v once more", lapsed, err)
	}
}

func TestEditWhileClaiming(t *testing.T) {
	t.Parallel()
	b := open(t, scratch(t), textSchema)
	var ms []driver.Mutation
	for _, id := range numbers(100, 400) {
		m := driver.Mutation{Op: driver.Create, Rec: fullRecord(id)}
		ms = append(ms, m)
	}
	apply(t, b, ms...)
	edited := someTime.Add(time.Hour)
	seen := map[driver.ID]bool{}
	edit := func(r *driver.Record) error {
		want := fullRecord(r.ID)
		want.Revision, want.Size = 1, int64(len(want.Data))
		if diff := cmp.Diff(want, *r); diff != "" || seen[r.ID] {
			t.Errorf("seen before: %v, %s", seen[r.ID], diff)
		}
		seen[r.ID] = true
		if r.ID < "390" && r.ID != "250" {
			r.State = "REFUSED"
			return errors.New("not this one")
		}
		r.Type, r.State, r.Modified, r.Data = "engine.Claimed", "CLAIMED", edited, []byte("longer data of "+r.ID)
		r.Fields = []any{"host2", nil, nil, nil, nil, nil}
		r.ID, r.Revision, r.Created = "other", 77, edited // do not count
		return nil
	}
	recs := lend(t, b, driver.Query{}, driver.Claiming{Limit: 3, Edit: edit, Parts: whole})
	if len(recs) != 3 || recs[0].ID != "250" || recs[1].ID != "390" || recs[2].ID != "391" {
		t.Fatalf("got %v", recs)
	}
	want := driver.Record{
		ID: "250", Type: "engine.Claimed", State: "CLAIMED", Revision: 2, Size: 18, Created: someTime, Modified: edited,
		Data: []byte("longer data of 250"), Fields: []any{"host2", nil, nil, nil, nil, nil},
	}
	got := get(t, b, whole, "250")[0]
	if diff := cmp.Diff(got, recs[0]); diff != "" {
		t.Errorf("not as it is given out: %s", diff)
	}
	if got.Claim.Token != 2 {
		t.Errorf("claim is %+v", got.Claim)
	}
	got.Claim = driver.Claim{}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := get(t, b, driver.Info, "100")[0]; got.State != "RUNNING" || got.Revision != 1 {
		t.Errorf("one that was refused is %+v", got)
	}
	if left := ownFiles(t, b.path); len(left) > 0 {
		t.Errorf("left over %q", left)
	}
	agree(t, b)
}

func TestAPanicInEditLetsGoOfTheLock(t *testing.T) {
	t.Parallel()
	b := open(t, scratch(t), intSchema)
	apply(t, b, create("1", "2")...)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		lend(t, b, driver.Query{}, driver.Claiming{Limit: 2, Edit: func(r *driver.Record) error {
			if r.ID == "2" {
				panic("oh")
			}
			return nil
		}})
	}()
	if got := lent(t, b, driver.Query{}, driver.Claiming{Limit: 9}); got != "1/2 2/2" {
		t.Errorf("got %q", got)
	}
}

func TestClaimColumnsInQueries(t *testing.T) {
	t.Parallel()
	b := open(t, scratch(t), intSchema)
	apply(t, b, create(numbers(1, 5)...)...)
	for i, owner := range []string{"ann", "bob", "bob"} {
		lend(t, b, driver.Query{}, driver.Claiming{Limit: 1, Owner: owner, Lease: time.Duration(3-i) * time.Hour})
	}
	until := get(t, b, driver.Info, "2")[0].Claim.Until
	for _, c := range []struct {
		q    driver.Query
		want []driver.ID
	}{
		{where(driver.ColClaimOwner, driver.Eq, "bob"), numbers(2, 3)},
		{where(driver.ColClaimOwner, driver.IsNull), numbers(4, 5)},
		{where(driver.ColClaimOwner, driver.Ne, "bob"), []driver.ID{"1", "4", "5"}},
		{where(driver.ColClaimUntil, driver.Le, until), numbers(2, 3)},
		{where(driver.ColClaimToken, driver.Ge, int64(2)), numbers(1, 3)},
		{driver.Query{Order: []driver.Order{{Column: driver.ColClaimUntil}}}, []driver.ID{"3", "2", "1", "4", "5"}},
		{driver.Query{Order: []driver.Order{{Column: driver.ColClaimOwner, Desc: true}}}, []driver.ID{"2", "3", "1", "4", "5"}},
	} {
		got, bad := scan(t, b, c.q)
		if diff := cmp.Diff(c.want, got); diff != "" || bad != nil {
			t.Errorf("%v: %v, %s", c.q, bad, diff)
		}
		err := b.View(t.Context(), func(r driver.Reader) error {
			n, err := r.Count(t.Context(), &c.q)
			if n != int64(len(c.want)) {
				t.Errorf("%v: counted %d", c.q, n)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	if got := lent(t, b, where(driver.ColClaimOwner, driver.Eq, "bob"), driver.Claiming{Limit: 9}); got != "" {
		t.Errorf("claimed from bob: %q", got)
	}
}

func TestClaimsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	b := open(t, scratch(t), intSchema)
	apply(t, b, create("1")...)
	for _, c := range []driver.Claiming{
		{Lease: time.Hour, Limit: 1}, {Owner: "me", Limit: 1}, {Owner: "me", Lease: time.Nanosecond, Limit: 1}, {Owner: "me", Lease: time.Hour},
	} {
		if recs, err := b.Claim(t.Context(), &driver.Query{}, c); err == nil {
			t.Errorf("%+v: %v", c, recs)
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Claim(cancelled, &driver.Query{}, driver.Claiming{Owner: "me", Lease: time.Hour, Limit: 1}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Claim(t.Context(), &driver.Query{}, driver.Claiming{Owner: "me", Lease: time.Hour, Limit: 1}); !errors.Is(err, driver.ErrClosed) {
		t.Error(err)
	}
	if _, err := b.Extend(t.Context(), "1", 1, time.Hour); !errors.Is(err, driver.ErrClosed) {
		t.Error(err)
	}
	if _, err := b.ReleaseExpired(t.Context()); !errors.Is(err, driver.ErrClosed) {
		t.Error(err)
	}
}

// Where nothing may be made there is no list of changes, unless another one has made it.
func TestClaimsWithNoCreate(t *testing.T) {
	t.Parallel()
	for _, listed := range []bool{false, true} {
		dir := scratch(t)
		maker := open(t, dir, intSchema)
		apply(t, maker, create(numbers(1, 9)...)...)
		if listed {
			lend(t, maker, where(driver.ColID, driver.Eq, driver.ID("9")), driver.Claiming{Limit: 1})
		}
		b, err := openWith(t.Context(), dir, intSchema, driver.OpenOptions{NoCreate: true})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		for _, want := range []string{"1/2 2/2", "3/3 4/2"} {
			if got := lent(t, b, driver.Query{}, driver.Claiming{Limit: 2}); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			apply(t, maker, mutations(driver.Put, "3")...)
		}
		if _, err := os.Lstat(filepath.Join(dir, changesName)); errors.Is(err, fs.ErrNotExist) == listed {
			t.Errorf("listed: %v, %v", listed, err)
		}
		if (b.index != nil) != listed {
			t.Errorf("listed: %v, index %v", listed, b.index)
		}
	}
}

// What is damaged is not lent out and keeps nobody from the rest; mended, it is lent out again.
func TestDamagedRecordsAreNotClaimed(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	b := open(t, dir, intSchema)
	apply(t, b, create(numbers(1, 4)...)...)
	header, data := filepath.Join(dir, "1"), filepath.Join(dir, "2")
	spoil(t, header, 20)
	info, err := os.Stat(data)
	if err != nil {
		t.Fatal(err)
	}
	spoil(t, data, int(info.Size())-8)
	if got := lent(t, b, driver.Query{}, driver.Claiming{Limit: 9, Lease: time.Microsecond}); got != "3/2 4/2" {
		t.Errorf("got %q", got)
	}
	apply(t, b, of(driver.Delete, "1", ""))
	spoil(t, data, int(info.Size())-8)
	apply(t, b, of(driver.Create, "1", ""), of(driver.Update, "2", ""))
	if got := lent(t, b, driver.Query{}, driver.Claiming{Limit: 9, Lease: time.Microsecond}); got != "1/2 2/3 3/3 4/3" {
		t.Errorf("got %q", got)
	}
	spoil(t, filepath.Join(dir, "3"), 20)
	if n, err := b.ReleaseExpired(t.Context()); n != 3 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
}
