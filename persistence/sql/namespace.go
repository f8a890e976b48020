package sql

import (
	"context"
	"fmt"
	"hash/crc32"
	"maps"

	"github.com/brine-go/brine/persistence/driver"
)

var (
	_ driver.Namespacer      = (*Backend)(nil)
	_ driver.NamespaceReader = (*reader)(nil)
)

// tables are the tables of the namespaces that have been prepared. A value does not change.
type tables struct {
	objects *layout // nil: before Init
	others  map[driver.Namespace]*layout
}

// of returns the table of a namespace; nil: it has not been prepared.
func (ts *tables) of(ns driver.Namespace) *layout {
	if ns == driver.Objects {
		return ts.objects
	}
	return ts.others[ns]
}

// with returns the tables with one more.
func (ts *tables) with(ns driver.Namespace, l *layout) *tables {
	more := *ts
	if ns == driver.Objects {
		more.objects = l
		return &more
	}
	if more.others = maps.Clone(ts.others); more.others == nil {
		more.others = map[driver.Namespace]*layout{}
	}
	more.others[ns] = l
	return &more
}

// InitNamespace implements [driver.Namespacer]. The records of the namespace ns beside those of the
// table t are in the table t_ns of the same database.
func (b *Backend) InitNamespace(ctx context.Context, ns driver.Namespace, s driver.Schema) error {
	table := namespaceTable(b.options.Table, ns)
	if !driver.ValidName(string(ns)) || !driver.ValidName(table) {
		return fmt.Errorf("%q beside table %q would be table %q: a valid name of at most 63 characters is wanted",
			string(ns), b.options.Table, table)
	}
	_, err := b.init(ctx, ns, table, s)
	return err
}

// keptTable is how much of the name of a long one remains in the name of a table beside it.
const keptTable = 50

// namespaceTable returns the name of the table of a namespace beside a table. Where it would be too
// long it is cut, with a checksum.
func namespaceTable(table string, ns driver.Namespace) string {
	name := table + "_" + string(ns)
	if driver.ValidName(name) {
		return name
	}
	return fmt.Sprintf("%s_%s_%08x", table[:min(len(table), keptTable)], string(ns), crc32.ChecksumIEEE([]byte(name)))
}

// InNamespace implements [driver.NamespaceReader].
func (r *reader) InNamespace(ns driver.Namespace) (driver.Reader, error) {
	l := r.tables.of(ns)
	if l == nil {
		return nil, fmt.Errorf("%s: the namespace %q is used before InitNamespace", r.b.dialect.Location(), string(ns))
	}
	return &reader{session: r.session, l: l}, nil
}
