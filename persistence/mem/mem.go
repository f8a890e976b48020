// Package mem keeps records in the memory of the process. Its URL is "mem:";
// importing the package makes that known.
//
// Every opening has data of its own, which is gone with its last handle. Tests
// of a program that restarts can take a second handle with [Backend.Handle].
//
// The records stand in a persistent search tree: a write copies the path that it
// changes and then swaps the root. So a View holds its root and nothing else: it
// waits for no writer, and no writer waits for it.
package mem

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/url"
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

// Backend is a handle on records in memory. It is safe for concurrent use.
type Backend struct {
	data *data
	// columns is what the last Init of this handle asked for; nil before.
	columns atomic.Pointer[columns]

	mu     sync.Mutex // guards closed, and calls.Add against calls.Wait
	closed bool
	calls  sync.WaitGroup
}

var (
	_ driver.Backend = (*Backend)(nil)
	_ driver.Annexer = (*Backend)(nil)
)

// data is what the handles share.
type data struct {
	// writing has room for the one who writes. It is a channel and no mutex, so
	// that waiting for it ends with a context.
	writing chan struct{}
	root    atomic.Pointer[node] // nil: no records

	// The rest belongs to the one who writes.
	batch      uint64 // number of the last batch: see node.batch
	identity   string // "" before the first Init
	integerIDs bool
	layout     []driver.Column // every column of any Init; the Fields of stored records follow it
	next       int64           // the next number of the counter; 0: not started

	annexes sync.Map // name -> *data
}

// columns are the columns of one handle's schema.
type columns struct {
	*driver.Columns
	fields int   // length of Schema.Fields
	stored []int // where each of Schema.Fields stands in the layout; nil: at its own index
}

// New returns a backend of its own, empty data. It has no use for the options.
func New(driver.OpenOptions) *Backend {
	return &Backend{data: newData()}
}

func newData() *data { return &data{writing: make(chan struct{}, 1)} }

// Handle returns a further handle on the same data, as opening a file once more would. It
// wants its own Init and its own Close, and its schema may have other fields. It works on a closed Backend too.
func (b *Backend) Handle() *Backend {
	return &Backend{data: b.data}
}

// Annex implements [driver.Annexer]. All handles on the same data see the same records of a name.
func (b *Backend) Annex(name string) (driver.Backend, error) {
	d, _ := b.data.annexes.LoadOrStore(name, newData())
	return &Backend{data: d.(*data)}, nil
}

// enter begins a call that Close waits for, and fails when there has been a Close.
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

// ready is enter for the calls that want an Init before them.
func (b *Backend) ready(ctx context.Context) (*columns, error) {
	if err := b.enter(ctx); err != nil {
		return nil, err
	}
	cols := b.columns.Load()
	if cols == nil {
		b.calls.Done()
		return nil, errors.New("mem: used before Init")
	}
	return cols, nil
}

// lock makes the caller the one who writes.
func (d *data) lock(ctx context.Context) error {
	select {
	case d.writing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *data) unlock() { <-d.writing }

// Init implements [driver.Backend]. It may be called again with other fields: those gone by
// keep their values.
func (b *Backend) Init(ctx context.Context, s driver.Schema) (driver.Meta, error) {
	if err := b.enter(ctx); err != nil {
		return driver.Meta{}, err
	}
	defer b.calls.Done()
	d := b.data
	if err := d.lock(ctx); err != nil {
		return driver.Meta{}, err
	}
	defer d.unlock()

	if d.identity != "" && d.integerIDs != s.IntegerIDs {
		return driver.Meta{}, fmt.Errorf("the store has %s IDs, not %s ones", idKind(d.integerIDs), idKind(s.IntegerIDs))
	}
	cols := &columns{Columns: driver.NewColumns(s), fields: len(s.Fields)}
	layout := slices.Clone(d.layout)
	stored, moved := make([]int, len(s.Fields)), false
	for i, f := range s.Fields {
		at := slices.IndexFunc(layout, func(c driver.Column) bool { return c.Name == f.Name })
		if at < 0 {
			at = len(layout)
			layout = append(layout, f)
		}
		if have := layout[at].Kind; have != f.Kind {
			return driver.Meta{}, fmt.Errorf("column %q holds %v values, not %v ones", f.Name, have, f.Kind)
		}
		stored[i], moved = at, moved || at != i
	}
	if moved {
		cols.stored = stored
	}
	d.layout, d.integerIDs = layout, s.IntegerIDs
	if d.identity == "" {
		d.identity = rand.Text()
	}
	b.columns.Store(cols)
	return driver.Meta{Identity: d.identity}, nil
}

func idKind(integer bool) string {
	if integer {
		return "integer"
	}
	return "text"
}

// NextIDs implements [driver.Backend].
func (b *Backend) NextIDs(ctx context.Context, n int) (int64, error) {
	if _, err := b.ready(ctx); err != nil {
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
		d.root.Load().ascend(func(r *driver.Record) bool {
			if seq, ok := r.ID.Seq(); ok {
				top = max(top, seq)
			}
			return true
		})
		first = top + 1 // wraps below zero after the greatest number of all
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
	return fn(&reader{root: b.data.root.Load(), cols: cols})
}

// Close implements [driver.Backend]. The data lives on in the other handles.
func (b *Backend) Close() error {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.calls.Wait()
	return nil
}
