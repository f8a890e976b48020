package exportfile

import (
	"errors"
	"fmt"
	"strings"

	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence/driver"
)

// errTwice is the error of a line whose record or pair has come before.
var errTwice = errors.New("it is of a record or pair that an earlier line has already")

// check returns an error if a line, whose checksum is right, is not one that a Writer writes: a
// store would not take it, or would take it for something else.
func (l *line) check(h *header, columns []driver.Column) error {
	if l.Key == "" {
		if err := idfactory.Validate(l.ID, h.IDs == integerIDs); err != nil {
			return err
		}
	}
	if l.Revision < 0 {
		return fmt.Errorf("its revision is %d", l.Revision)
	}
	if _, known := h.Sets[l.Set]; l.Set != 0 && !known {
		return fmt.Errorf("its set of columns %d is not among those of the first line", l.Set)
	}
	all := make([]int, len(columns))
	for i := range all {
		all[i] = i
	}
	_, err := l.record(columns, all, len(columns))
	return err
}

// An arrival finds records and pairs that a file has twice. Those of an export come in the order of
// their IDs, so that each is compared with the one before it. Where they do not, as in an export of
// roots, all IDs since then are kept.
type arrival struct {
	last      entry
	unordered bool
	seen      map[entry]struct{} // nil: they are in order
}

// add returns an error if a record or pair has come before.
func (a *arrival) add(e entry, integers bool) error {
	order := strings.Compare(string(a.last.id), string(e.id))
	if integers && e.ns == driver.Objects {
		order = idfactory.Compare(a.last.id, e.id)
	}
	if a.last.ns == e.ns && a.last.id != "" {
		if order == 0 {
			return errTwice
		}
		a.unordered = a.unordered || order > 0
	}
	if a.unordered && a.seen == nil {
		a.keep()
		a.seen[a.last] = struct{}{}
	}
	a.last = e
	if a.seen == nil {
		return nil
	}
	if _, twice := a.seen[e]; twice {
		return errTwice
	}
	a.seen[e] = struct{}{}
	return nil
}

// keep keeps all IDs from now on.
func (a *arrival) keep() { a.seen = make(map[entry]struct{}) }

// entry returns what a line is of.
func (l *line) entry() entry {
	if l.Key != "" {
		return entry{driver.Pairs, driver.ID(l.Key)}
	}
	return entry{driver.Objects, l.ID}
}
