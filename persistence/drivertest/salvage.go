package drivertest

import (
	"errors"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// testSalvage checks that records are moved in their stored form, with all that belongs to them.
func testSalvage(t *testing.T, s *suite) {
	s.forBoth(t, "a record is moved as it is stored and put back", testARecordIsMovedAsItIsStoredAndPutBack)
	s.forBoth(t, "Withdraw wants the form that was read", testWithdrawWantsTheFormThatWasRead)
	s.forText(t, "a move is made whole or not at all", testAMoveIsMadeWholeOrNotAtAll)
	s.forText(t, "references follow a move", testReferencesFollowAMove)
}

func testARecordIsMovedAsItIsStoredAndPutBack(t *testing.T, k *kit) {
	st := k.fresh(t, fields...)
	v, side := k.salvager(t, st), k.namespace(t, st, "side")
	empty := k.rec(2)
	empty.Fields[5], empty.Fields[0] = []byte{}, nil
	st.mustApply(t, create(k.rec(1)), create(empty), create(k.rec(3)))
	st.mustApply(t, update(with(k.rec(1), "second"), 1))
	if c, ok := st.Backend.(driver.Claimer); ok {
		q := &driver.Query{Where: []driver.Cond{{Column: driver.ColState, Op: driver.Eq, Values: []any{k.rec(1).State}}}}
		if _, err := c.Claim(t.Context(), q, driver.Claiming{Owner: "me", Lease: time.Hour, Limit: 1}); err != nil {
			t.Fatalf("Claim must work: %v", err)
		}
	}
	before := st.all(t)
	forms := k.stored(t, v, k.id(1), k.id(2), k.id(9), k.id(1))
	if len(forms) != 2 {
		t.Fatalf("Stored must give each of the 2 records that exist once, not %d", len(forms))
	}
	for _, id := range k.ids(1, 3) {
		rec, err := v.OpenStored(driver.Objects, forms[id])
		if d := diff(before[id], normal(rec, everything)); err != nil || d != "" {
			t.Errorf("OpenStored must give the record %q: %v\n%s", id, err, d)
		}
	}
	keep := create(k.plain(1))
	keep.Namespace = "side"
	st.mustApply(t, withdraw(forms[k.id(1)]), keep, withdraw(forms[k.id(2)]))
	if objects, kept := st.all(t), side.all(t); len(objects) != 1 || len(kept) != 1 || diff(before[k.id(3)], objects[k.id(3)]) != "" {
		t.Fatalf("Withdraw must remove the records and leave the others: %d are left, %d beside", len(objects), len(kept))
	}
	st.mustApply(t, restore(forms[k.id(1)]), restore(forms[k.id(2)]))
	if d := diff(before, st.all(t)); d != "" {
		t.Errorf("Restore must store all that there was, revision, times, claim and columns too:\n%s", d)
	}
	again := k.stored(t, v, k.id(1))
	if string(again[k.id(1)].Data) != string(forms[k.id(1)].Data) {
		t.Errorf("a record that was put back must have the stored form that it had")
	}
	st.mustFail(t, &driver.RecordError{ID: k.id(1), Err: driver.ErrExists}, restore(forms[k.id(1)]))
}

func testWithdrawWantsTheFormThatWasRead(t *testing.T, k *kit) {
	st := k.fresh(t, fields...)
	v := k.salvager(t, st)
	st.mustApply(t, create(k.rec(1)), create(k.rec(2)))
	forms := k.stored(t, v, k.id(1), k.id(2))
	st.mustApply(t, update(with(k.rec(1), "newer"), 1), remove(k.id(2), 0))
	for _, id := range k.ids(1, 3) {
		st.mustFail(t, &driver.RecordError{ID: id, Err: driver.ErrConflict}, withdraw(forms[id]))
	}
	if got := st.one(t, k.id(1)); string(got.Data) != "newer" {
		t.Errorf("a record that has changed must stay: %q", got.Data)
	}
}

func testAMoveIsMadeWholeOrNotAtAll(t *testing.T, k *kit) {
	st := k.fresh(t, fields...)
	v, side := k.salvager(t, st), k.namespace(t, st, "side")
	st.mustApply(t, create(k.rec(1)))
	side.mustApply(t, create(k.plain(1)))
	form := k.stored(t, v, k.id(1))[k.id(1)]
	taken, gone := create(k.plain(1)), remove(k.id(2), 0)
	taken.Namespace, gone.Namespace = "side", "side"
	for _, ms := range [][]driver.Mutation{{withdraw(form), taken}, {taken, withdraw(form)}} {
		if _, err := st.Apply(t.Context(), ms); !errors.Is(err, driver.ErrExists) {
			t.Errorf("a place that is taken must be ErrExists, not %v", err)
		}
		st.one(t, k.id(1))
	}
	st.mustApply(t, withdraw(form))
	if _, err := st.Apply(t.Context(), []driver.Mutation{restore(form), gone}); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("a Delete of what is not there must be ErrNotFound, not %v", err)
	}
	if n := len(st.all(t)); n != 0 {
		t.Errorf("a record must not be put back by an Apply that fails, and %d are there", n)
	}
}

func testReferencesFollowAMove(t *testing.T, k *kit) {
	st := k.fresh(t)
	v := k.salvager(t, st)
	st.mustApply(t, create(k.plain(1)))
	form := k.stored(t, v, k.id(1))[k.id(1)]
	st.mustFail(t, &driver.RecordError{ID: k.id(2), Ref: k.id(1), Err: driver.ErrDangling},
		create(k.plain(2), k.id(1)), withdraw(form))
	st.mustApply(t, withdraw(form))
	st.mustApply(t, create(k.plain(2), k.id(1)), restore(form))
}

// salvager returns the backend of a store as one that moves records, or skips the test.
func (k *kit) salvager(t *testing.T, st *store) driver.Salvager {
	t.Helper()
	v, ok := st.Backend.(driver.Salvager)
	if !ok {
		t.Skip("the backend is no driver.Salvager")
	}
	return v
}

// stored reads the stored forms of objects.
func (k *kit) stored(t *testing.T, v driver.Salvager, ids ...driver.ID) map[driver.ID]driver.Stored {
	t.Helper()
	list, err := v.Stored(t.Context(), driver.Objects, ids, nil)
	if err != nil {
		t.Fatalf("Stored must work: %v", err)
	}
	forms := make(map[driver.ID]driver.Stored, len(list))
	for _, s := range list {
		if _, dup := forms[s.ID]; dup {
			t.Errorf("Stored must give %q once", s.ID)
		}
		forms[s.ID] = s
	}
	return forms
}

func withdraw(s driver.Stored) driver.Mutation {
	return driver.Mutation{Op: driver.Withdraw, Rec: driver.Record{ID: s.ID, Data: s.Data}}
}

func restore(s driver.Stored) driver.Mutation {
	return driver.Mutation{Op: driver.Restore, Rec: driver.Record{ID: s.ID, Data: s.Data}}
}
