package sql

import (
	"context"
	"errors"
	"slices"

	"github.com/brine-go/brine/persistence/driver"
)

// mutate runs the statement of some mutations of one kind. The statement itself finds out whether
// the record is as the mutation wants it.
func (t *batch) mutate(ctx context.Context, c *conn, at []int) error {
	ctx = c.short(ctx)
	i := at[0]
	m := &t.ms[i]
	switch {
	case t.withdraws(i):
		return t.withdraw(ctx, c, at)
	case moves(m):
		return t.move(ctx, c, i)
	}
	if t.key(i) == nil && !t.readsOnly(i) {
		return errFailed // no record has such an ID
	}
	switch {
	case m.Op == driver.Create:
		return t.create(ctx, c, at)
	case m.Op == driver.Import:
		return t.importRecords(ctx, c, at)
	case m.Op == driver.Update:
		return t.update(ctx, c, i)
	case m.Op == driver.Put:
		return t.put(ctx, c, i)
	case m.Op == driver.Delete:
		return t.delete(ctx, c, i)
	case m.Op == driver.SetFields && t.layout(i).setFields != "":
		return t.setFields(ctx, c, i)
	case m.Release:
		return t.release(ctx, c, i)
	}
	return t.check(ctx, c, at)
}

// create inserts records, all by one statement.
func (t *batch) create(ctx context.Context, c *conn, at []int) error {
	l := t.layout(at[0])
	args := slices.Grow(t.args[:0], len(at)*len(l.written))
	for _, i := range at {
		args = l.row(&t.boxes, args, &t.ms[i].Rec, t.key(i))
		if l.revision != nil {
			t.revs[i] = max(t.ms[i].Rec.Revision, 1)
		}
	}
	t.args = args
	_, err := c.exec(ctx, l.inserts[len(at)], args...)
	return err
}

// update overwrites the record of mutation i.
func (t *batch) update(ctx context.Context, c *conn, i int) error {
	l, m := t.layout(i), &t.ms[i]
	args := append(l.set(&m.Rec), t.key(i))
	text := l.update
	if m.Release {
		text = l.updateAnd(l.unclaim())
	}
	if m.IfRev == 0 || l.revision == nil {
		text, args = l.ifToken(m, text, args)
		return t.returning(ctx, c, text, args, i)
	}
	t.revs[i] = m.IfRev + 1
	if m.Release {
		text += " AND " + l.revision.quoted + " = ?"
	} else {
		text = l.updateIf
	}
	text, args = l.ifToken(m, text, append(args, m.IfRev))
	return changed(c.exec(ctx, text, args...))
}

// put overwrites the record of mutation i, or creates it.
func (t *batch) put(ctx context.Context, c *conn, i int) error {
	l, r := t.layout(i), &t.ms[i].Rec
	if l.put != "" {
		return t.returning(ctx, c, l.put, l.row(&t.boxes, nil, r, t.key(i)), i)
	}
	// Where the INSERT finds that another writer was quicker, the Put is tried again.
	err := t.returning(ctx, c, l.update, append(l.set(r), t.key(i)), i)
	if !errors.Is(err, errFailed) {
		return err
	}
	return t.create(ctx, c, []int{i})
}

// delete removes the record of mutation i.
func (t *batch) delete(ctx context.Context, c *conn, i int) error {
	l, m := t.layout(i), &t.ms[i]
	text, args := l.delete, []any{t.key(i)}
	if m.IfRev != 0 && l.revision != nil {
		text, args = l.deleteIf, append(args, m.IfRev)
	}
	text, args = l.ifToken(m, text, args)
	return changed(c.exec(ctx, text, args...))
}

// setFields overwrites the extra fields of the record of mutation i.
func (t *batch) setFields(ctx context.Context, c *conn, i int) error {
	l, m := t.layout(i), &t.ms[i]
	args, text, textIf := l.fieldValues(nil, &m.Rec), l.setFields, l.setFieldsIf
	if m.ColumnSet != 0 && l.columnSet != nil {
		args, text, textIf = append(args, m.ColumnSet), l.setColumns, l.setColumnsIf
	}
	args = append(args, t.key(i))
	if m.IfRev != 0 && l.revision != nil {
		t.revs[i] = m.IfRev
		return changed(c.exec(ctx, textIf, append(args, m.IfRev)...))
	}
	return t.returning(ctx, c, text, args, i)
}

// release ends the claim of the record of mutation i, and changes nothing else of it.
func (t *batch) release(ctx context.Context, c *conn, i int) error {
	l, m := t.layout(i), &t.ms[i]
	text, args := l.ifToken(m, l.release, []any{t.key(i)})
	if m.IfRev != 0 {
		text, args = text+" AND "+l.revision.quoted+" = ?", append(args, m.IfRev)
	}
	return t.returning(ctx, c, text, args, i)
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
	l := t.layout(i)
	if l.revision == nil {
		return changed(c.exec(ctx, text, args...))
	}
	rev, found, err := c.changing(ctx, text, args, l.revision)
	if err == nil && !found {
		err = errFailed
	}
	t.revs[i] = rev
	return err
}

// row appends the values that an INSERT binds for a record.
func (l *layout) row(b *boxes, args []any, r *driver.Record, key any) []any {
	args = append(args, key)
	for _, c := range l.own[1:] {
		args = append(args, l.value(b, c, r))
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
	args, b := make([]any, 0, len(l.written)+2), boxes{}
	for _, c := range l.own[1:] {
		if c != l.created && c != l.revision {
			args = append(args, l.value(&b, c, r))
		}
	}
	return l.fieldValues(args, r)
}

// value returns what is bound for a column of a record that is not an extra field.
func (l *layout) value(b *boxes, c *column, r *driver.Record) any {
	switch c {
	case l.data:
		if r.Data == nil {
			return []byte{}
		}
		return r.Data
	case l.state:
		return b.text(r.State)
	case l.typ:
		return b.text(r.Type)
	case l.revision:
		return max(r.Revision, 1)
	case l.size:
		return int64(len(r.Data))
	case l.created:
		return b.micros(r.Created)
	}
	return b.micros(r.Modified)
}
