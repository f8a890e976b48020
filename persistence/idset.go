package persistence

import (
	"hash/maphash"

	"github.com/brine-go/brine/persistence/driver"
)

// An idSet is a set of IDs of bounded memory: what it has no room for it does not take in. Integers
// take a bit each where they are dense, other IDs their hash of 64 bits.
type idSet struct {
	blocks map[int64]*[idBlock / 64]uint64
	hashes map[uint64]struct{}
}

const (
	idBlock   = 1 << 16 // integers of a block, which has 8 KiB
	maxBlocks = 512
	maxHashes = 1 << 17
)

var idSeed = maphash.MakeSeed()

// add takes in an ID, and reports whether there was room.
func (s *idSet) add(id ID) bool {
	n, ok := id.Seq()
	if !ok || id.Prefix() != "" {
		if s.hashes == nil {
			s.hashes = make(map[uint64]struct{})
		}
		if len(s.hashes) >= maxHashes {
			return false
		}
		s.hashes[maphash.String(idSeed, string(id))] = struct{}{}
		return true
	}
	at, bit := n/idBlock, uint64(n%idBlock)
	block := s.blocks[at]
	if block == nil {
		if len(s.blocks) >= maxBlocks {
			return false
		}
		if s.blocks == nil {
			s.blocks = make(map[int64]*[idBlock / 64]uint64)
		}
		block = new([idBlock / 64]uint64)
		s.blocks[at] = block
	}
	block[bit/64] |= 1 << (bit % 64)
	return true
}

// has reports whether the set has an ID.
func (s *idSet) has(id ID) bool {
	n, ok := id.Seq()
	if !ok || id.Prefix() != "" {
		_, ok := s.hashes[maphash.String(idSeed, string(id))]
		return ok
	}
	block := s.blocks[n/idBlock]
	return block != nil && block[uint64(n%idBlock)/64]&(1<<(uint64(n%idBlock)%64)) != 0
}

// idSets are sets of IDs by namespace.
type idSets map[driver.Namespace]*idSet

func (s idSets) has(ns driver.Namespace, id ID) bool { return s[ns] != nil && s[ns].has(id) }

// exactIDs is a set of all the IDs that are added to it, however many. Integers take a bit each
// where they are dense, other IDs their text.
type exactIDs struct {
	blocks map[int64]*[exactBlock / 64]uint64
	others map[ID]uint8 // the sets that have an ID, by their bits
	bit    uint8        // of this set
}

// shareTexts lets empty sets, up to 8 of them, keep the text of an ID once.
func shareTexts(sets ...*exactIDs) {
	others := make(map[ID]uint8)
	for i, s := range sets {
		s.others, s.bit = others, 1<<i
	}
}

const exactBlock = 1024 // integers of a block, which has 128 bytes

// place returns the block and the bit of an integer.
func (s *exactIDs) place(id ID) (block int64, bit uint64, ok bool) {
	n, ok := id.Seq()
	if !ok || n < 0 || id.Prefix() != "" || len(id) > 1 && id[0] == '0' {
		return 0, 0, false
	}
	return n / exactBlock, uint64(n % exactBlock), true
}

// add takes in an ID, and reports whether the set did not have it.
func (s *exactIDs) add(id ID) bool {
	if s.has(id) {
		return false
	}
	at, bit, ok := s.place(id)
	if !ok {
		if s.others == nil {
			shareTexts(s)
		}
		s.others[id] |= s.bit
		return true
	}
	if s.blocks == nil {
		s.blocks = make(map[int64]*[exactBlock / 64]uint64)
	}
	if s.blocks[at] == nil {
		s.blocks[at] = new([exactBlock / 64]uint64)
	}
	s.blocks[at][bit/64] |= 1 << (bit % 64)
	return true
}

// has reports whether the set has an ID.
func (s *exactIDs) has(id ID) bool {
	at, bit, ok := s.place(id)
	if !ok {
		return s.others[id]&s.bit != 0
	}
	block := s.blocks[at]
	return block != nil && block[bit/64]&(1<<(bit%64)) != 0
}

// remove takes out an ID.
func (s *exactIDs) remove(id ID) {
	at, bit, ok := s.place(id)
	if !ok {
		if s.has(id) {
			s.others[id] &^= s.bit
		}
	} else if block := s.blocks[at]; block != nil {
		block[bit/64] &^= 1 << (bit % 64)
	}
}
