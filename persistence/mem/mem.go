// Package mem keeps records in the memory of the process. Its URL is "mem:"; importing the
// package registers it.
//
// Every opening has its own data, which exists as long as a handle on it. A test of a program
// that restarts can get a second handle with [Backend.Handle].
//
// The records are in a persistent search tree: a write copies the path that it changes and then
// swaps the root. A View therefore holds its root and nothing else: it waits for no writer, and
// no writer waits for it.
package mem

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"math"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/url"
	"golang.org/x/sync/semaphore"
)

func init() {
	driver.Register("mem", Open)
}

// Open opens a new, empty store in memory. The URL is "mem:" or "mem://"; a user, host, path or
// parameter in it is an error.
func Open(_ context.Context, u url.URL, o driver.OpenOptions) (driver.Backend, error) {
	if err := driver.CheckParams(u); err != nil {
		return nil, err
	}
	if u.Host() != "" || u.Port() != "" || u.User() != "" || u.Password() != "" || u.Path() != "" {
		return nil, errors.New(`a mem URL is "mem:" alone, without user, host or path`)
	}
	return New(o), nil
}

// A Backend is a handle on records in memory. It is safe for concurrent use.
type Backend struct {
	data     *data
	readOnly bool
	// columns holds the schemas of the last Init and InitNamespace of this handle; empty before.
	columns sync.Map // driver.Namespace -> *columns

	mu     sync.Mutex // guards closed, and calls.Add against calls.Wait
	closed bool
	calls  sync.WaitGroup
}

var (
	_ driver.Backend    = (*Backend)(nil)
	_ driver.Namespacer = (*Backend)(nil)
	_ driver.Pinger     = (*Backend)(nil)
)

// data is shared by the handles.
type data struct {
	writing *semaphore.Weighted // of weight 1: held by the current writer
	state   atomic.Pointer[state]

	// The current writer owns the remaining fields.
	batch    uint64 // number of the last batch: see node.batch
	identity string // "" before the first Init
	next     int64  // the next number of the counter; 0: not started
	tables   map[driver.Namespace]*table
}

// A state is the records of every namespace at one moment. It is never changed.
type state map[driver.Namespace]*node

// with returns the state in which the records of ns are those of root.
func (st state) with(ns driver.Namespace, root *node) state {
	after := maps.Clone(st)
	after[ns] = root
	return after
}

// A table describes the layout of the records of a namespace. It is never changed but by the
// current writer.
type table struct {
	integerIDs bool
	layout     []driver.Column // every column of any Init; the Fields of stored records are in this order
	dropped    []bool          // of the layout: the column was dropped, and its place is not used again
	uniques    []*unique       // of catalog
	catalog    *driver.Catalog // nil: no extra column was ever declared. It is replaced, never changed
	missing    []string        // in what init returns: columns that a handle for reading only lacks

	gone *atomic.Pointer[[]bool] // dropped, for readers; nil: no column was ever dropped
}

func newTable(integerIDs bool) *table {
	return &table{integerIDs: integerIDs, gone: &atomic.Pointer[[]bool]{}}
}

// columns are the columns of one handle's schema.
type columns struct {
	*driver.Columns
	table  *table
	names  []string // of Schema.Fields
	fields int      // length of Schema.Fields
	stored []int    // the index of each of Schema.Fields in the layout; nil: the same index
	set    int64    // the number of the set of columns that this handle fills
}

func newColumns(s driver.Schema, t *table) *columns {
	cols := &columns{Columns: driver.NewColumns(s), table: t, fields: len(s.Fields)}
	for _, f := range s.Fields {
		cols.names = append(cols.names, f.Name)
	}
	return cols
}

// New returns a backend with its own, empty data. It ignores the options but ReadOnly.
func New(o driver.OpenOptions) *Backend {
	d := &data{writing: semaphore.NewWeighted(1), tables: make(map[driver.Namespace]*table)}
	d.state.Store(&state{})
	return &Backend{data: d, readOnly: o.ReadOnly}
}

// Handle returns another handle on the same data, like opening a file again. The handle needs
// its own Init and its own Close, and its schema may have other fields. Handle works on a
// closed Backend too.
func (b *Backend) Handle() *Backend {
	return &Backend{data: b.data}
}

// ReadOnlyHandle returns a handle that is opened for reading only.
func (b *Backend) ReadOnlyHandle() *Backend {
	return &Backend{data: b.data, readOnly: true}
}

// enter begins a call that Close waits for. It fails after Close.
func (b *Backend) enter(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return driver.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	b.calls.Add(1)
	return nil
}

// writable is ready for calls that write.
func (b *Backend) writable(ctx context.Context) (*columns, error) {
	cols, err := b.ready(ctx)
	if err == nil && b.readOnly {
		b.calls.Done()
		return nil, driver.ErrOpenedReadOnly
	}
	return cols, err
}

// ready is enter for calls that require Init. It returns the columns of the objects.
func (b *Backend) ready(ctx context.Context) (*columns, error) {
	if err := b.enter(ctx); err != nil {
		return nil, err
	}
	cols, err := b.columnsOf(driver.Objects)
	if err != nil {
		b.calls.Done()
	}
	return cols, err
}

// columnsOf returns the columns of a namespace.
func (b *Backend) columnsOf(ns driver.Namespace) (*columns, error) {
	if cols, ok := b.columns.Load(ns); ok {
		return cols.(*columns), nil
	}
	if ns == driver.Objects {
		return nil, errors.New("mem: used before Init")
	}
	return nil, fmt.Errorf("mem: the namespace %q is used before InitNamespace", string(ns))
}

// lock makes the caller the current writer.
func (d *data) lock(ctx context.Context) error { return d.writing.Acquire(ctx, 1) }

func (d *data) unlock() { d.writing.Release(1) }

// Init implements [driver.Backend]. It may be called again with other fields: earlier fields
// keep their values.
func (b *Backend) Init(ctx context.Context, s driver.Schema) (driver.Meta, error) {
	if s.ReadOnly {
		b.readOnly = true // before any other call
	}
	t, err := b.init(ctx, driver.Objects, s)
	if err != nil {
		return driver.Meta{}, err
	}
	return driver.Meta{Identity: b.data.identity, TextIDs: !t.integerIDs, Catalog: t.catalog.Clone(), Missing: t.missing}, nil
}

// InitNamespace implements [driver.Namespacer].
func (b *Backend) InitNamespace(ctx context.Context, ns driver.Namespace, s driver.Schema) error {
	_, err := b.init(ctx, ns, s)
	return err
}

// init returns a copy of the table of a namespace as it is afterwards.
func (b *Backend) init(ctx context.Context, ns driver.Namespace, s driver.Schema) (table, error) {
	if err := b.enter(ctx); err != nil {
		return table{}, err
	}
	defer b.calls.Done()
	d := b.data
	if err := d.lock(ctx); err != nil {
		return table{}, err
	}
	defer d.unlock()

	t, fresh := d.tables[ns], false
	if t == nil {
		t, fresh = newTable(s.IntegerIDs), true
	}
	if s.AnyIDs {
		s.IntegerIDs = t.integerIDs
	}
	if t.integerIDs != s.IntegerIDs {
		return table{}, fmt.Errorf("the store has %s IDs, not %s ones", idKind(t.integerIDs), idKind(s.IntegerIDs))
	}
	if b.readOnly {
		if fresh && ns != driver.Objects {
			return table{}, fmt.Errorf("%w: the namespace %q, and nothing may be created", driver.ErrNotFound, string(ns))
		}
	}
	cols := newColumns(s, t)
	var missing []string
	var err error
	if b.readOnly {
		missing, err = t.find(cols, s.Fields)
	} else if err = t.declare(cols, s.Fields, fresh); err == nil {
		d.tables[ns] = t
	}
	if err != nil {
		return table{}, err
	}
	if d.identity == "" {
		d.identity = rand.Text()
	}
	b.columns.Store(ns, cols)
	after := *t
	after.missing = missing
	return after, nil
}

// find finds the columns of a schema in a table that may not be changed. It returns those that are
// missing.
func (t *table) find(cols *columns, fields []driver.Column) (missing []string, err error) {
	if t.catalog != nil {
		err = t.catalog.Check(fields)
	}
	cols.stored = make([]int, len(fields))
	for i, f := range fields {
		if cols.stored[i] = t.place(f.Name); cols.stored[i] < 0 {
			cols.stored[i] = math.MaxInt // beyond the fields of any record
			missing = append(missing, f.Name)
		}
	}
	return missing, err
}

// declare adds the columns of a schema to the table and its catalog. fresh says that there is no
// record yet.
func (t *table) declare(cols *columns, fields []driver.Column, fresh bool) error {
	catalog := t.catalog.Clone()
	if catalog == nil && len(fields) > 0 {
		catalog = &driver.Catalog{Unknown: !fresh}
	}
	if catalog != nil {
		var err error
		if cols.set, _, err = catalog.Declare(fields); err != nil {
			return err
		}
	}
	stored, moved := make([]int, len(fields)), false
	for i, f := range fields {
		at := t.place(f.Name)
		if at < 0 {
			at = len(t.layout)
			t.layout, t.dropped = append(t.layout, f), append(t.dropped, false)
		}
		stored[i], moved = at, moved || at != i
	}
	if moved {
		cols.stored = stored
	}
	t.catalog = catalog
	return nil
}

// place returns the index in the layout of a column that was not dropped, or -1.
func (t *table) place(name string) int {
	for i, c := range t.layout {
		if strings.EqualFold(c.Name, name) && !t.dropped[i] {
			return i
		}
	}
	return -1
}

func idKind(integer bool) string {
	if integer {
		return "integer"
	}
	return "text"
}

// NextIDs implements [driver.Backend].
func (b *Backend) NextIDs(ctx context.Context, n int) (int64, error) {
	if _, err := b.writable(ctx); err != nil {
		return 0, err
	}
	defer b.calls.Done()
	if n < 1 {
		return 0, fmt.Errorf("%d IDs asked for", n)
	}
	d := b.data
	if err := d.lock(ctx); err != nil {
		return 0, err
	}
	defer d.unlock()

	first := d.next
	if first == 0 {
		top := int64(0)
		(*d.state.Load())[driver.Objects].ascend(func(r *driver.Record) bool {
			if seq, ok := r.ID.Seq(); ok {
				top = max(top, seq)
			}
			return true
		})
		first = top + 1 // wraps below zero after the greatest int64
	}
	if first < 1 || first+int64(n) < first {
		return 0, errors.New("the counter of IDs is exhausted")
	}
	d.next = first + int64(n)
	return first, nil
}

// View implements [driver.Backend].
func (b *Backend) View(ctx context.Context, fn func(driver.Reader) error) error {
	cols, err := b.ready(ctx)
	if err != nil {
		return err
	}
	defer b.calls.Done()
	st := *b.data.state.Load()
	return fn(&reader{b: b, state: st, root: st[driver.Objects], cols: cols})
}

// Ping implements [driver.Pinger]: the data are always there.
func (b *Backend) Ping(ctx context.Context) error {
	_, err := b.ready(ctx)
	if err == nil {
		b.calls.Done()
	}
	return err
}

// Close implements [driver.Backend]. The other handles keep the data.
func (b *Backend) Close() error {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.calls.Wait()
	return nil
}
