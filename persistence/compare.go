package persistence

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/brine-go/brine/persistence/driver"
)

// A Difference is what [Compare] has to say of an ID.
type Difference struct {
	ID   ID
	Kind DifferenceKind
	// Path is the first column or field that differs, with Differs: "type", "state", the name of an
	// extra column, or a path inside the object, such as Deps[0].
	Path string
}

// A DifferenceKind is the kind of a [Difference].
type DifferenceKind uint8

// The kinds of differences.
const (
	OnlyInA DifferenceKind = iota + 1 // the second store does not have the record
	OnlyInB                           // the first store does not have it
	Differs                           // both have it, with another type, state, extra column or object
)

// String returns the name of the kind as in Go.
func (k DifferenceKind) String() string {
	switch k {
	case OnlyInA:
		return "OnlyInA"
	case OnlyInB:
		return "OnlyInB"
	case Differs:
		return "Differs"
	}
	return fmt.Sprintf("DifferenceKind(%d)", uint8(k))
}

// Compare streams the differences between the records of two stores, whatever their backends: of
// those that q selects in either, or of all if q is nil. Records are equal if their types, states,
// bytes and extra columns are: what [Copy] leaves alone. Revisions and times say who wrote when,
// and are not compared, nor are claims. An extra column that one store lacks is NULL there. It
// needs no types. Key-value pairs are not compared, since they have no ID: [KV.Range] of both
// stores lists them in one order.
//
// First come the differences of the records of a, in the order of their IDs, then those of what
// only b has or only q selects in b. Both are read page by page, as [Store.List] does, so what is
// written meanwhile may show as a difference. A record that is damaged is an error that names it,
// and the iteration continues; any other error ends it. An Order, After or Limit in q is an error.
func Compare(ctx context.Context, a, b *Store, q *Query) iter.Seq2[Difference, error] {
	a, b = a.self().s, b.self().s // neither is nil
	return func(yield func(Difference, error) bool) {
		c := &comparing{ctx: ctx, yield: yield}
		err := c.run(a, b, q)
		if err != nil && !errors.Is(err, errStopped) {
			yield(Difference{}, a.fail("compare", "", err))
		}
	}
}

// A comparing is one Compare.
type comparing struct {
	ctx   context.Context
	yield func(Difference, error) bool
	sides [2]comparedStore
}

// A comparedStore is one of the stores of a Compare.
type comparedStore struct {
	s      *Store
	c      *conn // of the objects with all columns
	fields []driver.Column
	query  *driver.Query
	values *driver.Columns // evaluates the query
}

func (c *comparing) run(a, b *Store, q *Query) error {
	if q != nil && (len(q.Order) > 0 || q.After != "" || q.Limit != 0) {
		return errors.New("query: Compare goes through all records that the query selects: Order, After and Limit have no place in it")
	}
	for i, s := range []*Store{a, b} {
		_, fields, err := s.recordedColumns(c.ctx)
		if err != nil {
			return err
		}
		with, err := s.withColumns(c.ctx, fields, false)
		if err != nil {
			return err
		}
		dq, err := s.compile(q)
		if err != nil {
			return err
		}
		dq.Parts = driver.Info | driver.Fields | driver.Data
		c.sides[i] = comparedStore{s, with, fields, dq,
			driver.NewColumns(driver.Schema{IntegerIDs: s.ids.Integral(), Fields: fields})}
	}
	if err := c.pass(&c.sides[0], &c.sides[1], OnlyInA); err != nil {
		return err
	}
	return c.pass(&c.sides[1], &c.sides[0], OnlyInB)
}

// pass compares the records that the query selects in one store with those of the other.
func (c *comparing) pass(from, with *comparedStore, only DifferenceKind) error {
	q := *from.query
	if only == OnlyInB && len(q.Where) == 0 {
		q.Parts = 0 // all that a has was compared
	}
	page := &recordPage{}
	p := from.c.newPager(&q, dataPage, page, nil)
	for more := true; more; {
		var err error
		if more, err = p.read(c.ctx); err != nil {
			return err
		}
		for _, err := range p.bad {
			if !c.yield(Difference{}, from.s.fail("compare", "", err)) {
				return errStopped
			}
		}
		if err := c.page(from, with, only, page.recs); err != nil {
			return err
		}
	}
	return nil
}

func (c *comparing) page(from, with *comparedStore, only DifferenceKind, recs []driver.Record) error {
	parts := from.query.Parts
	if only == OnlyInB && len(from.query.Where) == 0 {
		parts = 0
	}
	ids := make([]ID, len(recs))
	for i := range recs {
		ids[i] = recs[i].ID
	}
	others, bad, err := getEach(c.ctx, with.c, nil, ids, parts)
	if err != nil {
		return err
	}
	found := make(map[ID]*driver.Record, len(others))
	for i := range others {
		found[others[i].ID] = &others[i]
	}
	unreadable := make(map[ID]error, len(bad))
	for _, err := range bad {
		if re, ok := errors.AsType[*driver.RecordError](err); ok {
			unreadable[re.ID] = err
		}
	}
	for i := range recs {
		id, d := recs[i].ID, Difference{ID: recs[i].ID, Kind: only}
		other, err := found[id], unreadable[id]
		switch {
		case err != nil && only == OnlyInB:
			continue // the first pass has told
		case err != nil:
			err, d = with.s.fail("compare", id, err), Difference{}
		case other == nil:
		case only == OnlyInB && (parts == 0 || with.values.Match(with.query, other)):
			continue // the first pass has compared it
		default:
			a, b, sa, sb := &recs[i], other, from, with
			if only == OnlyInB {
				a, b, sa, sb = b, a, sb, sa
			}
			d.Kind, d.Path = Differs, differingPath(sa, sb, a, b)
			if d.Path == "" {
				continue
			}
		}
		if !c.yield(d, err) {
			return errStopped
		}
	}
	return nil
}

// differingPath returns the first column or field in which two records differ, or "".
func differingPath(sa, sb *comparedStore, a, b *driver.Record) string {
	lacks := func(column string) bool {
		return slices.Contains(sa.s.missing, column) || slices.Contains(sb.s.missing, column)
	}
	if a.Type != b.Type && !lacks(driver.ColType) {
		return driver.ColType
	}
	if a.State != b.State {
		return driver.ColState
	}
	if !bytes.Equal(a.Data, b.Data) {
		return differingField(sa.s, sb.s, a, b)
	}
	va, vb := sa.byName(a), sb.byName(b)
	names := slices.Concat(slices.Collect(maps.Keys(va)), slices.Collect(maps.Keys(vb)))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if !sameFields([]any{va[name]}, []any{vb[name]}) {
			return name
		}
	}
	return ""
}

// byName returns the extra columns of a record by their names in lower case.
func (s *comparedStore) byName(r *driver.Record) map[string]any {
	values := make(map[string]any, len(s.fields))
	for i, f := range s.fields {
		if i < len(r.Fields) {
			values[strings.ToLower(f.Name)] = r.Fields[i]
		}
	}
	return values
}

// differingField returns the path of the first field in which the objects of two records differ.
func differingField(sa, sb *Store, a, b *driver.Record) string {
	const bytesDiffer = "data"
	ra, err := sa.record(a)
	if err != nil {
		return bytesDiffer
	}
	rb, err := sb.record(b)
	if err != nil {
		return bytesDiffer
	}
	va, err := ra.Value()
	if err != nil {
		return bytesDiffer
	}
	vb, err := rb.Value()
	if err != nil {
		return bytesDiffer
	}
	w := genericWalk{seen: map[[2]uintptr]bool{}}
	path, differs := w.differ("", va, vb)
	switch {
	case !differs || path == "":
		return bytesDiffer // what generic values do not show: sharing, or the version
	default:
		return path
	}
}

// A genericWalk compares generic values. seen has the pairs of maps and slices that are being or
// were compared.
type genericWalk struct{ seen map[[2]uintptr]bool }

// differ returns the path of the first difference, and whether there is one.
func (w *genericWalk) differ(path string, a, b any) (string, bool) {
	va, vb := reflect.ValueOf(a), reflect.ValueOf(b)
	if va.IsValid() != vb.IsValid() || va.IsValid() && va.Type() != vb.Type() {
		return path, true
	}
	switch x := a.(type) {
	case map[string]any:
		if w.again(va, vb) {
			return "", false
		}
		y := b.(map[string]any)
		keys := slices.Concat(slices.Collect(maps.Keys(x)), slices.Collect(maps.Keys(y)))
		slices.Sort(keys)
		for _, k := range slices.Compact(keys) {
			in := strings.TrimPrefix(path+"."+k, ".")
			vx, inX := x[k]
			vy, inY := y[k]
			if inX != inY {
				return in, true
			}
			if p, differs := w.differ(in, vx, vy); differs {
				return p, true
			}
		}
		return "", false
	case []any:
		if w.again(va, vb) {
			return "", false
		}
		y := b.([]any)
		for i := range min(len(x), len(y)) {
			if p, differs := w.differ(fmt.Sprintf("%s[%d]", path, i), x[i], y[i]); differs {
				return p, true
			}
		}
		if len(x) != len(y) {
			return fmt.Sprintf("%s[%d]", path, min(len(x), len(y))), true
		}
		return "", false
	case Typed:
		y := b.(Typed)
		if x.Type != y.Type {
			return path, true
		}
		return w.differ(path, x.Value, y.Value)
	case map[any]any:
		return w.differAny(path, va, vb, x, b.(map[any]any))
	case float64:
		return path, cmp.Compare(x, b.(float64)) != 0
	}
	return path, !reflect.DeepEqual(a, b)
}

// differAny is differ for maps whose keys need not be texts, in the order of how keys print.
func (w *genericWalk) differAny(path string, va, vb reflect.Value, x, y map[any]any) (string, bool) {
	if w.again(va, vb) {
		return "", false
	}
	keys := slices.SortedFunc(maps.Keys(x), func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	for _, k := range keys {
		in := fmt.Sprintf("%s[%v]", path, k)
		other, there := y[k]
		if reflect.ValueOf(k).Kind() == reflect.Pointer { // no other map has it
			return in, true
		}
		if !there {
			return in, true
		}
		if p, differs := w.differ(in, x[k], other); differs {
			return p, true
		}
	}
	return path, len(x) != len(y)
}

// again reports whether two maps or slices were met together before.
func (w *genericWalk) again(a, b reflect.Value) bool {
	if a.Len() == 0 && b.Len() == 0 {
		return a.IsNil() == b.IsNil()
	}
	pair := [2]uintptr{a.Pointer(), b.Pointer()}
	was := w.seen[pair]
	w.seen[pair] = true
	return was
}
