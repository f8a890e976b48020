package drivertest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/mem"
	"github.com/brine-go/brine/url"
)

// The scheme shared: is for memory that can be opened again, by its path.
func init() {
	driver.Register("shared", func(_ context.Context, u url.URL, o driver.OpenOptions) (driver.Backend, error) {
		return openShared(u, o)
	})
}

var sharedStores sync.Map // path: *mem.Backend

func openShared(u url.URL, o driver.OpenOptions) (*shared, error) {
	if err := driver.CheckParams(u); err != nil {
		return nil, err
	}
	if u.Host() != "" || u.User() != "" || u.Password() != "" {
		return nil, errors.New("a shared URL has neither user nor host")
	}
	first, there := sharedStores.Load(u.Path())
	if !there {
		if o.NoCreate || o.ReadOnly {
			return nil, fmt.Errorf("no store at %s", u.Path())
		}
		first, _ = sharedStores.LoadOrStore(u.Path(), mem.New(o))
	}
	all, _ := sharedWrites.LoadOrStore(u.Path(), new(atomic.Uint64))
	handle := first.(*mem.Backend).Handle()
	if o.ReadOnly {
		handle = first.(*mem.Backend).ReadOnlyHandle()
	}
	return &shared{Backend: handle, all: all.(*atomic.Uint64), path: u.Path(), noCreate: o.NoCreate && !o.ReadOnly}, nil
}

var sharedMade sync.Map // path: true, once there was an Init

var sharedBeside sync.Map // path: true, once there was an InitNamespace

var sharedWrites sync.Map // path: *atomic.Uint64, the number of Applys

// shared is a handle on memory that can be opened again. A hook that is set replaces the
// method.
type shared struct {
	*mem.Backend
	path    string
	all     *atomic.Uint64 // Applys of every handle
	own     atomic.Uint64  // and of this one
	foreign func() uint64
	inGap   func(context.Context, driver.Gap) (bool, error)
	cols    *driver.Columns // of the last Init
	init    func(context.Context, driver.Schema) (driver.Meta, error)
	nextIDs func(context.Context, int) (int64, error)
	apply   func(context.Context, []driver.Mutation) ([]int64, error)
	close   func() error
	suspend func() error
	context func(context.Context) context.Context
	get     func(r driver.Reader, ctx context.Context, ids []driver.ID, parts driver.Parts) ([]driver.Record, error)
	scan    func(r driver.Reader, ctx context.Context, q *driver.Query) ([]driver.Record, error)
	each    func(*driver.Record) // changes what Get and Scan return
	claim   func(context.Context, *driver.Query, driver.Claiming) ([]driver.Record, error)
	extend  func(context.Context, driver.ID, int64, time.Duration) (time.Time, error)
	countBy func(r driver.Reader, ctx context.Context, q *driver.Query, column string) ([]driver.Group, error)
	catalog func(context.Context) (*driver.Catalog, error)
	addSet  func(context.Context, driver.ColumnSet) (int64, error)
	drop    func(context.Context, string) error

	exclusive   func(context.Context, driver.Mark, func(driver.Exclusive) ([]driver.Mutation, error)) (driver.Mark, error)
	stores      func() []string
	compact     func(context.Context) error
	makeIndexes func(context.Context, []driver.Index) error
	dropIndex   func(context.Context, driver.Index) error
	noCreate    bool
	// namespace returns the namespace to use in place of one besides the objects.
	namespace func(driver.Namespace) driver.Namespace
}

func (b *shared) Catalog(ctx context.Context) (*driver.Catalog, error) {
	if b.catalog != nil {
		return b.catalog(b.ctx(ctx))
	}
	return b.Backend.Catalog(b.ctx(ctx))
}

func (b *shared) AddColumnSet(ctx context.Context, set driver.ColumnSet) (int64, error) {
	if b.addSet != nil {
		return b.addSet(b.ctx(ctx), set)
	}
	return b.Backend.AddColumnSet(b.ctx(ctx), set)
}

func (b *shared) DropColumn(ctx context.Context, name string) error {
	if b.drop != nil {
		return b.drop(b.ctx(ctx), name)
	}
	return b.Backend.DropColumn(b.ctx(ctx), name)
}

func (b *shared) MakeIndexes(ctx context.Context, xs []driver.Index) error {
	if b.noCreate {
		c, err := b.Catalog(ctx)
		for _, x := range xs {
			if err == nil && !c.Serves(x) {
				err = fmt.Errorf("the %v is not there: %w", x, errors.ErrUnsupported)
			}
		}
		return err
	}
	if b.makeIndexes != nil {
		return b.makeIndexes(b.ctx(ctx), xs)
	}
	return b.Backend.MakeIndexes(b.ctx(ctx), xs)
}

func (b *shared) DropIndex(ctx context.Context, x driver.Index) error {
	switch {
	case b.noCreate:
		return fmt.Errorf("the %v: nothing may be altered: %w", x, errors.ErrUnsupported)
	case b.dropIndex != nil:
		return b.dropIndex(b.ctx(ctx), x)
	}
	return b.Backend.DropIndex(b.ctx(ctx), x)
}

func (b *shared) Claim(ctx context.Context, q *driver.Query, c driver.Claiming) ([]driver.Record, error) {
	if b.claim != nil {
		return b.claim(b.ctx(ctx), q, c)
	}
	return b.Backend.Claim(b.ctx(ctx), q, c)
}

func (b *shared) Extend(ctx context.Context, id driver.ID, token int64, lease time.Duration) (time.Time, error) {
	if b.extend != nil {
		return b.extend(b.ctx(ctx), id, token, lease)
	}
	return b.Backend.Extend(b.ctx(ctx), id, token, lease)
}

func (b *shared) InitNamespace(ctx context.Context, ns driver.Namespace, s driver.Schema) error {
	if ns = b.replaced(ns); ns == driver.Objects {
		return nil
	}
	sharedBeside.Store(b.path, true)
	return b.Backend.InitNamespace(b.ctx(ctx), ns, s)
}

func (b *shared) replaced(ns driver.Namespace) driver.Namespace {
	if b.namespace != nil && ns != driver.Objects {
		return b.namespace(ns)
	}
	return ns
}

var _ driver.Suspender = (*shared)(nil)

func (b *shared) ctx(ctx context.Context) context.Context {
	if b.context != nil {
		return b.context(ctx)
	}
	return ctx
}

func (b *shared) Init(ctx context.Context, s driver.Schema) (driver.Meta, error) {
	b.cols = driver.NewColumns(s)
	if _, made := sharedMade.Load(b.path); !made && s.ReadOnly {
		return driver.Meta{}, fmt.Errorf("no store at %s", b.path)
	}
	sharedMade.Store(b.path, true)
	if b.init != nil {
		return b.init(b.ctx(ctx), s)
	}
	return b.Backend.Init(b.ctx(ctx), s)
}

func (b *shared) NextIDs(ctx context.Context, n int) (int64, error) {
	if b.nextIDs != nil {
		return b.nextIDs(b.ctx(ctx), n)
	}
	return b.Backend.NextIDs(b.ctx(ctx), n)
}

var _ driver.ForeignWriter = (*shared)(nil)

func (b *shared) ForeignWrites(context.Context) (uint64, bool, error) {
	if b.foreign != nil {
		return b.foreign(), true, nil
	}
	return b.all.Load() - b.own.Load(), true, nil
}

var _ driver.GapFinder = (*shared)(nil)

func (b *shared) InGap(ctx context.Context, g driver.Gap) (found bool, err error) {
	if b.inGap != nil {
		return b.inGap(b.ctx(ctx), g)
	}
	err = b.Backend.View(b.ctx(ctx), func(r driver.Reader) error {
		n, err := r.Count(ctx, &driver.Query{Where: g.Where()})
		found = n > 0
		return err
	})
	return found, err
}

func (b *shared) Apply(ctx context.Context, ms []driver.Mutation) ([]int64, error) {
	b.all.Add(1)
	b.own.Add(1)
	if b.apply != nil {
		return b.apply(b.ctx(ctx), ms)
	}
	if b.namespace != nil {
		ms = slices.Clone(ms)
		for i := range ms {
			ms[i].Namespace = b.replaced(ms[i].Namespace)
		}
	}
	return b.Backend.Apply(b.ctx(ctx), ms)
}

var _ driver.ExclusiveApplier = (*shared)(nil)

func (b *shared) ApplyExclusive(ctx context.Context, since driver.Mark, fn func(driver.Exclusive) ([]driver.Mutation, error)) (driver.Mark, error) {
	b.all.Add(1)
	b.own.Add(1)
	if b.exclusive != nil {
		return b.exclusive(b.ctx(ctx), since, fn)
	}
	return b.Backend.ApplyExclusive(b.ctx(ctx), since, func(x driver.Exclusive) ([]driver.Mutation, error) {
		x.Reader = &sharedReader{x.Reader, b}
		return fn(x)
	})
}

var (
	_ driver.Lister    = (*shared)(nil)
	_ driver.Compacter = (*shared)(nil)
)

func (b *shared) Stores(context.Context) ([]string, error) {
	if b.stores != nil {
		return b.stores(), nil
	}
	return b.made(), nil
}

// made returns the path if there was an Init.
func (b *shared) made() []string {
	if _, made := sharedMade.Load(b.path); made {
		return []string{b.path}
	}
	return nil
}

func (b *shared) Compact(ctx context.Context) error {
	if b.compact != nil {
		return b.compact(b.ctx(ctx))
	}
	return b.Backend.Compact(b.ctx(ctx))
}

// applyByNamespace returns an Apply that is atomic only within each namespace.
func applyByNamespace(b *shared) func(context.Context, []driver.Mutation) ([]int64, error) {
	return func(ctx context.Context, ms []driver.Mutation) ([]int64, error) {
		revs := make([]int64, len(ms))
		for _, ns := range []driver.Namespace{driver.Objects, "side"} {
			var part []driver.Mutation
			var at []int
			for i, m := range ms {
				if m.Namespace == ns {
					part, at = append(part, m), append(at, i)
				}
			}
			got, err := b.Backend.Apply(ctx, part)
			if err != nil {
				return nil, err
			}
			for i, rev := range got {
				revs[at[i]] = rev
			}
		}
		return revs, nil
	}
}

func (b *shared) View(ctx context.Context, fn func(driver.Reader) error) error {
	return b.Backend.View(b.ctx(ctx), func(r driver.Reader) error { return fn(&sharedReader{r, b}) })
}

func (b *shared) Close() error {
	if b.close != nil {
		return b.close()
	}
	return b.Backend.Close()
}

func (b *shared) Suspend() error {
	if b.suspend != nil {
		return b.suspend()
	}
	return nil
}

func (b *shared) Resume() error { return nil }

type sharedReader struct {
	driver.Reader
	b *shared
}

func (r *sharedReader) InNamespace(ns driver.Namespace) (driver.Reader, error) {
	in, err := driver.InNamespace(r.Reader, r.b.replaced(ns))
	if err != nil {
		return nil, err
	}
	return &sharedReader{in, r.b}, nil
}

func (r *sharedReader) Get(ctx context.Context, ids []driver.ID, parts driver.Parts) (recs []driver.Record, err error) {
	if r.b.get != nil {
		recs, err = r.b.get(r.Reader, r.b.ctx(ctx), ids, parts)
	} else {
		recs, err = r.Reader.Get(r.b.ctx(ctx), ids, parts)
	}
	if r.b.each != nil {
		for i := range recs {
			r.b.each(&recs[i])
		}
	}
	return recs, err
}

func (r *sharedReader) Scan(ctx context.Context, q *driver.Query) iter.Seq2[driver.Record, error] {
	return func(yield func(driver.Record, error) bool) {
		var recs []driver.Record
		var err error
		if r.b.scan != nil {
			recs, err = r.b.scan(r.Reader, r.b.ctx(ctx), q)
		} else {
			recs, err = scanAll(r.Reader, r.b.ctx(ctx), q)
		}
		for _, rec := range recs {
			if r.b.each != nil {
				r.b.each(&rec)
			}
			if !yield(rec, nil) {
				return
			}
		}
		if err != nil {
			yield(driver.Record{}, err)
		}
	}
}

// CountBy implements driver.Grouper, so that a bug can replace it.
func (r *sharedReader) CountBy(ctx context.Context, q *driver.Query, column string) ([]driver.Group, error) {
	if r.b.countBy != nil {
		return r.b.countBy(r.Reader, r.b.ctx(ctx), q, column)
	}
	return driver.CountBy(r.b.ctx(ctx), r.Reader, r.b.cols, q, column)
}

func (r *sharedReader) Count(ctx context.Context, q *driver.Query) (int64, error) {
	return r.Reader.Count(r.b.ctx(ctx), q)
}

func scanAll(r driver.Reader, ctx context.Context, q *driver.Query) (recs []driver.Record, err error) {
	for rec, err := range r.Scan(ctx, q) {
		if err != nil {
			return recs, err
		}
		recs = append(recs, rec)
	}
	return recs, nil
}

var stores atomic.Int64

// newURL returns a function that returns the URL of a new store at each call.
func newURL(scheme string) func(testing.TB) string {
	return func(testing.TB) string { return fmt.Sprintf("%s:/store%d", scheme, stores.Add(1)) }
}

// TestShared checks that the suite passes without a bug.
func TestShared(t *testing.T) {
	Run(t, Harness{URL: newURL("shared")})
}
