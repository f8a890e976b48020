package drivertest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// claiming makes a claim hook that changes the parameters.
func claiming(b *shared, change func(*driver.Query, *driver.Claiming)) {
	b.claim = func(ctx context.Context, q *driver.Query, c driver.Claiming) ([]driver.Record, error) {
		other := *q
		change(&other, &c)
		return b.Backend.Claim(ctx, &other, c)
	}
}

// numberedIn returns the IDs of the records with a number.
func numberedIn(b driver.Backend, n int64) (ids []driver.ID) {
	_ = b.View(bg, func(r driver.Reader) error {
		recs, err := scanAll(r, bg, &driver.Query{Where: []driver.Cond{{Column: driver.ColColumnSet, Op: driver.Eq, Values: []any{n}}}})
		ids = idsOf(recs)
		return err
	})
	return ids
}

// Bugs in the optional interfaces of a backend.
func init() {
	bugs = append(bugs,
		bug{name: "claims have no order", test: "claims/claims follow the order of the query", inject: func(b *shared) {
			claiming(b, func(q *driver.Query, _ *driver.Claiming) { q.Order = nil })
		}},
		bug{name: "claims take everything", test: "claims/claims follow the order of the query", inject: func(b *shared) {
			claiming(b, func(q *driver.Query, _ *driver.Claiming) { q.Where = nil })
		}},
		bug{name: "a claim changes the modification time", test: "claims/a claim raises the revision and changes nothing else", inject: func(b *shared) {
			claiming(b, func(_ *driver.Query, c *driver.Claiming) {
				c.Edit = func(r *driver.Record) error { r.Modified = r.Modified.Add(time.Second); return nil }
			})
		}},
		bug{name: "claims last a moment", test: "claims/no record is claimed again before its lease ends", inject: func(b *shared) {
			claiming(b, func(_ *driver.Query, c *driver.Claiming) { c.Lease = time.Microsecond })
		}},
		bug{name: "claims last for ever", test: "claims/ReleaseExpired ends the claims that have lapsed", inject: func(b *shared) {
			claiming(b, func(_ *driver.Query, c *driver.Claiming) { c.Lease += time.Hour })
			b.extend = nil
		}},
		bug{name: "tokens are ignored", test: "claims/writes under a token", inject: func(b *shared) {
			mutate(b, func(m *driver.Mutation) { m.Token = 0 })
		}},
		bug{name: "nothing is released", test: "claims/writes under a token", inject: func(b *shared) {
			mutate(b, func(m *driver.Mutation) { m.Release = false })
		}},
		bug{name: "an update ends the claim", test: "claims/writes without a token leave the claim alone", inject: func(b *shared) {
			mutate(b, func(m *driver.Mutation) { m.Release = m.Release || m.Op == driver.Update })
		}},
		bug{name: "Extend needs no token", test: "claims/a claim is extended only with its token", inject: func(b *shared) {
			b.extend = func(ctx context.Context, id driver.ID, token int64, lease time.Duration) (time.Time, error) {
				if until, err := b.Backend.Extend(ctx, id, token, lease); err == nil {
					return until, nil
				}
				return time.Now().UTC().Add(lease), nil
			}
		}},
		bug{name: "edits are forgotten", test: "claims/edits are stored together with the claim", inject: func(b *shared) {
			claiming(b, func(_ *driver.Query, c *driver.Claiming) { c.Edit = nil })
		}},
		bug{name: "claims are not read", test: "claims/queries by the columns of claims", inject: func(b *shared) {
			b.each = func(r *driver.Record) { r.Claim = driver.Claim{} }
		}},
		bug{name: "two claim the same", test: "claims/each record is claimed once however many claim at once", inject: func(b *shared) {
			var mu sync.Mutex
			var last []driver.Record
			n := 0
			b.claim = func(ctx context.Context, q *driver.Query, c driver.Claiming) ([]driver.Record, error) {
				mu.Lock()
				defer mu.Unlock()
				if n++; n%10 == 0 && len(last) <= c.Limit {
					return last, nil
				}
				var err error
				last, err = b.Backend.Claim(ctx, q, c)
				return last, err
			}
		}},
		bug{name: "any lease is accepted", test: "claims/invalid parameters are rejected", inject: func(b *shared) {
			claiming(b, func(_ *driver.Query, c *driver.Claiming) { c.Lease = max(c.Lease, time.Second) })
		}},

		bug{name: "groups ignore letter case", test: "groups/every column is counted by its values", inject: func(b *shared) {
			b.countBy = func(r driver.Reader, ctx context.Context, q *driver.Query, column string) ([]driver.Group, error) {
				groups, err := driver.CountBy(ctx, r, b.cols, q, column)
				at := map[any]int{}
				var merged []driver.Group
				for _, g := range groups {
					v := g.Value
					if s, ok := v.(string); ok && s == "A" {
						v = "a"
					}
					if _, bytes := v.([]byte); bytes {
						merged = append(merged, g)
					} else if i, there := at[v]; there {
						merged[i].Count += g.Count
					} else {
						at[v] = len(merged)
						merged = append(merged, driver.Group{Value: v, Count: g.Count})
					}
				}
				return merged, err
			}
		}},
		bug{name: "groups count all records", test: "groups/every column is counted by its values", inject: func(b *shared) {
			b.countBy = func(r driver.Reader, ctx context.Context, _ *driver.Query, column string) ([]driver.Group, error) {
				return driver.CountBy(ctx, r, b.cols, &driver.Query{}, column)
			}
		}},

		bug{name: "nothing is declared", test: "catalog/the catalog says what was declared", inject: func(b *shared) {
			b.catalog = func(ctx context.Context) (*driver.Catalog, error) {
				c, err := b.Backend.Catalog(ctx)
				c.Sets = nil
				return c, err
			}
		}},
		bug{name: "types are forgotten", test: "catalog/the catalog says what was declared", inject: func(b *shared) {
			b.init = func(ctx context.Context, s driver.Schema) (driver.Meta, error) {
				s.Fields = slices.Clone(s.Fields)
				for i := range s.Fields {
					s.Fields[i].Types = nil
				}
				return b.Backend.Init(ctx, s)
			}
		}},
		bug{name: "writers without columns are not noted", test: "catalog/the catalog says what was declared", inject: func(b *shared) {
			b.catalog = func(ctx context.Context) (*driver.Catalog, error) {
				c, err := b.Backend.Catalog(ctx)
				c.Unknown = false
				return c, err
			}
		}},
		bug{name: "an update keeps the number", test: "catalog/a store without extra columns records none", inject: func(b *shared) {
			b.apply = func(ctx context.Context, ms []driver.Mutation) ([]int64, error) {
				ms = clone(ms)
				for i := range ms {
					for n := int64(1); n < 4; n++ {
						had := numberedIn(b.Backend, n)
						if len(ms[i].Rec.Fields) == 0 && slices.Contains(had, ms[i].Rec.ID) {
							return b.Backend.Apply(ctx, []driver.Mutation{check(ms[i].Rec.ID, 0)})
						}
					}
				}
				return b.Backend.Apply(ctx, ms)
			}
		}},
		bug{name: "SetFields does not give the number", test: "catalog/a record has the number of the set that its last writer fills", inject: func(b *shared) {
			mutate(b, func(m *driver.Mutation) { m.ColumnSet = 0 })
		}},
		bug{name: "SetFields gives the handle's number", test: "catalog/a record has the number of the set that its last writer fills", inject: func(b *shared) {
			mutate(b, func(m *driver.Mutation) {
				if m.Op == driver.SetFields && m.ColumnSet == 0 {
					m.ColumnSet = 2
				}
			})
		}},
		bug{name: "each set is a new one", test: "catalog/a record has the number of the set that its last writer fills", inject: func(b *shared) {
			b.addSet = func(ctx context.Context, set driver.ColumnSet) (int64, error) {
				if c, err := b.Backend.Catalog(ctx); err != nil || len(c.Sets) < 3 {
					return b.Backend.AddColumnSet(ctx, set)
				}
				return b.Backend.AddColumnSet(ctx, set.Union(driver.ColumnSet{"another": nil}))
			}
		}},
		bug{name: "sets are recorded late", test: "catalog/a set is recorded before the first record has its number", inject: func(b *shared) {
			b.catalog = func(ctx context.Context) (*driver.Catalog, error) {
				c, err := b.Backend.Catalog(ctx)
				delete(c.Sets, 2)
				return c, err
			}
		}},
		bug{name: "a claim fills all columns", test: "catalog/a claim leaves the number alone", inject: func(b *shared) {
			b.claim = func(ctx context.Context, q *driver.Query, c driver.Claiming) ([]driver.Record, error) {
				recs, err := b.Backend.Claim(ctx, q, c)
				for _, r := range recs {
					m := driver.Mutation{Op: driver.SetFields, Rec: driver.Record{ID: r.ID, Fields: []any{nil}}, ColumnSet: 1}
					if _, err := b.Backend.Apply(ctx, []driver.Mutation{m}); err != nil {
						return nil, err
					}
				}
				return recs, err
			}
		}},
		bug{name: "a column takes any kind", test: "catalog/a column keeps its kind", inject: func(b *shared) {
			b.init = func(ctx context.Context, s driver.Schema) (driver.Meta, error) {
				m, err := b.Backend.Init(ctx, s)
				if err != nil {
					s.Fields = nil
					return b.Backend.Init(ctx, s)
				}
				return m, err
			}
		}},
		bug{name: "a column is dropped from the catalog alone", test: "catalog/a column is dropped", inject: func(b *shared) {
			dropped := map[string]bool{}
			b.drop = func(_ context.Context, name string) error {
				if dropped[name] || name != "host" && name != "prio" {
					return driver.ErrNotFound
				}
				dropped[name] = true
				return nil
			}
			b.catalog = func(ctx context.Context) (*driver.Catalog, error) {
				c, err := b.Backend.Catalog(ctx)
				for name := range dropped {
					c.Drop(name)
				}
				return c, err
			}
		}},
		bug{name: "any column is dropped", test: "catalog/a column is dropped", inject: func(b *shared) {
			b.drop = func(ctx context.Context, name string) error {
				if err := b.Backend.DropColumn(ctx, name); !errors.Is(err, driver.ErrNotFound) {
					return err
				}
				return nil
			}
		}},
		bug{name: "the data's kind of IDs is not told", test: "catalog/the kind of the IDs is that of the data", inject: func(b *shared) {
			b.init = func(ctx context.Context, s driver.Schema) (driver.Meta, error) {
				m, err := b.Backend.Init(ctx, s)
				m.TextIDs = false
				return m, err
			}
		}},
		bug{name: "letter case makes another column", test: "catalog/a column of a name in other letter case is the same", inject: func(b *shared) {
			b.init = func(ctx context.Context, s driver.Schema) (driver.Meta, error) {
				s.Fields = slices.Clone(s.Fields)
				for i, f := range s.Fields {
					if f.Name != strings.ToLower(f.Name) {
						s.Fields[i].Name += "_2"
					}
				}
				return b.Backend.Init(ctx, s)
			}
		}},

		bug{name: "gaps are found whatever the type", test: "catalog/a record has the number of the set that its last writer fills", inject: func(b *shared) {
			b.inGap = func(ctx context.Context, g driver.Gap) (found bool, err error) {
				return len(numberedIn(b.Backend, g.Set)) > 0, ctx.Err()
			}
		}},
		bug{name: "own writes are foreign", test: "catalog/writes of others are told from one's own", inject: func(b *shared) {
			b.foreign = b.all.Load
		}},
		bug{name: "foreign writes are not noticed", test: "catalog/writes of others are told from one's own", inject: func(b *shared) {
			b.foreign = func() uint64 { return 7 }
		}},

		bug{name: "a namespace is the same as the objects", test: "namespaces/a namespace keeps records of its own", inject: func(b *shared) {
			b.namespace = func(driver.Namespace) driver.Namespace { return driver.Objects }
		}},
		bug{name: "all namespaces are one", test: "namespaces/a namespace keeps records of its own", inject: func(b *shared) {
			b.namespace = func(driver.Namespace) driver.Namespace { return "one" }
		}},
		bug{name: "an Apply to several namespaces is not atomic", test: "namespaces/one Apply writes to several namespaces or to none", inject: func(b *shared) {
			b.apply = applyByNamespace(b)
		}},
	)
}
