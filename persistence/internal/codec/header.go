package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"sync/atomic"

	"github.com/brine-go/brine/persistence/driver"
)

// headStart begins every record: an array of eight and the marker. The version of the format
// follows.
const headStart = "\x98\xa5brine"

// Versions of the format. A record has the first that has all that is in it.
const (
	versionFirst  = 1
	versionZones  = 2 // times with the names of their locations
	versionNewest = versionZones
)

// sumLen is the length of the checksum that ends every record.
const sumLen = 5

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Header is what a record has before its body. It refers to the bytes it was parsed from.
type Header struct {
	Type        string
	Version     int // of the record; 0 for types without versions
	Eager, Lazy []driver.ID
	body        []byte
	format      byte // version of the format
}

// Parse checks size, checksum and header of a record. What is wrong with it is driver.ErrCorrupt,
// or driver.ErrTooLarge where it is over lim.MaxBytes. It does not look into the body, to which
// the Header refers: data must not change while the Header is used.
func (c *Codec) Parse(data []byte, lim Limits) (Header, error) {
	if size, limit := int64(len(data)), min(lim.MaxBytes, maxRecord); size > limit {
		return Header{}, fmt.Errorf("record of %d bytes is over the limit of %d: %w", size, limit, driver.ErrTooLarge)
	}
	corrupt := func(what string) (Header, error) {
		return Header{}, fmt.Errorf("%s: %w", what, driver.ErrCorrupt)
	}
	end := len(data) - sumLen
	if !hasMark(data) {
		if kind := looksLike(data); kind != "" {
			return corrupt("not a record of Brine: it looks like " + kind)
		}
	}
	if end < len(headStart) {
		return corrupt("too short for a record")
	}
	if data[end] != codeUint32 || binary.BigEndian.Uint32(data[end+1:]) != crc32.Checksum(data[:end], castagnoli) {
		return corrupt("checksum does not match")
	}
	// The array of another version may have another length.
	if data[0]&0xf0 != codeFixArray || string(data[1:len(headStart)]) != headStart[1:] {
		return corrupt("not a record of this kind")
	}
	r := headReader{b: data[:end], pos: len(headStart)}
	format := r.number(math.MaxUint64)
	switch {
	case r.bad || format < versionFirst:
		return corrupt("version of the format is malformed")
	case format > versionNewest:
		return Header{}, fmt.Errorf("record format version %d is newer than %d, the newest that this program reads: %w", format, versionNewest, errors.ErrUnsupported)
	case data[0] != headStart[0]:
		return corrupt("not a record of this kind")
	}
	h := r.header(byte(format), &c.lately)
	if r.bad || h.Type == "" || r.pos >= end {
		return corrupt("header is malformed")
	}
	h.body = data[r.pos:end]
	return h, nil
}

// ParseHead reads the header of a record of which data is the beginning. It verifies no checksum,
// and the Header refers to no bytes and has no body. ok is false where the header is longer than
// data, or is none that Parse would accept.
func (c *Codec) ParseHead(data []byte) (h Header, ok bool) {
	if len(data) <= len(headStart) || string(data[:len(headStart)]) != headStart {
		return Header{}, false
	}
	r := headReader{b: data, pos: len(headStart)}
	format := r.number(math.MaxUint64)
	if r.bad || format < versionFirst || format > versionNewest {
		return Header{}, false
	}
	h = r.header(byte(format), &c.lately)
	return h, !r.bad && h.Type != ""
}

// header reads what follows the version of the format.
func (r *headReader) header(format byte, names *typeNames) Header {
	h := Header{format: format, Type: names.name(r.str(math.MaxUint16))}
	h.Version = int(r.number(math.MaxInt32))
	h.Eager = r.ids()
	h.Lazy = r.ids()
	return h
}

// typeNames are names of types that records had. A few are remembered, so that the headers of a
// program's records share them; it does not matter which.
type typeNames [64]atomic.Pointer[string]

func (n *typeNames) name(b []byte) string {
	if len(b) == 0 || len(b) > maxNameLen {
		return string(b)
	}
	slot := &n[(len(b)+7*int(b[0])+31*int(b[len(b)-1]))%len(n)]
	switch known := slot.Load(); {
	case known == nil:
		name := string(b)
		slot.Store(&name)
		return name
	case *known == string(b):
		return *known
	}
	return string(b)
}

// headReader reads the canonical values of a header.
type headReader struct {
	b   []byte
	pos int
	bad bool
}

// str reads a string of at most limit bytes, which is 31 or more, and returns it where it lies.
func (r *headReader) str(limit uint64) []byte {
	if b := r.b[r.pos:]; len(b) > 0 {
		if n := int(b[0]) - codeFixStr; 0 <= n && n < min(32, len(b)) {
			r.pos += 1 + n
			return b[1 : 1+n]
		}
	}
	t := readToken(r.b[r.pos:])
	if t.fam != famStr || t.n > limit || t.n > uint64(len(r.b)-r.pos-t.head) || t.head != strHead(t.n) {
		r.bad = true
		return nil
	}
	start := r.pos + t.head
	r.pos = start + int(t.n)
	return r.b[start:r.pos]
}

// number reads an integer from 0 to limit, which is 127 or more.
func (r *headReader) number(limit uint64) uint64 {
	if r.pos < len(r.b) && r.b[r.pos] < codeFixMap { // a number of one byte, as versions are
		r.pos++
		return uint64(r.b[r.pos-1])
	}
	t := readToken(r.b[r.pos:])
	var canonical [9]byte
	if t.fam != famInt || t.neg || t.n > limit || t.code != appendUint(canonical[:0], t.n)[0] {
		r.bad = true
		return 0
	}
	r.pos += t.head
	return t.n
}

// strHead is the length of the shortest head of a string of n bytes.
func strHead(n uint64) int {
	switch {
	case n < 32:
		return 1
	case n <= math.MaxUint8:
		return 2
	case n <= math.MaxUint16:
		return 3
	}
	return 5
}

// arrayHead is the length of the shortest head of an array of n.
func arrayHead(n uint64) int {
	switch {
	case n < 16:
		return 1
	case n <= math.MaxUint16:
		return 3
	}
	return 5
}
