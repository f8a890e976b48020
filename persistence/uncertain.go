package persistence

import (
	"context"
	"fmt"

	"github.com/brine-go/brine/persistence/driver"
)

// An attempt records what a save of uncertain outcome tried to write.
type attempt struct {
	id      ID
	created bool // with an ID that no other save can have made
	digest  digest
	refs    []ID
}

// remember records what an uncertain save tried to write of an object. unique says that the
// store never makes an ID twice.
func (c *conn) remember(it *item, unique bool) {
	if it.ident == nil {
		return
	}
	it.ident.mu.Lock()
	defer it.ident.mu.Unlock()
	c.entry(it.ident).tried = &attempt{
		id: it.id, created: unique && it.made && it.op == driver.Create, digest: it.digest, refs: it.refs}
}

// resolveUncertain finds out whether uncertain saves succeeded: it reads their records, and
// equal bytes mean success. It returns the items whose saves succeeded.
func (c *conn) resolveUncertain(ctx context.Context, items []*item) (committed []*item, err error) {
	ids := make([]ID, 0, len(items))
	tried := make([]*attempt, len(items))
	for i, it := range items {
		it.ident.mu.Lock()
		tried[i] = c.entry(it.ident).tried
		it.ident.mu.Unlock()
		if tried[i] != nil {
			ids = append(ids, tried[i].id)
		}
	}
	found := make(map[ID]driver.Record, len(ids))
	err = c.readOnce(ctx, func(r driver.Reader) error {
		recs, err := r.Get(ctx, ids, loadParts)
		for _, rec := range recs {
			found[rec.ID] = rec
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("finding out how the last save ended: %w", err)
	}
	var scratch []byte
	for i, it := range items {
		if tried[i] == nil {
			continue
		}
		rec, there := found[tried[i].id]
		var d digest
		if there {
			d, scratch = digestOf(scratch, rec.State, rec.Fields, rec.Data)
		}
		it.ident.mu.Lock()
		b := c.entry(it.ident)
		if b.tried == tried[i] {
			switch {
			case there && d == b.tried.digest:
				c.learnLocked(it.ident, rec.ID, rec.Revision, d, b.tried.refs)
				committed = append(committed, it)
			case there && b.tried.created: // this save created it, and someone has changed it since
				c.learnLocked(it.ident, rec.ID, min(rec.Revision, 1), b.tried.digest, b.tried.refs)
			default:
				b.tried = nil
			}
		}
		it.ident.mu.Unlock()
	}
	return committed, nil
}
