package sql

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/brine-go/brine/persistence/driver"
)

// errFailed: a mutation failed. Which one is the first in the caller's order is found out afterwards.
var errFailed = errors.New("a mutation failed")

// Apply implements [driver.Backend].
func (b *Backend) Apply(ctx context.Context, ms []driver.Mutation) ([]int64, error) {
	o, l, err := b.ready(ctx)
	if err != nil {
		return nil, err
	}
	defer b.leave()
	if len(ms) == 0 {
		return nil, nil
	}
	if err := l.checkBatch(ms); err != nil {
		return nil, err
	}
	t := &batch{b: b, l: l, ms: ms}
	t.sort()
	if o.group != nil {
		err = o.group.apply(ctx, o, t)
	} else {
		err = t.byItself(ctx, o)
	}
	if err != nil {
		return nil, err
	}
	return t.revs, nil
}

// byItself makes the mutations in a transaction of their own.
func (t *batch) byItself(ctx context.Context, o *open) (err error) {
	// A batch that failed although nothing is found to stand in its way has met a writer that was
	// quicker and is gone again: it may be tried again, but not for ever.
	for range 3 {
		if err = t.apply(ctx, o); err == nil {
			return nil
		}
		if !errors.Is(err, errFailed) && t.b.classify(err) != Unique {
			break
		}
		if found := t.diagnose(ctx, o); found != nil {
			err = found
			break
		}
	}
	return t.explain(err)
}

// A batch is one Apply.
type batch struct {
	b     *Backend
	l     *layout
	ms    []driver.Mutation
	keys  []any   // what is bound for the IDs; nil: no record of this table can have it
	order []int   // the mutations in the order of their IDs
	revs  []int64 // the result
	at    []int   // the mutations of the statement that failed
}

// checkBatch refuses what a statement could not even be made of.
func (l *layout) checkBatch(ms []driver.Mutation) error {
	for i := range ms {
		m := &ms[i]
		if m.Op < driver.Create || m.Op > driver.SetFields {
			return fmt.Errorf("record %q: unknown operation %d", m.Rec.ID, m.Op)
		}
		if (m.Op <= driver.Put || m.Op == driver.SetFields) && len(m.Rec.Fields) != len(l.fields) {
			return fmt.Errorf("record %q: %d extra fields where the schema has %d", m.Rec.ID, len(m.Rec.Fields), len(l.fields))
		}
		if (m.Token != 0 || m.Release) && (m.Op == driver.Update || m.Op == driver.Delete || m.Op == driver.Check) {
			if err := l.claimable(); err != nil {
				return err
			}
		}
		if _, ok := l.key(m.Rec.ID); !ok && (m.Op == driver.Create || m.Op == driver.Put) {
			return fmt.Errorf("record %q: table %q cannot hold this ID", m.Rec.ID, l.name)
		}
		if size := int64(len(m.Rec.Data)); size > l.traits.MaxValue {
			return &driver.RecordError{ID: m.Rec.ID, Err: fmt.Errorf("%w: data of %d bytes, where %s holds up to %d",
				driver.ErrTooLarge, size, l.traits.Name, l.traits.MaxValue)}
		}
	}
	return nil
}

func (t *batch) sort() {
	t.keys, t.order, t.revs = make([]any, len(t.ms)), make([]int, len(t.ms)), make([]int64, len(t.ms))
	sorted := true
	for i := range t.ms {
		if k, ok := t.l.key(t.ms[i].Rec.ID); ok {
			t.keys[i] = k
		}
		t.order[i] = i
		sorted = sorted && (i == 0 || compareKeys(t.keys[i-1], t.keys[i]) < 0)
	}
	if !sorted {
		slices.SortFunc(t.order, func(i, j int) int { return compareKeys(t.keys[i], t.keys[j]) })
	}
}

func compareKeys(a, b any) int {
	switch a := a.(type) {
	case int64:
		if b, ok := b.(int64); ok {
			return cmp.Compare(a, b)
		}
		return 1
	case string:
		if b, ok := b.(string); ok {
			return strings.Compare(a, b)
		}
		return 1
	}
	if b == nil {
		return 0
	}
	return -1
}

// apply makes the mutations once.
func (t *batch) apply(ctx context.Context, o *open) error {
	if len(t.ms) == 1 && len(t.ms[0].NewRefs) == 0 && !t.looks(0) {
		return t.alone(ctx, o)
	}
	return t.b.write(ctx, o, func(c *conn) error { return t.all(ctx, c) })
}

// all makes the mutations inside a transaction.
func (t *batch) all(ctx context.Context, c *conn) error {
	for i := 0; i < len(t.order); {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := t.run(i)
		t.at = t.order[i : i+n]
		if err := t.mutate(ctx, c, t.at); err != nil {
			return err
		}
		i += n
	}
	t.at = nil
	return t.checkRefs(ctx, c)
}

// looks reports whether mutation i writes nothing.
func (t *batch) looks(i int) bool { return t.ms[i].Op == driver.Check && !t.ms[i].Release }

// alone makes one mutation, which is a transaction of its own.
func (t *batch) alone(ctx context.Context, o *open) error {
	return t.b.autocommit(ctx, o, func(ctx context.Context, c *conn) error {
		t.at = t.order
		return t.mutate(ctx, c, t.at)
	})
}

// run returns how many mutations, from order[i] on, one statement makes.
func (t *batch) run(i int) int {
	op := t.ms[t.order[i]].Op
	if op != driver.Create && !t.looks(t.order[i]) {
		return 1
	}
	shapes := t.l.traits.insertShapes()
	if op == driver.Check {
		shapes = t.l.traits.getShapes()
	}
	most := shapes[len(shapes)-1]
	n, size := 0, 0
	for n < most && i+n < len(t.order) && t.ms[t.order[i+n]].Op == op && !t.ms[t.order[i+n]].Release {
		if size += len(t.ms[t.order[i+n]].Rec.Data); size > t.l.traits.MaxBatchBytes && n > 0 {
			break
		}
		n++
	}
	if op == driver.Check {
		return n
	}
	for _, shape := range slices.Backward(shapes) {
		if shape <= n && shape*len(t.l.written) <= t.l.traits.MaxParams {
			return shape
		}
	}
	return 1
}

// mutate runs the statement of some mutations of one kind.
func (t *batch) mutate(ctx context.Context, c *conn, at []int) error {
	ctx = t.b.short(ctx)
	m := &t.ms[at[0]]
	if t.keys[at[0]] == nil && !t.looks(at[0]) {
		return errFailed // no record has such an ID
	}
	l, key := t.l, t.keys[at[0]]
	switch m.Op {
	case driver.Create:
		args := make([]any, 0, len(at)*len(l.written))
		for _, i := range at {
			args = l.row(args, &t.ms[i].Rec, t.keys[i])
			if l.revision != nil {
				t.revs[i] = max(t.ms[i].Rec.Revision, 1)
			}
		}
		_, err := c.exec(ctx, l.inserts[len(at)], args...)
		return err
	case driver.Update:
		args := append(l.set(&m.Rec), key)
		text := l.update
		if m.Release {
			text = l.updateAnd(l.unclaim())
		}
		if m.IfRev != 0 && l.revision != nil {
			t.revs[at[0]] = m.IfRev + 1
			if !m.Release {
				text = l.updateIf
			} else {
				text += " AND " + l.revision.quoted + " = ?"
			}
			text, args = l.ifToken(m, text, append(args, m.IfRev))
			return changed(c.exec(ctx, text, args...))
		}
		text, args = l.ifToken(m, text, args)
		return t.returning(ctx, c, text, args, at[0])
	case driver.Put:
		if l.put != "" {
			return t.returning(ctx, c, l.put, l.row(nil, &m.Rec, key), at[0])
		}
		// Where the INSERT finds that someone was quicker, the Put is tried again.
		err := t.returning(ctx, c, l.update, append(l.set(&m.Rec), key), at[0])
		if !errors.Is(err, errFailed) {
			return err
		}
		if l.revision != nil {
			t.revs[at[0]] = max(m.Rec.Revision, 1)
		}
		_, err = c.exec(ctx, l.inserts[1], l.row(nil, &m.Rec, key)...)
		return err
	case driver.Delete:
		text, args := l.delete, []any{key}
		if m.IfRev != 0 && l.revision != nil {
			text, args = l.deleteIf, append(args, m.IfRev)
		}
		text, args = l.ifToken(m, text, args)
		return changed(c.exec(ctx, text, args...))
	case driver.SetFields:
		if l.setFields == "" { // no column to set
			return t.check(ctx, c, at)
		}
		args := append(l.fieldValues(nil, &m.Rec), key)
		if m.IfRev != 0 && l.revision != nil {
			t.revs[at[0]] = m.IfRev
			return changed(c.exec(ctx, l.setFieldsIf, append(args, m.IfRev)...))
		}
		return t.returning(ctx, c, l.setFields, args, at[0])
	}
	if m.Release {
		text, args := l.ifToken(m, l.release, []any{key})
		if m.IfRev != 0 {
			text, args = text+" AND "+l.revision.quoted+" = ?", append(args, m.IfRev)
		}
		return t.returning(ctx, c, text, args, at[0])
	}
	return t.check(ctx, c, at)
}

// ifToken adds the condition for the claim that a mutation wants to the text of its statement.
func (l *layout) ifToken(m *driver.Mutation, text string, args []any) (string, []any) {
	if m.Token == 0 {
		return text, args
	}
	return text + " AND " + l.claimToken.quoted + " = ?", append(args, m.Token)
}

// changed makes an error of a statement that found nothing to change.
func changed(n int64, err error) error {
	if err == nil && n == 0 {
		return errFailed
	}
	return err
}

// returning runs a statement that writes the record of mutation i, and learns its new revision.
func (t *batch) returning(ctx context.Context, c *conn, text string, args []any, i int) error {
	l := t.l
	if l.revision == nil {
		return changed(c.exec(ctx, text, args...))
	}
	if l.traits.NewRevision != nil {
		n, rev, err := c.execRevision(ctx, text, args)
		t.revs[i] = rev
		return changed(n, err)
	}
	var rev cell
	var found bool
	var err error
	if l.traits.Returning {
		found, err = c.one(ctx, text+l.returned, args, &rev)
	} else if err = changed(c.exec(ctx, text, args...)); err == nil {
		found, err = c.one(ctx, "SELECT "+l.revision.quoted+" FROM "+l.table+" WHERE "+l.id.expr+" = ?", []any{t.keys[i]}, &rev)
	}
	if err == nil && !found {
		err = errFailed
	}
	if err == nil {
		t.revs[i], err = rev.integer(0)
	}
	return err
}

// check looks whether the records of Check mutations are there, with the revisions wanted.
func (t *batch) check(ctx context.Context, c *conn, at []int) error {
	found, err := t.present(ctx, c, at, nil)
	if err != nil {
		return err
	}
	for _, i := range at {
		is, there := found[t.ms[i].Rec.ID]
		if !there || t.stale(i, is) {
			return errFailed
		}
		t.revs[i] = is.revision
	}
	return nil
}

// A standing is what conditions of mutations are about.
type standing struct {
	revision, token int64 // 0: unknown, or none
}

// stale reports whether mutation i wants another revision or claim than there is.
func (t *batch) stale(i int, is standing) bool {
	m := &t.ms[i]
	return t.l.revision != nil && m.IfRev != 0 && m.IfRev != is.revision || t.claims(i) && m.Token != is.token
}

// claims reports whether mutation i wants a claim.
func (t *batch) claims(i int) bool {
	m := &t.ms[i]
	return m.Token != 0 && (m.Op == driver.Update || m.Op == driver.Delete || m.Op == driver.Check)
}

// present returns how those records stand that are there: of some mutations, and of other IDs.
func (t *batch) present(ctx context.Context, c *conn, at []int, others []driver.ID) (map[driver.ID]standing, error) {
	ids := make([]driver.ID, 0, len(at)+len(others))
	for _, i := range at {
		ids = append(ids, t.ms[i].Rec.ID)
	}
	ids = append(ids, others...)
	var extra []*column
	if t.l.revision != nil {
		extra = append(extra, t.l.revision)
	}
	tokens := slices.ContainsFunc(at, t.claims)
	if tokens {
		extra = append(extra, t.l.claimToken)
	}
	s := t.l.selection(0, extra...)
	found := make(map[driver.ID]standing, len(ids))
	r := &reader{b: t.b, l: t.l, c: c}
	err := r.eachKey(ctx, ids, s, func() error {
		rec, err := s.record()
		if err != nil {
			return err
		}
		var is standing
		if t.l.revision != nil {
			if is.revision, err = s.cells[1].integer(0); err != nil {
				return &driver.RecordError{ID: rec.ID, Err: fmt.Errorf("%w: revision: %w", driver.ErrCorrupt, err)}
			}
		}
		if tokens { // and so revisions
			if is.token, err = s.cells[2].integer(0); err != nil {
				return &driver.RecordError{ID: rec.ID, Err: fmt.Errorf("%w: token of the claim: %w", driver.ErrCorrupt, err)}
			}
		}
		found[rec.ID] = is
		return nil
	})
	return found, err
}

// checkRefs looks whether every new reference leads to a record, after the writes.
func (t *batch) checkRefs(ctx context.Context, c *conn) error {
	outside := t.outsideRefs()
	if len(outside) == 0 {
		return nil
	}
	if outside[0] == "" {
		return errFailed
	}
	found, err := t.present(ctx, c, nil, outside)
	if err == nil && len(found) < len(outside) {
		err = errFailed
	}
	return err
}

// outsideRefs returns the distinct new references that the batch itself does not settle; one
// to a record that the batch deletes is given as "".
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
		inside[t.ms[i].Rec.ID] = t.ms[i].Op
	}
	var outside []driver.ID
	for i := range t.ms {
		for _, ref := range t.ms[i].NewRefs {
			switch inside[ref] {
			case 0:
				outside = append(outside, ref)
			case driver.Delete:
				outside = append(outside, "")
			}
		}
	}
	slices.Sort(outside)
	return slices.Compact(outside)
}

// row appends the values that an INSERT binds for a record.
func (l *layout) row(args []any, r *driver.Record, key any) []any {
	args = append(args, key)
	for _, c := range l.own[1:] {
		args = append(args, l.value(c, r))
	}
	return l.fieldValues(args, r)
}

// fieldValues appends what is bound for the extra fields of a record.
func (l *layout) fieldValues(args []any, r *driver.Record) []any {
	for i, c := range l.fields {
		if c != nil {
			args = append(args, toSQL(r.Fields[i]))
		}
	}
	return args
}

// set returns the values that an UPDATE binds for a record.
func (l *layout) set(r *driver.Record) []any {
	args := make([]any, 0, len(l.written)+2)
	for _, c := range l.own[1:] {
		if c != l.created && c != l.revision {
			args = append(args, l.value(c, r))
		}
	}
	return l.fieldValues(args, r)
}

// value returns what is bound for a column of a record that is not an extra field.
func (l *layout) value(c *column, r *driver.Record) any {
	switch c {
	case l.data:
		if r.Data == nil {
			return []byte{}
		}
		return r.Data
	case l.state:
		return r.State
	case l.typ:
		return r.Type
	case l.revision:
		return max(r.Revision, 1)
	case l.size:
		return int64(len(r.Data))
	case l.created:
		return r.Created.UnixMicro()
	}
	return r.Modified.UnixMicro()
}

// diagnose finds the first mutation, in the caller's order, that cannot be made on what is there;
// nil: all can. It is asked only after a failure, when everything has been rolled back.
func (t *batch) diagnose(ctx context.Context, o *open) error {
	return t.b.view(ctx, o, func(c *conn) error { return t.obstacle(ctx, c) })
}

// obstacle is diagnose on one connection.
func (t *batch) obstacle(ctx context.Context, c *conn) error {
	var refs []driver.ID
	for i := range t.ms {
		refs = append(refs, t.ms[i].NewRefs...)
	}
	found, err := t.present(ctx, c, t.order, refs)
	if err != nil {
		return err
	}
	return t.firstFailure(found)
}

// firstFailure returns the error of the first mutation that fails where found is what there is before.
func (t *batch) firstFailure(found map[driver.ID]standing) error {
	after := make(map[driver.ID]bool, len(t.ms))
	for i := range t.ms {
		after[t.ms[i].Rec.ID] = t.ms[i].Op != driver.Delete
	}
	for i := range t.ms {
		m := &t.ms[i]
		is, there := found[m.Rec.ID]
		var err error
		switch {
		case m.Op == driver.Create && there:
			err = driver.ErrExists
		case m.Op == driver.Create || m.Op == driver.Put:
		case !there && (m.Op >= driver.Check || m.IfRev != 0 && t.l.revision != nil || t.claims(i)):
			err = driver.ErrConflict
		case !there:
			err = driver.ErrNotFound
		case t.stale(i, is):
			err = driver.ErrConflict
		}
		if err != nil {
			return &driver.RecordError{ID: m.Rec.ID, Err: err}
		}
		for _, ref := range m.NewRefs {
			_, was := found[ref]
			if is, inside := after[ref]; inside && !is || !inside && !was {
				return &driver.RecordError{ID: m.Rec.ID, Ref: ref, Err: driver.ErrDangling}
			}
		}
	}
	return nil
}

// explain names the record that a statement choked on.
func (t *batch) explain(err error) error {
	if errors.Is(err, errFailed) {
		return fmt.Errorf("%s: table %q changed again and again meanwhile", t.b.dialect.Location(), t.l.name)
	}
	var re *driver.RecordError
	if t.b.dialect.Classify(err) == TooLarge && len(t.at) > 0 && !errors.As(err, &re) {
		largest := slices.MaxFunc(t.at, func(i, j int) int { return cmp.Compare(len(t.ms[i].Rec.Data), len(t.ms[j].Rec.Data)) })
		r := &t.ms[largest].Rec
		return &driver.RecordError{ID: r.ID, Err: fmt.Errorf("%w: %d bytes of data and its extra fields are over the limit of %s, %d: %w",
			driver.ErrTooLarge, len(r.Data), t.l.traits.Name, t.l.traits.MaxValue, err)}
	}
	return t.b.translate(err)
}
