package codec

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

type genericRef struct {
	ID   driver.ID
	Lazy bool
}

type genericTyped struct {
	Type  string
	Value any
}

var genericForms = &GenericForms{
	Ref:   func(id driver.ID, lazy bool) any { return genericRef{id, lazy} },
	Typed: func(name string, value any) any { return genericTyped{name, value} },
	OpenRef: func(v any) (driver.ID, bool, bool) {
		r, ok := v.(genericRef)
		return r.ID, r.Lazy, ok
	},
	OpenTyped: func(v any) (string, any, bool) {
		t, ok := v.(genericTyped)
		return t.Type, t.Value, ok
	},
}

// checkGeneric holds that a record made of its generic values has the same bytes, with its types
// registered or not.
func checkGeneric(t interface {
	Helper()
	Fatalf(string, ...any)
}, c *Codec, data []byte, lim Limits) {
	t.Helper()
	for _, c := range []*Codec{c, New(testConfig)} {
		h, err := c.Parse(data, lim)
		if err != nil {
			t.Fatalf("parse: %v", err)
		}
		var o Origins
		v, err := c.Generic(h, lim, genericForms, &o)
		if err != nil {
			t.Fatalf("generic values: %v\n%x", err, data)
		}
		again, err := c.Regeneric(h, v, lim, genericForms, &o)
		if err != nil {
			t.Fatalf("back: %v\n%x", err, data)
		}
		if !bytes.Equal(h.body, again.body) || !reflect.DeepEqual(h, again) {
			t.Fatalf("other bytes:\n%x\n%x\n%v", h.body, again.body, v)
		}
		// Without origins too it is one value, unless what was shared is too much.
		if v, err = c.Generic(h, lim, genericForms, nil); err != nil {
			t.Fatalf("without origins: %v", err)
		}
		again, err = c.Regeneric(h, v, Limits{min(lim.MaxBytes, 1<<16), lim.MaxDepth}, genericForms, nil)
		if end, ok := skip(again.body, 0); err == nil && (!ok || end != len(again.body)) || err != nil && !errors.Is(err, driver.ErrTooLarge) {
			t.Fatalf("without origins: %v\n%x\n%x", err, h.body, again.body)
		}
	}
}

func TestRecordsOfGenericValuesAreTheSame(t *testing.T) {
	t.Parallel()
	c := graphCodec(t)
	rapid.Check(t, func(t *rapid.T) {
		w, tasks := graphWorld(4)
		enc, err := c.NewEncoder(testLimits, w).Encode(drawGraph(t, tasks)(), nil)
		if err != nil {
			t.Fatal(err)
		}
		checkGeneric(t, c, enc.Data, testLimits)
	})
}

func TestGenericValues(t *testing.T) {
	t.Parallel()
	c := newCodec(t, registeredTypes...)
	zoned := time.Date(2024, 3, 8, 9, 0, 0, 7, time.FixedZone("Mars/Olympus", 3600))
	nan := math.NaN()
	typed := func(name string, v any) any { return genericTyped{name, v} }
	tests := map[string]struct {
		in   any
		want any
	}{
		"integers":                       {[]any{1, int64(2), uint64(3), uint64(1 << 63), -1 << 30}, []any{int64(1), int64(2), int64(3), uint64(1 << 63), int64(-1 << 30)}},
		"other built-in kinds":           {[]any{int8(1), uint(2), float32(0.5)}, []any{typed("int8", int64(1)), typed("uint", int64(2)), typed("float32", 0.5)}},
		"complex numbers":                {[]any{2i, complex64(1i)}, []any{2i, typed("complex64", 1i)}},
		"times":                          {[]any{zoned, time.Unix(1, 2).UTC(), time.Second}, []any{zoned, time.Unix(1, 2).UTC(), typed("time.Duration", int64(time.Second))}},
		"times in fields":                {struct{ T, U time.Time }{zoned, time.Unix(1, 2).UTC()}, map[string]any{"T": zoned, "U": time.Unix(1, 2).UTC()}},
		"nil and empty":                  {struct{ A, B []int }{nil, []int{}}, map[string]any{"A": nil, "B": []any{}}},
		"an empty map":                   {map[int]string{}, map[string]any{}},
		"bytes":                          {struct{ A, B []byte }{nil, []byte{1}}, map[string]any{"A": nil, "B": []byte{1}}},
		"a float in 32 bits":             {[]float32{1.5}, []any{1.5}},
		"keys that are numbers":          {map[int]string{1: "a", -1: "b"}, map[any]any{int64(1): "a", int64(-1): "b"}},
		"keys of an interface":           {map[any]int{1: 1, "a": 2, nil: 3, point{1, 2}: 4}, nil},
		"keys that are arrays":           {map[[2]any]int{{1, int8(2)}: 3}, map[any]any{[2]any{int64(1), typed("int8", int64(2))}: int64(3)}},
		"keys of types":                  {map[any]int{[1]string{"a"}: 1}, map[any]any{typed("[1]string", [1]any{"a"}): int64(1)}},
		"a nil pointer":                  {[]any{(*int)(nil)}, []any{typed("*int", nil)}},
		"a pointer to nil":               {struct{ P **int }{ptr((*int)(nil))}, map[string]any{"P": []any{nil}}},
		"strings that look like types":   {[]string{"int8", "point"}, []any{"int8", "point"}},
		"arguments that look like types": {[]any{"job", map[string]any{"a": 1}}, []any{"job", map[string]any{"a": int64(1)}}},
		"the same deeper":                {map[string]any{"a": []any{"x.y", 1}}, map[string]any{"a": typed("[]interface {}", []any{"x.y", int64(1)})}},
		"a registered type":              {[]any{point{1, 2}}, []any{typed("x.point", map[string]any{"X": int64(1), "Y": int64(2)})}},
		"NaN":                            {nan, nan},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, err := c.Parse(encode(t, c, nil, tt.in), testLimits)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range []*Codec{c, New(testConfig)} {
				got, err := c.Generic(h, testLimits, genericForms, nil)
				if err != nil {
					t.Fatal(err)
				}
				sameTime := cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) && a.String() == b.String() })
				if diff := cmp.Diff(tt.want, got, sameTime, cmpopts.EquateNaNs()); tt.want != nil && diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestGenericKeysThatGoCannotHash(t *testing.T) {
	t.Parallel()
	c := newCodec(t)
	type keyed struct {
		Bytes  map[[2]byte]int
		Nodes  map[*node]int
		Equal  map[*int]string
		Mixed  map[any]string
		Shared map[*[1]int]string
		Again  *[1]int
	}
	array := &[1]int{7}
	in := &keyed{
		Bytes: map[[2]byte]int{{1, 2}: 3}, Nodes: map[*node]int{{Name: "a"}: 1}, Equal: map[*int]string{ptr(1): "a", ptr(1): "b"},
		Mixed: map[any]string{1: "int", int64(1): "int64"}, Shared: map[*[1]int]string{array: "x"}, Again: array,
	}
	h, err := c.Parse(encode(t, c, nil, in), testLimits)
	if err != nil {
		t.Fatal(err)
	}
	v, err := c.Generic(h, testLimits, genericForms, nil)
	if err != nil {
		t.Fatal(err)
	}
	fields := v.(map[string]any)
	for k, v := range fields["Bytes"].(map[any]any) {
		if b, ok := k.(*[]byte); !ok || string(*b) != "\x01\x02" || v != int64(3) {
			t.Errorf("bytes: %T, %v", k, v)
		}
	}
	for k := range fields["Nodes"].(map[any]any) {
		if n, ok := k.(*map[string]any); !ok || (*n)["Name"] != "a" {
			t.Errorf("nodes: %T", k)
		}
	}
	if m := fields["Equal"].(map[any]any); len(m) != 2 || m[int64(1)] != "a" {
		t.Errorf("equal keys: %v", m)
	}
	if m := fields["Mixed"].(map[any]any); len(m) != 2 || m[int64(1)] != "int" {
		t.Errorf("an int and an int64: %v", m)
	}
	for k := range fields["Shared"].(map[any]any) {
		if a, ok := k.(*[]any); !ok || &(*a)[0] != &fields["Again"].([]any)[0] {
			t.Errorf("a shared array: %T", k)
		}
	}
}

// regeneric turns obj into generic values, lets change change them, and returns the record.
func regeneric(t *testing.T, c *Codec, w *world, obj any, change func(fields map[string]any)) (Header, error) {
	t.Helper()
	h, err := c.Parse(encode(t, c, w, obj), testLimits)
	if err != nil {
		t.Fatal(err)
	}
	var o Origins
	v, err := c.Generic(h, testLimits, genericForms, &o)
	if err != nil {
		t.Fatal(err)
	}
	change(v.(map[string]any))
	return c.Regeneric(h, v, testLimits, genericForms, &o)
}

func TestChangedGenericValues(t *testing.T) {
	t.Parallel()
	c, w := newCodec(t, registeredTypes...), newWorld()
	dep, lazy := &task{Name: "dep"}, &task{Name: "lazy"}
	w.put("1", dep)
	w.put("2", lazy)
	type old struct {
		Name   string
		When   any
		N      any
		A, B   *node
		Single float32
		Ref    *task
		Lazy   ref[task]
		Addr   point
	}
	shared := &node{Name: "shared", Attrs: map[string]any{"t": time.Unix(5, 0).UTC()}}
	in := &old{Name: "x", When: time.Unix(7, 0).UTC(), N: int64(5), A: shared, B: shared, Single: 0.1, Ref: dep, Lazy: ref[task]{Link{Obj: lazy}}, Addr: point{1, 2}}
	decode := func(t *testing.T, h Header, dst any) {
		t.Helper()
		if _, err := c.Decode(h, dst, DecodeOptions{Limits: testLimits, Target: w.target}); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("moved values keep their types and what they share", func(t *testing.T) {
		t.Parallel()
		h, err := regeneric(t, c, w, in, func(f map[string]any) {
			f["Date"], f["Count"], f["First"], f["Second"], f["Ratio"] = f["When"], f["N"], f["B"], f["A"], f["Single"]
			for _, name := range []string{"When", "N", "A", "B", "Single", "Ref"} {
				delete(f, name)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		var out struct {
			Name          string
			Date, Count   any
			First, Second *node
			Ratio         float32
			Lazy          ref[task]
		}
		decode(t, h, &out)
		if out.Date != any(time.Unix(7, 0).UTC()) || out.Count != any(int64(5)) || out.First != out.Second || out.Ratio != 0.1 || out.Lazy.link.ID != "2" {
			t.Errorf("got %+v", out)
		}
		if out.First.Attrs["t"] != any(time.Unix(5, 0).UTC()) {
			t.Errorf("got %v", out.First.Attrs)
		}
		if len(h.Eager) != 0 || len(h.Lazy) != 1 {
			t.Errorf("it refers to %v and %v", h.Eager, h.Lazy)
		}
	})
	t.Run("one value in two places is written twice", func(t *testing.T) {
		t.Parallel()
		h, err := regeneric(t, c, w, in, func(f map[string]any) { f["Home"], f["Work"] = f["Addr"], f["Addr"] })
		if err != nil {
			t.Fatal(err)
		}
		var out struct{ Home, Work point }
		decode(t, h, &out)
		if out.Home != (point{1, 2}) || out.Work != out.Home {
			t.Errorf("got %+v", out)
		}
	})
	t.Run("other Go values are what they are in a field", func(t *testing.T) {
		t.Parallel()
		zone := time.FixedZone("Mars/Olympus", 60)
		h, err := regeneric(t, c, w, in, func(f map[string]any) {
			clear(f)
			f["I"], f["S"], f["D"], f["P"], f["M"] = 3, []string{"a"}, time.Second, &point{3, 4}, map[int]point{1: {5, 6}}
			f["Refs"] = []genericRef{{"1", false}}
			f["Lazy"] = genericRef{"1", true}
			f["Any"] = genericTyped{"float32", 0.5}
			f["Any2"] = genericTyped{"complex64", 1i}
			f["Any3"] = []any{genericTyped{"int", 7}, genericTyped{"x.point", map[string]any{"X": 1}}}
			f["T"] = []any{time.Unix(9, 0).In(zone)}
		})
		if err != nil {
			t.Fatal(err)
		}
		if h.format != versionZones {
			t.Errorf("format %d", h.format)
		}
		var out struct {
			I    int8
			S    []string
			D    time.Duration
			P    *point
			M    map[int]point
			Refs []*task
			Lazy ref[task]
			Any  any
			Any2 any
			Any3 []any
			T    []time.Time
		}
		decode(t, h, &out)
		if out.I != 3 || out.S[0] != "a" || out.D != time.Second || *out.P != (point{3, 4}) || out.M[1] != (point{5, 6}) || out.Refs[0] != dep || out.Lazy.link.ID != "1" {
			t.Errorf("got %+v", out)
		}
		if out.Any != any(float32(0.5)) || out.Any2 != any(complex64(1i)) || out.Any3[0] != any(7) || out.Any3[1] != any(point{1, 0}) || out.T[0].String() != time.Unix(9, 0).In(zone).String() {
			t.Errorf("got %+v", out)
		}
		checkGeneric(t, c, recordOfHeader(h), testLimits)
	})
	t.Run("a value inside itself refers back", func(t *testing.T) {
		t.Parallel()
		h, err := regeneric(t, c, w, &node{Name: "x"}, func(f map[string]any) { f["Next"], f["Attrs"] = f, map[string]any{"x": 1} })
		if err != nil {
			t.Fatal(err)
		}
		var out node
		decode(t, h, &out)
		if out.Next != &out || out.Name != "x" {
			t.Errorf("got %+v", out)
		}
	})
	t.Run("keys that are inside themselves", func(t *testing.T) {
		t.Parallel()
		h, err := regeneric(t, c, w, &node{Name: "x"}, func(f map[string]any) {
			loop := map[string]any{"long enough to move what comes later": nil}
			loop["self"] = loop
			f["Attrs"] = map[any]any{&loop: 1, "a": 2}
		})
		if err != nil {
			t.Fatal(err)
		}
		v, err := c.Generic(h, testLimits, genericForms, nil)
		if err != nil {
			t.Fatal(err)
		}
		for k := range v.(map[string]any)["Attrs"].(map[any]any) {
			if m, ok := k.(*map[string]any); ok && reflect.ValueOf((*m)["self"]).Pointer() != reflect.ValueOf(*m).Pointer() {
				t.Error("it holds another map")
			}
		}
	})
	t.Run("keys of maps with such keys, in a map that was changed", func(t *testing.T) {
		t.Parallel()
		h, err := regeneric(t, c, w, &node{Name: "x"}, func(f map[string]any) {
			inner := map[any]any{&[]byte{1}: 1}
			f["Attrs"] = map[any]any{&inner: 2}
		})
		if err != nil {
			t.Fatal(err)
		}
		if want := "\x81\x81\xc4\x01\x01\x01\x02"; !strings.Contains(string(h.body), want) {
			t.Errorf("got %x, want %x in it", h.body, want)
		}
	})
	refusals := map[string]struct {
		value any
		want  error
	}{
		"a reference that was not there":         {genericRef{"3", false}, driver.ErrType},
		"a lazy reference that was not there":    {[]any{genericRef{"3", true}}, driver.ErrType},
		"an eager one that was there lazily":     {map[string]any{"x": genericRef{"2", false}}, driver.ErrType},
		"a channel":                              {make(chan int), driver.ErrUnstorable},
		"a persistable object":                   {dep, driver.ErrUnstorable},
		"no name of a type":                      {genericTyped{"", 1}, driver.ErrUnstorable},
		"the name of an interface":               {genericTyped{"interface {}", 1}, driver.ErrUnstorable},
		"a name that is composed and not closed": {genericTyped{"map[x", 1}, driver.ErrUnstorable},
	}
	for name, tt := range refusals {
		t.Run(name+" is refused", func(t *testing.T) {
			t.Parallel()
			_, err := regeneric(t, c, w, in, func(f map[string]any) { f["New"] = tt.value })
			if !errors.Is(err, tt.want) || !strings.HasPrefix(err.Error(), `old["New"]`) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
	t.Run("limits hold", func(t *testing.T) {
		t.Parallel()
		h, err := c.Parse(encode(t, c, w, in), testLimits)
		if err != nil {
			t.Fatal(err)
		}
		deep := []any{}
		for range 100 {
			deep = []any{deep}
		}
		double := []any{"0123456789"}
		for range 100 {
			double = []any{double, double}
		}
		for _, v := range []any{deep, double, strings.Repeat("x", 1<<12), make([]any, 1<<12)} {
			if _, err := c.Regeneric(h, v, Limits{1 << 11, 30}, genericForms, nil); !errors.Is(err, driver.ErrTooLarge) {
				t.Errorf("got %v", err)
			}
		}
	})
}

// recordOfHeader makes a record of what Regeneric returned.
func recordOfHeader(h Header) []byte {
	b := appendUint(appendStr(append([]byte(headStart), h.format), h.Type), uint64(h.Version))
	b = (&ids{list: h.Lazy}).append((&ids{list: h.Eager}).append(b))
	return seal(append(b, h.body...))
}

func TestGenericTakesAllThatEncodeMakes(t *testing.T) {
	t.Parallel()
	c := newCodec(t)
	const depth = 20
	lim := Limits{1 << 20, depth}
	// The deepest of each kind that Encode takes.
	slices, pointers, interfaces := any([]any{1i}), any([]any{ptr(ptr(1i))}), any(ptr(any(1i)))
	for range depth - 1 {
		slices = []any{slices}
		if s := []any{pointers}; true {
			pointers = &s
		}
		interfaces = ptr(interfaces)
	}
	for _, v := range []any{slices, pointers, interfaces} {
		for v != nil {
			enc, err := c.NewEncoder(lim, nil).Encode(v, nil)
			if err == nil {
				checkGeneric(t, c, bytes.Clone(enc.Data), lim)
				break
			}
			if !errors.Is(err, driver.ErrTooLarge) {
				t.Fatal(err)
			}
			switch w := v.(type) { // one less
			case []any:
				v = w[0]
			case *[]any:
				v = (*w)[0]
			case *any:
				v = *w
			}
		}
	}
}

func TestHostileGenericBodies(t *testing.T) {
	t.Parallel()
	c := newCodec(t)
	tests := map[string]struct {
		body string
		want error
	}{
		"nothing":                            {"", driver.ErrCorrupt},
		"a byte too many":                    {"\xc0\xc0", driver.ErrCorrupt},
		"an invalid code":                    {"\xc1", driver.ErrCorrupt},
		"an array that is cut off":           {"\x92\x01", driver.ErrCorrupt},
		"a claim of a great array":           {"\xdd\xff\xff\xff\xff\x01", driver.ErrCorrupt},
		"a claim of a great map":             {"\xdf\xff\xff\xff\xff\x01\x01", driver.ErrCorrupt},
		"a claim of a long string":           {"\xdb\xff\xff\xff\xffx", driver.ErrCorrupt},
		"deep arrays":                        {strings.Repeat("\x91", 40_000) + "\xc0", driver.ErrTooLarge},
		"deep maps":                          {strings.Repeat("\x81\xa1a", 40_000) + "\xc0", driver.ErrTooLarge},
		"deep types":                         {strings.Repeat("\x92\xa3a.b", 40_000) + "\xc0", driver.ErrTooLarge},
		"deep keys":                          {strings.Repeat("\x81", 40_000) + "\xc0", driver.ErrCorrupt},
		"a back-reference to itself":         {"\xd6\x03\x00\x00\x00\x00", driver.ErrCorrupt},
		"a back-reference to what follows":   {"\x92\xd6\x03\x00\x00\x00\x07\x01", driver.ErrCorrupt},
		"a back-reference beyond the end":    {"\x92\xd6\x03\xff\xff\xff\xff\x07", driver.ErrCorrupt},
		"a back-reference into a string":     {"\x92\xa2ab\xd6\x03\x00\x00\x00\x02", driver.ErrCorrupt},
		"a back-reference into a time":       {"\x92\x92\xd6\xff\x00\x00\x00\x00\x01\xd6\x03\x00\x00\x00\x08", driver.ErrCorrupt},
		"a back-reference to a timestamp":    {"\x92\x92\xd6\xff\x00\x00\x00\x00\x01\xd6\x03\x00\x00\x00\x02", nil},
		"a back-reference of eight bytes":    {"\x92\x01\xd7\x03\x00\x00\x00\x00\x00\x00\x00\x01", driver.ErrCorrupt},
		"an extension of another type":       {"\xd4\x07x", driver.ErrCorrupt},
		"a reference that nobody announced":  {"\xd4\x01x", driver.ErrCorrupt},
		"a timestamp of another length":      {"\xd4\xffx", driver.ErrCorrupt},
		"a timestamp of too many nanosecond": {"\xd7\xff\xff\xff\xff\xff\xff\xff\xff\xff", driver.ErrCorrupt},
		"a name of a location of format 2":   {"\x93\xd6\xff\x00\x00\x00\x00\x01\xa1x", nil},
		"a key twice":                        {"\x83\xa1a\x01\xa1b\x01\xa1a\x01", driver.ErrCorrupt},
		"nil as a key, often":                {"\x83\xc0\x01\xc0\x01\xc0\x01", nil},
		"an empty array as a key, often":     {"\x83\x90\x01\x90\x01\x90\x01", nil},
		"a key that is an array of arrays":   {"\x81" + strings.Repeat("\x91", 9_000) + "\x01\x01", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := Header{Type: "hostile.T", body: []byte(tt.body), format: versionFirst}
			_, err := c.Generic(h, testLimits, genericForms, &Origins{})
			if !errors.Is(err, tt.want) || tt.want != nil && !strings.HasPrefix(err.Error(), "T") {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestGenericValuesTakeMemoryAsTheRecordDoes(t *testing.T) {
	// Not parallel: it measures what is allocated.
	c := newCodec(t)
	const n = 1 << 16
	for name, body := range map[string]string{
		"nils":            "\xdd\x00\x01\x00\x00" + strings.Repeat("\xc0", n),
		"empty arrays":    "\xdd\x00\x01\x00\x00" + strings.Repeat("\x90", n),
		"empty maps":      "\xdd\x00\x01\x00\x00" + strings.Repeat("\x80", n),
		"maps of one":     "\xdc\x80\x00" + strings.Repeat("\x81\xa0\xc0", n/2),
		"keys":            "\xdf\x00\x00\x80\x00" + strings.Repeat("\xc2\xc0", n/2),
		"back-references": "\xdc\x20\x01\x80" + strings.Repeat("\xd6\x03\x00\x00\x00\x03", n/8),
		"types":           "\xdc\x40\x00" + strings.Repeat("\x92\xa3a.b\xc0", n/4),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := c.Generic(Header{Type: "T", body: []byte(body), format: versionFirst}, testLimits, genericForms, nil)
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > uint64(400*len(body)) {
			t.Errorf("%s: %d bytes for %d", name, used, len(body))
		} else {
			t.Logf("%s: %d for each byte", name, used/uint64(len(body)))
		}
	}
}
