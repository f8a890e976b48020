package persistence

import (
	"context"
	"errors"
	"fmt"

	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence/driver"
)

// newID makes an ID for an object that has none and makes it the object's pending ID, which
// every other save that reaches the object meanwhile uses too.
func (c *conn) newID(ctx context.Context, it *item) (ID, error) {
	id, err := c.s.ids.NewID(ctx, it.obj, c.s.numbers.give)
	if err != nil {
		return "", err
	}
	if err := idfactory.Validate(id, c.s.ids.Integral()); err != nil {
		return "", fmt.Errorf("the ID factory made %q for %T: %w: %w", id, it.obj, ErrInvalidID, err)
	}
	if it.ident == nil {
		return id, nil
	}
	it.ident.mu.Lock()
	defer it.ident.mu.Unlock()
	b := c.entry(it.ident)
	if b.id != "" || b.tried != nil {
		return "", errAgain // another save was faster
	}
	if b.pending == "" {
		b.pending = id
	}
	return b.pending, nil
}

// renew gives another ID to each new object whose ID turned out to be taken, and reports
// whether it could. It first discards skip numbers of the counter, because the next ones may be
// taken too.
func (sv *saver) renew(cause error, skip int) (bool, error) {
	re, ok := errors.AsType[*driver.RecordError](cause)
	if !ok || !sv.s.ids.Unique() {
		return false, nil
	}
	var made []ID
	items := make(map[ID]*item)
	for _, it := range sv.items {
		if it.made && it.op == driver.Create {
			made = append(made, it.id)
			items[it.id] = it
		}
	}
	if items[re.ID] == nil {
		return false, nil
	}
	err := sv.c.readOnce(sv.ctx, func(r driver.Reader) error {
		recs, err := r.Get(sv.ctx, made, 0)
		for _, rec := range recs {
			sv.c.forgetPending(items[rec.ID])
		}
		return err
	})
	if err != nil {
		return false, err
	}
	sv.c.forgetPending(items[re.ID])
	return true, sv.s.numbers.skip(sv.ctx, skip)
}

// forgetPending makes the object's next save take a new ID.
func (c *conn) forgetPending(it *item) {
	if it.ident == nil {
		return
	}
	it.ident.mu.Lock()
	defer it.ident.mu.Unlock()
	if b := c.entry(it.ident); b.pending == it.id && b.writer == nil {
		b.pending = ""
	}
}
