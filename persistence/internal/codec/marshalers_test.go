package codec

import (
	"bytes"
	"errors"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/vmihailenco/msgpack/v5"
)

// all has every marshaler: the msgpack ones must win.
type all struct{ by string }

func (a all) EncodeMsgpack(e *msgpack.Encoder) error {
	return e.EncodeMulti("msgpack", map[string]int{"a": 1})
}
func (a *all) DecodeMsgpack(d *msgpack.Decoder) (err error) {
	a.by, err = d.DecodeString()
	return err
}
func (a all) MarshalBinary() ([]byte, error)  { return []byte("binary"), nil }
func (a *all) UnmarshalBinary(b []byte) error { a.by = string(b); return nil }
func (a all) MarshalText() ([]byte, error)    { return []byte("text"), nil }
func (a *all) UnmarshalText(b []byte) error   { a.by = string(b); return nil }

// noDecoder has half of the msgpack pair, so that the binary one counts.
type noDecoder struct{ by string }

func (a *noDecoder) EncodeMsgpack(*msgpack.Encoder) error { return nil }
func (a *noDecoder) MarshalBinary() ([]byte, error)       { return []byte("binary"), nil }
func (a *noDecoder) UnmarshalBinary(b []byte) error       { a.by = string(b); return nil }
func (a *noDecoder) MarshalText() ([]byte, error)         { return []byte("text"), nil }
func (a *noDecoder) UnmarshalText(b []byte) error         { a.by = string(b); return nil }

// textOnly is a map that is stored as text.
type textOnly map[string]string

func (a textOnly) MarshalText() ([]byte, error) { return []byte("text " + a["k"]), nil }
func (a *textOnly) UnmarshalText(b []byte) error {
	*a = textOnly{"k": strings.TrimPrefix(string(b), "text ")}
	return nil
}

// formed stores a graph in unexported fields.
type formed struct {
	items map[string]*task
	more  *formed
}

type formedForm struct {
	Items map[string]*task
	More  *formed
}

func (f *formed) StoredForm() *formedForm { return &formedForm{f.items, f.more} }
func (f *formed) SetStoredForm(s *formedForm) error {
	if s == nil {
		return errors.New("no form")
	}
	f.items, f.more = s.Items, s.More
	return nil
}
func (f *formed) EncodeMsgpack(*msgpack.Encoder) error { panic("the stored form comes first") }
func (f *formed) DecodeMsgpack(*msgpack.Decoder) error { panic("the stored form comes first") }

// set has a value receiver and a map as its form.
type set struct{ m map[string]struct{} }

func (s set) StoredForm() map[string]struct{} { return s.m }
func (s *set) SetStoredForm(m map[string]struct{}) error {
	s.m = m
	return nil
}

func TestOwnMarshalers(t *testing.T) {
	t.Parallel()
	type holder struct {
		A  all
		PA *all
		B  noDecoder
		C  textOnly
		D  textOnly
		M  map[netip.Addr]*big.Int
		U  *url.URL
		X  any
	}
	c := newCodec(t, reflect.TypeFor[all]())
	addr := netip.MustParseAddr("192.0.2.1")
	u, _ := url.Parse("http://example.org/a?b=c")
	in := &holder{C: textOnly{"k": "v"}, PA: &all{}, M: map[netip.Addr]*big.Int{addr: big.NewInt(1 << 40)}, U: u, X: all{}}
	out := roundTrip(t, c, newWorld(), in).(*holder)
	if out.A.by != "msgpack" || out.PA.by != "msgpack" || out.X.(all).by != "msgpack" || out.B.by != "binary" || out.C["k"] != "v" || out.D != nil {
		t.Errorf("got %+v", out)
	}
	if out.M[addr].Int64() != 1<<40 || out.U.String() != u.String() {
		t.Errorf("got %v, %v", out.M, out.U)
	}
}

func TestStoredForm(t *testing.T) {
	t.Parallel()
	c, w := newCodec(t), newWorld()
	dep := &task{}
	w.put("dep", dep)
	type holder struct {
		F formed
		P *formed
		S []set
		Z formed
	}
	loop := &formed{items: map[string]*task{"d": dep}}
	loop.more = loop
	in := &holder{formed{items: map[string]*task{"d": dep, "n": nil}}, loop, []set{{map[string]struct{}{"a": {}, "b": {}}}, {}}, formed{}}
	data := encode(t, c, w, in)
	h, err := c.Parse(data, testLimits)
	if err != nil || len(h.Eager) != 1 {
		t.Fatalf("references %v, %v", h.Eager, err)
	}
	out := roundTrip(t, c, w, in).(*holder)
	if out.F.items["d"] != dep || len(out.F.items) != 2 || out.P.more != out.P || len(out.S[0].m) != 2 || out.S[1].m != nil || out.Z.items != nil {
		t.Errorf("got %+v", out)
	}
}

func TestAPersistableStructWithMarshalers(t *testing.T) {
	t.Parallel()
	c, w := newCodec(t), newWorld()
	in := &ownBody{text: "hello"}
	w.put("1", in)
	out := roundTrip(t, c, w, in).(*ownBody)
	if out.text != "hello" {
		t.Errorf("got %q", out.text)
	}
	if ref := *roundTrip(t, c, w, []*ownBody{in}).(*[]*ownBody); ref[0] != in {
		t.Error("it is no reference")
	}
}

type ownBody struct {
	identity
	text string
}

func (o *ownBody) MarshalText() ([]byte, error) { return []byte(o.text), nil }
func (o *ownBody) UnmarshalText(b []byte) error { o.text = string(b); return nil }

// failing does what it is told.
type failing struct{ enc, dec string }

func act(how string) error {
	switch how {
	case "panic":
		panic("oh no")
	case "error":
		return errFailing
	case "crash":
		_ = []int{}[len(how)]
	}
	return nil
}

var errFailing = errors.New("failing as told")

func (f *failing) MarshalText() ([]byte, error) { return []byte(f.dec), act(f.enc) }
func (f *failing) UnmarshalText(b []byte) error { return act(string(b)) }

type failingForm struct{ Enc, Dec string }

func (f failingForm) StoredForm() string {
	if err := act(f.Enc); err != nil {
		panic(err)
	}
	return f.Dec
}
func (f *failingForm) SetStoredForm(s string) error { return act(s) }

// malformed writes what is not msgpack.
type malformed struct{}

func (malformed) EncodeMsgpack(e *msgpack.Encoder) error {
	_, err := e.Writer().Write([]byte{0xdd, 0xff, 0xff, 0xff, 0xff})
	return err
}
func (*malformed) DecodeMsgpack(*msgpack.Decoder) error { return nil }

func TestFailingMarshalersNameThePath(t *testing.T) {
	t.Parallel()
	enc := map[string]struct {
		in   any
		text string
	}{
		"an error":                       {[]*failing{{enc: "error"}}, "[]*codec.failing[0]: MarshalText: unstorable value: failing as told"},
		"a panic":                        {[]*failing{{enc: "panic"}}, "[]*codec.failing[0]: MarshalText: unstorable value: panic: oh no"},
		"a crash":                        {[]*failing{{enc: "crash"}}, "[]*codec.failing[0]: MarshalText: unstorable value: panic: runtime error: index out of range [5] with length 0"},
		"a panic in StoredForm":          {map[string]failingForm{"k": {Enc: "panic"}}, `map[string]codec.failingForm["k"]: StoredForm: unstorable value: panic: oh no`},
		"an encoder that writes rubbish": {[]malformed{{}}, "[]codec.malformed[0]: EncodeMsgpack wrote what is not msgpack: unstorable value"},
	}
	for name, tc := range enc {
		t.Run(name+" at encode", func(t *testing.T) {
			t.Parallel()
			_, err := newCodec(t).NewEncoder(testLimits, nil).Encode(tc.in, nil)
			if !errors.Is(err, driver.ErrUnstorable) || err.Error() != tc.text {
				t.Errorf("got %v", err)
			}
		})
	}
	dec := map[string]struct {
		in   any
		text string
	}{
		"an error":                  {[]*failing{{dec: "error"}}, "[]*codec.failing[0]: UnmarshalText: type mismatch: failing as told"},
		"a panic":                   {[]*failing{{dec: "panic"}}, "[]*codec.failing[0]: UnmarshalText: type mismatch: panic: oh no"},
		"a crash":                   {[]*failing{{dec: "crash"}}, "[]*codec.failing[0]: UnmarshalText: type mismatch: panic: runtime error: index out of range [5] with length 0"},
		"an error of SetStoredForm": {[]failingForm{{Dec: "error"}}, "[]codec.failingForm[0]: SetStoredForm: type mismatch: failing as told"},
		"a panic of SetStoredForm":  {[]failingForm{{Dec: "panic"}}, "[]codec.failingForm[0]: SetStoredForm: type mismatch: panic: oh no"},
	}
	for name, tc := range dec {
		t.Run(name+" at decode", func(t *testing.T) {
			t.Parallel()
			c, w := newCodec(t), newWorld()
			err := decodeInto(c, w, encode(t, c, w, tc.in), reflect.New(reflect.TypeOf(tc.in)).Interface())
			if !errors.Is(err, driver.ErrType) || err.Error() != tc.text {
				t.Errorf("got %v", err)
			}
			if strings.Contains(name, "error") && !errors.Is(err, errFailing) {
				t.Error("the cause is lost")
			}
		})
	}
}

func TestAnEncoderGoesOnAfterAnError(t *testing.T) {
	t.Parallel()
	c := newCodec(t)
	e := c.NewEncoder(testLimits, nil)
	good := map[string]any{"a": []any{1, &[]int{1}}}
	want := encode(t, c, nil, good)
	for _, bad := range []any{[]*failing{{enc: "panic"}}, map[string]any{"a": good, "b": []any{func() {}}}, struct{ C chan int }{make(chan int)}} {
		if _, err := e.Encode(bad, nil); err == nil {
			t.Fatal("no error")
		}
		got, err := e.Encode(good, nil)
		if err != nil || !bytes.Equal(got.Data, want) {
			t.Errorf("got %x, %v", got.Data, err)
		}
	}
}
