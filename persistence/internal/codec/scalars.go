package codec

import (
	"encoding/binary"
	"math"
	"reflect"
	"unsafe"

	"github.com/brine-go/brine/persistence/driver"
)

// scalar appends the scalar at p.
func (e *Encoder) scalar(o op, p unsafe.Pointer) error {
	if !o.small(p) {
		if err := e.room(len(*(*string)(p))); err != nil {
			return err
		}
	}
	e.buf = appendScalar(e.buf, o, p)
	return nil
}

// small reports whether the scalar at p, a value of o, takes so little room that none is checked.
func (o op) small(p unsafe.Pointer) bool { return o != opString || len(*(*string)(p)) < bigString }

// appendScalar appends the scalar at p.
func appendScalar(b []byte, o op, p unsafe.Pointer) []byte {
	switch o {
	case opString:
		return appendStr(b, *(*string)(p))
	case opBool:
		return appendBool(b, *(*bool)(p))
	case opInt8:
		return appendInt(b, int64(*(*int8)(p)))
	case opInt16:
		return appendInt(b, int64(*(*int16)(p)))
	case opInt32:
		return appendInt(b, int64(*(*int32)(p)))
	case opInt64:
		return appendInt(b, *(*int64)(p))
	case opUint8:
		return appendUint(b, uint64(*(*uint8)(p)))
	case opUint16:
		return appendUint(b, uint64(*(*uint16)(p)))
	case opUint32:
		return appendUint(b, uint64(*(*uint32)(p)))
	case opUint64:
		return appendUint(b, *(*uint64)(p))
	case opFloat32:
		return appendFloat32(b, *(*uint32)(p))
	case opFloat64:
		return appendFloat64(b, *(*uint64)(p))
	case opComplex64:
		c := (*[2]uint32)(p)
		return appendFloat32(appendFloat32(append(b, codeFixArray|2), c[0]), c[1])
	case opComplex128:
		c := (*[2]uint64)(p)
		return appendFloat64(appendFloat64(append(b, codeFixArray|2), c[0]), c[1])
	}
	return b
}

// scalar reads a scalar into p.
func (d *decoder) scalar(o op, p unsafe.Pointer) error {
	switch o {
	case opString:
		return d.string((*string)(p))
	case opBool:
		if d.pos < len(d.buf) {
			if c := d.buf[d.pos]; c == codeTrue || c == codeFalse {
				d.pos++
				*(*bool)(p) = c == codeTrue
				return nil
			}
		}
		if d.unwrap() {
			return d.scalar(o, p)
		}
		return d.mismatch("a bool")
	case opInt8, opInt16, opInt32, opInt64:
		bits := 8 << (o - opInt8)
		n, err := d.signed(bits)
		if err != nil {
			return err
		}
		switch o {
		case opInt8:
			*(*int8)(p) = int8(n)
		case opInt16:
			*(*int16)(p) = int16(n)
		case opInt32:
			*(*int32)(p) = int32(n)
		default:
			*(*int64)(p) = n
		}
		return nil
	case opUint8, opUint16, opUint32, opUint64:
		n, err := d.unsigned(8 << (o - opUint8))
		if err != nil {
			return err
		}
		switch o {
		case opUint8:
			*(*uint8)(p) = uint8(n)
		case opUint16:
			*(*uint16)(p) = uint16(n)
		case opUint32:
			*(*uint32)(p) = uint32(n)
		default:
			*(*uint64)(p) = n
		}
		return nil
	case opFloat32:
		return d.float32((*uint32)(p))
	case opFloat64:
		return d.float64((*uint64)(p))
	case opComplex64, opComplex128:
		d.unwrap()
		if d.pos >= len(d.buf) || d.buf[d.pos] != codeFixArray|2 {
			return d.mismatch("an array of two floats")
		}
		d.pos++
		if o == opComplex64 {
			c := (*[2]uint32)(p)
			if err := d.float32(&c[0]); err != nil {
				return err
			}
			return d.float32(&c[1])
		}
		c := (*[2]uint64)(p)
		if err := d.float64(&c[0]); err != nil {
			return err
		}
		return d.float64(&c[1])
	}
	return nil
}

// signed reads an integer that fits into bits.
func (d *decoder) signed(bits int) (int64, error) {
	if d.pos < len(d.buf) && d.buf[d.pos] < codeFixMap {
		d.pos++
		return int64(d.buf[d.pos-1]), nil
	}
	t := readToken(d.buf[d.pos:])
	if t.fam != famInt {
		t = d.integer(t)
	}
	if t.fam != famInt {
		return 0, d.mismatch("an integer")
	}
	n := int64(t.n)
	if n < 0 != t.neg || n != n<<(64-bits)>>(64-bits) {
		return 0, d.outOfRange(t, "an int", bits)
	}
	d.pos += t.head
	return n, nil
}

// unsigned reads an integer that is not negative and fits into bits.
func (d *decoder) unsigned(bits int) (uint64, error) {
	if d.pos < len(d.buf) && d.buf[d.pos] < codeFixMap {
		d.pos++
		return uint64(d.buf[d.pos-1]), nil
	}
	t := readToken(d.buf[d.pos:])
	if t.fam != famInt {
		t = d.integer(t)
	}
	if t.fam != famInt {
		return 0, d.mismatch("an integer")
	}
	if t.neg || t.n != t.n<<(64-bits)>>(64-bits) {
		return 0, d.outOfRange(t, "a uint", bits)
	}
	d.pos += t.head
	return t.n, nil
}

// integer returns the next token, which is t and no integer. A float that is a whole number is
// given as the integer.
func (d *decoder) integer(t token) token {
	if t.fam == famArray && d.unwrap() {
		t = readToken(d.buf[d.pos:])
	}
	if t.fam != famFloat {
		return t
	}
	f := math.Float64frombits(t.n)
	if t.code == codeFloat32 {
		f = float64(math.Float32frombits(uint32(t.n)))
	}
	switch {
	case f != math.Trunc(f) || f == 0 && math.Signbit(f) || f < math.MinInt64 || f >= 1<<64:
		return t // the sign of a zero would be lost too
	case f < 0:
		t.n, t.neg = uint64(int64(f)), true
	default:
		t.n = uint64(f)
	}
	t.fam = famInt
	d.old = true
	return t
}

func (d *decoder) outOfRange(t token, what string, bits int) error {
	if t.neg {
		return d.fail(driver.ErrType, "%d does not fit into %s of %d bits", int64(t.n), what, bits)
	}
	return d.fail(driver.ErrType, "%d does not fit into %s of %d bits", t.n, what, bits)
}

// float64 reads the bits of a number that a float64 holds without loss.
func (d *decoder) float64(p *uint64) error {
	if d.pos+9 <= len(d.buf) && d.buf[d.pos] == codeFloat64 {
		*p = binary.BigEndian.Uint64(d.buf[d.pos+1:])
		d.pos += 9
		return nil
	}
	t := readToken(d.buf[d.pos:])
	if t.fam == famArray && d.unwrap() {
		t = readToken(d.buf[d.pos:])
	}
	switch {
	case t.code == codeFloat64 && t.fam == famFloat:
		*p = t.n
	case t.code == codeFloat32 && t.fam == famFloat:
		d.old = true
		*p = math.Float64bits(float64(math.Float32frombits(uint32(t.n))))
	case t.fam == famInt:
		f := float64(t.n)
		if t.neg {
			f = float64(int64(t.n))
		}
		if !t.neg && (f >= 1<<64 || uint64(f) != t.n) || t.neg && int64(f) != int64(t.n) {
			return d.outOfRange(t, "a float", 64)
		}
		d.old = true
		*p = math.Float64bits(f)
	default:
		return d.mismatch("a float")
	}
	d.pos += t.head
	return nil
}

// float32 reads the bits of a number that a float32 holds without loss.
func (d *decoder) float32(p *uint32) error {
	if d.pos+5 <= len(d.buf) && d.buf[d.pos] == codeFloat32 {
		*p = binary.BigEndian.Uint32(d.buf[d.pos+1:])
		d.pos += 5
		return nil
	}
	start := d.pos
	var bits uint64
	if err := d.float64(&bits); err != nil {
		return err
	}
	f := math.Float64frombits(bits)
	if float64(float32(f)) != f && f == f {
		d.pos = start
		return d.fail(driver.ErrType, "%v does not fit into a float of 32 bits", f)
	}
	d.old = true
	*p = math.Float32bits(float32(f))
	return nil
}

func buildNilOnly(pl *plan) {
	pl.enc = func(e *Encoder, _ *plan, p unsafe.Pointer) error {
		if *(*unsafe.Pointer)(p) != nil {
			return e.fail(driver.ErrUnstorable, "a %v that is not nil cannot be stored: tag the field msgpack:\"-\" to leave it out", pl.typ)
		}
		e.buf = append(e.buf, codeNil)
		return nil
	}
	pl.dec = func(d *decoder, _ *plan, _ unsafe.Pointer) error {
		if !d.nilNext() {
			return d.mismatch("nil")
		}
		return nil
	}
}

func opOf(k reflect.Kind) op {
	switch k {
	case reflect.Bool:
		return opBool
	case reflect.Int8:
		return opInt8
	case reflect.Int16:
		return opInt16
	case reflect.Int32:
		return opInt32
	case reflect.Int64:
		return opInt64
	case reflect.Int:
		if unsafe.Sizeof(0) == 4 {
			return opInt32
		}
		return opInt64
	case reflect.Uint8:
		return opUint8
	case reflect.Uint16:
		return opUint16
	case reflect.Uint32:
		return opUint32
	case reflect.Uint64:
		return opUint64
	case reflect.Uint:
		if unsafe.Sizeof(0) == 4 {
			return opUint32
		}
		return opUint64
	case reflect.Float32:
		return opFloat32
	case reflect.Float64:
		return opFloat64
	case reflect.Complex64:
		return opComplex64
	case reflect.Complex128:
		return opComplex128
	case reflect.String:
		return opString
	}
	return opNone
}
