package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/google/go-cmp/cmp"
)

// seal ends a record with its checksum.
func seal(b []byte) []byte {
	return binary.BigEndian.AppendUint32(append(b, codeUint32), crc32.Checksum(b, castagnoli))
}

// recordOf makes a record of a type with a body made by hand.
func recordOf(name string, body string, eager ...driver.ID) []byte {
	return recordOfVersion(versionFirst, name, body, eager...)
}

func recordOfVersion(version byte, name string, body string, eager ...driver.ID) []byte {
	b := appendUint(appendStr(append([]byte(headStart), version), name), 0)
	b = (&ids{list: eager}).append(b)
	b = (&ids{}).append(b)
	return seal(append(b, body...))
}

func TestEveryFlippedByteIsFound(t *testing.T) {
	t.Parallel()
	c, w := newCodec(t, registeredTypes...), newWorld()
	dep := &task{}
	w.put("12345", dep)
	in := &task{Name: "a", Needs: []*task{dep}, Any: []any{int8(1), "x", point{1, 2}}, Lazy: ref[task]{Link{Obj: dep}}}
	data := encode(t, c, w, in)
	for i := range data {
		for x := 1; x < 256; x++ {
			flipped := bytes.Clone(data)
			flipped[i] ^= byte(x)
			if _, err := c.Parse(flipped, testLimits); !errors.Is(err, driver.ErrCorrupt) {
				t.Fatalf("byte %d xor %#x: %v", i, x, err)
			}
		}
	}
	for i := range data {
		if _, err := c.Parse(data[:i], testLimits); !errors.Is(err, driver.ErrCorrupt) {
			t.Fatalf("cut after %d bytes: %v", i, err)
		}
	}
	if _, err := c.Parse(append(bytes.Clone(data), 0), testLimits); !errors.Is(err, driver.ErrCorrupt) {
		t.Fatalf("a byte too many: %v", err)
	}
}

func TestHeadersThatAreNotCanonical(t *testing.T) {
	t.Parallel()
	good := headStart + "\x01\xa1T\x00\x92\xa1a\xa1b\x90\xc0"
	tests := map[string]string{
		"another marker":                   strings.Replace(good, "brine", "BRINE", 1),
		"format version 0":                 strings.Replace(good, "\x01\xa1T", "\x00\xa1T", 1),
		"a format version of two bytes":    strings.Replace(good, "\x01\xa1T", "\xcc\x01\xa1T", 1),
		"no format version":                strings.Replace(good, "\x01\xa1T", "\xa1T", 1),
		"nothing after the marker":         headStart,
		"an array of nine":                 strings.Replace(good, "\x98", "\x99", 1),
		"no type name":                     strings.Replace(good, "\xa1T", "\xa0", 1),
		"a long form of the name":          strings.Replace(good, "\xa1T", "\xd9\x01T", 1),
		"a name of bytes":                  strings.Replace(good, "\xa1T", "\xc4\x01T", 1),
		"a long form of the version":       strings.Replace(good, "T\x00", "T\xcc\x00", 1),
		"a signed form of the version":     strings.Replace(good, "T\x00", "T\xd0\x00", 1),
		"a negative version":               strings.Replace(good, "T\x00", "T\xff", 1),
		"a vast version":                   strings.Replace(good, "T\x00", "T\xce\xff\xff\xff\xff", 1),
		"IDs out of order":                 strings.Replace(good, "\xa1a\xa1b", "\xa1b\xa1a", 1),
		"an ID twice":                      strings.Replace(good, "\xa1a\xa1b", "\xa1a\xa1a", 1),
		"an empty ID":                      strings.Replace(good, "\xa1a\xa1b", "\xa0\xa1b", 1),
		"an ID that is too long":           strings.Replace(good, "\xa1b", "\xd9\xc0"+strings.Repeat("b", 192), 1),
		"a long form of an ID":             strings.Replace(good, "\xa1b", "\xd9\x01b", 1),
		"a long form of the number of IDs": strings.Replace(good, "\x92", "\xdc\x00\x02", 1),
		"a number as ID":                   strings.Replace(good, "\xa1a", "\x01", 1),
		"four billion IDs":                 strings.Replace(good, "\x92", "\xdd\xff\xff\xff\xff", 1),
		"no body":                          strings.TrimSuffix(good, "\xc0"),
		"nothing":                          "",
		"nothing after the version":        headStart + "\x01",
	}
	c := newCodec(t)
	if h, err := c.Parse(seal([]byte(good)), testLimits); err != nil || h.Type != "T" || len(h.Eager) != 2 || h.Lazy != nil {
		t.Fatalf("the good one: %+v, %v", h, err)
	}
	for name, head := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if head == good {
				t.Fatal("nothing was changed")
			}
			if _, err := c.Parse(seal([]byte(head)), testLimits); !errors.Is(err, driver.ErrCorrupt) {
				t.Errorf("got %v", err)
			}
		})
	}
}

type hostileTarget struct {
	A  any
	B  []byte
	E  []struct{}
	I  []int
	I8 int8
	L  []kinds
	M  map[string]int
	N  map[any]any
	P  *int
	Q  *string
	R  *task
	S  string
	T  time.Time
	U  uint16
	V  [3]int
	W  ref[task]
	X  map[string]any
	Y  []*hostileTarget
	Z  float32
}

// field1 is the body of a hostileTarget with one field.
func field1(name, value string) string { return "\x81" + string(appendStr(nil, name)) + value }

// otherKinds are the bodies of TestHostileBodies which a program may have written whose types were
// other ones: they are no damage.
var otherKinds = []string{
	"a float32 for any",
	"too large an int8",
	"a number as field name",
	"a short reference back",
	"a nil for an int",
	"refers to a skipped string",
	"a string for an int",
	"a float64 in a float32",
	"a negative uint",
	"a uint64 for any",
	"a lazy reference for any",
	"an int no float holds",
	"too small an int8",
	"an unknown extension",
	"a vast int",
	"refers to the root",
	"a zone beyond 32 bits",
	"too large a uint",
	"refers to another type",
	"an array of three for any",
	"two of three elements",
	"an array for a struct",
	"a map refers to another map",
	"a map refers to a pointer",
}

func TestHostileBodies(t *testing.T) {
	t.Parallel()
	huge := "\xff\xff\xff\xff"
	tests := map[string]struct {
		body string
		text string // part of the message
	}{
		"4 billion elements":              {field1("I", "\xdd"+huge), "hostileTarget.I: an array of 4294967295 elements"},
		"4 billion large elements":        {field1("L", "\xdd"+huge), "hostileTarget.L: an array of 4294967295 elements"},
		"4 billion elements of no size":   {field1("E", "\xdd"+huge), "hostileTarget.E: "},
		"4 billion elements of any":       {field1("A", "\x92\xae[]interface {}\xdd"+huge), "hostileTarget.A: "},
		"4 billion entries":               {field1("M", "\xdf"+huge), "hostileTarget.M: a map of 4294967295 entries"},
		"4 billion entries of any":        {field1("A", "\xdf"+huge), "hostileTarget.A: "},
		"4 billion entries of any to any": {field1("N", "\xdf"+huge), "hostileTarget.N: "},
		"4 billion characters":            {field1("S", "\xdb"+huge), "hostileTarget.S: "},
		"4 billion characters of any":     {field1("A", "\xdb"+huge), "hostileTarget.A: "},
		"4 billion bytes":                 {field1("B", "\xc6"+huge), "hostileTarget.B: "},
		"4 billion bytes of any":          {field1("A", "\xc6"+huge), "hostileTarget.A: "},
		"4 billion bytes of a reference":  {field1("R", "\xc9"+huge+"\x01"), "hostileTarget.R: "},
		"4 billion bytes of a lazy one":   {field1("W", "\xc9"+huge+"\x02"), "hostileTarget.W: "},
		"4 billion bytes of a time":       {field1("T", "\xc9"+huge+"\xff"), "hostileTarget.T: "},
		"4 billion fields":                {"\xdf" + huge, "hostileTarget: "},
		"4 billion elements unknown":      {field1("unknown", "\xdd"+huge), `unknown field "unknown" is malformed`},
		"4 billion entries unknown":       {field1("unknown", "\xdf"+huge), `unknown field "unknown" is malformed`},
		"4 billion bytes unknown":         {field1("unknown", "\xc6"+huge), `unknown field "unknown" is malformed`},
		"a field name of 4 billion":       {"\x81\xdb" + huge, "hostileTarget: "},
		"an invalid code":                 {field1("I", "\xc1"), "a malformed value where an array is wanted"},
		"an invalid code unknown":         {field1("unknown", "\xc1"), "malformed"},
		"an end":                          {"\x81\xa1I", "hostileTarget"},
		"an empty body":                   {"", ""},
		"left over":                       {"\x80\x80", "1 bytes left over"},
		"too large an int8":               {field1("I8", "\xcd\x01\x2c"), "hostileTarget.I8: 300 does not fit into an int of 8 bits"},
		"too small an int8":               {field1("I8", "\xd1\xff\x00"), "hostileTarget.I8: -256 does not fit"},
		"a vast int":                      {field1("I", "\x91\xcf"+huge+huge), "hostileTarget.I[0]: 18446744073709551615 does not fit"},
		"a negative uint":                 {field1("U", "\xff"), "hostileTarget.U: -1 does not fit"},
		"too large a uint":                {field1("U", "\xce\x00\x01\x00\x00"), "hostileTarget.U: 65536 does not fit"},
		"a float64 in a float32":          {field1("Z", "\xcb\x3f\xb9\x99\x99\x99\x99\x99\x9a"), "hostileTarget.Z: 0.1 does not fit"},
		"an int no float holds":           {field1("Z", "\xcf"+huge+huge), "hostileTarget.Z: "},
		"a string for an int":             {field1("I8", "\xa1x"), "hostileTarget.I8: a string where an integer is wanted"},
		"a nil for an int":                {field1("I8", "\xc0"), "nil where an integer is wanted"},
		"an array for a struct":           {"\x90", "an array where a map is wanted"},
		"two of three elements":           {field1("V", "\x92\x01\x02"), "hostileTarget.V: 2 elements where 3 are wanted"},
		"a field twice":                   {"\x82\xa1S\xa0\xa1S\xa0", "out of order, or twice"},
		"an unknown field twice":          {"\x82\xa1a\xa0\xa1a\xa0", "out of order, or twice"},
		"fields out of order":             {"\x82\xa1S\xa0\xa1P\xc0", "out of order, or twice"},
		"a known field behind an unknown": {"\x82\xa1a\xa0\xa1S\xa0", "out of order, or twice"},
		"a long form of a field name":     {"\x81\xd9\x01S\xa0", "shortest form"},
		"a number as field name":          {"\x81\x01\xa0", "an integer where a string is wanted"},
		"a key twice":                     {field1("M", "\x82\xa1a\x01\xa1a\x02"), "a key that stands twice"},
		"a key of any twice":              {field1("N", "\x82\x01\x01\x01\x02"), "a key that stands twice"},
		"a slice as key":                  {field1("N", "\x81\x92\xae[]interface {}\x90\x01"), "which cannot be one"},
		"a map as key":                    {field1("N", "\x81\x80\x01"), "which cannot be one"},
		"a slice in an array as key":      {field1("N", "\x81\x92\xaf[1]interface {}\x91\x92\xae[]interface {}\x90\x01"), "which cannot be one"},
		"an array of three for any":       {field1("A", "\x93\xa3int\x01\x01"), "hostileTarget.A: "},
		"an unknown extension":            {field1("A", "\xd4\x63\x00"), "hostileTarget.A: "},
		"a lazy reference for any":        {field1("A", "\xd4\x02a"), "hostileTarget.A: "},
		"a uint64 for any":                {field1("A", "\xcf"+huge+huge), "hostileTarget.A: "},
		"a float32 for any":               {field1("A", "\xca"+huge), "hostileTarget.A: "},
		"a reference not in the header":   {field1("R", "\xd4\x01a"), "which the header does not name"},
		"an empty reference":              {field1("R", "\xc7\x00\x01"), "which the header does not name"},
		"an empty lazy reference":         {field1("W", "\xc7\x00\x02"), "an ID of 0 bytes"},
		"a billion nanoseconds":           {field1("T", "\xc7\x0c\xff"+huge+huge+huge), "nanoseconds"},
		"a timestamp of 5 bytes":          {field1("T", "\xc7\x05\xff12345"), "a timestamp of 5 bytes"},
		"a zone beyond 32 bits":           {field1("T", "\x92\xd6\xff\x00\x00\x00\x00\xcf"+huge+huge), "hostileTarget.T: "},
		"refers to itself":                {field1("P", "\xd6\x03\x00\x00\x00\x03"), "refers back to byte 3"},
		"refers ahead":                    {"\x82\xa1P\xd6\x03\x00\x00\x00\x0b\xa1Q\xa1x", "refers back to byte 11"},
		"refers beyond the end":           {field1("P", "\xd6\x03"+huge), "refers back to byte 4294967295"},
		"refers to another type":          {"\x82\xa1P\x05\xa1Q\xd6\x03\x00\x00\x00\x03", "hostileTarget.Q: a pointer shared with another of a type that is not *string"},
		"refers to the root":              {field1("P", "\xd6\x03\x00\x00\x00\x00"), "that is not *int"},
		"a map refers to a pointer":       {"\x82\xa1P\x05\xa1X\xd6\x03\x00\x00\x00\x03", "that is not map[string]interface {}"},
		"a map refers to another map":     {"\x82\xa1M\x80\xa1X\xd6\x03\x00\x00\x00\x03", "that is not map[string]interface {}"},
		"a short reference back":          {field1("P", "\xd5\x03\x00\x03"), "hostileTarget.P: "},
		"refers to a skipped nil":         {"\x82\xa1D\xc0\xa1P\xd6\x03\x00\x00\x00\x03", "where there is no *int"},
		"refers to a skipped reference":   {"\x82\xa1D\xd6\x03\x00\x00\x00\x03\xa1P\xd6\x03\x00\x00\x00\x03", "where there is no *int"},
		"refers to a skipped string":      {"\x82\xa1D\xa1x\xa1P\xd6\x03\x00\x00\x00\x03", "a string where an integer is wanted"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCodec(t)
			data := recordOf("codec.hostileTarget", tc.body, "id")
			h, err := c.Parse(data, testLimits)
			if tc.body == "" {
				if !errors.Is(err, driver.ErrCorrupt) {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Decode(h, new(hostileTarget), DecodeOptions{Limits: testLimits, Target: newWorld().target})
			want := driver.ErrCorrupt
			if slices.Contains(otherKinds, name) {
				want = driver.ErrType
			}
			if !errors.Is(err, want) || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("got %v, want %v", err, want)
			}
		})
	}
}

func TestClaimsTakeNoMemory(t *testing.T) {
	// Not parallel: it measures what is allocated.
	claims := map[string]string{
		"an array":            field1("I", "\xdd\xff\xff\xff\xff"),
		"large elements":      field1("L", "\xdd\x00\x01\x86\xa0"+strings.Repeat("\x90", 100_000)),
		"a map":               field1("M", "\xdf\xff\xff\xff\xff"),
		"a map of any":        field1("N", "\xdf\x00\x00\xc3\x50"+strings.Repeat("\xc0", 100_000)),
		"bytes":               field1("B", "\xc6\xff\xff\xff\xff"),
		"a string":            field1("S", "\xdb\xff\xff\xff\xff"),
		"a vast array type":   field1("A", "\x92\xae[100000]string\xdd\x00\x01\x86\xa0"),
		"an array type":       field1("A", "\x92\xad[1000000]bool\xdd\x00\x0f\x42\x40"),
		"fields":              "\xdf\xff\xff\xff\xff",
		"an unknown array":    field1("u", "\xdd\xff\xff\xff\xff"),
		"deep unknown ones":   field1("u", strings.Repeat("\x91", 1_000_000)),
		"maps of vast values": field1("A", "\x92\xae[]interface {}\xdc\x03\xe8"+strings.Repeat("\x92\xb6map[int][1048576]uint8\x80", 1000)+"\xc1"),
		"deep slices of any":  field1("A", strings.Repeat("\x92\xae[]interface {}\x91", 20_000)),
	}
	c := newCodec(t)
	for name, body := range claims {
		data := recordOf("codec.hostileTarget", body)
		decode := func() error {
			h, err := c.Parse(data, testLimits)
			if err != nil {
				return err
			}
			_, err = c.Decode(h, new(hostileTarget), DecodeOptions{Limits: testLimits})
			return err
		}
		if err := decode(); !errors.Is(err, driver.ErrCorrupt) && !errors.Is(err, driver.ErrTooLarge) && !errors.Is(err, driver.ErrUnknownType) && !errors.Is(err, driver.ErrType) {
			t.Errorf("%s: %v", name, err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_ = decode()
		runtime.ReadMemStats(&after)
		if taken, most := after.TotalAlloc-before.TotalAlloc, uint64(64<<10+48*len(data)); taken > most {
			t.Errorf("%s: %d bytes taken for a record of %d", name, taken, len(data))
		}
	}
}

func TestNumbersMayChangeTheirKindWithoutLoss(t *testing.T) {
	t.Parallel()
	type before struct {
		A uint8
		B int64
		C uint64
		D float32
		E int
		F float64
		G int
	}
	type after struct {
		A int16
		B uint8
		C int
		D float64
		E float64
		F float32
		G complex128 `msgpack:"-"`
	}
	c := newCodec(t)
	var out after
	if err := decodeInto(c, newWorld(), encode(t, c, nil, before{200, 100, 1 << 30, 1.5, -3, 2.5, 0}), &out); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(after{200, 100, 1 << 30, 1.5, -3, 2.5, 0}, out); diff != "" {
		t.Error(diff)
	}
}

type (
	newer struct {
		A    []*point
		B    string
		Both *newerPart
		D    map[string]*point
		Kept map[string]*point
		P    *point
		Q    *point
		S    *newerPart
		T    map[string]*point
		U    *deepPart
		Vv   int
	}
	newerPart struct {
		Extra *point
		N     int
		Next  *newerPart
	}
	older struct {
		B    string
		Both *olderPart
		Kept map[string]*point
		P    *point
		Q    *point
		S    *olderPart
		T    map[string]*point
		U    *deepPart
	}
	olderPart struct {
		N    int
		Next *olderPart
	}
	deepPart struct{ Next *deepPart }
)

func TestUnknownFieldsAreKept(t *testing.T) {
	t.Parallel()
	c := newCodec(t)
	a, b := &point{1, 2}, &point{3, 4}
	part := &newerPart{Extra: b, N: 7}
	part.Next = part
	shared := map[string]*point{"a": a, "b": b}
	in := &newer{A: []*point{a, b}, B: "b", Both: part, D: shared, Kept: map[string]*point{"x": b}, P: a, Q: a, S: part, T: shared, Vv: 5}
	var out older
	var unknown []string
	data := encode(t, c, nil, in)
	h, err := c.Parse(data, testLimits)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Decode(h, &out, DecodeOptions{Limits: testLimits})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range got.Unknown {
		unknown = append(unknown, f.Path)
	}
	if diff := cmp.Diff([]string{"older.A", "older.D", "older.S.Extra", "older.Vv"}, unknown); diff != "" {
		t.Error(diff)
	}
	// What stood first in a skipped field is still there, and still shared.
	if out.P == nil || *out.P != *a || out.Q != out.P || *out.T["b"] != *b || out.T["a"] != out.P || out.Kept["x"] != out.T["b"] || out.S != out.Both || out.Both.Next != out.Both || out.Both.N != 7 {
		t.Errorf("got %+v", out)
	}
	again, err := c.NewEncoder(testLimits, nil).Encode(&out, got.Kept)
	if err != nil {
		t.Fatal(err)
	}
	if _, was := body(t, data); got.Differs {
		t.Error("nothing is to differ")
	} else if _, is := body(t, again.Data); !bytes.Equal(was, is) {
		t.Errorf("the body was\n%x and is\n%x", was, is)
	}
}

func TestLateValuesCostNoMoreThanTheRecord(t *testing.T) {
	t.Parallel()
	// An unknown field of n nested slices, and n references to each of them: an honest record has
	// none of the kind.
	type greedy struct {
		L []*nest
	}
	const n = 2000
	var body []byte
	body = append(appendStr(append(body, 0x82), "A"), bytes.Repeat([]byte{0x91}, n)...)
	body = append(appendStr(append(body, 0x90), "L"), 0xdc, n>>8, n&0xff)
	for i := range n {
		body = appendBackref(body, uint32(3+n-1-i))
	}
	c := newCodec(t)
	// An element is a pointer to what may be nil, so that each nesting reads as the array of one
	// around it.
	h, err := c.Parse(recordOf("greedy", string(body)), testLimits)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Decode(h, new(greedy), DecodeOptions{Limits: testLimits})
	if !errors.Is(err, driver.ErrCorrupt) || !strings.Contains(err.Error(), "too often") {
		t.Errorf("got %v", err)
	}
}

func TestTargetsInsideKeptValuesCostNoMoreThanTheRecord(t *testing.T) {
	t.Parallel()
	// An unknown field of bytes, each of which looks like the head of 50 KB, and another with n
	// references into it: an honest record refers to whole values alone.
	const n = 9000
	content := bytes.Repeat([]byte{0xc5}, 60_000)
	body := append(appendStr([]byte{0x82}, "A"), 0xc5, byte(len(content)>>8), byte(len(content)&0xff))
	from := len(body)
	body = append(appendStr(append(body, content...), "B"), 0xdc, n>>8, n&0xff)
	for i := range n {
		body = appendBackref(body, uint32(from+i))
	}
	c := newCodec(t)
	h, err := c.Parse(recordOf("x", string(body)), testLimits)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Decode(h, new(struct{ Z int }), DecodeOptions{Limits: testLimits})
	if !errors.Is(err, driver.ErrCorrupt) || !strings.Contains(err.Error(), "too often") {
		t.Errorf("got %v", err)
	}
}

func TestLateChainsAreDecodedOnce(t *testing.T) {
	t.Parallel()
	type with struct {
		A *deepPart
		L []*deepPart
	}
	type without struct{ L []*deepPart }
	in := &with{}
	for range 2000 {
		in.A = &deepPart{in.A}
		in.L = append(in.L, in.A)
	}
	c := newCodec(t)
	var out without
	if err := decodeInto(c, newWorld(), encode(t, c, nil, in), &out); err != nil {
		t.Fatal(err)
	}
	for i, p := range out.L[1:] {
		if p.Next != out.L[i] {
			t.Fatalf("link %d leads elsewhere", i)
		}
	}
}

func TestDecodeNeedsAPointer(t *testing.T) {
	t.Parallel()
	c := newCodec(t)
	h, err := c.Parse(encode(t, c, nil, point{}), testLimits)
	if err != nil {
		t.Fatal(err)
	}
	for _, dst := range []any{nil, point{}, (*point)(nil), 5} {
		if _, err := c.Decode(h, dst, DecodeOptions{Limits: testLimits}); err == nil {
			t.Errorf("no error for %#v", dst)
		}
	}
	if _, err := c.Decode(h, new(raw), DecodeOptions{Limits: testLimits}); !errors.Is(err, driver.ErrUnstorable) {
		t.Errorf("into what cannot be stored: %v", err)
	}
}

func TestIDsDoNotHoldTheRecord(t *testing.T) {
	t.Parallel()
	var list ids
	for i := range 1000 {
		list.add(driver.ID(fmt.Sprintf("%0*d", 1+i%180, i)))
	}
	list.sort(&idSorter{})
	c := newCodec(t)
	h, err := c.Parse(recordOf("T", "\xc0", list.list...), testLimits)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(list.list, h.Eager); diff != "" {
		t.Error(diff)
	}
}

func TestSkip(t *testing.T) {
	t.Parallel()
	c := newCodec(t, registeredTypes...)
	for _, v := range []any{1, "x", []any{1, map[string]any{"a": []byte{1}}}, point{}, time.Now(), kinds{}, nested(200)} {
		h, err := c.Parse(encode(t, c, nil, v), testLimits)
		if err != nil {
			t.Fatal(err)
		}
		if end, ok := skip(h.body, 0); !ok || end != len(h.body) {
			t.Errorf("%T: skipped to %d of %d, %v", v, end, len(h.body), ok)
		}
		if !wellFormed(h.body, 20_000) {
			t.Errorf("%T is not well-formed", v)
		}
		for i := range h.body {
			if _, ok := skip(h.body[:i], 0); ok {
				t.Fatalf("%T cut after %d bytes is skipped", v, i)
			}
			if i > 0 && wellFormed(h.body[:i], 20_000) && reflect.TypeOf(v).Kind() != reflect.Slice {
				t.Fatalf("%T cut after %d bytes is well-formed", v, i)
			}
		}
	}
}

// body returns the type and the body of a record.
func body(t *testing.T, data []byte) (string, []byte) {
	t.Helper()
	h, err := newCodec(t).Parse(data, testLimits)
	if err != nil {
		t.Fatal(err)
	}
	return h.Type, h.body
}
