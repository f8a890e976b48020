package sql

import "context"

const (
	bulkBytes   = 1 << 20 // of data, from which on a batch is large
	bulkSingles = 64      // batches that are not, after which large ones are over
)

// tune readies the connection of the writer for a batch: what suits large batches does not suit
// single records.
func (c *conn) tune(ctx context.Context, t *batch) error {
	if c.traits.BulkWrites == "" {
		return nil
	}
	large := (len(t.ms) > 1 || c.bulk) && t.bytes() >= bulkBytes
	switch {
	case large && !c.bulk:
		c.bulk = true
		_, err := c.exec(c.short(ctx), c.traits.BulkWrites)
		return err
	case large:
		c.singles = 0
	case c.bulk:
		if c.singles++; c.singles >= bulkSingles {
			c.bulk, c.singles = false, 0
			_, err := c.exec(c.short(ctx), c.traits.SingleWrites)
			return err
		}
	}
	return nil
}
