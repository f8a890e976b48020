package persistence

import (
	"errors"

	"github.com/brine-go/brine/persistence/driver"
)

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
