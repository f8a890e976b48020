package sql

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/brine-go/brine/persistence/driver"
)

var _ driver.Salvager = (*Backend)(nil)

// moves reports whether a mutation is about stored forms.
func moves(m *driver.Mutation) bool { return m.Op == driver.Withdraw || m.Op == driver.Restore }

// Stored implements [driver.Salvager]. The stored form of a record is its row, with all columns
// that the table has.
func (b *Backend) Stored(ctx context.Context, ns driver.Namespace, ids []driver.ID, strays []string) (found []driver.Stored, err error) {
	o, ts, err := b.ready(ctx)
	if err != nil {
		return nil, err
	}
	defer b.leave()
	l := ts.of(ns)
	if l == nil {
		return nil, fmt.Errorf("%s: the namespace %q is used before InitNamespace", b.dialect.Location(), string(ns))
	}
	err = b.view(ctx, o, func(c *conn) error {
		found = nil
		tab, err := b.rows(ctx, c, l.name)
		if err != nil {
			return err
		}
		var keys []any
		for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
			if key, ok := l.key(id); ok {
				keys = append(keys, key)
			}
		}
		for some := range slices.Chunk(keys, mostMoved) {
			err := tab.each(ctx, c, l, some, false, func(id driver.ID, data []byte) {
				found = append(found, driver.Stored{ID: id, Data: data})
			})
			if err != nil {
				return err
			}
		}
		for _, key := range strays {
			data, ok, err := b.strayRow(ctx, c, ts, key, false)
			if err != nil {
				return err
			}
			if ok {
				found = append(found, driver.Stored{Key: key, Data: data})
			}
		}
		return nil
	})
	return found, b.translate(err)
}

// rows are those of a table, column by column as the catalogue has them now.
type rows struct {
	table   string // quoted
	name    string
	columns []Column // those that can be written
	quoted  []string
	lock    string // the end of a SELECT that locks
}

// rows reads from the catalogue what rows a table has.
func (b *Backend) rows(ctx context.Context, c *conn, table string) (*rows, error) {
	tab, err := b.inspect(ctx, c, table)
	if err != nil {
		return nil, err
	}
	if tab == nil {
		return nil, fmt.Errorf("%s has no table %q", b.dialect.Location(), table)
	}
	r := &rows{table: quote(b.traits, tab.Name), name: tab.Name}
	for _, col := range tab.Columns {
		if !col.Computed {
			r.columns, r.quoted = append(r.columns, col), append(r.quoted, quote(b.traits, col.Name))
		}
	}
	if c.remote != nil {
		r.lock = " FOR UPDATE"
	}
	return r, nil
}

// mostMoved is how many rows one statement reads or deletes.
const mostMoved = 64

// row returns the stored form of the row in which an expression has a value.
func (r *rows) row(ctx context.Context, c *conn, expr string, key any, lock bool) (data []byte, found bool, err error) {
	err = r.read(ctx, c, nil, expr, []any{key}, lock, func(_ *cell, form []byte) error {
		data, found = form, true
		return nil
	})
	return data, found, err
}

// each calls got with the stored form of each record that has one of some keys, mostMoved at most.
func (r *rows) each(ctx context.Context, c *conn, l *layout, keys []any, lock bool, got func(driver.ID, []byte)) error {
	return r.read(ctx, c, l.id, l.id.expr, keys, lock, func(id *cell, form []byte) error {
		if n, ok := id.v.(int64); ok {
			got(driver.ID(strconv.FormatInt(n, 10)), form)
			return nil
		}
		text, err := id.text()
		if err == nil {
			got(driver.ID(text), form)
		}
		return err
	})
}

// read calls got with the value of a column, if it is not nil, and the stored form of each row in
// which an expression has one of some values.
func (r *rows) read(ctx context.Context, c *conn, col *column, expr string, keys []any, lock bool, got func(*cell, []byte) error) error {
	var id cell
	var names []string
	var dest []any
	if col != nil {
		names, dest = append(names, col.quoted), append(dest, &id)
	}
	cells := make([]cell, len(r.columns))
	for i := range cells {
		dest = append(dest, &cells[i])
	}
	names = append(names, r.quoted...)
	keys = pad(keys)
	text := "SELECT " + strings.Join(names, ", ") + " FROM " + r.table + " WHERE " + expr + in(len(keys))
	if lock {
		text += r.lock
	}
	row := make([]driver.NamedValue, len(cells))
	return c.query(ctx, text, keys, dest, func() error {
		for i := range cells {
			row[i] = driver.NamedValue{Name: r.columns[i].Name, Value: r.columns[i].plain(cells[i].v, c.remote != nil)}
		}
		form, err := driver.EncodeRow(row)
		if err != nil {
			return err
		}
		return got(&id, form)
	})
}

// plain returns the value of a column in one of the types that a stored form has.
func (c *Column) plain(v any, remote bool) any {
	switch v := v.(type) {
	case nil:
		if !c.Nullable { // some drivers give empty bytes so
			return []byte{}
		}
	case []byte:
		if remote && c.Type != "bytea" { // drivers of servers give texts and numbers so
			return string(v)
		}
	case float32:
		return float64(v)
	case uint64:
		if n := int64(v); n >= 0 {
			return n
		}
		return fmt.Sprint(v)
	}
	return v
}

// strayRow returns the stored form of a stray.
func (b *Backend) strayRow(ctx context.Context, c *conn, ts *tables, key string, lock bool) (data []byte, found bool, err error) {
	r, expr, id, err := b.strayTable(ctx, c, ts, key)
	if r == nil || err != nil {
		return nil, false, err
	}
	if l := ts.named(r.name); l != nil {
		if _, ok := l.key(driver.ID(id)); ok && len(id) <= driver.MaxIDLen {
			return nil, false, nil // a record
		}
	} else if tab, err := b.inspect(ctx, c, id); tab != nil || err != nil {
		return nil, false, err // it is about a table that exists
	}
	return r.row(ctx, c, expr, id, lock)
}

// strayTable returns the table of a stray, the expression of its key column, and the key; nil: no
// stray can have that key.
func (b *Backend) strayTable(ctx context.Context, c *conn, ts *tables, key string) (r *rows, expr, id string, err error) {
	table, id, ok := strings.Cut(key, "/")
	if !ok {
		return nil, "", "", nil
	}
	l := ts.named(table)
	switch {
	case l != nil && l.schema.IntegerIDs:
		return nil, "", "", nil
	case l != nil:
		expr = l.id.expr
	case table == storesTable:
		if stores, err := b.inspect(ctx, c, storesTable); err != nil || stores == nil || b.unreadable(stores) {
			return nil, "", "", err
		}
		expr = "name"
	default:
		return nil, "", "", nil
	}
	r, err = b.rows(ctx, c, table)
	return r, expr, id, err
}

// named returns the table of that name; nil: it is none of the store's.
func (ts *tables) named(name string) *layout {
	if ts.objects.name == name {
		return ts.objects
	}
	for _, l := range ts.others {
		if l.name == name {
			return l
		}
	}
	return nil
}

// OpenStored implements [driver.Salvager].
func (b *Backend) OpenStored(ns driver.Namespace, s driver.Stored) (driver.Record, error) {
	b.mu.Lock()
	l := b.tables.of(ns)
	b.mu.Unlock()
	if l == nil {
		return driver.Record{}, fmt.Errorf("%s: the namespace %q is used before InitNamespace", b.dialect.Location(), string(ns))
	}
	row, err := driver.DecodeRow(s.Data)
	if err != nil {
		return driver.Record{}, &driver.RecordError{ID: s.ID, Err: fmt.Errorf("%w: %w", driver.ErrCorrupt, err)}
	}
	sel := l.selection(driver.Info | driver.Fields | driver.Data)
	for i, col := range sel.columns {
		for _, v := range row {
			if strings.EqualFold(v.Name, col.name) && (col.field < 0 || !ofOtherKind(col.kind, v.Value)) {
				sel.cells[i].v = v.Value
			}
		}
	}
	return sel.record()
}

// move makes mutation i, a Restore or the Withdraw of a stray.
func (t *batch) move(ctx context.Context, c *conn, i int) error {
	m := &t.ms[i]
	if m.Op == driver.Restore {
		return t.restore(ctx, c, m, t.layout(i).name)
	}
	data, found, err := t.b.strayRow(ctx, c, t.tables, m.Stray, true)
	if err != nil {
		return err
	}
	if !found || !bytes.Equal(data, m.Rec.Data) {
		return &driver.RecordError{ID: driver.ID(m.Stray), Err: driver.ErrConflict}
	}
	r, expr, key, err := t.b.strayTable(ctx, c, t.tables, m.Stray)
	if err != nil {
		return err
	}
	_, err = c.exec(ctx, "DELETE FROM "+r.table+" WHERE "+expr+" = ?", key)
	return err
}

// withdraws reports whether mutation i is the Withdraw of a record.
func (t *batch) withdraws(i int) bool { return t.ms[i].Op == driver.Withdraw && t.ms[i].Stray == "" }

// withdrawals returns how many Withdraws of records, from the beginning of order on, are made
// together; 0: the first is none.
func (t *batch) withdrawals(order []int) int {
	n, size := 0, 0
	for n < min(len(order), mostMoved) && t.withdraws(order[n]) && t.layout(order[n]) == t.layout(order[0]) {
		if size += len(t.ms[order[n]].Rec.Data); size > t.b.traits.maxBatchBytes() && n > 0 {
			break
		}
		n++
	}
	return n
}

// withdraw deletes the rows of some Withdraws, if they have the stored forms that were read.
func (t *batch) withdraw(ctx context.Context, c *conn, at []int) error {
	l := t.layout(at[0])
	keys := make([]any, 0, len(at))
	for _, i := range at {
		key := t.key(i)
		if key == nil { // no record has such an ID
			return &driver.RecordError{ID: t.ms[i].Rec.ID, Err: driver.ErrConflict}
		}
		keys = append(keys, key)
	}
	if t.rows == nil || t.rows.name != l.name {
		r, err := t.b.rows(ctx, c, l.name)
		if err != nil {
			return err
		}
		t.rows = r
	}
	forms := make(map[driver.ID][]byte, len(at))
	err := t.rows.each(ctx, c, l, keys, true, func(id driver.ID, form []byte) { forms[id] = form })
	if err != nil {
		return err
	}
	for _, i := range at {
		m := &t.ms[i]
		if form, found := forms[m.Rec.ID]; !found || !bytes.Equal(form, m.Rec.Data) {
			return &driver.RecordError{ID: m.Rec.ID, Err: driver.ErrConflict}
		}
	}
	keys = pad(keys)
	_, err = c.exec(ctx, "DELETE FROM "+t.rows.table+" WHERE "+l.id.expr+in(len(keys)), keys...)
	return err
}

// ofOtherKind reports whether a value was stored while its column had another kind: it is none of
// the column's, and of a type in which the database does not keep those. A value that is none but
// has the type is damaged.
func ofOtherKind(kind driver.Kind, v any) bool {
	if _, err := fromSQL(kind, v); err == nil {
		return false
	}
	switch driver.KindOf(v) {
	case driver.Int:
		return kind != driver.Int && kind != driver.Bool && kind != driver.Time
	case driver.Bytes:
		return kind != driver.Bytes && kind != driver.Text
	default:
		return driver.KindOf(v) != kind
	}
}

// restored returns what is bound for a value that comes back to a column, and whether it can be one
// of that column. recorded is what the catalog says of it; nil: nothing, and any value will do.
func restored(recorded *driver.Column, v any) (value any, fits bool) {
	if recorded == nil {
		return v, true
	}
	value, err := fromSQL(recorded.Kind, v)
	return toSQL(value), err == nil
}

// restore inserts the row of a stored form. Columns that the table no longer has, or has with
// another kind by now, are left out, with a warning.
func (t *batch) restore(ctx context.Context, c *conn, m *driver.Mutation, table string) error {
	id := m.Rec.ID
	if m.Stray != "" {
		id = driver.ID(m.Stray)
		table, _, _ = strings.Cut(m.Stray, "/")
		if t.tables.named(table) == nil && table != storesTable {
			return fmt.Errorf("%s: stray %q is of no table of the store", t.b.dialect.Location(), m.Stray)
		}
	}
	row, err := driver.DecodeRow(m.Rec.Data)
	if err != nil {
		return &driver.RecordError{ID: id, Err: fmt.Errorf("%w: %w", driver.ErrCorrupt, err)}
	}
	r, err := t.b.rows(ctx, c, table)
	if err != nil {
		return err
	}
	var catalog *driver.Catalog
	if objects := t.tables.objects; m.Stray == "" && r.name == objects.name {
		if catalog, err = t.b.currentCatalog(ctx, c, objects); err != nil {
			return err
		}
	}
	var names, dropped []string
	var args []any
	for _, v := range row {
		at := slices.IndexFunc(r.columns, func(c Column) bool { return c.Name == v.Name })
		value, fits := restored(catalog.Column(v.Name), v.Value)
		if at < 0 || !fits {
			dropped = append(dropped, v.Name)
			continue
		}
		names, args = append(names, r.quoted[at]), append(args, value)
	}
	_, err = c.exec(ctx, "INSERT INTO "+r.table+" ("+strings.Join(names, ", ")+") VALUES (?"+strings.Repeat(", ?", len(names)-1)+")", args...)
	if m.Stray != "" && t.b.classify(err) == Unique {
		return &driver.RecordError{ID: id, Err: driver.ErrExists}
	}
	if log := t.b.options.Logger; err == nil && len(dropped) > 0 && log != nil {
		log.Warn("a record was put back without columns that the table no longer has",
			"table", table, "id", string(id), "columns", strings.Join(dropped, ", "))
	}
	return err
}
