package drivertest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// testNamespaces checks that namespaces besides the objects have the same guarantees.
func testNamespaces(t *testing.T, s *suite) {
	s.forBoth(t, "a namespace keeps records of its own", testANamespaceKeepsRecordsOfItsOwn)
	s.forText(t, "a namespace survives reopening and is shared by handles", testANamespaceSurvivesReopeningAndIsSharedByHandles)
	s.forBoth(t, "one Apply writes to several namespaces or to none", testOneApplyWritesToSeveralNamespacesOrToNone)
	s.forText(t, "a View sees one state of all namespaces", testAViewSeesOneStateOfAllNamespaces)
	s.forText(t, "a namespace survives Suspend and is closed with the store", testANamespaceSurvivesSuspendAndIsClosedWithTheStore)
	s.forText(t, "an unknown namespace is rejected", testAnUnknownNamespaceIsRejected)
}

func testANamespaceKeepsRecordsOfItsOwn(t *testing.T, k *kit) {
	st := k.fresh(t, fields...)
	side := k.namespace(t, st, "side")
	other := k.namespace(t, st, "other")
	st.mustApply(t, create(k.rec(1)), create(k.rec(2)))
	side.mustApply(t, create(with(k.plain(1), "beside")), create(k.plain(3)))
	side.mustApply(t, update(with(k.plain(1), "beside, new"), 1))
	if got := st.all(t); len(got) != 2 || string(got[k.id(1)].Data) != "data of 1" || got[k.id(1)].Revision != 1 {
		t.Errorf("what is written to a namespace must leave the records beside it alone: %+v", got)
	}
	if got := side.all(t); len(got) != 2 || string(got[k.id(1)].Data) != "beside, new" || got[k.id(1)].Revision != 2 {
		t.Errorf("a namespace must keep what is written to it: %+v", got)
	}
	if n := len(other.all(t)); n != 0 {
		t.Errorf("a namespace of another name must be empty, and has %d records", n)
	}
	side.mustFail(t, &driver.RecordError{ID: k.id(2), Err: driver.ErrNotFound}, update(k.plain(2), 0))
	side.mustFail(t, &driver.RecordError{ID: k.id(3), Ref: k.id(3), Err: driver.ErrDangling}, driver.Mutation{
		Op: driver.Update, Rec: k.plain(3), NewRefs: []driver.ID{k.id(3)}})
}

func testANamespaceSurvivesReopeningAndIsSharedByHandles(t *testing.T, k *kit) {
	k.needsReopening(t)
	st := k.fresh(t)
	side := k.namespace(t, st, "side")
	side.mustApply(t, create(k.plain(1)))
	again := k.open(t, st.url)
	if n := len(k.namespace(t, again, "side").all(t)); n != 1 {
		t.Errorf("another handle must find the namespace's record, not %d", n)
	}
}

func testOneApplyWritesToSeveralNamespacesOrToNone(t *testing.T, k *kit) {
	st := k.fresh(t, fields...)
	side := k.namespace(t, st, "side")
	inSide := func(m driver.Mutation) driver.Mutation { m.Namespace = "side"; return m }
	revs := st.mustApply(t, inSide(create(k.plain(2))), create(k.rec(1)), inSide(create(k.plain(1))), create(k.rec(2)))
	if want := []int64{1, 1, 1, 1}; !slices.Equal(revs, want) {
		t.Errorf("the revisions must be %v, not %v", want, revs)
	}
	revs = st.mustApply(t, update(with(k.rec(2), "new"), 1), inSide(update(with(k.plain(1), "new"), 1)), remove(k.id(1), 1))
	if want := []int64{2, 2, 0}; !slices.Equal(revs, want) {
		t.Errorf("the revisions must be %v, in the order of the mutations, not %v", want, revs)
	}
	if objects, pairs := len(st.all(t)), len(side.all(t)); objects != 1 || pairs != 2 {
		t.Errorf("there must be 1 object and 2 records beside it, not %d and %d", objects, pairs)
	}
	// A failure in one namespace writes nothing in the other, whichever comes first.
	for _, ms := range [][]driver.Mutation{
		{create(k.rec(5)), inSide(update(k.plain(9), 0))},
		{inSide(create(k.plain(5))), update(k.rec(9), 0)},
	} {
		if _, err := st.Apply(t.Context(), ms); !errors.Is(err, driver.ErrNotFound) {
			t.Errorf("an update of what is not there must be ErrNotFound in any namespace, not %v", err)
		}
	}
	if objects, pairs := len(st.all(t)), len(side.all(t)); objects != 1 || pairs != 2 {
		t.Errorf("a failed Apply must leave 1 object and 2 records beside it, not %d and %d", objects, pairs)
	}
	// A reference is to an object, never to a record of another namespace.
	st.mustFail(t, &driver.RecordError{ID: k.id(2), Ref: k.id(1), Err: driver.ErrDangling}, inSide(driver.Mutation{
		Op: driver.Update, Rec: k.plain(2), NewRefs: []driver.ID{k.id(1)}}))
	st.mustApply(t, inSide(driver.Mutation{Op: driver.Update, Rec: k.plain(1), NewRefs: []driver.ID{k.id(2)}}))
}

func testAViewSeesOneStateOfAllNamespaces(t *testing.T, k *kit) {
	st := k.fresh(t)
	side := k.namespace(t, st, "side")
	written := make(chan struct{})
	err := st.View(t.Context(), func(r driver.Reader) error {
		if n, err := r.Count(t.Context(), &driver.Query{}); n != 0 || err != nil {
			t.Errorf("the store must be empty: %d, %v", n, err)
		}
		go func() {
			defer close(written)
			both := create(k.plain(2))
			both.Namespace = "side"
			if _, err := st.Apply(t.Context(), []driver.Mutation{create(k.plain(1)), both}); err != nil {
				t.Errorf("Apply must work: %v", err)
			}
		}()
		select {
		case <-written:
		case <-time.After(100 * time.Millisecond): // writers may wait for readers
		}
		pairs, err := driver.InNamespace(r, "side")
		if err != nil {
			return err
		}
		n, err := pairs.Count(t.Context(), &driver.Query{})
		if n != 0 {
			t.Errorf("what is committed during a View must not be seen in it, in any namespace")
		}
		return err
	})
	<-written
	if err != nil {
		t.Fatal(err)
	}
	if n := len(side.all(t)); n != 1 {
		t.Errorf("a later View must see the record, not %d", n)
	}
}

func testANamespaceSurvivesSuspendAndIsClosedWithTheStore(t *testing.T, k *kit) {
	st := k.fresh(t)
	side := k.namespace(t, st, "side")
	side.mustApply(t, create(k.plain(1)))
	if sus, ok := st.Backend.(driver.Suspender); ok {
		if err := errors.Join(sus.Suspend(), sus.Resume()); err != nil {
			t.Fatalf("Suspend and Resume must work: %v", err)
		}
	}
	if n := len(side.all(t)); n != 1 {
		t.Errorf("a namespace must keep its record through Suspend and Resume, not %d", n)
	}
	if err := st.Close(); err != nil {
		t.Errorf("Close must work: %v", err)
	}
	if _, err := side.Apply(t.Context(), []driver.Mutation{create(k.plain(2))}); !errors.Is(err, driver.ErrClosed) {
		t.Errorf("a namespace of a closed backend must be ErrClosed, not %v", err)
	}
}

func testAnUnknownNamespaceIsRejected(t *testing.T, k *kit) {
	st := k.fresh(t)
	side := k.namespace(t, st, "side")
	m := create(k.plain(1))
	m.Namespace = "never_prepared"
	if _, err := st.Apply(t.Context(), []driver.Mutation{create(k.plain(2)), m}); err == nil {
		t.Error("a Mutation in a namespace that was never prepared must be an error")
	}
	if n := len(st.all(t)) + len(side.all(t)); n != 0 {
		t.Errorf("nothing must have been written, not %d records", n)
	}
}

// namespace prepares a namespace of a store and returns it as a store, or skips the test if the
// backend is no Namespacer.
func (k *kit) namespace(t *testing.T, st *store, name driver.Namespace) *store {
	t.Helper()
	if _, ok := st.Backend.(driver.Namespacer); !ok {
		t.Skip("the backend is no driver.Namespacer")
	}
	s := k.schema()
	if err := driver.InitNamespace(t.Context(), st.Backend, name, s); err != nil {
		t.Fatalf("InitNamespace(%q) must work: %v", name, err)
	}
	b := inNamespace{st.Backend, name}
	return &store{Backend: b, url: st.url, schema: s, cols: driver.NewColumns(s), meta: st.meta}
}

// inNamespace is a Backend of the records of one namespace.
type inNamespace struct {
	driver.Backend
	name driver.Namespace
}

func (b inNamespace) Apply(ctx context.Context, ms []driver.Mutation) ([]int64, error) {
	ms = slices.Clone(ms)
	for i := range ms {
		ms[i].Namespace = b.name
	}
	return b.Backend.Apply(ctx, ms)
}

func (b inNamespace) View(ctx context.Context, fn func(driver.Reader) error) error {
	return b.Backend.View(ctx, func(r driver.Reader) error {
		in, err := driver.InNamespace(r, b.name)
		if err != nil {
			return err
		}
		return fn(in)
	})
}
