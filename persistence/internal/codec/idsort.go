package codec

import (
	"encoding/binary"
	"slices"

	"github.com/brine-go/brine/persistence/driver"
)

// radixFrom is the length from which a list of IDs is sorted by radix.
const radixFrom = 128

// A keyedID is an ID with its first eight bytes, zeros behind them, as a number of the same order.
type keyedID struct {
	key uint64
	id  driver.ID
}

// sortIDs sorts IDs by their bytes. An object of ten thousand references is sorted at each save, and
// IDs of one store differ in few of their bytes: a pass over each of those beats comparing strings.
func sortIDs(ids []driver.ID) {
	if len(ids) < radixFrom {
		slices.Sort(ids)
		return
	}
	from, to := make([]keyedID, len(ids)), make([]keyedID, len(ids))
	var differ uint64
	for i, id := range ids {
		var first [8]byte
		copy(first[:], id)
		from[i] = keyedID{binary.BigEndian.Uint64(first[:]), id}
		differ |= from[i].key ^ from[0].key
	}
	for shift := 0; shift < 64; shift += 8 {
		if byte(differ>>shift) == 0 {
			continue
		}
		var at [256]int
		for i := range from {
			at[byte(from[i].key>>shift)]++
		}
		sum := 0
		for b, n := range at {
			at[b], sum = sum, sum+n
		}
		for i := range from {
			b := byte(from[i].key >> shift)
			to[at[b]] = from[i]
			at[b]++
		}
		from, to = to, from
	}
	for start := 0; start < len(from); {
		end := start
		for ; end < len(from) && from[end].key == from[start].key; end++ {
			ids[end] = from[end].id
		}
		if end-start > 1 {
			slices.Sort(ids[start:end])
		}
		start = end
	}
}
