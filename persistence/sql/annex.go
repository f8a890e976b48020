package sql

import (
	"fmt"

	"github.com/brine-go/brine/persistence/driver"
)

// Annex implements [driver.Annexer]: the records of a name stand in the table TABLE_NAME of the same database, and
// their calls use the connections of b, which it must not outlive. Letting go of those, and of private memory, is b's affair.
func (b *Backend) Annex(name string) (driver.Backend, error) {
	table := b.options.Table + "_" + name
	if !driver.ValidName(name) || !driver.ValidName(table) {
		return nil, fmt.Errorf("%q beside table %q would be table %q: a valid name of at most 63 characters is wanted", name, b.options.Table, table)
	}
	root := b
	if b.parent != nil {
		root = b.parent
	}
	a := &Backend{
		dialect: b.dialect, traits: b.traits, options: b.options, patience: b.patience,
		parent: root, counters: root.counters,
	}
	a.options.Table = table
	return a, nil
}
