package sql

import (
	"context"
	"fmt"
	"slices"

	"github.com/brine-go/brine/persistence/driver"
)

// A version is what of a record the conditions of mutations are about.
type version struct{ revision, token int64 }

// record returns the version in the form that [driver.Mutation.Check] takes.
func (v version) record() driver.Record {
	return driver.Record{Revision: v.revision, Claim: driver.Claim{Token: v.token}}
}

// check finds out whether the records of mutations that only read are there, as the mutations want
// them.
func (t *batch) check(ctx context.Context, c *conn, at []int) error {
	ids := make([]driver.ID, len(at))
	for k, i := range at {
		ids[k] = t.ms[i].Rec.ID
	}
	l := t.layout(at[0])
	found, err := l.versions(ctx, c, ids, t.wantClaims(at))
	if err != nil {
		return err
	}
	for _, i := range at {
		v, there := found[t.ms[i].Rec.ID]
		rec := v.record()
		if !there || t.ms[i].Check(&rec) != nil {
			return errFailed
		}
		t.revs[i] = max(v.revision, 0)
	}
	return nil
}

// wantClaims reports whether one of the mutations wants a claim.
func (t *batch) wantClaims(at []int) bool {
	return slices.ContainsFunc(at, func(i int) bool {
		op := t.ms[i].Op
		return t.ms[i].Token != 0 && (op == driver.Update || op == driver.Delete || op == driver.Check)
	})
}

// versions returns the versions of those records that are there, with the token of the claim where
// tokens is true.
func (l *layout) versions(ctx context.Context, c *conn, ids []driver.ID, tokens bool) (map[driver.ID]version, error) {
	var extra []*column
	if l.revision != nil {
		extra = append(extra, l.revision)
	}
	if tokens {
		extra = append(extra, l.claimToken)
	}
	s := l.selection(0, extra...)
	found := make(map[driver.ID]version, len(ids))
	err := l.eachKey(ctx, c, ids, s, func() error {
		rec, err := s.record()
		if err != nil {
			return err
		}
		var v version
		if l.revision != nil {
			// NULL is a revision that no mutation can want, and 0 would be one that each may.
			if v.revision, err = s.cells[1].integer(-1); err != nil {
				return &driver.RecordError{ID: rec.ID, Err: fmt.Errorf("%w: revision: %w", driver.ErrCorrupt, err)}
			}
		}
		if tokens { // and so revisions
			if v.token, err = s.cells[2].integer(0); err != nil {
				return &driver.RecordError{ID: rec.ID, Err: fmt.Errorf("%w: token of the claim: %w", driver.ErrCorrupt, err)}
			}
		}
		found[rec.ID] = v
		return nil
	})
	return found, err
}

// checkRefs finds out whether every new reference leads to an object, after the writes.
func (t *batch) checkRefs(ctx context.Context, c *conn) error {
	outside := t.outsideRefs()
	if len(outside) == 0 {
		return nil
	}
	if outside[0] == "" {
		return errFailed
	}
	found, err := t.tables.objects.versions(ctx, c, outside, false)
	if err == nil && len(found) < len(outside) {
		err = errFailed
	}
	return err
}

// outsideRefs returns the distinct new references to objects that the batch neither writes nor
// checks; one to an object that the batch deletes is given as "".
func (t *batch) outsideRefs() []driver.ID {
	n := 0
	for i := range t.ms {
		n += len(t.ms[i].NewRefs)
	}
	if n == 0 {
		return nil
	}
	inside := make(map[driver.ID]driver.Op, len(t.ms))
	for i := range t.ms {
		if t.ms[i].Namespace.Storage() == driver.Objects {
			inside[t.ms[i].Rec.ID] = t.ms[i].Op
		}
	}
	var outside []driver.ID
	for i := range t.ms {
		for _, ref := range t.ms[i].NewRefs {
			switch inside[ref] {
			case 0:
				outside = append(outside, ref)
			case driver.Delete, driver.Withdraw:
				outside = append(outside, "")
			}
		}
	}
	slices.Sort(outside)
	return slices.Compact(outside)
}

// diagnose finds the first mutation, in the caller's order, that cannot be made on what is there;
// nil: all can. It is asked only after a failure, when everything has been rolled back. refused: a
// unique index was in the way, or the ID.
func (t *batch) diagnose(ctx context.Context, o *open, refused bool) error {
	return t.b.view(ctx, o, func(c *conn) error { return t.obstacle(ctx, c, refused) })
}

// obstacle is diagnose on one connection.
func (t *batch) obstacle(ctx context.Context, c *conn, refused bool) error {
	found := map[driver.Namespace]map[driver.ID]version{}
	for rest := t.order; len(rest) > 0; {
		ns := t.ms[rest[0]].Namespace
		n := 1
		for n < len(rest) && t.ms[rest[n]].Namespace == ns {
			n++
		}
		var ids []driver.ID
		for _, i := range rest[:n] {
			ids = append(ids, t.ms[i].Rec.ID)
		}
		if ns == driver.Objects {
			ids = append(ids, t.newRefs()...)
		}
		versions, err := t.layout(rest[0]).versions(ctx, c, ids, t.wantClaims(rest[:n]))
		if err != nil {
			return err
		}
		found[ns], rest = versions, rest[n:]
	}
	if refs := t.newRefs(); len(refs) > 0 && found[driver.Objects] == nil {
		versions, err := t.tables.objects.versions(ctx, c, refs, false)
		if err != nil {
			return err
		}
		found[driver.Objects] = versions
	}
	if err := t.firstFailure(found); err != nil || !refused {
		return err
	}
	t.uniques = nil // to be found once more
	return t.clash(ctx, c)
}

// newRefs returns all new references.
func (t *batch) newRefs() []driver.ID {
	var refs []driver.ID
	for i := range t.ms {
		refs = append(refs, t.ms[i].NewRefs...)
	}
	return refs
}

// firstFailure returns the error of the first mutation that fails where found is what there was
// before.
func (t *batch) firstFailure(found map[driver.Namespace]map[driver.ID]version) error {
	after := make(map[driver.ID]bool, len(t.ms))
	for i := range t.ms {
		if t.ms[i].Namespace.Storage() == driver.Objects {
			after[t.ms[i].Rec.ID] = t.ms[i].Op != driver.Delete && t.ms[i].Op != driver.Withdraw
		}
	}
	for i := range t.ms {
		m := t.ms[i]
		if t.layout(i).revision == nil {
			m.IfRev = 0
		}
		var was *driver.Record
		if v, there := found[m.Namespace][m.Rec.ID]; there {
			rec := v.record()
			was = &rec
		}
		if err := m.Check(was); err != nil {
			return err
		}
		for _, ref := range m.NewRefs {
			_, was := found[driver.Objects][ref]
			if is, inside := after[ref]; inside && !is || !inside && !was {
				return &driver.RecordError{ID: m.Rec.ID, Ref: ref, Err: driver.ErrDangling}
			}
		}
	}
	return nil
}
