package persistence

// A createdSet is the set of the IDs that a save creates. Sequence numbers take a bit each where
// they are dense: a save may create millions.
type createdSet struct {
	blocks map[seqBlock]*seqBits
	others map[ID]struct{} // IDs without a sequence number

	last seqBlock // the block used last
	bits *seqBits // of last; nil: none was used
}

// A seqBlock names a block of sequence numbers with one prefix.
type seqBlock struct {
	prefix string
	at     int64
}

const seqsPerBlock = 512

type seqBits [seqsPerBlock / 64]uint64

// add puts id into the set.
func (s *createdSet) add(id ID) {
	n, ok := id.Seq()
	if !ok {
		if s.others == nil {
			s.others = make(map[ID]struct{})
		}
		s.others[id] = struct{}{}
		return
	}
	block := seqBlock{id.Prefix(), n / seqsPerBlock}
	bits := s.block(block)
	if bits == nil {
		if s.blocks == nil {
			s.blocks = make(map[seqBlock]*seqBits)
		}
		bits = new(seqBits)
		s.blocks[block] = bits
		s.last, s.bits = block, bits
	}
	n %= seqsPerBlock
	bits[n/64] |= 1 << (n % 64)
}

// has reports whether the set has id.
func (s *createdSet) has(id ID) bool {
	n, ok := id.Seq()
	if !ok {
		_, ok := s.others[id]
		return ok
	}
	bits := s.block(seqBlock{id.Prefix(), n / seqsPerBlock})
	n %= seqsPerBlock
	return bits != nil && bits[n/64]&(1<<(n%64)) != 0
}

// block returns the bits of a block; nil if the set has none of its numbers.
func (s *createdSet) block(b seqBlock) *seqBits {
	if s.bits != nil && s.last == b {
		return s.bits
	}
	bits := s.blocks[b]
	if bits != nil {
		s.last, s.bits = b, bits
	}
	return bits
}
