package drivertest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

func testLease(t *testing.T, k *kit) {
	st := k.fresh(t)
	claimer(t, st)
	st.mustApply(t, create(k.plain(1)), create(k.plain(2)), create(k.plain(3)))
	first := st.claim(t, &driver.Query{}, 2, long)
	if rest := st.claim(t, &driver.Query{}, 10, short); len(rest) != 1 || rest[0].ID != k.id(3) {
		t.Fatalf("only the third record is free, and not %q", idsOf(rest))
	}
	// This claim lapses at once.
	last := int64(0)
	for range 3 {
		again := st.claimSoon(t, k.id(3))
		if again.Claim.Token <= last {
			t.Errorf("tokens must grow from claim to claim: %d after %d", again.Claim.Token, last)
		}
		last = again.Claim.Token
	}
	st.mustApply(t, driver.Mutation{Op: driver.Check, Rec: driver.Record{ID: k.id(1)}, Token: first[0].Claim.Token, Release: true})
	if got := st.claim(t, &driver.Query{}, 10, long); !slices.Contains(idsOf(got), k.id(1)) || slices.Contains(idsOf(got), k.id(2)) {
		t.Errorf("a released record must be free and a claimed one must not: claimed %q", idsOf(got))
	}
}

// claimSoon claims a record, briefly, as soon as an existing claim has lapsed.
func (st *store) claimSoon(t failer, id driver.ID) driver.Record {
	t.Helper()
	q := &driver.Query{Where: []driver.Cond{{Column: driver.ColID, Op: driver.Eq, Values: []any{id}}}}
	for range 300 {
		if got := st.claim(t, q, 1, short); len(got) == 1 {
			return got[0]
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("a claim that has lapsed must not block another claim, but it has done so for seconds")
	return driver.Record{}
}

func testToken(t *testing.T, k *kit) {
	st := k.fresh(t)
	claimer(t, st)
	st.mustApply(t, create(k.plain(1)), create(k.plain(2)), create(k.plain(3)), create(k.plain(4)))
	tokens := st.mustClaim(t, 4, long)
	under := func(m driver.Mutation, token int64, release bool) driver.Mutation {
		m.Token, m.Release = token, release
		return m
	}
	before := st.all(t)
	for _, bad := range []driver.Mutation{
		under(update(k.plain(2), 0), tokens[k.id(2)]+1, true), under(update(k.plain(2), 2), tokens[k.id(2)]-1, false),
		under(check(k.id(2), 0), tokens[k.id(2)]+1, true), under(check(k.id(2), 0), tokens[k.id(2)]+1, false),
		under(remove(k.id(2), 0), tokens[k.id(2)]+1, false),
		under(update(k.plain(2), 1), tokens[k.id(2)], false), // the right token, another revision
		under(update(k.plain(9), 0), 1, false), under(remove(k.id(9), 0), 1, false), under(check(k.id(9), 0), 1, true),
	} {
		want := &driver.RecordError{ID: bad.Rec.ID, Err: driver.ErrConflict}
		st.mustFail(t, want, bad)
		st.mustFail(t, want, under(update(with(k.plain(1), "new"), 0), tokens[k.id(1)], true), create(k.plain(5)), bad, remove(k.id(3), 0))
		if d := diff(before, st.all(t)); d != "" {
			t.Fatalf("%s under another token must change nothing, nor must its batch (-before +after):\n%s", describe([]driver.Mutation{bad}), d)
		}
	}
	// The right tokens.
	st.mustApply(t, under(update(with(k.plain(1), "one"), 2), tokens[k.id(1)], false), under(update(with(k.plain(2), "two"), 0), tokens[k.id(2)], true),
		under(remove(k.id(3), 0), tokens[k.id(3)], false), under(check(k.id(4), 0), tokens[k.id(4)], true))
	after := st.all(t)
	if len(after) != 3 || string(after[k.id(1)].Data) != "one" || string(after[k.id(2)].Data) != "two" || after[k.id(2)].Revision != 3 || after[k.id(4)].Revision != 2 {
		t.Errorf("writes under the right tokens must happen: %+v", after)
	}
	if ids := idsOf(st.claim(t, &driver.Query{}, 10, long)); !slices.Equal(ids, []driver.ID{k.id(2), k.id(4)}) {
		t.Errorf("what was released, and no more, must be free: not %q", ids)
	}
	st.mustFail(t, &driver.RecordError{ID: k.id(4), Err: driver.ErrConflict}, under(update(k.plain(4), 0), tokens[k.id(4)], false))
	// A lapsed claim is valid for its owner until somebody else claims the record.
	mine := st.claimLapsed(t, k, 5)
	st.mustApply(t, under(update(with(k.plain(5), "late"), 0), mine, false))
	other := st.claimSoon(t, k.id(5)).Claim.Token
	st.mustFail(t, &driver.RecordError{ID: k.id(5), Err: driver.ErrConflict}, under(update(with(k.plain(5), "too late"), 0), mine, false))
	if other <= mine {
		t.Errorf("the later token must be the greater one: %d after %d", other, mine)
	}
}

// claimLapsed creates record n, claims it briefly and returns the token.
func (st *store) claimLapsed(t failer, k *kit, n int) int64 {
	t.Helper()
	st.mustApply(t, create(k.plain(n)))
	return st.claimSoon(t, k.id(n)).Claim.Token
}

func testClaimStays(t *testing.T, k *kit) {
	st := k.fresh(t, fields...)
	claimer(t, st)
	st.mustApply(t, create(k.rec(1)), create(k.rec(2)), create(k.rec(3)), create(k.rec(4)))
	tokens := st.mustClaim(t, 4, long)
	st.mustApply(t, update(k.rec(1), 0), put(k.rec(2)), setFields(k.rec(3), 0), remove(k.id(4), 0))
	st.mustApply(t, create(k.rec(4)))
	if ids := idsOf(st.claim(t, &driver.Query{}, 10, long)); !slices.Equal(ids, []driver.ID{k.id(4)}) {
		t.Errorf("only a record made anew is free after writes without a token, not %q", ids)
	}
	for n := 1; n <= 3; n++ {
		m := check(k.id(n), 0)
		m.Token = tokens[k.id(n)]
		st.mustApply(t, m)
	}
}

func testExtend(t *testing.T, k *kit) {
	st := k.fresh(t)
	c := claimer(t, st)
	st.mustApply(t, create(k.plain(1)))
	mine := st.claimSoon(t, k.id(1)).Claim.Token // lapsed by now, or about to
	for _, bad := range []struct {
		id    driver.ID
		token int64
	}{{k.id(1), mine + 1}, {k.id(1), mine - 1}, {k.id(7), mine}} {
		_, err := c.Extend(t.Context(), bad.id, bad.token, long)
		if re := (*driver.RecordError)(nil); !errors.As(err, &re) || re.ID != bad.id || !errors.Is(err, driver.ErrConflict) {
			t.Errorf("Extend of %q under the token %d must be the RecordError of a conflict, not %v", bad.id, bad.token, err)
		}
	}
	rev := st.one(t, k.id(1)).Revision
	until, err := c.Extend(t.Context(), k.id(1), mine, long)
	if err != nil || time.Until(until) < long-time.Minute || time.Until(until) > long+time.Minute || until.Location() != time.UTC {
		t.Fatalf("Extend must make a claim hold for an hour from now, lapsed or not: until %v, %v", until, err)
	}
	if got := st.claim(t, &driver.Query{}, 1, long); len(got) != 0 {
		t.Error("a renewed claim must keep others away")
	}
	if now := st.one(t, k.id(1)).Revision; now != rev {
		t.Errorf("Extend must leave the revision alone: %d became %d", rev, now)
	}
}

func testReleaseExpired(t *testing.T, k *kit) {
	st := k.fresh(t)
	c := claimer(t, st)
	lapsed := st.claimLapsed(t, k, 1)
	st.mustApply(t, create(k.plain(2)), create(k.plain(3)))
	q := &driver.Query{Where: []driver.Cond{{Column: driver.ColID, Op: driver.Eq, Values: []any{k.id(2)}}}}
	held := st.claim(t, q, 1, long)[0].Claim.Token
	rev := st.one(t, k.id(1)).Revision
	var n int64
	for try := 0; n == 0 && try < 300; try++ {
		time.Sleep(time.Duration(try) * 100 * time.Microsecond)
		var err error
		if n, err = c.ReleaseExpired(t.Context()); err != nil {
			t.Fatalf("ReleaseExpired must work: %v", err)
		}
	}
	if n != 1 {
		t.Fatalf("one claim had lapsed, not %d", n)
	}
	m := check(k.id(1), 0)
	m.Token = lapsed
	st.mustFail(t, &driver.RecordError{ID: k.id(1), Err: driver.ErrConflict}, m)
	m = check(k.id(2), 0)
	m.Token = held
	st.mustApply(t, m)
	if now := st.one(t, k.id(1)).Revision; now != rev {
		t.Errorf("ReleaseExpired must leave revisions alone: %d became %d", rev, now)
	}
}
