package drivertest

import (
	"context"
	"strconv"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// Bugs in keeping others from writing.
func init() {
	type decide = func(driver.Exclusive) ([]driver.Mutation, error)
	const (
		wait, seen = "exclusive/others write before or after", "exclusive/all that was committed is seen"
		made       = "exclusive/its mutations are those of an Apply"
		sides      = "exclusive/namespaces are read and written too"
		quiet      = "exclusive/what was written since a mark is not quiet"
	)
	// apart reads first and then writes.
	apart := func(b *shared, change func([]driver.Mutation) []driver.Mutation) {
		b.exclusive = func(ctx context.Context, _ driver.Mark, fn decide) (driver.Mark, error) {
			var ms []driver.Mutation
			err := b.Backend.View(ctx, func(r driver.Reader) (err error) {
				ms, err = fn(driver.Exclusive{Reader: r})
				return err
			})
			if err == nil {
				_, err = b.Backend.Apply(ctx, change(ms))
			}
			return "", err
		}
	}
	same := func(ms []driver.Mutation) []driver.Mutation { return ms }
	bugs = append(bugs,
		bug{name: "nobody is kept out", test: wait, inject: func(b *shared) { apart(b, same) }},
		bug{name: "references are checked before others are done", test: "exclusive/no reference dangles beside many writers",
			inject: func(b *shared) {
				apart(b, func(ms []driver.Mutation) []driver.Mutation {
					time.Sleep(2 * time.Millisecond)
					return ms
				})
			}},
		bug{name: "an old state is decided upon", test: seen, inject: func(b *shared) {
			first := true
			b.exclusive = func(ctx context.Context, since driver.Mark, fn decide) (driver.Mark, error) {
				return b.Backend.ApplyExclusive(ctx, since, func(x driver.Exclusive) ([]driver.Mutation, error) {
					if !first {
						x.Reader = emptyReader{x.Reader}
					}
					first = false
					return fn(x)
				})
			}
		}},
		bug{name: "it is always quiet", test: quiet, inject: func(b *shared) {
			b.exclusive = func(ctx context.Context, _ driver.Mark, fn decide) (driver.Mark, error) {
				return b.Backend.ApplyExclusive(ctx, "", func(x driver.Exclusive) ([]driver.Mutation, error) {
					x.Quiet = true
					return fn(x)
				})
			}
		}},
		bug{name: "a mark counts Applys of one handle", test: quiet, inject: func(b *shared) {
			mark := func() driver.Mark { return driver.Mark(strconv.FormatUint(b.own.Load(), 10)) }
			b.exclusive = func(ctx context.Context, since driver.Mark, fn decide) (driver.Mark, error) {
				b.own.Add(^uint64(0)) // this one does not count
				_, err := b.Backend.ApplyExclusive(ctx, "", func(x driver.Exclusive) ([]driver.Mutation, error) {
					x.Quiet = since == mark()
					return fn(x)
				})
				return mark(), err
			}
		}},
		bug{name: "the decision is not carried out", test: made, inject: func(b *shared) {
			apart(b, func([]driver.Mutation) []driver.Mutation { return nil })
		}},
		bug{name: "references of the decision are not checked", test: made, inject: func(b *shared) {
			apart(b, func(ms []driver.Mutation) []driver.Mutation {
				ms = clone(ms)
				for i := range ms {
					ms[i].NewRefs = nil
				}
				return ms
			})
		}},
		bug{name: "the error of the function is lost", test: made, inject: func(b *shared) {
			b.exclusive = func(ctx context.Context, since driver.Mark, fn decide) (driver.Mark, error) {
				return b.Backend.ApplyExclusive(ctx, since, func(x driver.Exclusive) ([]driver.Mutation, error) {
					ms, err := fn(x)
					if err != nil {
						return nil, nil //nolint:nilerr // that is the bug
					}
					return ms, nil
				})
			}
		}},
		bug{name: "the decision is about objects alone", test: sides, inject: func(b *shared) {
			apart(b, func(ms []driver.Mutation) (objects []driver.Mutation) {
				for _, m := range ms {
					if m.Namespace == driver.Objects {
						objects = append(objects, m)
					}
				}
				return objects
			})
		}},
	)
}

// An emptyReader finds no record by a query.
type emptyReader struct{ driver.Reader }

func (emptyReader) Count(context.Context, *driver.Query) (int64, error) { return 0, nil }
