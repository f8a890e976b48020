package web

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
)

// A column is one that records can be filtered and sorted by.
type column struct {
	Name    string
	Kind    extrafields.Kind
	Types   []string
	Indexed bool
	Unique  bool
	// Complete: no record lacks a value only because the program that wrote it did not know of the
	// column.
	Complete bool
	Extra    bool // it is none of those that each store has
}

// libraryColumns are those that each store has.
var libraryColumns = []column{
	{Name: "id", Kind: extrafields.Text, Indexed: true, Complete: true},
	{Name: "type", Kind: extrafields.Text, Complete: true},
	{Name: "state", Kind: extrafields.Text, Indexed: true, Complete: true},
	{Name: "revision", Kind: extrafields.Int, Complete: true},
	{Name: "created", Kind: extrafields.Time, Complete: true},
	{Name: "modified", Kind: extrafields.Time, Complete: true},
}

// columnsAge is for how long the columns are kept: a program may declare new ones.
const columnsAge = 30 * time.Second

// A columnCache keeps the columns for a short time.
type columnCache struct {
	given []persistence.ColumnInfo // Options.Columns

	mu   sync.Mutex
	at   time.Time
	last []column
}

// get returns the columns that the store can be asked for: those that each store has, then the
// extra ones that it declares.
func (c *columnCache) get(ctx context.Context, store *persistence.Store) ([]column, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last != nil && time.Since(c.at) < columnsAge {
		return c.last, nil
	}
	infos := c.given
	if infos == nil {
		var err error
		if infos, err = store.Columns(ctx); err != nil {
			return nil, err
		}
	}
	columns := slices.Clone(libraryColumns)
	for _, i := range infos {
		// Columns lists those of other programs too, which a query of this Store may not name.
		if declared, err := declares(ctx, store, i.Name); err != nil {
			return nil, err
		} else if !declared {
			continue
		}
		columns = append(columns, column{
			Name: i.Name, Kind: i.Kind, Types: i.Types, Indexed: i.Indexed, Unique: i.Unique, Complete: i.Complete, Extra: true,
		})
	}
	c.last, c.at = columns, time.Now()
	return columns, nil
}

// declares reports whether the store declares an extra column. It asks with a query that no record
// matches.
func declares(ctx context.Context, store *persistence.Store, name string) (bool, error) {
	q := &persistence.Query{Where: []persistence.Cond{persistence.NotNull(name), persistence.Or()}, Limit: 1}
	for _, err := range store.List(ctx, q) {
		if err != nil && isQueryError(err) {
			return false, nil
		}
		if err != nil && !concernsOneRecord(err) {
			return false, err
		}
	}
	return true, nil
}

// extra returns the columns that not every store has.
func extra(columns []column) []column {
	return slices.DeleteFunc(slices.Clone(columns), func(c column) bool { return !c.Extra })
}

// find returns the column of a name, or nil.
func find(columns []column, name string) *column {
	for i := range columns {
		if columns[i].Name == name {
			return &columns[i]
		}
	}
	return nil
}
