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

// errFailed: a mutation failed. The first such in the caller's order is found out afterwards.
var errFailed = errors.New("a mutation failed")

// Apply implements [driver.Backend].
func (b *Backend) Apply(ctx context.Context, ms []driver.Mutation) ([]int64, error) {
	o, ts, err := b.writable(ctx)
	if err != nil {
		return nil, err
	}
	defer b.leave()
	if len(ms) == 0 {
		return nil, nil
	}
	t := &batch{b: b, tables: ts, ms: ms}
	if err := t.valid(); err != nil {
		return nil, err
	}
	t.sort()
	if err := b.engine.apply(ctx, o, t); err != nil {
		return nil, err
	}
	return t.revs, nil
}

// byItself makes the mutations in a transaction of their own.
func (t *batch) byItself(ctx context.Context, o *open) (err error) {
	// Where a batch failed and nothing is found to be in its way, another writer was quicker and
	// has undone what it did. The batch may be tried again, but not for ever.
	for range 3 {
		if err = t.apply(ctx, o); err == nil {
			return nil
		}
		refused := t.b.classify(err) == Unique
		if !errors.Is(err, errFailed) && !refused {
			break
		}
		if found := t.diagnose(ctx, o, refused); found != nil {
			err = found
			break
		}
		t.parks = t.parks || refused
	}
	return t.explain(err)
}

// A batch is one Apply.
type batch struct {
	b       *Backend
	tables  *tables
	ms      []driver.Mutation
	numbers []int64 // the IDs in a table of integers, by which they are ordered
	args    []any   // of the last statement that inserts: room for the next one's
	boxes   boxes
	order   []int    // the mutations in the order of their namespaces and IDs
	revs    []int64  // the result
	at      []int    // the mutations of the statement that failed
	uniques []unique // as they were found after a failure; nil: as Init found them
	parks   bool     // a unique index has refused it, which may be right after the whole write
	rows    *rows    // those of the table that records were withdrawn from last, in this transaction
}

// layout returns the table of mutation i.
func (t *batch) layout(i int) *layout { return t.tables.of(t.ms[i].Namespace) }

// valid refuses mutations for which no statement can be made.
func (t *batch) valid() error {
	for i := range t.ms {
		l := t.layout(i)
		if l == nil {
			return fmt.Errorf("%s: the namespace %q is used before InitNamespace", t.b.dialect.Location(), string(t.ms[i].Namespace))
		}
		if err := l.valid(&t.ms[i]); err != nil {
			return err
		}
	}
	return nil
}

// valid refuses a mutation for which no statement can be made.
func (l *layout) valid(m *driver.Mutation) error {
	if moves(m) {
		return nil
	}
	if (m.Op < driver.Create || m.Op > driver.SetFields) && m.Op != driver.Import {
		return fmt.Errorf("record %q: %v", m.Rec.ID, m.Op)
	}
	if (m.Op <= driver.Put || m.Op == driver.SetFields || m.Op == driver.Import) && len(m.Rec.Fields) != len(l.fields) {
		return fmt.Errorf("record %q: %d extra fields where the schema has %d", m.Rec.ID, len(m.Rec.Fields), len(l.fields))
	}
	if (m.Token != 0 || m.Release) && (m.Op == driver.Update || m.Op == driver.Delete || m.Op == driver.Check) {
		if err := l.claimable(); err != nil {
			return err
		}
	}
	if _, ok := l.key(m.Rec.ID); !ok && (m.Op == driver.Create || m.Op == driver.Put || m.Op == driver.Import) {
		return fmt.Errorf("record %q: table %q cannot hold this ID", m.Rec.ID, l.name)
	}
	if size := int64(len(m.Rec.Data)); size > l.traits.MaxValue {
		return &driver.RecordError{ID: m.Rec.ID, Err: fmt.Errorf("%w: data of %d bytes, where %s holds up to %d",
			driver.ErrTooLarge, size, l.traits.Name, l.traits.MaxValue)}
	}
	return nil
}

// sort finds the order in which the mutations are made: the same for all writers, so that they do
// not deadlock.
func (t *batch) sort() {
	t.order, t.revs = make([]int, len(t.ms)), make([]int64, len(t.ms))
	sorted := true
	for i := range t.ms {
		if t.layout(i).schema.IntegerIDs {
			if t.numbers == nil {
				t.numbers = make([]int64, len(t.ms))
			}
			t.numbers[i], _ = integerID(t.ms[i].Rec.ID)
		}
		t.order[i] = i
		sorted = sorted && (i == 0 || t.compare(i-1, i) < 0)
	}
	if !sorted {
		slices.SortFunc(t.order, t.compare)
	}
}

// compare says which of two mutations is made first.
func (t *batch) compare(i, j int) int {
	if t.ms[i].Namespace != t.ms[j].Namespace {
		return cmp.Compare(t.ms[i].Namespace, t.ms[j].Namespace)
	}
	if t.layout(i).schema.IntegerIDs {
		return cmp.Compare(t.numbers[i], t.numbers[j])
	}
	return strings.Compare(string(t.ms[i].Rec.ID), string(t.ms[j].Rec.ID))
}

// key returns what is bound for the ID of mutation i; nil: no record of the table can have it.
func (t *batch) key(i int) any {
	if k, ok := t.layout(i).key(t.ms[i].Rec.ID); ok {
		return k
	}
	return nil
}

// apply makes the mutations once.
func (t *batch) apply(ctx context.Context, o *open) error {
	if len(t.ms) == 1 && !t.parks && len(t.ms[0].NewRefs) == 0 && !t.readsOnly(0) && !moves(&t.ms[0]) {
		return t.alone(ctx, o)
	}
	return t.b.write(ctx, o, func(c *conn) error { return t.all(ctx, c) })
}

// all makes the mutations inside a transaction.
func (t *batch) all(ctx context.Context, c *conn) error {
	if err := c.tune(ctx, t); err != nil {
		return err
	}
	order := t.order
	t.rows = nil
	if t.parks {
		var err error
		if order, err = t.parked(ctx, c); err != nil {
			return err
		}
	}
	for i := 0; i < len(order); {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := t.run(order[i:])
		t.at = order[i : i+n]
		if err := t.mutate(ctx, c, t.at); err != nil {
			return err
		}
		i += n
	}
	t.at = nil
	return t.checkRefs(ctx, c)
}

// readsOnly reports whether mutation i writes nothing.
func (t *batch) readsOnly(i int) bool { return t.ms[i].Op == driver.Check && !t.ms[i].Release }

// alone makes one mutation, which is a transaction of its own.
func (t *batch) alone(ctx context.Context, o *open) error {
	return t.b.autocommit(ctx, o, func(ctx context.Context, c *conn) error {
		if err := c.tune(ctx, t); err != nil {
			return err
		}
		t.at = t.order
		return t.mutate(ctx, c, t.at)
	})
}

// run returns how many mutations, from the beginning of order on, one statement makes.
func (t *batch) run(order []int) int {
	first := order[0]
	if n := t.withdrawals(order); n > 0 {
		return n
	}
	op, ns := t.ms[first].Op, t.ms[first].Namespace
	news := op == driver.Create || op == driver.Import && t.ms[first].IfRev == 0
	if !news && !t.readsOnly(first) {
		return 1
	}
	traits := t.b.traits
	shapes := traits.insertShapes()
	if op == driver.Check {
		shapes = traits.getShapes()
	}
	most := shapes[len(shapes)-1]
	n, size := 0, 0
	for n < most && n < len(order) {
		m := &t.ms[order[n]]
		if m.Op != op || m.Release || m.Namespace != ns || op == driver.Import && m.IfRev != 0 {
			break
		}
		if size += len(m.Rec.Data); size > traits.maxBatchBytes() && n > 0 {
			break
		}
		n++
	}
	if op == driver.Check {
		return n
	}
	for _, shape := range slices.Backward(shapes) {
		if shape <= n && shape*(len(t.layout(first).written)+1) <= traits.MaxParams {
			return shape
		}
	}
	return 1
}

// explain names the record that a statement failed on.
func (t *batch) explain(err error) error {
	if errors.Is(err, errFailed) {
		return fmt.Errorf("%s: table %q changed again and again meanwhile", t.b.dialect.Location(), t.layout(0).name)
	}
	if t.b.classify(err) == Unique {
		if refused := t.violated(err); refused != nil {
			return refused
		}
	}
	var re *driver.RecordError
	if t.b.dialect.Classify(err) == TooLarge && len(t.at) > 0 && !errors.As(err, &re) {
		largest := slices.MaxFunc(t.at, func(i, j int) int { return cmp.Compare(len(t.ms[i].Rec.Data), len(t.ms[j].Rec.Data)) })
		r := &t.ms[largest].Rec
		return &driver.RecordError{ID: r.ID, Err: fmt.Errorf("%w: %d bytes of data and its extra fields are over the limit of %s, %d: %w",
			driver.ErrTooLarge, len(r.Data), t.b.traits.Name, t.b.traits.MaxValue, err)}
	}
	return t.b.translate(err)
}
