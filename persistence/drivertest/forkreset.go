package drivertest

import (
	"context"
	"errors"
	"testing"

	"github.com/brine-go/brine/persistence/driver"
)

// testForkReset checks that a backend that can be suspended resumes with nothing lost.
func testForkReset(t *testing.T, s *suite) {
	s.forBoth(t, "suspend and resume keep everything", testSuspendAndResumeKeepEverything)
	s.forText(t, "others may write while a handle is suspended", testOthersMayWriteWhileAHandleIsSuspended)
	s.forText(t, "a suspended handle may be closed", testASuspendedHandleMayBeClosed)
	s.forText(t, "ping opens a suspended handle", testPingOpensASuspendedHandle)
	s.forText(t, "a handle may be suspended before its first use", testAHandleMayBeSuspendedBeforeItsFirstUse)
}

func testSuspendAndResumeKeepEverything(t *testing.T, k *kit) {
	st := k.fresh(t, fields...)
	sus := suspender(t, st)
	m := newModel(st.schema)
	last := int64(0)
	for round := range 5 {
		ms := []driver.Mutation{create(k.rec(round + 10)), put(k.rec(1))}
		st.mustApply(t, ms...)
		_, _ = m.apply(ms)
		letGo(t, sus)
		if round%2 == 1 {
			letGo(t, sus)
		}
		if d := diff(m.recs, st.all(t)); d != "" {
			t.Fatalf("Suspend and Resume must keep every record (-want +got):\n%s", d)
		}
		st.mustFail(t, &driver.RecordError{ID: k.id(1), Err: driver.ErrConflict}, update(k.rec(1), 99))
		n, err := st.NextIDs(t.Context(), 3)
		if err != nil || n < last+1 {
			t.Fatalf("the counter must go on above %d after Suspend and Resume, not at %d (%v)", last, n, err)
		}
		last = n + 2
	}
}

func testOthersMayWriteWhileAHandleIsSuspended(t *testing.T, k *kit) {
	k.needsReopening(t)
	st := k.fresh(t)
	sus := suspender(t, st)
	other := k.open(t, st.url)
	st.mustApply(t, create(k.plain(1)))
	if err := sus.Suspend(); err != nil {
		t.Fatalf("Suspend must work: %v", err)
	}
	other.mustApply(t, update(with(k.plain(1), "new"), 1), create(k.plain(2)))
	if err := sus.Resume(); err != nil {
		t.Fatalf("Resume must work: %v", err)
	}
	if got := st.all(t); len(got) != 2 || string(got[k.id(1)].Data) != "new" {
		t.Errorf("a handle must see after Resume what others wrote meanwhile, not %v", got)
	}
	st.mustApply(t, update(k.plain(1), 2))
	if rev := other.one(t, k.id(1)).Revision; rev != 3 {
		t.Errorf("others must see what a handle writes after Resume: revision 3, not %d", rev)
	}
}

func testASuspendedHandleMayBeClosed(t *testing.T, k *kit) {
	st := k.fresh(t)
	sus := suspender(t, st)
	st.mustApply(t, create(k.plain(1)))
	if err := sus.Suspend(); err != nil {
		t.Fatalf("Suspend must work: %v", err)
	}
	if err := st.Close(); err != nil {
		t.Errorf("Close must work while suspended: %v", err)
	}
	if k.Private {
		return
	}
	if n := len(k.open(t, st.url).all(t)); n != 1 {
		t.Errorf("closing while suspended must keep the record, not %d", n)
	}
}

func testPingOpensASuspendedHandle(t *testing.T, k *kit) {
	st := k.fresh(t)
	p, ok := st.Backend.(driver.Pinger)
	if !ok {
		t.Skip("the backend is no driver.Pinger")
	}
	if err := p.Ping(t.Context()); err != nil {
		t.Errorf("Ping must find what Init has made: %v", err)
	}
	st.mustApply(t, create(k.plain(1)))
	if sus, ok := st.Backend.(driver.Suspender); ok {
		letGo(t, sus)
	}
	if err := p.Ping(t.Context()); err != nil {
		t.Errorf("Ping must find the data after Suspend and Resume: %v", err)
	}
	if n := len(st.all(t)); n != 1 {
		t.Errorf("Ping must change nothing: 1 record, not %d", n)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Ping(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Ping must honor its context, and not return %v", err)
	}
}

func testAHandleMayBeSuspendedBeforeItsFirstUse(t *testing.T, k *kit) {
	st := k.fresh(t)
	letGo(t, suspender(t, st))
	st.mustApply(t, create(k.plain(1)))
	if n := len(st.all(t)); n != 1 {
		t.Errorf("a handle must work after Suspend and Resume: 1 record, not %d", n)
	}
}

// suspender skips a test if the backend is no Suspender.
func suspender(t *testing.T, st *store) driver.Suspender {
	t.Helper()
	sus, ok := st.Backend.(driver.Suspender)
	if !ok {
		t.Skip("the backend is no driver.Suspender")
	}
	return sus
}

func letGo(t *testing.T, s driver.Suspender) {
	t.Helper()
	if err := s.Suspend(); err != nil {
		t.Fatalf("Suspend must work: %v", err)
	}
	if err := s.Resume(); err != nil {
		t.Fatalf("Resume must work: %v", err)
	}
}
