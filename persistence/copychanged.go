package persistence

import (
	"fmt"
	"slices"
	"strings"

	"github.com/brine-go/brine/persistence/driver"
)

// countChanged counts what was written and removed in src since Copy began.
func (cp *copying) countChanged() error {
	if !slices.Contains(cp.src.missing, driver.ColModified) {
		of := func(id ID) bool {
			_, is := cp.reached[id]
			return cp.reached == nil || is
		}
		gone, err := cp.changedIn(&cp.src.conn, cp.query.Where, of, cp.had)
		if err == nil && cp.reached != nil {
			gone, err = cp.reachedAndGone()
		}
		if err != nil {
			return err
		}
		cp.report.Changed += gone
	}
	pairs := &cp.src.kv.c
	if cp.o.NoPairs || !pairs.prepared.Load() {
		return nil
	}
	gone, err := cp.changedIn(pairs, nil, func(ID) bool { return true }, cp.hadPairs)
	cp.report.Changed += gone
	return err
}

// changedIn adds to the report how many records of a namespace were written since Copy began, of
// those that it copies. It returns how many records are gone: had is how many there were.
func (cp *copying) changedIn(c *conn, where []driver.Cond, copies func(ID) bool, had int64) (gone int64, err error) {
	since := driver.Cond{Column: driver.ColModified, Op: driver.Ge, Values: []any{cp.begun}}
	q := &driver.Query{
		Where: slices.Concat(where, []driver.Cond{since}),
		Parts: driver.Info, Columns: []string{driver.ColCreated},
	}
	var written, made, have int64
	err = c.view(cp.ctx, func(r driver.Reader) error {
		written, made = 0, 0
		page := &recordPage{}
		p := c.newPager(q, infoPage, page, nil)
		p.in = r
		for more := true; more; {
			if more, err = p.read(cp.ctx); err != nil {
				return err
			}
			for i := range page.recs {
				if copies(page.recs[i].ID) {
					written++
				}
				if !page.recs[i].Created.Before(cp.begun) {
					made++
				}
			}
		}
		if have, err = r.Count(cp.ctx, &driver.Query{Where: where}); err != nil && concernsOneRecord(err) {
			err = nil
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	cp.report.Changed += written
	return max(0, had+made-have), nil
}

// reachedAndGone returns how many of the records reached from the roots have been removed.
func (cp *copying) reachedAndGone() (gone int64, err error) {
	var ids []ID
	for id, was := range cp.reached {
		if was {
			ids = append(ids, id)
		}
	}
	for some := range slices.Chunk(ids, infoPage) {
		recs, bad, err := getEach(cp.ctx, &cp.src.conn, nil, some, 0)
		if err != nil {
			return 0, err
		}
		gone += int64(len(some) - len(recs) - len(bad))
	}
	return gone, nil
}

// maxUnreadable is how many of the records that could not be read the error names.
const maxUnreadable = 10

// unreadable returns the error that names the records that could not be read.
func (cp *copying) unreadable() error {
	var names []string
	for _, err := range cp.failed {
		if id := recordOf(err); id != "" {
			names = append(names, fmt.Sprintf("%q", id))
		}
	}
	more := ""
	if cp.report.Failed > int64(len(names)) {
		more = " …"
	}
	return fmt.Errorf("%d could not be read and were not copied, %s%s, the first: %w",
		cp.report.Failed, strings.Join(names, ", "), more, cp.failed[0])
}
