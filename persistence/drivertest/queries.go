package drivertest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/brine-go/brine/persistence/driver"
)

// testQueries checks that every backend gives the answer of driver.Columns.
func testQueries(t *testing.T, s *suite) {
	s.forBoth(t, "every comparison of every column", testComparisons)
	s.forBoth(t, "every order, whole and in pages", testOrders)
	s.forBoth(t, "random queries, whole and in pages", testRandomQueries)
	s.forText(t, "a prefix is taken literally", testPrefixes)
	s.forBoth(t, "lists of values of any length", testLists)

	s.forText(t, "a scan that is broken off releases everything", func(t *testing.T, k *kit) {
		q := newQueried(t, k)
		for i := range 100 { // more than the connections of any pool
			query := &driver.Query{Parts: everything}
			if i%2 == 1 {
				query.Order = []driver.Order{{Column: "ratio", Desc: true}}
			}
			q.view(t, func(r driver.Reader) error {
				for _, err := range r.Scan(bg, query) {
					return err
				}
				return nil
			})
		}
		q.view(t, func(r driver.Reader) error { // and again in one View
			for range 100 {
				for _, err := range r.Scan(bg, &driver.Query{}) {
					if err != nil {
						return err
					}
					break
				}
			}
			return nil
		})
		q.mustApply(t, put(k.rec(1)))
	})

	s.forText(t, "an empty store", func(t *testing.T, k *kit) {
		st := k.fresh(t, fields...)
		for _, q := range []*driver.Query{{}, {Limit: 5}, {Order: []driver.Order{{Column: "order", Desc: true}}}, {After: &driver.Cursor{ID: "x"}}} {
			if got := st.scan(t, q); len(got) != 0 || st.count(t, q) != 0 {
				t.Errorf("a query of an empty store must find nothing, not %v", got)
			}
		}
		if got := st.get(t, everything); len(got) != 0 {
			t.Errorf("Get of no ID must find nothing, not %v", got)
		}
	})
}

func testComparisons(t *testing.T, k *kit) {
	q := newQueried(t, k)
	run := func(column string, op driver.CmpOp, values ...any) {
		query := &driver.Query{Where: []driver.Cond{{Column: column, Op: op, Values: values}}}
		q.compare(t, query)
		if len(values) != 1 || op == driver.Ne {
			q.compareCount(t, query)
		}
	}
	for _, column := range q.some(k) {
		vs := q.values[column]
		run(column, driver.IsNull)
		run(column, driver.NotNull)
		for _, op := range []driver.CmpOp{driver.Eq, driver.Ne, driver.Lt, driver.Le, driver.Gt, driver.Ge} {
			for _, v := range vs {
				run(column, op, v)
			}
		}
		for _, op := range []driver.CmpOp{driver.In, driver.NotIn} {
			run(column, op)
			run(column, op, vs[0])
			run(column, op, vs[len(vs)-1], vs[0], vs[0])
			run(column, op, vs...)
		}
		if q.isText(column) {
			for _, v := range vs {
				for _, op := range textOps {
					run(column, op, fmt.Sprint(v))
				}
			}
		}
	}
	testOr(t, q)
	// All conditions must hold.
	q.compare(t, &driver.Query{Where: []driver.Cond{
		{Column: "order", Op: driver.Ge, Values: []any{int64(-9)}}, {Column: "order", Op: driver.Lt, Values: []any{int64(10)}},
		{Column: "done", Op: driver.Ne, Values: []any{true}}, {Column: driver.ColState, Op: driver.In, Values: []any{"NEW", "DONE", ""}},
	}})
}

// testOr compares queries with an Or.
func testOr(t *testing.T, q *queried) {
	or := func(conds ...driver.Cond) driver.Cond { return driver.Cond{Op: driver.Or, Any: conds} }
	isNew := driver.Cond{Column: driver.ColState, Op: driver.Eq, Values: []any{"NEW"}}
	noName := driver.Cond{Column: "name", Op: driver.IsNull}
	notTwo := driver.Cond{Column: "order", Op: driver.Ne, Values: []any{int64(2)}}
	first := driver.Cond{Column: driver.ColID, Op: driver.In, Values: q.values[driver.ColID][:2]}
	never := driver.Cond{Column: driver.ColID, Op: driver.In}
	for _, where := range [][]driver.Cond{
		{or()}, {or(), notTwo}, {or(never)}, {or(isNew)}, {or(isNew, noName)}, {or(never, first, isNew)},
		{or(isNew, isNew, notTwo), first}, {or(first, noName), or(isNew, notTwo)}, {or(first, first)},
	} {
		for _, order := range [][]driver.Order{nil, {{Column: "name", Desc: true}}, {{Column: "order"}}} {
			q.compare(t, &driver.Query{Where: where, Order: order})
			q.compareCount(t, &driver.Query{Where: where, Order: order})
		}
	}
}

func testOrders(t *testing.T, k *kit) {
	q := newQueried(t, k)
	var orders [][]driver.Order
	for _, column := range q.some(k) {
		orders = append(orders, []driver.Order{{Column: column}}, []driver.Order{{Column: column, Desc: true}})
	}
	orders = append(orders, nil,
		[]driver.Order{{Column: "done"}, {Column: "name", Desc: true}},
		[]driver.Order{{Column: "done", Desc: true}, {Column: "raw"}, {Column: "due_at", Desc: true}},
		[]driver.Order{{Column: driver.ColState, Desc: true}, {Column: "ratio", Desc: true}},
		[]driver.Order{{Column: driver.ColType}, {Column: driver.ColID, Desc: true}},
		[]driver.Order{{Column: "order"}, {Column: "select"}, {Column: "name"}, {Column: driver.ColModified}},
	)
	for _, order := range orders {
		query := &driver.Query{Order: order}
		q.compare(t, query)
		q.compare(t, &driver.Query{Order: order, Limit: 7})
		q.page(t, query, 7)
	}
	for _, size := range []int{1, 2, 3, 8, 20, 30, 59, 60, 61} {
		q.page(t, &driver.Query{}, size)
		q.page(t, &driver.Query{Order: []driver.Order{{Column: "done", Desc: true}}}, size)
	}
}

func testRandomQueries(t *testing.T, k *kit) {
	q := newQueried(t, k)
	column := rapid.SampledFrom(q.columns)
	cond := rapid.Custom(func(t *rapid.T) driver.Cond {
		c := driver.Cond{Column: column.Draw(t, "column")}
		ops := []driver.CmpOp{driver.Ne, driver.NotNull, driver.Le, driver.Ge, driver.Lt, driver.Gt, driver.NotIn, driver.In, driver.Eq, driver.IsNull}
		if q.isText(c.Column) {
			ops = append(ops, textOps...)
		}
		value := rapid.SampledFrom(q.values[c.Column])
		switch c.Op = rapid.SampledFrom(ops).Draw(t, "op"); c.Op {
		case driver.IsNull, driver.NotNull:
		case driver.In, driver.NotIn:
			c.Values = rapid.SliceOfN(value, 0, 4).Draw(t, "values")
		case driver.HasPrefix, driver.Contains, driver.HasSuffix:
			c.Values = []any{fmt.Sprint(value.Draw(t, "value"))}
		default:
			c.Values = []any{value.Draw(t, "value")}
		}
		return c
	})
	either := rapid.Custom(func(t *rapid.T) driver.Cond {
		if rapid.IntRange(0, 3).Draw(t, "or") > 0 {
			return cond.Draw(t, "condition")
		}
		return driver.Cond{Op: driver.Or, Any: rapid.SliceOfN(cond, 0, 3).Draw(t, "any")}
	})
	order := rapid.Custom(func(t *rapid.T) driver.Order {
		return driver.Order{Column: column.Draw(t, "column"), Desc: rapid.Bool().Draw(t, "descending")}
	})
	everyID := idsOf(q.model.scan(&driver.Query{}))
	rapid.Check(t, func(t *rapid.T) {
		query := &driver.Query{
			Where: rapid.SliceOfN(either, 0, 3).Draw(t, "where"),
			Order: rapid.SliceOfNDistinct(order, 0, 3, func(o driver.Order) string { return o.Column }).Draw(t, "order"),
		}
		if rapid.Bool().Draw(t, "after") { // a position in the order, with or without a record
			// No two records differ in the columns after the ID, and a backend may ignore those.
			if i := slices.IndexFunc(query.Order, func(o driver.Order) bool { return o.Column == driver.ColID }); i >= 0 {
				query.Order = query.Order[:i+1]
			}
			query.After = &driver.Cursor{ID: rapid.SampledFrom(append(everyID, k.id(80))).Draw(t, "ID")}
			for _, o := range query.Order {
				vs := slices.Clone(q.values[o.Column])
				if slices.ContainsFunc(fields, func(f driver.Column) bool { return f.Name == o.Column }) {
					vs = append(vs, nil)
				}
				v := rapid.SampledFrom(vs).Draw(t, "value")
				if o.Column == driver.ColID {
					v = query.After.ID // the position is that of one record
				}
				query.After.Values = append(query.After.Values, v)
			}
		}
		q.compare(t, query)
		q.compareCount(t, query)
		q.page(t, query, rapid.IntRange(2, 30).Draw(t, "page size"))
	})
}

func testPrefixes(t *testing.T, k *kit) {
	texts := []string{"", "a", "A", "ab", "aB", "a%", "a%b", "a_", "a_b", "a*", "a*b", "a?", "a[b]", "a[", "a\\", "a\\%", "axb", "%", "_", "*", "[a]", "'", "a'b",
		"é", "éa", "É", "e\u0301", "z", "zz", "日本", "日本語", "日", "\u007f", "\u0080", "\u07ff", "\uffff", "\uffffa", "\U0010FFFF", "\U0010FFFFa", "\U0010FFFF\U0010FFFF", "😀", "😀a", " ", " a"}
	st := k.fresh(t, fields...)
	m := newModel(st.schema)
	var ms []driver.Mutation
	for i, s := range texts {
		r := k.rec(i)
		r.Type, r.State = s, s
		r.Fields[0], r.Fields[1] = s, s
		if s != "" {
			r.ID = driver.ID(s)
		}
		ms = append(ms, create(r))
	}
	null := k.rec(len(texts))
	null.Fields[0], null.Fields[1] = nil, nil
	ms = append(ms, create(null))
	st.mustApply(t, ms...)
	_, _ = m.apply(ms)
	q := &queried{store: st, model: m}
	for _, column := range []string{driver.ColID, driver.ColType, driver.ColState, "name", "select"} {
		for _, part := range append(texts, "b", "日本語x", "a%c", "本") {
			for _, op := range textOps {
				query := &driver.Query{Where: []driver.Cond{{Column: column, Op: op, Values: []any{part}}}}
				q.compare(t, query)
				if op == driver.HasPrefix {
					q.compareCount(t, query)
				}
			}
		}
	}
}

func testLists(t *testing.T, k *kit) {
	q := newQueried(t, k)
	const n = 5000
	list := func(column string, value func(i int) any) driver.Cond {
		c := driver.Cond{Column: column, Op: driver.In}
		for i := range n {
			c.Values = append(c.Values, value(i))
		}
		c.Values = append(c.Values, q.values[column][1])
		q.compareLong(t, &driver.Query{Where: []driver.Cond{c}})
		return c
	}
	ids := list(driver.ColID, func(i int) any { return k.id(i * 3) })
	ids.Op = driver.NotIn
	q.compareLong(t, &driver.Query{Where: []driver.Cond{ids}})
	either := driver.Cond{Op: driver.Or, Any: []driver.Cond{
		{Column: driver.ColID, Op: driver.In, Values: ids.Values}, {Column: "name", Op: driver.IsNull},
		{Column: driver.ColID, Op: driver.Le, Values: []any{k.id(3)}},
	}}
	q.compareLong(t, &driver.Query{Where: []driver.Cond{either}})
	q.compareLong(t, &driver.Query{Where: []driver.Cond{ids, either}, Order: []driver.Order{{Column: "name"}}})
	if !k.integer {
		return // the rest does not depend on the kind of the IDs
	}
	due := list("due_at", func(i int) any { return baseTime.Add(time.Duration(i-2500) * time.Microsecond) })
	name := list("name", func(i int) any { return fmt.Sprint("name ", i) })
	name.Op = driver.NotIn
	q.compareLong(t, &driver.Query{Where: []driver.Cond{due, name}, Order: []driver.Order{{Column: "due_at", Desc: true}}, Limit: 5})
}
