package frame

import (
	"bytes"
	"testing"
	"time"
)

func TestAFrameComesBackAndDamageIsFound(t *testing.T) {
	const mark = "\xa7testing"
	when := time.Date(2026, 3, 4, 5, 6, 7, 8000, time.UTC)
	e := NewEncoder()
	defer e.Free()
	b, err := e.Frame(mark, func(e *Encoder) {
		e.MapLen(1)
		e.Text("k")
		e.ArrayLen(6)
		e.Int(-3)
		e.Bool(true)
		e.Float(1.5)
		e.Bytes([]byte("b"))
		e.Time(when)
		e.Nil()
	})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := Len(mark, b[:HeadLen]); err != nil || n != int64(len(b)) {
		t.Errorf("length %d, %v", n, err)
	}
	body, err := Open(mark, b)
	if err != nil {
		t.Fatal(err)
	}
	d := NewDecoder(body)
	defer d.Free()
	if n, err := d.MapLen(); n != 1 || err != nil {
		t.Error(n, err)
	}
	if s, ok, err := d.Short(make([]byte, 0, 4)); string(s) != "k" || !ok || err != nil {
		t.Error(s, ok, err)
	}
	if n, err := d.ArrayLen(); n != 6 || err != nil {
		t.Error(n, err)
	}
	if v, err := d.Int(); v != -3 || err != nil {
		t.Error(v, err)
	}
	if v, err := d.Bool(); !v || err != nil {
		t.Error(v, err)
	}
	if v, err := d.Float(); v != 1.5 || err != nil {
		t.Error(v, err)
	}
	if v, err := d.Bytes(); string(v) != "b" || err != nil {
		t.Error(v, err)
	}
	if v, err := d.Time(); !v.Equal(when) || err != nil {
		t.Error(v, err)
	}
	if err := d.Nil(); err != nil {
		t.Error(err)
	}
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 1
		if _, err := Open(mark, bad); err == nil {
			t.Errorf("byte %d may be anything", i)
		}
		if _, err := Open(mark, b[:i]); err == nil {
			t.Errorf("the first %d bytes are a frame", i)
		}
	}
}

// A checksum can be forged: a length is not taken for granted.
func TestLengthsBeyondTheBodyAreErrors(t *testing.T) {
	for name, read := range map[string]func(d *Decoder) error{
		"\xdb\xff\xff\xff\xff": func(d *Decoder) error { _, err := d.Text(); return err },
		"\xdd\xff\xff\xff\xff": func(d *Decoder) error { _, err := d.ArrayLen(); return err },
		"\xdf\xff\xff\xff\xff": func(d *Decoder) error { _, err := d.MapLen(); return err },
		"\xc0":                 func(d *Decoder) error { _, err := d.Bytes(); return err },
	} {
		d := NewDecoder([]byte(name))
		if read(d) == nil {
			t.Errorf("%q is no error", name)
		}
		d.Free()
	}
	for s, want := range map[string]bool{"\xa2ab": true, "\xa5abcde": false, "\xa3ab": false} {
		d := NewDecoder([]byte(s))
		if _, ok, err := d.Short(make([]byte, 0, 4)); ok != want || err != nil {
			t.Errorf("%q: %v, %v", s, ok, err)
		}
		d.Free()
	}
}
