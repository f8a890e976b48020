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
	nilable := pl.nilable // then the value is one word, or begins with one, that is nil
	switch pl.kind {
	case kindBinary:
		pl.time = timeOf(pl.typ)
	case kindText:
		pl.float = floatOf(pl.typ)
	}
	pl.enc = func(e *Encoder, _ *plan, p unsafe.Pointer) error {
		if pl.time != nil {
			if at := pl.time.at(p); !hasBinary(*(*time.Time)(at)) {
				return encTime(e, nil, at)
			}
		}
		if pl.float != nil {
			if f := (*big.Float)(pl.float.at(p)); !hasText(f) {
				return e.bigFloat(f)
			}
		}
		if nilable && *(*unsafe.Pointer)(p) == nil {
			e.buf = append(e.buf, codeNil)
			return nil
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
	pl.dec = func(d *decoder, _ *plan, p unsafe.Pointer) error {
		if nilable && d.nilNext() {
			return nil
		}
		fam, want := famBin, "bytes"
		if pl.kind == kindText {
			fam, want = famStr, "a string"
		}
		if d.pos < len(d.buf) && d.buf[d.pos] == codeFixArray|1 && !nilable {
			d.unwrap()
		}
		if pl.time != nil && d.pos < len(d.buf) {
			if next := readToken(d.buf[d.pos:]); next.fam == famArray || next.fam == famExt {
				at := pl.time.at(p)
				if err := decTime(d, nil, at); err != nil {
					return err
				}
				d.old = d.old || hasBinary(*(*time.Time)(at)) // then it was a time.Time
				return nil
			}
		}
		if pl.float != nil && d.pos < len(d.buf) && familyOf(d.buf[d.pos]) == famBin {
			return d.bigFloat(pl.float.at(p))
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
		if nilable && *(*unsafe.Pointer)(p) == nil {
			d.differs = true // as an empty net.IP, which was not nil, is now
		}
		return nil
	}
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
