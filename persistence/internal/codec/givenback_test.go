package codec

import (
	"errors"
	"math"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence/driver"
)

// What is encoded is decoded again: these are values that were lost, or that could not be read.

type (
	givenInner struct{ A int }
	givenOmit  struct {
		A, B int `msgpack:",omitempty"`
	}
	givenNever struct {
		P uintptr `msgpack:",omitempty"`
		N int     `msgpack:",omitempty"`
	}
	givenOnlyNever struct {
		P uintptr `msgpack:",omitempty"`
	}
	givenDeep   struct{ *givenDeeper }
	givenDeeper struct{ *givenInner }
	givenMixed  struct {
		*givenInner
		N int `msgpack:",omitempty"`
	}
	embedsOmit struct {
		*givenOmit
		C int
	}
	embedsHidden struct {
		*givenInner
		A string
	}
	embedsNever struct {
		*givenNever
		C int
	}
	embedsOnlyNever struct {
		*givenOnlyNever
		C int
	}
	embedsDeep struct {
		*givenDeep
		C int
	}
	embedsMixed struct {
		*givenMixed
		C int
	}
	givenKey struct {
		A int
		b int
	}
	givenText  struct{ s string }
	givenBit   uint8
	givenFloat struct{ F float64 } // hidden by another F
)

func (g givenText) MarshalText() ([]byte, error)  { return []byte(strings.ToLower(g.s)), nil }
func (g *givenText) UnmarshalText(b []byte) error { g.s = string(b); return nil }

func TestEmbeddedPointersThatHoldNothingComeBack(t *testing.T) {
	t.Parallel()
	for _, in := range []any{
		&embedsOmit{&givenOmit{}, 1},
		&embedsOmit{&givenOmit{B: 2}, 1},
		&embedsOmit{nil, 1},
		&embedsHidden{&givenInner{}, "a"},
		&embedsHidden{&givenInner{3}, "a"},
		&embedsHidden{nil, "a"},
		&embedsNever{&givenNever{}, 1},
		&embedsDeep{&givenDeep{&givenDeeper{&givenInner{}}}, 1},
		&embedsDeep{nil, 1},
		&embedsMixed{&givenMixed{}, 1},
		&embedsMixed{&givenMixed{givenInner: &givenInner{}}, 1},
		&struct{ L []embedsOmit }{[]embedsOmit{{&givenOmit{}, 1}, {}}},
	} {
		c := newCodec(t)
		if diff := cmp.Diff(in, roundTrip(t, c, newWorld(), in), compareAll); diff != "" {
			t.Errorf("%T (-want +got):\n%s", in, diff)
		}
	}
	for path, in := range map[string]any{
		"embedsDeep: ":      &embedsDeep{&givenDeep{}, 1},
		"[]codec.embedsDee": []embedsDeep{{&givenDeep{&givenDeeper{}}, 1}},
		"embedsOnlyNever: ": &embedsOnlyNever{&givenOnlyNever{}, 1},
	} {
		_, err := newCodec(t).NewEncoder(testLimits, newWorld()).Encode(in, nil)
		if !errors.Is(err, driver.ErrUnstorable) || !strings.HasPrefix(err.Error(), path) || !strings.Contains(err.Error(), "embedded") {
			t.Errorf("%T: %v", in, err)
		}
	}
	// A field of the outer type that is kept aside is written beside the one that is empty.
	type newer struct {
		*givenOmit
		C, D int
	}
	c := newCodec(t)
	h, err := c.Parse(encode(t, c, newWorld(), &newer{&givenOmit{}, 1, 2}), testLimits)
	if err != nil {
		t.Fatal(err)
	}
	var old embedsOmit
	out, err := c.Decode(h, &old, DecodeOptions{Limits: testLimits})
	if err != nil || old.givenOmit == nil {
		t.Fatalf("%+v, %v", old, err)
	}
	again, err := c.NewEncoder(testLimits, newWorld()).Encode(&old, out.Kept)
	if err != nil {
		t.Fatal(err)
	}
	if h2, err := c.Parse(again.Data, testLimits); err != nil || string(h2.body) != string(h.body) {
		t.Errorf("%x, want %x, %v", h2.body, h.body, err)
	}
}

func TestNegativeZeroIsNotEmpty(t *testing.T) {
	t.Parallel()
	type floats struct {
		F float64    `msgpack:",omitempty"`
		G float32    `msgpack:",omitempty"`
		C complex128 `msgpack:",omitempty"`
		S struct {
			N int
			A [2]float32
		} `msgpack:",omitempty"`
		givenFloat
	}
	zero := math.Copysign(0, -1)
	in := &floats{F: zero, G: float32(zero), C: complex(0, zero), givenFloat: givenFloat{F: zero}}
	in.S.A[1] = float32(zero)
	got := roundTrip(t, newCodec(t), newWorld(), in).(*floats)
	if !math.Signbit(got.F) || !math.Signbit(float64(got.G)) || !math.Signbit(imag(got.C)) || !math.Signbit(float64(got.S.A[1])) || !math.Signbit(got.givenFloat.F) {
		t.Errorf("got %v", got)
	}
	c := newCodec(t)
	if h, err := c.Parse(encode(t, c, newWorld(), &floats{}), testLimits); err != nil || string(h.body) != "\x80" {
		t.Errorf("zeros are written: %q, %v", h.body, err)
	}
}

// Keys that differ only in what is not stored would be one key, which no record can have twice.
func TestKeysThatWouldBeOne(t *testing.T) {
	t.Parallel()
	now := time.Now()
	tokyo := func() *time.Location { return mustLoad(t, "Asia/Tokyo") }
	one := &givenInner{}
	otherNaN := math.Float64frombits(0x7ff8000000000001)
	dep := &task{}
	for name, in := range map[string]any{
		"an unexported field": map[givenKey]int{{1, 1}: 1, {1, 2}: 2},
		"behind an interface": map[any]int{givenKey{1, 1}: 1, givenKey{1, 2}: 2},
		"in an array":         map[[1]givenKey]int{{{1, 1}}: 1, {{1, 2}}: 2},
		"beside a pointer": map[struct {
			P *givenInner
			K givenKey
		}]int{{one, givenKey{1, 1}}: 1, {one, givenKey{1, 2}}: 2},
		"a text of its own":              map[givenText]int{{"a"}: 1, {"A"}: 2},
		"the monotonic clock":            map[time.Time]int{now: 1, now.Round(0): 2},
		"a location that is loaded anew": map[time.Time]int{now.In(tokyo()): 1, now.In(tokyo()): 2},
		"lazy references":                map[ref[task]]int{{Link{Obj: dep}}: 1, {Link{ID: "1"}}: 2},
	} {
		c, w := newCodec(t), newWorld()
		w.put("1", dep)
		if err := c.Register("given.key", reflect.TypeFor[givenKey]()); err != nil {
			t.Fatal(err)
		}
		_, err := c.NewEncoder(testLimits, w).Encode(in, nil)
		if !errors.Is(err, driver.ErrUnstorable) || !strings.Contains(err.Error(), "two keys") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, in := range map[string]any{
		"NaN": map[float64]int{math.NaN(): 1, otherNaN: 2},
		"NaN in a struct": map[struct {
			F float32
			N int
		}]int{{float32(math.NaN()), 1}: 1, {float32(math.NaN()), 1}: 2},
		"NaN behind an interface":  map[any]int{math.NaN(): 1, otherNaN: 1},
		"pointers to equal values": map[*givenInner]int{{1}: 1, {1}: 2, nil: 3},
		"embedded pointers":        map[embedsOmit]int{{&givenOmit{1, 1}, 1}: 1, {&givenOmit{1, 1}, 1}: 2},
		"pointers and others": map[struct {
			P *givenInner
			N int
		}]int{{one, 1}: 1, {one, 2}: 2, {&givenInner{}, 1}: 3},
		"pointers behind an interface": map[any]int{one: 1, &givenInner{}: 2},
	} {
		c := newCodec(t)
		if err := c.Register("given.inner", reflect.TypeFor[givenInner]()); err != nil {
			t.Fatal(err)
		}
		got := roundTrip(t, c, newWorld(), in)
		if reflect.ValueOf(got).Elem().Len() != reflect.ValueOf(in).Len() {
			t.Errorf("%s: %v became %v", name, in, got)
		}
	}
}

// The text of a big.Float is less than the number.
func TestBigFloatsKeepTheirPrecision(t *testing.T) {
	t.Parallel()
	type sole struct{ big.Float }
	third := func(prec uint) *big.Float {
		return new(big.Float).SetPrec(prec).Quo(big.NewFloat(1), big.NewFloat(3))
	}
	type floats struct {
		F    big.Float
		P, Q *big.Float
		S    sole
		Any  any
		L    []*big.Float
	}
	c := newCodec(t)
	if err := c.Register("big.Float", reflect.TypeFor[big.Float]()); err != nil {
		t.Fatal(err)
	}
	in := &floats{P: big.NewFloat(0.1), Q: third(64), Any: third(1000), L: []*big.Float{new(big.Float).SetInf(true), new(big.Float).SetMode(big.ToZero).SetInt64(3), nil}}
	in.F.Set(third(24))
	in.S.Set(third(200))
	if diff := cmp.Diff(in, roundTrip(t, c, newWorld(), in), cmp.Exporter(func(reflect.Type) bool { return true }), cmp.Comparer(sameFloat)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	checkGeneric(t, c, encode(t, c, nil, in), testLimits)
	h, err := c.Parse(encode(t, c, nil, &box[*big.Float]{third(64)}), testLimits)
	if err != nil || h.format != versionFirst || !strings.Contains(string(h.body), "0.3333333333333333333") {
		t.Errorf("one of 64 bits: %q, %v", h.body, err)
	}
	var out box[*big.Float]
	for _, bad := range []string{"\xc4\x00", "\xc4\x01\x01", "\xc4\x0e\x01\x0a\x00\x00\x00\x35\x00\x00\x00\x00\x00\x00\x00\x00"} {
		if err := decodeInto(c, newWorld(), recordOf("T", "\x81\xa5Value"+bad), &out); err != nil && !errors.Is(err, driver.ErrType) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func sameFloat(a, b big.Float) bool {
	return a.Cmp(&b) == 0 && a.Prec() == b.Prec() && a.Mode() == b.Mode() && a.Signbit() == b.Signbit() ||
		a.Sign() == 0 && b.Sign() == 0 && min(a.Prec(), b.Prec()) == 0
}

// A record whose type is composed of one that is stored as bytes finds that type by its name.
func TestNamesOfBytesAreKnown(t *testing.T) {
	t.Parallel()
	for _, v := range []any{[]givenBit{1}, [2]givenBit{1, 2}, map[string][]givenBit{}} {
		c := newCodec(t)
		name, err := c.TypeName(reflect.TypeOf(v))
		if err != nil {
			t.Fatal(err)
		}
		if typ, _, err := c.Resolve(name); err != nil || typ != reflect.TypeOf(v) {
			t.Errorf("%s is %v, %v", name, typ, err)
		}
	}
}
