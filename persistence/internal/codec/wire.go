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

func familyOf(c byte) family {
	switch {
	case c < codeFixMap, c >= codeNegFix, c >= codeUint8 && c <= codeInt64:
		return famInt
	case c < codeFixArray, c == codeMap16, c == codeMap32:
		return famMap
	case c < codeFixStr, c == codeArray16, c == codeArray32:
		return famArray
	case c < codeNil, c >= codeStr8 && c <= codeStr32:
		return famStr
	case c == codeNil:
		return famNil
	case c == codeFalse, c == codeTrue:
		return famBool
	case c >= codeBin8 && c <= codeBin32:
		return famBin
	case c == codeFloat32, c == codeFloat64:
		return famFloat
	case c >= codeExt8 && c <= codeExt32, c >= codeFixExt1 && c <= codeFixExt16:
		return famExt
	}
	return famInvalid
}

// token is the head of one msgpack value.
type token struct {
	fam  family
	neg  bool   // of an integer: it is below zero, and n its bits as int64
	code byte   // the first byte
	ext  byte   // type of an extension
	n    uint64 // integer value; bits of a float; length of all else
	head int    // bytes of the head
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
	c := b[0]
	t := token{fam: familyOf(c), code: c, head: 1}
	switch {
	case c < codeFixMap:
		t.n = uint64(c)
		return t
	case c >= codeNegFix:
		t.n, t.neg = uint64(int64(int8(c))), true
		return t
	case c < codeFixStr:
		t.n = uint64(c & 0x0f)
		return t
	case c < codeNil:
		t.n = uint64(c & 0x1f)
		return t
	}
	size, ext := 0, false // of the number after the code; whether an extension's type follows
	switch c {
	case codeTrue:
		t.n = 1
	case codeBin8, codeStr8, codeUint8, codeInt8:
		size = 1
	case codeBin16, codeStr16, codeArray16, codeMap16, codeUint16, codeInt16:
		size = 2
	case codeBin32, codeStr32, codeArray32, codeMap32, codeUint32, codeInt32, codeFloat32:
		size = 4
	case codeUint64, codeInt64, codeFloat64:
		size = 8
	case codeExt8:
		size, ext = 1, true
	case codeExt16:
		size, ext = 2, true
	case codeExt32:
		size, ext = 4, true
	case codeFixExt1, codeFixExt1 + 1, codeFixExt4, codeFixExt8, codeFixExt16:
		t.n, ext = 1<<(c-codeFixExt1), true
	}
	t.head += size
	if ext {
		t.head++
	}
	if len(b) < t.head {
		return token{}
	}
	switch size {
	case 1:
		t.n = uint64(b[1])
	case 2:
		t.n = uint64(binary.BigEndian.Uint16(b[1:]))
	case 4:
		t.n = uint64(binary.BigEndian.Uint32(b[1:]))
	case 8:
		t.n = binary.BigEndian.Uint64(b[1:])
	}
	switch c {
	case codeInt8:
		t.n = uint64(int64(int8(t.n)))
	case codeInt16:
		t.n = uint64(int64(int16(t.n)))
	case codeInt32:
		t.n = uint64(int64(int32(t.n)))
	}
	if c >= codeInt8 && c <= codeInt64 {
		t.neg = int64(t.n) < 0
	}
	if ext {
		t.ext = b[t.head-1]
	}
	return t
}
