package sql

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/brine-go/brine/persistence/driver"
)

// Names of the columns that no query names.
const (
	colData = "data"
	colSize = driver.ColSize
)

// libraryColumns are the columns that every table made by the engine has besides id and data, in
// their order. An absent value is never NULL, so that they sort and compare without exceptions.
var libraryColumns = []struct {
	name    string
	kind    driver.Kind
	typ     ColumnType
	initial string // SQL of the value in rows that others wrote
	zero    any    // what NULL stands for in columns made by hand
}{
	{driver.ColState, driver.Text, State, "''", ""},
	{driver.ColType, driver.Text, ShortText, "''", ""},
	{driver.ColRevision, driver.Int, Integer, "1", int64(0)},
	{colSize, driver.Int, Integer, "0", int64(0)},
	{driver.ColCreated, driver.Time, Integer, fmt.Sprint(zeroMicros), zeroMicros},
	{driver.ColModified, driver.Time, Integer, fmt.Sprint(zeroMicros), zeroMicros},
}

// claimColumns are the columns of claims: NULL where there is none.
var claimColumns = []struct {
	name string
	kind driver.Kind
	typ  ColumnType
}{
	{driver.ColClaimOwner, driver.Text, ShortText},
	{driver.ColClaimUntil, driver.Time, Integer},
	{driver.ColClaimToken, driver.Int, Integer},
}

// A column is a column of the object table as statements see it.
type column struct {
	name     string
	quoted   string
	kind     driver.Kind
	nullable bool
	expr     string // the column compared by bytes
	zero     any    // of a library column: what NULL stands for; nil: NULL is NULL
	long     bool   // values may be longer than the database sorts by
	keyed    bool   // there is an index of it and then of the ID
	field    int    // the place of an extra field among them; -1: it is none
}

// A layout is the object table as Init found or made it. It does not change.
type layout struct {
	schema   driver.Schema
	traits   *traits
	table    string // quoted
	name     string // as the catalogue spells it
	columns  map[string]*column
	id, data *column
	head     *column // the beginning of data; it is only read
	// These are nil where the table lacks the column.
	state, typ, revision, size, created, modified *column
	claimOwner, claimUntil, claimToken            *column
	columnSet                                     *column
	fields                                        []*column // as schema.Fields; nil where the table lacks it
	idIndex                                       string    // its name, for Traits.LockRows
	identity                                      string
	counter                                       bool
	missing                                       []string

	// catalog is that of the extra columns, as storedCatalog holds it; nil: there is none.
	catalog       *driver.Catalog
	storedCatalog string
	uniques       []unique       // that the table had
	keyed         [][]string     // the columns of indexes whose order ends with the ID
	lost          []driver.Index // of the catalog: someone has dropped them by hand
	hasCatalog    bool           // the engine's own table has a column for it
	fills         int64          // the number of the set of columns that this handle fills
	unrecorded    bool           // the set is not in the catalog, for Init was not to write: the first write records it

	infoColumns []*column // library columns but id and data, those of claims, extra fields
	own         []*column // id, data and the library columns that there are
	written     []*column // what an INSERT sets, in order: own, then the extra fields that there are

	assignments                        string // of the values that an UPDATE binds, and of the next revision
	edited                             string // the same without the number of the set of columns
	update, updateIf, delete, deleteIf string
	release                            string // "" where there are no claims
	put                                string // "" where it is two statements
	importOver                         string // replaces a record by one of another store
	setFields, setFieldsIf             string // "" where there is no extra field
	setColumns, setColumnsIf           string // the same, and the number of the set of columns

	inserts map[int]string // by number of rows
	shapes  shapes
	claims  claimPlans
}

func quote(t *traits, name string) string { return string(t.Quote) + name + string(t.Quote) }

// newLayout reads the layout off the catalogue entry of a table.
func newLayout(t *traits, s driver.Schema, tab *Table) (*layout, error) {
	l := &layout{schema: s, traits: t, name: tab.Name, table: quote(t, tab.Name), columns: map[string]*column{}}
	add := func(name string, kind driver.Kind, zero any) *column {
		c := tab.column(name)
		if c == nil || c.Computed {
			return nil
		}
		col := &column{name: name, quoted: quote(t, c.Name), kind: kind, nullable: c.Nullable, zero: zero, field: -1}
		col.expr, col.long, col.keyed = col.quoted, c.IndexPart != "", tab.keyed(t, s, name)
		if !c.Binary && (kind == driver.Text || name == driver.ColID && !s.IntegerIDs) {
			col.expr = t.express(Binary, col.quoted)
		}
		l.columns[name] = col
		return col
	}
	idKind := driver.Text
	if s.IntegerIDs {
		idKind = driver.Int
	}
	l.id, l.data = add(driver.ColID, idKind, nil), add(colData, driver.Bytes, nil)
	for i, lib := range libraryColumns {
		*[]**column{&l.state, &l.typ, &l.revision, &l.size, &l.created, &l.modified}[i] = add(lib.name, lib.kind, lib.zero)
		if l.columns[lib.name] == nil {
			l.missing = append(l.missing, lib.name)
		}
	}
	for i, claim := range claimColumns {
		*[]**column{&l.claimOwner, &l.claimUntil, &l.claimToken}[i] = add(claim.name, claim.kind, nil)
		if l.columns[claim.name] == nil {
			l.missing = append(l.missing, claim.name)
		}
	}
	if l.columnSet = add(driver.ColColumnSet, driver.Int, int64(0)); l.columnSet == nil {
		l.missing = append(l.missing, driver.ColColumnSet)
	}
	for i, f := range s.Fields {
		col := add(f.Name, f.Kind, nil)
		if col != nil {
			col.field = i
		}
		l.fields = append(l.fields, col)
		if col == nil {
			l.missing = append(l.missing, f.Name)
		}
	}
	if err := l.check(tab); err != nil {
		return nil, err
	}
	head := *l.data
	head.quoted = fmt.Sprintf("substr(%s, 1, %d)", l.data.quoted, driver.HeadLen)
	l.head = &head
	for _, x := range tab.Indexes {
		names := x.Columns
		if n := len(names); n > 1 && strings.EqualFold(names[n-1], driver.ColID) {
			names = names[:n-1]
		} else if !t.keyInIndexes(s) {
			continue
		}
		if !x.Partial {
			l.keyed = append(l.keyed, names)
		}
	}
	l.statements()
	return l, nil
}

// check refuses a table that cannot hold what the schema wants to keep.
func (l *layout) check(tab *Table) error {
	for _, c := range []struct {
		name string
		col  *column
	}{{driver.ColID, l.id}, {colData, l.data}, {driver.ColState, l.state}} {
		if c.col == nil {
			return fmt.Errorf("table %q has no column %q, or one that cannot be written", tab.Name, c.name)
		}
	}
	id := tab.column(driver.ColID)
	switch {
	case l.schema.IntegerIDs && !id.Integers:
		return fmt.Errorf("table %q keeps text IDs (its column id is %s): integer IDs do not fit: Options.IDs has to make texts, or be nil", tab.Name, id.Type)
	case !l.schema.IntegerIDs && !id.Texts:
		return fmt.Errorf("table %q keeps integer IDs (its column id is %s): text IDs do not fit: Options.IDs has to make integers, or be nil", tab.Name, id.Type)
	}
	for _, x := range tab.Indexes {
		if x.Unique && !x.Partial && len(x.Columns) == 1 && strings.EqualFold(x.Columns[0], driver.ColID) && (l.schema.IntegerIDs || x.Binary) {
			l.idIndex = x.Name
			return nil
		}
	}
	return fmt.Errorf("table %q: its column id is neither primary key nor unique, compared by bytes", tab.Name)
}

// column returns the column of a name, in whatever case it is spelt; nil: there is none.
func (t *Table) column(name string) *Column {
	for i := range t.Columns {
		if strings.EqualFold(t.Columns[i].Name, name) {
			return &t.Columns[i]
		}
	}
	return nil
}

// indexed reports whether an index begins with the column.
func (t *Table) indexed(name string) bool {
	for _, x := range t.Indexes {
		if !x.Partial && len(x.Columns) > 0 && strings.EqualFold(x.Columns[0], name) {
			return true
		}
	}
	return false
}

// indexedSomewhere is indexed, of those rows alone that an index is about.
func (t *Table) indexedSomewhere(name string) bool {
	return slices.ContainsFunc(t.Indexes, func(x Index) bool { return len(x.Columns) > 0 && strings.EqualFold(x.Columns[0], name) })
}

// keyed reports whether an index is of the column and then of the ID.
func (t *Table) keyed(traits *traits, s driver.Schema, name string) bool {
	return slices.ContainsFunc(t.Indexes, func(x Index) bool {
		if x.Partial || len(x.Columns) == 0 || !strings.EqualFold(x.Columns[0], name) {
			return false
		}
		if len(x.Columns) == 1 {
			return traits.keyInIndexes(s)
		}
		return strings.EqualFold(x.Columns[1], driver.ColID)
	})
}

// statements makes the texts that writing needs.
func (l *layout) statements() {
	t := l.traits
	present := func(cs ...*column) []*column {
		return slices.DeleteFunc(slices.Clone(cs), func(c *column) bool { return c == nil })
	}
	l.infoColumns = present(slices.Concat([]*column{l.typ, l.state, l.revision, l.size, l.created, l.modified,
		l.claimOwner, l.claimUntil, l.claimToken}, l.fields)...)
	l.own = present(l.id, l.data, l.state, l.typ, l.revision, l.size, l.created, l.modified)
	l.written = slices.Concat(l.own, present(l.fields...))
	l.inserts = map[int]string{}
	for _, n := range t.insertShapes() {
		l.inserts[n] = l.insert(n)
	}
	// reported is the assignment of a revision that stays as it is, to be reported where there is
	// no RETURNING.
	reported := ""
	if l.revision != nil && !t.Returning {
		reported = ", " + l.revision.quoted + " = " + t.express(AsLastInsertID, l.revision.quoted)
	}

	var set, put []string
	for _, c := range l.written {
		switch c {
		case l.id, l.created:
		case l.revision:
			next := fmt.Sprintf("coalesce(%s.%s, 0) + 1", l.table, c.quoted)
			if !t.Returning {
				next = t.express(AsLastInsertID, next)
			}
			set, put = append(set, c.quoted+" = "+next), append(put, c.quoted+" = "+next)
		default:
			set = append(set, c.quoted+" = ?")
			put = append(put, c.quoted+" = excluded."+c.quoted)
		}
	}
	where := " WHERE " + l.id.expr + " = ?"
	l.edited = strings.Join(set, ", ")
	if l.columnSet != nil {
		// A constant of this handle: binding it would cost something with every record.
		stamp := fmt.Sprintf("%s = %d", l.columnSet.quoted, l.fills)
		set, put = append(set, stamp), append(put, stamp)
	}
	l.assignments = strings.Join(set, ", ")
	l.update = "UPDATE " + l.table + " SET " + l.assignments + where
	l.delete = "DELETE FROM " + l.table + where
	l.importOver = l.importText()
	if l.revision != nil {
		ifRev := " AND " + l.revision.quoted + " = ?"
		l.updateIf, l.deleteIf = l.update+ifRev, l.delete+ifRev
	}
	if fields := l.written[len(l.own):]; len(fields) > 0 {
		set := "UPDATE " + l.table + " SET " + strings.Join(assign(fields), ", ")
		l.setFields = set + reported + where
		if l.columnSet != nil {
			l.setColumns = set + ", " + l.columnSet.quoted + " = ?" + reported + where
		}
		if l.revision != nil {
			ifRev := " AND " + l.revision.quoted + " = ?"
			l.setFieldsIf, l.setColumnsIf = l.setFields+ifRev, l.setColumns+ifRev
		}
	}
	if l.claimable() == nil {
		l.release = "UPDATE " + l.table + " SET " + l.unclaim() + reported + where
	}
	if t.Returning {
		l.put = l.inserts[1] + " ON CONFLICT (" + l.id.quoted + ") DO UPDATE SET " + strings.Join(put, ", ")
	}
}

// updateAnd returns the UPDATE of a record with more assignments.
func (l *layout) updateAnd(more string) string {
	return "UPDATE " + l.table + " SET " + l.assignments + ", " + more + " WHERE " + l.id.expr + " = ?"
}

// assign returns the assignments of bound values to columns.
func assign(cs []*column) []string {
	texts := make([]string, len(cs))
	for i, c := range cs {
		texts[i] = c.quoted + " = ?"
	}
	return texts
}

// insert returns the text that inserts n rows.
func (l *layout) insert(n int) string {
	if l.fills == 0 { // 0 is what the column has by itself
		return l.insertStamped(n, "")
	}
	return l.insertStamped(n, strconv.FormatInt(l.fills, 10))
}

// insertStamped is insert with an SQL expression for the number of the set of columns; "": none.
func (l *layout) insertStamped(n int, stamp string) string {
	var sb strings.Builder
	sb.WriteString("INSERT INTO " + l.table + " (")
	for i, c := range l.written {
		if i > 0 {
			sb.WriteString(", ")
		}
		sb.WriteString(c.quoted)
	}
	row := "(?" + strings.Repeat(", ?", len(l.written)-1)
	if l.columnSet != nil && stamp != "" {
		sb.WriteString(", " + l.columnSet.quoted)
		row += ", " + stamp
	}
	row += ")"
	sb.WriteString(") VALUES " + row)
	for range n - 1 {
		sb.WriteString(", " + row)
	}
	return sb.String()
}

// key returns what is bound for an ID; false: no record of this table can have it.
func (l *layout) key(id driver.ID) (any, bool) {
	if !l.schema.IntegerIDs {
		ok := id != "" && len(id) <= driver.MaxIDLen && utf8.ValidString(string(id)) && strings.IndexByte(string(id), 0) < 0
		return string(id), ok || id != "" && l.traits.AnyText
	}
	n, ok := integerID(id)
	return n, ok
}

// unsupported is the error for a query on a column that the table lacks.
func unsupported(l *layout, column string) error {
	return fmt.Errorf("table %q has no column %q: %w", l.name, column, errors.ErrUnsupported)
}
