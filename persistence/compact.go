package persistence

import (
	"context"
	"errors"
	"fmt"

	"github.com/brine-go/brine/persistence/driver"
)

// Compact gives space back that removed records have left, and no record changes. On SQLite it is
// VACUUM, which needs room for the whole database once more, and the log is written back. On
// PostgreSQL it is VACUUM, which leaves most of the space to the table, with ANALYZE: after a great
// change a server plans badly until it has taken statistics, a minute later by itself. On MySQL and
// MariaDB it is OPTIMIZE TABLE. Of a directory it removes what crashed writers have left. Others
// may have to wait meanwhile. If the backend has nothing of the kind, the error is
// errors.ErrUnsupported.
func (s *Store) Compact(ctx context.Context) error {
	if err := s.mayWrite("compact", ""); err != nil {
		return err
	}
	err := s.write(ctx, func(b driver.Backend) error {
		c, ok := b.(driver.Compacter)
		if !ok {
			return fmt.Errorf("compacting in this backend: %w", errors.ErrUnsupported)
		}
		return c.Compact(ctx)
	})
	return s.fail("compact", "", err)
}
