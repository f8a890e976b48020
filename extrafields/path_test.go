package extrafields

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestParsePath(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, path, want string }{
		{"a field", "Host", `Host`},
		{"fields", "A._b1.Ö", `A|_b1|Ö`},
		{"an element", "A[0].B[12][3]", `A|[0]|B|[12]|[3]`},
		{"a key", `A["user"].B`, `A|["user"]|B`},
		{"a key with all sorts of characters", "A[\"a]\\\".\\x41\"][`x\\`]", `A|["a]\".A"]|["x\\"]`},
		{"an element at the start", "[0].A", `[0]|A`},
		{"a key at the start", `["a"]["b"]`, `["a"]|["b"]`},
		{"an empty key", `A[""]`, `A|[""]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			steps, err := parsePath(tt.path)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range steps {
				got = append(got, s.String())
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, "|")); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
	for _, tt := range []struct{ name, path, want string }{
		{"nothing", "", "empty path"},
		{"a dot alone", ".", "no field name at byte 0"},
		{"a dot at the start", ".A", "no field name at byte 0"},
		{"a dot at the end", "A.", "no field name at byte 2"},
		{"two dots", "A..B", "no field name at byte 2"},
		{"a dot before an index", "A.[0]", "no field name at byte 2"},
		{"no dot after an index", "A[0]B", `no "." or "[" at byte 4`},
		{"a digit at the start", "1A", "no field name at byte 0"},
		{"a blank", "A B", `no "." or "[" at byte 1`},
		{"a call", "A()", `no "." or "[" at byte 1`},
		{"a closing bracket alone", "A]", `no "." or "[" at byte 1`},
		{"no index", "A[]", "neither a decimal nor a quoted string at byte 2"},
		{"an open bracket", "A[", "no index at byte 2"},
		{"an index without an end", "A[1", `no "]" at byte 2`},
		{"a negative index", "A[-1]", "neither a decimal nor a quoted string"},
		{"a sign", "A[+1]", "neither a decimal nor a quoted string"},
		{"a leading zero", "A[01]", "neither a decimal nor a quoted string"},
		{"a hexadecimal index", "A[0x1]", `no "]"`},
		{"an index too large", "A[99999999999999999999]", "index out of range"},
		{"a key without quotes", "A[user]", "neither a decimal nor a quoted string"},
		{"a key in single quotes", "A['u']", "neither a decimal nor a quoted string"},
		{"a key without an end", `A["u]`, "malformed string"},
		{"a key with a bad escape", `A["\z"]`, "malformed string"},
		{"invalid UTF-8", "A\xff", `no "." or "["`},
	} {
		t.Run(tt.name+" is refused", func(t *testing.T) {
			t.Parallel()
			steps, err := parsePath(tt.path)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, %v, want an error with %q", steps, err, tt.want)
			}
		})
	}
}

type (
	host   struct{ Name string }
	result struct {
		Host    string
		Machine *host
		Any     any
	}
	execution struct {
		Results []result
		Fixed   [2]int
		hidden  int //nolint:unused // paths must not reach it
	}
	base   struct{ Owner string }
	Shared struct{ Pool string }
	deep   struct {
		base
		*Shared
		Execution *execution
		Value     execution
		Meta      map[string]any
		Words     map[word]*string
		Codes     map[int8]string
		Counts    map[uint]int
		Keys      map[any]string
		Any       any
		Iface     interface{ Nothing() }
		Self      *deep
		Loop      loop
		AnyPtr    *any
		Bools     map[bool]int
	}
)

func TestFind(t *testing.T) {
	t.Parallel()
	x := "x"
	var cyclic any
	cyclic = &cyclic
	var l loop
	l = &l
	d := &deep{
		base:      base{"me"},
		Shared:    &Shared{"p1"},
		Execution: &execution{Results: []result{{Host: "h0", Any: map[string]int{"n": 3}}, {Host: "h1", Machine: &host{"m"}}}, Fixed: [2]int{4, 5}},
		Meta:      map[string]any{"user": "u", "list": []any{1, map[int]string{2: "two"}}, "nil": nil, "ptr": &host{"q"}, "": "empty"},
		Words:     map[word]*string{"w": &x, "nil": nil},
		Codes:     map[int8]string{100: "hundred"},
		Counts:    map[uint]int{7: 8},
		Keys:      map[any]string{"s": "string", 1: "one", uint8(2): "unreachable"},
		Any:       &host{"a"},
		AnyPtr:    &cyclic,
		Loop:      l,
	}
	d.Self = d
	for _, tt := range []struct {
		path string
		obj  any
		want any // nil: nothing there
	}{
		{"Execution.Results[0].Host", d, "h0"},
		{"Execution.Results[1].Machine.Name", d, "m"},
		{"Execution.Results[0].Machine.Name", d, nil},
		{"Execution.Results[2].Host", d, nil},
		{`Execution.Results[0].Any["n"]`, d, 3},
		{`Execution.Results[1].Any["n"]`, d, nil},
		{"Execution.Fixed[1]", d, 5},
		{"Execution.Fixed[2]", d, nil},
		{"Value.Results[0].Host", d, nil},
		{"Execution.Results[0].Host", &deep{}, nil},
		{"Owner", d, "me"},
		{"Pool", d, "p1"},
		{"Shared.Pool", d, "p1"},
		{"Pool", &deep{}, nil},
		{`Meta["user"]`, d, "u"},
		{`Meta[""]`, d, "empty"},
		{`Meta["list"][0]`, d, 1},
		{`Meta["list"][1][2]`, d, "two"},
		{`Meta["list"][2]`, d, nil},
		{`Meta["nil"].Name`, d, nil},
		{`Meta["absent"].Name`, d, nil},
		{`Meta["ptr"].Name`, d, "q"},
		{`Meta["user"]`, &deep{}, nil},
		{`Words["w"]`, d, &x},
		{`Words["absent"]`, d, nil},
		{"Codes[100]", d, "hundred"},
		{"Codes[1]", d, nil},
		{"Counts[7]", d, 8},
		{`Keys["s"]`, d, "string"},
		{"Keys[1]", d, "one"},
		{"Keys[2]", d, nil},
		{"Any.Name", d, "a"},
		{"Iface.Name", d, nil},
		{"Self.Self.Self.Owner", d, "me"},
		{"Self.Owner", &deep{}, nil},
		{"Owner", *d, "me"},
		{"Owner", &d, "me"},
		{"Owner", (*deep)(nil), nil},
		{"Owner", nil, nil},
		{"[1]", []int{1, 2}, 2},
		{`["a"].Name`, map[string]host{"a": {"n"}}, "n"},
		{`["a"]`, map[string]host(nil), nil},

		{"Nothing", d, failure("type extrafields.deep has no field Nothing")},
		{"execution", d, failure("has no field execution")},
		{"Execution.hidden", d, failure("field hidden of type extrafields.execution is not exported")},
		{"base.Owner", d, failure("not exported")},
		{"Execution[0]", d, failure("type extrafields.execution has no [0]")},
		{`Execution.Results["a"]`, d, failure(`has no ["a"]`)},
		{"Owner.Length", d, failure("type string has no Length")},
		{"Owner[0]", d, failure("type string has no [0]")},
		{"Meta.user", d, failure("type map[string]interface {} has no user")},
		{"Meta[0]", d, failure("has no key [0]")},
		{"Codes[128]", d, failure("has no key [128]")},
		{`Codes["a"]`, d, failure(`has no key ["a"]`)},
		{"Bools[1]", d, failure("has no key [1]")},
		{`Meta["user"].Name`, d, failure("type string has no Name")},
		{"Owner", &host{}, failure("type extrafields.host has no field Owner")},
		{"AnyPtr.X", d, failure("pointers")},
		{"Loop.X", d, failure("pointers")},
		{"X", cyclic, failure("pointers")},
	} {
		t.Run(tt.path, func(t *testing.T) {
			t.Parallel()
			a, err := newAccessor(tt.path)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // compiled, then from the cache
				v, err := a.find(reflect.ValueOf(tt.obj))
				if part, ok := tt.want.(failure); ok {
					if err == nil || !strings.Contains(err.Error(), string(part)) || !strings.Contains(err.Error(), tt.path) {
						t.Fatalf("%v, %v, want an error with %q and the path", v, err, part)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				var got any
				if v.IsValid() {
					got = v.Interface()
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestPathsPrintAsTheyParse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var want []step
		var path strings.Builder
		for i := range rapid.IntRange(1, 6).Draw(t, "n") {
			s := step{kind: rapid.SampledFrom([]stepKind{stepField, stepIndex, stepKey}).Draw(t, "kind")}
			switch s.kind {
			case stepField:
				s.name = rapid.StringMatching(`[\pL_][\pL\p{Nd}_]*`).Draw(t, "name")
				if i > 0 {
					path.WriteByte('.')
				}
			case stepIndex:
				s.index = rapid.IntRange(0, math.MaxInt).Draw(t, "index")
			case stepKey:
				s.name = rapid.String().Draw(t, "key")
			}
			path.WriteString(s.String())
			want = append(want, s)
		}
		got, err := parsePath(path.String())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(step{})); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", path.String(), diff)
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"A.B[0]", `["x"][1].C`, "Execution.Results[0].Any[`n`]", "Self.Self.Meta[\"list\"][1]", "A[-1]", "é[\"\\u00e9\"]", "AnyPtr.X"} {
		f.Add(s)
	}
	var cyclic any
	cyclic = &cyclic
	d := &deep{Meta: map[string]any{"a": []any{map[any]any{0: "x"}}}, Execution: &execution{Results: []result{{}}}, AnyPtr: &cyclic, Any: []int{1}}
	d.Self = d
	f.Fuzz(func(t *testing.T, path string) {
		field := Get("c", Text, path)
		err := field.Check()
		if _, verr := field.Value(d); err != nil && verr == nil {
			t.Fatalf("Check says %v, and Value nothing", err)
		} else if verr != nil && strings.Contains(verr.Error(), "panic") {
			t.Fatal(verr)
		}
		if err != nil {
			return
		}
		steps, _ := parsePath(path)
		var again strings.Builder
		for i, s := range steps {
			if i > 0 && s.kind == stepField {
				again.WriteByte('.')
			}
			again.WriteString(s.String())
		}
		same, err := parsePath(again.String())
		if utf8.ValidString(path) && (err != nil || !reflect.DeepEqual(steps, same)) {
			t.Fatalf("%q prints as %q: %v", path, again.String(), err)
		}
	})
}
