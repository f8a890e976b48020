package codec

import (
	"errors"
	"math/big"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence/driver"
)

type (
	likeColor string
	likeText  struct{ s string }
	likeTask  struct{ V []any }
)

func (l likeText) MarshalText() ([]byte, error)  { return []byte(l.s), nil }
func (l *likeText) UnmarshalText(b []byte) error { l.s = string(b); return nil }

func (likeTask) RecordVersion() int { return 1 }
func (*likeTask) UpgradeRecord(_ int, fields map[string]any) error {
	list, ok := fields["V"].([]any)
	if !ok {
		return errors.New("no list")
	}
	fields["V"] = append(list, true)
	return nil
}

func likeCodec(t testing.TB) *Codec {
	t.Helper()
	return newCodec(t, reflect.TypeFor[likeColor](), reflect.TypeFor[likeText](), reflect.TypeFor[likeTask]())
}

// A list that looks like a type and a value is a list, for its own type and for readers without it,
// and no value for a field that has become an interface.
func TestListsThatLookLikeATypeAndAValue(t *testing.T) {
	t.Parallel()
	same := "x.likeColor"
	for _, tt := range []struct {
		name    string
		in      any // a pointer to a struct with the field V
		generic any // what V is for a reader without types
	}{
		{"a type that stands for itself", &struct{ V []string }{[]string{"string", "x"}}, []any{"string", "x"}},
		{"a registered string", &struct{ V []string }{[]string{"x.likeColor", "x"}}, []any{"x.likeColor", "x"}},
		{"an array", &struct{ V [2]string }{[2]string{"x.likeColor", "x"}}, []any{"x.likeColor", "x"}},
		{"a named type", &struct{ V []likeColor }{[]likeColor{"x.likeColor", "x"}}, []any{"x.likeColor", "x"}},
		{"a type of texts", &struct{ V []likeText }{[]likeText{{"x.likeText"}, {"x"}}}, []any{"x.likeText", "x"}},
		{"pointers", &struct{ V []*string }{[]*string{&same, new(string)}}, []any{"x.likeColor", ""}},
		{"a pointer to a string and nil", &struct{ V []*likeText }{[]*likeText{{"*x.likeColor"}, nil}}, []any{"*x.likeColor", nil}},
		{"values behind interfaces", &struct{ V []any }{[]any{"int8", 5}}, []any{"int8", int64(5)}},
		{"a nil", &struct{ V []any }{[]any{"*int", nil}}, []any{"*int", nil}},
		{"bytes", &struct{ V []any }{[]any{"[]uint8", []byte(nil)}}, []any{"[]uint8", genericTyped{"[]uint8", nil}}},
		{"a map", &struct{ V []any }{[]any{"map[string]int", map[string]any{"a": 1}}}, []any{"map[string]int", map[string]any{"a": int64(1)}}},
		{"a list of lists", &struct{ V [][]string }{[][]string{{"x.likeColor", "x"}, {"a", "b"}}}, []any{[]any{"x.likeColor", "x"}, []any{"a", "b"}}},
		{"a name that nobody knows and a list", &struct{ V []any }{[]any{"move", []any{1, 2}}}, []any{"move", genericTyped{"[]interface {}", []any{int64(1), int64(2)}}}},
		{"a name that nobody knows and a number", &struct{ V []any }{[]any{"a.b", 5}}, []any{"a.b", int64(5)}},
		{"a key", &struct{ V map[[2]string]int }{map[[2]string]int{{"x.likeColor", "x"}: 1}}, map[any]any{[2]any{"x.likeColor", "x"}: int64(1)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := likeCodec(t)
			if diff := cmp.Diff(tt.in, roundTrip(t, c, newWorld(), tt.in), compareAll); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			data := encode(t, c, nil, tt.in)
			h, err := c.Parse(data, testLimits)
			if err != nil {
				t.Fatal(err)
			}
			if h.format != versionFirst {
				t.Errorf("format %d", h.format)
			}
			v, err := c.Generic(h, testLimits, genericForms, nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(any(map[string]any{"V": tt.generic}), v); diff != "" {
				t.Errorf("without types (-want +got):\n%s", diff)
			}
			checkGeneric(t, c, data, testLimits)
			var dst struct{ V any }
			if err := decodeInto(c, newWorld(), data, &dst); err == nil {
				if _, ok := tt.generic.(map[any]any); !ok {
					t.Errorf("as an interface it is %#v", dst.V)
				}
			} else if !errors.Is(err, driver.ErrType) && !errors.Is(err, driver.ErrUnknownType) {
				t.Errorf("as an interface: %v", err)
			}
		})
	}
}

// What is no such list has the head that it had.
func TestOtherListsOfTwo(t *testing.T) {
	t.Parallel()
	n := 1
	for _, tt := range []struct {
		in   any
		body string
	}{
		{[]string{"a", "b"}, "\x92\xa1a\xa1b"},
		{[]string{"string", "x"}, "\x92\xa6string\xa1x"},
		{[]string{"int8", "x"}, "\x92\xa4int8\xa1x"},
		{[]any{"a", 5}, "\x92\xa1a\x05"},
		{[]any{"string", "x"}, "\x92\xa6string\xa1x"},
		{[]any{int8(5), "x"}, "\x92\x92\xa4int8\x05\xa1x"},
		{[]any{"int8", "x"}, "\x92\xa4int8\xa1x"},
		{[]any{"a b]", map[string]any{}}, "\x92\xa4a b]\x80"},
		{[]*int{&n, &n}, "\x92\x01\xd6\x03\x00\x00\x00\x01"},
		{[]*big.Int{big.NewInt(5), nil}, "\x92\xa15\xc0"},
	} {
		c := likeCodec(t)
		h, err := c.Parse(encode(t, c, nil, tt.in), testLimits)
		if err != nil || string(h.body) != tt.body {
			t.Errorf("%v: %q, %v", tt.in, h.body, err)
		}
	}
}

// Records of before have such lists with the short head. Where they cannot be a type and a value
// that this program knows, they are read as lists, and known to be stored in another way from then
// on.
func TestOlderListsThatLookLikeATypeAndAValue(t *testing.T) {
	t.Parallel()
	c := likeCodec(t)
	for body, want := range map[string]any{
		"\x92\xa4int8\x05":           &[]any{"int8", 5},
		"\x81\xa1V\x92\xa4move\x80":  &struct{ V [2]any }{[2]any{"move", map[string]any{}}},
		"\x81\xa1V\x92\xa5a.txt\x05": &struct{ V []any }{[]any{"a.txt", 5}},
	} {
		h, err := c.Parse(recordOf("T", body), testLimits)
		if err != nil {
			t.Fatal(err)
		}
		dst := reflect.New(reflect.TypeOf(want).Elem()).Interface()
		out, err := c.Decode(h, dst, DecodeOptions{Limits: testLimits})
		if err != nil || !out.Differs || out.Old {
			t.Errorf("%q: %+v, %v", body, out, err)
		}
		if diff := cmp.Diff(want, dst); diff != "" {
			t.Error(diff)
		}
		checkGeneric(t, c, recordOf("T", body), testLimits)
	}
	// Such a list that a program without the type wrote.
	var list struct{ V []string }
	h, err := c.Parse(recordOf("T", "\x81\xa1V\xdc\x00\x02\xa1a\xa1b"), testLimits)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := c.Decode(h, &list, DecodeOptions{Limits: testLimits}); err != nil || !out.Differs || list.V[1] != "b" {
		t.Errorf("%v, %+v, %v", list, out, err)
	}
	checkGeneric(t, c, recordOf("T", "\x81\xa1V\xdc\x00\x02\xa1a\xa1b"), testLimits)
	checkGeneric(t, c, recordOf("T", "\x81\xdc\x00\x02\xa1a\xa1b\x01"), testLimits) // as a key
	// An interface takes neither a list nor what no writer makes for a value.
	for _, body := range []string{"\x81\xa1V\xdc\x00\x02\xa4int8\x05", "\x81\xa1V\x92\xa6string\xa1x", "\x81\xa1V\x92\xa3int\x05", "\x81\xa1V\x92\xa7[]uint8\xc4\x00"} {
		var dst struct{ V any }
		if err := decodeInto(c, newWorld(), recordOf("T", body), &dst); !errors.Is(err, driver.ErrType) {
			t.Errorf("%q is %#v, %v", body, dst.V, err)
		}
	}
}

// What stood in an interface is not read as a list of the name of its type and itself.
func TestAnInterfaceThatBecomesAList(t *testing.T) {
	t.Parallel()
	c := likeCodec(t)
	for _, in := range []any{
		&struct{ V any }{int8(5)},
		&struct{ V any }{time.Second},
		&struct{ V any }{likeColor("red")},
		&struct{ V any }{likeText{"red"}},
		&struct{ V any }{&likeTask{}},
		&struct{ V any }{(*int)(nil)},
		&struct{ V any }{[]string(nil)},
		&struct{ V map[string]any }{map[string]any{"k": int8(5)}},
	} {
		data := encode(t, c, nil, in)
		for _, dst := range []any{new(struct{ V []any }), new(struct{ V []string }), new(struct{ V [2]any }), new(struct{ V []*string }), new(struct{ V map[string][]any })} {
			if err := decodeInto(c, newWorld(), data, dst); !errors.Is(err, driver.ErrType) {
				t.Errorf("%v became %v, %v", in, dst, err)
			}
		}
	}
	var lists struct{ V [][2]any }
	if err := decodeInto(c, newWorld(), encode(t, c, nil, &struct{ V []any }{[]any{int8(5), int8(5)}}), &lists); !errors.Is(err, driver.ErrType) {
		t.Errorf("elements became %v, %v", lists, err)
	}
}

// A method that upgrades a record is given lists as lists.
func TestUpgradesOfListsThatLookLikeATypeAndAValue(t *testing.T) {
	t.Parallel()
	c := likeCodec(t)
	for _, list := range [][]any{{"x.likeColor", "x"}, {"move", []any{1}}, {"time.Duration", 5}, {"time.Time", time.Unix(0, 0).UTC()}} {
		h, err := c.Parse(encode(t, c, nil, &struct{ V []any }{list}), testLimits)
		if err != nil {
			t.Fatal(err)
		}
		var got likeTask
		if _, err := c.Decode(h, &got, DecodeOptions{Limits: testLimits}); err != nil {
			t.Errorf("%v: %v", list, err)
			continue
		}
		if diff := cmp.Diff(append(list, true), got.V); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}
