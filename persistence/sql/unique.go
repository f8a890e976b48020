package sql

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/brine-go/brine/persistence/driver"
)

// A unique is a unique index of the objects, other than that on the ID: one of Brine's or one made
// by hand.
type unique struct {
	name    string
	columns []uniqueColumn
}

// A uniqueColumn is a column of a unique index, which the schema may lack.
type uniqueColumn struct {
	name, quoted string
	kind         driver.Kind // 0: not known
	col          *column     // nil: the schema lacks it
}

// names returns the names of the columns.
func (u *unique) names() []string {
	names := make([]string, len(u.columns))
	for i, c := range u.columns {
		names[i] = c.name
	}
	return names
}

// findUniques returns the unique indexes of a table. catalog may be nil.
func (l *layout) findUniques(tab *Table, catalog *driver.Catalog) []unique {
	var all []unique
	for _, x := range tab.Indexes {
		names := x.Columns
		kept := slices.ContainsFunc(catalog.UniqueIndexes(), func(y driver.Index) bool {
			if !strings.EqualFold(x.Name, nameOf(tab.Name, y)) {
				return false
			}
			names = y.Columns // as they were declared
			return true
		})
		if !kept && (!x.Unique || x.Partial) || slices.Contains(names, "") ||
			slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, driver.ColID) }) {
			continue
		}
		u := unique{name: x.Name}
		for i, name := range names {
			c := uniqueColumn{name: name, quoted: quote(l.traits, x.Columns[i])}
			for _, col := range l.columns {
				if strings.EqualFold(col.name, name) {
					c.col, c.kind = col, col.kind
				}
			}
			if known := catalog.Column(name); known != nil {
				c.kind = known.Kind
			}
			u.columns = append(u.columns, c)
		}
		all = append(all, u)
	}
	return all
}

// writes reports whether a mutation gives a column a value.
func (l *layout) writes(m *driver.Mutation, c *uniqueColumn) bool {
	switch m.Op {
	case driver.Create, driver.Update, driver.Put:
		return c.col != nil && (c.col.field >= 0 || c.col == l.state || c.col == l.typ || c.col == l.modified ||
			m.Op == driver.Create && (c.col == l.created || c.col == l.revision))
	case driver.Import:
		return c.col != nil && (c.col.field >= 0 || slices.Contains([]*column{l.state, l.typ, l.modified, l.created, l.revision}, c.col))
	case driver.SetFields:
		return c.col != nil && c.col.field >= 0
	}
	return false
}

// in returns the index with the columns of another layout of the table: see ObjectsWith.
func (u *unique) in(l *layout) *unique {
	other := *u
	other.columns = slices.Clone(u.columns)
	for i := range other.columns {
		c := &other.columns[i]
		c.col = nil
		for name, col := range l.columns {
			if strings.EqualFold(name, c.name) {
				c.col, c.kind = col, col.kind
			}
		}
	}
	return &other
}

// values returns what a mutation makes of the columns of a unique index; false: the record is not
// in it afterwards. was has the values that the record had, by column, and is asked for those that
// the mutation leaves alone.
func (l *layout) values(m *driver.Mutation, u *unique, was func() (map[string]any, error)) ([]any, bool, error) {
	vs := make([]any, len(u.columns))
	for i := range u.columns {
		c := &u.columns[i]
		if l.writes(m, c) {
			vs[i] = l.given(m, c.col)
		} else {
			old, err := was()
			if err != nil {
				return nil, false, err
			}
			vs[i] = old[c.name]
		}
		if vs[i] == nil || c.kind == 0 {
			return nil, false, nil
		}
	}
	return vs, true, nil
}

// given returns the value that a mutation gives a column.
func (l *layout) given(m *driver.Mutation, c *column) any {
	switch c {
	case l.state:
		return m.Rec.State
	case l.typ:
		return m.Rec.Type
	case l.modified:
		return m.Rec.Modified
	case l.created:
		return m.Rec.Created
	case l.revision:
		return max(m.Rec.Revision, 1)
	}
	return m.Rec.Fields[c.field]
}

// clash finds the first mutation, in the caller's order, that gives its record the values of
// another one in a unique index; nil: none is found.
func (t *batch) clash(ctx context.Context, c *conn) error {
	if t.uniques == nil {
		var err error
		if t.uniques, err = t.findUniques(ctx, c); err != nil {
			return err
		}
	}
	for i := range t.uniques {
		if err := t.clashIn(ctx, c, &t.uniques[i]); err != nil {
			return err
		}
	}
	return nil
}

// findUniques returns the unique indexes of the objects as they are now: another program may have
// made or dropped some since this store was opened. The result is not nil.
func (t *batch) findUniques(ctx context.Context, c *conn) ([]unique, error) {
	l := t.tables.objects
	tab, err := t.b.inspect(ctx, c, l.name)
	if err != nil || tab == nil {
		return []unique{}, err
	}
	in := &initializer{Backend: t.b, table: l.name, schema: l.schema, objects: true}
	now, err := in.layout(tab)
	if err == nil {
		err = in.readStores(ctx, c, now)
	}
	if err != nil {
		return nil, err
	}
	return append([]unique{}, l.findUniques(tab, now.catalog)...), nil
}

// indexes returns the unique indexes of the objects, as far as they are known.
func (t *batch) indexes() []unique {
	if t.uniques != nil {
		return t.uniques
	}
	return t.tables.objects.uniques
}

// A taker is a mutation by what it makes of a unique index.
type taker struct {
	at     int // of the mutations
	values []any
}

// clashIn is clash in one index.
func (t *batch) clashIn(ctx context.Context, c *conn, u *unique) error {
	takers := make(map[string]taker)
	var order []string
	moved := make(map[driver.ID]bool) // records that the batch removes, or gives values
	for i := range t.ms {
		m := &t.ms[i]
		if m.Namespace.Storage() != driver.Objects || m.Op == driver.Check || m.Stray != "" {
			continue
		}
		l, u := t.layout(i), u
		if l != t.tables.objects {
			u = u.in(l)
		}
		moved[m.Rec.ID] = true
		if m.Op == driver.Delete || m.Op == driver.Withdraw {
			continue
		}
		vs, ok, err := l.values(m, u, func() (map[string]any, error) { return t.before(ctx, c, m, u) })
		if err != nil {
			return err
		}
		key, ok := keyOf(vs, ok)
		if !ok {
			continue
		}
		if other, taken := takers[key]; taken {
			return u.clash(m.Rec.ID, t.ms[other.at].Rec.ID)
		}
		takers[key] = taker{i, vs}
		order = append(order, key)
	}
	holders, err := t.holders(ctx, c, u, takers, order)
	if err != nil {
		return err
	}
	for _, key := range order {
		if holder, ok := holders[key]; ok && !moved[holder] {
			return u.clash(t.ms[takers[key].at].Rec.ID, holder)
		}
	}
	return nil
}

func keyOf(vs []any, ok bool) (string, bool) {
	if !ok {
		return "", false
	}
	return driver.IndexKey(vs)
}

func (u *unique) clash(id, holder driver.ID) error {
	return &driver.RecordError{ID: id, Err: &driver.UniqueError{Columns: u.names(), Holder: holder}}
}

// before returns the values of the columns of an index that a mutation leaves alone: those of the
// stored form, or of the row as it is. Without a row all are NULL.
func (t *batch) before(ctx context.Context, c *conn, m *driver.Mutation, u *unique) (map[string]any, error) {
	l := t.tables.objects
	raw := make(map[string]any)
	if m.Op == driver.Restore {
		row, err := driver.DecodeRow(m.Rec.Data)
		if err != nil {
			return nil, &driver.RecordError{ID: m.Rec.ID, Err: fmt.Errorf("%w: %w", driver.ErrCorrupt, err)}
		}
		for _, v := range row {
			raw[strings.ToLower(v.Name)] = v.Value
		}
	} else if key, ok := l.key(m.Rec.ID); ok {
		cells, dest := make([]cell, len(u.columns)), make([]any, len(u.columns))
		for i := range cells {
			dest[i] = &cells[i]
		}
		if _, err := c.one(ctx, "SELECT "+u.list()+" FROM "+l.table+" WHERE "+l.id.expr+" = ?", []any{key}, dest...); err != nil {
			return nil, err
		}
		for i := range cells {
			raw[strings.ToLower(u.columns[i].name)] = cells[i].v
		}
	}
	values := make(map[string]any, len(u.columns))
	for _, c := range u.columns {
		v, err := fromSQL(c.kind, raw[strings.ToLower(c.name)])
		if c.kind != 0 && err == nil {
			values[c.name] = v
		}
	}
	return values, nil
}

// list returns the columns, as a SELECT has them.
func (u *unique) list() string {
	quoted := make([]string, len(u.columns))
	for i, c := range u.columns {
		quoted[i] = c.quoted
	}
	return strings.Join(quoted, ", ")
}

// Lookups of holders ask for so many at once.
const (
	holdersOfOne  = 64 // values, or as many columns
	holdersOfMany = 16
)

// holders returns the records that have the keys in an index, by key.
func (t *batch) holders(ctx context.Context, c *conn, u *unique, takers map[string]taker, order []string) (map[string]driver.ID, error) {
	l := t.tables.objects
	found := make(map[string]driver.ID)
	most := holdersOfOne
	if len(u.columns) > 1 {
		most = holdersOfMany
	}
	cells, dest := make([]cell, len(u.columns)+1), make([]any, len(u.columns)+1)
	for i := range cells {
		dest[i] = &cells[i]
	}
	one := make([]string, len(u.columns))
	for i, c := range u.columns {
		one[i] = c.quoted + " = ?"
	}
	condition := "(" + strings.Join(one, " AND ") + ")"
	for chunk := range slices.Chunk(order, most) {
		n := 1 // few texts, so that prepared statements do
		if len(chunk) > 1 {
			n = most
		}
		var args []any
		for i := range n {
			for _, v := range takers[chunk[min(i, len(chunk)-1)]].values {
				args = append(args, toSQL(v))
			}
		}
		text := "SELECT " + l.id.quoted + ", " + u.list() + " FROM " + l.table + " WHERE " + condition + strings.Repeat(" OR "+condition, n-1)
		err := c.query(ctx, text, args, dest, func() error {
			vs := make([]any, len(u.columns))
			for i, col := range u.columns {
				var err error
				if vs[i], err = fromSQL(col.kind, cells[i+1].v); err != nil {
					return nil //nolint:nilerr // a value of another kind is nobody's
				}
			}
			id, err := l.idOf(&cells[0])
			if key, ok := driver.IndexKey(vs); ok {
				found[key] = id
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// violated returns the error of a batch that a unique index has refused, where nobody is found who
// has the values any more; nil: err is about no such index.
func (t *batch) violated(err error) error {
	l := t.tables.objects
	for _, u := range t.indexes() {
		text := make([]string, len(u.columns))
		for k, c := range u.columns {
			text[k] = l.name + "." + c.name // as SQLite names an index
		}
		said := err.Error()
		if strings.Contains(said, u.name) || strings.Contains(said, "UNIQUE constraint failed: "+strings.Join(text, ", ")+" (") {
			at := 0
			if len(t.at) > 0 {
				at = t.at[0]
			}
			return u.clash(t.ms[at].Rec.ID, "")
		}
	}
	return nil
}
