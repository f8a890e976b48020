package codec

import (
	"slices"
	"strings"

	"github.com/brine-go/brine/persistence/driver"
)

// ids collects the IDs of references.
type ids struct {
	list     []driver.ID
	unsorted bool
}

func (s *ids) reset() {
	s.list, s.unsorted = s.list[:0], false
}

func (s *ids) add(id driver.ID) {
	if n := len(s.list); n > 0 {
		switch c := strings.Compare(string(s.list[n-1]), string(id)); {
		case c == 0:
			return
		case c > 0:
			s.unsorted = true
		}
	}
	s.list = append(s.list, id)
}

// sort makes the list sorted and distinct.
func (s *ids) sort(sorter *idSorter) {
	if s.unsorted {
		sorter.sort(s.list)
		s.list = slices.Compact(s.list)
	}
}

func (s *ids) append(b []byte) []byte {
	b = appendArrayLen(b, len(s.list))
	for _, id := range s.list {
		b = appendStr(b, string(id))
	}
	return b
}

// idBlock is how many bytes of IDs share one allocation: enough to make thousands of IDs cheap,
// little enough that one ID kept does not hold the others of a large record in memory.
const idBlock = 1024

// ids reads an array of IDs, sorted and distinct.
func (r *headReader) ids() []driver.ID {
	t := readToken(r.b[r.pos:])
	if r.bad || t.fam != famArray || t.head != arrayHead(t.n) || t.n > uint64(len(r.b)-r.pos)/2 {
		r.bad = true
		return nil
	}
	r.pos += t.head
	if t.n == 0 {
		return nil
	}
	start := r.pos
	var last []byte
	for range t.n {
		id := r.str(driver.MaxIDLen)
		if r.bad || len(id) == 0 || string(id) <= string(last) {
			r.bad = true
			return nil
		}
		last = id
	}
	// All are there: now they may take memory.
	list := make([]driver.ID, 0, t.n)
	block, from, end := "", start, r.pos
	for r.pos = start; r.pos < end; {
		pos := r.pos
		id := r.str(driver.MaxIDLen)
		if r.pos > from+len(block) {
			from = pos
			to := min(end, pos+idBlock)
			block = string(r.b[from:max(to, r.pos)])
		}
		list = append(list, driver.ID(block[r.pos-len(id)-from:r.pos-from]))
	}
	return list
}
