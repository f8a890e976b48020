package codec

import (
	"encoding"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence/driver"
)

type (
	promotedTime struct {
		identity
		time.Time
		Name string
	}
	promotedURL struct {
		identity
		*url.URL
		Note string
	}
	promotedForm struct {
		identity
		set
		Note string
	}
	soleTime struct {
		identity
		time.Time
		hidden  int //nolint:unused // seen by reflection
		Skipped int `msgpack:"-"`
	}
	embedsSole    struct{ soleTimeValue }
	soleTimeValue struct{ time.Time }
	promotedBase  struct {
		time.Time
		Name string
	}
	promotedTwice struct {
		identity
		promotedBase
		N int
	}
	ownText struct {
		identity
		time.Time
		Name string
	}
	halfOwn struct {
		identity
		leafText
		N int
	}
	leafText struct{ S string }
	anyText  struct {
		identity
		textCodec
		N int
	}
	textCodec interface {
		encoding.TextMarshaler
		encoding.TextUnmarshaler
	}
)

func (l leafText) MarshalText() ([]byte, error)  { return []byte(l.S), nil }
func (l *leafText) UnmarshalText(b []byte) error { l.S = string(b); return nil }
func (halfOwn) MarshalText() ([]byte, error)     { return []byte("half"), nil }
func (o ownText) MarshalText() ([]byte, error)   { return []byte(o.Name), nil }
func (o *ownText) UnmarshalText(b []byte) error  { o.Name = string(b); return nil }

var compareAll = cmp.Exporter(func(reflect.Type) bool { return true })

// A marshaler that is promoted from one field of several does not encode the struct.
func TestPromotedMarshalers(t *testing.T) {
	t.Parallel()
	at := time.Unix(1731000000, 5).UTC()
	u, err := url.Parse("https://example.org/a?b=c")
	if err != nil {
		t.Fatal(err)
	}
	inTime, err := at.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	binary := func(b []byte) string { return string(append(appendBinLen(nil, len(b)), b...)) }
	type plain struct {
		time.Time
		Name string
	}
	type twoLevels struct {
		embedsSole
		N int
	}
	type pointed struct {
		identity
		*promotedBase
		N int
	}
	type lone struct {
		identity
		*url.URL
	}
	for _, tt := range []struct {
		name string
		obj  any    // a pointer
		old  string // body of the record that was written when promoted methods counted
		want any    // what old is read as
	}{
		{"a time by value", &promotedTime{Time: at, Name: "x"}, binary(inTime), &promotedTime{Time: at}},
		{"not persistable", &plain{at, "x"}, binary(inTime), &plain{at, ""}},
		{"a pointer", &promotedURL{URL: u, Note: "x"}, binary([]byte(u.String())), &promotedURL{URL: u}},
		{"a nil pointer", &promotedURL{Note: "x"}, binary(nil), &promotedURL{URL: &url.URL{}}},
		{"the only field, a pointer", &lone{URL: u}, binary([]byte(u.String())), &lone{URL: u}},
		{"the only field, a nil pointer", &lone{}, binary(nil), &lone{URL: &url.URL{}}},
		{"two levels down", &promotedTwice{promotedBase: promotedBase{at, "x"}, N: 7}, binary(inTime), &promotedTwice{promotedBase: promotedBase{Time: at}}},
		{"behind a form that stays", &twoLevels{embedsSole{soleTimeValue{at}}, 7}, binary(inTime), &twoLevels{embedsSole{soleTimeValue{at}}, 0}},
		{"behind a pointer", &pointed{promotedBase: &promotedBase{at, "x"}, N: 7}, binary(inTime), &pointed{promotedBase: &promotedBase{Time: at}}},
		{"an own marshaler of another kind", &ownText{Name: "x"}, binary(inTime), &ownText{Time: at}},
		{"one half promoted", &halfOwn{leafText: leafText{"x"}, N: 3}, "\xa1s", &halfOwn{leafText: leafText{"s"}}},
		{"a stored form", &promotedForm{set: set{map[string]struct{}{"a": {}}}, Note: "x"}, "\x81\xa1b\x80", &promotedForm{set: set{map[string]struct{}{"b": {}}}}},
		{"an empty stored form", &promotedForm{set: set{map[string]struct{}{}}, Note: "x"}, "\x80", &promotedForm{set: set{map[string]struct{}{}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newCodec(t)
			got := roundTrip(t, c, newWorld(), tt.obj)
			if diff := cmp.Diff(tt.obj, got, compareAll); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			dst := reflect.New(reflect.TypeOf(tt.obj).Elem())
			if err := decodeInto(c, newWorld(), recordOf("T", tt.old), dst.Interface()); err != nil {
				t.Fatalf("the old record: %v", err)
			}
			if diff := cmp.Diff(tt.want, dst.Interface(), compareAll); diff != "" {
				t.Errorf("the old record (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("a nil interface", func(t *testing.T) {
		t.Parallel()
		c := newCodec(t)
		if diff := cmp.Diff(&anyText{N: 1}, roundTrip(t, c, newWorld(), &anyText{N: 1}), compareAll); diff != "" {
			t.Error(diff)
		}
		err := decodeInto(c, newWorld(), recordOf("T", "\xa1s"), new(anyText))
		if err == nil || !strings.Contains(err.Error(), driver.ErrType.Error()) {
			t.Errorf("an old record into it: %v", err)
		}
	})
}

// Where the embedded field is all that is stored, its marshaler encodes the struct as before.
func TestAPromotedMarshalerOfTheOnlyField(t *testing.T) {
	t.Parallel()
	at := time.Unix(1731000000, 5).UTC()
	b, err := at.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	body := string(append(appendBinLen(nil, len(b)), b...))
	for _, obj := range []any{&soleTime{Time: at}, &soleTimeValue{at}, &embedsSole{soleTimeValue{at}}} {
		c := newCodec(t)
		h, err := c.Parse(encode(t, c, newWorld(), obj), testLimits)
		if err != nil {
			t.Fatal(err)
		}
		if string(h.body) != body {
			t.Errorf("%T: %x", obj, h.body)
		}
		if diff := cmp.Diff(obj, roundTrip(t, c, newWorld(), obj), compareAll); diff != "" {
			t.Error(diff)
		}
	}
}
