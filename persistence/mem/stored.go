package mem

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

var _ driver.Salvager = (*Backend)(nil)

// Names of what a stored form holds besides the columns of a query.
const (
	nameSize = "size"
	nameData = "data"
)

// Stored implements [driver.Salvager]. There are no strays in memory.
func (b *Backend) Stored(ctx context.Context, ns driver.Namespace, ids []driver.ID, _ []string) ([]driver.Stored, error) {
	if _, err := b.ready(ctx); err != nil {
		return nil, err
	}
	defer b.calls.Done()
	cols, err := b.columnsOf(ns)
	if err != nil {
		return nil, err
	}
	// The layout of a table grows under the lock of writers.
	if err := b.data.lock(ctx); err != nil {
		return nil, err
	}
	defer b.data.unlock()
	root := (*b.data.state.Load())[ns]
	var found []driver.Stored
	seen := make(map[driver.ID]bool, len(ids))
	for _, id := range ids {
		rec := root.get(id, cols.CompareIDs)
		if rec == nil || rec.ID != id || seen[id] {
			continue
		}
		seen[id] = true
		data, err := cols.form(rec)
		if err != nil {
			return nil, err
		}
		found = append(found, driver.Stored{ID: id, Data: data})
	}
	return found, nil
}

// OpenStored implements [driver.Salvager].
func (b *Backend) OpenStored(ns driver.Namespace, s driver.Stored) (driver.Record, error) {
	cols, err := b.columnsOf(ns)
	if err != nil {
		return driver.Record{}, err
	}
	if err := b.data.lock(context.Background()); err != nil {
		return driver.Record{}, err
	}
	defer b.data.unlock()
	rec, err := cols.parse(s.Data)
	if err != nil {
		return driver.Record{}, &driver.RecordError{ID: s.ID, Err: fmt.Errorf("%w: %w", driver.ErrCorrupt, err)}
	}
	return cols.give(rec, driver.Info|driver.Fields|driver.Data), nil
}

// form returns the stored form of a record. The caller has the lock of writers, as for parse.
func (c *columns) form(rec *driver.Record) ([]byte, error) {
	row := []driver.NamedValue{
		{Name: driver.ColID, Value: string(rec.ID)}, {Name: driver.ColType, Value: rec.Type}, {Name: driver.ColState, Value: rec.State},
		{Name: driver.ColRevision, Value: rec.Revision}, {Name: nameSize, Value: rec.Size},
		{Name: driver.ColCreated, Value: rec.Created}, {Name: driver.ColModified, Value: rec.Modified},
		{Name: driver.ColClaimOwner, Value: rec.Claim.Owner}, {Name: driver.ColClaimUntil, Value: rec.Claim.Until},
		{Name: driver.ColClaimToken, Value: rec.Claim.Token}, {Name: driver.ColColumnSet, Value: rec.ColumnSet},
		{Name: nameData, Value: rec.Data},
	}
	for i, v := range rec.Fields {
		if v != nil && !c.table.dropped[i] {
			row = append(row, driver.NamedValue{Name: c.table.layout[i].Name, Value: v})
		}
	}
	return driver.EncodeRow(row)
}

// parse makes a record of a stored form. Columns that were dropped since are left out, also where
// there is one of the name again that has another kind.
func (c *columns) parse(data []byte) (*driver.Record, error) {
	row, err := driver.DecodeRow(data)
	if err != nil {
		return nil, err
	}
	rec := &driver.Record{Fields: make([]any, len(c.table.layout))}
	for _, col := range row {
		if err := c.restoreColumn(rec, col); err != nil {
			return nil, err
		}
	}
	return rec, nil
}

// restoreColumn gives a record the value of one column of its stored form.
func (c *columns) restoreColumn(rec *driver.Record, col driver.NamedValue) error {
	text, _ := col.Value.(string)
	n, _ := col.Value.(int64)
	at, _ := col.Value.(time.Time)
	switch col.Name {
	case driver.ColID:
		rec.ID = driver.ID(text)
	case driver.ColType:
		rec.Type = text
	case driver.ColState:
		rec.State = text
	case driver.ColRevision:
		rec.Revision = n
	case nameSize:
		rec.Size = n
	case driver.ColCreated:
		rec.Created = at
	case driver.ColModified:
		rec.Modified = at
	case driver.ColClaimOwner:
		rec.Claim.Owner = text
	case driver.ColClaimUntil:
		rec.Claim.Until = at
	case driver.ColClaimToken:
		rec.Claim.Token = n
	case driver.ColColumnSet:
		rec.ColumnSet = n
	case nameData:
		data, ok := col.Value.([]byte)
		if !ok {
			return fmt.Errorf("the data are a %T", col.Value)
		}
		rec.Data = data
	default:
		// The column may have been dropped since, and declared with another kind.
		if i := c.table.place(col.Name); i >= 0 && driver.KindOf(col.Value) == c.table.layout[i].Kind {
			rec.Fields[i] = col.Value
		}
	}
	return nil
}

// sameForm returns ErrConflict if a record has not the stored form that a mutation names.
func (c *columns) sameForm(rec *driver.Record, m *driver.Mutation) error {
	form, err := c.form(rec)
	if err == nil && !bytes.Equal(form, m.Rec.Data) {
		err = &driver.RecordError{ID: m.Rec.ID, Err: driver.ErrConflict}
	}
	return err
}

// restored returns the record whose stored form a mutation has.
func (c *columns) restored(m *driver.Mutation) (*driver.Record, error) {
	rec, err := c.parse(m.Rec.Data)
	if err == nil && rec.ID != m.Rec.ID {
		err = fmt.Errorf("the stored form is that of %q", rec.ID)
	}
	if err != nil {
		return nil, &driver.RecordError{ID: m.Rec.ID, Err: fmt.Errorf("%w: %w", driver.ErrCorrupt, err)}
	}
	return rec, nil
}
