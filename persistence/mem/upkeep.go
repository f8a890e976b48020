package mem

import (
	"context"

	"github.com/brine-go/brine/persistence/driver"
)

var (
	_ driver.Lister    = (*Backend)(nil)
	_ driver.Compacter = (*Backend)(nil)
)

// Stores implements [driver.Lister]: a new opening has no data.
func (b *Backend) Stores(context.Context) ([]string, error) { return nil, nil }

// Compact implements [driver.Compacter]: the collector has done it.
func (b *Backend) Compact(ctx context.Context) error {
	if _, err := b.writable(ctx); err != nil {
		return err
	}
	b.calls.Done()
	return nil
}
