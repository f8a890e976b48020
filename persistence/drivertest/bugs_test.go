package drivertest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/mem"
	"github.com/brine-go/brine/url"
)

// A bug is a mistake that a backend could plausibly have, and the test that must find it.
type bug struct {
	name   string
	test   string // its name in the suite, below "subjects"
	inject func(*shared)
	// open, if not nil, opens the store in place of openShared.
	open func(url.URL, driver.OpenOptions) (*shared, error)
}

// mutate makes an apply hook that changes a copy of each mutation.
func mutate(b *shared, change func(*driver.Mutation)) {
	b.apply = func(ctx context.Context, ms []driver.Mutation) ([]int64, error) {
		ms = clone(ms)
		for i := range ms {
			change(&ms[i])
		}
		return b.Backend.Apply(ctx, ms)
	}
}

// inPieces makes an apply hook that writes a batch in pieces of n.
func inPieces(b *shared, n int, between func(context.Context) error) {
	b.apply = func(ctx context.Context, ms []driver.Mutation) (revs []int64, err error) {
		for piece := range slices.Chunk(ms, n) {
			if err := between(ctx); err != nil {
				return nil, err
			}
			r, err := b.Backend.Apply(context.WithoutCancel(ctx), piece)
			if err != nil {
				return nil, err
			}
			revs = append(revs, r...)
		}
		return revs, nil
	}
}

// requery makes a scan hook that changes a copy of the query.
func requery(b *shared, change func(*driver.Cond)) {
	b.scan = func(r driver.Reader, ctx context.Context, q *driver.Query) ([]driver.Record, error) {
		c := *q
		c.Where = slices.Clone(q.Where)
		for i := range c.Where {
			change(&c.Where[i])
		}
		return scanAll(r, ctx, &c)
	}
}

// rescan makes a scan hook that changes the whole result, before the limit.
func rescan(b *shared, change func(q *driver.Query, cols *driver.Columns, recs []driver.Record) []driver.Record) {
	var cols *driver.Columns
	b.init = func(ctx context.Context, s driver.Schema) (driver.Meta, error) {
		cols = driver.NewColumns(s)
		return b.Backend.Init(ctx, s)
	}
	b.scan = func(r driver.Reader, ctx context.Context, q *driver.Query) ([]driver.Record, error) {
		c := *q
		c.Limit, c.Parts = 0, q.Parts|driver.Info|driver.Fields
		recs, err := scanAll(r, ctx, &c)
		recs = change(q, cols, recs)
		if q.Limit > 0 {
			recs = recs[:min(q.Limit, len(recs))]
		}
		return recs, err
	}
}

func never(context.Context) error { return nil }

var bugs = []bug{
	{name: "update ignores IfRev", test: "records/operations fail where they must and change nothing", inject: func(b *shared) {
		mutate(b, func(m *driver.Mutation) {
			if m.Op == driver.Update {
				m.IfRev = 0
			}
		})
	}},
	{name: "create overwrites", test: "records/operations fail where they must and change nothing", inject: func(b *shared) {
		mutate(b, func(m *driver.Mutation) {
			if m.Op == driver.Create {
				m.Op = driver.Put
			}
		})
	}},
	{name: "set fields raises the revision", test: "records/every operation changes what it names and nothing else", inject: func(b *shared) {
		b.apply = func(ctx context.Context, ms []driver.Mutation) ([]int64, error) {
			ms = clone(ms)
			for i := range ms {
				if m := &ms[i]; m.Op == driver.SetFields {
					var recs []driver.Record
					err := b.Backend.View(ctx, func(r driver.Reader) (err error) {
						recs, err = r.Get(ctx, []driver.ID{m.Rec.ID}, everything)
						return err
					})
					if err != nil {
						return nil, err
					}
					for _, rec := range recs {
						rec.Fields = m.Rec.Fields
						m.Op, m.Rec = driver.Update, rec
					}
				}
			}
			return b.Backend.Apply(ctx, ms)
		}
	}},
	{name: "an overwritten record is a new one", test: "records/every operation changes what it names and nothing else", inject: func(b *shared) {
		b.each = func(r *driver.Record) { r.Created = r.Modified }
	}},
	{name: "empty bytes are NULL", test: "records/field values of every kind come back", inject: func(b *shared) {
		b.each = func(r *driver.Record) {
			for i, v := range r.Fields {
				if raw, ok := v.([]byte); ok && len(raw) == 0 {
					r.Fields[i] = nil
				}
			}
		}
	}},
	{name: "numbers go through float64", test: "records/field values of every kind come back", inject: func(b *shared) {
		b.each = func(r *driver.Record) {
			for i, v := range r.Fields {
				if n, ok := v.(int64); ok {
					r.Fields[i] = int64(float64(n))
				}
			}
		}
	}},
	{name: "the version is read with all other information alone", test: "records/parts that were not asked for are not read", inject: func(b *shared) {
		b.get = func(r driver.Reader, ctx context.Context, ids []driver.ID, parts driver.Parts) ([]driver.Record, error) {
			recs, err := r.Get(ctx, ids, parts)
			for i := range recs {
				if parts&driver.Info == 0 {
					recs[i].Revision = 0
				}
			}
			return recs, err
		}
	}},
	{name: "a column asked for by itself is not read", test: "records/parts that were not asked for are not read", inject: func(b *shared) {
		b.scan = func(r driver.Reader, ctx context.Context, q *driver.Query) ([]driver.Record, error) {
			recs, err := scanAll(r, ctx, q)
			for i := range recs {
				if q.Columns != nil {
					recs[i].Fields = make([]any, len(recs[i].Fields))
				}
			}
			return recs, err
		}
	}},
	{name: "the blob is read always", test: "records/parts that were not asked for are not read", inject: func(b *shared) {
		b.get = func(r driver.Reader, ctx context.Context, ids []driver.ID, parts driver.Parts) ([]driver.Record, error) {
			return r.Get(ctx, ids, parts|driver.Data)
		}
	}},
	{name: "the head is all of the data", test: "records/the head is the beginning of the data", inject: func(b *shared) {
		b.get = func(r driver.Reader, ctx context.Context, ids []driver.ID, parts driver.Parts) ([]driver.Record, error) {
			if parts&driver.Head != 0 {
				parts |= driver.Data
			}
			return r.Get(ctx, ids, parts)
		}
	}},
	{name: "the size is that of the head", test: "records/the head is the beginning of the data", inject: func(b *shared) {
		b.scan = func(r driver.Reader, ctx context.Context, q *driver.Query) ([]driver.Record, error) {
			recs, err := scanAll(r, ctx, q)
			for i := range recs {
				if q.Parts&driver.Head != 0 {
					recs[i].Size = int64(len(recs[i].Data))
				}
			}
			return recs, err
		}
	}},
	{name: "the head is not read where records are sorted", test: "records/the head is the beginning of the data", inject: func(b *shared) {
		b.scan = func(r driver.Reader, ctx context.Context, q *driver.Query) ([]driver.Record, error) {
			c := *q
			if len(q.Order) > 0 {
				c.Parts &^= driver.Head
			}
			return scanAll(r, ctx, &c)
		}
	}},
	{name: "the caller's slice is kept", test: "records/the store shares no memory with its callers", inject: func(b *shared) {
		var kept sync.Map
		b.apply = func(ctx context.Context, ms []driver.Mutation) ([]int64, error) {
			for _, m := range ms {
				kept.Store(m.Rec.ID, m.Rec.Data)
			}
			return b.Backend.Apply(ctx, ms)
		}
		b.each = func(r *driver.Record) {
			if data, ok := kept.Load(r.ID); ok && r.Data != nil {
				r.Data = data.([]byte)
			}
		}
	}},
	{name: "the batch is sorted in place", test: "records/apply only reads its mutations", inject: func(b *shared) {
		b.apply = func(ctx context.Context, ms []driver.Mutation) ([]int64, error) {
			slices.SortFunc(ms, func(a, b driver.Mutation) int { return strings.Compare(string(a.Rec.ID), string(b.Rec.ID)) })
			return b.Backend.Apply(ctx, ms)
		}
	}},

	{name: "a batch is written one by one", test: "atomicity/a failure anywhere in a batch leaves nothing of it", inject: func(b *shared) {
		inPieces(b, 1, never)
	}},
	{name: "deletes go first, in a transaction of their own", test: "atomicity/random batches do what the contract says", inject: func(b *shared) {
		b.apply = func(ctx context.Context, ms []driver.Mutation) ([]int64, error) {
			var deletes []driver.Mutation
			for _, m := range ms {
				if m.Op == driver.Delete && m.IfRev == 0 {
					deletes = append(deletes, m)
				}
			}
			if _, err := b.Backend.Apply(ctx, deletes); err != nil {
				return nil, err
			}
			ms = clone(ms)
			for i := range ms {
				if ms[i].Op == driver.Delete && ms[i].IfRev == 0 {
					ms[i] = put(ms[i].Rec)
					ms[i].Rec.Fields = make([]any, len(fields))
				}
			}
			revs, err := b.Backend.Apply(ctx, ms)
			if err == nil {
				_, err = b.Backend.Apply(ctx, deletes)
			}
			return revs, err
		}
	}},
	{name: "dangling references pass", test: "atomicity/no dangling reference is committed", inject: func(b *shared) {
		mutate(b, func(m *driver.Mutation) { m.NewRefs = nil })
	}},
	{name: "the last failure is reported", test: "atomicity/the first of several failures is reported", inject: func(b *shared) {
		b.apply = func(ctx context.Context, ms []driver.Mutation) ([]int64, error) {
			ms = slices.Clone(ms)
			slices.Reverse(ms)
			revs, err := b.Backend.Apply(ctx, ms)
			slices.Reverse(revs)
			return revs, err
		}
	}},
	{name: "every Get sees the latest state", test: "atomicity/a view sees one state while others write", inject: func(b *shared) {
		b.get = func(_ driver.Reader, ctx context.Context, ids []driver.ID, parts driver.Parts) (recs []driver.Record, err error) {
			err = b.Backend.View(ctx, func(r driver.Reader) error {
				recs, err = r.Get(ctx, ids, parts)
				return err
			})
			return recs, err
		}
	}},

	{name: "the counter restarts at every opening", test: "ids/no number is given out twice", inject: func(b *shared) {
		var mu sync.Mutex
		next := int64(1)
		b.nextIDs = func(_ context.Context, n int) (int64, error) {
			mu.Lock()
			defer mu.Unlock()
			first := next
			next += int64(n)
			return first, nil
		}
	}},
	{name: "the counter moves by one", test: "ids/no number is given out twice", inject: func(b *shared) {
		b.nextIDs = func(ctx context.Context, _ int) (int64, error) { return b.Backend.NextIDs(ctx, 1) }
	}},
	{name: "IDs fold letter case", test: "ids/every valid text is an ID of its own", inject: func(b *shared) {
		mutate(b, func(m *driver.Mutation) { m.Rec.ID = driver.ID(strings.ToLower(string(m.Rec.ID))) })
	}},
	{name: "IDs are cut at a hundred bytes", test: "ids/every valid text is an ID of its own", inject: func(b *shared) {
		mutate(b, func(m *driver.Mutation) { m.Rec.ID = m.Rec.ID[:min(100, len(m.Rec.ID))] })
	}},
	{name: "integers are ordered as text", test: "ids/integers are ordered by value", inject: func(b *shared) {
		rescan(b, func(_ *driver.Query, _ *driver.Columns, recs []driver.Record) []driver.Record {
			slices.SortFunc(recs, func(a, b driver.Record) int { return strings.Compare(string(a.ID), string(b.ID)) })
			return recs
		})
	}},
	{name: "text is ordered by a collation", test: "ids/text is ordered by bytes", inject: func(b *shared) {
		rescan(b, func(_ *driver.Query, _ *driver.Columns, recs []driver.Record) []driver.Record {
			slices.SortStableFunc(recs, func(a, b driver.Record) int {
				return strings.Compare(strings.ToLower(string(a.ID)), strings.ToLower(string(b.ID)))
			})
			return recs
		})
	}},
	{name: "IDs with leading zeros are accepted", test: "ids/an impossible ID is absent", inject: func(b *shared) {
		b.get = func(r driver.Reader, ctx context.Context, ids []driver.ID, parts driver.Parts) ([]driver.Record, error) {
			ids = slices.Clone(ids)
			for i, id := range ids {
				if s := strings.TrimLeft(string(id), "+0"); s != "" {
					ids[i] = driver.ID(s)
				}
			}
			return r.Get(ctx, ids, parts)
		}
	}},

	{name: "NULL comes first", test: "queries/every order, whole and in pages", inject: func(b *shared) {
		rescan(b, func(q *driver.Query, cols *driver.Columns, recs []driver.Record) []driver.Record {
			if len(q.Order) == 0 {
				return recs
			}
			slices.SortStableFunc(recs, func(a, b driver.Record) int {
				an, bn := cols.Value(&a, q.Order[0].Column) == nil, cols.Value(&b, q.Order[0].Column) == nil
				switch {
				case an && !bn:
					return -1
				case bn && !an:
					return 1
				}
				return 0
			})
			return recs
		})
	}},
	{name: "a cursor skips records that tie with it", test: "queries/every order, whole and in pages", inject: func(b *shared) {
		rescan(b, func(q *driver.Query, cols *driver.Columns, recs []driver.Record) []driver.Record {
			if q.After == nil || len(q.Order) == 0 {
				return recs
			}
			return slices.DeleteFunc(recs, func(r driver.Record) bool {
				return diff(q.After.Values[0], cols.Value(&r, q.Order[0].Column)) == ""
			})
		})
	}},
	{name: "ties are ordered by descending ID too", test: "queries/random queries, whole and in pages", inject: func(b *shared) {
		rescan(b, func(q *driver.Query, cols *driver.Columns, recs []driver.Record) []driver.Record {
			if len(q.Order) != 1 || !q.Order[0].Desc || q.After != nil {
				return recs
			}
			slices.SortFunc(recs, func(a, b driver.Record) int {
				ac, bc := cols.Cursor(q, &a), cols.Cursor(q, &b)
				ac.ID, bc.ID = bc.ID, ac.ID
				return cols.Compare(q, ac, bc)
			})
			return recs
		})
	}},
	{name: "Ne does not match NULL", test: "queries/every comparison of every column", inject: func(b *shared) {
		rescan(b, func(q *driver.Query, cols *driver.Columns, recs []driver.Record) []driver.Record {
			return slices.DeleteFunc(recs, func(r driver.Record) bool {
				return slices.ContainsFunc(q.Where, func(c driver.Cond) bool { return c.Op == driver.Ne && cols.Value(&r, c.Column) == nil })
			})
		})
	}},
	{name: "a prefix may hold wildcards", test: "queries/a prefix is taken literally", inject: func(b *shared) {
		requery(b, func(c *driver.Cond) {
			if c.Op == driver.HasPrefix {
				prefix, _, _ := strings.Cut(c.Values[0].(string), "%")
				c.Values = []any{prefix}
			}
		})
	}},
	{name: "a text may hold wildcards", test: "queries/a prefix is taken literally", inject: func(b *shared) {
		requery(b, func(c *driver.Cond) {
			if c.Op == driver.Contains || c.Op == driver.HasSuffix {
				c.Values = []any{strings.Trim(c.Values[0].(string), "%")}
			}
		})
	}},
	{name: "one of an Or is forgotten", test: "queries/every comparison of every column", inject: func(b *shared) {
		requery(b, func(c *driver.Cond) { c.Any = c.Any[:min(1, len(c.Any))] })
	}},
	{name: "a list is cut at a thousand values", test: "queries/lists of values of any length", inject: func(b *shared) {
		requery(b, func(c *driver.Cond) { c.Values = c.Values[:min(1000, len(c.Values))] })
	}},

	{name: "compared first, set later", test: "concurrency/compare and set loses no update", inject: func(b *shared) {
		b.apply = func(ctx context.Context, ms []driver.Mutation) ([]int64, error) {
			ms = clone(ms)
			for i := range ms {
				rec, err := (&store{Backend: b.Backend}).read(ms[i].Rec.ID)
				if err == nil && ms[i].IfRev != 0 && rec.Revision != ms[i].IfRev {
					return nil, &driver.RecordError{ID: rec.ID, Err: driver.ErrConflict}
				}
				ms[i].IfRev = 0
			}
			time.Sleep(time.Millisecond)
			return b.Backend.Apply(ctx, ms)
		}
	}},
	{name: "two records are written one after the other", test: "concurrency/concurrent readers see whole batches", inject: func(b *shared) {
		inPieces(b, 1, func(context.Context) error { runtime.Gosched(); return nil })
	}},
	{name: "contexts are ignored", test: "concurrency/a context that has ended stops every call", inject: func(b *shared) {
		b.context = context.WithoutCancel
	}},
	{name: "a context stops between two pieces", test: "concurrency/a context that ends in mid-call leaves all or nothing", inject: func(b *shared) {
		inPieces(b, 10, func(ctx context.Context) error { time.Sleep(100 * time.Microsecond); return ctx.Err() })
	}},

	{name: "calls go on after Close", test: "closing/calls after close return ErrClosed", inject: func(b *shared) {
		b.close = func() error { return nil }
	}},
	{name: "a second Close fails", test: "closing/calls after close return ErrClosed", inject: func(b *shared) {
		closed := false
		b.close = func() error {
			if closed {
				return driver.ErrClosed
			}
			closed = true
			return b.Backend.Close()
		}
	}},
	{name: "Close does not wait", test: "closing/close waits for an active view", inject: func(b *shared) {
		b.close = func() error { go b.Backend.Close(); return nil }
	}},
	{name: "a call during Close fails with an error of its own", test: "closing/calls during close succeed or return ErrClosed", inject: func(b *shared) {
		b.apply = func(ctx context.Context, ms []driver.Mutation) ([]int64, error) {
			revs, err := b.Backend.Apply(ctx, ms)
			if errors.Is(err, driver.ErrClosed) {
				err = errors.New("bad connection")
			}
			return revs, err
		}
	}},

	{name: "Suspend drops the data", test: "fork reset/suspend and resume keep everything", inject: func(b *shared) {
		b.suspend = func() error {
			b.Backend = mem.New(driver.OpenOptions{})
			_, err := b.Backend.Init(context.Background(), driver.Schema{Fields: fields})
			return err
		}
	}},
	{name: "Suspend closes", test: "fork reset/a handle may be suspended before its first use", inject: func(b *shared) {
		b.suspend = func() error { return b.Backend.Close() }
	}},
	{name: "a suspended handle keeps what it read", test: "fork reset/others may write while a handle is suspended", inject: func(b *shared) {
		suspended, cache := false, map[driver.ID]driver.Record{}
		b.suspend = func() error {
			return b.Backend.View(context.Background(), func(r driver.Reader) error {
				recs, err := scanAll(r, context.Background(), &driver.Query{Parts: everything})
				suspended, cache = true, byID(recs...)
				return err
			})
		}
		b.each = func(r *driver.Record) {
			if old, ok := cache[r.ID]; ok && suspended {
				*r = old
			}
		}
	}},

	{name: "an error shows the URL", test: "secrets/no error and no log shows a password", open: func(u url.URL, o driver.OpenOptions) (*shared, error) {
		b, err := openShared(u, o)
		if err != nil {
			err = fmt.Errorf("%s: %w", u.DSN(), err)
		}
		return b, err
	}},
	{name: "an error shows the password decoded", test: "secrets/no error and no log shows a password", open: func(u url.URL, o driver.OpenOptions) (*shared, error) {
		b, err := openShared(u, o)
		if err != nil {
			err = fmt.Errorf("access denied for user %s (using password %s)", u.User(), u.Password())
		}
		return b, err
	}},
	{name: "the log shows the URL", test: "secrets/no error and no log shows a password", open: func(u url.URL, o driver.OpenOptions) (*shared, error) {
		o.Logger.Debug("opening", "url", u.DSN())
		return openShared(u, o)
	}},
	{name: "unknown parameters pass", test: "secrets/an unknown parameter is named, before anything is touched", open: func(u url.URL, o driver.OpenOptions) (*shared, error) {
		plain, err := url.Parse("shared:" + u.Path())
		if err != nil {
			return nil, err
		}
		return openShared(plain, o)
	}},

	{name: "Get stops at a thousand IDs", test: "limits/a batch of thousands with text IDs", inject: func(b *shared) {
		b.get = func(r driver.Reader, ctx context.Context, ids []driver.ID, parts driver.Parts) ([]driver.Record, error) {
			return r.Get(ctx, ids[:min(1000, len(ids))], parts)
		}
	}},
	{name: "Get gives a record once for each time it is asked for", test: "limits/a batch of thousands with text IDs", inject: func(b *shared) {
		b.get = func(r driver.Reader, ctx context.Context, ids []driver.ID, parts driver.Parts) (all []driver.Record, err error) {
			for chunk := range slices.Chunk(ids, 500) {
				recs, err := r.Get(ctx, chunk, parts)
				if all = append(all, recs...); err != nil {
					return nil, err
				}
			}
			return all, nil
		}
	}},
	{name: "a big batch is written in two", test: "limits/a batch of ten thousand", inject: func(b *shared) {
		inPieces(b, 5000, never)
	}},
	{name: "a state ends at 128 bytes", test: "limits/texts of full length", inject: func(b *shared) {
		b.each = func(r *driver.Record) { r.State = r.State[:min(128, len(r.State))] }
	}},
	{name: "data ends at 64 KiB", test: "limits/data of 8 MiB", inject: func(b *shared) {
		b.each = func(r *driver.Record) { r.Data = bytes.Clone(r.Data[:min(65_535, len(r.Data))]) }
	}},

	{name: "every opening makes a new identity", test: "schema/a store keeps its own identity", inject: func(b *shared) {
		b.init = func(ctx context.Context, s driver.Schema) (driver.Meta, error) {
			m, err := b.Backend.Init(ctx, s)
			m.Identity = rand.Text()
			return m, err
		}
	}},
	{name: "an update replaces the whole row", test: "schema/an update leaves the columns of others alone", inject: func(b *shared) {
		b.apply = func(ctx context.Context, ms []driver.Mutation) ([]int64, error) {
			for _, m := range ms {
				old, err := (&store{Backend: b.Backend}).read(m.Rec.ID)
				if err != nil || m.Op == driver.Delete {
					if _, err := b.Backend.Apply(ctx, []driver.Mutation{m}); err != nil {
						return nil, err
					}
					continue
				}
				m.Op, m.Rec.Revision, m.Rec.Created = driver.Create, old.Revision+1, old.Created
				if _, err := b.Backend.Apply(ctx, []driver.Mutation{remove(m.Rec.ID, 0)}); err != nil {
					return nil, err
				}
				if _, err := b.Backend.Apply(ctx, []driver.Mutation{m}); err != nil {
					return nil, err
				}
			}
			return make([]int64, len(ms)), nil
		}
	}},
	{name: "NoCreate creates", test: "schema/NoCreate creates nothing", open: func(u url.URL, o driver.OpenOptions) (*shared, error) {
		o.NoCreate = false
		return openShared(u, o)
	}},
	{name: "the kind of the IDs is ignored", test: "schema/the other kind of IDs is rejected", inject: func(b *shared) {
		b.init = func(ctx context.Context, s driver.Schema) (driver.Meta, error) {
			m, err := b.Backend.Init(ctx, s)
			if err != nil {
				s.IntegerIDs = !s.IntegerIDs
				return b.Backend.Init(ctx, s)
			}
			return m, nil
		}
	}},
	{name: "columns are identified by position", test: "schema/columns are added, dropped and added again", inject: func(b *shared) {
		b.init = func(ctx context.Context, s driver.Schema) (driver.Meta, error) {
			for i := range s.Fields {
				s.Fields[i].Name = fmt.Sprint("c", i)
			}
			return b.Backend.Init(ctx, s)
		}
	}},

	{name: "Close leaks a goroutine", test: "leaks", inject: func(b *shared) {
		go func() { select {} }()
	}},
}
