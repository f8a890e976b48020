package drivertest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

const (
	long  = time.Hour
	short = time.Microsecond
)

// testClaims checks that a record is claimed by one owner at a time, until the lease ends.
func testClaims(t *testing.T, s *suite) {
	s.forBoth(t, "claims follow the order of the query", testClaimOrder)
	s.forBoth(t, "a claim raises the revision and changes nothing else", testClaimChanges)
	s.forBoth(t, "no record is claimed again before its lease ends", testLease)
	s.forBoth(t, "writes under a token", testToken)
	s.forText(t, "writes without a token leave the claim alone", testClaimStays)
	s.forBoth(t, "a claim is extended only with its token", testExtend)
	s.forText(t, "ReleaseExpired ends the claims that have lapsed", testReleaseExpired)
	s.forBoth(t, "edits are stored together with the claim", testEdit)
	s.forText(t, "queries by the columns of claims", testClaimQueries)
	s.forText(t, "invalid parameters are rejected", testClaimingChecked)
	s.forBoth(t, "each record is claimed once however many claim at once", testManyClaim)
	s.forText(t, "a claim outlives its handle", testClaimKept)
}

// claimer skips a test if the backend is no Claimer.
func claimer(t *testing.T, st *store) driver.Claimer {
	t.Helper()
	c, ok := st.Backend.(driver.Claimer)
	if !ok {
		t.Skip("the backend is no driver.Claimer")
	}
	return c
}

// claim claims records, which must succeed.
func (st *store) claim(t failer, q *driver.Query, limit int, lease time.Duration) []driver.Record {
	t.Helper()
	recs, err := st.Backend.(driver.Claimer).Claim(bg, q, driver.Claiming{Owner: "me", Lease: lease, Limit: limit})
	if err != nil {
		t.Fatalf("Claim must succeed: %v", err)
	}
	return recs
}

// mustClaim claims all records, and returns the tokens by ID.
func (st *store) mustClaim(t failer, n int, lease time.Duration) map[driver.ID]int64 {
	t.Helper()
	tokens := map[driver.ID]int64{}
	for _, rec := range st.claim(t, &driver.Query{}, 1000, lease) {
		tokens[rec.ID] = rec.Claim.Token
	}
	if len(tokens) != n {
		t.Fatalf("all %d records must be claimed, not %d", n, len(tokens))
	}
	return tokens
}

func testClaimOrder(t *testing.T, k *kit) {
	st := k.fresh(t, fields...)
	claimer(t, st)
	var ms []driver.Mutation
	for n := range 12 {
		r := k.rec(n)
		if n%4 == 3 {
			r.Fields[0] = nil
		}
		ms = append(ms, create(r))
	}
	st.mustApply(t, ms...)
	running := driver.Cond{Column: driver.ColState, Op: driver.Eq, Values: []any{"RUNNING"}} // 1 4 7 10
	for _, x := range []struct {
		q     driver.Query
		limit int
		want  []int
	}{
		{driver.Query{Where: []driver.Cond{running}}, 2, []int{1, 4}},
		{driver.Query{Where: []driver.Cond{running}, Order: []driver.Order{{Column: "order", Desc: true}}}, 1, []int{10}},
		{driver.Query{Order: []driver.Order{{Column: "name", Desc: true}}}, 3, []int{9, 8, 6}}, // "name 9", "name 8"
		{driver.Query{Order: []driver.Order{{Column: "name"}}, Where: []driver.Cond{{Column: "order", Op: driver.Ge, Values: []any{int64(2)}}}},
			3, []int{2, 5, 3}}, // 3 has no name, nor have 7 and 11
		{driver.Query{Where: []driver.Cond{{Column: driver.ColID, Op: driver.In, Values: nil}}}, 4, nil},
		{driver.Query{}, 100, []int{0, 7, 11}},
	} {
		got := st.claim(t, &x.q, x.limit, long)
		wantIDs := make([]driver.ID, len(x.want))
		for i, n := range x.want {
			wantIDs[i] = k.id(n)
		}
		if ids := idsOf(got); !slices.Equal(ids, wantIDs) {
			t.Fatalf("claiming %d of %+v must take %q, the first free ones in this order, not %q", x.limit, x.q, wantIDs, ids)
		}
	}
}

func testClaimChanges(t *testing.T, k *kit) {
	st := k.fresh(t, fields...)
	claimer(t, st)
	st.mustApply(t, create(k.rec(1)), create(k.rec(2)))
	st.mustApply(t, update(k.rec(1), 1))
	before := st.all(t)
	begin := time.Now()
	got := st.claim(t, &driver.Query{}, 1, long)
	if len(got) != 1 {
		t.Fatalf("one record must be claimed, not %d", len(got))
	}
	claim := got[0].Claim
	if claim.Owner != "me" || claim.Token != 3 || got[0].Revision != 3 {
		t.Errorf("the claim must have its owner and the new revision, 3, for token, not %+v at revision %d", claim, got[0].Revision)
	}
	// The backend may read the clock of another machine.
	if lasts := claim.Until.Sub(begin); lasts < long-time.Minute || lasts > long+time.Minute || claim.Until.Location() != time.UTC ||
		!claim.Until.Equal(claim.Until.Truncate(time.Microsecond)) {
		t.Errorf("the claim must hold for an hour, in UTC and whole microseconds, not until %v at %v", claim.Until, begin)
	}
	want := before[k.id(1)]
	want.Revision, want.Claim = 3, claim
	info := want
	info.Fields, info.Data = nil, nil
	if d := diff(info, normal(got[0], driver.Info)); d != "" {
		t.Errorf("Claim must give the record's Info and Claim (-want +got):\n%s", d)
	}
	after := st.all(t)
	rec := after[k.id(1)]
	rec.Claim = claim // it may be read, and must then be this one: see the queries
	if d := diff(want, rec); d != "" {
		t.Errorf("Claim must change the revision and the claim alone (-want +got):\n%s", d)
	}
	if d := diff(before[k.id(2)], after[k.id(2)]); d != "" {
		t.Errorf("Claim must leave other records alone (-want +got):\n%s", d)
	}
	// The revision before the claim.
	st.mustFail(t, &driver.RecordError{ID: k.id(1), Err: driver.ErrConflict}, update(k.rec(1), 2))
}

func testEdit(t *testing.T, k *kit) {
	st := k.fresh(t, fields...)
	c := claimer(t, st)
	st.mustApply(t, create(k.rec(0)), create(k.rec(1)), create(k.rec(2)), create(k.rec(3)))
	before := st.all(t)
	got, err := c.Claim(t.Context(), &driver.Query{}, driver.Claiming{Owner: "me", Lease: long, Limit: 2, Edit: func(r *driver.Record) error {
		was := before[r.ID]
		r.Claim = driver.Claim{}
		if d := diff(was, normal(*r, everything)); d != "" {
			t.Errorf("Edit must be given the record as it is (-want +got):\n%s", d)
		}
		if r.ID == k.id(1) {
			return fmt.Errorf("not this one")
		}
		*r = with(*r, "edited")
		r.State, r.Modified, r.Fields[2] = "TAKEN", baseTime.Add(long), int64(-1)
		return nil
	}})
	if err != nil || !slices.Equal(idsOf(got), []driver.ID{k.id(0), k.id(2)}) {
		t.Fatalf("Claim must pass over what Edit refuses and take the next: %q, %v", idsOf(got), err)
	}
	after := st.all(t)
	for id, was := range before {
		want := was
		if id == k.id(0) || id == k.id(2) {
			want = with(want, "edited")
			want.State, want.Modified, want.Revision = "TAKEN", baseTime.Add(long), was.Revision+1
			want.Fields = slices.Clone(want.Fields)
			want.Fields[2] = int64(-1)
		}
		rec := after[id]
		rec.Claim = driver.Claim{}
		if d := diff(want, rec); d != "" {
			t.Errorf("what Edit makes of a record must be stored, and nothing of others (-want +got):\n%s", d)
		}
	}
	if got[0].State != "TAKEN" || got[0].Size != 6 {
		t.Errorf("Claim must give the record as edited, not %+v", got[0])
	}
	if ids := idsOf(st.claim(t, &driver.Query{}, 10, long)); !slices.Equal(ids, []driver.ID{k.id(1), k.id(3)}) {
		t.Errorf("what Edit refused must stay unclaimed: free were %q", ids)
	}
}

func testClaimQueries(t *testing.T, k *kit) {
	st := k.fresh(t)
	c := claimer(t, st)
	for n := range 5 {
		st.mustApply(t, create(k.plain(n)))
	}
	var claims []driver.Claim
	for i, owner := range []string{"a", "b", "a"} {
		got, err := c.Claim(t.Context(), &driver.Query{}, driver.Claiming{Owner: owner, Lease: long - time.Duration(i)*time.Minute, Limit: 1})
		if err != nil || len(got) != 1 {
			t.Fatalf("Claim must succeed: %d records, %v", len(got), err)
		}
		claims = append(claims, got[0].Claim)
	}
	for _, x := range []struct {
		cond driver.Cond
		want []int
	}{
		{driver.Cond{Column: driver.ColClaimUntil, Op: driver.NotNull}, []int{0, 1, 2}},
		{driver.Cond{Column: driver.ColClaimOwner, Op: driver.IsNull}, []int{3, 4}},
		{driver.Cond{Column: driver.ColClaimOwner, Op: driver.Eq, Values: []any{"a"}}, []int{0, 2}},
		{driver.Cond{Column: driver.ColClaimOwner, Op: driver.Ne, Values: []any{"a"}}, []int{1, 3, 4}},
		{driver.Cond{Column: driver.ColClaimToken, Op: driver.Eq, Values: []any{claims[1].Token}}, []int{0, 1, 2}},
		{driver.Cond{Column: driver.ColClaimUntil, Op: driver.Lt, Values: []any{claims[0].Until}}, []int{1, 2}},
	} {
		got := st.scan(t, &driver.Query{Where: []driver.Cond{x.cond}, Parts: driver.Info})
		want := make([]driver.ID, len(x.want))
		for i, n := range x.want {
			want[i] = k.id(n)
		}
		if !slices.Equal(idsOf(got), want) {
			t.Errorf("%+v must select %q, not %q", x.cond, want, idsOf(got))
		}
		narrow := &driver.Query{Where: []driver.Cond{x.cond}, Parts: driver.Info, Columns: []string{driver.ColClaimUntil}}
		for i, rec := range st.scan(t, narrow) {
			if !rec.Claim.Until.Equal(got[i].Claim.Until) || (rec.Claim.Owner == "") != (got[i].Claim.Owner == "") {
				t.Errorf("with the end of a claim its owner must be read: want %+v, got %+v", got[i].Claim, rec.Claim)
			}
		}
		for _, rec := range got {
			if i := slices.Index([]driver.ID{k.id(0), k.id(1), k.id(2)}, rec.ID); i >= 0 {
				if d := diff(claims[i], rec.Claim); d != "" {
					t.Errorf("a record read with Info must come with its claim (-want +got):\n%s", d)
				}
			} else if rec.Claim != (driver.Claim{}) {
				t.Errorf("the record %q that nobody has claimed must come without a claim, not with %+v", rec.ID, rec.Claim)
			}
		}
	}
	ordered := st.scan(t, &driver.Query{Order: []driver.Order{{Column: driver.ColClaimUntil}}})
	if want := []driver.ID{k.id(2), k.id(1), k.id(0), k.id(3), k.id(4)}; !slices.Equal(idsOf(ordered), want) {
		t.Errorf("ordered by the end of the claims the records must be %q, not %q", want, idsOf(ordered))
	}
}

func testClaimingChecked(t *testing.T, k *kit) {
	st := k.fresh(t)
	c := claimer(t, st)
	st.mustApply(t, create(k.plain(1)))
	for _, bad := range []driver.Claiming{
		{Owner: "", Lease: long, Limit: 1}, {Owner: "me", Lease: 0, Limit: 1}, {Owner: "me", Lease: -long, Limit: 1}, {Owner: "me", Lease: long, Limit: 0},
	} {
		if _, err := c.Claim(t.Context(), &driver.Query{}, bad); err == nil {
			t.Errorf("Claim must refuse %+v", bad)
		}
	}
	if got := st.claim(t, &driver.Query{}, 1, long); len(got) != 1 {
		t.Error("what was refused must leave the record free")
	}
}

func testManyClaim(t *testing.T, k *kit) {
	st := k.fresh(t)
	claimer(t, st)
	handles := []*store{st, st}
	if !k.Private {
		handles[1] = k.open(t, st.url)
	}
	const n = 240
	var ms []driver.Mutation
	for i := range n {
		ms = append(ms, create(k.plain(i)))
	}
	st.mustApply(t, ms...)
	var mu sync.Mutex
	times := map[driver.ID]int{}
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			h := handles[g%2]
			for limit := 1 + g%3*5; ; {
				got := h.claim(t, &driver.Query{}, limit, long)
				if len(got) > limit {
					t.Errorf("%d records claimed where %d were asked for", len(got), limit)
				}
				mu.Lock()
				for _, rec := range got {
					times[rec.ID]++
				}
				done := len(times) == n
				mu.Unlock()
				if done {
					return
				}
			}
		})
	}
	all.Wait()
	for id, n := range times {
		if n != 1 {
			t.Errorf("%q must be claimed by one, and was by %d", id, n)
		}
	}
}

func testClaimKept(t *testing.T, k *kit) {
	k.needsReopening(t)
	st := k.fresh(t)
	claimer(t, st)
	st.mustApply(t, create(k.plain(1)), create(k.plain(2)))
	got := st.claim(t, &driver.Query{}, 1, long)
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	again := k.open(t, st.url)
	if sus, ok := again.Backend.(driver.Suspender); ok {
		letGo(t, sus)
	}
	if ids := idsOf(again.claim(t, &driver.Query{}, 10, long)); !slices.Equal(ids, []driver.ID{k.id(2)}) {
		t.Errorf("a claim must outlive the handle that made it: free were %q", ids)
	}
	m := update(with(k.plain(1), "by another handle"), 0)
	m.Token = got[0].Claim.Token
	again.mustApply(t, m)
}
