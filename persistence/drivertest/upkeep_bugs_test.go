package drivertest

import (
	"context"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/url"
)

// Bugs in listing stores and in compacting.
func init() {
	const listed, compacted = "listing/the stores at a URL are listed without Init", "compacting/no record changes"
	bugs = append(bugs,
		bug{name: "no store is listed", test: listed, inject: func(b *shared) {
			b.stores = func() []string { return nil }
		}},
		bug{name: "a store is listed where there is none", test: listed, open: func(u url.URL, _ driver.OpenOptions) (*shared, error) {
			return openShared(u, driver.OpenOptions{})
		}, inject: func(b *shared) {
			b.stores = func() []string { return []string{b.path} }
		}},
		bug{name: "namespaces are listed", test: listed, inject: func(b *shared) {
			b.stores = func() []string {
				names := b.made()
				if _, beside := sharedBeside.Load(b.path); beside {
					names = append(names, b.path+"_kv")
				}
				return names
			}
		}},
		bug{name: "listing makes a store", test: listed, open: func(u url.URL, o driver.OpenOptions) (*shared, error) {
			if o.ReadOnly {
				if b, err := openShared(u, driver.OpenOptions{}); err != nil {
					return b, err
				}
				sharedMade.Store(u.Path(), true)
			}
			return openShared(u, o)
		}},
		bug{name: "Compact removes a record", test: compacted, inject: func(b *shared) {
			compacting(b, func(recs []driver.Record) []driver.Mutation { return []driver.Mutation{remove(recs[0].ID, 0)} })
		}},
		bug{name: "Compact raises revisions", test: compacted, inject: func(b *shared) {
			compacting(b, func(recs []driver.Record) []driver.Mutation { return []driver.Mutation{update(recs[0], 0)} })
		}},
		bug{name: "Compact empties the namespaces", test: compacted, inject: func(b *shared) {
			b.compact = func(ctx context.Context) error {
				var ms []driver.Mutation
				err := b.Backend.View(ctx, func(r driver.Reader) error {
					in, err := driver.InNamespace(r, "side")
					if err != nil {
						return err
					}
					recs, err := scanAll(in, ctx, &driver.Query{})
					for _, rec := range recs {
						m := remove(rec.ID, 0)
						m.Namespace = "side"
						ms = append(ms, m)
					}
					return err
				})
				if err == nil {
					_, err = b.Backend.Apply(ctx, ms)
				}
				return err
			}
		}},
	)
}

// compacting makes a compact hook that changes records.
func compacting(b *shared, change func([]driver.Record) []driver.Mutation) {
	b.compact = func(ctx context.Context) error {
		var recs []driver.Record
		err := b.Backend.View(ctx, func(r driver.Reader) (err error) {
			recs, err = scanAll(r, ctx, &driver.Query{Parts: everything})
			return err
		})
		if err == nil && len(recs) > 0 {
			_, err = b.Backend.Apply(ctx, change(recs))
		}
		return err
	}
}
