package drivertest

import (
	"context"

	"github.com/brine-go/brine/persistence/driver"
)

// Bugs in moving records.
func init() {
	restoring := func(b *shared, change func(*driver.Record)) {
		b.apply = func(ctx context.Context, ms []driver.Mutation) ([]int64, error) {
			ms = clone(ms)
			for i := range ms {
				if ms[i].Op != driver.Restore {
					continue
				}
				rec, err := b.OpenStored(driver.Objects, driver.Stored{ID: ms[i].Rec.ID, Data: ms[i].Rec.Data})
				if err != nil {
					return nil, err
				}
				change(&rec)
				ms[i].Op, ms[i].Rec = driver.Create, rec
			}
			return b.Backend.Apply(ctx, ms)
		}
	}
	const moved = "salvage/a record is moved as it is stored and put back"
	bugs = append(bugs,
		bug{name: "claims are not put back", test: moved, inject: func(b *shared) {
			restoring(b, func(*driver.Record) {})
		}},
		bug{name: "what is put back is new", test: moved, inject: func(b *shared) {
			restoring(b, func(r *driver.Record) { r.Revision = 1 })
		}},
		bug{name: "Withdraw removes nothing", test: moved, inject: func(b *shared) {
			mutate(b, func(m *driver.Mutation) {
				if m.Op == driver.Withdraw {
					m.Op = driver.Check
				}
			})
		}},
		bug{name: "Withdraw looks at nothing", test: "salvage/Withdraw wants the form that was read", inject: func(b *shared) {
			mutate(b, func(m *driver.Mutation) {
				if m.Op == driver.Withdraw {
					m.Op = driver.Delete
				}
			})
		}},
		bug{name: "a move is made in pieces", test: "salvage/a move is made whole or not at all", inject: func(b *shared) {
			inPieces(b, 1, func(context.Context) error { return nil })
		}},
		bug{name: "references of moved records are not checked", test: "salvage/references follow a move", inject: func(b *shared) {
			mutate(b, func(m *driver.Mutation) { m.NewRefs = nil })
		}},
	)
}
