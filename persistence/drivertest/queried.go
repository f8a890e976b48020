package drivertest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// pool has a few values of each kind, so that equal ones are frequent.
var pool = map[driver.Kind][]any{
	driver.Text:  {"", "a", "A", "a%", "ab", "a_b", "b ", "b", "é", "日本", "😀"},
	driver.Int:   {int64(-10), int64(-9), int64(0), int64(9), int64(10), int64(1)<<53 + 1, int64(1) << 53},
	driver.Float: {-1.5, 0.0, 0.1, 2.0, 10.0, 1e300},
	driver.Bool:  {false, true},
	driver.Bytes: {[]byte{}, []byte{0}, []byte("a"), []byte("a\x00"), []byte("\xff"), []byte("A")},
	driver.Time:  {time.Time{}, time.UnixMicro(-1).UTC(), time.UnixMicro(0).UTC(), baseTime, baseTime.Add(time.Microsecond)},
}

// queried is a store to query, with a model that has the expected results.
type queried struct {
	*store
	model *model
	// columns are all columns that a query may name, with values to compare them with.
	columns []string
	values  map[string][]any
}

// newQueried makes a store of 60 records with many equal values, a third of them NULL.
func newQueried(t *testing.T, k *kit) *queried {
	t.Helper()
	q := &queried{store: k.fresh(t, fields...), values: map[string][]any{}}
	q.model = newModel(q.schema)
	numbers := []int{-20, -3, 0, 100_000} // besides 1 to 56, for the order of integers
	if !k.integer {
		numbers = []int{0, 57, 58, 59}
	}
	for n := range 56 {
		numbers = append(numbers, n+1)
	}
	var ms []driver.Mutation
	for i, n := range numbers {
		r := k.rec(i)
		r.ID, r.Type, r.State = k.id(n), []string{"engine.Task", "engine.task", "engine"}[i%3], []string{"NEW", "new", "DONE", "DÖNE", ""}[i%5]
		r.Revision, r.Created, r.Modified = int64(i%4+1), baseTime.Add(time.Duration(i%6)*time.Second), baseTime.Add(-time.Duration(i%7)*time.Microsecond)
		for f, col := range fields {
			// The steps are coprime with the lengths, so that columns vary independently.
			if (i*(f+3)+f)%3 == 0 {
				r.Fields[f] = nil
				continue
			}
			r.Fields[f] = pool[col.Kind][(i*13+i*i*f+f)%len(pool[col.Kind])]
		}
		ms = append(ms, create(r))
	}
	q.mustApply(t, ms...)
	_, _ = q.model.apply(ms)

	add := func(column string, values ...any) {
		q.columns = append(q.columns, column)
		q.values[column] = values
	}
	add(driver.ColID, k.id(numbers[0]), k.id(5), k.id(10), k.id(56), k.id(77))
	add(driver.ColType, "engine.Task", "engine", "Engine.Task", "")
	add(driver.ColState, "NEW", "new", "DÖNE", "", "D")
	add(driver.ColRevision, int64(0), int64(2), int64(4))
	add(driver.ColCreated, baseTime, baseTime.Add(3*time.Second), baseTime.Add(time.Hour))
	add(driver.ColModified, baseTime, baseTime.Add(-3*time.Microsecond))
	for _, f := range fields {
		add(f.Name, pool[f.Kind]...)
	}
	return q
}

// some returns the columns for a test of each column. With text IDs it returns only those for
// which the kind of the IDs may make a difference.
func (q *queried) some(k *kit) []string {
	if k.integer {
		return q.columns
	}
	return []string{driver.ColID, driver.ColState, "name", "done"}
}

// isText reports whether HasPrefix is valid for a column.
func (q *queried) isText(column string) bool {
	switch q.values[column][0].(type) {
	case driver.ID:
		return !q.schema.IntegerIDs
	case string:
		return true
	}
	return false
}

var opNames = map[driver.CmpOp]string{driver.Eq: "=", driver.Ne: "<>", driver.Lt: "<", driver.Le: "<=", driver.Gt: ">", driver.Ge: ">=",
	driver.IsNull: "is NULL", driver.NotNull: "is not NULL", driver.HasPrefix: "has the prefix", driver.In: "in", driver.NotIn: "not in",
	driver.Contains: "contains", driver.HasSuffix: "has the suffix"}

var textOps = []driver.CmpOp{driver.HasPrefix, driver.Contains, driver.HasSuffix}

// text formats a query for a message.
func text(q *driver.Query) string {
	var b strings.Builder
	b.WriteString("the query")
	for i, c := range q.Where {
		fmt.Fprintf(&b, "%s ", []string{" where", " and"}[min(i, 1)])
		if c.Op != driver.Or {
			fmt.Fprintf(&b, "%s %s %.300q", c.Column, opNames[c.Op], c.Values)
			continue
		}
		b.WriteString("one of:")
		for _, c := range c.Any {
			fmt.Fprintf(&b, " (%s %s %.300q)", c.Column, opNames[c.Op], c.Values)
		}
	}
	for i, o := range q.Order {
		fmt.Fprintf(&b, "%s %s%s", []string{" by", ","}[min(i, 1)], o.Column, map[bool]string{true: " descending"}[o.Desc])
	}
	if q.After != nil {
		fmt.Fprintf(&b, " after %q %q", q.After.Values, q.After.ID)
	}
	if q.Limit > 0 {
		fmt.Fprintf(&b, " limit %d", q.Limit)
	}
	return b.String()
}

// compare runs a query on the store and on the model.
func (q *queried) compare(t failer, query *driver.Query) {
	t.Helper()
	if d := diffIDs(q.model.scan(query), q.scan(t, query)); d != "" {
		t.Errorf("%s must give these records in this order (-want +got):\n%s", text(query), d)
	}
}

// compareCount is compare for Count.
func (q *queried) compareCount(t failer, query *driver.Query) {
	t.Helper()
	if want, got := q.model.count(query), q.count(t, query); want != got {
		t.Errorf("%s must count %d records, ignoring order, cursor and limit, not %d", text(query), want, got)
	}
}

// page runs a query in pages, each after the last record of the previous one.
func (q *queried) page(t failer, query *driver.Query, size int) {
	t.Helper()
	p := *query
	p.Limit, p.Parts = size, driver.Info|driver.Fields
	want := q.model.scan(&driver.Query{Where: p.Where, Order: p.Order, After: p.After})
	var got []driver.Record
	for {
		recs := q.scan(t, &p)
		got = append(got, recs...)
		if len(recs) > size || len(got) > len(want) {
			t.Errorf("%s must give no more than its limit, and no record twice", text(&p))
			return
		}
		if len(recs) < size {
			break
		}
		p.After = q.cols.Cursor(&p, &recs[size-1])
	}
	if d := diffIDs(want, got); d != "" {
		t.Errorf("%s in pages of %d, each after the last record of the one before, must give the whole (-want +got):\n%s", text(query), size, d)
	}
}

// compareLong is compare without the text of the query in messages.
func (q *queried) compareLong(t failer, query *driver.Query) {
	t.Helper()
	c := query.Where[0]
	if d := diffIDs(q.model.scan(query), q.scan(t, query)); d != "" {
		t.Errorf("the query where %s %s a list of %d values must give these records (-want +got):\n%s", c.Column, opNames[c.Op], len(c.Values), d)
	}
	if want, got := q.model.count(query), q.count(t, query); want != got {
		t.Errorf("the query where %s %s a list of %d values must count %d, not %d", c.Column, opNames[c.Op], len(c.Values), want, got)
	}
}
