package codec

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"testing"
)

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
			want := token{tokenKind{fam: r.fam, code: byte(c), neg: n < 0}, uint64(n), 1 + r.size}
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

func TestKeysOfFieldsAreReadAndWrittenWhole(t *testing.T) {
	t.Parallel()
	for size := range 70 {
		key := newFieldKey(string(appendStr(nil, string(bytes.Repeat([]byte("n"), size)))))
		for _, more := range []string{"", "\xc0", "followed by more than a word"} {
			b := append([]byte(key.key), more...)
			if !key.begins(b) {
				t.Errorf("a name of %d bytes is not found before %q", size, more)
			}
			for i := range key.key {
				b[i] ^= 1
				if key.begins(b) {
					t.Errorf("a name of %d bytes with another byte %d is taken for it", size, i)
				}
				b[i] ^= 1
			}
		}
		for short := range key.key {
			if key.begins([]byte(key.key[:short])) {
				t.Errorf("%d bytes of a name of %d are taken for it", short, size)
			}
		}
		for room := range 100 {
			b := append(make([]byte, 0, 1+room), 'x')
			if got := string(key.append(b)); got != "x"+key.key {
				t.Errorf("a name of %d bytes is written as %q where there is room for %d", size, got, room)
			}
		}
	}
}

func TestNamesOfTypesAreRememberedAsTheyAre(t *testing.T) {
	t.Parallel()
	var names typeNames
	for range 2 {
		for i := range 500 {
			for _, form := range []string{"main.T%d", "main.%dT", "%d"} {
				want := fmt.Sprintf(form, i)
				if got := names.name([]byte(want)); got != want {
					t.Fatalf("%q for %q", got, want)
				}
			}
		}
	}
	long := bytes.Repeat([]byte("x"), maxNameLen+1)
	if got := names.name(long); got != string(long) {
		t.Error("a long name is another")
	}
	for i := range names {
		if s := names[i].Load(); s != nil && len(*s) > maxNameLen {
			t.Error("a long name is remembered")
		}
	}
}

// TestDecodingTakesNoMemoryBesidesTheObject counts the allocations for objects that are known.
func TestDecodingTakesNoMemoryBesidesTheObject(t *testing.T) {
	c := newBenchCodec()
	for _, test := range []struct {
		name string
		obj  any
		want float64
	}{
		{"scalars", &struct {
			A int
			B float64
			C bool
		}{300, 1.5, true}, 1},
		{"strings", &struct{ A, B string }{"one", "two"}, 3},
		{"a slice of structs", &struct{ S []benchLimits }{make([]benchLimits, 5)}, 2},
		{"a slice of numbers", &struct{ S []int16 }{make([]int16, 5)}, 2},
		{"an empty slice of structs", &struct{ S []benchLimits }{[]benchLimits{}}, 1},
		{"a map of scalars", &struct{ M map[string]int }{map[string]int{"a": 1}}, 4},      // the variable, the map, its entries, a key
		{"a map of anything", &struct{ M map[string]any }{map[string]any{"ab": true}}, 4}, // the same
		{"a pointer", &struct{ P *benchLimits }{&benchLimits{}}, 2},
		{"a value in an interface", &struct{ A any }{int64(1 << 40)}, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			enc, err := benchEncode(c.NewEncoder(testLimits, nil), test.obj)
			if err != nil {
				t.Fatal(err)
			}
			record := bytes.Clone(enc.Data)
			typ := reflect.TypeOf(test.obj).Elem()
			decode := func() {
				h, err := c.Parse(record, testLimits)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := c.Decode(h, reflect.New(typ).Interface(), DecodeOptions{Limits: testLimits}); err != nil {
					t.Fatal(err)
				}
			}
			// The least of several: with the race detector, sync.Pool forgets some of what it is
			// given.
			got := math.Inf(1)
			for range 40 {
				got = min(got, testing.AllocsPerRun(1, decode))
			}
			if got > test.want {
				t.Errorf("%v allocations, want %v", got, test.want)
			}
		})
	}
}

// TestOneDecoderForManyTypes decodes into variables of changing types: a decoder remembers the
// last.
func TestOneDecoderForManyTypes(t *testing.T) {
	t.Parallel()
	shapes, w := benchShapes()
	c := newBenchCodec()
	e := c.NewEncoder(testLimits, w)
	records := make([][]byte, len(shapes))
	for range 3 {
		for i, s := range shapes {
			enc, err := benchEncode(e, s.mine)
			if err != nil {
				t.Fatal(err)
			}
			if records[i] == nil {
				records[i] = bytes.Clone(enc.Data)
			} else if !bytes.Equal(records[i], enc.Data) {
				t.Fatalf("%s: other bytes", s.name)
			}
			h, err := c.Parse(records[i], testLimits)
			if err != nil {
				t.Fatal(err)
			}
			dst := reflect.New(reflect.TypeOf(s.mine).Elem()).Interface()
			if _, err := c.Decode(h, dst, DecodeOptions{Limits: testLimits, Target: w.target}); err != nil {
				t.Fatal(err)
			}
			again, err := benchEncode(e, dst)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(records[i], again.Data) {
				t.Fatalf("%s: what was decoded is not what was encoded", s.name)
			}
		}
	}
	for _, dst := range []any{nil, benchLimits{}, (*benchLimits)(nil), (*benchTree)(nil), 1} {
		h, err := c.Parse(records[0], testLimits)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Decode(h, dst, DecodeOptions{Limits: testLimits}); err == nil {
			t.Errorf("decoded into %T", dst)
		}
	}
	if _, err := e.Encode((*benchTree)(nil), nil); err == nil {
		t.Error("a nil pointer is encoded")
	}
}
