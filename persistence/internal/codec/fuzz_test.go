package codec

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
	"pgregory.net/rapid"
)

// FuzzDecode decodes bodies that nobody encoded. The checksum is put right, so that they are
// really read. What can be decoded can be encoded, and from then on gives the same bytes.
func FuzzDecode(f *testing.F) {
	c := newCodec(f, append(registeredTypes, reflect.TypeFor[fullPart](), reflect.TypeFor[vertex](), reflect.TypeFor[all](), reflect.TypeFor[hostileTarget]())...)
	types := []reflect.Type{
		reflect.TypeFor[hostileTarget](), reflect.TypeFor[vertex](), reflect.TypeFor[task](), reflect.TypeFor[embedding](), reflect.TypeFor[older](),
		reflect.TypeFor[kinds](), reflect.TypeFor[any](), reflect.TypeFor[map[any]any](), reflect.TypeFor[[]*nest](), reflect.TypeFor[[]set](), reflect.TypeFor[[]all](),
		reflect.TypeFor[thin](), reflect.TypeFor[map[string][]thinLeaf](), reflect.TypeFor[fuzzUpgraded](), reflect.TypeFor[[]fuzzChanged](),
	}
	w, tasks := graphWorld(4)
	seed := func(i int, obj any) {
		h, err := c.Parse(encode(f, c, w, obj), testLimits)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i)|(h.format-versionFirst)<<7, h.body)
	}
	v := &vertex{Name: "a", Ref: tasks[1], Refs: map[*task]string{tasks[0]: "x"}, Lazy: ref[task]{Link{Obj: tasks[2]}}}
	v.Edges = []*vertex{v, {Name: "b"}}
	v.Keyed = map[*vertex]any{v: 1, v.Edges[1]: []any{int8(1), point{1, 2}}}
	seed(0, &hostileTarget{A: []any{1, "x"}, I: []int{1, 2}, P: ptr(1), Q: ptr("x"), X: map[string]any{"a": 1}, Y: []*hostileTarget{{}}})
	seed(1, v)
	seed(2, &task{Needs: tasks})
	seed(3, &embedding{mixin: &mixin{}})
	seed(4, &newer{A: []*point{{1, 2}}, P: &point{3, 4}})
	seed(5, &kinds{Slice: []string{"a"}})
	seed(6, box[any]{[]any{1, []int{1}, map[any]any{1: &point{}}}})
	seed(7, map[any]any{1: 2, "a": []any{nil}})
	seed(9, []set{{map[string]struct{}{"a": {}}}})
	seed(10, []all{{}})
	full := fullValue(w)
	full.Host, full.Zz[1] = nil, tasks[2]
	seed(11, full)
	seed(11, &newer{A: []*point{{1, 2}}, P: &point{3, 4}})
	seed(12, map[string][]fullLeaf{"a": {{A: 1, B: 2}}})
	seed(13, full)
	seed(13, map[string]any{"A": []any{1, "x"}, "B": map[string]any{"k": int8(1)}})
	seed(14, []map[string]any{{"Old": 1, "Two": 2.0, "One": "x", "Ptr": map[string]int{"X": 1}}})
	for _, name := range []string{"Europe/Zurich", "America/New_York", "EST", "Local", "UTC", "no/such zone", "../../etc/passwd", "/etc/localtime"} {
		seed(6, []any{time.Date(2024, 3, 8, 9, 0, 0, 0, time.FixedZone(name, -5*3600))})
	}
	f.Fuzz(func(t *testing.T, kind uint8, body []byte) {
		if len(body) == 0 || len(body) > 1<<16 {
			return
		}
		typ := types[int(kind&0x7f)%len(types)]
		lim := Limits{1 << 20, 200}
		h, err := c.Parse(recordOfVersion(versionFirst+kind>>7, "T", string(body), "t.0", "t.1", "t.2", "t.3"), lim)
		if err != nil {
			t.Fatal(err)
		}
		dst := reflect.New(typ)
		out, err := c.Decode(h, dst.Interface(), DecodeOptions{Limits: lim, Target: w.target, Lazy: func(l *Link) { l.Store = "s" }})
		if err != nil {
			if strings.Contains(err.Error(), "runtime error") {
				t.Fatal(err)
			}
			return
		}
		e := c.NewEncoder(Limits{1 << 24, 1000}, w)
		obj := dst.Interface()
		if typ.Kind() != reflect.Struct {
			if obj = dst.Elem().Interface(); obj == nil {
				return
			}
		}
		kept := out.Kept
		if typ.Kind() != reflect.Struct {
			kept = nil // it belongs to the variable that was decoded into
		}
		enc, err := e.Encode(obj, kept)
		if err != nil {
			t.Fatalf("what was decoded is not encoded: %v", err)
		}
		first := bytes.Clone(enc.Data)
		if h, err = c.Parse(first, Limits{1 << 24, 1000}); err != nil {
			t.Fatal(err)
		}
		again := reflect.New(reflect.TypeOf(obj))
		if typ.Kind() == reflect.Struct {
			again = reflect.New(typ)
		}
		if out, err = c.Decode(h, again.Interface(), DecodeOptions{Limits: Limits{1 << 24, 1000}, Target: w.target}); err != nil {
			t.Fatalf("what was encoded is not decoded: %v", err)
		}
		obj = again.Interface()
		if typ.Kind() != reflect.Struct {
			obj = again.Elem().Interface()
		}
		if kept != nil {
			kept = out.Kept
		}
		if enc, err = e.Encode(obj, kept); err != nil || !bytes.Equal(first, enc.Data) {
			t.Fatalf("other bytes, %v:\n%x\n%x", err, first, enc.Data)
		}
	})
}

// fuzzUpgraded has whatever an older record held moved to other fields.
type fuzzUpgraded struct {
	A, B any
	L    []any
	M    map[string]any
	P    *fuzzUpgraded
	R    *task
	T    time.Time
}

func (*fuzzUpgraded) RecordVersion() int { return 1 }

func (*fuzzUpgraded) UpgradeRecord(_ int, fields map[string]any) error {
	fields["A"], fields["B"] = fields["B"], fields["A"]
	fields["L"] = []any{fields["L"], fields["M"], fields["A"]}
	if m, ok := fields["M"].(map[string]any); ok {
		m["moved"] = fields["B"]
	}
	delete(fields, "X")
	return nil
}

// fuzzChanged has fields of other types and names than what is stored.
type fuzzChanged struct {
	One     []string
	Two     int `msgpack:"Two,alias:Old,alias:Older"`
	Ptr     *point
	F       float32
	unknown //nolint:unused // the codec finds it
}

// FuzzParse reads records that nobody made, their checksum put right.
func FuzzParse(f *testing.F) {
	c := newCodec(f)
	f.Add([]byte(headStart + "\x01\xa1T\x00\x92\xa1a\xa1b\x90\xc0"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := c.Parse(seal(b), testLimits)
		if err != nil {
			return
		}
		again := appendUint(appendStr(append([]byte(headStart), h.format), h.Type), uint64(h.Version))
		again = (&ids{list: h.Eager}).append(again)
		again = append((&ids{list: h.Lazy}).append(again), h.body...)
		if !bytes.Equal(again, b) {
			t.Errorf("a header of two forms: %x, %x", b, again)
		}
		for _, id := range append(h.Eager, h.Lazy...) {
			if id == "" || len(id) > driver.MaxIDLen {
				t.Errorf("an ID of %d bytes", len(id))
			}
		}
	})
}

// FuzzRoundTrip encodes, decodes and encodes random graphs.
func FuzzRoundTrip(f *testing.F) {
	c := graphCodec(f)
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) { checkGraph(t, c) }))
}
