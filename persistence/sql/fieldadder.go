package sql

import (
	"context"
	"fmt"
	"strings"

	"github.com/brine-go/brine/persistence/driver"
)

var _ driver.FieldAdder = (*Backend)(nil)

// ObjectsWith implements [driver.FieldAdder]. The namespace is another layout of the object table.
func (b *Backend) ObjectsWith(ctx context.Context, fields []driver.Column, create bool) (driver.Namespace, error) {
	o, ts, err := b.ready(ctx)
	if err != nil {
		return "", err
	}
	defer b.leave()
	s := driver.Schema{IntegerIDs: ts.objects.schema.IntegerIDs, Fields: fields}
	if err := checkNames(ts.objects.name, s); err != nil {
		return "", err
	}
	in := b.initializer(ts.objects.name, s, true)
	in.alias, in.options.NoCreate = true, in.options.NoCreate || !create
	l, err := in.run(ctx, o)
	if err != nil {
		return "", b.translate(err)
	}
	ns := driver.Alias(fields)
	b.mu.Lock()
	b.tables = b.tables.with(ns, l)
	b.mu.Unlock()
	return ns, nil
}

// initializer returns what prepares a table.
func (b *Backend) initializer(table string, s driver.Schema, objects bool) *initializer {
	return &initializer{Backend: b, options: b.options, table: table, schema: s, objects: objects}
}

// importRow is row, and the number of the set of columns.
func (l *layout) importRow(b *boxes, args []any, r *driver.Record, key any) []any {
	args = l.row(b, args, r, key)
	if l.columnSet != nil {
		args = append(args, r.ColumnSet)
	}
	return args
}

// importRecords stores records as other stores have them: several new ones by one statement, or one
// in place of another.
func (t *batch) importRecords(ctx context.Context, c *conn, at []int) error {
	l, m := t.layout(at[0]), &t.ms[at[0]]
	for _, i := range at {
		if l.revision != nil {
			t.revs[i] = max(t.ms[i].Rec.Revision, 1)
		}
	}
	if m.IfRev != 0 {
		args := l.importRow(&t.boxes, nil, &m.Rec, t.key(at[0]))
		args = append(args[1:], t.key(at[0]))
		text := l.importOver
		if l.revision != nil {
			text, args = text+" AND "+l.revision.quoted+" = ?", append(args, m.IfRev)
		}
		return changed(c.exec(ctx, text, args...))
	}
	args := make([]any, 0, len(at)*(len(l.written)+1))
	for _, i := range at {
		args = l.importRow(&t.boxes, args, &t.ms[i].Rec, t.key(i))
	}
	_, err := c.exec(ctx, l.insertStamped(len(at), "?"), args...)
	return err
}

// importText returns the text that overwrites a record whole.
func (l *layout) importText() string {
	columns := l.written[1:]
	if l.columnSet != nil {
		columns = append(columns[:len(columns):len(columns)], l.columnSet)
	}
	return fmt.Sprintf("UPDATE %s SET %s WHERE %s = ?", l.table, strings.Join(assign(columns), ", "), l.id.expr)
}
