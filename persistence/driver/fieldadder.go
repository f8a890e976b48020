package driver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// A FieldAdder is a [Cataloger] that can read and write its objects with other extra columns than
// those of its Schema: those that other programs have recorded, and new ones.
type FieldAdder interface {
	// ObjectsWith returns a namespace whose records are the objects, with the extra columns fields
	// in place of those of Schema.Fields. It is for this Backend, in Readers and in mutations with
	// the Op Import, and it is called after Init.
	//
	// With create, columns that the data lack are added and recorded, as by Init, but no set of
	// them: see [Cataloger]. Without it, or if the Backend may create nothing, they are read as
	// NULL and writes leave them out. A field of another kind than that of the column that is
	// recorded is an error, and nothing is added then.
	ObjectsWith(ctx context.Context, fields []Column, create bool) (Namespace, error)
}

// ObjectsWith calls b.ObjectsWith. It returns errors.ErrUnsupported if b is no [FieldAdder].
func ObjectsWith(ctx context.Context, b Backend, fields []Column, create bool) (Namespace, error) {
	f, ok := b.(FieldAdder)
	if !ok {
		return "", fmt.Errorf("columns of other programs in this backend: %w", errors.ErrUnsupported)
	}
	return f.ObjectsWith(ctx, fields, create)
}

// aliasPrefix begins the names of namespaces that ObjectsWith returns; no other name has it.
const aliasPrefix = "*"

// Alias returns the name that a [FieldAdder] gives to the objects with other columns: one for each
// list of columns.
func Alias(fields []Column) Namespace {
	text, err := json.Marshal(fields)
	if err != nil {
		panic(err) // a Column is text, numbers and flags
	}
	sum := sha256.Sum256(text)
	return Namespace(aliasPrefix + hex.EncodeToString(sum[:8]))
}

// Storage returns the namespace that has the records of ns: it is [Objects] for a name that
// [Alias] returned, else ns itself.
func (ns Namespace) Storage() Namespace {
	if strings.HasPrefix(string(ns), aliasPrefix) {
		return Objects
	}
	return ns
}

// DeclareColumns records the columns of a writer without the set of them, and reports whether that
// changed c. See Check for the error.
func (c *Catalog) DeclareColumns(fields []Column) (changed bool, err error) {
	if err := c.Check(fields); err != nil {
		return false, err
	}
	for _, f := range fields {
		f.Types, f.InIndex, f.Unique = sortedTypes(f.Types), false, false
		was := c.Column(f.Name)
		if was == nil {
			c.Columns, changed = append(c.Columns, f), true
			continue
		}
		if f.Indexed && !was.Indexed {
			was.Indexed, changed = true, true
		}
	}
	return changed, nil
}
