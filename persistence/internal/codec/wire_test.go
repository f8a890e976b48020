package codec

import "testing"

// TestHeadsOfAllCodes compares what readToken reads with the specification of msgpack.
func TestHeadsOfAllCodes(t *testing.T) {
	t.Parallel()
	number := func(size int, signed bool) (n uint64, neg bool) {
		n = 0x8182838485868788 << (64 - 8*size) >> (64 - 8*size)
		if signed {
			return n | ^uint64(0)<<(8*size-1), true
		}
		return n, false
	}
	ranges := []struct {
		from, to byte
		fam      family
		size     int // bytes of the number that follows the code
		n        int // else the number of the first code
	}{
		{0x00, 0x7f, famInt, 0, 0},
		{0x80, 0x8f, famMap, 0, 0},
		{0x90, 0x9f, famArray, 0, 0},
		{0xa0, 0xbf, famStr, 0, 0},
		{0xc0, 0xc0, famNil, 0, 0},
		{0xc1, 0xc1, famInvalid, 0, 0},
		{0xc2, 0xc3, famBool, 0, 0},
		{0xc4, 0xc4, famBin, 1, 0},
		{0xc5, 0xc5, famBin, 2, 0},
		{0xc6, 0xc6, famBin, 4, 0},
		{0xc7, 0xc7, famExt, 1, 0},
		{0xc8, 0xc8, famExt, 2, 0},
		{0xc9, 0xc9, famExt, 4, 0},
		{0xca, 0xca, famFloat, 4, 0},
		{0xcb, 0xcb, famFloat, 8, 0},
		{0xcc, 0xcc, famInt, 1, 0},
		{0xcd, 0xcd, famInt, 2, 0},
		{0xce, 0xce, famInt, 4, 0},
		{0xcf, 0xcf, famInt, 8, 0},
		{0xd0, 0xd0, famInt, 1, 0},
		{0xd1, 0xd1, famInt, 2, 0},
		{0xd2, 0xd2, famInt, 4, 0},
		{0xd3, 0xd3, famInt, 8, 0},
		{0xd4, 0xd4, famExt, 0, 1},
		{0xd5, 0xd5, famExt, 0, 2},
		{0xd6, 0xd6, famExt, 0, 4},
		{0xd7, 0xd7, famExt, 0, 8},
		{0xd8, 0xd8, famExt, 0, 16},
		{0xd9, 0xd9, famStr, 1, 0},
		{0xda, 0xda, famStr, 2, 0},
		{0xdb, 0xdb, famStr, 4, 0},
		{0xdc, 0xdc, famArray, 2, 0},
		{0xdd, 0xdd, famArray, 4, 0},
		{0xde, 0xde, famMap, 2, 0},
		{0xdf, 0xdf, famMap, 4, 0},
		{0xe0, 0xff, famInt, 0, -32},
	}
	seen := 0
	for _, r := range ranges {
		for c := int(r.from); c <= int(r.to); c++ {
			seen++
			n := r.n + c - int(r.from)
			want := token{fam: r.fam, code: byte(c), n: uint64(n), neg: n < 0, head: 1 + r.size}
			if r.size > 0 {
				want.n, want.neg = number(r.size, c >= codeInt8 && c <= codeInt64)
			}
			b := []byte{byte(c), 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89}
			copy(b[1:], b[9-r.size:9]) // the number is the end of 0x81…88
			if r.fam == famExt {
				want.head++
				want.ext = 0x55
				b[want.head-1] = 0x55
			}
			if got := readToken(b); got != want {
				t.Errorf("code %#x: %#v, want %#v", c, got, want)
			}
			for short := range want.head {
				if got := readToken(b[:short]); got != (token{}) {
					t.Errorf("code %#x in %d bytes of %d: %#v", c, short, want.head, got)
				}
			}
		}
	}
	if seen != 256 {
		t.Errorf("%d codes", seen)
	}
}
