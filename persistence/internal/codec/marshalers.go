package codec

import (
	"bytes"
	"encoding"
	"math/big"
	"time"
	"unsafe"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/vmihailenco/msgpack/v5"
)

// A type with marshalers of its own is what they make of it: msgpack and binary ones as msgpack
// bin, text as a string, so that each reads its own bytes and no others.

func buildMarshaler(pl *plan) {
	switch pl.kind {
	case kindBinary:
		pl.time = timeOf(pl.typ)
	case kindText:
		pl.float = floatOf(pl.typ)
	}
	pl.enc, pl.dec = (*Encoder).marshaler, (*decoder).marshaler
}

// isNil reports whether the value of pl at p, a type with marshalers, is nil: it is one word then,
// or begins with one.
func (pl *plan) isNil(p unsafe.Pointer) bool { return pl.nilable && *(*unsafe.Pointer)(p) == nil }

func (e *Encoder) marshaler(pl *plan, p unsafe.Pointer) error {
	switch {
	case pl.isNil(p):
		e.buf = append(e.buf, codeNil)
		return nil
	case pl.time != nil && !hasBinary(*(*time.Time)(pl.time.at(p))):
		return encTime(e, nil, pl.time.at(p))
	case pl.float != nil && !hasText((*big.Float)(pl.float.at(p))):
		return e.bigFloat((*big.Float)(pl.float.at(p)))
	}
	b, err := marshal(pl, p)
	if err != nil {
		return e.failUser(marshalerNames[pl.kind][0], err)
	}
	if pl.kind == kindCustom && !wellFormed(b, e.maxDepth) {
		return e.fail(driver.ErrUnstorable, "EncodeMsgpack wrote what is not msgpack")
	}
	if pl.kind != kindText {
		return e.bin(b)
	}
	if err := e.room(len(b)); err != nil {
		return err
	}
	e.buf = append(appendStrLen(e.buf, len(b)), b...)
	return nil
}

func (d *decoder) marshaler(pl *plan, p unsafe.Pointer) error {
	if pl.nilable && d.nilNext() {
		return nil
	}
	if d.pos < len(d.buf) && d.buf[d.pos] == codeFixArray|1 && !pl.nilable {
		d.unwrap()
	}
	if other, err := d.otherForm(pl, p); other || err != nil {
		return err
	}
	fam, want := famBin, "bytes"
	if pl.kind == kindText {
		fam, want = famStr, "a string"
	}
	b, err := d.content(fam, 0, want)
	if err != nil {
		return err
	}
	// The library's own decoder trusts what it reads: neither depth nor lengths may be lies.
	if pl.kind == kindCustom && !wellFormed(b, d.maxDepth) {
		return d.corrupt("malformed msgpack for DecodeMsgpack")
	}
	if err := unmarshal(pl, p, b); err != nil {
		return d.failUser(marshalerNames[pl.kind][1], err)
	}
	if pl.isNil(p) {
		d.differs = true // as an empty net.IP, which was not nil, is now
	}
	return nil
}

// otherForm reads a value that its own methods did not write, and reports whether it is one.
func (d *decoder) otherForm(pl *plan, p unsafe.Pointer) (bool, error) {
	if d.pos >= len(d.buf) {
		return false, nil
	}
	fam := familyOf(d.buf[d.pos])
	switch {
	case pl.time != nil && (fam == famArray || fam == famExt):
		at := pl.time.at(p)
		if err := decTime(d, nil, at); err != nil {
			return true, err
		}
		d.old = d.old || hasBinary(*(*time.Time)(at)) // then it was a time.Time
		return true, nil
	case pl.float != nil && fam == famBin:
		return true, d.bigFloat(pl.float.at(p))
	}
	return false, nil
}

var marshalerNames = map[kind][2]string{
	kindCustom: {"EncodeMsgpack", "DecodeMsgpack"},
	kindBinary: {"MarshalBinary", "UnmarshalBinary"},
	kindText:   {"MarshalText", "UnmarshalText"},
	kindStored: {"StoredForm", "SetStoredForm"},
}

func marshal(pl *plan, p unsafe.Pointer) (b []byte, err error) {
	defer recoverUser(&err)
	v := pack(pl.ptr, p)
	switch pl.kind {
	case kindBinary:
		return v.(encoding.BinaryMarshaler).MarshalBinary()
	case kindText:
		return v.(encoding.TextMarshaler).MarshalText()
	}
	var buf bytes.Buffer
	err = v.(msgpack.CustomEncoder).EncodeMsgpack(msgpack.NewEncoder(&buf))
	return buf.Bytes(), err
}

// unmarshal gives the user's code a copy of b, which it may keep.
func unmarshal(pl *plan, p unsafe.Pointer, b []byte) (err error) {
	defer recoverUser(&err)
	v := pack(pl.ptr, p)
	switch pl.kind {
	case kindBinary:
		return v.(encoding.BinaryUnmarshaler).UnmarshalBinary(bytes.Clone(b))
	case kindText:
		return v.(encoding.TextUnmarshaler).UnmarshalText(bytes.Clone(b))
	}
	return v.(msgpack.CustomDecoder).DecodeMsgpack(msgpack.NewDecoder(bytes.NewReader(b)))
}
