package driver

import (
	"encoding/json"
	"errors"
	"fmt"
)

// The stored form of a catalog is JSON.
type storedCatalog struct {
	Columns []storedColumn      `json:"columns"`
	Sets    map[int64]ColumnSet `json:"sets"`
	Unknown bool                `json:"unknown,omitempty"`
	Indexes []storedIndex       `json:"indexes,omitempty"`
}

type storedColumn struct {
	Name    string   `json:"name"`
	Kind    string   `json:"kind"`
	Types   []string `json:"types,omitempty"`
	Indexed bool     `json:"indexed,omitempty"`
}

type storedIndex struct {
	Columns []string `json:"columns"`
	Unique  bool     `json:"unique,omitempty"`
}

// Encode returns the form in which backends store a catalog.
func (c *Catalog) Encode() (string, error) {
	stored := storedCatalog{Sets: c.Sets, Unknown: c.Unknown}
	for _, col := range c.Columns {
		stored.Columns = append(stored.Columns, storedColumn{col.Name, col.Kind.String(), col.Types, col.Indexed})
	}
	for _, x := range c.Indexes {
		stored.Indexes = append(stored.Indexes, storedIndex(x))
	}
	b, err := json.Marshal(stored)
	return string(b), err
}

// DecodeCatalog reads what Encode returned.
func DecodeCatalog(text string) (*Catalog, error) {
	var stored storedCatalog
	if err := json.Unmarshal([]byte(text), &stored); err != nil {
		return nil, err
	}
	c := &Catalog{Sets: stored.Sets, Unknown: stored.Unknown}
	for _, col := range stored.Columns {
		kind, err := ParseKind(col.Kind)
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", col.Name, err)
		}
		if !ValidName(col.Name) {
			return nil, fmt.Errorf("%q is no name of a column", col.Name)
		}
		c.Columns = append(c.Columns, Column{Name: col.Name, Kind: kind, Types: col.Types, Indexed: col.Indexed})
	}
	for _, x := range stored.Indexes {
		if len(x.Columns) == 0 {
			return nil, errors.New("an index without columns")
		}
		for _, name := range x.Columns {
			if _, library := indexedLibraryColumns[name]; !library && c.Column(name) == nil {
				return nil, fmt.Errorf("an index of %q, which is no column", name)
			}
		}
		c.Indexes = append(c.Indexes, Index(x))
	}
	for n := range c.Sets {
		if n < 1 {
			return nil, fmt.Errorf("a set with the number %d", n)
		}
	}
	return c, nil
}

// ParseKind returns the kind of a name, as [Kind.String] gives it.
func ParseKind(name string) (Kind, error) {
	for k := Text; k <= Time; k++ {
		if k.String() == name {
			return k, nil
		}
	}
	return 0, fmt.Errorf("unknown kind %q", name)
}
