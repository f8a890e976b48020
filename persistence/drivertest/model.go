package drivertest

import (
	"maps"
	"slices"

	"github.com/brine-go/brine/persistence/driver"
)

// model is the expected content of a store, kept in a map. It is the contract of Apply and Scan
// in its shortest form.
type model struct {
	cols *driver.Columns
	recs map[driver.ID]driver.Record

	unique []driver.Index
}

func newModel(s driver.Schema) *model {
	return &model{cols: driver.NewColumns(s), recs: map[driver.ID]driver.Record{}}
}

// apply makes all the mutations and returns their revisions (0 for Delete, Check and
// SetFields), or makes none and returns the first failure.
func (m *model) apply(ms []driver.Mutation) ([]int64, *driver.RecordError) {
	after := maps.Clone(m.recs)
	for _, mu := range ms {
		switch mu.Op {
		case driver.Create, driver.Put:
			after[mu.Rec.ID] = mu.Rec
		case driver.Delete:
			delete(after, mu.Rec.ID)
		}
	}
	next := maps.Clone(m.recs)
	revs := make([]int64, len(ms))
	for i, mu := range ms {
		was, there := m.recs[mu.Rec.ID]
		if err := m.refuses(&mu); err != nil {
			return nil, &driver.RecordError{ID: mu.Rec.ID, Err: err}
		}
		for _, ref := range mu.NewRefs {
			if _, ok := after[ref]; !ok {
				return nil, &driver.RecordError{ID: mu.Rec.ID, Ref: ref, Err: driver.ErrDangling}
			}
		}
		switch mu.Op {
		case driver.Delete:
			delete(next, mu.Rec.ID)
		case driver.Create, driver.Update, driver.Put:
			rec := mu.Rec
			if there {
				rec.Revision, rec.Created = was.Revision+1, was.Created
			} else {
				rec.Revision = max(rec.Revision, 1)
			}
			next[rec.ID] = rec
			revs[i] = rec.Revision
		case driver.SetFields:
			rec := was
			rec.Fields = mu.Rec.Fields
			next[rec.ID] = rec
		}
	}
	if id, clashes := m.clash(next); clashes {
		return nil, &driver.RecordError{ID: id, Err: driver.ErrUnique}
	}
	m.recs = next
	return revs, nil
}

// refuses returns the error of a mutation of the records as they are.
func (m *model) refuses(mu *driver.Mutation) error {
	was, there := m.recs[mu.Rec.ID]
	asWanted := there && (mu.IfRev == 0 || mu.IfRev == was.Revision)
	switch mu.Op {
	case driver.Create:
		if there {
			return driver.ErrExists
		}
	case driver.Update, driver.Delete:
		if !there && mu.IfRev == 0 {
			return driver.ErrNotFound
		}
		if !asWanted {
			return driver.ErrConflict
		}
	case driver.Check, driver.SetFields:
		if !asWanted {
			return driver.ErrConflict
		}
	}
	return nil
}

// clash returns one of two records that have the same values in a unique index.
func (m *model) clash(recs map[driver.ID]driver.Record) (driver.ID, bool) {
	for _, x := range m.unique {
		holders := map[string]driver.ID{}
		for id, r := range recs {
			values := make([]any, len(x.Columns))
			for i, name := range x.Columns {
				values[i] = m.cols.Value(&r, name)
			}
			key, ok := driver.IndexKey(values)
			if _, held := holders[key]; ok && held {
				return id, true
			}
			holders[key] = id
		}
	}
	return "", false
}

// scan returns the records of a query in its order, with all their parts.
func (m *model) scan(q *driver.Query) []driver.Record {
	var found []driver.Record
	for _, r := range m.recs {
		if m.cols.Match(q, &r) && (q.After == nil || m.cols.Compare(q, m.cols.Cursor(q, &r), q.After) > 0) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b driver.Record) int {
		return m.cols.Compare(q, m.cols.Cursor(q, &a), m.cols.Cursor(q, &b))
	})
	if q.Limit > 0 && len(found) > q.Limit {
		found = found[:q.Limit]
	}
	return found
}

// count returns the number of records that match a query.
func (m *model) count(q *driver.Query) int64 {
	return int64(len(m.scan(&driver.Query{Where: q.Where})))
}
