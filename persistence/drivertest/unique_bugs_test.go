package drivertest

import (
	"context"
	"errors"

	"github.com/brine-go/brine/persistence/driver"
)

// Bugs in indexes.
func init() {
	never := func(b *shared) { // keeps no index
		b.makeIndexes = func(context.Context, []driver.Index) error { return nil }
	}
	// failing changes the error of an Apply that clashes.
	failing := func(b *shared, change func(*driver.RecordError, *driver.UniqueError)) {
		b.apply = func(ctx context.Context, ms []driver.Mutation) ([]int64, error) {
			revs, err := b.Backend.Apply(ctx, ms)
			var re *driver.RecordError
			var ue *driver.UniqueError
			if errors.As(err, &re) && errors.As(err, &ue) {
				change(re, ue)
			}
			return revs, err
		}
	}
	// judged applies mutations in another order, one batch after the other, until one clashes.
	rowByRow := func(b *shared) {
		b.apply = func(ctx context.Context, ms []driver.Mutation) ([]int64, error) {
			// Whoever takes a value must not meet it in another record of before.
			for i := range ms {
				if ms[i].Op == driver.Delete || ms[i].Op == driver.Check || len(ms) == 1 {
					continue
				}
				probe := ms[i]
				probe.Op, probe.IfRev, probe.NewRefs = driver.SetFields, 0, nil
				if _, err := b.Backend.Apply(ctx, []driver.Mutation{probe}); errors.Is(err, driver.ErrUnique) {
					return nil, err
				}
			}
			return b.Backend.Apply(ctx, ms)
		}
	}
	const once = "unique/a value is stored once"
	bugs = append(bugs,
		bug{name: "nothing is unique", test: once, inject: never},
		bug{name: "kinds are not told apart", test: "unique/values of every kind", inject: never},
		bug{name: "an index has its first column alone", test: "unique/an index over several columns", inject: func(b *shared) {
			b.makeIndexes = func(ctx context.Context, xs []driver.Index) error {
				short := make([]driver.Index, len(xs))
				for i, x := range xs {
					short[i] = driver.Index{Columns: x.Columns[:1], Unique: x.Unique}
				}
				return b.Backend.MakeIndexes(ctx, short)
			}
		}},
		bug{name: "uniqueness is judged row by row", test: "unique/uniqueness is judged after the whole write", inject: rowByRow},
		bug{name: "a clash is ErrExists", test: once, inject: func(b *shared) {
			failing(b, func(re *driver.RecordError, _ *driver.UniqueError) { re.Err = driver.ErrExists })
		}},
		bug{name: "the holder is not named", test: once, inject: func(b *shared) {
			failing(b, func(_ *driver.RecordError, ue *driver.UniqueError) { ue.Holder = "" })
		}},
		bug{name: "the holder is the loser", test: "unique/random batches", inject: func(b *shared) {
			failing(b, func(re *driver.RecordError, ue *driver.UniqueError) { re.ID, ue.Holder = ue.Holder, re.ID })
		}},
		bug{name: "batches clash inside", test: "unique/a clash inside one batch", inject: never},
		bug{name: "library columns are not unique", test: "unique/library columns are exchanged", inject: never},
		bug{name: "what is put back clashes", test: "unique/what is put back must not clash", inject: never},
		bug{name: "claims clash", test: "unique/claims do not clash", inject: func(b *shared) {
			claiming(b, func(_ *driver.Query, c *driver.Claiming) { c.Refused = nil })
		}},
		bug{name: "every racer wins", test: "unique/one of many writers wins", inject: never},
		bug{name: "an index is not recorded", test: "indexes/indexes are recorded and kept", inject: func(b *shared) {
			b.catalog = func(ctx context.Context) (*driver.Catalog, error) {
				c, err := b.Backend.Catalog(ctx)
				if c != nil {
					c.Indexes = nil
				}
				return c, err
			}
		}},
		bug{name: "records of before are not in an index", test: "indexes/an index is made over records", inject: never},
		bug{name: "records that collide are let in", test: "indexes/records that collide or are too long refuse an index", inject: never},
		bug{name: "an index that is dropped stays", test: "indexes/an index is dropped", inject: func(b *shared) {
			b.dropIndex = func(context.Context, driver.Index) error { return nil }
		}},
		bug{name: "an index is made with NoCreate", test: "indexes/nothing is made with NoCreate", inject: func(b *shared) {
			b.noCreate = false
		}},
		bug{name: "an index is made in a read-only store", test: "indexes/nothing is made in a store that is read only", inject: func(b *shared) {
			b.makeIndexes = func(context.Context, []driver.Index) error { return nil }
		}},
		bug{name: "library columns are in no index", test: "indexes/an index of library columns alone", inject: never},
	)
}
