package codec

import "unsafe"

// seen remembers the pointers and maps that an encoder has come to in one record, in order. Few are
// found by a plain search; a hash index is built only when there are more.
type seen struct {
	list  []seenPtr
	index []int32 // open addressing: 1 + position in list, 0 is free; length 0 or a power of two
	spare []int32 // memory for index
}

// seenPtr is a pointer or map that was encoded. It keeps the target alive, so that the address of
// something temporary is not taken for the same thing again.
type seenPtr struct {
	ptr unsafe.Pointer
	id  ident
	off uint32
}

const fewSeen = 8

func (m *seenPtr) hash() uint64 {
	h := uint64(uintptr(m.ptr)) * 0x9e3779b97f4a7c15
	h ^= uint64(uintptr(unsafe.Pointer(m.id))) * 0xc2b2ae3d27d4eb4f
	return h ^ h>>29
}

// find returns the offset at which ptr was encoded.
func (s *seen) find(ptr unsafe.Pointer, id ident) (uint32, bool) {
	if len(s.index) == 0 {
		for i := range s.list {
			if m := &s.list[i]; m.ptr == ptr && m.id == id {
				return m.off, true
			}
		}
		return 0, false
	}
	probe := seenPtr{ptr: ptr, id: id}
	mask := uint64(len(s.index) - 1)
	for h := probe.hash() & mask; s.index[h] != 0; h = (h + 1) & mask {
		if m := &s.list[s.index[h]-1]; m.ptr == ptr && m.id == id {
			return m.off, true
		}
	}
	return 0, false
}

// add remembers ptr, which find does not know.
func (s *seen) add(ptr unsafe.Pointer, id ident, off uint32) {
	s.list = append(s.list, seenPtr{ptr, id, off})
	switch n := len(s.list); {
	case n <= fewSeen && len(s.index) == 0:
	case 2*n > len(s.index):
		s.grow(4 * n)
	default:
		s.insert(n - 1)
	}
}

// grow builds the index anew with room for at least n.
func (s *seen) grow(n int) {
	size := 64
	for size < n {
		size *= 2
	}
	if cap(s.spare) < size {
		s.spare = make([]int32, size)
	}
	s.index = s.spare[:size]
	clear(s.index)
	for i := range s.list {
		s.insert(i)
	}
}

func (s *seen) insert(i int) {
	mask := uint64(len(s.index) - 1)
	h := s.list[i].hash() & mask
	for s.index[h] != 0 {
		h = (h + 1) & mask
	}
	s.index[h] = int32(i + 1)
}

// rollback forgets all but the first n.
func (s *seen) rollback(n int) {
	if len(s.index) > 0 {
		mask := uint64(len(s.index) - 1)
		// The one added last can be taken out without a gap in the way to any other.
		for i := len(s.list); i > n; i-- {
			h := s.list[i-1].hash() & mask
			for s.index[h] != int32(i) {
				h = (h + 1) & mask
			}
			s.index[h] = 0
		}
	}
	clear(s.list[n:])
	s.list = s.list[:n]
}

// reset forgets all. Memory for a great many is given back.
func (s *seen) reset() {
	clear(s.list)
	s.list, s.index = s.list[:0], nil
	if cap(s.list) > 1<<16 {
		s.list, s.spare = nil, nil
	}
}
