package fs

import (
	"fmt"
	"slices"

	"github.com/brine-go/brine/persistence/driver"
)

// setFields gives the record the fields of the file that the schema knows.
func (s *schema) setFields(rec *driver.Record, fields []field) error {
	rec.Fields = make([]any, len(s.Fields))
	for _, f := range fields {
		i, ok := s.index[f.name]
		if !ok {
			continue
		}
		if k := driver.KindOf(f.value); k != s.Fields[i].Kind {
			return fmt.Errorf("field %q is %v, not %v", f.name, k, s.Fields[i].Kind)
		}
		rec.Fields[i] = f.value
	}
	return nil
}

// merge returns what to write as fields: the values given, then those of the old file
// that the schema does not know.
func (s *schema) merge(values []any, old []field) []field {
	var out []field
	for i, v := range values {
		if v != nil && i < len(s.Fields) && !slices.Contains(s.missing, s.Fields[i].Name) {
			out = append(out, field{s.names[i], v})
		}
	}
	for _, f := range old {
		if _, known := s.index[f.name]; !known {
			out = append(out, f)
		}
	}
	return out
}

// schemas are those of the namespaces that have been prepared. A map is never changed.
type schemas map[driver.Namespace]*schema

// of returns the schema of a namespace.
func (s schemas) of(ns driver.Namespace) (*schema, error) {
	if one := s[ns]; one != nil {
		return one, nil
	}
	return nil, fmt.Errorf("the namespace %q is used before InitNamespace", string(ns))
}

// A schema is what Init was given, prepared.
type schema struct {
	driver.Schema
	columns *driver.Columns
	names   []string       // of the fields, as the catalog spells them
	index   map[string]int // of the fields by these names, without the missing ones
	missing []string
	set     int64 // the number of the set of columns that this handle fills
	// unrecorded: the set is not in the catalog, for Init was not to write. The first write records
	// it.
	unrecorded bool
}

func newSchema(s driver.Schema, missing []string, catalog *driver.Catalog) *schema {
	p := &schema{Schema: s, columns: driver.NewColumns(s), index: make(map[string]int, len(s.Fields)), missing: missing}
	for i, f := range s.Fields {
		name := f.Name
		if c := catalog.Column(name); c != nil {
			name = c.Name
		}
		p.names = append(p.names, name)
		if !slices.Contains(missing, f.Name) {
			p.index[name] = i
		}
	}
	if catalog != nil {
		var found bool
		p.set, found = catalog.FindSet(driver.SetOf(p.kept()))
		p.unrecorded = !found
	}
	return p
}

// kept returns the fields without the missing ones.
func (s *schema) kept() []driver.Column {
	return slices.DeleteFunc(slices.Clone(s.Fields), func(c driver.Column) bool { return slices.Contains(s.missing, c.Name) })
}
