package drivertest

import (
	"context"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/mem"
	"github.com/brine-go/brine/url"
)

// openWritable opens a store that may be written, whatever the options say.
func openWritable(u url.URL, o driver.OpenOptions) (*shared, error) {
	if _, there := sharedStores.Load(u.Path()); o.ReadOnly && there {
		o.ReadOnly, o.NoCreate = false, true
	}
	return openShared(u, o)
}

// openReader opens a store, and changes a handle that is for reading only.
func openReader(change func(b *shared, data *mem.Backend)) func(url.URL, driver.OpenOptions) (*shared, error) {
	return func(u url.URL, o driver.OpenOptions) (*shared, error) {
		b, err := openShared(u, o)
		if err == nil && o.ReadOnly {
			data, _ := sharedStores.Load(u.Path())
			change(b, data.(*mem.Backend))
		}
		return b, err
	}
}

// Bugs in opening for reading only.
func init() {
	const refused, created = "readonly/every write is refused and changes nothing", "readonly/nothing is created"
	bugs = append(bugs,
		bug{name: "ReadOnly is not known", test: refused, open: openWritable},
		bug{name: "ReadOnly declares its fields", test: created, open: openWritable},
		bug{name: "ReadOnly creates a store", test: created, open: func(u url.URL, o driver.OpenOptions) (*shared, error) {
			if _, there := sharedStores.Load(u.Path()); o.ReadOnly && !there {
				if b, err := openShared(u, driver.OpenOptions{}); err != nil {
					return b, err
				}
			}
			return openShared(u, o)
		}},
		bug{name: "ReadOnly takes numbers", test: refused, open: openReader(func(b *shared, data *mem.Backend) {
			other := data.Handle()
			b.nextIDs = func(ctx context.Context, n int) (int64, error) {
				if _, err := other.Init(ctx, driver.Schema{AnyIDs: true}); err != nil {
					return 0, err
				}
				if _, err := other.NextIDs(ctx, n); err != nil {
					return 0, err
				}
				return 0, driver.ErrOpenedReadOnly
			}
		})},
		bug{name: "ReadOnly lets a batch of nothing pass", test: refused, open: openReader(func(b *shared, _ *mem.Backend) {
			b.apply = func(ctx context.Context, ms []driver.Mutation) ([]int64, error) {
				if len(ms) == 0 {
					return nil, nil
				}
				return b.Backend.Apply(ctx, ms)
			}
		})},
		bug{name: "ReadOnly looks before it refuses", test: refused, open: openReader(func(b *shared, _ *mem.Backend) {
			b.drop = func(_ context.Context, name string) error {
				if name == "no_such" {
					return driver.ErrNotFound
				}
				return driver.ErrOpenedReadOnly
			}
		})},
		bug{name: "Init does not know ReadOnly", test: "readonly/Init too can say that nothing is to be written", inject: func(b *shared) {
			b.init = func(ctx context.Context, s driver.Schema) (driver.Meta, error) {
				s.ReadOnly = false
				return b.Backend.Init(ctx, s)
			}
		}},
		bug{name: "ReadOnly sees no later write", test: "readonly/what others write is seen", open: openReader(func(b *shared, _ *mem.Backend) {
			var kept []driver.Record
			b.scan = func(r driver.Reader, ctx context.Context, q *driver.Query) (_ []driver.Record, err error) {
				if kept == nil {
					kept, err = scanAll(r, ctx, q)
				}
				return kept, err
			}
		})},
		bug{name: "ReadOnly passes over the last record", test: "readonly/all that there is can be read", open: openReader(func(b *shared, _ *mem.Backend) {
			b.scan = func(r driver.Reader, ctx context.Context, q *driver.Query) ([]driver.Record, error) {
				recs, err := scanAll(r, ctx, q)
				return recs[:max(len(recs)-1, 0)], err
			}
		})},
	)
}
