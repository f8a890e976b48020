package codec

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/google/go-cmp/cmp"
)

// identity makes the types of these tests persistable.
type identity struct{ _ [1]byte }

// sealed is what only types that embed identity are.
type sealed interface{ sealed() } //nolint:unused // embedded below

func (*identity) sealed() {}

// unknown keeps the fields that a type lacks.
type unknown struct {
	fields unsafe.Pointer //nolint:unused // the codec sets it
}

var testConfig = Config{Identity: reflect.TypeFor[identity](), Unknown: reflect.TypeFor[unknown](), Forms: genericForms}

var testLimits = Limits{MaxBytes: 1 << 30, MaxDepth: 10_000}

// world gives persistable objects their IDs, and finds them again.
type world struct {
	ids  map[any]driver.ID
	objs map[driver.ID]any

	store string
}

func newWorld() *world { return &world{ids: map[any]driver.ID{}, objs: map[driver.ID]any{}} }

func (w *world) put(id driver.ID, obj any) { w.ids[obj], w.objs[id] = id, obj }

func (w *world) Ref(obj any) (driver.ID, error) {
	if id, ok := w.ids[obj]; ok {
		return id, nil
	}
	return "", fmt.Errorf("no ID for a %T", obj)
}

func (w *world) Lazy(l *Link) (driver.ID, error) {
	if l.Obj != nil {
		return w.Ref(l.Obj)
	}
	return l.ID, nil
}

// Kept implements Resolver.
func (w *world) Kept(id driver.ID, store string) error {
	if store != w.store {
		return fmt.Errorf("%q is of another store", id)
	}
	return nil
}

func (w *world) target(id driver.ID) (any, error) {
	if obj, ok := w.objs[id]; ok {
		return obj, nil
	}
	return nil, fmt.Errorf("%q is gone", id)
}

// newCodec returns a Codec that knows the types given, each by its default name with an x before
// it.
func newCodec(t testing.TB, types ...reflect.Type) *Codec {
	t.Helper()
	c := New(testConfig)
	for _, typ := range types {
		if err := c.Register("x."+typ.Name(), typ); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// encode returns a copy of the record of obj.
func encode(t testing.TB, c *Codec, w Resolver, obj any) []byte {
	t.Helper()
	enc, err := c.NewEncoder(testLimits, w).Encode(obj, nil)
	if err != nil {
		t.Fatalf("encode %T: %v", obj, err)
	}
	data := bytes.Clone(enc.Data)
	if len(data) < 1<<20 {
		checkGeneric(t, c, data, testLimits)
	}
	return data
}

// decodeInto parses and decodes a record.
func decodeInto(c *Codec, w *world, data []byte, dst any) error {
	h, err := c.Parse(data, testLimits)
	if err != nil {
		return err
	}
	_, err = c.Decode(h, dst, DecodeOptions{Limits: testLimits, Target: w.target, Store: w.store})
	return err
}

// roundTrip encodes obj and returns what comes back: a pointer to a new value of its record's
// type. Encoded again it must give the same bytes.
func roundTrip(t testing.TB, c *Codec, w *world, obj any) any {
	t.Helper()
	data := encode(t, c, w, obj)
	typ := reflect.TypeOf(obj)
	if typ.Kind() == reflect.Pointer && typ.Elem().Kind() == reflect.Struct {
		typ = typ.Elem()
	}
	dst := reflect.New(typ)
	if err := decodeInto(c, w, data, dst.Interface()); err != nil {
		t.Fatalf("decode %T: %v\n%x", obj, err, data)
	}
	again := dst.Interface()
	if typ.Kind() != reflect.Struct {
		again = dst.Elem().Interface()
	}
	if data2 := encode(t, c, w, again); !bytes.Equal(data, data2) {
		t.Fatalf("a second encoding differs:\n%x\n%x", data, data2)
	}
	return dst.Interface()
}

type kinds struct {
	Bool       bool
	Int        int
	Int8       int8
	Int16      int16
	Int32      int32
	Int64      int64
	Uint       uint
	Uint8      uint8
	Uint16     uint16
	Uint32     uint32
	Uint64     uint64
	Float32    float32
	Float64    float64
	Complex64  complex64
	Complex128 complex128
	String     string
	Bytes      []byte
	Array      [3]int
	ByteArray  [4]byte
	Slice      []string
	Map        map[string]int
	Pointer    *int
	Struct     struct{ A, B int }
	Duration   time.Duration
	Any        any
	Func       func()
	Chan       chan int
}

type (
	myInt                     int8
	myString                  string
	myBytes                   []byte
	myByte                    byte
	myMap                     map[myString]myInt
	box[T any]                struct{ Value T }
	pair[K comparable, V any] struct {
		Key K
		Val V
	}
	tree struct {
		Name string
		Kids []tree
		ByID map[int]tree
	}
	nest []nest
)

func ptr[T any](v T) *T { return &v }

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	long := string(bytes.Repeat([]byte("0123456789"), 10_000))
	tests := map[string]any{
		"a zero struct of every kind": kinds{},
		"every kind with its least value": kinds{
			Int: math.MinInt, Int8: math.MinInt8, Int16: math.MinInt16, Int32: math.MinInt32, Int64: math.MinInt64,
			Float32: -math.MaxFloat32, Float64: -math.MaxFloat64, Bytes: []byte{}, Slice: []string{}, Map: map[string]int{},
		},
		"every kind with its greatest value": kinds{
			true, math.MaxInt, math.MaxInt8, math.MaxInt16, math.MaxInt32, math.MaxInt64, math.MaxUint, math.MaxUint8, math.MaxUint16, math.MaxUint32, math.MaxUint64,
			math.MaxFloat32, math.MaxFloat64, complex(1, 1e38), complex(math.Inf(-1), 2), "s", []byte{0, 255}, [3]int{1, -2, 3}, [4]byte{1, 2, 3, 4},
			[]string{"a", "", "b"}, map[string]int{"x": 1, "": 2}, ptr(7), struct{ A, B int }{1, 2}, time.Hour, "any", nil, nil,
		},
		"integers around the widths of msgpack": []int64{-1 << 63, -1<<31 - 1, -1 << 31, -1<<15 - 1, -1 << 15, -129, -128, -33, -32, -1, 0, 127, 128, 255, 256, 1<<16 - 1, 1 << 16, 1<<32 - 1, 1 << 32, 1<<63 - 1},
		"unsigned integers":                     []uint64{0, 127, 128, 255, 256, 1<<16 - 1, 1 << 16, 1<<32 - 1, 1 << 32, 1<<64 - 1},
		"floats":                                []float64{0, math.Copysign(0, -1), math.Inf(1), math.SmallestNonzeroFloat64, 0.1},
		"strings around the widths of msgpack":  []string{"", long[:31], long[:32], long[:255], long[:256], long[:65535], long[:65536]},
		"a string that is not UTF-8":            "\xff\xfe a \x00",
		"bytes around the widths of msgpack":    [][]byte{{}, nil, []byte(long[:255]), []byte(long[:256]), []byte(long[:65535]), []byte(long[:65536])},
		"slices around the widths of msgpack":   [][]bool{nil, {}, make([]bool, 15), make([]bool, 16), make([]bool, 65535), make([]bool, 65536)},
		"named types":                           box[pair[myInt, myMap]]{pair[myInt, myMap]{-3, myMap{"a": 1, "bc": 2}}},
		"named bytes":                           pair[string, []myByte]{"k", []myByte{1, 2}},
		"nil and empty slices stay different":   [][]int{nil, {}, {0}},
		"nil and empty maps stay different":     []map[string]string{nil, {}, {"": ""}},
		"nil and empty bytes stay different":    []myBytes{nil, {}, {0}},
		"pointers to pointers":                  ptr(ptr(ptr("deep"))),
		"pointers to nil pointers":              []**int{nil, ptr((*int)(nil)), ptr(ptr(1))},
		"pointers to nil maps and slices":       pair[string, []any]{"k", []any{(*map[string]int)(nil), ptr(map[string]int(nil)), ptr(map[string]int{}), ptr([]int(nil)), ptr([]int{})}},
		"pointers to interfaces":                []*any{nil, ptr(any(nil)), ptr(any(1))},
		"a recursive struct":                    tree{"a", []tree{{"b", nil, map[int]tree{1: {}}}, {"c", []tree{}, nil}}, nil},
		"a recursive slice":                     nest{nil, {}, {{}, {nil}}},
		"an array of arrays":                    [2][3]string{{"a", "b", "c"}, {"d", "e", "f"}},
		"an array of nothing":                   [0]int{},
		"a slice of nothing":                    make([]struct{}, 100),
		"a struct of nothing":                   struct{}{},
		"a map with integer keys":               map[int64]string{-1: "a", 0: "b", 1: "c", 300: "d", -300: "e"},
		"a map with struct keys":                map[pair[int, string]]bool{{1, "a"}: true, {2, "b"}: false},
		"a map with array keys":                 map[[2]string]int{{"a", "b"}: 1, {"c", "d"}: 2},
		"a map with interface keys":             map[any]int{nil: 0, 1: 1, "1": 2, 1.0: 3, true: 4, int8(1): 5, [1]int{1}: 6, uint(1): 7},
		"a map with boolean keys":               map[bool]int{true: 1, false: 0},
		"a map with float keys":                 map[float32]int{1.5: 1, -2: 2},
		"maps in maps":                          map[string]map[string]any{"a": {"b": map[string]any{"c": nil}}, "d": nil},
		"a million bytes":                       bytes.Repeat([]byte{1, 2, 3, 4}, 250_000),
		"a map with many entries":               manyEntries(5000),
		"a slice of large structs":              make([]kinds, 300),
		"an anonymous struct":                   struct{ A, B any }{1, "x"},
		"a bare string":                         "hello",
		"a bare int":                            -5,
		"a bare time":                           time.Unix(1, 2).UTC(),
	}
	for name, obj := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := reflect.ValueOf(roundTrip(t, newCodec(t), newWorld(), obj)).Elem().Interface()
			if !reflect.DeepEqual(got, obj) {
				t.Errorf("got  %#v\nwant %#v", got, obj)
			}
		})
	}
}

func manyEntries(n int) map[string][]int {
	m := map[string][]int{}
	for i := range n {
		m[fmt.Sprint("key ", i)] = []int{i, -i}
	}
	return m
}

func TestStructAndPointerGiveTheSameRecord(t *testing.T) {
	t.Parallel()
	c, w := newCodec(t), newWorld()
	v := kinds{Int: 5, Slice: []string{"a"}}
	if a, b := encode(t, c, w, v), encode(t, c, w, &v); !bytes.Equal(a, b) {
		t.Errorf("by value %x\nby pointer %x", a, b)
	}
}

func TestFloatsKeepEveryBit(t *testing.T) {
	t.Parallel()
	type floats struct {
		A []uint64
		F []float64
		G []float32
		C []complex64
		D []complex128
		X []any
	}
	quiet, signalling := uint64(0x7ff8000000000123), uint64(0xfff0000000000001)
	q32, s32 := uint32(0x7fc00123), uint32(0xff800001)
	in := floats{
		F: []float64{math.Float64frombits(quiet), math.Float64frombits(signalling), math.Copysign(0, -1)},
		G: []float32{math.Float32frombits(q32), *(*float32)(unsafe.Pointer(&s32))},
		C: []complex64{complex(math.Float32frombits(q32), 1)},
		D: []complex128{complex(1, math.Float64frombits(quiet))},
		X: []any{math.NaN(), float32(1.5), complex64(1), complex128(2i)},
	}
	out := roundTrip(t, newCodec(t), newWorld(), &in).(*floats)
	for i := range in.F {
		if a, b := math.Float64bits(in.F[i]), math.Float64bits(out.F[i]); a != b {
			t.Errorf("float64 %x became %x", a, b)
		}
	}
	for i := range in.G {
		if a, b := *(*uint32)(unsafe.Pointer(&in.G[i])), *(*uint32)(unsafe.Pointer(&out.G[i])); a != b {
			t.Errorf("float32 %x became %x", a, b)
		}
	}
	if a, b := math.Float32bits(real(in.C[0])), math.Float32bits(real(out.C[0])); a != b {
		t.Errorf("complex64 %x became %x", a, b)
	}
	if a, b := math.Float64bits(imag(in.D[0])), math.Float64bits(imag(out.D[0])); a != b {
		t.Errorf("complex128 %x became %x", a, b)
	}
	if f, ok := out.X[0].(float64); !ok || f == f {
		t.Errorf("NaN became %v", out.X[0])
	}
	if diff := cmp.Diff(in.X[1:], out.X[1:]); diff != "" {
		t.Error(diff)
	}
}

func TestNaNKeysAllComeBack(t *testing.T) {
	t.Parallel()
	in := map[float64]int{math.NaN(): 1, math.Copysign(math.NaN(), -1): 2, 0: 4}
	in[math.NaN()] = 3
	out := *roundTrip(t, newCodec(t), newWorld(), in).(*map[float64]int)
	var got []int
	for _, v := range out {
		got = append(got, v)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]int{1, 2, 3, 4}, got); diff != "" {
		t.Error(diff)
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	type stamp time.Time
	type holder struct {
		T time.Time
		P *time.Time
		S stamp
		A any
	}
	zone := time.FixedZone("CET", 3600)
	tests := map[string]time.Time{
		"the zero time":                  {},
		"the Unix epoch":                 time.Unix(0, 0).UTC(),
		"nanoseconds":                    time.Unix(1731000000, 999999999).UTC(),
		"before the epoch":               time.Date(1900, 1, 1, 0, 0, 0, 1, time.UTC),
		"beyond 34 bits of seconds":      time.Date(2900, 1, 1, 0, 0, 0, 0, time.UTC),
		"year 0":                         time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC),
		"a year below 0":                 time.Date(-20000, 1, 1, 0, 0, 0, 5, time.UTC),
		"a year over 9999":               time.Date(123456, 1, 1, 0, 0, 0, 0, time.UTC),
		"a zone":                         time.Date(2024, 7, 1, 12, 0, 0, 5, zone),
		"a zone that is not whole hours": time.Date(2024, 7, 1, 12, 0, 0, 5, time.FixedZone("", -(3600*3+1234))),
		"a zone at UTC that is not UTC":  time.Date(2024, 7, 1, 12, 0, 0, 0, time.FixedZone("GMT", 0)),
		"local time":                     time.Date(2024, 7, 1, 12, 0, 0, 0, time.Local),
		"a monotonic reading":            time.Now(),
	}
	for name, in := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := roundTrip(t, newCodec(t), newWorld(), &holder{in, &in, stamp(in), in}).(*holder)
			for _, got := range []time.Time{out.T, *out.P, time.Time(out.S), out.A.(time.Time)} {
				_, a := in.Zone()
				_, b := got.Zone()
				if !got.Equal(in) || a != b || got.IsZero() != in.IsZero() || (in.Location() == time.UTC) != (got.Location() == time.UTC) {
					t.Errorf("%v became %v", in, got)
				}
			}
		})
	}
}

func TestManyMegabytesOfBytes(t *testing.T) {
	t.Parallel()
	size := 64 << 20
	if testing.Short() {
		size = 16 << 20
	}
	in := box[[]byte]{make([]byte, size)}
	in.Value[5], in.Value[size-1] = 1, 2
	c, w := newCodec(t), newWorld()
	data := encode(t, c, w, &in)
	var out box[[]byte]
	if err := decodeInto(c, w, data, &out); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(in.Value, out.Value) {
		t.Error("other bytes came back")
	}
}
