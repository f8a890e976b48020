// Package frame has the encoding of the files of package fs: the frame that each of them begins
// with, and the msgpack values in it.
package frame

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"
	"time"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// A frame is the beginning of every file of package fs, a stream of msgpack values:
//
//	mark      a string of 7 bytes, 8 with its code
//	length    of the body, as uint32, 5 bytes
//	body      a map
//	Checksum  CRC-32C of all before, as uint32, 5 bytes
const (
	MarkLen   = 8
	Uint32Len = 5
	HeadLen   = MarkLen + Uint32Len
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum returns the CRC-32C of b.
func Checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// Sum returns the CRC-32C of a frame and the data after it.
func Sum(frame, data []byte) uint32 { return crc32.Update(Checksum(frame), castagnoli, data) }

// AppendUint32 appends a uint32 of Uint32Len bytes to b.
func AppendUint32(b []byte, n uint32) []byte {
	return binary.BigEndian.AppendUint32(append(b, msgpcode.Uint32), n)
}

// ReadUint32 reads what AppendUint32 wrote at the start of b.
func ReadUint32(b []byte) (uint32, bool) {
	if len(b) < Uint32Len || b[0] != msgpcode.Uint32 {
		return 0, false
	}
	return binary.BigEndian.Uint32(b[1:]), true
}

// An Encoder writes frames into a buffer that it keeps.
type Encoder struct {
	buf bytes.Buffer
	enc *msgpack.Encoder
}

var encoders = sync.Pool{New: func() any {
	e := &Encoder{}
	e.enc = msgpack.NewEncoder(&e.buf)
	return e
}}

// NewEncoder returns an Encoder with nothing in it.
func NewEncoder() *Encoder {
	e := encoders.Get().(*Encoder)
	e.buf.Reset()
	return e
}

// Free gives the encoder back; what Frame returned is then no longer valid.
func (e *Encoder) Free() {
	if e.buf.Cap() <= 1<<20 {
		encoders.Put(e)
	}
}

// Frame writes a frame with the body that fn encodes.
func (e *Encoder) Frame(mark string, fn func(*Encoder)) ([]byte, error) {
	var head [HeadLen]byte
	e.buf.Write(head[:])
	fn(e)
	n := e.buf.Len() - HeadLen
	if n > 1<<31-1 {
		return nil, errTooLong
	}
	b := e.buf.Bytes()
	copy(b, mark)
	AppendUint32(b[MarkLen:MarkLen], uint32(n))
	return AppendUint32(b, Checksum(b)), nil
}

// The values of a body. Their errors would be those of the buffer, which has none.

func (e *Encoder) MapLen(n int)     { _ = e.enc.EncodeMapLen(n) }
func (e *Encoder) ArrayLen(n int)   { _ = e.enc.EncodeArrayLen(n) }
func (e *Encoder) Text(s string)    { _ = e.enc.EncodeString(s) }
func (e *Encoder) Int(n int64)      { _ = e.enc.EncodeInt(n) }
func (e *Encoder) Bool(v bool)      { _ = e.enc.EncodeBool(v) }
func (e *Encoder) Float(v float64)  { _ = e.enc.EncodeFloat64(v) }
func (e *Encoder) Bytes(v []byte)   { _ = e.enc.EncodeBytes(v) }
func (e *Encoder) Time(t time.Time) { _ = e.enc.EncodeTime(t) }
func (e *Encoder) Nil()             { _ = e.enc.EncodeNil() }

var errTooLong = errors.New("header over 2 GiB")

// Len returns the length of the frame whose first HeadLen bytes b holds.
func Len(mark string, b []byte) (int64, error) {
	if len(b) < HeadLen {
		return 0, errors.New("file too short")
	}
	if string(b[:MarkLen]) != mark {
		return 0, fmt.Errorf("format mark %q, not %q", b[1:MarkLen], mark[1:])
	}
	n, ok := ReadUint32(b[MarkLen:])
	if !ok {
		return 0, errors.New("no length of the header")
	}
	return HeadLen + int64(n) + Uint32Len, nil
}

// Open returns the body of a frame that stands alone and whole in b.
func Open(mark string, b []byte) ([]byte, error) {
	n, err := Len(mark, b)
	if err != nil {
		return nil, err
	}
	if int64(len(b)) != n {
		return nil, fmt.Errorf("%d bytes instead of %d", len(b), n)
	}
	sum, ok := ReadUint32(b[n-Uint32Len:])
	if !ok || sum != Checksum(b[:n-Uint32Len]) {
		return nil, errors.New("checksum of the header does not match")
	}
	return b[HeadLen : n-Uint32Len], nil
}

// ReadMap reads the frame at the start of b, and calls entry after each key of the map in its body.
// An error of entry ends it, and comes with the key.
func ReadMap(mark string, b []byte, entry func(d *Decoder, key string) error) error {
	body, err := Open(mark, b)
	if err != nil {
		return err
	}
	d := NewDecoder(body)
	defer d.Free()
	n, err := d.MapLen()
	if err != nil {
		return err
	}
	for range n {
		key, err := d.Text()
		if err != nil {
			return err
		}
		if err := entry(d, key); err != nil {
			return fmt.Errorf("%q: %w", key, err)
		}
	}
	return nil
}

// A Decoder reads the msgpack values of a body. It takes no length for granted: a
// checksum can be forged.
type Decoder struct {
	src bytes.Reader
	dec *msgpack.Decoder
}

var decoders = sync.Pool{New: func() any {
	d := &Decoder{}
	d.dec = msgpack.NewDecoder(&d.src)
	return d
}}

// NewDecoder returns a Decoder of a body.
func NewDecoder(body []byte) *Decoder {
	d := decoders.Get().(*Decoder)
	d.src.Reset(body)
	return d
}

// Free gives the Decoder back.
func (d *Decoder) Free() {
	d.src.Reset(nil)
	decoders.Put(d)
}

// Bytes reads a string or bytes value.
func (d *Decoder) Bytes() ([]byte, error) {
	n, err := d.dec.DecodeBytesLen()
	if err != nil {
		return nil, err
	}
	if n < 0 {
		return nil, errors.New("nil instead of text")
	}
	if n > d.src.Len() {
		return nil, fmt.Errorf("text of %d bytes where %d are left", n, d.src.Len())
	}
	b := make([]byte, n)
	if _, err := d.src.Read(b); err != nil && n > 0 {
		return nil, err
	}
	return b, nil
}

// Text is Bytes as a string.
func (d *Decoder) Text() (string, error) {
	b, err := d.Bytes()
	return string(b), err
}

// count checks a number of elements, each of at least one byte.
func (d *Decoder) count(n int, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	if n < 0 || n > d.src.Len() {
		return 0, fmt.Errorf("%d elements where %d bytes are left", n, d.src.Len())
	}
	return n, nil
}

func (d *Decoder) MapLen() (int, error)   { return d.count(d.dec.DecodeMapLen()) }
func (d *Decoder) ArrayLen() (int, error) { return d.count(d.dec.DecodeArrayLen()) }

// Int reads an integer.
func (d *Decoder) Int() (int64, error) { return d.dec.DecodeInt64() }

// Uint reads an integer that is not negative.
func (d *Decoder) Uint() (uint64, error) { return d.dec.DecodeUint64() }

// Bool reads a boolean.
func (d *Decoder) Bool() (bool, error) { return d.dec.DecodeBool() }

// Float reads a float64.
func (d *Decoder) Float() (float64, error) { return d.dec.DecodeFloat64() }

// Time reads a timestamp.
func (d *Decoder) Time() (time.Time, error) { return d.dec.DecodeTime() }

// Nil reads a nil.
func (d *Decoder) Nil() error { return d.dec.DecodeNil() }

// PeekCode returns the msgpack code of the next value.
func (d *Decoder) PeekCode() (byte, error) { return d.dec.PeekCode() }

// Short reads a string of at most cap(buf) bytes into buf; ok is false for another one.
func (d *Decoder) Short(buf []byte) (s []byte, ok bool, err error) {
	n, err := d.dec.DecodeBytesLen()
	if err != nil || n < 0 || n > cap(buf) {
		return nil, false, err
	}
	m, _ := d.src.Read(buf[:n])
	return buf[:n], m == n, nil
}
