package exportfile

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/brine-go/brine/persistence/driver"
)

// A layout says what a namespace of the objects has in Record.Fields.
type layout struct {
	at     []int // for each column of the file; -1: the namespace does not have it
	fields int
	values *driver.Columns
}

// Init implements [driver.Backend].
func (r *Reader) Init(_ context.Context, s driver.Schema) (driver.Meta, error) {
	if len(s.Fields) > 0 || !s.AnyIDs && s.IntegerIDs == r.TextIDs() {
		return driver.Meta{}, errors.New("an export file is opened without options")
	}
	_, err := r.ObjectsWith(context.Background(), nil, false)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.layouts[driver.Objects] = r.layouts[driver.Alias(nil)]
	return driver.Meta{Identity: rand.Text(), NoCounter: true, TextIDs: r.TextIDs(), Catalog: r.catalog.Clone()}, err
}

// InitNamespace implements [driver.Namespacer].
func (r *Reader) InitNamespace(_ context.Context, ns driver.Namespace, _ driver.Schema) error {
	if ns != driver.Pairs {
		return driver.ErrNotFound
	}
	return nil
}

// Catalog implements [driver.Cataloger].
func (r *Reader) Catalog(context.Context) (*driver.Catalog, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.catalog.Clone(), nil
}

// ObjectsWith implements [driver.FieldAdder].
func (r *Reader) ObjectsWith(_ context.Context, fields []driver.Column, _ bool) (driver.Namespace, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.catalog.Check(fields); err != nil {
		return "", err
	}
	ns := driver.Alias(fields)
	r.layouts[ns] = layout{places(r.columns, fields), len(fields),
		driver.NewColumns(driver.Schema{IntegerIDs: !r.TextIDs(), Fields: fields})}
	return ns, nil
}

// places returns, for each column, where it is among some fields; -1: it is not.
func places(columns, fields []driver.Column) []int {
	at := make([]int, len(columns))
	for i, c := range columns {
		at[i] = slices.IndexFunc(fields, func(f driver.Column) bool { return strings.EqualFold(f.Name, c.Name) })
	}
	return at
}

// View implements [driver.Backend].
func (r *Reader) View(_ context.Context, fn func(driver.Reader) error) error {
	return fn(&namespaceReader{r, driver.Objects})
}

// A namespaceReader reads a namespace of a file.
type namespaceReader struct {
	r  *Reader
	ns driver.Namespace
}

// InNamespace implements [driver.NamespaceReader].
func (n *namespaceReader) InNamespace(ns driver.Namespace) (driver.Reader, error) {
	return &namespaceReader{n.r, ns}, nil
}

// Scan implements [driver.Reader].
func (n *namespaceReader) Scan(ctx context.Context, q *driver.Query) iter.Seq2[driver.Record, error] {
	return func(yield func(driver.Record, error) bool) {
		if err := n.scan(ctx, q, yield); err != nil {
			yield(driver.Record{}, err)
		}
	}
}

func (n *namespaceReader) scan(ctx context.Context, q *driver.Query, yield func(driver.Record, error) bool) error {
	r, storage := n.r, n.ns.Storage()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(q.Order) > 0 {
		return fmt.Errorf("an order of the records of an export file: %w", errors.ErrUnsupported)
	}
	if err := r.place(storage, q.After); err != nil {
		return err
	}
	lay := layout{values: driver.NewColumns(driver.Schema{})}
	if storage == driver.Objects {
		lay = r.layouts[n.ns]
	}
	for given := 0; q.Limit == 0 || given < q.Limit; {
		l, err := r.peek()
		if err != nil && given > 0 {
			return nil //nolint:nilerr // what came before counts; the next call returns it, as does Finish
		}
		if err != nil || l == nil || storage == driver.Objects && l.Key != "" {
			return err
		}
		r.take()
		if storage == driver.Pairs && l.Key == "" {
			continue
		}
		rec, err := l.record(r.columns, lay.at, lay.fields)
		if err != nil {
			return r.fail(err)
		}
		if !lay.values.Match(q, &rec) {
			continue
		}
		if given++; !yield(rec, nil) {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// Get implements [driver.Reader]: it goes through the file.
func (n *namespaceReader) Get(ctx context.Context, ids []driver.ID, _ driver.Parts) ([]driver.Record, error) {
	wanted := make(map[driver.ID]bool, len(ids))
	for _, id := range ids {
		wanted[id] = true
	}
	var recs []driver.Record
	for rec, err := range n.Scan(ctx, &driver.Query{}) {
		if err != nil {
			return nil, err
		}
		if wanted[rec.ID] {
			recs = append(recs, rec)
		}
	}
	return recs, nil
}

// Count implements [driver.Reader]. Of a file that is read once it is 0 until the end.
func (n *namespaceReader) Count(ctx context.Context, q *driver.Query) (count int64, err error) {
	n.r.mu.Lock()
	all := n.r.all
	n.r.mu.Unlock()
	switch {
	case len(q.Where) > 0:
		for _, err := range n.Scan(ctx, &driver.Query{Where: q.Where}) {
			if err != nil {
				return 0, err
			}
			count++
		}
		return count, nil
	case n.ns.Storage() == driver.Pairs:
		return all.Pairs, nil
	}
	return all.Records, nil
}

// Apply implements [driver.Backend].
func (r *Reader) Apply(context.Context, []driver.Mutation) ([]int64, error) {
	return nil, driver.ErrReadOnly
}

// NextIDs implements [driver.Backend].
func (r *Reader) NextIDs(context.Context, int) (int64, error) { return 0, driver.ErrReadOnly }

// AddColumnSet implements [driver.Cataloger].
func (r *Reader) AddColumnSet(context.Context, driver.ColumnSet) (int64, error) {
	return 0, driver.ErrReadOnly
}

// DropColumn implements [driver.Cataloger].
func (r *Reader) DropColumn(context.Context, string) error { return driver.ErrReadOnly }

// Close implements [driver.Backend]. It leaves the file open.
func (r *Reader) Close() error { return nil }
