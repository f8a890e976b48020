package extrafields

import (
	"encoding/json"
	"math"
	"math/big"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

type (
	word   string
	count  uint16
	ratio  float32
	flag   bool
	octet  byte
	octets []octet
	stamp  time.Time
	color  int
	spoken string
	loop   *loop
	list   []string
)

func (c color) String() string  { return [...]string{"red", "green"}[c] }
func (s spoken) String() string { return "spoken " + string(s) }
func (l list) String() string   { return strings.Join(l, ",") }

func TestCanonical(t *testing.T) {
	t.Parallel()
	text, num, nilNum := "x", 7, (*int)(nil)
	ptr := &num
	zone := time.FixedZone("x", 3600)
	for _, tt := range []struct {
		name string
		kind Kind
		in   any
		want any // nil: NULL; an error's part where it is of type failure
	}{
		{"a string", Text, "x", "x"},
		{"an empty string", Text, "", ""},
		{"a named string", Text, word("x"), "x"},
		{"a pointer to a string", Text, &text, "x"},
		{"a named string with a String method", Text, spoken("x"), "x"},
		{"an integer with a String method", Text, color(1), "green"},
		{"a pointer to it", Text, ptrTo(color(1)), "green"},
		{"a String method of the pointer", Text, big.NewInt(12), "12"},
		{"a struct with a String method", Text, netip.MustParseAddr("::1"), "::1"},
		{"a slice with a String method", Text, list{"a", "b"}, "a,b"},
		{"a nil pointer with a String method", Text, (*big.Int)(nil), nil},
		{"a duration as text", Text, time.Minute, "1m0s"},
		{"text with a NUL", Text, "a\x00", failure("NUL")},
		{"text of invalid UTF-8", Text, word("a\xff"), failure("UTF-8")},
		{"a number as text", Text, 1, failure("int is no text")},
		{"bytes as text", Text, []byte("x"), failure("no text")},
		{"a time as text", Text, time.Now(), failure("no text")},
		{"a named time as text", Text, stamp{}, failure("no text")},

		{"an int64", Int, int64(-5), int64(-5)},
		{"an int8", Int, int8(-5), int64(-5)},
		{"a named uint16", Int, count(65535), int64(65535)},
		{"a pointer to a pointer", Int, &ptr, int64(7)},
		{"a nil pointer behind a pointer", Int, &nilNum, nil},
		{"a duration", Int, time.Microsecond, int64(1000)},
		{"the greatest integer", Int, uint64(math.MaxInt64), int64(math.MaxInt64)},
		{"an integer beyond", Int, uint64(math.MaxInt64 + 1), failure("9223372036854775808 is more")},
		{"an integer with a String method stays one", Int, color(1), int64(1)},
		{"a float as an integer", Int, 1.0, failure("float64 is no int")},
		{"a bool as an integer", Int, true, failure("bool is no int")},
		{"a string as an integer", Int, "1", failure("string is no int")},

		{"a float64", Float, 2.5, 2.5},
		{"a float32", Float, ratio(0.1), float64(float32(0.1))},
		{"minus zero", Float, math.Copysign(0, -1), 0.0},
		{"minus zero in a float32", Float, float32(math.Copysign(0, -1)), 0.0},
		{"NaN", Float, math.NaN(), nil},
		{"NaN in a float32", Float, float32(math.NaN()), nil},
		{"an infinity", Float, math.Inf(-1), failure("infinite")},
		{"an infinity in a float32", Float, float32(math.Inf(1)), failure("infinite")},
		{"an integer as a float", Float, int64(1 << 53), float64(1 << 53)},
		{"an integer that is not exact", Float, int64(1<<53 + 1), failure("not exact")},
		{"the greatest int64", Float, int64(math.MaxInt64), failure("not exact")},
		{"the least int64", Float, int64(math.MinInt64), -0x1p63},
		{"an unsigned integer as a float", Float, uint64(1 << 63), 0x1p63},
		{"the greatest uint64", Float, uint64(math.MaxUint64), failure("not exact")},
		{"a string as a float", Float, "1", failure("no float")},

		{"a bool", Bool, true, true},
		{"a named bool", Bool, flag(true), true},
		{"a number as a bool", Bool, 1, failure("no bool")},

		{"bytes", Bytes, []byte{1}, []byte{1}},
		{"empty bytes", Bytes, []byte{}, []byte{}},
		{"nil bytes", Bytes, []byte(nil), nil},
		{"named bytes", Bytes, json.RawMessage("1"), []byte("1")},
		{"bytes of a named kind", Bytes, octets{1, 2}, []byte{1, 2}},
		{"an array of bytes", Bytes, [2]byte{1, 2}, []byte{1, 2}},
		{"an array of bytes of a named kind", Bytes, [2]octet{1, 2}, []byte{1, 2}},
		{"a pointer to an array of bytes", Bytes, &[2]byte{1, 2}, []byte{1, 2}},
		{"a string as bytes", Bytes, "x", failure("no bytes")},
		{"numbers as bytes", Bytes, []int{1}, failure("no bytes")},

		{"a time", Time, time.Date(2026, 1, 2, 3, 4, 5, 6789, zone), time.Date(2026, 1, 2, 2, 4, 5, 6000, time.UTC)},
		{"a time before 1970 is cut downward", Time, time.Date(1969, 1, 1, 0, 0, 0, 1999, time.UTC), time.Date(1969, 1, 1, 0, 0, 0, 1000, time.UTC)},
		{"the zero time", Time, time.Time{}, time.Time{}.UTC()},
		{"a named time", Time, stamp(time.Unix(1, 0)), time.Unix(1, 0).UTC()},
		{"a pointer to a time", Time, ptrTo(time.Unix(1, 0)), time.Unix(1, 0).UTC()},
		{"a time too late", Time, time.Date(300000, 1, 1, 0, 0, 0, 0, time.UTC), failure("300000")},
		{"a time too early", Time, time.Date(-300000, 1, 1, 0, 0, 0, 0, time.UTC), failure("-300000")},
		{"a number as a time", Time, 1, failure("no time")},
		{"a struct as a time", Time, struct{}{}, failure("no time")},

		{"nil", Text, nil, nil},
		{"a struct", Int, struct{}{}, failure("struct {} is no int")},
		{"a pointer to itself", Int, loopOfPointers(), failure("pointers")},
		{"an interface in itself", Text, loopOfInterfaces(), failure("pointers")},
		{"an unknown kind", 0, "x", failure("unknown kind")},
		{"nil of an unknown kind", 7, nil, failure("unknown kind")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Canonical(tt.kind, tt.in)
			if part, ok := tt.want.(failure); ok {
				if err == nil || !strings.Contains(err.Error(), string(part)) || got != nil {
					t.Fatalf("%v, %v, want an error with %q", got, err, part)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if tm, ok := got.(time.Time); ok && tm != tt.want {
				t.Errorf("%#v is not == %#v", got, tt.want)
			}
			if f, ok := got.(float64); ok && math.Signbit(f) && f == 0 {
				t.Error("minus zero")
			}
		})
	}
}

// failure is part of the text of a wanted error.
type failure string

func ptrTo[T any](v T) *T { return &v }

func loopOfPointers() any {
	var l loop
	l = &l
	return l
}

func loopOfInterfaces() any {
	var v any
	v = &v
	return v
}

func TestCanonicalCopiesBytes(t *testing.T) {
	t.Parallel()
	for _, in := range []any{[]byte{1, 2}, &[]byte{1, 2}, octets{1, 2}} {
		got, err := Canonical(Bytes, in)
		if err != nil {
			t.Fatal(err)
		}
		switch in := in.(type) {
		case []byte:
			in[0] = 9
		case *[]byte:
			(*in)[0] = 9
		case octets:
			in[0] = 9
		}
		if diff := cmp.Diff([]byte{1, 2}, got); diff != "" {
			t.Errorf("%T (-want +got):\n%s", in, diff)
		}
	}
}

func TestCanonicalIsAtRest(t *testing.T) {
	t.Parallel()
	kinds := []Kind{Text, Int, Float, Bool, Bytes, Time}
	values := rapid.OneOf(
		rapid.String().AsAny(), rapid.Int64().AsAny(), rapid.Uint64().AsAny(), rapid.Float64().AsAny(), rapid.Float32().AsAny(),
		rapid.Bool().AsAny(), rapid.SliceOf(rapid.Byte()).AsAny(),
		rapid.Custom(func(t *rapid.T) time.Time {
			return time.Unix(rapid.Int64().Draw(t, "s"), rapid.Int64().Draw(t, "ns"))
		}).AsAny(),
	)
	rapid.Check(t, func(t *rapid.T) {
		kind, v := rapid.SampledFrom(kinds).Draw(t, "kind"), values.Draw(t, "v")
		once, err := Canonical(kind, v)
		if err != nil || once == nil {
			return
		}
		twice, err := Canonical(kind, once)
		if err != nil || !cmp.Equal(once, twice) {
			t.Fatalf("%v %T(%v): %v, then %v, %v", kind, v, v, once, twice, err)
		}
		if f, ok := once.(float64); ok {
			if n, ok := v.(int64); ok && big.NewFloat(f).Cmp(new(big.Float).SetInt64(n)) != 0 {
				t.Fatalf("%d became %f", n, f)
			}
			if n, ok := v.(uint64); ok && big.NewFloat(f).Cmp(new(big.Float).SetUint64(n)) != 0 {
				t.Fatalf("%d became %f", n, f)
			}
		}
	})
}
