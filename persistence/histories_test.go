package persistence_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence"
)

// Entry is the type of the objects in the histories.
type Entry struct {
	persistence.Persistable
	Values
}

// Values are the contents of an Entry in the model.
type Values struct {
	State string
	Prio  int64
	Host  string // "" is NULL in its column
	Score float64
}

func init() { persistence.Register[Entry]("histories.Entry") }

var entryFields = []extrafields.Field{
	extrafields.Of("prio", func(e *Entry) int64 { return e.Prio }).Indexed(),
	extrafields.Func("host", extrafields.Text, func(obj any) (any, error) {
		if e := obj.(*Entry); e.Host != "" {
			return e.Host, nil
		}
		return nil, nil
	}),
	extrafields.Of("score", func(e *Entry) float64 { return e.Score }),
}

var entryIndexes = []persistence.Index{
	{Columns: []string{"state", "prio"}}, {Columns: []string{"host", "state"}, Unique: true},
}

// A world is what a history runs on: a store, or the model. Each operation returns everything
// that a caller can observe.
type world interface {
	clear(ctx context.Context)
	insert(ctx context.Context, id persistence.ID, v Values) string
	replace(ctx context.Context, id persistence.ID, v Values) string
	// change loads an object, changes and saves it, and then saves a copy that was loaded before.
	change(ctx context.Context, id persistence.ID, by int64) string
	// exchange gives each of two objects the values of the other, in one save.
	exchange(ctx context.Context, a, b persistence.ID) string
	remove(ctx context.Context, ids ...persistence.ID) string
	load(ctx context.Context, id persistence.ID) string
	list(ctx context.Context, q *query) string
	countBy(ctx context.Context, column string, q *query) string
	update(ctx context.Context, q *query, by int64) string
	removeAll(ctx context.Context, q *query) string
	kv(ctx context.Context, op, key string, old, next any) string
}

// A query is a persistence.Query in a form that the model can evaluate.
type query struct {
	where []condition
	order []persistence.Order
	by    []string // the columns of the order; - marks descending ones
	limit int
}

type condition struct {
	op     string // "or" has nothing but any
	column string
	values []any
	any    []condition
}

func (q *query) query() *persistence.Query {
	return &persistence.Query{Order: q.order, Limit: q.limit, Where: conds(q.where)}
}

func conds(list []condition) (out []persistence.Cond) {
	for _, c := range list {
		make1 := map[string]func(string, any) persistence.Cond{
			"=": persistence.Eq, "!": persistence.Ne, "<": persistence.Lt, "<=": persistence.Le, ">": persistence.Gt, ">=": persistence.Ge,
		}
		switch c.op {
		case "in":
			out = append(out, persistence.In(c.column, c.values...))
		case "!in":
			out = append(out, persistence.NotIn(c.column, c.values...))
		case "null":
			out = append(out, persistence.IsNull(c.column))
		case "!null":
			out = append(out, persistence.NotNull(c.column))
		case "prefix":
			out = append(out, persistence.HasPrefix(c.column, c.values[0].(string)))
		case "suffix":
			out = append(out, persistence.HasSuffix(c.column, c.values[0].(string)))
		case "contains":
			out = append(out, persistence.Contains(c.column, c.values[0].(string)))
		case "or":
			out = append(out, persistence.Or(conds(c.any)...))
		default:
			out = append(out, make1[c.op](c.column, c.values[0]))
		}
	}
	return out
}

// outcome returns what can be observed of a call: the kind of its error, or its result.
func outcome(err error, result ...any) string {
	for _, target := range []error{persistence.ErrNotFound, persistence.ErrUnique, persistence.ErrExists, persistence.ErrConflict, persistence.ErrInvalidID} {
		if errors.Is(err, target) {
			return target.Error()
		}
	}
	if err != nil {
		return "unexpected: " + err.Error()
	}
	return fmt.Sprint(result...)
}

// stored is the world of a store.
type stored struct{ s *persistence.Store }

func (w stored) clear(ctx context.Context) {
	if _, err := w.s.RemoveAll(ctx, nil); err != nil {
		panic(err)
	}
	for p, err := range w.s.KV().Range(ctx, "") {
		if err == nil {
			err = w.s.KV().Delete(ctx, p.Key)
		}
		if err != nil {
			panic(err)
		}
	}
}

func (w stored) insert(ctx context.Context, id persistence.ID, v Values) string {
	return outcome(w.s.Insert(ctx, id, &Entry{Values: v}))
}

func (w stored) replace(ctx context.Context, id persistence.ID, v Values) string {
	return outcome(w.s.Replace(ctx, id, &Entry{Values: v}))
}

func (w stored) change(ctx context.Context, id persistence.ID, by int64) string {
	e, err := persistence.Load[Entry](ctx, w.s, id)
	if err != nil {
		return outcome(err)
	}
	stale, err := persistence.Load[Entry](ctx, w.s, id)
	if err != nil {
		return outcome(err)
	}
	e.Prio += by
	_, first := w.s.Save(ctx, e)
	stale.Prio -= by
	_, second := w.s.Save(ctx, stale)
	return outcome(first) + ", then " + outcome(second)
}

func (w stored) exchange(ctx context.Context, a, b persistence.ID) string {
	objs, err := w.s.LoadAll(ctx, a, b)
	if err != nil {
		return outcome(err)
	}
	x, y := objs[0].(*Entry), objs[1].(*Entry)
	x.Values, y.Values = y.Values, x.Values
	_, err = w.s.SaveAll(ctx, x, y)
	return outcome(err)
}

func (w stored) remove(ctx context.Context, ids ...persistence.ID) string {
	return outcome(w.s.Remove(ctx, ids...))
}

func (w stored) load(ctx context.Context, id persistence.ID) string {
	e, err := persistence.Load[Entry](ctx, w.s, id)
	if err != nil {
		return outcome(err)
	}
	info, err := w.s.Stat(ctx, id)
	return outcome(err, e.Values, info.State, info.Fields)
}

func (w stored) list(ctx context.Context, q *query) string {
	var ids []persistence.ID
	for id, err := range w.s.List(ctx, q.query()) {
		if err != nil {
			return outcome(err)
		}
		ids = append(ids, id)
	}
	n, err := w.s.Count(ctx, q.query())
	return outcome(err, ids, " of ", n)
}

func (w stored) countBy(ctx context.Context, column string, q *query) string {
	groups, err := w.s.CountBy(ctx, column, q.query())
	return outcome(err, groups)
}

func (w stored) update(ctx context.Context, q *query, by int64) string {
	n, err := w.s.Update(ctx, q.query(), func(obj any) error {
		obj.(*Entry).Prio += by
		return nil
	})
	return outcome(err, n)
}

func (w stored) removeAll(ctx context.Context, q *query) string {
	n, err := w.s.RemoveAll(ctx, q.query())
	return outcome(err, n)
}

func (w stored) kv(ctx context.Context, op, key string, old, next any) string {
	kv := w.s.KV()
	switch op {
	case "get":
		v, err := kv.Get(ctx, key)
		return outcome(err, v)
	case "set":
		return outcome(kv.Set(ctx, key, next))
	case "delete":
		return outcome(kv.Delete(ctx, key))
	case "swap":
		swapped, err := kv.CompareAndSwap(ctx, key, old, next)
		return outcome(err, swapped)
	}
	var all []string
	for p, err := range kv.Range(ctx, key) {
		if err != nil {
			return outcome(err)
		}
		all = append(all, fmt.Sprint(p.Key, "=", p.Value))
	}
	return outcome(nil, all)
}

// model is the world of plain maps.
type model struct {
	entries map[persistence.ID]Values
	pairs   map[string]any
}

func (m *model) clear(context.Context) {
	m.entries, m.pairs = map[persistence.ID]Values{}, map[string]any{}
}

func (m *model) insert(_ context.Context, id persistence.ID, v Values) string {
	if _, there := m.entries[id]; there {
		return outcome(persistence.ErrExists)
	}
	return m.store(id, v)
}

// store stores the values, unless another entry has the same in the unique index.
func (m *model) store(id persistence.ID, v Values) string {
	for other, w := range m.entries {
		if other != id && v.Host != "" && v.Host == w.Host && v.State == w.State {
			return outcome(persistence.ErrUnique)
		}
	}
	m.entries[id] = v
	return outcome(nil)
}

func (m *model) exchange(_ context.Context, a, b persistence.ID) string {
	x, there := m.entries[a]
	y, too := m.entries[b]
	if !there || !too {
		return outcome(persistence.ErrNotFound)
	}
	m.entries[a], m.entries[b] = y, x
	return outcome(nil)
}

func (m *model) replace(_ context.Context, id persistence.ID, v Values) string {
	if _, there := m.entries[id]; !there {
		return outcome(persistence.ErrNotFound)
	}
	return m.store(id, v)
}

func (m *model) change(_ context.Context, id persistence.ID, by int64) string {
	v, there := m.entries[id]
	if !there {
		return outcome(persistence.ErrNotFound)
	}
	if by == 0 {
		return outcome(nil) + ", then " + outcome(nil)
	}
	v.Prio += by
	m.entries[id] = v
	return outcome(nil) + ", then " + outcome(persistence.ErrConflict)
}

func (m *model) remove(_ context.Context, ids ...persistence.ID) string {
	for _, id := range ids {
		if _, there := m.entries[id]; !there {
			return outcome(persistence.ErrNotFound)
		}
	}
	for _, id := range ids {
		delete(m.entries, id)
	}
	return outcome(nil)
}

func (m *model) load(_ context.Context, id persistence.ID) string {
	v, there := m.entries[id]
	if !there {
		return outcome(persistence.ErrNotFound)
	}
	fields := map[string]any{"prio": v.Prio, "host": m.value(id, "host"), "score": v.Score}
	return outcome(nil, v, v.State, fields)
}

// value returns the value of a column, nil for NULL.
func (m *model) value(id persistence.ID, column string) any {
	v := m.entries[id]
	switch column {
	case "id":
		return string(id)
	case "type":
		return "histories.Entry"
	case "state":
		return v.State
	case "prio":
		return v.Prio
	case "score":
		return v.Score
	}
	if v.Host == "" {
		return nil
	}
	return v.Host
}

func compareAny(a, b any) int {
	switch a := a.(type) {
	case string:
		return strings.Compare(a, b.(string))
	case int64:
		return cmp.Compare(a, b.(int64))
	}
	return cmp.Compare(a.(float64), b.(float64))
}

func (m *model) holds(id persistence.ID, c condition) bool {
	if c.op == "or" {
		return slices.ContainsFunc(c.any, func(c condition) bool { return m.holds(id, c) })
	}
	v := m.value(id, c.column)
	among := slices.ContainsFunc(c.values, func(w any) bool { return v != nil && compareAny(v, w) == 0 })
	switch c.op {
	case "=", "in":
		return among
	case "!", "!in":
		return !among
	case "null", "!null":
		return (v == nil) == (c.op == "null")
	case "prefix":
		return v != nil && strings.HasPrefix(v.(string), c.values[0].(string))
	case "suffix":
		return v != nil && strings.HasSuffix(v.(string), c.values[0].(string))
	case "contains":
		return v != nil && strings.Contains(v.(string), c.values[0].(string))
	}
	if v == nil {
		return false
	}
	switch n := compareAny(v, c.values[0]); c.op {
	case "<":
		return n < 0
	case "<=":
		return n <= 0
	case ">":
		return n > 0
	}
	return compareAny(v, c.values[0]) >= 0
}

func (m *model) selected(q *query) (ids []persistence.ID, n int) {
	for _, id := range slices.Sorted(maps.Keys(m.entries)) {
		if !slices.ContainsFunc(q.where, func(c condition) bool { return !m.holds(id, c) }) {
			ids = append(ids, id)
		}
	}
	n = len(ids)
	slices.SortStableFunc(ids, func(a, b persistence.ID) int {
		for _, column := range q.by {
			name := strings.TrimPrefix(column, "-")
			x, y := m.value(a, name), m.value(b, name)
			switch {
			case x == nil && y == nil:
			case x == nil:
				return 1
			case y == nil:
				return -1
			default:
				if c := compareAny(x, y); c != 0 && name != column {
					return -c
				} else if c != 0 {
					return c
				}
			}
		}
		return 0
	})
	if q.limit > 0 {
		ids = ids[:min(q.limit, len(ids))]
	}
	return ids, n
}

func (m *model) list(_ context.Context, q *query) string {
	ids, n := m.selected(q)
	return outcome(nil, ids, " of ", n)
}

func (m *model) countBy(_ context.Context, column string, q *query) string {
	all := *q
	all.limit = 0
	ids, _ := m.selected(&all)
	var groups []persistence.Group
	for _, id := range ids {
		v := m.value(id, column)
		if column == "id" {
			v = id
		}
		at := slices.IndexFunc(groups, func(g persistence.Group) bool { return g.Value == v })
		if at < 0 {
			at = len(groups)
			groups = append(groups, persistence.Group{Value: v})
		}
		groups[at].Count++
	}
	slices.SortFunc(groups, func(a, b persistence.Group) int {
		switch x, isID := a.Value.(persistence.ID); {
		case isID:
			return cmp.Compare(x, b.Value.(persistence.ID))
		case a.Value == nil:
			return 1
		case b.Value == nil:
			return -1
		}
		return compareAny(a.Value, b.Value)
	})
	return outcome(nil, groups)
}

func (m *model) update(_ context.Context, q *query, by int64) string {
	ids, _ := m.selected(q)
	for _, id := range ids {
		v := m.entries[id]
		v.Prio += by
		m.entries[id] = v
	}
	return outcome(nil, len(ids))
}

func (m *model) removeAll(_ context.Context, q *query) string {
	ids, _ := m.selected(q)
	for _, id := range ids {
		delete(m.entries, id)
	}
	return outcome(nil, len(ids))
}

func (m *model) kv(_ context.Context, op, key string, old, next any) string {
	v, there := m.pairs[key]
	put := func(v any) {
		if delete(m.pairs, key); v != persistence.Absent {
			m.pairs[key] = v
		}
	}
	switch op {
	case "get", "delete":
		if !there {
			return outcome(persistence.ErrNotFound)
		}
		if op == "get" {
			return outcome(nil, v)
		}
		put(persistence.Absent)
		return outcome(nil)
	case "set":
		put(next)
		return outcome(nil)
	case "swap":
		if !there {
			v = persistence.Absent
		}
		if v != old {
			return outcome(nil, false)
		}
		put(next)
		return outcome(nil, true)
	}
	var all []string
	for _, k := range slices.Sorted(maps.Keys(m.pairs)) {
		if strings.HasPrefix(k, key) {
			all = append(all, fmt.Sprint(k, "=", m.pairs[k]))
		}
	}
	return outcome(nil, all)
}

// Generators of the values in histories: few distinct values, so that equal ones are frequent.
var (
	someID     = rapid.SampledFrom([]persistence.ID{"a", "A", "b", "b ", "b.10", "b.9", "ä", "日本"})
	someValues = rapid.Custom(func(t *rapid.T) Values {
		return Values{
			State: rapid.SampledFrom([]string{"NEW", "new", "DONE", ""}).Draw(t, "state"),
			Prio:  rapid.SampledFrom([]int64{-1 << 63, -1, 0, 1, 7, 1<<63 - 1}).Draw(t, "prio"),
			Host:  rapid.SampledFrom([]string{"", "n", "n1", "N1", "n1 ", "ñ", "z"}).Draw(t, "host"),
			Score: rapid.SampledFrom([]float64{-1.5, 0, 0.1, 1e300}).Draw(t, "score"),
		}
	})
	someKey  = rapid.SampledFrom([]string{"k", "k/1", "K", "k ", "l"})
	somePair = rapid.SampledFrom([]any{int64(1), 1, "x", "X", persistence.Absent})
	someCond = rapid.Custom(func(t *rapid.T) condition {
		c := condition{column: rapid.SampledFrom([]string{"id", "type", "state", "prio", "host", "score"}).Draw(t, "column")}
		v := func() any {
			x := someValues.Draw(t, "value")
			switch c.column {
			case "id":
				return string(someID.Draw(t, "id"))
			case "type":
				return rapid.SampledFrom([]string{"histories.Entry", "histories"}).Draw(t, "type")
			case "state":
				return x.State
			case "prio":
				return x.Prio
			case "score":
				return x.Score
			}
			return x.Host
		}
		ops := []string{"=", "!", "<", "<=", ">", ">=", "in", "!in", "null", "!null"}
		if c.column != "prio" && c.column != "score" {
			ops = append(ops, "prefix", "suffix", "contains")
		}
		c.op = rapid.SampledFrom(ops).Draw(t, "op")
		switch c.op {
		case "null", "!null":
		case "in", "!in":
			for range rapid.IntRange(0, 3).Draw(t, "values") {
				c.values = append(c.values, v())
			}
		default:
			c.values = []any{v()}
		}
		return c
	})
	eitherCond = rapid.Custom(func(t *rapid.T) condition {
		if rapid.IntRange(0, 3).Draw(t, "or") > 0 {
			return someCond.Draw(t, "condition")
		}
		return condition{op: "or", any: rapid.SliceOfN(someCond, 0, 3).Draw(t, "any")}
	})
	someQuery = rapid.Custom(func(t *rapid.T) *query {
		q := &query{limit: rapid.IntRange(0, 3).Draw(t, "limit"), where: rapid.SliceOfN(eitherCond, 0, 2).Draw(t, "where")}
		for _, column := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"state", "prio", "host", "score", "type"}), 0, 2, rapid.ID).Draw(t, "order") {
			if rapid.Bool().Draw(t, "descending") {
				q.order, q.by = append(q.order, persistence.Desc(column)), append(q.by, "-"+column)
			} else {
				q.order, q.by = append(q.order, persistence.Asc(column)), append(q.by, column)
			}
		}
		return q
	})
)

// step draws an operation: its name, and a function that runs it in a world.
func step(t *rapid.T) (string, func(context.Context, world) string) {
	id, v, by := someID.Draw(t, "id"), someValues.Draw(t, "values"), rapid.Int64Range(0, 2).Draw(t, "by")
	switch op := rapid.SampledFrom([]string{
		"insert", "insert", "insert", "replace", "change", "exchange", "remove", "load", "list", "list", "count", "update", "clear", "kv", "kv", "kv",
	}).Draw(t, "operation"); op {
	case "insert":
		return fmt.Sprint(op, " ", id, " ", v), func(ctx context.Context, w world) string { return w.insert(ctx, id, v) }
	case "replace":
		return fmt.Sprint(op, " ", id, " ", v), func(ctx context.Context, w world) string { return w.replace(ctx, id, v) }
	case "change":
		return fmt.Sprint(op, " ", id, " ", by), func(ctx context.Context, w world) string { return w.change(ctx, id, by) }
	case "exchange":
		ids := rapid.SliceOfNDistinct(someID, 2, 2, rapid.ID).Draw(t, "ids")
		return fmt.Sprint(op, " ", ids), func(ctx context.Context, w world) string { return w.exchange(ctx, ids[0], ids[1]) }
	case "remove":
		ids := rapid.SliceOfNDistinct(someID, 1, 2, rapid.ID).Draw(t, "ids")
		return fmt.Sprint(op, " ", ids), func(ctx context.Context, w world) string { return w.remove(ctx, ids...) }
	case "load":
		return fmt.Sprint(op, " ", id), func(ctx context.Context, w world) string { return w.load(ctx, id) }
	case "kv":
		what := rapid.SampledFrom([]string{"get", "set", "delete", "swap", "range"}).Draw(t, "what")
		key, old, next := someKey.Draw(t, "key"), somePair.Draw(t, "old"), somePair.Draw(t, "next")
		if what == "set" && next == persistence.Absent {
			next = "set"
		}
		return fmt.Sprint(op, " ", what, " ", key, " ", old, " ", next), func(ctx context.Context, w world) string { return w.kv(ctx, what, key, old, next) }
	default:
		q := someQuery.Draw(t, "query")
		name := fmt.Sprintf("%s %+v %q limit %d", op, q.where, q.by, q.limit)
		switch op {
		case "list":
			return name, func(ctx context.Context, w world) string { return w.list(ctx, q) }
		case "update":
			return name, func(ctx context.Context, w world) string { return w.update(ctx, q, by) }
		case "clear":
			return name, func(ctx context.Context, w world) string { return w.removeAll(ctx, q) }
		}
		column := rapid.SampledFrom([]string{"id", "type", "state", "prio", "host", "score"}).Draw(t, "column")
		return name + " " + column, func(ctx context.Context, w world) string { return w.countBy(ctx, column, q) }
	}
}

// TestHistoriesAreTheSameEverywhere runs random histories on all backends and on a model of
// plain maps: every result, every order and every kind of error must be the same. BRINE_LONG=1:
// a thousand histories.
func TestHistoriesAreTheSameEverywhere(t *testing.T) {
	t.Parallel()
	worlds := map[string]world{}
	for _, name := range []string{"mem", "fs", "sqlite", "postgres", "mariadb"} {
		there := false
		t.Run(name, func(t *testing.T) { // skipped if there is no such server
			_ = storeURL(t, name)
			there = true
		})
		if there {
			worlds[name] = stored{open(t, storeURL(t, name), &persistence.Options{IDs: textIDs, ExtraFields: entryFields, Indexes: entryIndexes})}
		}
	}
	histories := 1
	if long() {
		histories = 10
	}
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		for range histories {
			m := &model{}
			m.clear(ctx)
			for _, w := range worlds {
				w.clear(ctx)
			}
			for range rapid.IntRange(1, 25).Draw(t, "steps") {
				name, do := step(t)
				want := do(ctx, m)
				for backend, w := range worlds {
					if got := do(ctx, w); got != want {
						t.Fatalf("%s on %s:\ngot  %s\nwant %s", name, backend, got, want)
					}
				}
			}
		}
	})
}

var textIDs = idfactory.Func(func(context.Context, any) (persistence.ID, error) { return "", errors.New("every ID is given") })
