package persistence

import (
	"context"
	"slices"
	"time"

	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence/driver"
)

// An Info is what a store knows of a record without its data.
type Info struct {
	ID       ID
	Type     string // the registered or default name of the type
	State    string
	Revision int64     // increases with each write
	Size     int64     // of the data, in bytes
	Created  time.Time // UTC, microseconds
	Modified time.Time // UTC, microseconds
	// Fields are the values of the extra columns by name: string, int64, float64, bool, []byte or
	// time.Time (UTC, microseconds); nil for NULL. The columns of claims are included only if
	// [Store.StatAll] names them.
	Fields map[string]any
}

// Stat returns what the store knows of a record. It never reads the data. It returns
// ErrNotFound if the record does not exist. In a table that Brine did not create, a field
// without a column is zero.
func (c *conn) Stat(ctx context.Context, id ID) (Info, error) {
	if idfactory.Validate(id, c.s.ids.Integral()) != nil {
		return Info{}, c.s.fail("stat", id, ErrNotFound)
	}
	var recs []driver.Record
	err := c.readOnce(ctx, func(r driver.Reader) error {
		var err error
		recs, err = r.Get(ctx, []ID{id}, driver.Info|driver.Fields)
		return err
	})
	if err == nil && len(recs) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Info{}, c.s.fail("stat", id, err)
	}
	return c.s.info(&recs[0]), nil
}

func (s *Store) info(rec *driver.Record) Info {
	info := Info{ID: rec.ID, Type: rec.Type, State: rec.State, Revision: rec.Revision,
		Size: rec.Size, Created: rec.Created, Modified: rec.Modified, Fields: make(map[string]any, len(s.extras))}
	for i, f := range s.extras {
		if name := f.Column().Name; i < len(rec.Fields) && !slices.Contains(s.missing, name) {
			info.Fields[name] = rec.Fields[i]
		}
	}
	return info
}

// infoOf returns an Info with the named columns only.
func (s *Store) infoOf(rec *driver.Record, columns []string) Info {
	info := Info{ID: rec.ID}
	for _, name := range columns {
		switch name {
		case driver.ColID:
		case driver.ColType:
			info.Type = rec.Type
		case driver.ColState:
			info.State = rec.State
		case driver.ColRevision:
			info.Revision = rec.Revision
		case driver.ColCreated:
			info.Created = rec.Created
		case driver.ColModified:
			info.Modified = rec.Modified
		default:
			if info.Fields == nil {
				info.Fields = make(map[string]any, len(columns))
			}
			info.Fields[name] = s.values.Value(rec, name)
		}
	}
	return info
}
