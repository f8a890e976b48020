package codec

import (
	"encoding/binary"
	"math"
)

// msgpack codes.
const (
	codeFixMap   = 0x80
	codeFixArray = 0x90
	codeFixStr   = 0xa0
	codeNil      = 0xc0
	codeFalse    = 0xc2
	codeTrue     = 0xc3
	codeBin8     = 0xc4
	codeBin16    = 0xc5
	codeBin32    = 0xc6
	codeExt8     = 0xc7
	codeExt16    = 0xc8
	codeExt32    = 0xc9
	codeFloat32  = 0xca
	codeFloat64  = 0xcb
	codeUint8    = 0xcc
	codeUint16   = 0xcd
	codeUint32   = 0xce
	codeUint64   = 0xcf
	codeInt8     = 0xd0
	codeInt16    = 0xd1
	codeInt32    = 0xd2
	codeInt64    = 0xd3
	codeFixExt1  = 0xd4
	codeFixExt4  = 0xd6
	codeFixExt8  = 0xd7
	codeFixExt16 = 0xd8
	codeStr8     = 0xd9
	codeStr16    = 0xda
	codeStr32    = 0xdb
	codeArray16  = 0xdc
	codeArray32  = 0xdd
	codeMap16    = 0xde
	codeMap32    = 0xdf
	codeNegFix   = 0xe0
)

// Extension types of the body.
const (
	extEager   = 1    // payload: the ID referred to by a pointer
	extLazy    = 2    // payload: the ID referred to by a lazy reference
	extBackref = 3    // payload: uint32, offset in the body of a pointer or map encoded before
	extTime    = 0xff // msgpack's own timestamp, type -1
)

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, codeTrue)
	}
	return append(b, codeFalse)
}

func appendUint(b []byte, n uint64) []byte {
	switch {
	case n <= math.MaxInt8:
		return append(b, byte(n))
	case n <= math.MaxUint8:
		return append(b, codeUint8, byte(n))
	case n <= math.MaxUint16:
		return append(b, codeUint16, byte(n>>8), byte(n))
	case n <= math.MaxUint32:
		return append(b, codeUint32, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return binary.BigEndian.AppendUint64(append(b, codeUint64), n)
}

func appendInt(b []byte, n int64) []byte {
	switch {
	case n >= 0:
		return appendUint(b, uint64(n))
	case n >= -32:
		return append(b, byte(n))
	case n >= math.MinInt8:
		return append(b, codeInt8, byte(n))
	case n >= math.MinInt16:
		return append(b, codeInt16, byte(n>>8), byte(n))
	case n >= math.MinInt32:
		return append(b, codeInt32, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return binary.BigEndian.AppendUint64(append(b, codeInt64), uint64(n))
}

func appendFloat32(b []byte, bits uint32) []byte {
	return binary.BigEndian.AppendUint32(append(b, codeFloat32), bits)
}

func appendFloat64(b []byte, bits uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, codeFloat64), bits)
}

func appendStrLen(b []byte, n int) []byte {
	switch {
	case n < 32:
		return append(b, codeFixStr|byte(n))
	case n <= math.MaxUint8:
		return append(b, codeStr8, byte(n))
	case n <= math.MaxUint16:
		return append(b, codeStr16, byte(n>>8), byte(n))
	}
	return binary.BigEndian.AppendUint32(append(b, codeStr32), uint32(n))
}

// appendStr appends s, which is not longer than 4 GiB.
func appendStr(b []byte, s string) []byte { return append(appendStrLen(b, len(s)), s...) }

func appendBinLen(b []byte, n int) []byte {
	switch {
	case n <= math.MaxUint8:
		return append(b, codeBin8, byte(n))
	case n <= math.MaxUint16:
		return append(b, codeBin16, byte(n>>8), byte(n))
	}
	return binary.BigEndian.AppendUint32(append(b, codeBin32), uint32(n))
}

func appendArrayLen(b []byte, n int) []byte {
	switch {
	case n < 16:
		return append(b, codeFixArray|byte(n))
	case n <= math.MaxUint16:
		return append(b, codeArray16, byte(n>>8), byte(n))
	}
	return binary.BigEndian.AppendUint32(append(b, codeArray32), uint32(n))
}

func appendMapLen(b []byte, n int) []byte {
	switch {
	case n < 16:
		return append(b, codeFixMap|byte(n))
	case n <= math.MaxUint16:
		return append(b, codeMap16, byte(n>>8), byte(n))
	}
	return binary.BigEndian.AppendUint32(append(b, codeMap32), uint32(n))
}

// appendExtLen appends the header of an extension value of n bytes, which is at most 64 KiB.
func appendExtLen(b []byte, typ byte, n int) []byte {
	switch n {
	case 1, 2, 4, 8, 16:
		code := byte(codeFixExt1)
		for ; n > 1; n >>= 1 {
			code++
		}
		return append(b, code, typ)
	}
	if n <= math.MaxUint8 {
		return append(b, codeExt8, byte(n), typ)
	}
	return append(b, codeExt16, byte(n>>8), byte(n), typ)
}

func appendBackref(b []byte, off uint32) []byte {
	return binary.BigEndian.AppendUint32(append(b, codeFixExt4, extBackref), off)
}

// family is what kind of value a msgpack code begins.
type family uint8

const (
	famInvalid family = iota
	famNil
	famBool
	famInt
	famFloat
	famStr
	famBin
	famExt
	famArray
	famMap
)

var familyNames = [...]string{"an invalid code", "nil", "a bool", "an integer", "a float", "a string", "bytes", "an extension", "an array", "a map"}

func (f family) String() string { return familyNames[f] }

// A code is what the first byte of a value tells of its head.
type code struct {
	fam  family
	head uint8 // bytes of the head
	size uint8 // bytes of the number after the first byte
	n    int8  // the number, if the first byte holds it
}

// codes are all that there are. What is not in the list is an invalid code.
var codes = func() (codes [256]code) {
	for c := range codes {
		switch {
		case c < codeFixMap, c >= codeNegFix:
			codes[c] = code{famInt, 1, 0, int8(c)}
		case c < codeFixArray:
			codes[c] = code{famMap, 1, 0, int8(c & 0x0f)}
		case c < codeFixStr:
			codes[c] = code{famArray, 1, 0, int8(c & 0x0f)}
		case c < codeNil:
			codes[c] = code{famStr, 1, 0, int8(c & 0x1f)}
		default:
			codes[c].head = 1
		}
	}
	codes[codeNil].fam, codes[codeFalse].fam = famNil, famBool
	codes[codeTrue] = code{famBool, 1, 0, 1}
	codes[codeFloat32], codes[codeFloat64] = code{famFloat, 5, 4, 0}, code{famFloat, 9, 8, 0}
	for i := range 4 { // numbers of 1, 2, 4 and 8 bytes
		size := uint8(1) << i
		codes[codeUint8+i] = code{famInt, 1 + size, size, 0}
		codes[codeInt8+i] = code{famInt, 1 + size, size, 0}
		if i < 3 {
			codes[codeStr8+i] = code{famStr, 1 + size, size, 0}
			codes[codeBin8+i] = code{famBin, 1 + size, size, 0}
			codes[codeExt8+i] = code{famExt, 2 + size, size, 0} // the type of an extension follows
		}
		if i < 2 {
			codes[codeArray16+i] = code{famArray, 1 + 2*size, 2 * size, 0}
			codes[codeMap16+i] = code{famMap, 1 + 2*size, 2 * size, 0}
		}
	}
	for i := range 5 {
		codes[codeFixExt1+i] = code{famExt, 2, 0, 1 << i}
	}
	return codes
}()

func familyOf(c byte) family { return codes[c].fam }

// token is the head of one msgpack value.
type token struct {
	tokenKind        // a struct of its own, since the compiler keeps structs of four fields in registers
	n         uint64 // integer value; bits of a float; length of all else
	head      int    // bytes of the head
}

type tokenKind struct {
	fam  family
	neg  bool // of an integer: it is below zero, and n its bits as int64
	code byte // the first byte
	ext  byte // type of an extension
}

// String names the kind of value that t begins.
func (t token) String() string {
	if t.fam == famExt {
		switch t.ext {
		case extEager:
			return "a reference"
		case extLazy:
			return "a lazy reference"
		case extBackref:
			return "a pointer shared with another"
		case extTime:
			return "a time"
		}
	}
	return t.fam.String()
}

// payload returns how many bytes of content follow the head itself (those of strings, bytes and
// extensions).
func (t token) payload() uint64 {
	if t.fam == famStr || t.fam == famBin || t.fam == famExt {
		return t.n
	}
	return 0
}

// readToken reads the head of the value that b begins with. Its family is famInvalid if there is
// none, or it is cut off. It does not look at what follows the head.
func readToken(b []byte) token {
	if len(b) == 0 {
		return token{}
	}
	c := &codes[b[0]]
	t := token{tokenKind{fam: c.fam, neg: c.n < 0, code: b[0]}, uint64(int64(c.n)), int(c.head)}
	if c.head == 1 {
		return t
	}
	if len(b) < t.head {
		return token{}
	}
	switch c.size {
	case 1:
		t.n = uint64(b[1])
	case 2:
		t.n = uint64(binary.BigEndian.Uint16(b[1:]))
	case 4:
		t.n = uint64(binary.BigEndian.Uint32(b[1:]))
	case 8:
		t.n = binary.BigEndian.Uint64(b[1:])
	}
	if t.code >= codeInt8 && t.code <= codeInt64 {
		unused := 64 - 8*c.size
		n := int64(t.n<<unused) >> unused
		t.n, t.neg = uint64(n), n < 0
	}
	if t.fam == famExt {
		t.ext = b[t.head-1]
	}
	return t
}
